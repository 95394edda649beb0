"""Operators, collations, text search and the like; one-statement drifts: cases/definitions.py."""

import itertools
import os
import re
import runpy
import subprocess

import psycopg
import pytest
from psycopg import sql
from support.cases import FOLDER

from chalicelib.drift import snapshot
from chalicelib.kernel.names import qualified
from chalicelib.postgres.embedded import binaries

EVERY = runpy.run_path(str(FOLDER / "definitions.py"))["EVERY"]
KINDS = {made.kind for made in EVERY}


def seen(database):
    """(kind, name) of all objects of these kinds."""
    return {key for key in database.scan().objects if key[0] in KINDS}


def lines(database, dsn=None):
    found = database.scan(dsn).objects.items()
    return [snapshot.line(item) for key, item in found if key[0] in KINDS]


def test_a_new_database_has_none_of_them(database):
    assert seen(database) == set()


IN_TEMPORARY = (
    "CREATE FUNCTION pg_temp.same({0}, {0}) RETURNS boolean LANGUAGE sql AS 'SELECT true'",
    "CREATE FUNCTION pg_temp.one({0}) RETURNS integer LANGUAGE sql AS 'SELECT 1'",
    "CREATE OPERATOR {1}.=== (LEFTARG = {0}, RIGHTARG = {0}, FUNCTION = pg_temp.same)",
    "CREATE OPERATOR CLASS {1}.c FOR TYPE {0} USING gin AS STORAGE integer",
    "CREATE COLLATION {1}.c (LOCALE = 'C')",
    "CREATE CONVERSION {1}.c FOR 'UTF8' TO 'LATIN1' FROM utf8_to_iso8859_1",
    "CREATE STATISTICS {1}.s ON a, b FROM t",
    "CREATE TEXT SEARCH CONFIGURATION {1}.c (PARSER = default)",
    "CREATE TEXT SEARCH DICTIONARY {1}.d (TEMPLATE = simple)",
    (
        "CREATE TEXT SEARCH PARSER {1}.p (START = prsd_start, GETTOKEN = prsd_nexttoken,"
        " END = prsd_end, LEXTYPES = prsd_lextype)"
    ),
    "CREATE TEXT SEARCH TEMPLATE {1}.t (LEXIZE = dsimple_lexize)",
)

OF_WHAT_STAYS = (
    "CREATE OPERATOR {1}.=+= (LEFTARG = integer, RIGHTARG = integer, FUNCTION = int4pl)",
    "CREATE STATISTICS {1}.kept ON a, b FROM public.kept",
)


def test_what_is_temporary_is_left_out(database):
    with psycopg.connect(database.dsn, autocommit=True) as other:
        other.execute("CREATE TEMP TABLE t (a integer, b integer)")
        other.execute("CREATE TYPE pg_temp.pair AS (a integer)")
        other.execute("CREATE TABLE public.kept (a integer, b integer)")
        for statement in (*IN_TEMPORARY, *OF_WHAT_STAYS):
            other.execute(statement.format("pg_temp.pair", "pg_temp"))
        assert seen(database) == set()


def test_what_is_made_of_temporary_types_is_left_out(database):
    with psycopg.connect(database.dsn, autocommit=True) as other:
        other.execute("CREATE TEMP TABLE t (a integer, b integer)")
        other.execute("CREATE TYPE pg_temp.pair AS (a integer)")
        for statement in IN_TEMPORARY[:3]:
            other.execute(statement.format("pg_temp.pair", "public"))
        other.execute(
            "CREATE CAST (pg_temp.pair AS integer) WITH FUNCTION pg_temp.one(pg_temp.pair)"
        )
        other.execute("CREATE STATISTICS public.s ON a, b FROM t")
        other.execute(
            "CREATE FUNCTION public.f(internal) RETURNS internal LANGUAGE internal IMMUTABLE"
            " AS 'textout'"
        )
        other.execute(
            "CREATE TRANSFORM FOR pg_temp.pair LANGUAGE plpgsql"
            " (FROM SQL WITH FUNCTION f(internal))"
        )
        assert seen(database) == set()


HOSTILE = (
    "CREATE SCHEMA {0}",
    "CREATE TYPE {0}.{0} AS (a integer)",
    "CREATE FUNCTION {0}.{0}({0}.{0}, {0}.{0}) RETURNS boolean LANGUAGE sql AS 'SELECT true'",
    "CREATE FUNCTION {0}.{0}({0}.{0}) RETURNS integer LANGUAGE sql AS 'SELECT 1'",
    "CREATE FUNCTION {0}.{0}() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN END'",
    ("CREATE FUNCTION {0}.{0}(internal) RETURNS internal LANGUAGE internal IMMUTABLE AS 'textout'"),
    (
        "CREATE OPERATOR {0}.=== (LEFTARG = {0}.{0}, RIGHTARG = {0}.{0}, FUNCTION = {0}.{0},"
        " COMMUTATOR = OPERATOR({0}.===))"
    ),
    "CREATE OPERATOR FAMILY {0}.{0} USING btree",
    (
        "CREATE OPERATOR CLASS {0}.{0} FOR TYPE {0}.{0} USING btree FAMILY {0}.{0}"
        " AS OPERATOR 1 {0}.==="
    ),
    "CREATE CAST ({0}.{0} AS integer) WITH FUNCTION {0}.{0}({0}.{0})",
    "CREATE COLLATION {0}.{0} (LOCALE = 'C')",
    "CREATE CONVERSION {0}.{0} FOR 'UTF8' TO 'LATIN1' FROM utf8_to_iso8859_1",
    "CREATE LANGUAGE {0} HANDLER plpgsql_call_handler",
    "CREATE TRANSFORM FOR {0}.{0} LANGUAGE {0} (FROM SQL WITH FUNCTION {0}.{0}(internal))",
    "CREATE ACCESS METHOD {0} TYPE INDEX HANDLER bthandler",
    "CREATE TABLE {0}.t ({0} integer, b integer)",
    "CREATE STATISTICS {0}.{0} ON {0}, b FROM {0}.t",
    (
        "CREATE TEXT SEARCH PARSER {0}.{0} (START = prsd_start, GETTOKEN = prsd_nexttoken,"
        " END = prsd_end, LEXTYPES = prsd_lextype)"
    ),
    "CREATE TEXT SEARCH TEMPLATE {0}.{0} (LEXIZE = dsimple_lexize)",
    "CREATE TEXT SEARCH DICTIONARY {0}.{0} (TEMPLATE = simple, STOPWORDS = english)",
    "CREATE TEXT SEARCH CONFIGURATION {0}.{0} (PARSER = default)",
    "ALTER TEXT SEARCH CONFIGURATION {0}.{0} ADD MAPPING FOR word WITH {0}.{0}, simple",
    "CREATE EVENT TRIGGER {0} ON ddl_command_end EXECUTE FUNCTION {0}.{0}()",
)
NAMES = [
    'quo"te',
    "apo'strophe",
    "new\nline",
    "a as b",
    "c using btree",
    "for x language y",
    "with.dot",
    "a, b",
    "%s %(name)s {name} {0}",
    "PUBLIC",
    "none",
]


@pytest.mark.parametrize("name", NAMES)
def test_definitions_with_names_of_any_shape_are_read_and_told_apart(name, database):
    with psycopg.connect(database.dsn, autocommit=True) as connection:
        for text in HOSTILE:
            connection.execute(sql.SQL(text).format(sql.Identifier(name)))
    objects = database.scan().objects
    one, two = qualified(name), qualified(name, name)
    typed = database.value("SELECT format_type(castsource, NULL) FROM pg_cast WHERE oid >= 16384")
    names = {
        "event_trigger": one,
        "language": one,
        "access_method": one,
        "cast": f"{typed} as integer",
        "transform": f"for {typed} language {one}",
        "operator": f"{one}.===({typed}, {typed})",
        "operator_class": f"{two} using btree",
        "operator_family": f"{two} using btree",
    }
    assert {key for key in objects if key[0] in KINDS} == {
        (kind, names.get(kind, two)) for kind in KINDS
    }
    mappings = objects[("text_search_configuration", two)].attributes["mappings"]
    assert mappings == [f"word: {two}, pg_catalog.simple"]
    assert objects[("statistics", two)].attributes["columns"] == sorted([one, "b"])
    assert objects[("operator_class", two + " using btree")].attributes["of"] == (
        f"operator_family {two} using btree"
    )


def test_dictionary_options_are_split_at_their_own_commas(database):
    with psycopg.connect(database.dsn, autocommit=True) as connection:
        connection.execute(
            "INSERT INTO pg_ts_dict SELECT 99999, 'd', 'public'::regnamespace, 10, oid,"
            " $$a = 'x, b = ''y''', \"c = d\" = E'\\\\ '', e = 1', f = 2$$"
            " FROM pg_ts_template WHERE tmplname = 'simple'"
        )
    found = database.scan().objects[("text_search_dictionary", "public.d")].attributes
    assert found["options"] == [
        "\"c = d\" = E'\\\\ '', e = 1'",
        "a = 'x, b = ''y'''",
        "f = 2",
    ]


def test_dictionary_options_that_are_not_the_servers_text_stay_whole(database):
    database.run(
        "CREATE TEXT SEARCH DICTIONARY d (TEMPLATE = simple)",
        "UPDATE pg_ts_dict SET dictinitoption = 'a = ''x'',b =' WHERE dictname = 'd'",
    )
    found = database.scan().objects[("text_search_dictionary", "public.d")].attributes
    assert found["options"] == ["a = 'x',b ="]


def test_tokens_of_another_parser_are_numbers_and_none_of_its_code_is_called(database):
    database.run(
        "CREATE FUNCTION types(internal) RETURNS internal LANGUAGE internal AS 'prsd_lextype'",
        "CREATE TEXT SEARCH PARSER p (START = prsd_start, GETTOKEN = prsd_nexttoken,"
        " END = prsd_end, LEXTYPES = types)",
        "CREATE TEXT SEARCH CONFIGURATION c (PARSER = p)",
        "ALTER TEXT SEARCH CONFIGURATION c ADD MAPPING FOR word WITH simple",
        "CREATE OR REPLACE FUNCTION types(internal) RETURNS internal LANGUAGE internal"
        " AS 'anyarray_in'",  # which does nothing but fail
    )
    with pytest.raises(psycopg.errors.FeatureNotSupported):
        database.run("SELECT ts_token_type('p')")
    found = database.scan().objects[("text_search_configuration", "public.c")].attributes
    assert found["mappings"] == ["2: pg_catalog.simple"]


def test_a_collation_is_the_one_that_its_name_means_in_this_encoding(database):
    database.run(
        "CREATE COLLATION c (LOCALE = 'POSIX')",
        "UPDATE pg_collation SET collencoding = pg_char_to_encoding('LATIN1') WHERE collname = 'c'",
    )
    assert seen(database) == set()
    database.run(
        "CREATE COLLATION c (LOCALE = 'C')",
        "UPDATE pg_collation SET collencoding = -1 WHERE collname = 'c' AND collcollate = 'POSIX'",
    )
    found = database.scan().objects[("collation", "public.c")].attributes
    assert found["collate"] == "C"


DUMPED = (
    "CREATE ROLE alice SUPERUSER",
    *dict.fromkeys(
        part.strip()
        for made in EVERY
        for part in re.findall(r"(?:[^;']|'[^']*')+", made.setup)
        if part.strip()
    ),
    "DROP LANGUAGE mine",  # no dump has one whose handler belongs to an extension
    "CREATE LANGUAGE mine HANDLER call2",
    *(f"COMMENT ON {made.target} IS 'as it was'" for made in EVERY),
    *(f"ALTER {made.target} OWNER TO alice" for made in EVERY if made.owned),
    (
        "ALTER OPERATOR FAMILY sizes USING btree ADD OPERATOR 1 <<<(pair, integer),"
        " FUNCTION 1 (pair, integer) cmp(pair, integer)"
    ),
    "ALTER OPERATOR FAMILY sizes USING btree ADD OPERATOR 2 >>>(pair, pair)",
    "ALTER OPERATOR FAMILY mine USING btree ADD OPERATOR 1 <<<(pair, pair)",
    (
        "CREATE OPERATOR CLASS late FOR TYPE pair USING btree FAMILY mine"
        " AS FUNCTION 1 cmp(pair, pair)"
    ),
    "CREATE OPERATOR CLASS implicit FOR TYPE pair USING hash AS OPERATOR 1 <<<",
    "CREATE OPERATOR ==> (LEFTARG = pair, RIGHTARG = integer, FUNCTION = same, COMMUTATOR = <==)",
    "CREATE OPERATOR @@@ (RIGHTARG = pair, FUNCTION = one)",
    "CREATE CAST (integer AS pair) WITH INOUT AS ASSIGNMENT",
    "ALTER STATISTICS mine SET STATISTICS 50",
    "ALTER TEXT SEARCH CONFIGURATION mine ADD MAPPING FOR word, email WITH mine, simple",
    "ALTER EVENT TRIGGER mine ENABLE REPLICA",
)


def test_every_definition_is_the_same_after_dump_and_restore(database, other_database):
    database.run(*DUMPED, "CREATE DATABASE again")
    tools, plain = binaries(), os.environ | {"LC_ALL": "C"}
    path = [database.dsn, other_database.dsn, database.server.dsn("again")]
    for source, restored in itertools.pairwise(path):
        dump = [tools / "pg_dump", "--dbname", source]
        restore = [tools / "psql", "--quiet", "--no-psqlrc", "--set=ON_ERROR_STOP=1"]
        script = subprocess.run(dump, env=plain, check=True, capture_output=True).stdout
        script = script.replace(b"SET transaction_timeout = 0;", b"")  # of 17
        subprocess.run(
            [*restore, "--dbname", restored],
            input=script,
            env=plain,
            check=True,
            capture_output=True,
        )
    assert {kind for kind, _ in seen(database)} == KINDS
    assert lines(other_database) == lines(database)
    assert lines(database, path[-1]) == lines(database)


def test_a_role_without_privileges_sees_all_of_them(database):
    database.run(*DUMPED, "CREATE ROLE scanner LOGIN PASSWORD 'x'")
    found = lines(database, database.as_role("scanner", "x"))
    assert {kind for kind, _ in seen(database)} == KINDS
    assert found == lines(database)
