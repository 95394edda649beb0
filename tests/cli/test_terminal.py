"""What people see: ruled tables, colour by severity, differences line by line."""

from __future__ import annotations

import re

import pytest

from chalicelib.cli import text
from chalicelib.cli.table import difference


@pytest.fixture
def terminal(monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "140")


def seen(answer):
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", answer)


def test_findings_are_a_table(signed, database, terminal):
    database.run(
        "CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1'",
        "ALTER TABLE orders DISABLE ROW LEVEL SECURITY",
        "GRANT SELECT ON orders TO PUBLIC",
        "DROP POLICY own ON orders",
    )
    answer = signed("scan", "orders", expect=1)
    assert "\x1b[1;37;41mcritical" in answer.out
    screen = seen(answer.out)
    assert re.search(r"severity +what +before → after +when, finding", screen)
    assert "added select" in screen
    assert re.search(r"20\d\d-\d\d-\d\d \d\d:\d\d:\d\dZ", screen)
    [policy] = [f for f in signed("drift", "ls", "--json").json if f["kind"] == "policy"]
    assert "committed" not in policy["when"], "a dropped policy leaves only the window"


def test_long_definitions_show_the_lines_that_differ(signed, database, terminal):
    make = "CREATE OR REPLACE FUNCTION f() RETURNS int LANGUAGE sql AS $$\n{}\nSELECT 1$$"
    lines = [f"-- line {number}" for number in range(20)]
    database.run(make.format("\n".join(lines)))
    signed("--as", "ana", "baseline", "propose", "orders")
    signed("--as", "ben", "baseline", "approve", "orders")
    signed("--as", "chloe", "baseline", "approve", "orders")
    database.run(make.format("\n".join(line.replace("line", "row") for line in lines)))
    screen = seen(signed("scan", "orders", expect=1).out)
    assert "- -- line 0" in screen
    assert "more lines" in screen
    [one] = signed("drift", "ls", "--json").json
    assert "+ -- row 19" in seen(signed("drift", "show", one["id"]).out)


def test_what_is_unknown_says_why(signed, monkeypatch, terminal):
    monkeypatch.setenv("ORDERS_DSN", "host=127.0.0.1 port=1 dbname=x user=y")
    screen = seen(signed("scan", "orders", expect=3).out)
    assert "UNKNOWN" in screen
    assert "cannot connect" in screen


def test_ids_of_rules_are_whole_in_80_columns(holdfast, terminal, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    ids = [row["id"] for row in holdfast("rules", "ls", "--json").json]
    screen = seen(holdfast("rules", "ls").out)
    firsts = {
        line.split()[0] for line in screen.splitlines() if line.startswith(" ") and line[1] != " "
    }
    assert set(ids) <= firsts
    assert max(map(len, screen.splitlines())) <= 80


def test_an_empty_list_says_what_to_do(holdfast, terminal):
    holdfast("init")
    assert "holdfast target add" in seen(holdfast("target", "ls").out)


def test_the_first_bad_place_stands_out(signed, terminal):
    for path in (signed.home / ".holdfast" / "evidence" / "log" / "batch").iterdir():
        path.chmod(0o600)
        path.write_bytes(b"")
    screen = seen(signed("evidence", "fsck", expect=1).out)
    assert screen.lstrip().startswith("FIRST BAD PLACE")


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, "(none)"),
        (True, "true"),
        (False, "false"),
        ("", '""'),
        ([], "(empty)"),
        (["a", 1], "a, 1"),
        ({"a": True}, "a=true"),
        (7, "7"),
    ],
)
def test_values_are_words(value, expected):
    assert text.whole(value) == expected


@pytest.mark.parametrize(
    ("hostile", "harmless"),
    [
        ("\x1b[31mred", "\\u{1b}[31mred"),
        ("a\tb\nc", "a\\tb\\nc"),
        ("\u202eabc", "\\u{202e}abc"),
        ("\u2028", "\\u{2028}"),
        ("\ue000", "\\u{e000}"),
        ("na\u00efve \U0001f600", "na\u00efve \U0001f600"),
    ],
)
def test_invisible_characters_are_shown(hostile, harmless):
    assert text.plain(hostile) == harmless


def test_lines_of_a_value_cannot_pass_for_rows(signed, database):
    database.run("COMMENT ON TABLE orders IS E'ok\\nseverity     info\\ndisposition  accepted'")
    signed("scan", "orders", expect=1)
    database.run("CREATE TABLE t ()", "COMMENT ON TABLE t IS E'ok\\nseverity     info'")
    signed("scan", "orders", expect=1)
    found = [f for f in signed("drift", "ls", "--json").json if f["operation"] == "added"]
    lines = signed("drift", "show", found[0]["id"]).out.splitlines()
    assert len([line for line in lines if line.startswith("severity")]) == 1


def test_a_difference_is_bounded():
    before = "\n".join(f"a{n}" for n in range(100))
    after = "\n".join(f"b{n}" for n in range(100))
    assert len(str(difference(before, after, most=6)).splitlines()) == 7
