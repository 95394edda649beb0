"""Days: the stretches of a period, their findings, and what each was to each target."""

from __future__ import annotations

import io
from contextlib import contextmanager
from datetime import date, timedelta
from itertools import pairwise
from types import SimpleNamespace

import pytest
from evidence.parcel import NOW, Archive, at, believing
from support.reports import CLOUD, FOUND, SHOP, Tale, controls

from chalicelib.drift.judge import Severity
from chalicelib.evidence import verified
from chalicelib.evidence.manifest import Period
from chalicelib.kernel.record import Actor, Draft
from chalicelib.render import book as books
from chalicelib.render import days

MIDNIGHT = "T00:00:00.000000Z"
NOON = "T12:00:00.000000Z"
FIRST = date(2026, 3, 1)


def told(start, end):
    """What is asked of a book, of a period alone."""
    head = SimpleNamespace(period=Period(start, end))
    return SimpleNamespace(verified=SimpleNamespace(head=head))


def stretches(count, ends=MIDNIGHT):
    last = FIRST + timedelta(days=count)
    return days.stretches(told(f"{FIRST}{MIDNIGHT}", f"{last}{ends}"))


@pytest.mark.parametrize(
    ("count", "columns", "length"),
    [(1, 1, 1), (2, 2, 1), (31, 31, 1), (62, 62, 1), (63, 32, 2), (124, 62, 2), (125, 42, 3),
     (365, 61, 6), (400, 58, 7), (4_000, 62, 65)],
)  # fmt: skip
def test_stretches_are_every_day_once_in_equal_parts(count, columns, length):
    found = stretches(count)
    assert len(found) == columns <= days.MAX_COLUMNS
    parts = [(date.fromisoformat(one), date.fromisoformat(other)) for one, other in found]
    assert parts[0][0] == FIRST
    assert parts[-1][1] == FIRST + timedelta(days=count - 1)
    assert all(before[1] + timedelta(days=1) == after[0] for before, after in pairwise(parts))
    lengths = [(last - first).days + 1 for first, last in parts]
    assert set(lengths[:-1]) <= {length}
    assert 0 < lengths[-1] <= length


def test_the_day_of_an_end_at_midnight_is_not_in_the_period():
    assert stretches(1) == [("2026-03-01", "2026-03-01")]
    assert stretches(1, NOON) == [("2026-03-01",) * 2, ("2026-03-02",) * 2]
    assert stretches(62, NOON)[-1] == ("2026-05-02", "2026-05-02")
    assert len(stretches(62)) == 62
    assert len(stretches(62, NOON)) == 32  # 63 days
    assert stretches(1, "T00:00:00.000001Z")[-1] == ("2026-03-02", "2026-03-02")


def test_a_period_within_a_day_is_that_day():
    assert days.stretches(told(f"2026-03-01{NOON}", "2026-03-01T13:00:00.000000Z")) == [
        ("2026-03-01", "2026-03-01")
    ]
    assert days.stretches(told("2028-02-28T23:00:00.000000Z", f"2028-03-01{MIDNIGHT}")) == [
        ("2028-02-28", "2028-02-28"),
        ("2028-02-29", "2028-02-29"),
    ]


@contextmanager
def opened(archive, period, policy=None, **asked):
    data = io.BytesIO(archive.packet(period, **asked))
    held = verified.read(data, policy or archive.policy, now=NOW, checker=believing)
    with books.opened(held) as found:
        yield found


class Week(Tale):
    """Things of other days than one; ``day``: of October 2026."""

    def found(self, day, name, severity="low", target=SHOP):
        body = FOUND | {"id": name, "severity": severity, "controls": controls()}
        when = at(day, 23, 59, 59)
        self.archive.log.append([Draft("finding.opened", target, when, Actor("ana", "os"), body)])

    def due(self, day, *targets, hour=0, hours=24):
        body = {"scheduled_at": at(day, hour), "deadline_at": at(day, hour + hours)}
        body |= {"targets": len(targets), "due": list(targets), "previous": None}
        self.add("schedule.dispatched", "schedule", at(day, hour), body, "schedule")

    def seen(self, day, target, outcome="clean", hour=0):
        body = {"outcome": outcome, "scheduled_at": at(day, hour), "started_at": at(day, hour, 1)}
        body |= {"signed": None, "baseline": None, "required": 1, "queries": [], "system": {}}
        body |= {"snapshot": None, "opened": 0, "closed": [], "findings": []}
        self.add("scan", target, at(day, hour, 2), body)


def test_findings_are_counted_on_their_day_by_severity():
    tale = Week(Archive())
    for day, name, severity in (
        (2, "F-1", "low"), (2, "F-2", "low"), (2, "F-3", "critical"), (4, "F-4", "info"),
    ):  # fmt: skip
        tale.found(day, name, severity)
    with opened(tale.archive, Period(at(2), at(5))) as book:
        found = days.days(book)
    names = [one.value for one in Severity]
    assert [(one.first, one.last) for one in found] == [
        (f"2026-10-0{day}", f"2026-10-0{day}") for day in (2, 3, 4)
    ]
    assert all(list(one.findings) == names for one in found)  # all severities in each
    counted = [{name: n for name, n in one.findings.items() if n} for one in found]
    assert counted == [{"critical": 1, "low": 2}, {}, {"info": 1}]


def calendar(tale, period, **asked):
    with opened(tale.archive, period, **asked) as book:
        found = days.calendar(book)
    return {one.target: one.cells for one in found.targets}, found


def test_each_day_of_a_target_is_what_it_was():
    tale = Week(Archive())
    for day in (2, 3, 4, 5, 6, 7):
        tale.due(day, SHOP, *([CLOUD] if day in {2, 6} else []), hours=12)
        tale.due(day, SHOP, *([CLOUD] if day == 6 else []), hour=12, hours=12)
    tale.seen(2, SHOP), tale.seen(2, SHOP, "drift", hour=12)  # both: observed
    tale.seen(3, SHOP)  # one of two
    # on the 4th none
    tale.seen(5, SHOP), tale.seen(5, SHOP, "unknown", hour=12)  # one could not tell
    tale.seen(6, SHOP, "unknown")  # one could not tell, and one is missing: nobody observed it
    tale.seen(7, SHOP), tale.seen(7, SHOP, hour=12)
    tale.seen(2, CLOUD), tale.seen(6, CLOUD, hour=12)
    cells, found = calendar(tale, Period(at(2), at(8)))
    assert cells[SHOP] == ["observed", "part", "unobserved", "unknown", "unobserved", "observed"]
    # Its last tick of the 2nd leaves it out: then nothing is due until the 6th.
    assert cells[CLOUD] == ["observed", "nothing", "nothing", "nothing", "part", "nothing"]
    assert [one.target for one in found.targets] == [SHOP, CLOUD]  # the most gaps first
    assert found.total == 2


def test_a_gap_goes_on_to_the_day_before_its_midnight_and_no_further():
    tale = Week(Archive())
    tale.due(2, SHOP, hours=24)  # no scan; and after that no tick, on the 3rd and 4th
    tale.due(5, SHOP)
    tale.seen(5, SHOP)
    cells, _ = calendar(tale, Period(at(2), at(6)))
    assert cells[SHOP] == ["unobserved", "unobserved", "unobserved", "observed"]
    tale = Week(Archive())
    tale.due(2, SHOP, hours=24)
    tale.due(3, SHOP)
    tale.seen(3, SHOP)
    cells, _ = calendar(tale, Period(at(2), at(4)))
    assert cells[SHOP] == ["unobserved", "observed"]


def test_what_nobody_scheduled_is_observed_and_never_a_gap():
    tale = Tale()
    tale.scan(SHOP, 3, due=False)
    with tale.book() as book:
        found = days.calendar(book)
    assert [(one.target, one.cells) for one in found.targets] == [(SHOP, ["observed"])]


def test_of_many_targets_those_with_the_most_gaps_are_shown():
    tale = Tale()
    due = [f"postgres:t{n:03}" for n in range(days.MAX_TARGETS + 10)]
    tale.tick(0, *due)
    for target in due[:20]:
        tale.scan(target, 0)
    tale.tick(6)
    with tale.book() as book:
        found = days.calendar(book)
    assert found.total == days.MAX_TARGETS + 10
    assert [one.target for one in found.targets] == [*due[20:], *due[:10]]
    assert {one.cells[0] for one in found.targets[:50]} == {"unobserved"}
    assert {one.cells[0] for one in found.targets[50:]} == {"observed"}


@pytest.mark.parametrize(
    "deadline",
    [
        f"2026-02-30{MIDNIGHT}",
        f"0001-01-01{MIDNIGHT}",
        f"0000-00-00{MIDNIGHT}",
        f"(no time) {MIDNIGHT}",
        "",
        "\0\u200f",
        "2026-10-02",
    ],
)
def test_times_that_are_none_stop_no_report(deadline):
    """A record may say any text for a time."""
    tale = Tale()
    body = {"scheduled_at": at(2), "deadline_at": deadline, "targets": 1}
    tale.add("schedule.dispatched", "schedule", at(2), body | {"due": [SHOP], "previous": None})
    tale.tick(6, SHOP)  # builders look at the last one alone
    tale.scan(CLOUD, 3, due=False, started_at=deadline)
    with tale.book() as book:
        found = days.calendar(book)
    assert {one.target: one.cells for one in found.targets} == {
        SHOP: ["unobserved"],
        CLOUD: ["observed"],
    }


def test_without_anything_due_or_seen_no_target_is_listed():
    tale = Tale()
    tale.read(3)
    with tale.book() as book:
        assert days.calendar(book) == days.Calendar([], 0)
        (day,) = days.days(book)
    assert (day.first, day.last, set(day.findings.values())) == ("2026-10-02", "2026-10-02", {0})
