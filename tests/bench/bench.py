"""Benchmarks, as ratios side by side in one run. ``make bench``.

Options: ``--tables N``; ``--only log``, the evidence log alone.

What is compared runs on the same server, the same database, in the same process, best of three.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psycopg

from chalicelib.drift import snapshot
from chalicelib.drift.diff import diff
from chalicelib.drift.judge import judge, load
from chalicelib.evidence import note
from chalicelib.evidence.fsck import fsck
from chalicelib.evidence.keys import LogKey, keyring
from chalicelib.evidence.log import Log
from chalicelib.kernel.clock import timestamp
from chalicelib.kernel.record import Actor, Draft
from chalicelib.local.clock import SystemClock
from chalicelib.local.derived import DirectoryDerived
from chalicelib.local.documents import SqliteDocuments
from chalicelib.local.signer import KeyFileSigner
from chalicelib.local.writeonce import DirectoryWriteOnce
from chalicelib.postgres.embedded import EmbeddedServer
from chalicelib.postgres.snapshot import PostgresSource

ROOT = Path(__file__).parents[2]
TABLE = """
CREATE TABLE s.t{0} (
    id bigint PRIMARY KEY, a text NOT NULL, b numeric(10,2) DEFAULT 0, c timestamptz
);
CREATE INDEX t{0}_a ON s.t{0} (a);
CREATE INDEX t{0}_b ON s.t{0} (b) WHERE b > 0;
ALTER TABLE s.t{0} ADD CONSTRAINT t{0}_c CHECK (b >= 0);
"""


def best(action, rounds=3):
    times = []
    for _ in range(rounds):
        start = time.perf_counter()
        result = action()
        times.append(time.perf_counter() - start)
    return min(times), result


def say(what, value):
    print(f"{what:58} {value}", flush=True)


def peak_mib():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def bench_snapshot(server, tables):
    with psycopg.connect(server.socket_dsn(), autocommit=True) as connection:
        connection.execute("CREATE DATABASE bench")
    with psycopg.connect(server.socket_dsn("bench")) as connection:
        connection.execute("CREATE SCHEMA s")
        for start in range(0, tables, 100):
            connection.execute("".join(map(TABLE.format, range(start, min(start + 100, tables)))))
    source = PostgresSource(server.socket_dsn("bench"), conceal=lambda _: "x")
    reading = source.read(lambda *_: None)
    made, taken = best(lambda: snapshot.build(reading.objects))
    parsed, _ = best(lambda: snapshot.parse(taken.data))
    say("snapshot built: order and root", f"{made:.2f} s, {len(taken.objects)} objects")
    say("stored snapshot parsed and verified", f"{parsed:.2f} s, {len(taken.data) / 2**20:.1f} MiB")
    say("peak memory so far", f"{peak_mib():.0f} MiB")
    return taken


def bench_diff(taken):
    rules = load()
    changed = snapshot.build(
        item.having({**item.attributes, "comment": "x"}) for item in taken.objects.values()
    )
    same, _ = best(lambda: diff(taken, taken))
    differ, changes = best(lambda: diff(taken, changed))
    judged, _ = best(lambda: [judge(change, rules) for change in changes])
    say("diff, nothing changed", f"{len(taken.objects) / same:,.0f} objects/s")
    say("diff, every object changed", f"{len(changes) / differ:,.0f} changes/s")
    say("judge", f"{len(changes) / judged:,.0f} changes/s")


class Timed:
    """An fsync that adds up how often it was called and how long it took, in seconds."""

    def __init__(self):
        self.count, self.seconds = 0, 0.0

    def __call__(self, file):
        start = time.perf_counter()
        os.fsync(file)
        self.seconds += time.perf_counter() - start
        self.count += 1


def bench_log(folder, records=20_000):
    clock, sync = SystemClock(), Timed()
    signer = KeyFileSigner.create(folder / "key.pem")
    verifier = note.verifier("bench.example/log", signer.public)
    ports = {
        "writeonce": DirectoryWriteOnce(folder / "evidence", sync=sync),
        "derived": DirectoryDerived(folder / "derived", sync=sync),
        "documents": SqliteDocuments(folder / "state.db"),
    }
    log = Log(
        **ports, signer=signer, keys=keyring([LogKey(verifier)]), tool="bench", pause=lambda _: None
    )
    actor = Actor("bench", "os")
    drafts = [
        Draft("bench", "bench", timestamp(clock.now()), actor, {"n": n, "text": "x" * 200})
        for n in range(records)
    ]
    single, _ = best(lambda: log.append(drafts[:1]))
    rounds = []
    for _ in range(3):
        sync.count, sync.seconds = 0, 0.0
        rounds.append((*spent(lambda: log.append(drafts), rounds=1), sync.count, sync.seconds))
    batch, busy, syncs, waited = min(rounds)
    read, reading = spent(lambda: sum(1 for _ in log.read()))
    verify, verifying = spent(lambda: fsck(**ports, keys=keyring([LogKey(verifier)])))
    leaves = [entry.leaf for entry in log.read()]
    bare, _ = spent(lambda: [(hashlib.sha256(leaf).digest(), json.loads(leaf)) for leaf in leaves])
    count = len(leaves)
    say("append, one record at a time", f"{1 / single:,.0f} records/s")
    say(f"append, {records:,} records in batches of 1,000", rate(records, batch, busy))
    say("of which fsync", f"{waited / batch:.0%} of the time, {syncs} calls")
    say("read and verified against the checkpoints", rate(count, read, reading))
    say("fsck", rate(count, verify, verifying))
    say("leaves hashed, parsed by json.loads, and nothing else", f"{count / bare:,.0f} leaves/s")
    say("beside that: verified, fsck", f"{bare / read:.2f}, {bare / verify:.2f}")


def spent(action, rounds=3):
    """Seconds of the clock and of the processor, of the round that took the least of the clock."""
    times = []
    for _ in range(rounds):
        start, processor = time.perf_counter(), time.process_time()
        action()
        times.append((time.perf_counter() - start, time.process_time() - processor))
    return min(times)


def rate(count, seconds, busy):
    return f"{count / seconds:,.0f} records/s; {count / busy:,.0f} a second of processor time"


FUNCTIONS = ("dispatch", "scan", "overdue")
# In a process of its own: what a cold start imports before it looks at its event, and what the
# first event of a process imports and makes besides, without a request to anybody.
COLD = """
import time
start = time.perf_counter()
import app
from chalicelib.functions.{0} import {0}
loaded = time.perf_counter() - start
import chalicelib.postgres.snapshot
from chalicelib.aws.events import EventBridgeEvents
from chalicelib.wiring import cloud
account = cloud.Account("eu-central-1")
for service in ("s3", "dynamodb", "kms", "secretsmanager", "events"):
    account.client(service)
print(loaded, time.perf_counter() - start)
"""


def bench_cold_starts(rounds=5):
    """Import time of each function of the deployment, the best of some fresh processes."""
    bare, _ = best(lambda: subprocess.run([sys.executable, "-c", ""], check=True), rounds)
    say("a Python process that does nothing", f"{bare * 1000:.0f} ms")
    environ = {**os.environ, "AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "x"}
    for name in FUNCTIONS:
        command = [sys.executable, "-c", COLD.format(name)]
        runs = [
            subprocess.run(
                command, check=True, capture_output=True, text=True, cwd=ROOT, env=environ
            )
            for _ in range(rounds)
        ]
        loaded, whole = (
            min(one) for one in zip(*(map(float, r.stdout.split()) for r in runs), strict=True)
        )
        say(
            f"cold start of {name}: imports",
            f"{loaded * 1000:.0f} ms; with every adapter and client {whole * 1000:.0f} ms",
        )


def bench_traffic():
    """The requests to AWS, counted by traffic.py, which starts an AWS of its own."""
    program = Path(__file__).with_name("traffic.py")
    run = subprocess.run([sys.executable, str(program)], check=True, capture_output=True, text=True)
    for line in run.stdout.splitlines():
        if "requests each" in line:
            what, _, count = line.partition(": ")
            say(f"AWS, {what}", count)


def main():
    options = argparse.ArgumentParser()
    options.add_argument("--tables", type=int, default=2_400)
    options.add_argument("--only", choices=["log"])
    given = options.parse_args()
    say("machine", f"{os.cpu_count()} cores, Python {platform.python_version()}")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        if given.only:
            bench_log(folder)
            return
        settings = {"max_locks_per_transaction": "1024", "autovacuum": "off"}
        with EmbeddedServer(folder / "pg", durable=False, settings=settings) as server:
            taken = bench_snapshot(server, given.tables)
        bench_diff(taken)
        bench_log(folder)
    bench_cold_starts()
    bench_traffic()
    say("peak memory", f"{peak_mib():.0f} MiB")


main()
