"""Receivers: in order, at least once, each at its own pace, and none for ever behind one record."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from support.memory import MemoryDocuments

from chalicelib.access import receiver, state
from chalicelib.access.receiver import (
    KEEP_EVERY,
    KEYS,
    LAST_PAUSE_SECONDS,
    MAX_ATTEMPTS,
    MAX_RECORDS,
    Books,
    pause_seconds,
    tell,
    tell_all,
)
from chalicelib.kernel.clock import timestamp
from chalicelib.kernel.errors import Conflict, CouldNotTell, NotAllowed, StoreUnavailable
from chalicelib.kernel.record import Actor, Entry, Last, Record
from chalicelib.kernel.store import Write

ORDERS, OTHER = "access:orders", "access:other"


class Clock:
    at = datetime(2026, 10, 1, 2, tzinfo=UTC)

    def now(self):
        return self.at

    def pass_(self, seconds):
        self.at += timedelta(seconds=seconds)


class Journal:
    """Records by streams; ``asked``: (stream, start, near) of each reading."""

    def __init__(self, clock):
        self.clock, self.entries, self.asked = clock, [], []

    def add(self, kind=state.REQUESTED, stream=ORDERS, request="orders.abcdefghijkm", **body):
        seq = 1 + sum(one.record.stream == stream for one in self.entries)
        body = {"request": request, **body}
        record = Record(
            v=1,
            kind=kind,
            stream=stream,
            seq=seq,
            at=timestamp(self.clock.now()),
            actor=Actor("ana", "os"),
            tool="t",
            body=body,
        )
        self.entries.append(Entry(len(self.entries), b"", record, body))

    def size(self):
        return len(self.entries)

    def last(self, stream):
        found = [one for one in self.entries if one.record.stream == stream]
        return Last(found[-1].record.seq, "") if found else None

    def stream(self, name, start=1, near=0):
        self.asked.append((name, start, near))
        for one in self.entries:
            if one.record.stream == name and one.record.seq >= start:
                assert one.index >= near
                yield one


class Somebody:
    """A receiver; ``answers``: what it raises, one a notice, and then nothing."""

    def __init__(self, name="somebody", kinds=()):
        self.name, self.kinds = name, frozenset(kinds)
        self.taken, self.asked, self.answers = [], [], []

    def tell(self, one):
        self.asked.append(one.record)
        answer = self.answers.pop(0) if self.answers else None
        if answer is not None:
            raise answer
        self.taken.append(one.record)


def down(times=1):
    return [CouldNotTell("down")] * times


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def journal(clock):
    return Journal(clock)


@pytest.fixture
def books(journal, clock):
    targets = {ORDERS: "postgres:orders", OTHER: "sts:other"}
    return Books(journal, MemoryDocuments(), clock, "example.org/log", targets, lambda *_: None)


@pytest.fixture
def somebody(books):
    one = Somebody()
    tell(one, books)
    return one


def test_a_new_receiver_is_told_what_comes_and_not_what_was(journal, books):
    journal.add()
    one = Somebody()
    assert tell(one, books).told == 0
    journal.add()
    assert tell(one, books).told == 1
    assert one.taken == [1]
    assert journal.asked == [(ORDERS, 2, 1)], "and it is not read from the beginning"


def test_each_stream_is_told_in_order_and_once(journal, books, somebody):
    for stream in (ORDERS, OTHER, ORDERS):
        journal.add(stream=stream)
    assert tell(somebody, books).told == 3
    assert tell(somebody, books).told == 0
    assert somebody.taken == [0, 2, 1]


def test_a_target_that_was_added_is_told_from_its_first_record(journal, books, somebody):
    journal.add(stream="access:new")
    books = books._replace(targets={**books.targets, "access:new": "postgres:new"})
    assert tell(somebody, books).told == 1


def test_where_nothing_happened_nothing_is_read_or_written(journal, books, somebody):
    version = next(iter(books.documents.list(KEYS)))[1].version
    tell(somebody, books)
    assert journal.asked == []
    assert next(iter(books.documents.list(KEYS)))[1].version == version


def test_kinds_that_it_does_not_want_are_passed_over(journal, books):
    one = Somebody(kinds=[state.UNENDED])
    tell(one, books)
    for kind in (state.REQUESTED, state.UNENDED, "scan"):
        journal.add(kind)
    assert tell(one, books).told == 1
    assert one.taken == [1]


def test_what_is_not_taken_is_told_again_after_a_pause(journal, books, somebody, clock):
    for _ in range(3):
        journal.add()
    somebody.answers = [None, *down()]
    first = tell(somebody, books)
    assert (first.told, somebody.taken, somebody.asked) == (1, [0], [0, 1])
    assert isinstance(first.error, CouldNotTell)
    assert first.waits_until == timestamp(clock.now() + timedelta(seconds=10))
    clock.pass_(9)
    assert tell(somebody, books).waits_until == first.waits_until
    assert somebody.asked == [0, 1]
    clock.pass_(1)
    assert tell(somebody, books).told == 2
    assert somebody.taken == [0, 1, 2]


def test_pauses_grow_to_an_hour_and_end_when_it_takes_one(journal, books, somebody, clock):
    journal.add()
    somebody.answers = down(12)
    pauses = []
    for _ in range(12):
        before = clock.now()
        until = tell(somebody, books).waits_until
        clock.pass_(LAST_PAUSE_SECONDS)
        pauses.append((datetime.fromisoformat(until) - before).total_seconds())
    assert pauses == [10, 20, 40, 80, 160, 320, 640, 1_280, 2_560, 3_600, 3_600, 3_600]
    journal.add()
    somebody.answers = [None, *down()]
    assert tell(somebody, books).waits_until == timestamp(clock.now() + timedelta(seconds=10))
    assert pause_seconds(10_000) == LAST_PAUSE_SECONDS


def test_one_that_is_down_holds_no_other_up(journal, books, somebody):
    other = Somebody("other")
    tell(other, books)
    journal.add()
    somebody.answers = down(5)
    assert [one.told for one in tell_all([somebody, other], books)] == [0, 1]


def test_receivers_are_told_as_whoever_calls_wants(books):
    ran = []

    def backwards(call, many):
        for one in reversed(many):
            ran.append(one.name)
            yield call(one)

    found = tell_all([Somebody("a"), Somebody("b")], books, backwards)
    assert ran == ["b", "a"] == [one.receiver for one in found]


def test_what_is_refused_for_good_is_given_up_and_said(journal, books, somebody):
    for _ in range(3):
        journal.add()
    somebody.answers = [None, NotAllowed("too large")]
    found = tell(somebody, books)
    assert (found.told, found.given_up) == (2, ("example.org/log/1",))
    assert isinstance(found.error, NotAllowed)
    assert found.waits_until == ""
    assert tell(somebody, books).told == 0


def test_one_record_does_not_keep_all_others_for_ever(journal, books, somebody, clock):
    journal.add()
    journal.add()
    somebody.answers = down(MAX_ATTEMPTS)
    for attempt in range(1, MAX_ATTEMPTS + 1):
        found = tell(somebody, books)
        assert (found.given_up != ()) == (attempt == MAX_ATTEMPTS)
        assert found.waits_until
        clock.pass_(LAST_PAUSE_SECONDS)
    assert found.given_up == ("example.org/log/0",)
    somebody.answers = down(MAX_ATTEMPTS - 1)
    for _ in range(MAX_ATTEMPTS - 1):
        assert tell(somebody, books).given_up == (), "the next one has all of its attempts"
        clock.pass_(LAST_PAUSE_SECONDS)
    assert tell(somebody, books).told == 1
    assert somebody.taken == [1]


def test_a_crash_tells_some_again_and_none_never(journal, books, somebody):
    for _ in range(KEEP_EVERY + 5):
        journal.add()
    somebody.answers = [None] * (KEEP_EVERY + 2) + [KeyboardInterrupt()]
    with pytest.raises(KeyboardInterrupt):
        tell(somebody, books)
    tell(somebody, books)
    assert somebody.taken[: KEEP_EVERY + 2] == list(range(KEEP_EVERY + 2))
    assert somebody.taken[KEEP_EVERY + 2 :] == list(range(KEEP_EVERY, KEEP_EVERY + 5))


def test_one_go_is_bounded(journal, books, somebody):
    for _ in range(MAX_RECORDS + 1):
        journal.add()
    assert tell(somebody, books).told == MAX_RECORDS
    assert tell(somebody, books).told == 1


def test_two_at_once_are_told_twice_at_most(journal, books, somebody):
    journal.add()

    def other(_one):
        somebody.tell = lambda one: somebody.taken.append(one.record)
        assert tell(somebody, books).told == 1
        somebody.taken.append(0)

    somebody.tell = other
    assert isinstance(tell(somebody, books).error, Conflict)
    assert somebody.taken == [0, 0]
    assert tell(somebody, books).told == 0


@pytest.mark.parametrize(
    "value", [b"", b"{}", b'{"streams":{},"v":1,"x":2}', b'{"streams":{},"waits_until":"soon"}']
)
def test_a_cursor_that_cannot_be_read_begins_anew(journal, books, somebody, value):
    key, found = next(iter(books.documents.list(KEYS)))
    books.documents.swap([Write(key, found.version, value)])
    journal.add()
    assert tell(somebody, books).told == 0
    journal.add()
    assert tell(somebody, books).told == 1


def test_storage_that_fails_is_said_for_each_receiver(books, journal):
    class Broken(MemoryDocuments):
        def get(self, key):
            raise StoreUnavailable("down")

    [found] = tell_all([Somebody()], books._replace(documents=Broken()))
    assert isinstance(found.error, StoreUnavailable)


def test_names_of_receivers_are_not_in_keys(books):
    tell(Somebody("webhook with / and \0"), books)
    [(key, _)] = books.documents.list(receiver.KEYS)
    assert key.removeprefix(KEYS).isalnum()
