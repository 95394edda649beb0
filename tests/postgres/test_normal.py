"""What the server cannot tell apart is one text; what it can, never is."""
# ruff: noqa: E501 - definitions stand as the server prints them

import re

import psycopg
import pytest
from hypothesis import HealthCheck, event, given, settings
from support import schemas

from chalicelib.postgres import grammar, normal, restored
from chalicelib.postgres.normal import MAX_CHARACTERS
from chalicelib.postgres.normal import normal as normalised

READ = """
SELECT pg_get_viewdef(ev_class), replace(ev_action::text, ':relid ' || ev_class::integer, ':relid itself')
FROM pg_rewrite WHERE ev_class = 'public.seen'::regclass
"""
LOCATIONS = re.compile(r":(?:\w*location|stmt_len|list_start|list_end) -?\d+")
OFTEN = settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture(scope="module")
def reading(postgres_server):
    """A connection to a database with the tables of random expressions."""
    with psycopg.connect(postgres_server.dsn(), autocommit=True) as admin:
        admin.execute("CREATE DATABASE reading")
        try:
            with psycopg.connect(postgres_server.dsn("reading")) as connection:
                for statement in (*schemas.TYPES, *schemas.TABLES):
                    connection.execute(statement)
                connection.commit()
                yield connection
        finally:
            admin.execute("DROP DATABASE reading (FORCE)")


def read(connection, text):
    """What the server prints of a view with this definition, and its tree; None, where refused."""
    try:
        connection.execute("SET LOCAL search_path = public")
        connection.execute(f"CREATE VIEW public.seen AS {text}".encode())
        connection.execute("SET LOCAL search_path = pg_catalog")
        printed, tree = connection.execute(READ).fetchone()
        return printed, LOCATIONS.sub("", tree)
    except psycopg.Error:
        return None
    finally:
        connection.rollback()


def restored_often(connection, text):
    """What the server prints first, last, and its last tree: it reads its own until that stays."""
    first = found = read(connection, text)
    for _ in range(4):
        again = found and read(connection, found[0])
        if again is None:
            return None
        if again == found:
            return first[0], *found
        found = again
    raise AssertionError("printing it does not come to an end")


def check(connection, text):
    found = restored_often(connection, text)
    if found is None:
        event("refused")
        return
    printed, last, tree = found
    result, certain = normalised("statement", printed)
    event(f"certain {certain}, changed {result != printed}")
    assert normalised("statement", result) == (result, certain)
    if not certain:
        assert result == printed
        return
    assert normalised("statement", last) == (result, True)
    assert read(connection, result)[1] == tree


@OFTEN
@given(expression=schemas.expressions)
def test_an_expression_means_the_same_and_is_the_same_after_a_restore(reading, expression):
    check(reading, f"SELECT ({expression}) AS x FROM t")


@OFTEN
@given(view=schemas.views())
def test_a_view_means_the_same_and_is_the_same_after_a_restore(reading, view):
    check(reading, view)


ONE_FORM = [
    (
        "constraint",
        "CHECK (((v)::text = ANY ((ARRAY['a'::character varying, 'b'::character varying])::text[])))",
        "CHECK (((v)::text = ANY (ARRAY[('a'::character varying)::text, ('b'::character varying)::text])))",
    ),
    (
        "expression",
        "(v <@ (ARRAY[ARRAY['é'::character varying], ARRAY[NULL::character varying]])::text[])",
        "(v <@ ARRAY[ARRAY[('é'::character varying)::text], ARRAY[(NULL::character varying)::text]])",
    ),
    (
        "expression",
        "(v = ANY ((ARRAY[('a'::character varying COLLATE \"C\")])::text[]))",
        "(v = ANY (ARRAY[(('a'::character varying)::text COLLATE \"C\")]))",
    ),
    (
        "expression",
        "(n = ANY ((ARRAY[1, (- 2)])::numeric[]))",
        "(n = ANY (ARRAY[(1)::numeric, ('-2'::integer)::numeric]))",
    ),
    ("expression", "(- 1)", "'-1'::integer"),
    ("expression", "((- 1.50))::text", "('-1.50'::numeric)::text"),
    ("expression", "(- (- 1))", "1"),
    ("expression", "(i + (- 0))", "(i + 0)"),
    ("expression", "f((- 0.0))", "f(0.0)"),
    ("partition", "RANGE (((i + (- 1))))", "RANGE (((i + '-1'::integer)))"),
    ("statement", "SELECT 1 FROM (a LEFT JOIN b ON TRUE)", "SELECT 1 FROM (a LEFT JOIN b ON (true))"),
    ("expression", "( SELECT 'a'::text)", "( SELECT 'a'::text AS text)"),
    (
        "expression",
        "(EXISTS ( SELECT ( SELECT 'a'::bpchar\n UNION\n SELECT (- 1)), b))",
        "(EXISTS ( SELECT ( SELECT 'a'::bpchar AS bpchar\n UNION\n SELECT '-1'::integer AS int4) AS bpchar, b))",
    ),
    ("expression", "((((i >= 1) AND (i <= 2)) AND b) AND c)", "((i >= 1) AND (i <= 2) AND b AND c)"),
    ("expression", "((a OR b) OR (c AND d))", "(a OR b OR (c AND d))"),
    ("arguments", "a integer, b integer DEFAULT (- 1)", "a integer, b integer DEFAULT '-1'::integer"),
    ("routine", "RETURN (SELECT (- 1))", "RETURN (SELECT '-1'::integer AS int4)"),
    (
        "routine",
        "BEGIN ATOMIC\n SELECT a;\n SELECT f.a,\n     t.a\n    FROM t;\nEND",
        "BEGIN ATOMIC\n SELECT a AS a;\n SELECT f.a AS a,\n     t.a\n    FROM t;\nEND",
    ),
    (
        "pretty",
        "v::text = ANY (ARRAY['a'::character varying, i + 1]::text[])",
        "v::text = ANY (ARRAY['a'::character varying::text, (i + 1)::text])",
    ),
    (
        "expression",
        "(v = ANY ((ARRAY[\n        CASE WHEN b THEN v END, 'x'::character varying,\n        CASE WHEN b THEN v END])::text[]))",
        "(v = ANY (ARRAY[(\n        CASE WHEN b THEN v END)::text, ('x'::character varying)::text, (\n        CASE WHEN b THEN v END)::text]))",
    ),
    ("pretty", "i = (- 1)", "i = '-1'::integer"),
    ("pretty", "- 1", "'-1'::integer"),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "text", "one"), ONE_FORM)
def test_what_reading_changes_is_changed(kind, text, one):
    assert normalised(kind, text) == (one, True)
    assert normalised(kind, one) == (one, True)


STAYS = [
    "('(- 1)'::text = v)",
    "(\"(- 1)\" = ' ON TRUE'::text)",
    "(v = '(ARRAY[''a''::character varying])::text[]'::text)",
    "(\"])::\" = '((a AND b) AND c)'::text)",
    "(v = ' SELECT ''a''::text'::text)",
    "('-1'::integer = i)",
    "(i - 1)",
    "(- i)",
    "(n)::numeric(5,-2)",
    "(v = ANY ((va)::text[]))",
    "((ARRAY['a'::character varying])[1])::text",
    "(ARRAY[1, 2])::text",
    "(ARRAY( SELECT u.v FROM u))::text[]",
    "(a AND (b AND c))",
    "((a AND b) OR c)",
    "(EXISTS ( SELECT u.v, count(*) AS count FROM u WHERE (u.w = 'a'::text)))",
]


@pytest.mark.parametrize("text", STAYS)
def test_what_only_looks_alike_stays(text):
    assert normalised("expression", text) == (text, True)


UNSURE = {
    "a domain over an array": "(ARRAY['a'::character varying])::public.names",
    "elements that may be arrays": "(ARRAY[a, b])::text[]",
    "a collation that may vanish": "(ARRAY[('a'::text COLLATE \"C\")])::public.odd[]",
    "a length": "(ARRAY['a'::text])::character varying(3)[]",
    "a number beyond": "(- 99999999999)",
    "no SQL": "(- 1) what is this",
    "a NUL": "(- 1)\0",
    "no Unicode": "(- 1) || '\ud800'",
    "very long": "((- 1) = " + "i" * MAX_CHARACTERS + ")",
    "very deep": "(- 1)" + " + 1" * 400,
    "a crash of others": "(- 1)" + "::text" * 10_000,
}


@pytest.mark.parametrize("text", UNSURE.values(), ids=UNSURE)
def test_what_the_text_does_not_decide_stays_and_is_uncertain(text):
    assert normalised("expression", text) == (text, False)


def test_a_rewriting_that_changes_the_meaning_is_not_taken():
    tree = grammar.parse("SELECT (ARRAY[a, 'x'::varchar])::text[]").statements[0]
    wrong = grammar.parse("SELECT ARRAY[(a)::text, ('y'::varchar)::text]").statements[0]
    right = grammar.parse("SELECT ARRAY [ a::text, ('x'::varchar)::text ]").statements[0]
    wanted = restored.flat(restored.canonical(tree))
    assert restored.flat(wrong) != wanted == restored.flat(right)


def test_a_location_in_a_string_is_no_location():
    texts = ("SELECT '\"location\":1'", "SELECT '\"location\":2'")
    one, other = (restored.flat(grammar.parse(text).statements[0]) for text in texts)
    assert one != other


def test_every_frame_holds_a_text_of_its_kind():
    assert set(normal.FRAMES) == {kind for kind, _, _ in ONE_FORM}
