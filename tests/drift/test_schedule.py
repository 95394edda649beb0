"""Invariant: for every target and tick there is one record, however often an order is delivered."""

from __future__ import annotations

from datetime import timedelta

import pytest
from support.desk import ANA, BEN, CHLOE, START, make_desk, propose_state, quiet

from chalicelib.drift import approval, decide, schedule, state
from chalicelib.drift.desk import Target
from chalicelib.drift.outcome import Outcome
from chalicelib.drift.scan import scan
from chalicelib.drift.schedule import Order
from chalicelib.evidence import layout
from chalicelib.kernel import canon
from chalicelib.kernel.clock import timestamp
from chalicelib.kernel.errors import (
    Busy,
    Conflict,
    Fork,
    Malformed,
    NotAllowed,
    StoreUnavailable,
    Unreachable,
)
from chalicelib.kernel.store import Write
from chalicelib.local.lock import FileLocks

TARGET = Target(slug="orders", env="prod", approvals=1)
PERIOD = timedelta(minutes=15)


@pytest.fixture
def signed(desk, source):
    propose_state(desk, TARGET, source, actor=ANA)
    approval.approve(desk, TARGET, actor=BEN)
    return source


def order(tick=0):
    at = START + tick * PERIOD
    return Order(1, "postgres:orders", timestamp(at), timestamp(at + PERIOD))


def work(desk, source, tick=0):
    return schedule.work(desk, TARGET, order(tick), source, actor=CHLOE, progress=quiet)


def records(desk):
    return [
        (e.record.kind, e.body["scheduled_at"], e.body.get("outcome"))
        for e in desk.journal.stream("postgres:orders")
        if e.record.kind in {state.SCAN, state.MISSED}
    ]


def test_an_order_is_scanned_and_recorded_with_its_time(desk, signed):
    done = work(desk, signed)
    assert (done.outcome, done.repeated) == (Outcome.CLEAN, False)
    assert records(desk) == [("scan", order().scheduled_at, "clean")]


def test_an_order_delivered_again_is_not_recorded_again(desk, signed):
    signed.put("table", "public.orders", owner="eve", row_security=True)
    first = work(desk, signed)
    signed.error = Unreachable("must not be read again")
    again = work(desk, signed)
    assert again.repeated
    assert (again.outcome, again.entries) == (first.outcome, first.entries)
    assert [e.record.kind for e in again.entries] == ["finding.opened", "scan"]
    assert len(records(desk)) == 1


def test_an_order_again_after_later_ones_tells_nothing_twice(desk, signed, clock):
    signed.put("table", "public.orders", owner="eve", row_security=True)
    work(desk, signed)
    clock.moment += PERIOD
    work(desk, signed, 1)
    again = work(desk, signed, 0)
    assert again.repeated
    assert [e.body["scheduled_at"] for e in again.entries if e.record.kind == "scan"] == [
        order(0).scheduled_at
    ]
    assert len(records(desk)) == 2


def test_an_order_older_than_what_is_remembered_is_not_recorded_again(desk, signed, clock):
    for tick in range(20):
        clock.moment = max(clock.moment, START + tick * PERIOD)
        work(desk, signed, tick)
    size = desk.journal.size()
    done = work(desk, signed, 1)
    assert (done.outcome, done.repeated) == (Outcome.CLEAN, True)
    assert desk.journal.size() == size
    older = Order(1, "postgres:orders", timestamp(START - PERIOD), timestamp(START))
    done = schedule.work(desk, TARGET, older, signed, actor=CHLOE, progress=quiet)
    assert (done.outcome, done.repeated) == (None, False)


def test_findings_are_told_although_a_scan_of_another_kind_came_between(desk, signed, clock):
    """The worker died before it told; somebody scanned by hand; the order comes again."""
    signed.put("table", "public.orders", owner="eve", row_security=True)
    first = work(desk, signed)
    scan(desk, TARGET, signed, actor=ANA, progress=quiet)
    again = work(desk, signed)
    assert schedule.events(again, "log") == schedule.events(first, "log") != []


class Dying:
    """A journal that dies after the first of a scan's appends."""

    def __init__(self, inner):
        self.inner = inner

    def __getattr__(self, name):
        return getattr(self.inner, name)

    def append(self, drafts, *, after=None):
        self.inner.append(drafts[:1_000], after=after)
        raise StoreUnavailable("killed")


def test_findings_of_a_scan_that_died_between_two_appends_are_told(desk, signed):
    for number in range(1_200):
        signed.put("table", f"public.t{number}", owner="app")
    fields = {name: getattr(desk, name) for name in desk.__slots__}
    with pytest.raises(StoreUnavailable):
        work(type(desk)(**{**fields, "journal": Dying(desk.journal)}), signed)
    done = work(desk, signed)
    assert len(schedule.events(done, "log")) == 1_200
    assert schedule.events(work(desk, signed), "log") == schedule.events(done, "log")


def test_beyond_its_deadline_nothing_is_read_and_the_target_is_unknown(desk, signed, clock):
    clock.moment += PERIOD
    done = work(desk, signed)
    assert done.outcome is Outcome.UNKNOWN
    now = desk.states.get("postgres:orders")
    [note] = now.findings.values()
    assert (note.kind, note.operation) == ("coverage", "unreadable")
    assert now.last_scan.snapshot == ""
    [entry] = done.entries[-1:]
    assert entry.body["failure"]["code"] == "overdue"
    assert "its turn came after its deadline" in entry.body["failure"]["message"]
    work(desk, signed, 1)
    assert not desk.states.get("postgres:orders").findings


def test_an_order_that_no_worker_finished_makes_the_target_unknown(desk, signed):
    done = work(desk, schedule.overdue(TARGET, order(), "three workers ended"))
    assert (done.outcome, records(desk)) == (
        Outcome.UNKNOWN,
        [("scan", order().scheduled_at, "unknown")],
    )


def test_an_order_older_than_what_is_recorded_was_missed(desk, signed, clock):
    clock.moment += 2 * PERIOD
    work(desk, signed, 2)
    done = work(desk, signed, 1)
    assert (done.outcome, done.repeated) == (None, False)
    assert records(desk)[-1] == ("scan.missed", order(1).scheduled_at, None)
    assert work(desk, signed, 1).repeated
    assert desk.states.get("postgres:orders").last_scan.outcome == "clean"
    again = work(desk, signed, 1)
    assert (again.repeated, again.entries) == (True, done.entries)
    [event] = schedule.events(done, "log")
    assert (event.type, event.detail["target"]) == ("scan failed", "postgres:orders")


def test_why_there_is_no_source_is_recorded(desk, signed):
    done = work(desk, Unreachable("its secret is gone"))
    assert done.outcome is Outcome.UNKNOWN
    assert done.entries[-1].body["failure"]["message"] == "its secret is gone"


class Racing:
    """A journal in front of which somebody else appends first."""

    def __init__(self, inner, before):
        self.inner = inner
        self.before = before

    def __getattr__(self, name):
        return getattr(self.inner, name)

    def append(self, drafts, *, after=None):
        before, self.before = self.before, lambda: None
        before()
        return self.inner.append(drafts, after=after)


def racing(desk, before):
    fields = {name: getattr(desk, name) for name in desk.__slots__}
    return type(desk)(**{**fields, "journal": Racing(desk.journal, before)})


def test_two_workers_with_one_order_record_it_once(desk, signed, tmp_path, clock):
    """Also where the lock does not hold them apart, as after a pause longer than its lease."""
    fields = {name: getattr(desk, name) for name in desk.__slots__}
    unlocked = type(desk)(**{**fields, "locks": FileLocks(tmp_path / "elsewhere", clock=clock)})
    with pytest.raises(Conflict):
        work(racing(desk, lambda: work(unlocked, signed)), signed)
    assert len(records(desk)) == 1
    assert work(desk, signed).repeated


def test_a_decision_during_a_scan_is_heeded_and_not_a_failure(desk, signed, clock):
    signed.put("table", "public.orders", owner="eve", row_security=True)
    result = scan(desk, TARGET, signed, actor=CHLOE, progress=quiet)
    [(finding, _)] = result.findings

    def suppress():
        decide.suppress(
            desk,
            TARGET,
            [finding.id],
            until=(START + timedelta(days=3)).date(),
            reason="INC-481",
            actor=ANA,
        )

    done = work(racing(desk, suppress), signed)
    assert done.outcome is Outcome.CLEAN
    assert done.entries[-1].body["findings"] == [[finding.id, "suppressed"]]


def test_a_held_target_is_for_later(desk, signed, tmp_path, clock):
    with make_desk(tmp_path, clock).locks.hold(TARGET.lock), pytest.raises(Busy):
        work(desk, signed)
    assert records(desk) == []


# Orders


def test_an_order_is_read_back():
    assert schedule.decode(schedule.encode(order())) == order()


@pytest.mark.parametrize(
    "edit",
    [
        {"v": 2},
        {"target": "Orders"},
        {"target": "postgres:../x"},
        {"scheduled_at": "2026-10-01"},
        {"deadline_at": timestamp(START)},
        {"deadline_at": timestamp(START + timedelta(days=3))},
        {"more": 1},
        {"target": "postgres:" + "x" * 2_000},
    ],
    ids="-".join,
)
def test_what_is_no_order_is_refused(edit):
    data = canon.encode(
        {"v": 1, "target": "postgres:orders"}
        | {"scheduled_at": order().scheduled_at, "deadline_at": order().deadline_at}
        | edit
    )
    with pytest.raises(Malformed):
        schedule.decode(data)


# Dispatch


class Sent:
    def __init__(self):
        self.messages = []
        self.error = None

    def send(self, messages):
        if self.error is not None:
            raise self.error
        self.messages += messages


def dispatch(desk, queue, tick=0, slugs=("b", "a")):
    desk.clock.moment = max(desk.clock.moment, START + tick * PERIOD)
    return schedule.dispatch(
        desk,
        [Target(slug=slug) for slug in slugs],
        queue,
        scheduled_at=START + tick * PERIOD,
        period=PERIOD,
        actor=CHLOE,
        settings_sha256="0" * 64,
    )


def dispatched(desk):
    return [e.body for e in desk.journal.stream("schedule")]


def test_a_tick_sends_one_order_a_target_and_records_which_were_due(desk):
    queue = Sent()
    assert dispatch(desk, queue) == 2
    assert [one.group for one in queue.messages] == ["postgres:a", "postgres:b"]
    assert len({one.dedup for one in queue.messages}) == 2
    assert schedule.decode(queue.messages[0].body) == Order(
        1, "postgres:a", timestamp(START), timestamp(START + PERIOD)
    )
    [body] = dispatched(desk)
    assert (body["targets"], body["scheduled_at"]) == (2, timestamp(START))
    assert body["targets_sha256"] == canon.sha256(canon.encode(["postgres:a", "postgres:b"]))


def test_a_tick_that_comes_twice_sends_the_same_and_is_recorded_once(desk):
    queue = Sent()
    dispatch(desk, queue)
    dispatch(desk, queue)
    assert queue.messages[:2] == queue.messages[2:]
    assert len(dispatched(desk)) == 1
    dispatch(desk, queue, 1)
    assert queue.messages[0].dedup != queue.messages[-2].dedup
    assert len(dispatched(desk)) == 2


def test_a_tick_that_comes_twice_at_once_is_recorded_once(desk):
    first = racing(desk, lambda: dispatch(desk, Sent()))
    dispatch(first, Sent())
    assert len(dispatched(desk)) == 1


def test_a_tick_that_could_not_be_sent_is_not_recorded(desk):
    queue = Sent()
    queue.error = StoreUnavailable("no queue")
    with pytest.raises(StoreUnavailable):
        dispatch(desk, queue)
    assert dispatched(desk) == []


def test_a_tick_that_is_yet_to_come_is_refused_before_it_makes_others_late(desk, signed):
    ahead = START + timedelta(minutes=20)
    early = Order(1, "postgres:orders", timestamp(ahead), timestamp(ahead + PERIOD))
    with pytest.raises(NotAllowed, match="ahead"):
        schedule.work(desk, TARGET, early, signed, actor=CHLOE, progress=quiet)
    with pytest.raises(NotAllowed, match="ahead"):
        schedule.dispatch(
            desk,
            [TARGET],
            Sent(),
            scheduled_at=ahead,
            period=PERIOD,
            actor=CHLOE,
            settings_sha256="0" * 64,
        )
    assert dispatched(desk) == records(desk) == []
    assert work(desk, signed).outcome is Outcome.CLEAN


# Events


def test_the_world_is_told_what_came_and_went_once(desk, signed, clock):
    signed.put("table", "public.orders", owner="eve", row_security=True)
    [opened] = schedule.events(work(desk, signed), "log.example")
    assert opened.type == "finding opened"
    assert set(opened.detail) == {
        *("target", "finding", "severity", "direction", "title", "record", "at", "log")
    }
    clock.moment += PERIOD
    assert schedule.events(work(desk, signed, 1), "log.example") == []
    signed.put("table", "public.orders", owner="app", row_security=True)
    clock.moment += PERIOD
    [closed] = schedule.events(work(desk, signed, 2), "log.example")
    assert (closed.type, closed.detail["finding"]) == ("finding closed", opened.detail["finding"])
    [again] = schedule.events(work(desk, signed, 2), "log.example")
    assert again == closed


# The head of a stream put back


def put_back(desk, clock, key, document):
    """An enemy with write access to the documents, and no secret, replays an older one."""
    documents = desk.journal._documents
    now = documents.get(key)
    documents.swap([Write(key, now.version, document.value)])


@pytest.mark.parametrize("cached", [True, False])
def test_an_older_head_put_back_is_noticed_before_anything_is_decided(
    desk, signed, tmp_path, clock, cached
):
    key = layout.head("postgres:orders")
    older = desk.journal._documents.get(key)
    work(desk, signed)
    size = desk.journal.size()
    put_back(desk, clock, key, older)
    if not cached:
        for path in (tmp_path / "derived" / "state").rglob("*"):
            if path.is_file():
                path.unlink()
    clock.moment += PERIOD
    for decide_on_it in (
        lambda: work(desk, signed, 1),
        lambda: scan(desk, TARGET, signed, actor=CHLOE, progress=quiet),
        lambda: approval.finish(desk, TARGET, ANA),
    ):
        with pytest.raises(Fork, match="an older head was put back"):
            decide_on_it()
    assert desk.journal.size() == size
