"""A snapshot beside pg_dump -s of the same database: time, memory, distance. ``make bench``.

Options: ``--small N`` and ``--large N`` tables, each with three or four indexes. Every figure is
the best of three; what is compared takes turns, on the same server. A snapshot is taken in a
process of its own, whose peak of memory is told; its time is that of the reading, the lines and
their root, in
a process that has started. ``pg_dump`` is a process too.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import psycopg
from psycopg.conninfo import make_conninfo

from chalicelib.postgres.embedded import EmbeddedServer

TABLE = """
CREATE TABLE s.t{0} (
    id bigint PRIMARY KEY, a text NOT NULL, b numeric(10,2) DEFAULT 0, c timestamptz
);
CREATE INDEX t{0}_a ON s.t{0} (a);
CREATE INDEX t{0}_b ON s.t{0} (b) WHERE b > 0;
ALTER TABLE s.t{0} ADD CONSTRAINT t{0}_c CHECK (b >= 0);
"""
MORE = "CREATE INDEX t{0}_d ON s.t{0} (c DESC, a);"  # on every second table
DELAY_SECONDS = 0.0005  # each way: 1 ms of added round-trip time
CHILD = """
import json, resource, sys, time
from chalicelib.drift import snapshot
from chalicelib.drift.look import look
from chalicelib.drift.source import Known
from chalicelib.postgres.snapshot import PostgresSource
source = PostgresSource(sys.argv[1], conceal=lambda _: "x")
def timed(known=None):
    start = time.perf_counter()
    found = look(source, lambda *_: None, known)
    return time.perf_counter() - start, found
first, found = timed()
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
marked, found = timed(Known(None, lambda: None))
data, root, sha = found.snapshot.data, found.snapshot.root.hex(), __import__("hashlib").sha256
digest = sha(data).hexdigest()
again, kept = timed(
    Known(found.reading.mark, lambda: snapshot.recall(data, sha256=digest, root=root))
)
assert kept.reading.kept and kept.snapshot.root.hex() == root
print(json.dumps({
    "first": first, "marked": marked, "again": again, "peak": peak,
    "objects": len(found.snapshot.objects), "queries": len(found.reading.queries),
    "again_queries": len(kept.reading.queries),
}))
"""


def say(what, value):
    print(f"{what:58} {value}", flush=True)


def fill(server, name, tables):
    with psycopg.connect(server.socket_dsn(), autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    with psycopg.connect(server.socket_dsn(name)) as connection:
        connection.execute("CREATE SCHEMA s")
        for start in range(0, tables, 100):
            numbers = range(start, min(start + 100, tables))
            connection.execute("".join(TABLE.format(n) + MORE.format(n) * (n % 2) for n in numbers))
    with psycopg.connect(server.socket_dsn(name), autocommit=True) as connection:
        connection.execute("VACUUM ANALYZE")


def dump(server, dsn):
    command = [str(server.bin_dir / "pg_dump"), "-s", "-C", "-f", os.devnull, dsn]
    start = time.perf_counter()
    subprocess.run(command, check=True)
    return time.perf_counter() - start


def taken(dsn):
    done = subprocess.run([sys.executable, "-c", CHILD, dsn], check=True, capture_output=True)
    return json.loads(done.stdout)


class Distance:
    """A relay on this machine that holds back what goes through it, both ways."""

    def __init__(self, port):
        self._target = port
        self._loop = asyncio.new_event_loop()
        self._server = self._loop.run_until_complete(
            asyncio.start_server(self._serve, "127.0.0.1", 0)
        )
        self.port = self._server.sockets[0].getsockname()[1]
        threading.Thread(target=self._loop.run_forever, daemon=True).start()

    async def _serve(self, reader, writer):
        there = await asyncio.open_connection("127.0.0.1", self._target)
        await asyncio.gather(self._relay(reader, there[1]), self._relay(there[0], writer))

    async def _relay(self, reader, writer):
        while data := await reader.read(2**16):
            self._loop.call_later(DELAY_SECONDS, writer.write, data)
        self._loop.call_later(DELAY_SECONDS * 4, writer.close)


def compare(server, name, tables):
    dsn = server.socket_dsn(name)
    rounds = [(dump(server, dsn), taken(dsn)) for _ in range(3)]
    dumped = min(seconds for seconds, _ in rounds)
    one = {key: min(found[key] for _, found in rounds) for key in rounds[0][1]}
    say(f"pg_dump -s of {tables:,} tables, {tables * 7 // 2:,} indexes", f"{dumped:.2f} s")
    ratio = one["first"] / dumped
    say(f"  snapshot, {one['objects']:,} objects", f"{one['first']:.2f} s = {ratio:.2f} of pg_dump")
    say("  its queries; peak memory", f"{one['queries']}; {one['peak']:.0f} MiB")
    say("  with a mark for the next one", f"{one['marked']:.2f} s")
    ratio = one["again"] / dumped
    say("  again, nothing changed", f"{one['again']:.3f} s = {ratio:.2f} of pg_dump")
    say("  its queries", one["again_queries"])


def compare_far(server, name):
    far = Distance(server.port)
    dsn = make_conninfo(server.dsn(name), port=far.port)
    dumped, found = dump(server, dsn), taken(dsn)
    say("pg_dump of the smaller one, 1 ms further away", f"{dumped:.2f} s")
    ratio = found["first"] / dumped
    say("  snapshot", f"{found['first']:.2f} s = {ratio:.3f} of pg_dump")
    say("  again, nothing changed", f"{found['again']:.3f} s")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--small", type=int, default=2400, metavar="TABLES")
    parser.add_argument("--large", type=int, default=10_000, metavar="TABLES")
    sizes = parser.parse_args()
    settings = {"max_locks_per_transaction": "4096", "autovacuum": "off"}
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        with EmbeddedServer(Path(folder), settings=settings, durable=False) as server:
            for name, tables in (("small", sizes.small), ("large", sizes.large)):
                fill(server, name, tables)
                compare(server, name, tables)
            compare_far(server, "small")


if __name__ == "__main__":
    main()
