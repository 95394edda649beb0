"""What queries put together themselves is what the server and the rest of the program would say."""

import itertools

import psycopg
import pytest
from psycopg import sql

from chalicelib.kernel.names import qualified

ODD = (
    "a b",
    'x"y',
    "select",
    "a$1",
    "1a",
    "a.b",
    "Äß",
    "CamelCase",
    "new\nline",
    "'quote'",
    "$a",
    "_",
)
OPTIONS = ("", " DESC", " DESC NULLS LAST", " NULLS FIRST", " ASC NULLS LAST")
TABLES = """
CREATE TYPE mood AS ENUM ('ok');
CREATE DOMAIN positive AS integer CHECK (VALUE > 0);
CREATE TABLE "Odd Name" (
    i integer, t text, v varchar(9), c char(3), n numeric, z timestamptz, b boolean, u uuid,
    nm name, a integer[], j jsonb, m mood, p positive, "se lect" text, de text COLLATE "C",
    ci inet, r int4range, ts tsvector
);
CREATE TABLE parted (i integer, t text) PARTITION BY RANGE (i);
CREATE TABLE parted1 PARTITION OF parted FOR VALUES FROM (1) TO (9);
CREATE MATERIALIZED VIEW kept AS SELECT 1 AS i, 'x'::text AS t;
CREATE INDEX ON parted (t);
CREATE INDEX ON ONLY parted (i);
CREATE INDEX ON parted1 (t, i);
CREATE UNIQUE INDEX ON kept (i);
CREATE INDEX ON "Odd Name" (t text_pattern_ops);
CREATE INDEX ON "Odd Name" (t COLLATE "C");
CREATE INDEX ON "Odd Name" (de);
CREATE INDEX ON "Odd Name" (de COLLATE "default", i);
CREATE INDEX ON "Odd Name" (i, t text_pattern_ops);
CREATE INDEX ON "Odd Name" (v varchar_ops);
CREATE INDEX ON "Odd Name" (v bpchar_ops);
CREATE INDEX ON "Odd Name" (v text_pattern_ops);
CREATE INDEX ON "Odd Name" (nm);
CREATE INDEX ON "Odd Name" (a);
CREATE INDEX ON "Odd Name" (m);
CREATE INDEX ON "Odd Name" (p);
CREATE INDEX ON "Odd Name" ((t || v));
CREATE INDEX ON "Odd Name" (i, (n + 1));
CREATE INDEX ON "Odd Name" (i) INCLUDE (t);
CREATE INDEX ON "Odd Name" (i, t) INCLUDE (v);
CREATE INDEX ON "Odd Name" (i, t, v);
CREATE INDEX ON "Odd Name" (i) WITH (fillfactor = 70);
CREATE INDEX ON "Odd Name" (i) WHERE n > 0 AND t IS NOT NULL;
CREATE INDEX ON "Odd Name" (i, t) WHERE b;
CREATE UNIQUE INDEX ON "Odd Name" ("se lect");
CREATE INDEX ON "Odd Name" USING hash (t);
CREATE INDEX ON "Odd Name" USING hash (v);
CREATE INDEX ON "Odd Name" USING gin (j);
CREATE INDEX ON "Odd Name" USING gin (j jsonb_path_ops);
CREATE INDEX ON "Odd Name" USING gin (a, j);
CREATE INDEX ON "Odd Name" USING gist (r);
CREATE INDEX ON "Odd Name" USING gist (ci inet_ops);
CREATE INDEX ON "Odd Name" USING gist (ts);
CREATE INDEX ON "Odd Name" USING gist (ts tsvector_ops(siglen = 100));
CREATE INDEX ON "Odd Name" USING gist (r, ts tsvector_ops(siglen = 100));
CREATE INDEX ON "Odd Name" USING spgist (t);
CREATE INDEX ON "Odd Name" USING spgist (ci);
CREATE INDEX ON "Odd Name" USING brin (z);
CREATE INDEX ON "Odd Name" USING brin (i) WITH (pages_per_range = 8);
ALTER TABLE "Odd Name" ADD CONSTRAINT e EXCLUDE USING gist (r WITH &&);
ALTER TABLE "Odd Name" ADD PRIMARY KEY (u);
"""


def test_definitions_of_indexes_are_the_server_s(database, major):
    database.run(*(one for one in TABLES.split(";\n") if one.strip()))
    for one, other in itertools.product(OPTIONS, OPTIONS):
        database.run(f'CREATE INDEX ON "Odd Name" (i{one}, z{other})')
    if major >= 15:
        database.run('CREATE UNIQUE INDEX ON "Odd Name" (n) NULLS NOT DISTINCT')
    found = database.scan().objects
    with psycopg.connect(database.dsn) as connection:
        connection.execute("SET search_path = pg_catalog")
        rows = connection.execute(
            "SELECT n.nspname, c.relname, pg_get_indexdef(i.indexrelid) FROM pg_index AS i"
            " JOIN pg_class AS c ON c.oid = i.indexrelid"
            " JOIN pg_namespace AS n ON n.oid = c.relnamespace"
            " WHERE i.indrelid >= 16384 AND n.nspname !~ '^pg_toast'"
        ).fetchall()
    assert len(rows) > 60
    for schema, name, definition in rows:
        assert found["index", qualified(schema, name)].attributes["definition"] == definition


def test_a_class_of_somebody_else_may_be_the_usual_one(database):
    database.run(
        "CREATE TABLE t (v varchar, w varchar)",
        "CREATE INDEX a ON t (v)",
        "CREATE OPERATOR CLASS own DEFAULT FOR TYPE varchar USING btree AS"
        " OPERATOR 1 < (text, text), OPERATOR 2 <= (text, text), OPERATOR 3 = (text, text),"
        " OPERATOR 4 >= (text, text), OPERATOR 5 > (text, text),"
        " FUNCTION 1 (varchar, varchar) bttextcmp(text, text)",
        "CREATE INDEX b ON t (v)",
    )
    found = database.scan().objects
    shown = [found["index", f"public.{name}"].attributes["definition"] for name in "ab"]
    assert shown == [
        "CREATE INDEX a ON public.t USING btree (v text_ops)",
        "CREATE INDEX b ON public.t USING btree (v)",
    ]


@pytest.mark.parametrize("name", ODD)
def test_names_are_written_as_everywhere_else(database, name):
    with psycopg.connect(database.dsn, autocommit=True) as connection:
        for text in (
            "CREATE SCHEMA {0}",
            "CREATE DOMAIN {0}.{0} AS integer CONSTRAINT {0} CHECK (VALUE > 0)",
            "CREATE TABLE {0}.t ({0} integer)",
            "CREATE TABLE {0}.{1} ({0} integer CONSTRAINT {1} CHECK ({0} > 0))",
            "CREATE INDEX {2} ON {0}.{1} ({0})",
        ):
            several = (sql.Identifier(name), sql.Identifier(name + "2"), sql.Identifier(name + "3"))
            connection.execute(sql.SQL(text).format(*several))
    found = database.scan().objects
    table = f"table {qualified(name, name + '2')}"
    assert found["column", qualified(name, name + "2", name)].attributes["of"] == table
    assert found["constraint", qualified(name, name + "2", name + "2")].attributes["of"] == table
    domain = found["constraint", qualified(name, name, name)].attributes["of"]
    assert domain == f"type {qualified(name, name)}"
    assert found["index", qualified(name, name + "3")].attributes["of"] == table


def test_positions_pass_over_columns_that_were_dropped(database):
    database.run(
        "CREATE TABLE t (a integer, b integer, c integer, d integer, e integer)",
        "ALTER TABLE t DROP b",
        "ALTER TABLE t DROP d",
        "CREATE TABLE u (a integer, b integer)",
    )
    found = database.scan().objects
    names = ("t.a", "t.c", "t.e", "u.a", "u.b")
    assert [found["column", f"public.{one}"].attributes["position"] for one in names] == [
        1,
        2,
        3,
        1,
        2,
    ]
