"""Leases at a database, many of them: does ending one cost more, the more there were?

    .venv/bin/python tests/bench/leases.py --leases 20000 --scopes 50

They are issued and ended one after the other, ``--alive`` of them open at a time, over ``--scopes``
distinct scopes. Printed: p50 and p99 of the first and the last thousand (or tenth) and their ratio,
and the size of the ACLs in pg_class and of the catalogues that roles are in. A connection alone is
timed beside each end: what grows with it is the machine's load.
"""

from __future__ import annotations

import argparse
import platform
import secrets
import tempfile
import time
from collections import deque
from pathlib import Path

import psycopg

from chalicelib.access.grantor import Terms
from chalicelib.access.profile import SHIPPED, Table
from chalicelib.postgres.embedded import EmbeddedServer
from chalicelib.postgres.install import Wanted, install
from chalicelib.postgres.lease import PostgresGrantor

UNTIL = "2099-01-01T00:00:00.000000Z"
SIZES = """
SELECT max(cardinality(relacl)), sum(cardinality(relacl)), pg_relation_size('pg_class'),
    pg_relation_size('pg_authid'), pg_relation_size('pg_auth_members'),
    pg_relation_size('pg_shdescription')
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = 'app'
"""
NAMES = (
    "largest ACL, entries",
    "all ACLs, entries",
    "pg_class, bytes",
    "pg_authid, bytes",
    "pg_auth_members, bytes",
    "pg_shdescription, bytes",
)


def terms(number, scopes):
    """A lease whose scope is one of so many: a window of three tables."""
    first = number % scopes
    tables = tuple(sorted(Table("app", f"t{(first + more) % (scopes + 2)}") for more in range(3)))
    return Terms(
        lease=f"L{number}",
        target="postgres:bench",
        role=f"hf_{secrets.token_hex(10)}",
        holder="person:bench",
        profile_name="write",
        profile=SHIPPED["write"],
        tables=tables,
        until=UNTIL,
    )


def timed(action):
    start = time.perf_counter()
    result = action()
    return time.perf_counter() - start, result


def percentile(times, share):
    return sorted(times)[min(len(times) - 1, int(len(times) * share))] * 1000


def report(what, times):
    part = min(1_000, len(times) // 10 or 1)
    first, last = times[:part], times[-part:]
    for share in (0.5, 0.99):
        before, after = percentile(first, share), percentile(last, share)
        print(
            f"{what} p{share * 100:g}: first {part} {before:.1f} ms, last {part} {after:.1f} ms,"
            f" ratio {after / before:.2f}",
            flush=True,
        )


def bench_leases(server, leases, scopes, alive):
    """Issue and end so many leases; times of both in seconds, sizes before and after."""
    dsn = server.dsn("postgres")
    with psycopg.connect(dsn, autocommit=True) as admin:
        admin.execute("CREATE SCHEMA app")
        for number in range(scopes + 2):
            admin.execute(f"CREATE TABLE app.t{number} (id serial PRIMARY KEY, x text)")
    install(dsn, Wanted(schemas=("app",), profiles=SHIPPED), password="bench")
    broker = server.dsn("postgres", user="holdfast_broker", password="bench")
    grantor = PostgresGrantor("postgres:bench", broker)
    issuing, ending, connecting, open_leases, sizes = [], [], [], deque(), []
    for number in range(leases + alive):
        if number < leases:
            one = terms(number, scopes)
            plan = grantor.plan(one)
            seconds, _ = timed(lambda plan=plan, one=one: grantor.issue(plan, one))
            issuing.append(seconds)
            open_leases.append(one)
        if number >= alive and open_leases:
            one = open_leases.popleft()
            seconds, found = timed(lambda one=one: grantor.end(one, lambda _: None))
            assert set(found["verified"].values()) == {0}
            ending.append(seconds)
            seconds, _ = timed(lambda: psycopg.connect(broker).close())
            connecting.append(seconds)
        if number in {min(alive, leases) - 1, leases - 1}:
            with psycopg.connect(dsn) as admin:
                sizes.append(admin.execute(SIZES).fetchone())
    with psycopg.connect(dsn) as admin:
        left = admin.execute(
            r"SELECT count(*) FROM pg_roles WHERE rolname ~ '^(hf_|holdfast_s_)'"
        ).fetchone()[0]
    print(f"{leases} leases, {scopes} scopes, {alive} open at a time, {left} roles left")
    report("issue", issuing)
    report("end", ending)
    report("a connection alone, beside each end", connecting)
    pairs = zip(ending, connecting, strict=True)
    report("end less its connection", [one - other for one, other in pairs])
    for name, before, after in zip(NAMES, sizes[0], sizes[-1], strict=True):
        print(f"{name}: {before} then {after}, ratio {after / before:.2f}")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--leases", type=int, default=20_000)
    parser.add_argument("--scopes", type=int, default=50)
    parser.add_argument("--alive", type=int, default=100)
    given = parser.parse_args()
    print(f"Python {platform.python_version()}, {platform.machine()}")
    with tempfile.TemporaryDirectory(prefix="holdfast-bench-") as folder:
        Path(folder).chmod(0o755)
        with EmbeddedServer(Path(folder), durable=False) as server:
            bench_leases(server, given.leases, given.scopes, given.alive)


if __name__ == "__main__":
    main()
