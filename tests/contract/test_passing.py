from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
from contract.adapters import PASSING
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chalicelib.kernel.errors import Conflict, KeyUnusable
from chalicelib.kernel.passing import MAX_LASTS_SECONDS, MAX_VERSION
from chalicelib.kernel.sealed import SealedDocuments, SealedPassing
from chalicelib.local.clock import SystemClock

pytestmark = pytest.mark.parametrize("adapter", PASSING)

AT = datetime(2026, 10, 1, 2, 0, tzinfo=UTC)
HOSTILE = [
    "a/%", "a/%b", "a/_", "a/_b", "a/\\", "a/\\%", "a/*", "a/[b]", "a/b", "a/b/", "a/b/c", "a/b0",
    "a/B", "a/ ", "a/'; DROP TABLE passing; --", "a/:k", "a/\u00e9", "a/e\u0301", "a/\U0001f600",
    "a/\uffff", "a/../b", "a/\n", "ab/b", "b/b",
]  # fmt: skip


class Clock:
    def __init__(self):
        self.at = AT

    def now(self):
        return self.at

    def wait(self, **time):
        self.at += timedelta(**time)


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def passing(adapter, tmp_path, clock):
    made = PASSING[adapter](tmp_path, clock)
    yield made
    made.close()


@pytest.fixture
def put(passing):
    return lambda key, value=b"x", expected=0, lasts=60: passing.swap(
        key, expected, value, lasts_seconds=lasts
    )


def listed(passing, prefix, **options):
    return [key for key, _ in passing.list(prefix, **{"limit": 1_000, **options})]


def test_what_was_written_is_there_under_the_version_that_was_told(passing, put):
    assert passing.get("a/b") is None
    version = put("a/b")
    found = passing.get("a/b")
    assert (found.version, found.value) == (version, b"x")
    later = put("a/b", b"", expected=version)
    found = passing.get("a/b")
    assert (found.version, found.value) == (later, b"")
    assert later != version
    assert 1 <= min(version, later) <= max(version, later) <= MAX_VERSION


def test_it_is_there_for_another_process_too(adapter, put, tmp_path, clock):
    version = put("a/b")
    other = PASSING[adapter](tmp_path, clock)
    assert other.get("a/b").version == version
    other.close()


def test_another_version_than_expected_is_a_conflict(passing, put):
    first = put("a/b", b"1")
    second = put("a/b", b"2", expected=first)
    for expected in (0, first, second + 1 if second < MAX_VERSION else 1):
        with pytest.raises(Conflict, match="a/b is no longer at version"):
            put("a/b", b"3", expected=expected)
    assert passing.get("a/b").value == b"2"


def test_what_is_not_there_has_no_version_to_expect(passing, put):
    with pytest.raises(Conflict):
        put("a/b", expected=1)
    assert passing.get("a/b") is None


def test_it_ends_when_it_was_said_and_not_before(passing, put, clock):
    clock.wait(microseconds=1)
    put("a/b", lasts=60)
    clock.wait(seconds=60)
    assert passing.get("a/b") is not None
    assert listed(passing, "a/") == ["a/b"]
    clock.wait(seconds=1)
    assert passing.get("a/b") is None
    assert listed(passing, "a/") == []


def test_the_last_second_is_not_its_own(passing, put, clock):
    put("a/b", lasts=1)
    clock.wait(microseconds=999_999)
    assert passing.get("a/b") is not None
    clock.wait(microseconds=1)
    assert passing.get("a/b") is None


def test_each_write_says_anew_for_how_long(passing, put, clock):
    version = put("a/b", lasts=60)
    clock.wait(seconds=50)
    version = put("a/b", expected=version, lasts=60)
    clock.wait(seconds=50)
    assert passing.get("a/b").version == version
    put("a/b", expected=version, lasts=5)
    clock.wait(seconds=5)
    assert passing.get("a/b") is None


def test_what_has_ended_is_replaced_as_if_it_had_never_been(passing, put, clock):
    first = put("a/b", b"old", lasts=60)
    with pytest.raises(Conflict):
        put("a/b", b"new")
    clock.wait(seconds=60)
    second = put("a/b", b"new")
    assert passing.get("a/b").value == b"new"
    assert second != first


def test_whoever_was_away_for_longer_than_it_lasts_overwrites_nothing(passing, put, clock):
    """Whether somebody took the key since or not."""
    held = put("a/b", b"mine", lasts=60)
    clock.wait(seconds=60)
    with pytest.raises(Conflict):
        put("a/b", b"late", expected=held)
    put("a/b", b"another's")
    with pytest.raises(Conflict):
        put("a/b", b"late", expected=held)
    assert passing.get("a/b").value == b"another's"


def test_bounds_are_kept(passing, put):
    longest = "a/" + "é" * 511
    put(longest, bytes(350_000), lasts=MAX_LASTS_SECONDS)
    assert passing.get(longest).value == bytes(350_000)
    for key in ("", "a", "a/", "/a", "A/b", "é/b", "a b/c", "a/\0", "a/\ud800", longest + "a"):
        assert passing.get(key) is None
        with pytest.raises(ValueError, match="not a key of the form"):
            put(key)
    for what in (
        {"value": bytes(350_001)},
        {"expected": -1},
        {"expected": MAX_VERSION + 1},
        {"lasts": 0},
        {"lasts": -1},
        {"lasts": MAX_LASTS_SECONDS + 1},
    ):
        with pytest.raises(ValueError, match=r"at most|is 0 to|lasts 1 to"):
            put("a/b", **what)
    assert listed(passing, "a/") == [longest]
    for prefix in ("", "a", "A/", "/"):
        with pytest.raises(ValueError, match="starts with a kind"):
            passing.list(prefix, limit=1)
    for limit in (0, -1, 1_001):
        with pytest.raises(ValueError, match="a limit of"):
            passing.list("a/", limit=limit)
    for options in ({"prefix": "a/" + "b" * 1_023}, {"prefix": "a/", "after": "a" * 1_025}):
        with pytest.raises(ValueError, match="no key has more"):
            passing.list(**options, limit=1)
    with pytest.raises(ValueError, match="surrogates"):
        passing.list("a/", after="a/\ud800", limit=1)


def test_keys_are_listed_by_prefix_in_order_whatever_is_in_them(passing, put):
    for key in HOSTILE:
        put(key, key.encode())
    for prefix in [*HOSTILE, "a/", "b/", "c/"]:
        found = passing.list(prefix, limit=1_000)
        assert [key for key, _ in found] == sorted(k for k in HOSTILE if k.startswith(prefix))
        assert all(document.value == key.encode() for key, document in found)


def test_pages_go_on_after_any_key_also_one_that_is_not_there(passing, put):
    for key in HOSTILE:
        put(key)
    for prefix in ("a/", "a/b"):
        under = sorted(k for k in HOSTILE if k.startswith(prefix))
        for after in [*HOSTILE, "", "a", "a/", "a/b\U0010ffff", "a/a", "a/c", "zz", "\0"]:
            expected = [key for key in under if key > after]
            assert listed(passing, prefix, after=after) == expected
            assert listed(passing, prefix, after=after, limit=2) == expected[:2]


def test_a_page_is_full_while_there_are_more_that_last(passing, put, clock):
    for number in range(40):
        put(f"a/{number:02d}", bytes(50_000), lasts=90 if number % 8 == 7 else 30)
    clock.wait(seconds=30)
    last = [f"a/{number:02d}" for number in range(40) if number % 8 == 7]
    assert listed(passing, "a/") == last
    assert listed(passing, "a/", limit=2) == last[:2]
    assert listed(passing, "a/", limit=3, after=last[1]) == last[2:]
    assert listed(passing, "a/", limit=2, after=last[2]) == last[3:]


def test_a_page_has_no_more_than_was_asked_for(passing, put, clock):
    """Also where a store needs two rounds for it, and the second finds more than are lacking."""
    for key, lasts in (("a/1", 60), ("a/2", 30), ("a/3", 60), ("a/4", 60)):
        put(key, lasts=lasts)
    clock.wait(seconds=30)
    assert listed(passing, "a/", limit=2) == ["a/1", "a/3"]


@settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text(st.characters(exclude_categories=("Cs",)), min_size=1, max_size=40), st.binary())
def test_any_key_and_value_are_read_back(passing, put, key, value):
    key = "any/" + key.replace("\0", "0")
    found = passing.get(key)
    put(key, value, expected=0 if found is None else found.version)
    assert passing.get(key).value == value


def test_of_threads_that_claim_a_key_at_once_one_wins(passing, put):
    start = threading.Barrier(6)

    def claim(name):
        won = []
        start.wait(30)
        for number in range(10):
            try:
                put(f"race/{number}", b"%d" % name)
                won.append(number)
            except Conflict:
                continue
        return won

    with ThreadPoolExecutor(6) as pool:
        won = list(pool.map(claim, range(6)))
    assert sorted(number for each in won for number in each) == list(range(10))
    for name, each in enumerate(won):
        assert all(passing.get(f"race/{number}").value == b"%d" % name for number in each)


def test_processes_that_swap_at_once_each_win_once_and_lose_no_update(adapter, race, tmp_path):
    """Also the first: all of them create the store."""
    names = ["a", "b", "c", "d"]
    won = race("passing", adapter, names, 25)
    assert sorted(number for each in won for number in each) == list(range(25))
    passing = PASSING[adapter](tmp_path, SystemClock())
    for name, each in zip(names, won, strict=True):
        assert all(passing.get(f"race/{number:03d}").value == name.encode() for number in each)
    assert passing.get("count/shared").value == b"100"
    passing.close()


@pytest.fixture
def sealed(passing):
    return SealedPassing(passing, b"s" * 32)


def test_what_was_sealed_is_read_by_who_has_the_secret(passing, sealed):
    first = sealed.swap("a/b", 0, b"one", lasts_seconds=60)
    version = sealed.swap("a/b", first, b"two", lasts_seconds=60)
    assert (sealed.get("a/b").version, sealed.get("a/b").value) == (version, b"two")
    assert [(key, one.value) for key, one in sealed.list("a/", limit=9)] == [("a/b", b"two")]
    assert sealed.get("a/c") is None
    assert SealedPassing(passing, b"t" * 32).get("a/b") is None
    sealed.swap("a/most", 0, bytes(350_000 - 32), lasts_seconds=60)
    with pytest.raises(ValueError, match="at most"):
        sealed.swap("a/more", 0, bytes(350_000 - 31), lasts_seconds=60)


@pytest.mark.parametrize(
    "forge",
    [
        lambda value: value[:-1] + b"X",
        lambda value: b"\0" * 32 + value[32:],
        lambda value: value[:5],
        lambda value: b"",
    ],
    ids=["value", "seal", "short", "empty"],
)
def test_what_somebody_else_wrote_is_believed_by_nobody_and_in_nobody_s_way_for_ever(
    passing, sealed, clock, forge
):
    sealed.swap("a/b", 0, b"one", lasts_seconds=60)
    true = passing.get("a/b")
    passing.swap("a/b", true.version, forge(true.value), lasts_seconds=60)
    assert sealed.get("a/b") is None
    assert sealed.list("a/", limit=9) == []
    with pytest.raises(Conflict):  # its request must not happen a second time
        sealed.swap("a/b", 0, b"again", lasts_seconds=60)
    clock.wait(seconds=60)
    sealed.swap("a/b", 0, b"again", lasts_seconds=60)
    assert sealed.get("a/b").value == b"again"


def test_a_document_does_not_stand_for_another(passing, sealed):
    sealed.swap("a/b", 0, b"one", lasts_seconds=60)
    passing.swap("a/c", 0, passing.get("a/b").value, lasts_seconds=60)
    assert sealed.get("a/c") is None


def test_the_seal_of_another_kind_of_document_is_none(passing, sealed):
    """One installation has one secret; what it sealed as a document of the log is no answer."""
    seal = SealedDocuments(None, b"s" * 32)._seal("a/b", b"one")
    passing.swap("a/b", 0, seal + b"one", lasts_seconds=60)
    assert sealed.get("a/b") is None


def test_forged_ones_do_not_hide_those_behind_them(passing, sealed):
    for number in range(9):
        store = passing if number % 4 else sealed
        store.swap(f"a/{number}", 0, b"x" * 40, lasts_seconds=60)
    assert listed(sealed, "a/", limit=2) == ["a/0", "a/4"]
    assert listed(sealed, "a/", limit=2, after="a/4") == ["a/8"]
    assert listed(sealed, "a/", limit=3) == ["a/0", "a/4", "a/8"]


def test_without_a_secret_nothing_is_believed_or_written(passing, sealed):
    sealed.swap("a/b", 0, b"one", lasts_seconds=60)
    bare = SealedPassing(passing, None)
    assert bare.get("a/b") is None
    assert bare.list("a/", limit=9) == []
    with pytest.raises(KeyUnusable, match="no secret"):
        bare.swap("a/c", 0, b"one", lasts_seconds=60)
