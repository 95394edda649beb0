import psycopg
import pytest
from psycopg import sql

from chalicelib.access.masking.column import Family
from chalicelib.access.suggestion import proposal
from chalicelib.kernel.errors import ConnectionLost, NotFound
from chalicelib.postgres import sample, sampling

RAISING = (
    "CREATE FUNCTION {}({}) RETURNS {} LANGUAGE plpgsql AS "
    "$$ BEGIN RAISE EXCEPTION 'this ran'; END $$"
)
READER = "CREATE ROLE reader LOGIN PASSWORD 'x'"


def read(database, dsn=None, schemas=("public",), **options):
    found = sample.read(dsn or database.dsn, schemas, **options)
    return {one.name: one for one in found}


def column(table, name):
    return next(one for one in table.columns if one.name == name)


def notes(table):
    return {one.name: one.note for one in table.columns}


def values(table):
    return {one.name: one.values for one in table.columns}


def test_values_come_as_the_server_writes_them(database):
    database.run(
        "CREATE TABLE t (a integer PRIMARY KEY, b text, c date, d text[], e jsonb, f numeric)",
        """INSERT INTO t VALUES (1, 'x "y"', '2020-01-02', '{a,"b c"}', '{"k": [1]}', 1.50)""",
        "INSERT INTO t VALUES (2)",
    )
    table = read(database)["t"]
    assert values(table) == {
        "a": ("1", "2"),
        "b": ('x "y"',),
        "c": ("2020-01-02",),
        "d": ('{a,"b c"}',),
        "e": ('{"k": [1]}',),
        "f": ("1.50",),
    }
    assert column(table, "b").nulls == 1
    assert column(table, "a").primary


def test_no_value_is_in_the_repr_of_a_sample(database):
    database.run("CREATE TABLE t (a text)", "INSERT INTO t VALUES ('only-here')")
    assert "only-here" not in repr(read(database))


@pytest.mark.parametrize(
    "name",
    ['quo"te', "new\nline", "'; DROP TABLE t; --", "%s {name}", "with.dot", "right\u202eto", "{0}"],
)
def test_names_of_any_shape_are_sampled(name, database):
    with psycopg.connect(database.dsn, autocommit=True) as connection:
        for text in (
            "CREATE SCHEMA {0}",
            "CREATE TABLE {0}.{0} ({0} text)",
            "INSERT INTO {0}.{0} VALUES ('x')",
        ):
            connection.execute(sql.SQL(text).format(sql.Identifier(name)))
    table = read(database, schemas=[name])[name]
    assert values(table) == {name: ("x",)}


def test_a_table_that_becomes_a_view_while_it_is_sampled_runs_nothing(database):
    database.run(
        "CREATE TABLE t (a text)",
        "INSERT INTO t VALUES ('x')",
        "CREATE SEQUENCE ran",
        "CREATE FUNCTION evil(text) RETURNS text LANGUAGE plpgsql AS"
        " $$ BEGIN PERFORM setval('ran', 7); RETURN $1; END $$",
    )
    calls = []

    def swap():
        calls.append(1)
        if len(calls) == 2:  # the columns were read, and the sample was not
            database.run(
                "ALTER TABLE t RENAME TO u", "CREATE VIEW t AS SELECT public.evil(a) AS a FROM u"
            )
        return 0.0

    table = read(database, tables=[("public", "t")], monotonic=swap)["t"]
    assert values(table) == {"a": ()}
    assert notes(table) == {"a": "not sampled: the server answered SQLSTATE 55000"}
    with psycopg.connect(database.dsn) as connection:
        assert connection.execute("SELECT last_value FROM ran").fetchone() == (1,)


def test_no_function_of_the_owner_runs(database):
    database.run(
        "CREATE TYPE mood AS ENUM ('good')",
        "CREATE TYPE pair AS (a integer, b text)",
        "CREATE FUNCTION fine(text) RETURNS boolean LANGUAGE sql AS 'SELECT true'",
        "CREATE FUNCTION unsafe(text) RETURNS text IMMUTABLE LANGUAGE sql AS 'SELECT $1'",
        "CREATE DOMAIN checked AS text CHECK (fine(VALUE))",
        "CREATE DOMAIN filled AS text NOT NULL",
        "CREATE DOMAIN several AS text[] CHECK (fine(VALUE[1]))",
        "CREATE TABLE t (id integer, m mood, ms mood[], p pair, ps pair[], c checked, f filled,"
        " s several, cs checked[], stored text GENERATED ALWAYS AS (unsafe('s')) STORED)",
        "INSERT INTO t VALUES"
        " (1, 'good', '{good}', '(1,x)', '{\"(1,x)\"}', 'c', 'f', '{s}', '{c}')",
        RAISING.format("out_of_mood", "mood", "text"),
        "CREATE CAST (mood AS text) WITH FUNCTION out_of_mood(mood) AS IMPLICIT",
        RAISING.format("out_of_moods", "mood[]", "text"),
        "CREATE CAST (mood[] AS text) WITH FUNCTION out_of_moods(mood[]) AS IMPLICIT",
        RAISING.format("out_of_pair", "pair", "text"),
        "CREATE CAST (pair AS text) WITH FUNCTION out_of_pair(pair) AS IMPLICIT",
        RAISING.format("sized", "mood", "integer"),
        "CREATE OR REPLACE FUNCTION fine(text) RETURNS boolean LANGUAGE plpgsql AS "
        "$$ BEGIN RAISE EXCEPTION 'this ran'; END $$",
        "CREATE OR REPLACE FUNCTION unsafe(text) RETURNS text IMMUTABLE LANGUAGE plpgsql AS "
        "$$ BEGIN RAISE EXCEPTION 'this ran'; END $$",
        "CREATE VIEW v AS SELECT unsafe(f) AS f FROM t",
        "CREATE MATERIALIZED VIEW m AS SELECT id FROM t",
        "CREATE MATERIALIZED VIEW unfilled AS SELECT unsafe(f) FROM t WITH NO DATA",
    )
    with (
        psycopg.connect(database.dsn) as connection,
        pytest.raises(psycopg.Error, match="this ran"),
    ):
        connection.execute("SELECT m::text FROM t")
    found = read(database)
    assert values(found["t"]) == {
        "id": ("1",),
        "m": ("good",),
        "ms": ("{good}",),
        "p": (),
        "ps": (),
        "c": ("c",),
        "f": ("f",),
        "s": ("{s}",),
        "cs": ("{c}",),
        "stored": ("s",),
    }
    assert column(found["t"], "p").note == column(found["t"], "ps").note
    assert "not the server's own" in column(found["t"], "p").note
    assert values(found["m"]) == {"id": ("1",)}
    assert "its functions would run" in found["v"].note
    assert "never filled" in found["unfilled"].note
    assert not any(values(found["v"]).values())


def test_a_domain_that_must_not_be_null_is_read_where_a_value_is_too_large(database):
    database.run(
        "CREATE DOMAIN filled AS text NOT NULL",
        "CREATE TABLE t (f filled)",
        "ALTER TABLE t ALTER f SET STORAGE EXTERNAL",
        "INSERT INTO t VALUES (repeat('x', 5000)), ('small')",
    )
    found = column(read(database)["t"], "f")
    assert found.values == ("small",)
    assert (found.large, found.nulls) == (1, 0)
    assert found.note == "1 of 2 values were too large to be sampled"


def test_virtual_columns_are_not_computed(database, major):
    if major < 18:
        pytest.skip("virtual columns are from 18 on")
    database.run(
        "CREATE TABLE t (a integer, v integer GENERATED ALWAYS AS (1 / a) VIRTUAL)",
        "INSERT INTO t (a) VALUES (0)",
    )
    found = read(database)["t"]
    assert values(found) == {"a": ("0",), "v": ()}
    assert "virtual" in column(found, "v").note


ODD = """
boolean, smallint, bigint, real, double precision, money, bytea, bit(3), varbit, char(3), name,
"char", uuid, inet, cidr, macaddr, macaddr8, point, line, lseg, box, path, polygon, circle,
tsvector, tsquery, json, jsonb, xml, jsonpath, pg_lsn, oid, regclass, regtype, xid, tid, date,
time, timetz, timestamp, timestamptz, interval, int4range, tstzrange, txid_snapshot, refcursor,
numeric(5;2), varchar(10), int2vector, oidvector, integer[][], xml[], aclitem, pg_snapshot
"""


def test_every_type_of_the_server_is_read_or_left(database):
    kinds = [one.strip() for one in ODD.split(",")]
    columns = ", ".join(f"c{at} {kind.replace(';', ',')}" for at, kind in enumerate(kinds))
    database.run(f"CREATE TABLE t ({columns})", "INSERT INTO t DEFAULT VALUES")
    found = read(database)["t"]
    assert len(found.columns) == len(kinds)
    assert set(notes(found).values()) == {""}
    assert len(proposal.propose_all([found])) == len(kinds)


def test_citext_is_read(database):
    try:
        database.run("CREATE EXTENSION citext")
    except psycopg.Error:
        pytest.skip("this server has no citext")
    database.run("CREATE TABLE t (a citext)", "INSERT INTO t VALUES ('Ana@Example.com')")
    found = column(read(database)["t"], "a")
    assert found.type.family is Family.TEXT
    assert found.values == ("Ana@Example.com",)


def test_a_table_of_1600_columns(database):
    columns = ", ".join(f"c{at} text" for at in range(1_600))
    database.run(f"CREATE TABLE wide ({columns})", "INSERT INTO wide (c0, c1599) VALUES ('a', 'z')")
    found = values(read(database)["wide"])
    assert len(found) == 1_600
    assert (found["c0"], found["c1"], found["c1599"]) == (("a",), (), ("z",))


def test_what_may_not_be_read_is_said_by_column(database):
    database.run(
        READER,
        "CREATE TABLE t (a text, b text)",
        "CREATE TABLE none (a text)",
        "INSERT INTO t VALUES ('a', 'b')",
        "GRANT SELECT (a) ON t TO reader",
        "CREATE SCHEMA closed",
        "CREATE TABLE closed.c (a text)",
        "GRANT SELECT ON closed.c TO reader",
    )
    found = read(database, database.as_role("reader", "x"), schemas=("public", "closed"))
    denied = "not sampled: permission denied"
    assert values(found["t"]) == {"a": ("a",), "b": ()}
    assert notes(found["t"]) == {"a": "", "b": denied}
    assert notes(found["none"]) == {"a": denied}
    assert notes(found["c"]) == {"a": denied}
    made = proposal.propose_all([found["t"]])
    assert [one.note for one in made] == ["", denied]


def test_row_security_is_told_and_no_part_is_read(database):
    database.run(
        READER,
        "CREATE TABLE t (a text)",
        "INSERT INTO t VALUES ('mine'), ('yours')",
        "ALTER TABLE t ENABLE ROW LEVEL SECURITY",
        "CREATE POLICY p ON t USING (a = 'mine')",
        "GRANT SELECT ON t TO reader",
    )
    found = read(database, database.as_role("reader", "x"))["t"]
    assert "row security" in found.note
    assert values(found) == {"a": ()}
    assert values(read(database)["t"]) == {"a": ("mine", "yours")}


def test_row_security_that_comes_after_the_catalogue_was_read_is_an_error(database):
    """The setting alone, without what the catalogue says."""
    database.run(
        READER,
        "CREATE TABLE t (a text)",
        "INSERT INTO t VALUES ('mine'), ('yours')",
        "GRANT SELECT ON t TO reader",
    )
    late = "ALTER TABLE t ENABLE ROW LEVEL SECURITY"

    class Late(sample._Reader):
        def _table(self, *known):
            database.run(late, "CREATE POLICY p ON t USING (a = 'mine')")
            return super()._table(*known)

    with psycopg.connect(database.as_role("reader", "x")) as connection:
        (found,) = Late(connection, {}, 10, 1.0, lambda: 0.0).tables(["public"], frozenset())
    assert values(found) == {"a": ()}
    assert notes(found) == {"a": "not sampled: permission denied"}


def test_empty_tables_and_tables_without_columns(database):
    database.run("CREATE TABLE empty (a text)", "CREATE TABLE bare ()")
    found = read(database)
    assert values(found["empty"]) == {"a": ()}
    assert found["bare"].columns == ()
    assert read(database, schemas=("none",)) == {}


def test_a_partitioned_table_is_read_through_its_root(database):
    database.run(
        READER,
        "CREATE TABLE p (k integer, a text) PARTITION BY RANGE (k)",
        "CREATE TABLE p1 (a text, k integer)",
        "ALTER TABLE p ATTACH PARTITION p1 FOR VALUES FROM (0) TO (10)",
        "CREATE TABLE p2 PARTITION OF p FOR VALUES FROM (10) TO (20)",
        "INSERT INTO p VALUES (1, 'one'), (11, 'two')",
        "GRANT SELECT ON p TO reader",
    )
    found = read(database, database.as_role("reader", "x"))
    assert set(found) == {"p"}
    assert values(found["p"]) == {"k": ("1", "11"), "a": ("one", "two")}


def test_a_foreign_table_is_not_asked_alone_or_as_a_partition(database):
    database.run(
        "CREATE FOREIGN DATA WRAPPER nowhere",
        "CREATE SERVER far FOREIGN DATA WRAPPER nowhere",
        "CREATE TABLE p (k integer, email text) PARTITION BY RANGE (k)",
        "CREATE TABLE p1 PARTITION OF p FOR VALUES FROM (0) TO (10) PARTITION BY RANGE (k)",
        "CREATE FOREIGN TABLE p2 PARTITION OF p1 FOR VALUES FROM (0) TO (5) SERVER far",
        "CREATE FOREIGN TABLE f (email text) SERVER far",
    )
    found = read(database)
    assert found["p"].note == "not sampled: a partition is a foreign table"
    assert "foreign" in found["f"].note
    (made,) = proposal.propose_all([found["f"]])
    assert (made.klass, made.sure, made.sampled) == ("email", "likely", 0)
    assert made.note == found["f"].note


def test_children_of_inheritance_are_their_own(database):
    database.run(
        "CREATE TABLE parent (a text)",
        "CREATE TABLE child (b text) INHERITS (parent)",
        "INSERT INTO parent VALUES ('up')",
        "INSERT INTO child VALUES ('down', 'x')",
    )
    found = read(database)
    assert values(found["parent"]) == {"a": ("up",)}
    assert values(found["child"]) == {"a": ("down",), "b": ("x",)}


def test_a_large_table_is_sampled_by_blocks_and_again_the_same(database):
    database.run(
        "CREATE TABLE t AS SELECT g AS a, repeat('x', 100) AS b FROM generate_series(1, 50000) g",
        "ANALYZE t",
    )
    found = values(read(database, rows=100)["t"])["a"]
    assert len(found) == 100
    assert max(map(int, found)) > 1_000, "not the first rows"
    assert found == values(read(database, rows=100)["t"])["a"]


def test_where_a_sample_of_blocks_has_too_few_rows_the_first_are_read(database):
    database.run(
        "CREATE TABLE t AS SELECT g AS a, repeat('x', 500) AS b FROM generate_series(1, 5000) g",
        "ANALYZE t",
        "DELETE FROM t WHERE a < 4990",
    )
    assert len(values(read(database)["t"])["a"]) == 11


def test_a_locked_table_is_told_and_the_others_are_read(database, monkeypatch):
    database.run("CREATE TABLE a (x text, y text)", "CREATE TABLE b (x text)")
    database.run("INSERT INTO b VALUES ('v')")
    pins = (*sample._PINS, ("lock_timeout", "50ms"))
    monkeypatch.setattr(sample, "_PINS", pins)
    with psycopg.connect(database.dsn) as other:
        other.execute("LOCK TABLE a")
        found = read(database)
    locked = "not sampled: another session has it locked"
    assert notes(found["a"]) == {"x": locked, "y": locked}
    assert values(found["b"]) == {"x": ("v",)}


def test_one_column_that_cannot_be_sent_does_not_hide_the_others(database):
    database.run(
        "CREATE TYPE mood AS ENUM ('good')",
        "CREATE TABLE t (a mood, b text)",
        "INSERT INTO t VALUES ('good', 'fine')",
        "DELETE FROM pg_enum WHERE enumtypid = 'mood'::regtype",  # as a damaged catalogue
    )
    found = read(database)["t"]
    assert values(found) == {"a": (), "b": ("fine",)}
    assert column(found, "a").note == "not sampled: the server answered SQLSTATE 22P03"


def test_bytes_without_an_encoding_are_escaped(database):
    database.run(
        "CREATE DATABASE bytes TEMPLATE template0 ENCODING 'SQL_ASCII' LC_COLLATE 'C' LC_CTYPE 'C'"
    )
    dsn = database.server.dsn("bytes")
    database.run("CREATE TABLE t (a text)", dsn=dsn)
    database.run("INSERT INTO t VALUES (E'caf\\xe9')", dsn=dsn)
    assert values(read(database, dsn)["t"]) == {"a": ("caf\\xe9",)}


def test_settings_of_the_database_do_not_lead_elsewhere(database):
    database.run(
        "CREATE SCHEMA evil",
        RAISING.format("evil.pg_column_size", '"any"', "integer").replace('"any"', "text"),
        RAISING.format("evil.less", "integer, integer", "boolean"),
        "CREATE OPERATOR evil.<= (FUNCTION = evil.less, LEFTARG = integer, RIGHTARG = integer)",
        "CREATE TABLE t (a text, d date)",
        "INSERT INTO t VALUES ('x', '2020-01-31')",
        "ALTER DATABASE test SET search_path = evil, pg_catalog",
        "ALTER DATABASE test SET DateStyle = 'SQL, DMY'",
        "ALTER DATABASE test SET default_transaction_read_only = off",
        "ALTER DATABASE test SET statement_timeout = '1h'",
        "ALTER DATABASE test SET client_encoding = 'LATIN1'",
    )
    assert values(read(database)["t"]) == {"a": ("x",), "d": ("2020-01-31",)}


def test_the_session_cannot_write(database):
    with psycopg.connect(database.dsn) as connection:
        sample._Reader(connection, {}, 10, 1.0, lambda: 0.0).tables(["public"], frozenset())
        with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
            connection.execute("CREATE TABLE x ()")


def test_keys_are_told(database):
    database.run(
        "CREATE TABLE a (id bigserial PRIMARY KEY, code text UNIQUE)",
        "CREATE TABLE b (x uuid PRIMARY KEY DEFAULT gen_random_uuid(), a_id bigint REFERENCES a,"
        " code text REFERENCES a (code), gone text)",
        "ALTER TABLE b DROP COLUMN gone",
    )
    found = read(database)
    ident = column(found["a"], "id")
    assert (ident.primary, ident.made, ident.unique, ident.refers) == (True, True, True, None)
    assert column(found["a"], "code").unique
    assert column(found["b"], "x").made
    assert column(found["b"], "a_id").refers == ("public", "a", "id")
    assert column(found["b"], "code").refers == ("public", "a", "code")
    made = {(one.table, one.column): one for one in proposal.propose_all(found.values())}
    assert made["b", "a_id"].klass == "public"
    assert made["b", "a_id"].sure == "possible"
    assert made["b", "a_id"].why[0] == "it refers to public.a.id"


def test_only_the_named_tables(database):
    database.run("CREATE TABLE a (x text)", "CREATE TABLE b (x text)")
    assert set(read(database, tables=[("public", "b")])) == {"b"}
    with pytest.raises(NotFound, match=r"public\.c"):
        read(database, tables=[("public", "c")])


def test_no_rows_are_names_alone(database):
    database.run("CREATE TABLE t (email text)", "INSERT INTO t VALUES ('ana@example.com')")
    found = read(database, rows=0)["t"]
    assert values(found) == {"email": ()}


def test_past_its_time_the_rest_is_told(database):
    database.run("CREATE TABLE a (x text)", "CREATE TABLE b (x text)", "INSERT INTO a VALUES ('v')")
    times = iter([0.0, 1.0, 61.0])
    found = read(database, seconds=60, monotonic=lambda: next(times))
    assert values(found["a"]) == {"x": ("v",)}
    assert notes(found["b"]) == {"x": "not sampled: the time for all samples was over"}


def test_past_its_memory_the_rest_is_told(database, monkeypatch):
    database.run("CREATE TABLE a (x text)", "CREATE TABLE b (x text)")
    database.run("INSERT INTO a SELECT repeat('v', 100) FROM generate_series(1, 100)")
    monkeypatch.setattr(sample, "TOTAL_BYTES", 1_000)
    found = read(database)
    assert len(values(found["a"])["x"]) == sample.FETCHED
    assert "memory" in notes(found["b"])["x"]


def test_what_is_small_only_compressed_is_cut(database):
    database.run(
        "CREATE TABLE t (a text)",
        "INSERT INTO t SELECT repeat('x', 200000) FROM generate_series(1, 2)",
    )
    found = values(read(database)["t"])["a"]
    assert {len(one) for one in found} == {sample.MAX_VALUE_BYTES}
    assert sampling.MAX_STORED_BYTES < sample.MAX_VALUE_BYTES


def test_a_connection_that_ends_is_no_answer(database):
    database.run("CREATE TABLE a (x text)", "CREATE TABLE b (x text)")

    def ended():
        database.run(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'test'"
            " AND pid <> pg_backend_pid()"
        )
        return 0.0

    clocks = iter([float, ended])

    def monotonic():
        return next(clocks)()

    with pytest.raises(ConnectionLost):
        read(database, monotonic=monotonic)
