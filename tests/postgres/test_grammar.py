"""The grammar refuses what it does not understand, and survives everything."""

import subprocess
import sys

import pytest

from chalicelib.postgres import grammar
from chalicelib.postgres.grammar import MAX_BYTES, Parsed, Reason, Refused, Token

HOSTILE = {
    "operators": "SELECT " + "+".join("1" * (MAX_BYTES // 2 - 10)),
    "casts": "SELECT 1" + "::int" * (MAX_BYTES // 5 - 10),
    "parentheses": "SELECT " + "(" * 120_000 + "1" + ")" * 120_000,
    "unions": "SELECT 1" + " UNION SELECT 1" * 17_000,
    "subqueries": "SELECT * FROM " + "(SELECT * FROM " * 14_000,
    "nots": "SELECT " + "NOT " * 60_000 + "true",
    "arrays": "SELECT " + "ARRAY[" * 40_000,
    "cases": "SELECT " + "CASE WHEN true THEN " * 12_000,
}


def test_a_statement_is_a_tree_with_places_in_bytes():
    parsed = grammar.parse("SELECT 'é', a")
    (statement,) = parsed.statements
    column = statement["SelectStmt"]["targetList"][1]["ResTarget"]
    assert parsed.source[column["location"] :] == b"a"


def test_tokens_are_places_in_bytes():
    text = "SELECT 'é', \"ü\" -- ö"
    found = grammar.tokens(text)
    shown = [text.encode()[token.start : token.end].decode() for token in found]
    assert shown == ["SELECT", "'é'", ",", '"ü"', "-- ö"]
    assert grammar.tokens(b"a") == [Token("IDENT", 0, 1)]


def test_several_statements_are_several():
    assert len(grammar.parse("SELECT 1; SELECT 2").statements) == 2
    assert grammar.parse("").statements == []


@pytest.mark.parametrize("ask", [grammar.parse, grammar.tokens])
@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("SELECT 1\0; DROP TABLE t", Reason.NUL),
        (b"SELECT '\xff'", Reason.NOT_UTF8),
        ("SELECT '\ud800'", Reason.NOT_UTF8),
        ("x" * (MAX_BYTES + 1), Reason.TOO_LONG),
        ("é" * (MAX_BYTES // 2 + 1), Reason.TOO_LONG),
        ("SELECT 'a", Reason.NOT_SQL),
    ],
)
def test_what_cannot_be_read_for_sure_is_refused(ask, text, reason):
    assert ask(text).reason is reason


def test_what_is_no_statement_is_refused_with_what_the_parser_said():
    assert grammar.parse("SELEC 1") == Refused(
        Reason.NOT_SQL, 'syntax error at or near "SELEC", at index 0'
    )


def test_depth_is_bounded_alike_for_every_caller():
    def deep(frames, text):
        return deep(frames - 1, text) if frames else grammar.parse(text)

    shallow, steep = ("SELECT " + "||".join("a" * count) for count in (280, 320))
    assert isinstance(deep(0, shallow), Parsed)
    assert isinstance(deep(150, shallow), Parsed)
    assert deep(0, steep) == deep(150, steep) == Refused(Reason.TOO_DEEP)


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_no_text_kills_the_process(text):
    assert len(text) <= MAX_BYTES
    code = (
        "import sys; from chalicelib.postgres import grammar; text = sys.stdin.read(); "
        "print(type(grammar.parse(text)).__name__, type(grammar.tokens(text)).__name__)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], input=text, capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["Refused", "list"]


@pytest.mark.parametrize(
    "answer", ["", "[]", '{"stmts": 1}', '{"stmts": [{"stmt": 1}]}', "[" * 2000, "\ud800"]
)
def test_a_parser_that_answers_nonsense_has_refused(answer):
    assert isinstance(grammar.parse("SELECT 1", parser=lambda _: answer), Refused)


def test_a_parser_that_fails_in_its_own_way_has_refused():
    def broken(_):
        raise MemoryError("of its own")

    assert grammar.parse("SELECT 1", parser=broken) == Refused(Reason.NOT_SQL, "of its own")
    assert grammar.tokens("SELECT 1", scanner=broken) == Refused(Reason.NOT_SQL, "of its own")


@pytest.mark.parametrize(
    ("name", "shown"),
    [("int4", "int4"), ("varchar", '"varchar"'), ("Odd", '"Odd"'), ('a"b', '"a""b"')],
)
def test_identifiers_are_shown_as_the_server_shows_them(database, name, shown):
    assert grammar.identifier(name) == shown
    assert database.value(f"SELECT quote_ident($x${name}$x$)") == shown
