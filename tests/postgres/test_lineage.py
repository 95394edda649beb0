"""Tables with parents: what a dump and a restore, once and twice, leave as it was."""

import os
import subprocess

import psycopg
from psycopg import sql

from chalicelib.drift import snapshot
from chalicelib.postgres.embedded import binaries

KINDS = {"table", "column", "constraint", "trigger", "index", "function", "view", "type"}
FAMILY = """
CREATE TABLE living (born date, name text NOT NULL, kept boolean DEFAULT true,
  CONSTRAINT named CHECK (name <> ''));
CREATE TABLE owned (price numeric, owner text, name text);
CREATE TABLE pets (nick text, food text, name text) INHERITS (living, owned);
ALTER TABLE living ADD weight numeric;
ALTER TABLE owned ADD since date;
ALTER TABLE pets DROP food;
ALTER TABLE pets ADD rank integer;
CREATE TABLE dogs (tricks integer, bark text, born date) INHERITS (pets);
ALTER TABLE pets ADD chip integer;
ALTER TABLE living ADD legs integer;
CREATE TABLE lone (tail text, weight numeric, price numeric, born date, kept boolean,
  name text NOT NULL, legs integer, since date, owner text, CONSTRAINT named CHECK (name <> ''));
ALTER TABLE lone INHERIT owned;
ALTER TABLE lone INHERIT living;
CREATE TABLE orphan () INHERITS (owned);
ALTER TABLE orphan ADD mine text;
ALTER TABLE owned ADD later text;
ALTER TABLE orphan NO INHERIT owned;
CREATE TABLE log (what text, at date) PARTITION BY RANGE (at);
CREATE TABLE log1 (extra text, at date, what text);
ALTER TABLE log1 DROP extra;
ALTER TABLE log ATTACH PARTITION log1 FOR VALUES FROM ('2026-01-01') TO ('2026-02-01');
CREATE TABLE log2 PARTITION OF log FOR VALUES FROM ('2026-02-01') TO ('2026-03-01');
ALTER TABLE log ADD CONSTRAINT told CHECK (what <> '');
ALTER TABLE log ADD by text;
CREATE FUNCTION tg() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN new; END';
CREATE TRIGGER audit AFTER INSERT ON log FOR EACH ROW EXECUTE FUNCTION tg();
ALTER TABLE log1 DISABLE TRIGGER audit;
ALTER TABLE log2 ENABLE ALWAYS TRIGGER audit;
ALTER TRIGGER audit ON log DEPENDS ON EXTENSION plpgsql;
CREATE INDEX ages ON living (born, (kept IS NULL), (weight + 1));
ALTER INDEX ages ALTER 3 SET STATISTICS 500;
ALTER INDEX ages ALTER 2 SET STATISTICS 0;
ALTER INDEX ages DEPENDS ON EXTENSION plpgsql;
CREATE MATERIALIZED VIEW heavy AS SELECT name FROM living WHERE weight > 9;
ALTER MATERIALIZED VIEW heavy DEPENDS ON EXTENSION plpgsql;
CREATE TRANSFORM FOR integer LANGUAGE sql (FROM SQL WITH FUNCTION prsd_lextype(internal),
  TO SQL WITH FUNCTION int4recv(internal));
CREATE FUNCTION f(a integer, b integer DEFAULT 2) RETURNS integer TRANSFORM FOR TYPE integer
  LANGUAGE sql AS 'SELECT 1';
ALTER FUNCTION f DEPENDS ON EXTENSION plpgsql;
CREATE DOMAIN pos AS integer NOT NULL;
"""
# What is a constraint since 17, and 18.
NAMED = {
    17: """
ALTER DOMAIN pos RENAME CONSTRAINT pos_not_null TO needed;
COMMENT ON CONSTRAINT needed ON DOMAIN pos IS 'why';
""",
    18: """
CREATE TABLE plain (a integer CONSTRAINT called NOT NULL);
COMMENT ON CONSTRAINT called ON plain IS 'why';
CREATE TABLE cats (CONSTRAINT mine NOT NULL name) INHERITS (living);
CREATE TABLE lions (lair text CONSTRAINT secret NOT NULL NO INHERIT) INHERITS (living);
ALTER TABLE log ALTER what SET NOT NULL;
ALTER TABLE log2 RENAME TO log_of_february;
""",
}


def own(database):
    return [snapshot.line(one) for one in database.scan().objects.values() if one.kind in KINDS]


def positions(database, table):
    return [
        name
        for _, name in sorted(
            (item.attributes["position"], item.name.rpartition(".")[2])
            for item in database.scan().objects.values()
            if item.kind == "column" and item.name.startswith(f"public.{table}.")
        )
    ]


def moved(source, target):
    """Dump one database and restore it into the other, which is made anew."""
    with psycopg.connect(target.server.dsn(), autocommit=True) as admin:
        name = sql.Identifier(target.name)
        admin.execute(sql.SQL("DROP DATABASE {} (FORCE)").format(name))
        admin.execute(sql.SQL("CREATE DATABASE {}").format(name))
    plain = os.environ | {"LC_ALL": "C"}
    dump = subprocess.run(
        [binaries() / "pg_dump", "--dbname", source.dsn],
        env=plain,
        check=True,
        capture_output=True,
    )
    subprocess.run(
        [
            *(binaries() / "psql", "--quiet", "--no-psqlrc"),
            *("-v", "ON_ERROR_STOP=1", "--dbname", target.dsn),
        ],
        input=dump.stdout.replace(b"SET transaction_timeout = 0;", b""),  # of 17, to an older one
        env=plain,
        check=True,
        capture_output=True,
    )


def test_columns_from_parents_stand_first_in_the_parents_order(database):
    database.run(FAMILY)
    living = ["born", "name", "kept", "weight", "legs"]
    pets = [*living, "price", "owner", "since", "later", "nick", "rank", "chip"]
    assert positions(database, "living") == living
    assert positions(database, "pets") == pets
    assert positions(database, "dogs") == [*pets, "tricks", "bark"]
    assert positions(database, "lone") == [
        *("price", "owner", "name", "since", "later"),
        *("born", "kept", "weight", "legs", "tail"),
    ]
    assert positions(database, "orphan") == ["price", "owner", "name", "since", "mine", "later"]
    assert positions(database, "log1") == ["at", "what", "by"]


def test_a_family_is_the_same_after_two_restores(database, other_database, major):
    database.run(FAMILY, *(script for since, script in NAMED.items() if major >= since))
    before = own(database)
    moved(database, other_database)
    assert own(other_database) == before
    moved(other_database, database)
    assert own(database) == before


def test_a_lineage_that_goes_in_circles_ends(database):
    database.run(
        "CREATE TABLE z (x integer, y integer)",
        "CREATE TABLE a () INHERITS (z)",
        "CREATE TABLE b () INHERITS (a)",
        "UPDATE pg_inherits SET inhparent = 'b'::regclass WHERE inhrelid = 'a'::regclass",
    )
    assert sorted(positions(database, "a")) == ["x", "y"]
