from __future__ import annotations

import json

import pytest
from evidence.parcel import ANA, A, B, C, at
from evidence.test_census import head

from chalicelib.evidence.coverage import Coverage
from chalicelib.evidence.manifest import Filter
from chalicelib.kernel.errors import Malformed
from chalicelib.kernel.record import Entry, Record

# The range of these packets is leaves 3 to 11, the period is October 2, the census is leaf 12.


class Story:
    """Records one after the other, each at an index of its own."""

    def __init__(self, targets=(), closed=None):
        self.head = head(Filter(tuple(targets), ()))
        self.cover = Coverage(self.head)
        self.closed = closed or at(3, 0, 5)

    def add(self, index, kind, stream, body, when=None):
        one = Record(1, kind, stream, 1, when or at(2), ANA, "test/1", body)
        self.cover.add(Entry(index, b"", one, body))
        return self

    def tick(self, index, hour, deadline, day=2, until=2, **due):
        body = {"scheduled_at": at(day, hour), "deadline_at": at(until, deadline), **due}
        return self.add(index, "schedule.dispatched", "schedule", body)

    def scan(self, index, stream, hour, outcome="clean", day=2, **body):
        when = None if hour is None else at(day, hour)
        body = {"outcome": outcome, "scheduled_at": when, **body}
        return self.add(index, "scan", stream, body)

    def missed(self, index, stream, hour):
        return self.add(index, "scan.missed", stream, {"scheduled_at": at(2, hour)})

    def told(self):
        body = {"from": at(2), "to": at(3)}
        self.add(self.head.census, "period.closed", "log", body, self.closed)
        return json.loads(self.cover.coverage())


def row(target, **counts):
    due = {"expected": 0, "observed": 0, "pending": 0, "unobserved": 0, "unscheduled": 0}
    return {"target": target, "outcomes": {}, **due, **counts}


def test_nothing_expected_and_nothing_looked_at():
    assert Story().told() == {"ticks": 0, "targets": [], "unobserved": []}
    assert Story([B, A]).told()["targets"] == [row(A), row(B)]  # who asks for one is told of it


def test_a_day_without_a_gap():
    story = Story().tick(3, 0, 12, due=[A, B]).tick(6, 12, 24, due_at=3)
    for index, (stream, hour) in enumerate([(A, 0), (B, 0), (A, 12)], 4):
        story.scan(index, stream, hour)
    told = story.scan(9, B, 12, "unknown").told()
    assert told == {
        "ticks": 2,
        "targets": [
            row(A, expected=2, observed=2, outcomes={"clean": 2}),
            row(B, expected=2, observed=2, outcomes={"clean": 1, "unknown": 1}),
        ],
        "unobserved": [],
    }


@pytest.mark.parametrize("scanned", [(), (0,), (0, 8), (8, 16), (0, 8, 16)])
def test_unobserved_lists_exactly_what_was_expected_and_not_seen(scanned):
    story = Story()
    for index, hour in enumerate((0, 8, 16), 3):
        story.tick(index, hour, hour + 8, due=[A])
    for index, hour in enumerate(scanned, 6):
        story.scan(index, A, hour)
    gaps = [[A, at(2, h), at(2, h + 8), "no scan"] for h in (0, 8, 16) if h not in scanned]
    told = story.told()
    assert told["unobserved"] == gaps
    counts = {"expected": 3, "observed": len(scanned), "unobserved": len(gaps)}
    outcomes = {"clean": len(scanned)} if scanned else {}
    assert told["targets"] == [row(A, outcomes=outcomes, **counts)]


def test_a_missed_scan_is_unobserved_and_the_first_record_counts():
    story = Story().tick(3, 0, 8, due=[A, B, C]).tick(4, 8, 24, due=[])
    story.missed(5, A, 0)
    story.missed(6, B, 0).scan(7, B, 0)
    story.scan(8, C, 0, "drift").missed(9, C, 0)
    story.scan(10, C, 0, "clean")
    assert story.told()["unobserved"] == [
        [A, at(2), at(2, 8), "missed"],
        [B, at(2), at(2, 8), "missed"],
    ]
    assert json.loads(story.cover.coverage())["targets"][2]["outcomes"] == {"drift": 1}


def test_what_is_not_due_yet_is_pending():
    story = Story(closed=at(3, 0, 5)).tick(3, 23, 1, until=3, due=[A, B]).missed(4, B, 23)
    told = story.told()
    assert told["targets"] == [
        row(A, expected=1, pending=1),
        row(B, expected=1, unobserved=1),
    ]
    assert told["unobserved"] == [[B, at(2, 23), at(3, 1), "missed"]]


def test_what_is_due_at_the_moment_of_the_census_is_late():
    story = Story(closed=at(3, 1)).tick(3, 23, 1, until=3, due=[A])
    assert story.told()["unobserved"] == [[A, at(2, 23), at(3, 1), "no scan"]]


def test_a_late_scan_that_was_recorded_after_the_range_counts():
    story = Story().tick(3, 23, 1, until=3, due=[A])
    told = story.scan(11, A, 23, day=2).told()
    assert told["targets"] == [row(A, expected=1, observed=1, outcomes={"clean": 1})]


@pytest.mark.parametrize(
    ("ticks", "gaps"),
    [
        ([(0, 6), (12, 24)], [(6, 12)]),
        ([(0, 6), (6, 12)], [(12, 24)]),
        ([(0, 12), (6, 24)], []),
        ([(12, 24)], []),  # nobody knows whether anybody was due before
        ([(0, 6), (12, 18), (20, 22)], [(6, 12), (18, 20), (22, 24)]),
    ],
    ids=str,
)
def test_a_schedule_that_stopped_is_unobserved(ticks, gaps):
    story = Story()
    for index, (start, end) in enumerate(ticks, 3):
        story.tick(index, start, end, due=[A])
    for index, (start, _) in enumerate(ticks, 6):
        story.scan(index, A, start)
    said = [[A, at(2, start), at(2, end), "no tick"] for start, end in gaps]
    assert story.told()["unobserved"] == said


def test_a_schedule_that_stopped_before_the_period_is_unobserved_from_its_start():
    story = Story().tick(1, 12, 18, day=1, until=1, due=[A]).tick(4, 6, 24, due_at=1)
    told = story.scan(5, A, 6).told()
    assert told["ticks"] == 1
    assert told["unobserved"] == [[A, at(2), at(2, 6), "no tick"]]
    assert told["targets"][0]["expected"] == 1


def test_the_tick_before_reaches_into_the_period():
    story = Story().tick(1, 20, 4, day=1, until=2, due=[A]).tick(4, 6, 24, due_at=1)
    assert story.scan(5, A, 6).told()["unobserved"] == [[A, at(2, 4), at(2, 6), "no tick"]]


def test_who_stopped_being_due_is_not_unobserved():
    story = Story().tick(3, 0, 12, due=[A, B]).scan(4, A, 0).scan(5, B, 0)
    told = story.tick(6, 12, 24, due=[A]).scan(7, A, 12).told()
    assert told["unobserved"] == []
    assert [one["expected"] for one in told["targets"]] == [2, 1]


def test_ticks_count_in_the_order_of_time():
    story = Story().tick(3, 12, 24, due=[A]).tick(4, 0, 12, due=[A]).scan(5, A, 0).scan(6, A, 12)
    assert story.told()["unobserved"] == []


def test_a_tick_at_the_end_of_the_period_is_the_next_periods():
    story = Story().tick(3, 0, 24, due=[A]).scan(4, A, 0)
    told = story.add(
        11,
        "schedule.dispatched",
        "schedule",
        {"scheduled_at": at(3), "deadline_at": at(3, 1), "due": [A, B]},
    ).told()
    assert (told["ticks"], told["unobserved"]) == (1, [])
    assert [one["target"] for one in told["targets"]] == [A]


def test_unscheduled_scans_are_counted_in_the_range_only():
    story = Story().scan(1, A, None).scan(3, A, None).scan(4, B, None, "drift").scan(11, A, None)
    assert story.told()["targets"] == [row(A, unscheduled=2), row(B, unscheduled=1)]


def test_with_a_filter_only_those_targets_are_told_of():
    story = Story([B]).tick(3, 0, 24, due=[A, B]).scan(4, B, 0)
    told = story.told()
    assert told["ticks"] == 1
    assert told["targets"] == [row(B, expected=1, observed=1, outcomes={"clean": 1})]
    assert told["unobserved"] == []


def test_what_was_asked_and_what_failed():
    story = Story().scan(3, A, 0, questions="q1").scan(4, B, 0, questions="q1")
    story.scan(1, A, 0, questions="q2")  # as context, it counts as well
    story.scan(5, B, 8, "unknown", failure={"code": "unreachable", "message": "x"})
    story.scan(6, B, 16, questions=None)
    assert json.loads(story.cover.questions()) == {
        "tools": {"test/1": 5},
        "questions": {"q1": 2, "q2": 1},
        "failures": [[5, B, "unreachable"]],
    }


DUE = {"scheduled_at": at(2), "deadline_at": at(2, 1)}


@pytest.mark.parametrize(
    ("kind", "stream", "body"),
    [
        ("schedule.dispatched", "schedule", {}),
        ("schedule.dispatched", "schedule", DUE),
        ("schedule.dispatched", "schedule", DUE | {"due_at": 1}),
        ("schedule.dispatched", "schedule", DUE | {"due_at": None}),
        ("schedule.dispatched", "schedule", DUE | {"due": None}),
        ("schedule.dispatched", "schedule", DUE | {"due": 7}),
        ("schedule.dispatched", "schedule", DUE | {"due": [A, 7]}),
        ("schedule.dispatched", "schedule", DUE | {"due": [], "deadline_at": 7}),
        ("schedule.dispatched", "schedule", DUE | {"due_at": []}),
        ("schedule.dispatched", "schedule", DUE | {"due_at": "x"}),
        ("schedule.dispatched", "schedule", DUE | {"due_at": 2**60}),
        ("scan", A, {}),
        ("scan", A, {"outcome": 1}),
        ("scan", A, {"outcome": "clean", "scheduled_at": 7}),
        ("scan", A, {"outcome": "clean", "questions": 7}),
        ("scan", A, {"outcome": "unknown", "failure": None}),
        ("scan", A, {"outcome": "unknown", "failure": {}}),
        ("scan", A, {"outcome": "unknown", "failure": "x"}),
        ("scan.missed", A, {}),
        ("scan.missed", A, {"scheduled_at": []}),
        ("scan.missed", A, {"scheduled_at": 7}),
    ],
    ids=str,
)
def test_a_body_that_is_not_that_of_its_kind_is_refused(kind, stream, body):
    with pytest.raises(Malformed):
        Story().add(3, kind, stream, body)


def test_a_tick_elsewhere_is_none():
    told = Story().add(3, "schedule.dispatched", A, {"strange": True}).told()
    assert told["ticks"] == 0
