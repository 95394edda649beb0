"""What tells a leak, and what an answer means."""

import html
import json
import re
from pathlib import Path

import pytest

from chalicelib.access.attack.clues import Seeker, chosen, distinctive, parts
from chalicelib.access.attack.judgement import (
    ATTACKS,
    COARSE,
    HIDDEN_ROWS,
    SEEN_ROWS,
    Clues,
    Exposed,
    Heard,
    Judged,
    Values,
    clues,
    judge,
    outcome,
)
from chalicelib.access.attack.tries import Try
from chalicelib.access.masking.catalogue import CATALOGUE

NOTHING = Clues({}, [])
PAGE = Path(__file__).parents[2] / "docs" / "masking.md"
SEEKER = Seeker({"email": ["ana@example.com"], "card": ["4929123456"]}, ["ab" * 64])
TABLE = Exposed(
    schema="app",
    name="people",
    view_schema="app_masked",
    shown={"id": "clear", "email": "pseudonym", "born": "generalise"},
    left_out=("note",),
)


def heard(text="", state="", rows=(), **more):
    return Heard(state, [list(row) for row in rows], text, **more)


@pytest.mark.parametrize(
    "value", ["abc", "  ab ", "", "12345", "-1.5", "----", "1,234", "....", "***********"]
)
def test_short_values_and_small_numbers_are_not_distinctive(value):
    assert not distinctive(value)


@pytest.mark.parametrize("value", ["anna", "1999-01-02", "123456", "12.3456", "a@b.c", "Zürich"])
def test_longer_ones_are(value):
    assert distinctive(value)


def test_what_is_shown_or_named_is_no_clue():
    values = ["visible-town", "secret-one", "orders", "secret-one", "secret-two"]
    assert set(chosen(values, "visible-town", "pg_class orders")) == {"secret-one", "secret-two"}


def test_first_rows_frequent_values_and_ends_are_looked_for_first():
    values = [f"value-{n:03}" for n in range(1, 100)] + ["value-050"] * 5 + ["aaaa", "zzzz"]
    first = chosen(values, "", "")[:24]
    assert {"value-001", "value-005", "value-050", "aaaa", "zzzz"} <= set(first)
    assert set(chosen(values, "", "")) == set(values)


@pytest.mark.parametrize(
    "text",
    [
        "x ana@example.com y",
        "ANA@EXAMPLE.COM",
        "\\x" + b"..ana@example.com".hex(),
        b"ana@example.com".hex(),
        "[ " + " ".join(str(one) for one in b"ana@example.com") + " ]",
        "[ 97 110 9\n      7 64 " + " ".join(str(one) for one in b"example.com") + " ]",
        "4929123456",
        "(4929123456,x)",
        "ab" * 16,
    ],
)
def test_a_value_is_found_in_every_form(text):
    assert len(SEEKER.found(text, "")) == 1


@pytest.mark.parametrize("text", ["", "ana@example", "14929123456", "49291234567", "4929.123456"])
def test_nothing_else_is(text):
    assert SEEKER.found(text, "") == []


def test_what_the_statement_says_is_not_found():
    assert SEEKER.found("ana@example.com 4929123456", "… = 'ana@example.com'") == ["card"]


def test_quoted_values_are_found():
    value = 'O\'Hara "A&B" \n x'
    seeker = Seeker({"name": [value]})
    for text in (json.dumps({"n": value}), html.escape(value), value.replace("'", "''")):
        assert seeker.found(text, "") == ["name"]


def test_much_text_is_searched_for_the_first_values_alone():
    seeker = Seeker({"a": [f"value-{n:03}" for n in range(100)]})
    assert seeker.found("value-099", "") == ["a"]
    assert seeker.found("value-001" + "." * 30_000, "") == ["a"]


def test_parts_of_documents_are_values():
    assert parts('{"a": {"b": ["deep-value", null, true]}, "c": 12}') == [
        '{"a": {"b": ["deep-value", null, true]}, "c": 12}',
        "deep-value",
        "12",
    ]
    assert "one tag" in parts('{"one tag",two}')
    assert "Elm Street" in parts('("Elm Street",4)')
    assert parts("plain") == ["plain"]
    assert parts(None) == parts("") == []
    assert parts("[" * 100_000)[0].startswith("[[")


@pytest.mark.parametrize(
    ("expected", "answer", "verdict", "seen"),
    [
        ("refused", heard(state="42501"), "held", False),
        ("refused", heard(state="0A000"), "held", False),
        ("refused", heard(), "leaked", False),
        ("refused", heard(cut=True, state="57014"), "leaked", False),
        ("refused", heard(state="42883"), "untold", False),
        ("refused", heard(state="22012"), "untold", False),
        ("refused", heard(state="57014"), "untold", False),
        ("refused", heard(state="55P03"), "untold", False),
        ("refused", heard(lost="gone"), "untold", False),
        ("nothing", heard(), "held", False),
        ("nothing", heard(rows=[["SELECT"]]), "leaked", False),
        ("nothing", heard(state="22012"), "untold", False),
        ("judged", heard("a row"), "held", True),
        ("judged", heard(state="22P02"), "held", True),
        ("judged", heard(state="42501"), "held", False),
        ("judged", heard(state="42601"), "untold", False),
        ("judged", heard("ana@example.com"), "leaked", False),
        ("judged", heard("ana@example.com", state="22P02"), "leaked", False),
        ("refused", heard("ana@example.com", state="42501"), "leaked", False),
        ("judged", heard("ana@example.com", lost="gone"), "leaked", False),
    ],
)
def test_what_an_answer_means(expected, answer, verdict, seen):
    found = judge(Try("SELECT 1", expected), answer, "SELECT 1", SEEKER)
    assert (found.verdict, found.seen) == (verdict, seen)
    assert "ana@" not in found.why


def test_further_codes_of_a_refusal_are_a_try_s_own():
    attempt = Try("SELECT 1", "refused", ("42883",))
    assert judge(attempt, heard(state="42883"), "", SEEKER).verdict == "held"


def test_a_guess_that_is_found_is_not_said():
    attempt = Try("SELECT x = ANY ({guesses})", "nothing")
    found = judge(attempt, heard(rows=[["ana@example.com"]]), "= 'ana@example.com'", SEEKER)
    assert found.verdict == "leaked"
    assert "ana@" not in found.why
    assert judge(attempt, heard(), "", SEEKER).seen


def test_a_leak_outweighs_what_is_untold_and_that_what_held():
    held, untold, leaked = Judged("held", seen=True), Judged("untold", "u"), Judged("leaked", "l")
    assert outcome("a", "", [held, untold, leaked], NOTHING).verdict == "leaked"
    assert outcome("a", "", [held, untold], NOTHING).why == "u"
    assert outcome("a", "", [held], NOTHING).verdict == "held"
    lacking = Clues({}, ["email"])
    assert outcome("a", "", [held], lacking).verdict == "untold"
    assert "email" in outcome("a", "", [held], lacking).why
    assert outcome("a", "", [Judged("held")], lacking).verdict == "held"


def test_a_column_without_values_is_told_and_its_view_is_judged_by_the_others():
    held = Judged("held", seen=True)
    some = outcome("a", "", [held], Clues({"email": ["ana@example.org"]}, ["vip"]))
    assert some.verdict == "held"
    assert "vip" in some.why
    for rows in (HIDDEN_ROWS, SEEN_ROWS):
        known = Clues({"email": ["ana@example.org"]}, [rows])
        assert outcome("a", "", [held], known).verdict == "untold"


def rows(count):
    return [
        {"id": f"id-{n}-key", "email": f"m{n}@x.example", "born": "1980-01-01", "note": None}
        for n in range(count)
    ]


def test_columns_without_values_are_lacking():
    found = clues(TABLE, rows(3), rows(3), "1980-01-01", "")
    assert list(found.usable) == ["email"]
    assert found.lacking == ["born", "note"]


def test_hidden_rows_are_told_by_what_no_visible_row_has():
    filtered = Exposed(**{**{f: getattr(TABLE, f) for f in TABLE.__struct_fields__}, "filtered": 1})
    some = rows(4)
    some[3]["id"] = some[0]["id"]
    found = clues(filtered, some, some[:1], "", "")
    assert found.usable["rows that the filter hides"] == ["id-1-key", "id-2-key"]
    for visible in (some, None):
        assert "rows that the filter hides" in clues(filtered, some, visible, "", "").lacking


def test_values_and_answers_show_nothing_of_themselves():
    values = Values({("app", "people"): rows(3)}, ["abcd"])
    assert "m1@" not in f"{values!r}{values}{heard('m1@x.example')!r}"
    assert "abcd" not in repr(values)


def test_every_mask_is_known_to_keep_values_and_order_or_not_to():
    strict = {"hash", "null", "pseudonym"}
    assert COARSE | strict | {"clear"} == set(CATALOGUE)


def test_attacks_have_names_of_their_own():
    names = [one.id for one in ATTACKS]
    assert len(set(names)) == len(names)
    assert all(re.fullmatch(r"[a-z]+(-[a-z]+)*", one) for one in names)
    assert all(one.title and one.does and "|" not in one.does for one in ATTACKS)


def test_the_page_lists_every_attack():
    section = PAGE.read_text("utf-8").split("\n## Attacks\n")[1].split("\n## ")[0]
    section = section.split("| attack | what it does |\n")[1]
    listed = re.findall(r"^\| `([a-z-]+)` \| (.+?) \|$", section, re.MULTILINE)
    assert listed == [(one.id, f"{one.title}: {one.does}") for one in ATTACKS]
