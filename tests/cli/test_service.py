"""The service's loop, a step at a time: a clock, threads and a bell that the test moves."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from support.desk import MemorySource, make_desk

from chalicelib.cli import ticks
from chalicelib.cli.bell import ThreadBell
from chalicelib.cli.installation import Installation
from chalicelib.cli.service import GRACE_SECONDS, MAX_WAIT_SECONDS, Service
from chalicelib.drift import approval, schedule
from chalicelib.drift.desk import Target
from chalicelib.drift.look import look
from chalicelib.drift.schedule import Message
from chalicelib.drift.snapshot import Object
from chalicelib.kernel.clock import timestamp
from chalicelib.kernel.errors import (
    Busy,
    ConfigError,
    CouldNotTell,
    Fork,
    StoreUnavailable,
    Unreachable,
)
from chalicelib.kernel.record import Actor
from chalicelib.local.queue import SqliteQueue

NOON = datetime(2026, 10, 1, 12, 0, tzinfo=UTC)
PERIOD = timedelta(minutes=15)
LIMIT = 2_000  # steps of one run


class Clock:
    moment = NOON

    def now(self):
        return self.moment


class World:
    """An installation of targets in memory, and a service over it."""

    def __init__(self, root):
        self.clock = Clock()
        self.desk = make_desk(root, self.clock)
        self.orders = SqliteQueue(root / "queue.db", self.clock)
        self.targets, self.sources, self.places = {}, {}, {}
        self.lines, self.opened, self.pending = [], [], []
        self.inline = True
        self.most_at_once = 0
        self.on_wait = lambda: None
        self.emit = self.lines.append
        self.desk_now = self.desk

    def add(self, *slugs, place=""):
        for slug in slugs:
            target = Target(slug)
            self.targets[target.stream] = target
            self.sources[target.stream] = MemorySource(self.clock, [Object("table", slug, {})])
            if place:
                self.places[target.stream] = place

    def installation(self):
        return Installation(
            desk=self.desk_now,
            targets=dict(self.targets),
            places=self.places,
            open_source=self.open,
            settings_sha256="0" * 64,
        )

    def open(self, target, seconds):
        self.opened.append((target.stream, self.clock.now(), seconds))
        found = self.sources[target.stream]
        if isinstance(found, Exception):
            raise found
        return found

    def service(self, **options):
        options = {"workers": 4, "per_place": 2, "period": PERIOD, **options}
        return Service(
            installation=self.installation,
            orders=self.orders,
            clock=self.clock,
            bell=self,
            emit=self.emit,
            jitter=lambda: 1.0,
            actor=Actor("serve", "os"),
            spawn=self.spawn,
            **options,
        )

    def spawn(self, work):
        if self.inline:
            work()
            return
        self.pending.append(work)
        self.most_at_once = max(self.most_at_once, len(self.pending))

    def ring(self):
        """Nobody waits."""

    def wait(self, seconds):
        assert len(self.steps) < LIMIT
        self.steps.append(seconds)
        self.on_wait()
        if self.pending:
            self.pending.pop(0)()
        else:
            self.clock.moment += timedelta(seconds=seconds)

    def run(self, *, until=None, **options):
        """A run up to a moment, or of one tick."""
        self.steps = []
        self.lines.clear()
        service = self.service(once=until is None, **options)

        def stop():
            if until is not None and self.clock.now() >= until:
                service.stop()

        self.on_wait = stop
        return service.run()

    def said(self, event):
        return [line for line in self.lines if line["event"] == event]

    def records(self, slug):
        return list(self.desk.journal.stream(f"postgres:{slug}"))

    def ticks(self, slug):
        return [
            one.body["scheduled_at"] for one in self.records(slug) if "scheduled_at" in one.body
        ]


@pytest.fixture
def world(tmp_path):
    made = World(tmp_path)
    yield made
    made.orders.close()


def at(minutes):
    return timestamp(NOON + timedelta(minutes=minutes))


def test_each_target_is_scanned_once_a_tick(world):
    world.add("a", "b", "c")
    assert world.run(until=NOON + timedelta(minutes=40)) == 0
    for slug in "abc":
        assert world.ticks(slug) == [at(0), at(15), at(30)]
    assert [line["scheduled_at"] for line in world.said("dispatched")] == [at(0), at(15), at(30)]
    assert len(world.said("scan")) == 9
    assert not any(line["repeated"] for line in world.said("scan"))


def test_a_restart_within_a_tick_scans_nothing_again(world):
    world.add("a")
    world.clock.moment += timedelta(minutes=3)
    assert world.run() == 3
    world.clock.moment += timedelta(minutes=6)
    assert world.run() == 3, "what was recorded is the answer, not that nothing was left to do"
    assert world.lines == [
        {"event": "recorded", "scheduled_at": at(0), "scans": 0, "outcomes": {"unknown": 1}}
    ]
    world.clock.moment += timedelta(minutes=6)
    assert world.run() == 3
    assert world.ticks("a") == [at(0), at(15)]


def sign(world, slug):
    """A baseline of what is there now."""
    target = world.targets[f"postgres:{slug}"]
    seen = look(world.sources[target.stream], lambda *_: None)
    approval.propose(
        world.desk,
        target,
        seen.snapshot,
        identity=seen.reading.identity,
        read_at=seen.reading.read_at,
        actor=Actor("ana", "os"),
    )
    approval.approve(world.desk, target, actor=Actor("ben", "os"))


def change(world, slug):
    objects = [Object("table", slug, {}), Object("table", "more", {})]
    world.sources[f"postgres:{slug}"] = MemorySource(world.clock, objects)


def test_a_tick_recorded_before_answers_with_what_is_recorded(world):
    world.add("a", "b")
    sign(world, "a")
    sign(world, "b")
    assert world.run() == 0
    assert world.run() == 0
    assert world.said("recorded")[0]["outcomes"] == {"clean": 2}
    world.clock.moment += PERIOD
    change(world, "b")
    assert world.run() == 1
    assert world.said("recorded") == []
    assert world.run() == 1
    assert world.said("scan") == []
    assert world.said("recorded")[0]["outcomes"] == {"clean": 1, "drift": 1}


def test_a_target_without_a_record_of_the_tick_is_unknown(world):
    world.add("a")
    sign(world, "a")
    assert world.run() == 0
    world.add("b")
    assert world.run() == 3
    assert world.said("recorded")[0]["outcomes"] == {"clean": 1, "not scanned": 1}


def test_a_tick_older_than_the_newest_answers_with_the_last_scans(world):
    world.add("a", "b")
    sign(world, "a")
    sign(world, "b")
    world.clock.moment = NOON + timedelta(minutes=45)
    change(world, "b")
    assert world.run() == 1
    hour = timedelta(hours=1)
    assert world.run(period=hour) == 1
    assert world.said("recorded") == [
        {
            "event": "recorded",
            "scheduled_at": at(0),
            "scans": 0,
            "newest": at(45),
            "outcomes": {"clean": 1, "drift": 1},
        }
    ]
    later = ticks.outcomes(world.desk, ["postgres:a"], at(46), exact=False)
    assert later == {"not scanned": 1}, "what was scanned before the tick says nothing of it"
    world.add("c")
    del world.targets["postgres:b"]
    assert world.run(period=hour) == 3
    assert world.said("recorded")[0]["outcomes"] == {"clean": 1, "not scanned": 1}


def test_a_tick_that_was_missed_is_unknown(world):
    world.add("a")
    sign(world, "a")
    world.run(until=NOON)
    with_missed = world.targets["postgres:a"]
    order = schedule.Order(1, with_missed.stream, at(-15), at(0))
    schedule.work(
        world.desk,
        with_missed,
        order,
        world.sources[with_missed.stream],
        actor=Actor("x", "os"),
        progress=lambda *_: None,
    )
    found = ticks.outcomes(world.desk, [with_missed.stream], at(-15), exact=True)
    assert found == {"missed": 1}
    assert ticks.exit_codes(found) == {3}


def test_one_tick_that_is_stopped_answers_for_what_was_not_scanned(world):
    world.inline = False
    world.add("a", "b")
    sign(world, "a")
    sign(world, "b")
    world.steps = []
    service = world.service(once=True, workers=1)
    world.on_wait = service.stop
    assert service.run() == 3
    assert len(world.said("stopping")) == 1


def test_what_is_under_way_is_told_at_the_start_and_when_it_stops(world):
    world.add("a")
    world.run(until=NOON)
    assert world.lines[0] == {
        "event": "started",
        "targets": 1,
        "period_seconds": 900,
        "next_tick": at(15),
        "workers": 4,
    }
    assert world.said("stopping") == [{"event": "stopping", "scans": 0, "seconds": 60}]


def test_a_scan_says_why_it_is_unknown_and_a_closed_finding_what_it_was(world):
    world.add("a")
    sign(world, "a")
    change(world, "a")
    world.run()
    [opened] = world.said("finding opened")
    world.sources["postgres:a"] = Unreachable("away")
    world.clock.moment += PERIOD
    world.run()
    assert world.said("scan")[0]["failure"] == {"code": "unreachable", "message": "away"}
    world.clock.moment += PERIOD
    world.sources["postgres:a"] = MemorySource(world.clock, [Object("table", "a", {})])
    world.run()
    closed = {line["finding"]: line["title"] for line in world.said("finding closed")}
    assert closed[opened["finding"]] == opened["title"]


def test_of_ticks_that_were_slept_through_only_the_newest_is_dispatched(world):
    world.add("a")
    world.run()
    world.clock.moment = NOON + timedelta(minutes=100)
    world.run()
    assert world.ticks("a") == [at(0), at(90)]
    assert world.said("dispatched")[0]["unobserved_since"] == at(0)
    world.clock.moment = NOON + timedelta(minutes=105)
    world.run()
    assert "unobserved_since" not in world.said("dispatched")[0]


def test_a_tick_found_late_gives_its_targets_a_whole_period(world):
    world.add("a")
    world.clock.moment = NOON + timedelta(minutes=14, seconds=59)
    world.run()
    assert [seconds for _, _, seconds in world.opened] == [900]
    world.clock.moment = NOON + timedelta(minutes=16)
    world.run()
    assert [seconds for _, _, seconds in world.opened] == [900, 840]


def test_the_worst_outcome_is_the_answer_of_one_tick_and_of_none_when_stopped(world):
    world.add("a")
    assert world.run() == 3  # no baseline
    world.clock.moment += PERIOD
    assert world.run(until=world.clock.moment) == 0


def test_a_source_that_cannot_be_opened_makes_its_target_unknown(world):
    world.add("a", "b", "c")
    world.sources["postgres:a"] = ConfigError("not set", next_step="set it")
    world.sources["postgres:b"] = Unreachable("away")
    world.run()
    failures = {slug: world.records(slug)[-1].body["failure"] for slug in "abc"}
    assert failures["a"] == {"code": "unreachable", "message": "not set"}
    assert failures["b"] == {"code": "unreachable", "message": "away"}
    assert failures["c"]["code"] == "no_baseline"
    assert world.orders.size() == 0


def test_what_fails_every_time_is_tried_again_later_and_later_and_then_unknown(world):
    world.add("a", "b")
    world.sources["postgres:a"] = RuntimeError("secret-dsn")
    assert world.run() == 3
    tries = [moment for name, moment, _ in world.opened if name == "postgres:a"]
    gaps = [(later - one).total_seconds() for one, later in pairwise(tries)]
    assert gaps == pytest.approx([2, 4, 8, 16], abs=0.1)
    assert world.records("a")[-1].body["failure"]["code"] == "overdue"
    assert world.ticks("a") == world.ticks("b") == [at(0)]
    assert len([name for name, _, _ in world.opened if name == "postgres:b"]) == 1
    assert "RuntimeError" in world.said("failed")[0]["message"]
    assert "secret-dsn" not in str(world.lines)
    assert world.orders.dead.size() == 0


def test_a_target_that_somebody_else_holds_is_waited_for(world):
    world.add("a")
    with world.desk.locks.hold("target/postgres/a"):
        world.run(until=NOON + timedelta(minutes=5))
        assert len(world.said("failed")) > 20
        assert {line["error"] for line in world.said("failed")} == {"busy"}
        assert {line["attempt"] for line in world.said("failed")} == {1}
    world.run()
    assert world.ticks("a") == [at(0)]


def test_no_more_scans_at_once_than_workers_and_on_a_host_than_it_may_have(world):
    world.inline = False
    world.add(*(f"shared{n}" for n in range(9)), place="db:5432")
    world.run(workers=4)
    assert world.most_at_once == 2
    assert len(world.said("scan")) == 9
    world.add(*(f"own{n}" for n in range(9)))
    world.clock.moment += PERIOD
    world.most_at_once = 0
    order = world.opened
    order.clear()
    world.run(workers=4)
    assert world.most_at_once == 4
    assert len(world.said("scan")) == 18
    # A crowded host leaves the other workers to the others.
    assert sum(name.startswith("postgres:own") for name, _, _ in order[:8]) >= 4


def test_a_stopped_service_takes_nothing_more_and_finishes_what_is_under_way(world):
    world.inline = False
    world.add(*"abcdef")
    world.run(until=NOON, workers=2)
    assert len(world.said("scan")) == 2
    assert world.said("left") == []
    assert world.orders.size() == 4
    world.run()
    assert {line["target"] for line in world.said("scan")} == {f"postgres:{x}" for x in "cdef"}


def test_what_is_not_finished_within_the_grace_is_left_to_the_queue(world):
    world.add("a")
    world.spawn = lambda _work: None
    assert world.run(until=NOON) == 0
    assert world.said("left") == [{"event": "left", "orders": 1}]
    waited = (world.clock.now() - NOON).total_seconds()
    assert GRACE_SECONDS <= waited <= GRACE_SECONDS + MAX_WAIT_SECONDS
    world.spawn = lambda work: work()
    world.run()
    assert world.said("reclaimed") == [{"event": "reclaimed", "orders": 1}]
    assert world.ticks("a") == [at(0)]


def test_what_was_not_told_ends_the_service_and_is_told_by_the_next(world):
    world.add("a")

    def broken(line):
        if line["event"] == "finding opened":
            raise BrokenPipeError

    world.sources["postgres:a"] = Unreachable("away")
    world.emit = broken
    with pytest.raises(BrokenPipeError):
        world.run()
    world.emit = world.lines.append
    world.run()
    [line] = world.said("scan")
    assert (line["repeated"], line["opened"], line["outcome"]) == (True, 1, "unknown")
    [told] = world.said("finding opened")
    assert told["target"] == "postgres:a"
    assert world.ticks("a") == [at(0)]


def test_a_fork_ends_the_service(world):
    world.add("a")
    world.sources["postgres:a"] = Fork("two histories")
    with pytest.raises(Fork):
        world.run()


class Failing:
    """A journal whose appends fail for a while."""

    def __init__(self, inner, failures):
        self._inner, self.failures = inner, failures

    def __getattr__(self, name):
        return getattr(self._inner, name)

    def append(self, drafts, *, after=None):
        if self.failures:
            self.failures -= 1
            raise StoreUnavailable("full", next_step="free space")
        return self._inner.append(drafts, after=after)


def test_a_tick_that_could_not_be_recorded_is_dispatched_again(world):
    world.add("a", "b")
    world.desk_now = replace(world.desk, journal=Failing(world.desk.journal, 1))
    world.run(until=NOON + timedelta(minutes=1))
    assert world.said("failed")[0]["error"] == "store_unavailable"
    assert len(world.said("dispatched")) == 1
    assert world.ticks("a") == world.ticks("b") == [at(0)]
    world.clock.moment += PERIOD
    world.desk_now = replace(world.desk, journal=Failing(world.desk.journal, 1))
    with pytest.raises(StoreUnavailable):
        world.run()


def test_settings_that_cannot_be_read_leave_those_in_force_and_scans_go_on(world):
    world.add("a")
    good = world.installation

    def sometimes():
        if NOON + PERIOD <= world.clock.now() < NOON + 1.9 * PERIOD:
            raise ConfigError("half-written")
        return good()

    world.installation = sometimes
    world.run(until=NOON + 2.5 * PERIOD)
    [line] = world.said("failed")
    assert (line["what"], line["name"], line["error"]) == ("settings", at(15), "config_error")
    assert line["message"] == "half-written; the settings read before stay in force"
    assert world.ticks("a") == [at(0), at(15), at(30)]
    assert [moment for _, moment, _ in world.opened][1] == NOON + PERIOD


def test_settings_that_cannot_be_read_are_said_once_a_tick(world):
    world.add("a")
    world.desk_now = replace(world.desk, journal=Failing(world.desk.journal, 3))
    good, calls = world.installation, []

    def once():
        calls.append(world.clock.now())
        if len(calls) > 1:
            raise ConfigError("half-written")
        return good()

    world.installation = once
    world.run(until=NOON + timedelta(minutes=5))
    assert len(calls) > 2
    assert [line["what"] for line in world.said("failed")].count("settings") == 1
    assert world.ticks("a") == [at(0)]


def test_an_order_of_a_target_that_is_not_configured_any_more_is_dropped(world):
    world.add("a", "b")
    world.spawn = lambda _work: None
    world.run(until=NOON)
    del world.targets["postgres:b"]
    world.spawn = lambda work: work()
    world.run()
    assert [line["target"] for line in world.said("dropped")] == ["postgres:b"]
    assert world.orders.size() == 0


def test_what_is_no_order_is_said_and_dropped(world):
    world.add("a")
    world.orders.send([Message("x", "x", b"{}")])
    world.run()
    assert world.said("failed")[0]["error"] == "malformed"
    assert world.ticks("a") == [at(0)]


def test_a_clock_that_was_ahead_is_said(world):
    world.add("a")
    world.clock.moment = NOON + timedelta(days=365)
    world.run()
    world.clock.moment = NOON
    assert world.run() == 3
    assert world.said("failed")[0]["error"] == "clock"
    assert world.said("dispatched") == []


def test_a_dead_letter_that_cannot_be_recorded_is_kept(world):
    world.add("a")
    world.sources["postgres:a"] = RuntimeError("always")

    class Refusing(Failing):
        def append(self, drafts, *, after=None):
            if drafts[0].stream == "postgres:a":
                raise StoreUnavailable("full")
            return self._inner.append(drafts, after=after)

    world.desk_now = replace(world.desk, journal=Refusing(world.desk.journal, 0))
    assert world.run() == 3
    assert world.orders.dead.size() == 1
    world.desk_now = world.desk
    world.clock.moment += PERIOD
    world.sources["postgres:a"] = MemorySource(world.clock, [])
    world.run()
    assert world.orders.dead.size() == 0
    assert sorted(world.ticks("a")) == [at(0), at(15)]


def test_orders_that_are_told_of_a_busy_lock_are_not_lost_when_the_queue_fails(world):
    """The visibility timeout brings back what could not be released."""
    world.add("a")

    @contextmanager
    def busy(_name):
        raise Busy("held")
        yield

    class Locks:
        hold = staticmethod(busy)

    def fail(*_args, **_options):
        raise StoreUnavailable("full")

    world.desk_now = replace(world.desk, locks=Locks())
    release, world.orders.release = world.orders.release, fail
    world.run(until=NOON + timedelta(minutes=1))
    assert {line["what"] for line in world.said("failed")} == {"scan", "queue"}
    world.orders.release, world.desk_now = release, world.desk
    world.run()
    assert world.ticks("a") == [at(0)]


def test_the_bell_is_heard_by_whoever_waits_later_and_rings_once_for_many():
    bell = ThreadBell()
    bell.ring()
    bell.ring()
    bell.wait(3_600)
    bell.wait(0.001)


def test_an_order_is_scanned_by_its_deadline_or_not_at_all(world):
    world.add("a")
    schedule.dispatch(
        world.desk,
        world.targets.values(),
        world.orders,
        scheduled_at=NOON,
        period=PERIOD,
        actor=Actor("x", "os"),
        settings_sha256="0" * 64,
    )
    world.clock.moment = NOON + timedelta(minutes=20)
    world.run()
    codes = [one.body["failure"]["code"] for one in world.records("a") if one.body.get("failure")]
    assert codes == ["overdue", "no_baseline"]
    assert CouldNotTell.exit_code == 3
