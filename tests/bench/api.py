"""The API under load on one machine: requests a second, p50 and p99, and no update lost.

``python tests/bench/api.py [--seconds N] [--clients N,N…]``. The server is a process of its own,
over a store on disk with 1,000 findings; clients are threads of another process, each with a
connection that stays open. Every figure stands beside that of ``GET /v1/health`` in the same run,
which does nothing: what is left is HTTP, Chalice, identity, policy and the operation.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from support.desk import MemorySource

from chalicelib import settings, wiring
from chalicelib.drift import approval
from chalicelib.drift.look import look
from chalicelib.drift.scan import scan
from chalicelib.drift.snapshot import Object
from chalicelib.kernel.record import Actor
from chalicelib.local.clock import SystemClock
from chalicelib.settings import edit
from chalicelib.wiring import local

FINDINGS = 1_000
TARGETS = 120  # each with a proposal that APPROVALS people must agree to
APPROVALS = 10
WRITERS = 50
BENCH = Actor("bench", "os")

SERVER = """
import sys, threading
from pathlib import Path
from chalicelib import settings, wiring
from chalicelib.cli.bell import ThreadBell
from chalicelib.cli.counter import Counter
from chalicelib.evidence.group import GroupJournal
from chalicelib.local.queue import SqliteQueue
held = wiring.connect(settings.load(Path(sys.argv[1])))
queue = SqliteQueue(held.settings.store_path / "queue.db", held.desk.clock)
counter = Counter(lambda: held, queue, ThreadBell(), GroupJournal(held.desk.journal))
server = counter.open(("127.0.0.1", 0), lambda line: None)
print(server.effective_port, flush=True)
threading.Event().wait()
"""


def quiet(*_):
    """Nobody watches."""


def build(folder):
    """A store with one target of many findings, and many targets with an open proposal."""
    local.create(folder, "bench.example/log", BENCH)
    path = folder / settings.FILE_NAME
    for number in range(TARGETS):
        section = settings.TargetSection(dsn_env="NO_DSN", approvals=APPROVALS)
        edit.add_target(settings.load(path), f"t{number}", section)
    edit.add_target(settings.load(path), "orders", settings.TargetSection(dsn_env="NO_DSN"))
    unbounded = "\n[api]\nrequests_per_second = 1000000000\nburst = 1000000000\n"
    path.write_text(path.read_text() + unbounded)
    held = wiring.connect(settings.load(path))
    clock = SystemClock()
    source = MemorySource(clock, [Object("table", "public.orders", {"owner": "shop"})])
    propose(held, "orders", source)
    approval.approve(held.desk, held.settings.target("orders"), actor=Actor("ben", "os"))
    for number in range(FINDINGS):
        source.put("table", f"public.added_{number}", owner="shop")
    scan(held.desk, held.settings.target("orders"), source, actor=BENCH, progress=quiet)
    for number in range(TARGETS):
        propose(held, f"t{number}", source)
    return path


def propose(held, slug, source):
    seen = look(source, quiet)
    approval.propose(
        held.desk,
        held.settings.target(slug),
        seen.snapshot,
        identity=seen.reading.identity,
        read_at=seen.reading.read_at,
        actor=BENCH,
    )


class Client:
    """One connection of one person."""

    def __init__(self, port, token):
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        self.headers = {"Authorization": f"Bearer {token}"}

    def ask(self, method, path, body=None, **headers):
        content = None if body is None else json.dumps(body)
        sent = {**self.headers, **headers}
        if body is not None:
            sent["Content-Type"] = "application/json"
        self.connection.request(method, path, content, sent)
        answer = self.connection.getresponse()
        return answer.status, answer.headers, answer.read()


def load(port, clients, work):
    """``work(number, client)`` yields a request after the other; milliseconds of each, seconds."""
    times, wrong = [], []
    gate = threading.Barrier(clients + 1)

    def run(number):
        mine = []
        gate.wait()
        for ask in work(number):
            started = time.perf_counter()
            status = ask()
            mine.append((time.perf_counter() - started) * 1_000)
            if status >= 400:
                wrong.append(status)
        times.extend(mine)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(clients)]
    for one in threads:
        one.start()
    gate.wait()
    started = time.perf_counter()
    for one in threads:
        one.join()
    return times, time.perf_counter() - started, wrong


def report(name, clients, measured, base):
    times, seconds, wrong = measured
    rate = len(times) / seconds
    cuts = statistics.quantiles(times, n=100)
    ratio = "" if base is None else f"  {base / rate:6.1f} x health"
    print(
        f"{name:18} {clients:3} clients  {rate:8.0f}/s  p50 {cuts[49]:7.1f} ms  "
        f"p99 {cuts[98]:7.1f} ms{ratio}" + (f"  refused {sorted(set(wrong))}" if wrong else "")
    )
    return rate


def repeated(port, token, method, path, seconds):
    """The same GET until the time is over."""

    def work(_number):
        client = Client(port, token)
        end = time.perf_counter() + seconds
        while time.perf_counter() < end:
            yield lambda: client.ask(method, path)[0]

    return work


def approvals(port, tokens, proposals):
    """Each person agrees to every proposal, all people at once."""

    def work(number):
        client = Client(port, tokens[number])
        for slug, proposal in proposals:
            path = f"/v1/targets/{slug}/baseline/approvals"
            yield lambda path=path, proposal=proposal: client.ask(
                "POST", path, {"proposal": proposal}
            )[0]

    return work


def no_update_lost(port, tokens, finding):
    """Writers who all saw the same version: one of them is heard, and the others are told."""
    client = Client(port, tokens[0])
    tag = client.ask("GET", f"/v1/findings/{finding}")[1]["ETag"]
    statuses = []

    def write(number):
        body = {"findings": [finding], "until": "2099-01-01", "reason": f"writer {number}"}
        until = time.gmtime(time.time() + 86_400 * 30)
        body["until"] = time.strftime("%Y-%m-%d", until)
        one = Client(port, tokens[number % len(tokens)])
        headers = {"If-Match": tag}
        statuses.append(one.ask("POST", "/v1/findings/suppress", body, **headers)[0])

    threads = [threading.Thread(target=write, args=(number,)) for number in range(WRITERS)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    return {status: statuses.count(status) for status in sorted(set(statuses))}


def issue(path, name, *roles):
    command = [sys.executable, "-m", "chalicelib.cli", "--config", str(path), "--as", name, "token"]
    for role in roles:
        command += ["--role", role]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=path.parent)
    return done.stdout.strip()


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--clients", default="1,8,32")
    asked = parser.parse_args()
    print(f"python {platform.python_version()}, {os.cpu_count()} cores, {FINDINGS} findings")
    with tempfile.TemporaryDirectory() as name:
        path = build(Path(name))
        held = wiring.connect(settings.load(path))
        findings = list(held.desk.states.get("postgres:orders").findings)
        proposals = [
            (f"t{number}", held.desk.states.get(f"postgres:t{number}").proposal.id)
            for number in range(TARGETS)
        ]
        people = [f"person{number}" for number in range(APPROVALS - 1)]
        tokens = [issue(path, one, "engineer", "approver", "auditor") for one in people]
        server = subprocess.Popen(
            [sys.executable, "-c", SERVER, str(path)], stdout=subprocess.PIPE, text=True
        )
        try:
            port = int(server.stdout.readline())
            for clients in map(int, asked.clients.split(",")):
                base = None
                for label, where in (
                    ("health", "/v1/health"),
                    ("findings list", "/v1/findings?limit=50"),
                    ("record proof", f"/v1/records/{FINDINGS // 2}/proof"),
                ):
                    work = repeated(port, tokens[0], "GET", where, asked.seconds)
                    rate = report(label, clients, load(port, clients, work), base)
                    base = base or rate
            measured = load(port, len(tokens), approvals(port, tokens, proposals))
            report("baseline approve", len(tokens), measured, base)
            lost = [
                slug
                for slug, _ in proposals
                if len(held.desk.states.get(f"postgres:{slug}").proposal.people()) != len(tokens)
            ]
            print(f"approvals lost: {len(lost)} of {len(proposals) * len(tokens)}")
            print(f"{WRITERS} writers, one version: {no_update_lost(port, tokens, findings[0])}")
        finally:
            server.kill()
            server.wait()


if __name__ == "__main__":
    main()
