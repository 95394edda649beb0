from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from evidence.place import Place, draft

from chalicelib.evidence.group import GroupJournal
from chalicelib.kernel.errors import Conflict, StoreUnavailable, UsageError


class Held:
    """A journal whose appends wait until they are let go; counts them."""

    def __init__(self, inner):
        self.inner = inner
        self.appends = []
        self.entered = threading.Event()
        self.free = threading.Event()
        self.error = None

    def __getattr__(self, name):
        return getattr(self.inner, name)

    def append(self, drafts, *, after=None):
        self.appends.append(len(drafts))
        self.entered.set()
        assert self.free.wait(30)
        if self.error is not None:
            raise self.error
        return self.inner.append(drafts, after=after)


@pytest.fixture
def place(tmp_path):
    made = Place(tmp_path / "log")
    yield made
    made.close()


@pytest.fixture
def held(place):
    return Held(place.log)


def start(pool, group, held, count, **options):
    """One append that is under way, and ``count`` that wait for it."""
    first = pool.submit(group.append, [draft(0, "first")], after={"first": 0})
    assert held.entered.wait(30)
    rest = [
        pool.submit(group.append, [draft(n, f"s{n}"), draft(n, f"s{n}")], after={f"s{n}": 0})
        for n in range(count)
    ]
    while len(group._waiting) < count:
        threading.Event().wait(0.001)
    return [first, *rest]


def test_what_gathers_during_an_append_is_one_append(held, place):
    group = GroupJournal(held)
    with ThreadPoolExecutor(16) as pool:
        futures = start(pool, group, held, 9)
        held.free.set()
        answers = [future.result() for future in futures]
    assert held.appends == [1, 18]
    for number, entries in enumerate(answers[1:]):
        assert [(e.record.stream, e.record.seq) for e in entries] == [
            (f"s{number}", 1),
            (f"s{number}", 2),
        ]
    assert sorted(e.index for entries in answers for e in entries) == list(range(19))
    assert not place.fsck().problems


def test_one_whose_stream_went_on_fails_alone(held, place):
    place.append(7, stream="s1")
    group = GroupJournal(held)
    with ThreadPoolExecutor(16) as pool:
        futures = start(pool, group, held, 3)
        held.free.set()
        errors = [future.exception() for future in futures]
    assert [type(error) for error in errors] == [type(None), type(None), Conflict, type(None)]
    assert place.log.size() == 1 + 1 + 4


def test_an_append_of_which_nobody_can_tell_fails_for_all_and_is_not_tried_again(held):
    group = GroupJournal(held)
    with ThreadPoolExecutor(16) as pool:
        futures = start(pool, group, held, 3)
        held.error = StoreUnavailable("no answer")
        held.free.set()
        errors = [future.exception() for future in futures]
    assert [type(error) for error in errors] == [StoreUnavailable] * 4
    assert held.appends == [1, 6]


def test_drafts_that_do_not_say_what_they_come_after_are_appended_alone(held, place):
    held.free.set()
    group = GroupJournal(held)
    group.append([draft(0), draft(1, "other")], after={"other": 0})
    group.append([draft(0)])
    assert held.appends == [2, 1]
    assert [e.index for e in group.read()] == [0, 1, 2]
    assert (group.size(), group.last("scan").seq) == (3, 2)
    assert len(list(group.stream("scan"))) == 2
    assert group.recover().size == 3


def test_two_appends_to_one_stream_follow_each_other(held, place):
    group = GroupJournal(held)
    with ThreadPoolExecutor(16) as pool:
        futures = start(pool, group, held, 2)
        late = pool.submit(group.append, [draft(9, "s0")], after={"s0": 2})
        while len(group._waiting) < 3:
            threading.Event().wait(0.001)
        held.free.set()
        for future in futures:
            future.result()
        error = late.exception()
    # Whichever turn came first: it is appended after the others of its stream, or refused.
    assert place.log.last("s0").seq == (2 if isinstance(error, Conflict) else 3)


def test_threads_that_append_at_once_lose_nothing(place):
    group = GroupJournal(place.log)

    def work(number):
        stream = f"s{number % 7}"
        while True:
            last = group.last(stream)
            try:
                return group.append(
                    [draft(number, stream)], after={stream: last.seq if last else 0}
                )
            except Conflict:
                continue

    with ThreadPoolExecutor(12) as pool:
        entries = [entry for answer in pool.map(work, range(200)) for entry in answer]
    assert sorted(entry.index for entry in entries) == list(range(200))
    assert {entry.body["number"] for entry in group.read()} == set(range(200))
    assert not place.fsck().problems


def test_threads_that_are_expected_are_waited_for(held, place):
    """Nobody holds up a journal on which nobody is expected; who fails is waited for no longer."""
    held.free.set()
    group = GroupJournal(held, gather_seconds=30.0)
    ready = threading.Barrier(4)

    def work(number):
        with group.expected():
            ready.wait(30)
            if number == 0:
                raise StoreUnavailable("failed before it could append")
            return group.append([draft(number, f"s{number}")], after={f"s{number}": 0})

    with ThreadPoolExecutor(4) as pool:
        futures = [pool.submit(work, number) for number in range(4)]
        assert isinstance(futures[0].exception(), StoreUnavailable)
        for future in futures[1:]:
            assert len(future.result()) == 1
    assert held.appends == [3]
    group.append([draft(9, "s9")], after={"s9": 0})
    assert held.appends == [3, 1]


def test_the_wait_for_others_is_bounded(held):
    held.free.set()
    group = GroupJournal(held, gather_seconds=0.01)
    gone = threading.Event()

    def slow():
        with group.expected():
            assert gone.wait(30)

    with ThreadPoolExecutor(1) as pool:
        late = pool.submit(slow)
        while not group._expected:
            threading.Event().wait(0.001)
        group.append([draft(0, "s0")], after={"s0": 0})
        gone.set()
        late.result()
    assert held.appends == [1]


def test_a_draft_that_no_log_can_hold_fails_alone(held, place):
    group = GroupJournal(held)
    with ThreadPoolExecutor(16) as pool:
        futures = start(pool, group, held, 2)
        bad = pool.submit(group.append, [draft(float("nan"), "bad")], after={"bad": 0})
        while len(group._waiting) < 3:
            threading.Event().wait(0.001)
        held.free.set()
        for future in futures:
            future.result()
        assert isinstance(bad.exception(), UsageError)
    assert place.log.size() == 1 + 4


def test_an_append_stays_within_what_one_batch_holds(held, place):
    group = GroupJournal(held)
    large = "x" * 60_000
    with ThreadPoolExecutor(16) as pool:
        first = pool.submit(group.append, [draft(0, "first")], after={"first": 0})
        assert held.entered.wait(30)
        rest = [
            pool.submit(
                group.append, [draft(i, f"s{n}", text=large) for i in range(40)], after={f"s{n}": 0}
            )
            for n in range(4)
        ]
        while len(group._waiting) < 4:
            threading.Event().wait(0.001)
        held.free.set()
        for future in (first, *rest):
            future.result()
    assert held.appends == [1, 40, 40, 40, 40]  # 2.4 MB each


def test_who_was_appended_by_another_thread_does_not_wait_on(held):
    group = GroupJournal(held, gather_seconds=60.0)
    gone = threading.Event()

    def slow():
        with group.expected():
            assert gone.wait(50)

    with ThreadPoolExecutor(4) as pool:
        late = pool.submit(slow)
        while not group._expected:
            threading.Event().wait(0.001)
        waiting = pool.submit(group.append, [draft(1, "s1")], after={"s1": 0})
        while not group._waiting:
            threading.Event().wait(0.001)
        held.free.set()
        [job] = group._waiting
        group._run(group._take(job))  # as another thread whose turn it is
        assert len(waiting.result(30)) == 1
        gone.set()
        late.result()
