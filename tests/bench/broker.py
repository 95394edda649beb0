"""The broker on one machine: request, approve, claim, revoke; how many a second, p50 and p99.

``python tests/bench/broker.py [--seconds N] [--clients N,N…]``. The log is on disk (SQLite for its
state), the target an embedded PostgreSQL 18 with its durable settings. Beside each figure, in the
same run: the least that the same would cost without a broker, a role created and dropped on a
connection of its own, and the appends alone.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import sys
import tempfile
import threading
import time
from dataclasses import replace
from pathlib import Path

import psycopg

from chalicelib import settings, wiring
from chalicelib.access import lease, request
from chalicelib.access.held import Phase
from chalicelib.access.principal import Kind, Principal
from chalicelib.access.profile import SHIPPED
from chalicelib.access.wish import Asked
from chalicelib.evidence.group import GroupJournal
from chalicelib.kernel.errors import Conflict
from chalicelib.kernel.record import Actor, Draft
from chalicelib.postgres import install
from chalicelib.postgres.embedded import EmbeddedServer
from chalicelib.settings import authority
from chalicelib.wiring import access, local

TARGETS = 8
STEPS = ("request", "approve", "claim", "revoke")
TEXT = """
[policy.roles]
engineer = ["group:people"]
approver = ["person:ben"]

[identity.groups]
people = [{people}]
"""


def build(folder, server, clients):
    """A store with TARGETS targets, which are databases of one server."""
    local.create(folder, "bench.example/log", Actor("bench", "os"))
    path = folder / settings.FILE_NAME
    people = ", ".join(f'"person:p{number}"' for number in range(max(clients)))
    text = path.read_text() + TEXT.format(people=people)
    with psycopg.connect(server.dsn("postgres"), autocommit=True) as one:
        for number in range(TARGETS):
            one.execute(f"CREATE DATABASE t{number}")
    for number in range(TARGETS):
        dsn = server.dsn(f"t{number}")
        with psycopg.connect(dsn, autocommit=True) as one:
            one.execute("CREATE TABLE orders (id int); CREATE TABLE customers (id int)")
        install.install(dsn, install.Wanted(schemas=("public",), profiles=dict(SHIPPED)))
        os.environ[f"BENCH_{number}"] = server.dsn(
            f"t{number}", user="holdfast_broker", password="bench"
        )
        text += f'\n[targets.t{number}]\ndsn_env = "BENCH_{number}"\n'
        text += f'[targets.t{number}.access]\ndsn_env = "BENCH_{number}"\n'
    with psycopg.connect(server.dsn("postgres"), autocommit=True) as one:
        one.execute("ALTER ROLE holdfast_broker PASSWORD 'bench'")
    path.write_text(text)
    held = wiring.connect(settings.load(path))
    return replace(held, desk=replace(held.desk, journal=GroupJournal(held.desk.journal)))


def again(work):
    """What ``work`` gives, tried anew where somebody else's append came first."""
    while True:
        try:
            return work()
        except Conflict:
            time.sleep(0.002)


def lives(desk, targets, number, until, times):
    """One lease after the other, until the time is over; milliseconds of each step."""
    me, ben = Principal(Kind.PERSON, f"p{number}", "os"), Principal(Kind.PERSON, "ben", "os")
    target = targets[number % len(targets)]
    asked_for = Asked(profile="read-clear", tables=("public.orders",), reason="a bench")
    done = 0
    while time.perf_counter() < until:
        asked = ""
        for step in STEPS:
            began = time.perf_counter()
            match step:
                case "request":
                    asked = again(lambda: request.ask(desk, target, me, asked_for)).id
                case "approve":
                    again(lambda one=asked: request.approve(desk, target, ben, one))
                case "claim":
                    again(lambda one=asked: lease.claim(desk, target, me, one))
                case "revoke":
                    held = again(lambda one=asked: lease.revoke(desk, target, me, one))
                    if held.phase is not Phase.ENDED:
                        raise SystemExit(f"not ended: {held.lease.trouble}")
            times[step].append((time.perf_counter() - began) * 1_000)
        done += 1
    return done


def run(desk, targets, clients, seconds):
    """Lives a second, and the times of each step, with so many clients."""
    times = {step: [] for step in STEPS}
    done = [0] * clients
    until = time.perf_counter() + seconds

    def one(number):
        done[number] = lives(desk, targets, number, until, times)

    threads = [threading.Thread(target=one, args=(number,)) for number in range(clients)]
    began = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(done) / (time.perf_counter() - began), times


def bare(server, seconds):
    """Roles a second that are created and dropped on connections of their own, and nothing else."""
    until, done = time.perf_counter() + seconds, 0
    while time.perf_counter() < until:
        for statement in ("CREATE ROLE bench_one LOGIN", "DROP ROLE bench_one"):
            with psycopg.connect(server.dsn("t0"), autocommit=True) as one:
                one.execute(statement)
        done += 1
    return done / seconds


def appends(desk, seconds):
    """Appends a second of one small record."""
    until, done = time.perf_counter() + seconds, 0
    at = desk.now
    while time.perf_counter() < until:
        desk.journal.append([Draft("scan.missed", "bench", at, Actor("bench", "os"), {})])
        done += 1
    return done / seconds


def line(name, times):
    found = sorted(times)
    p99 = found[min(len(found) - 1, int(len(found) * 0.99))]
    print(f"    {name:10} p50 {statistics.median(found):7.1f} ms   p99 {p99:7.1f} ms")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--clients", default="1,8")
    chosen = parser.parse_args()
    clients = [int(one) for one in chosen.clients.split(",")]
    print(f"{platform.python_version()}, {os.cpu_count()} cores")
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)  # the server is another user
        with EmbeddedServer(Path(folder) / "server", settings={"max_connections": "200"}) as server:
            held = build(Path(folder), server, clients)
            policy = authority.load(held.settings)
            desk = access.desk(held, lambda: policy)
            targets = access.every(held)
            least = bare(server, chosen.seconds / 2)
            print(f"a role created and dropped, without a broker: {least:.1f}/s")
            print(f"appends of one record: {appends(desk, chosen.seconds / 2):.1f}/s")
            for count in clients:
                for chosen_targets in ([targets[0]], targets) if count > 1 else ([targets[0]],):
                    rate, times = run(desk, chosen_targets, count, chosen.seconds)
                    print(
                        f"{count} clients, {len(chosen_targets)} targets: {rate:.1f} leases/s, "
                        f"{rate / least:.2f} of that without a broker"
                    )
                    for step in STEPS:
                        line(step, times[step])


if __name__ == "__main__":
    sys.exit(main())
