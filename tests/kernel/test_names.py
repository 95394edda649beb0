from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.kernel import errors, names
from chalicelib.kernel.clock import parse_timestamp, timestamp
from chalicelib.kernel.errors import HoldfastError, Malformed, UsageError

parts = st.lists(st.text(min_size=1, max_size=6), min_size=1, max_size=3)


@given(parts, parts)
def test_distinct_identifiers_have_distinct_names(one, other):
    assert (names.qualified(*one) == names.qualified(*other)) == (one == other)


@pytest.mark.parametrize(
    ("part", "name"),
    [
        ("orders", "orders"),
        ("_a$1", "_a$1"),
        ("Orders", '"Orders"'),
        ("select", "select"),
        ("a.b", '"a.b"'),
        ('a"b', '"a""b"'),
        ("1a", '"1a"'),
        ("PUBLIC", '"PUBLIC"'),
        ("", '""'),
    ],
)
def test_an_identifier_is_quoted_unless_it_is_plain(part, name):
    assert names.identifier(part) == name


@pytest.mark.parametrize("text", ["orders-prod", "postgres:orders-prod"])
def test_a_target_may_leave_out_its_kind(text):
    assert str(names.target(text)) == "postgres:orders-prod"


@pytest.mark.parametrize(
    "text", ["", ":", "Orders", "a b", "../etc", "a" * 64, "postgres:", "PG:a", "a\n", "-a"]
)
def test_a_name_that_is_none_is_refused(text):
    with pytest.raises(UsageError):
        names.target(text)


@pytest.mark.parametrize("text", ["Ana", " ana ", "ANA", "\uff21\uff2e\uff21", "\u3000ana\t"])
def test_one_person_has_one_name(text):
    assert names.person(text) == "ana"


def test_a_person_may_be_written_in_any_script():
    for name in (
        "\u0905\u0928\u0940\u0924\u093e",
        "\u5c71\u7530 \u592a\u90ce",
        "jos\u00e9 o'neil-smith",
    ):
        assert names.person(name)
    assert names.person("ana  maria") == names.person("Ana Maria")


@pytest.mark.parametrize(
    "text",
    ["", "  ", "a\x00b", "a\u202eb", "x" * 129, "\u200b"]
    + [
        f"ana{ignorable}"
        for ignorable in "\ufe0f\u034f\u115f\u3164\uffa0\u17b5\u180b\u2800\U000e0100\u00ad\u2060"
    ],
)
def test_a_person_has_a_name_that_shows(text):
    with pytest.raises(UsageError):
        names.person(text)


@given(st.datetimes(timezones=st.just(UTC)))
def test_a_timestamp_reads_back(moment):
    assert parse_timestamp(timestamp(moment)) == moment


def test_a_timestamp_is_utc():
    there = datetime(2026, 10, 1, 4, tzinfo=timezone(timedelta(hours=2)))
    assert timestamp(there) == "2026-10-01T02:00:00.000000Z"
    with pytest.raises(ValueError, match="timezone"):
        timestamp(there.replace(tzinfo=None))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "2026-10-01",
        "2026-10-01T02:00:00Z",
        "2026-10-01T02:00:00.1Z",
        "2026-13-01T02:00:00.000000Z",
        "2026-10-01 02:00:00.000000Z",
        "2026-10-01T02:00:00.000000",
        "2026-10-01T02:00:00.000000+00:00",
        "2026-10-01T04:00:00.000000+02:00",
        "0001-01-01T00:00:00.000000+23:59",
        "2026-10-01T24:00:00.000000Z",
        "2026-10-01T02:00:60.000000Z",
        "\u0662026-10-01T02:00:00.000000Z",
        "\ud800",
    ],
)
def test_another_form_of_time_is_malformed(text):
    with pytest.raises(Malformed):
        parse_timestamp(text)


def test_every_error_answers_with_a_documented_exit_code():
    def kinds(kind):
        return {kind}.union(*map(kinds, kind.__subclasses__()))

    for kind in kinds(HoldfastError):
        if not kind.__module__.startswith("chalicelib"):
            continue
        assert kind.exit_code in {1, 2, 3}
        assert kind.__name__ in (errors.__doc__ or "")
    assert UsageError("x").code == "usage_error"
