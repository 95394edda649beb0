"""Equal databases give equal lines, whatever happened to them on the way."""

import os
import shutil
import tempfile
from pathlib import Path

import psycopg
import pytest
from conftest import SETTINGS, Database
from psycopg import sql
from support.dump import OF_SERVERS, dump, restore

from chalicelib.drift import snapshot
from chalicelib.postgres.embedded import EmbeddedServer

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
    'CREATE TABLE "B" (x integer)',
    "CREATE TABLE b_1 (x integer)",
)
AFTER = (
    "GRANT SELECT ON a TO alice",
    "GRANT INSERT, DELETE ON a TO bob",
    "GRANT UPDATE (x) ON a TO alice",
    "GRANT ALL ON SCHEMA s TO bob",
    "ALTER TABLE b ADD CONSTRAINT c1 CHECK (x > 0)",
    "ALTER TABLE b ADD CONSTRAINT c2 CHECK (x < 9)",
    "CREATE INDEX i1 ON b (x)",
    "CREATE INDEX i2 ON b (x)",
    "CREATE POLICY p1 ON b TO alice, bob USING (true)",
    "CREATE POLICY p2 ON b USING (false)",
    "ALTER TABLE b SET (fillfactor = 50)",
    "ALTER TABLE b SET (autovacuum_enabled = off)",
    "ALTER DEFAULT PRIVILEGES FOR ROLE alice GRANT SELECT ON TABLES TO bob",
    "ALTER DEFAULT PRIVILEGES FOR ROLE bob GRANT SELECT ON TABLES TO alice",
    "ALTER FUNCTION f(integer) SET work_mem = '1MB'",
    "ALTER FUNCTION f(integer) SET enable_sort = off",
)
# Each is printed in another way once it has been restored.
PRINTED = """
CREATE DOMAIN app.word AS varchar CHECK (VALUE IN ('a', 'b'));
CREATE TABLE app.printed (v varchar(9) CHECK (v IN ('a', 'b')), i integer DEFAULT
  (OPERATOR(pg_catalog.-) 1) CHECK (i BETWEEN -1 AND 5 AND i <> 3), at timestamptz DEFAULT
  '2020-06-01 12:00+02', n text GENERATED ALWAYS AS (CASE WHEN v IN ('a') THEN 'x' END) STORED);
CREATE INDEX printed_i ON app.printed ((v IN ('a', 'b'))) WHERE v NOT IN ('c', 'd');
CREATE POLICY printed ON app.printed USING (v IN (SELECT 'a' UNION SELECT 'b'));
CREATE TABLE app.keyed (i integer) PARTITION BY LIST ((i * (OPERATOR(pg_catalog.-) 1)));
CREATE TABLE app.keyed1 PARTITION OF app.keyed FOR VALUES IN (-1, 2);
CREATE TABLE app.timed (at timestamptz) PARTITION BY RANGE (at);
CREATE TABLE app.timed1 PARTITION OF app.timed FOR VALUES FROM ('2020-01-01 00:00+00') TO
  ('2020-02-01 12:00+02');
CREATE VIEW app.joined AS SELECT p.v FROM app.printed p NATURAL LEFT JOIN app.customers c
  WHERE p.at < '2020-06-01 12:00+02' AND EXISTS (SELECT -1) AND p.i BETWEEN 1 AND 2 AND
  p.v IN ('a', 'b');
CREATE VIEW app.floats AS SELECT 0.1::float8 + 1e-20 AS a, '1 year -2 days'::interval AS b,
  '\\x00ff'::bytea AS c, '1.5'::money AS d, timestamp '2020-01-02' AS e;
CREATE RULE printed AS ON INSERT TO app.printed WHERE new.v IN ('a', 'b') DO ALSO
  UPDATE app.customers SET id = (OPERATOR(pg_catalog.-) 1) WHERE name IN (SELECT 'a');
CREATE TRIGGER printed BEFORE UPDATE ON app.printed FOR EACH ROW WHEN (new.v IN ('a', 'b'))
  EXECUTE FUNCTION app.audit();
CREATE FUNCTION app.defaulted(a integer DEFAULT OPERATOR(pg_catalog.-) 1) RETURNS integer
  LANGUAGE sql AS 'SELECT (- 1)';
"""
PRINTED_SINCE_14 = """
CREATE STATISTICS app.kinds ON i, (v IN ('a', 'b')) FROM app.printed;
CREATE FUNCTION app.parsed(a integer) RETURNS text LANGUAGE sql
  BEGIN ATOMIC SELECT $1; SELECT 'a' WHERE a IN (SELECT -1); END;
"""


def own(database):
    """The lines of what a dump carries."""
    objects = database.scan().objects.values()
    # A grant on the database names it, and the two have different names.
    return [
        snapshot.line(item)
        for item in objects
        if item.kind not in OF_SERVERS and not item.name.startswith("database ")
    ]


def filled(database):
    """The database with all that a restore might change."""
    database.run(*ROLES, SCHEMA, PRINTED)
    if database.value("SELECT current_setting('server_version_num')::integer >= 140000"):
        database.run(PRINTED_SINCE_14)
    if database.value("SELECT count(*) FROM pg_available_extensions WHERE name = 'vector'"):
        database.run("CREATE EXTENSION vector")
    return database


def restored(source, target, *, dsn=None):
    """The target with what a dump of the source holds; nothing of it was refused."""
    assert restore(dump(source.dsn), dsn or target.dsn) == []
    return target


def test_dump_and_restore_give_the_same_objects_once_and_twice(database, other_database):
    lines = own(filled(database))
    assert own(restored(database, other_database)) == lines
    script = dump(other_database.dsn)
    database.run("DROP DATABASE other (FORCE)", "CREATE DATABASE other")
    assert restore(script, other_database.dsn) == []
    assert own(other_database) == lines


def test_every_definition_that_a_restore_prints_anew_is_certain(database):
    found = filled(database).scan().objects.values()
    assert [item.name for item in found if "raw" in item.attributes] == []


def test_a_definition_that_the_text_does_not_decide_says_so(database):
    database.run(
        "CREATE DOMAIN names AS text[]",
        "CREATE TABLE t (v varchar)",
        "CREATE VIEW odd AS SELECT ARRAY[v]::varchar[]::names AS x FROM t",
    )
    objects = database.scan().objects
    assert objects["view", "public.odd"].attributes["raw"] == ["definition"]


def test_a_plain_body_is_no_definition(database):
    database.run(
        "CREATE FUNCTION f() RETURNS integer LANGUAGE sql AS 'SELECT (- 1)'",
        "CREATE FUNCTION g() RETURNS integer LANGUAGE plpgsql AS 'BEGIN RETURN (- 1); END'",
    )
    objects = database.scan().objects
    assert objects["function", "public.f()"].attributes["body"] == "SELECT (- 1)"
    assert objects["function", "public.g()"].attributes["body"] == "BEGIN RETURN (- 1); END"


def test_columns_that_were_dropped_do_not_show(database, other_database):
    database.run(
        "CREATE TABLE a (x integer, y text)",
        "CREATE TABLE b (z integer) INHERITS (a)",
        "CREATE INDEX i ON a (y, (x + 1))",
        "CREATE VIEW v AS SELECT a.*, b.z FROM a JOIN b USING (x, y)",
        "CREATE POLICY p ON a USING (y = 'q')",
    )
    other_database.run(
        "CREATE TABLE a (gone integer, x integer, lost text, y text)",
        "CREATE TABLE b (z integer) INHERITS (a)",
        "ALTER TABLE a DROP gone, DROP lost",
        "CREATE VIEW v AS SELECT a.*, b.z FROM a JOIN b USING (x, y)",
        "CREATE INDEX i ON a (y, (x + 1))",
        "CREATE POLICY p ON a USING (y = 'q')",
    )
    assert own(other_database) == own(database)


def test_the_order_of_creation_does_not_show(database, other_database):
    database.run(*ROLES, *ANY_ORDER, *AFTER)
    other_database.run(*reversed(ANY_ORDER), *reversed(AFTER))
    assert own(other_database) == own(database)


def test_who_restores_does_not_show(database, other_database):
    filled(database).run("CREATE ROLE boss SUPERUSER LOGIN PASSWORD 'x'")
    lines = own(database)
    assert own(restored(database, other_database, dsn=other_database.as_role("boss", "x"))) == lines


DATABASE_SETTINGS = {
    "TimeZone": "'Asia/Kathmandu'",
    "DateStyle": "'German, DMY'",
    "IntervalStyle": "iso_8601",
    "search_path": "app, public",
    "quote_all_identifiers": "on",
    "extra_float_digits": "-5",
    "bytea_output": "escape",
    "xmlbinary": "hex",
    "lc_monetary": "'C'",
    "check_function_bodies": "off",
    "standard_conforming_strings": "off",
    "array_nulls": "off",
    "default_transaction_isolation": "serializable",
}


def test_settings_of_the_database_do_not_show(database, other_database):
    lines = own(filled(database))
    script = dump(database.dsn)
    assert restore(script, other_database.dsn) == []
    for name, value in DATABASE_SETTINGS.items():
        other_database.run(f"ALTER DATABASE other SET {name} = {value}")
    assert own(other_database) == lines


PROVIDERS = {
    "libc": "LOCALE 'C.UTF-8'",
    "c": "LOCALE 'C'",
    "builtin": "LOCALE_PROVIDER builtin BUILTIN_LOCALE 'C.UTF-8' LOCALE 'C'",
    "icu": "LOCALE_PROVIDER icu ICU_LOCALE 'de-AT' LOCALE 'C'",
}
SINCE = {"builtin": 17, "icu": 15}


@pytest.mark.parametrize("provider", PROVIDERS)
def test_the_locale_provider_does_not_show(database, other_database, major, provider):
    if major < SINCE.get(provider, 0):
        pytest.skip(f"the server is older than {SINCE[provider]}")
    lines = own(filled(database))
    script = dump(database.dsn)
    database.run("DROP DATABASE other (FORCE)")
    try:
        database.run(
            f"CREATE DATABASE other TEMPLATE template0 ENCODING 'UTF8' {PROVIDERS[provider]}"
        )
    except psycopg.errors.FeatureNotSupported:
        pytest.skip("the server was built without ICU")
    assert restore(script, other_database.dsn) == []
    assert own(other_database) == lines


@pytest.fixture(scope="module")
def elsewhere():
    """Another server: its own folder, port and system identifier."""
    folder = Path(tempfile.mkdtemp(prefix="holdfast-elsewhere-"))
    folder.chmod(0o755)
    binaries = os.environ.get("HOLDFAST_TEST_PG_BIN")
    settings = SETTINGS | {"timezone": "America/Caracas", "datestyle": "SQL, DMY"}
    server = EmbeddedServer(
        folder, bin_dir=Path(binaries) if binaries else None, settings=settings, durable=False
    )
    try:
        with server:
            yield server
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def test_the_host_does_not_show(database, elsewhere):
    lines = own(filled(database))
    with psycopg.connect(elsewhere.dsn(), autocommit=True) as admin:
        for role in ROLES:
            admin.execute(role)
        admin.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier("far away")))
    target = Database(elsewhere, "far away")
    assert own(restored(database, target)) == lines


VOLATILE = {
    "a sequence's last value": "SELECT nextval('app.numbers')",
    "the value that is set": "SELECT setval('app.numbers', 500, true)",
    "a collation's version": "UPDATE pg_collation SET collversion = '1' WHERE collname = 'C'",
    "a database's": "UPDATE pg_database SET datcollversion = '1' WHERE datname = 'test'",
    "whether a view is filled": "REFRESH MATERIALIZED VIEW app.kept WITH NO DATA",
    "estimates": "ANALYZE app.customers",
    "rows, files and what an index knows of itself": "VACUUM FULL app.customers",
    "a file's number": "TRUNCATE app.customers CASCADE",
}


@pytest.mark.parametrize("statement", VOLATILE.values(), ids=VOLATILE)
def test_what_changes_by_itself_does_not_show(database, major, statement):
    if "datcollversion" in statement and major < 15:
        pytest.skip("the server keeps none")
    filled(database).run("INSERT INTO app.customers SELECT 1, 'one'")
    before = database.scan().data
    database.run(statement)
    assert database.scan().data == before


def test_temporary_objects_of_others_do_not_show(database):
    filled(database)
    before = database.scan().data
    with psycopg.connect(database.dsn, autocommit=True) as connection:
        connection.execute("CREATE TEMP TABLE mine (a text PRIMARY KEY CHECK (a IN ('x', 'y')))")
        connection.execute("CREATE TEMP VIEW seen AS SELECT a FROM mine")
        connection.execute("CREATE FUNCTION pg_temp.f() RETURNS integer LANGUAGE sql AS 'SELECT 1'")
        connection.execute("CREATE TYPE pg_temp.pair AS (a integer)")
        connection.execute("CREATE SEQUENCE pg_temp.counting")
        assert database.scan().data == before
    assert database.scan().data == before


def test_rolled_back_work_does_not_show(database):
    database.run(*ROLES, SCHEMA)
    before = own(database)
    with psycopg.connect(database.dsn) as connection:
        connection.execute("ALTER TABLE app.orders DROP total CASCADE")
        connection.rollback()
    assert own(database) == before
