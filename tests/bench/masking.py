"""What masking views cost a reader: the same queries through them and on the tables, side by side.

    .venv/bin/python tests/bench/masking.py [--rows 1000000] [--best 3]

An embedded PostgreSQL 18 with two tables of so many rows, their views, and a lease of the profile
read-masked. Each query is sent as the lease on the views and as the tables' owner on the tables, in
turn; the best of each, and how many times as long the lease takes. Then what each mask costs a row
(``count`` of a column, on ``--mask-rows``), and which predicates reach an index through a view.
Without parallel workers and JIT, so that a time is one core's; nothing is prepared, so planning is
in it.
"""

from __future__ import annotations

import argparse
import os
import platform
import sys
import tempfile
import time
import tomllib
from pathlib import Path

import psycopg
from psycopg import sql

from chalicelib.access.grantor import Terms
from chalicelib.access.masking.catalogue import CATALOGUE
from chalicelib.access.masking.masks import parse
from chalicelib.access.masking.spec import CLEAR
from chalicelib.access.profile import SHIPPED
from chalicelib.postgres.embedded import EmbeddedServer
from chalicelib.postgres.install import Wanted, install
from chalicelib.postgres.lease import PostgresGrantor
from chalicelib.postgres.masking import apply

UNTIL = "2099-01-01T00:00:00.000000Z"
PASSWORD = "bench"
SETTINGS = {
    "shared_buffers": "1GB",
    "work_mem": "256MB",
    "max_parallel_workers_per_gather": "0",
    "jit": "off",
    "autovacuum": "off",
}
TABLES = """
CREATE TABLE customers (id bigint PRIMARY KEY, email text, name text, region text, salary integer);
CREATE TABLE orders (id bigint PRIMARY KEY, customer bigint, customer_email text, region text,
    total numeric(12,2), tip integer, at timestamptz);
INSERT INTO customers SELECT i, 'person' || i || '@example.com', 'Name ' || i,
    (ARRAY['north', 'east', 'south', 'west'])[1 + i % 4], 20000 + i % 80000
    FROM generate_series(1, {rows}) AS i;
INSERT INTO orders SELECT i, 1 + i * 7919 % {rows}, 'person' || 1 + i * 7919 % {rows}
    || '@example.com', (ARRAY['north', 'east', 'south', 'west'])[1 + i % 4], (i % 100000) / 7.0,
    i % 900, timestamptz '2026-01-01 00:00+00' + i * interval '20 seconds'
    FROM generate_series(1::bigint, {rows}) AS i;
CREATE INDEX customers_email ON customers (email);
CREATE INDEX orders_at ON orders (at);
CREATE INDEX orders_total ON orders (total);
CREATE INDEX orders_customer ON orders (customer);
CREATE INDEX customers_region ON customers (region text_pattern_ops, id);
"""
MASKS = """
public.customers.id = "public"
public.customers.email = {class = "email", mask = "pseudonym", domain = "mail"}
public.customers.name = "name"
public.customers.region = "public"
public.customers.salary = "financial"
public.orders.id = "public"
public.orders.customer = "public"
public.orders.customer_email = {class = "email", mask = "pseudonym", domain = "mail"}
public.orders.region = "public"
public.orders.total = "public"
public.orders.tip = {class = "financial", mask = "noise", ratio = 0.1}
public.orders.at = "public"
"""
# What each mask is laid over, with its parameters, on the table of masks: a column a mask.
OVER = {
    "pseudonym": ("text", "'person' || i || '@example.com'", {"domain": "bench"}),
    "hash": ("text", "'person' || i || '@example.com'", {}),
    "email": ("text", "'person' || i || '@example.com'", {}),
    "partial": ("text", "lpad(i::text, 16, '4')", {"last": 4}),
    "digits": ("text", "lpad(i::text, 16, '4')", {"last": 4}),
    "network": ("inet", "inet '10.0.0.0' + i", {}),
    "noise": ("integer", "20000 + i % 80000", {"ratio": 0.1}),
    "bucket": ("integer", "20000 + i % 80000", {"size": 1000}),
    "shift": ("date", "date '1950-01-01' + i % 20000", {"days": 30}),
    "generalise": ("date", "date '1950-01-01' + i % 20000", {"to": "year"}),
    "null": ("text", "'note ' || i", {}),
    "constant": ("text", "'note ' || i", {"value": "(a note)"}),
    "clear": ("text", "'person' || i || '@example.com'", None),
    "json": (
        "jsonb",
        "jsonb_build_object('mail', 'person' || i || '@example.com', 'n', i)",
        {"paths": {"mail": "email", "n": "clear"}},
    ),
}
AT = "at >= '2026-01-02' AND at < '2026-01-02 04:00'"
QUERIES = (
    ("one row by its key", "SELECT * FROM {orders} WHERE id = {some}", 200),
    ("the same, prepared", "EXECUTE one_row", 200),
    ("one row by its key, clear columns", "SELECT id, region FROM {orders} WHERE id = {some}", 200),
    ("720 rows of an indexed range", f"SELECT * FROM {{orders}} WHERE {AT}", 20),
    ("first 100 rows, select *", "SELECT * FROM {orders} LIMIT 100", 50),
    ("count of all", "SELECT count(*) FROM {orders}", 1),
    (
        "sum and average by a clear column",
        "SELECT region, sum(total), avg(total) FROM {orders} GROUP BY region",
        1,
    ),
    (
        "count by a bucket (by the value)",
        "SELECT salary, count(*) FROM {customers} GROUP BY salary",
        1,
    ),
    ("sum of a column with noise", "SELECT sum(tip) FROM {orders}", 1),
    (
        "count by a pseudonym",
        "SELECT count(*) FROM (SELECT email FROM {customers} GROUP BY email) AS g",
        1,
    ),
    (
        "join of all on a clear key",
        "SELECT count(*) FROM {orders} o JOIN {customers} c ON c.id = o.customer",
        1,
    ),
    (
        "join of all on pseudonyms",
        "SELECT count(*) FROM {orders} o JOIN {customers} c ON c.email = o.customer_email",
        1,
    ),
    (
        "one row and its customer, by JOIN",
        "SELECT o.id, c.region FROM {orders} o, {customers} c WHERE c.id = o.customer AND {one}",
        3,
    ),
    (
        "the same, by a subselect",
        "SELECT (SELECT region FROM {customers} WHERE id = o.customer) FROM {orders} o WHERE {one}",
        200,
    ),
)
# Predicates over clear columns with an index, and whether it is reached through a view.
REACHED = (
    ("bigint =", "orders", "id = 77", True),
    ("bigint BETWEEN", "orders", "id BETWEEN 77 AND 99", True),
    ("bigint IN", "orders", "id IN (77, 99)", True),
    ("timestamptz range", "orders", AT, True),
    ("text =", "customers", "region = 'nowhere'", True),
    ("text ^@", "customers", "region ^@ 'nowhere'", True),
    ("text LIKE", "customers", "region LIKE 'nowhere%'", False),
    ("numeric =", "orders", "total = 14283.57", False),
    ("timestamptz = date", "orders", "at = date '2026-01-02'", False),
)


def masks_of(columns):
    """The masks file of the table of masks, a column for each mask."""
    found = []
    for name, (_, _, parameters) in columns.items():
        more = "".join(f", {key} = {toml(value)}" for key, value in (parameters or {}).items())
        rule = '"public"' if name == CLEAR else f'{{class = "personal", mask = "{name}"{more}}}'
        found.append(f"public.masks.m_{name.replace('-', '_')} = {rule}")
    return "\n".join(found) + '\npublic.masks.id = "public"\n'


def toml(value):
    if isinstance(value, dict):
        return "{" + ", ".join(f"{name} = {toml(one)}" for name, one in value.items()) + "}"
    return f'"{value}"' if isinstance(value, str) else str(value)


def build(server, rows, mask_rows):
    """The tables with their rows, the views, and the credential of a lease that reads them."""
    columns = {name: OVER[name] for name in CATALOGUE}
    wanted = Wanted(schemas=("public",), profiles={"read-masked": SHIPPED["read-masked"]})
    with psycopg.connect(server.dsn(), autocommit=True) as one:
        one.execute(TABLES.replace("{rows}", str(rows)))
        listed = ", ".join(f"m_{name} {over[0]}" for name, over in columns.items())
        values = ", ".join(over[1] for over in columns.values())
        one.execute(f"CREATE TABLE masks (id bigint PRIMARY KEY, {listed})")
        one.execute(f"INSERT INTO masks SELECT i, {values} FROM generate_series(1, {mask_rows}) i")
        one.execute("VACUUM ANALYZE")
    masks = parse([("bench", tomllib.loads(MASKS)), ("masks", tomllib.loads(masks_of(columns)))])
    install(server.dsn(), wanted, password=PASSWORD)
    began = time.perf_counter()
    done = apply(server.dsn(), masks, wanted)
    print(f"{len(done.made)} views made in {time.perf_counter() - began:.2f} s")
    grantor = PostgresGrantor(
        "postgres:bench", server.dsn(user="holdfast_broker", password=PASSWORD)
    )
    terms = Terms(
        lease="L1",
        target="postgres:bench",
        role="hf_bench",
        holder="person:bench",
        profile_name="read-masked",
        profile=SHIPPED["read-masked"],
        tables=(),
        until=UNTIL,
    )
    return grantor.issue(grantor.plan(terms), terms).fields


def timed(connection, text, times):
    """Milliseconds of a query, the mean of so many."""
    began = time.perf_counter()
    for _ in range(times):
        connection.execute(text).fetchall()
    return (time.perf_counter() - began) * 1000 / times


def both(owner, lease, texts, best, times=1):
    """Milliseconds as the owner and as the lease: the best of each, measured in turn."""
    found = ([], [])
    for _ in range(best):
        for connection, text, into in zip((owner, lease), texts, found, strict=True):
            into.append(timed(connection, text, times))
    return min(found[0]), min(found[1])


def queries(owner, lease, rows, best):
    for connection, schema in ((owner, "public"), (lease, "public_masked")):
        connection.execute(
            f"PREPARE one_row AS SELECT * FROM {schema}.orders WHERE id = {rows // 2}"
        )
    for what, text, times in QUERIES:
        texts = [
            text.format(
                orders=f"{schema}.orders",
                customers=f"{schema}.customers",
                some=rows // 2,
                one=f"o.id = {rows // 2}",
            )
            for schema in ("public", "public_masked")
        ]
        base, masked = both(owner, lease, texts, best, times)
        print(f"  {what:36} {base:10.2f} ms {masked:10.2f} ms  {masked / base:8.2f}", flush=True)


def masks(owner, lease, rows, best):
    for name in CATALOGUE:
        text = f"SELECT count(m_{name}) FROM {{}}.masks"
        texts = [text.format(schema) for schema in ("public", "public_masked")]
        base, masked = both(owner, lease, texts, best)
        print(
            f"  {name:12} {base * 1000 / rows:8.3f} µs {masked * 1000 / rows:8.3f} µs "
            f"{masked / base:8.1f}",
            flush=True,
        )


def reaches(connection, view, predicate):
    """Whether the plan of a predicate over a view has it as the condition of an index."""
    text = sql.SQL("EXPLAIN (FORMAT JSON) SELECT * FROM {} WHERE " + predicate).format(
        sql.Identifier("public_masked", view)
    )
    plan = connection.execute(text).fetchone()[0]
    return "Index Cond" in str(plan)


def indexes(server):
    with psycopg.connect(server.dsn(), autocommit=True) as one:
        one.execute("SET enable_seqscan = off")  # whether it can, not whether it pays
        for what, view, predicate, expected in REACHED:
            found = reaches(one, view, predicate)
            print(f"  {what:20} {'by the index' if found else 'row by row'}")
            if found is not expected:
                raise SystemExit(f"{what}: expected {'an index' if expected else 'none'}")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--mask-rows", type=int, default=100_000)
    parser.add_argument("--best", type=int, default=3)
    chosen = parser.parse_args()
    print(f"{platform.python_version()}, {os.cpu_count()} cores, {chosen.rows} rows")
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)  # the server is another user
        with EmbeddedServer(Path(folder) / "server", settings=SETTINGS, durable=False) as server:
            fields = build(server, chosen.rows, chosen.mask_rows)
            with (
                psycopg.connect(server.dsn(), autocommit=True, prepare_threshold=None) as owner,
                psycopg.connect(**fields, autocommit=True, prepare_threshold=None) as lease,
            ):
                print("query: on the tables, through the views, ratio")
                queries(owner, lease, chosen.rows, chosen.best)
                print("count of a column, a row: clear, masked, ratio")
                masks(owner, lease, chosen.mask_rows, chosen.best)
            print("predicates over clear columns, through a view")
            indexes(server)


if __name__ == "__main__":
    sys.exit(main())
