import os
import subprocess

import psycopg
import pytest

from chalicelib.drift import snapshot
from chalicelib.postgres.embedded import binaries

SHARED = {"setting", "role", "membership", "role_setting", "database", "coverage"}
ROLES = ("CREATE ROLE alice", "CREATE ROLE bob")
SCHEMA = """
CREATE SCHEMA app AUTHORIZATION alice;
CREATE TYPE app.status AS ENUM ('new', 'old');
CREATE DOMAIN app.positive AS integer CHECK (VALUE > 0);
CREATE TYPE app.pair AS (a integer, b text);
CREATE TYPE app.span AS RANGE (subtype = float8);
CREATE SEQUENCE app.numbers START 5;
CREATE TABLE app.customers (id integer PRIMARY KEY, name text NOT NULL);
CREATE TABLE app.orders (id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY, customer integer
  NOT NULL REFERENCES app.customers, total numeric(10,2) DEFAULT 0, state app.status, twice
  numeric GENERATED ALWAYS AS (total * 2) STORED);
CREATE TABLE app.log (at date PRIMARY KEY, what text) PARTITION BY RANGE (at);
CREATE TABLE app.log1 PARTITION OF app.log FOR VALUES FROM ('2026-01-01') TO ('2026-02-01');
CREATE INDEX orders_total ON app.orders (total) WHERE total > 0;
CREATE VIEW app.totals WITH (security_barrier) AS SELECT customer, sum(total) AS total FROM
  app.orders GROUP BY customer;
CREATE MATERIALIZED VIEW app.kept AS SELECT 1 AS one;
CREATE FUNCTION app.audit() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN new; END';
CREATE FUNCTION app.add(a integer, b integer DEFAULT 1) RETURNS integer LANGUAGE sql IMMUTABLE
  SET search_path = pg_catalog, app AS 'SELECT a + b';
CREATE AGGREGATE app.total(integer) (sfunc = int4pl, stype = integer, initcond = '0');
CREATE TRIGGER audit BEFORE INSERT ON app.orders FOR EACH ROW EXECUTE FUNCTION app.audit();
ALTER TABLE app.orders ENABLE ROW LEVEL SECURITY;
CREATE POLICY mine ON app.orders TO bob USING (customer > 1);
GRANT USAGE ON SCHEMA app TO bob;
GRANT SELECT (id), UPDATE (id) ON app.orders TO bob WITH GRANT OPTION;
REVOKE EXECUTE ON FUNCTION app.add FROM PUBLIC;
REVOKE INSERT ON app.customers FROM postgres;
ALTER DEFAULT PRIVILEGES FOR ROLE alice IN SCHEMA app GRANT SELECT ON TABLES TO bob;
ALTER DEFAULT PRIVILEGES FOR ROLE alice REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC;
COMMENT ON COLUMN app.orders.total IS 'in euro';
"""
ANY_ORDER = (
    "CREATE SCHEMA s",
    "CREATE TABLE a (x integer PRIMARY KEY, y text)",
    "CREATE TABLE b (x integer)",
    "CREATE TYPE e AS ENUM ('one')",
    "CREATE FUNCTION f(integer) RETURNS integer LANGUAGE sql AS 'SELECT 1'",
)


def own(database):
    """The lines of what a dump carries."""
    objects = database.scan().objects.values()
    # A grant on the database names it, and the two have different names.
    return [
        snapshot.line(item)
        for item in objects
        if item.kind not in SHARED and not item.name.startswith("database ")
    ]


def test_dump_and_restore_give_the_same_objects(database, other_database, major):
    tools = binaries()
    database.run(*ROLES, SCHEMA)
    if major > int((tools.parent.name.removeprefix("pginstall")) or 0):
        pytest.skip("pg_dump is older than the server")
    plain = os.environ | {"LC_ALL": "C"}
    dump = subprocess.run(
        [tools / "pg_dump", "--dbname", database.dsn], env=plain, check=True, capture_output=True
    )
    subprocess.run(
        [tools / "psql", "--quiet", "--no-psqlrc", "--dbname", other_database.dsn],
        input=dump.stdout,
        env=plain,
        check=True,
        capture_output=True,
    )
    assert own(other_database) == own(database)


def test_the_order_of_creation_does_not_show(database, other_database):
    database.run(*ANY_ORDER)
    other_database.run(*reversed(ANY_ORDER))
    assert own(other_database) == own(database)


def test_rolled_back_work_does_not_show(database):
    database.run(*ROLES, SCHEMA)
    before = own(database)
    with psycopg.connect(database.dsn) as connection:
        connection.execute("ALTER TABLE app.orders DROP total CASCADE")
        connection.rollback()
    assert own(database) == before
