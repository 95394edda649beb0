"""Scans say who made a change as soon as CloudTrail does, and never sooner."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from support.desk import ANA, BEN, CHLOE, MemorySource, make_desk, propose_state, quiet
from support.trail import ANA as ANA_AT_AWS
from support.trail import FakeTrail, made

from chalicelib.drift import approval, decide, finding, state
from chalicelib.drift.causes import Lookup
from chalicelib.drift.desk import Target
from chalicelib.drift.outcome import Outcome
from chalicelib.drift.scan import scan
from chalicelib.drift.schedule import Done, events
from chalicelib.drift.snapshot import Object
from chalicelib.drift.who import HISTORY, LATE, Certainty, attributed
from chalicelib.kernel.clock import parse_timestamp
from chalicelib.kernel.errors import NotPermitted, Unreachable
from chalicelib.local.derived import DirectoryDerived

TARGET = Target(slug="prod", kind="iam", approvals=1)
ADMIN = "arn:aws:iam::aws:policy/AdministratorAccess"
NAME = f"role app has {ADMIN}"
ROLE = Lookup("ResourceName", "app")


class House:
    """A signed account whose trail the test fills."""

    def __init__(self, root, clock):
        self.clock = clock
        self.trail = FakeTrail({})
        self.desk = replace(make_desk(root, clock), attributed=attributed(lambda _: self.trail))
        self.source = MemorySource(clock, [Object("iam_role", "app", {"path": "/"})])
        propose_state(self.desk, TARGET, self.source, actor=ANA)
        approval.approve(self.desk, TARGET, actor=BEN)

    def scan(self):
        return scan(self.desk, TARGET, self.source, actor=CHLOE, progress=quiet)

    def attach(self):
        self.source.put("iam_attachment", NAME, policy=ADMIN, of="iam_role app")
        return self.clock.now()

    def tell(self, at, **more):
        request = {"roleName": "app", "policyArn": ADMIN}
        self.trail.told.setdefault(ROLE, []).append(
            made("AttachRolePolicy", request, at=at.replace(microsecond=0), **more)
        )

    def later(self, by=LATE):
        self.clock.moment += by

    def kinds(self):
        return [entry.record.kind for entry in self.desk.journal.read()]

    def note(self, key):
        return self.desk.states.get(TARGET.stream).findings[key]


@pytest.fixture
def house(tmp_path, clock):
    return House(tmp_path, clock)


def test_what_is_delivered_late_is_learned_by_a_later_scan(house):
    at = house.attach()
    first = house.scan()
    [(found, _)] = first.findings
    assert (found.who.certainty, found.who.candidates) == (Certainty.UNKNOWN, [])
    assert found.who.pending_until
    opened = [entry for entry in first.entries if entry.record.kind == state.OPENED]
    assert opened[0].body["who"]["certainty"] == "unknown"
    house.tell(at)
    second = house.scan()
    [(found, _)] = second.findings
    assert (found.who.certainty, found.who.candidates[0].principal) == (
        Certainty.LIKELY,
        ANA_AT_AWS,
    )
    house.later()
    third = house.scan()
    [(found, _)] = third.findings
    assert (found.who.certainty, found.who.pending_until) == (Certainty.CERTAIN, "")
    assert house.note(found.id).who == found.who
    asked = len(house.trail.asked)
    fourth = house.scan()
    assert fourth.findings[0][0].who == found.who
    assert len(house.trail.asked) == asked
    assert [k for k in house.kinds() if k.startswith("finding")] == [
        "finding.opened",
        "finding.attributed",
        "finding.attributed",
    ]
    assert [e.record.kind for e in third.entries] == ["finding.attributed", "scan"]
    assert [entry.record.kind for entry in fourth.entries] == ["scan"]
    assert third.outcome is Outcome.DRIFT


def test_the_window_ends_when_the_reading_is_over(house, clock):
    """It may be changed while it is read, and what came after was not seen."""
    house.attach()
    [(found, _)] = house.scan().findings
    assert found.who.since == found.when.not_before
    assert found.who.until > found.when.not_after
    house.tell(parse_timestamp(found.who.until) + timedelta(seconds=1))
    house.later()
    [(found, _)] = house.scan().findings
    assert found.who.certainty is Certainty.NONE
    house.tell(parse_timestamp(found.who.until))
    assert house.scan().findings[0][0].who.certainty is Certainty.NONE  # it is not asked any more


def test_a_window_that_ends_with_the_reading_has_what_was_done_during_it(house):
    [] = house.scan().findings
    house.attach()
    read = house.source.read

    def slow(progress, known=None):
        """AWS has answered first, which dates the reading; then the change, then the rest."""
        reading = read(progress)
        house.tell(house.clock.now())
        return reading

    house.source.read = slow
    [(found, _)] = house.scan().findings
    assert found.who.candidates[0].at > found.when.not_after


def test_where_cloudtrail_denies_the_scan_is_what_it_was_and_says_so(house):
    house.trail.error = NotPermitted("cannot look up events (HTTP 400, request 7)")
    house.attach()
    result = house.scan()
    [(found, _)] = result.findings
    assert result.outcome is Outcome.DRIFT
    assert found.who.certainty is Certainty.UNKNOWN
    assert "cannot look up events" in found.who.why
    house.later()
    house.scan()
    assert house.kinds().count("finding.attributed") == 1  # that nothing is pending any more
    house.scan()
    assert house.kinds().count("finding.attributed") == 1
    house.trail.error = None
    house.tell(parse_timestamp(found.who.until))
    [(found, _)] = house.scan().findings
    assert found.who.certainty is Certainty.CERTAIN
    house.later(HISTORY)
    asked = len(house.trail.asked)
    house.scan()
    assert len(house.trail.asked) == asked


def test_two_candidates_are_possible_and_a_failed_call_is_none(house):
    at = house.attach()
    house.tell(at - timedelta(seconds=1), id="a")
    house.tell(at, id="b")
    house.tell(at, id="c", error="AccessDenied")
    house.scan()
    house.later()
    [(found, _)] = house.scan().findings
    assert found.who.certainty is Certainty.POSSIBLE
    assert [one.event_id for one in found.who.candidates] == ["b", "a"]


def test_nothing_is_asked_of_what_is_not_there_or_not_a_change_by_calls(house):
    house.source.error = Unreachable("no connection")
    result = house.scan()
    assert (result.findings[0][0].who, house.trail.asked) == (None, [])
    assert result.outcome is Outcome.UNKNOWN
    house.source.error = None
    house.source.put("iam_database_access", "role app", certain=True)
    [(found, _)] = house.scan().findings
    assert (found.who, house.trail.asked) == (None, [])
    assert "who" not in finding.encode(found)


def test_what_came_when_nobody_could_ask_is_asked_for_later(tmp_path, clock):
    house = House(tmp_path, clock)
    house.desk = make_desk(tmp_path, clock)
    house.attach()
    [(found, _)] = house.scan().findings
    assert found.who is None
    house.desk = replace(house.desk, attributed=attributed(lambda _: None))
    [(found, _)] = house.scan().findings
    assert (found.who, house.kinds().count("finding.attributed")) == (None, 0)
    house.desk = replace(house.desk, attributed=attributed(lambda _: house.trail))
    house.tell(parse_timestamp(found.when.not_after))
    house.later()
    [(found, _)] = house.scan().findings
    assert found.who.certainty is Certainty.CERTAIN
    assert house.kinds().count("finding.attributed") == 1


def test_the_world_is_told_who_where_that_is_certain(house):
    house.tell(house.attach())
    first = house.scan()
    [opened] = events(Done(TARGET.stream, first.outcome, first.entries), "log")
    assert "principal" not in opened.detail
    house.later()
    third = house.scan()
    [told] = events(Done(TARGET.stream, third.outcome, third.entries), "log")
    assert told.type == "finding attributed"
    assert told.detail["finding"] == opened.detail["finding"]
    assert (told.detail["principal"], told.detail["request"]) == (
        ANA_AT_AWS.name,
        "request of AttachRolePolicy",
    )
    key = "user_agent", "address"
    assert not set(key) & told.detail.keys()


def test_an_id_that_is_given_once_is_told_with_the_finding(house):
    house.source.put("iam_access_key", "eve AKIAEVE", status="Active")
    answer = {"accessKey": {"accessKeyId": "AKIAEVE"}}
    event = made("CreateAccessKey", None, response=answer, at=house.clock.now())
    house.trail.told[Lookup("ResourceName", "AKIAEVE")] = [event]
    result = house.scan()
    [told] = events(Done(TARGET.stream, result.outcome, result.entries), "log")
    assert (told.type, told.detail["principal"]) == ("finding opened", ANA_AT_AWS.name)


def test_what_is_learned_of_a_suppressed_finding_leaves_it_suppressed(house, tmp_path):
    at = house.attach()
    [(found, _)] = house.scan().findings
    until = (house.clock.now() + timedelta(days=2)).date()
    decide.suppress(house.desk, TARGET, [found.id], until=until, reason="known", actor=BEN)
    house.tell(at)
    result = house.scan()
    assert result.findings[0][1] is finding.Disposition.SUPPRESSED
    assert house.note(found.id).who.candidates
    assert (house.note(found.id).by, result.outcome) == ("ben", Outcome.CLEAN)
    folded = state.States(house.desk.journal, DirectoryDerived(tmp_path / "other"), None)
    assert folded.get(TARGET.stream).findings[found.id].who == house.note(found.id).who


def test_the_worst_are_asked_for_first(house):
    house.source.put("iam_instance_profile", "machine", path="/")
    house.attach()
    seen = []

    def attribute(_target, sought, _now):
        seen.extend(one.change.kind for one in sought)
        return {}

    house.desk = replace(house.desk, attributed=attribute)
    ranks = {one.kind: one.severity.rank for one, _ in house.scan().findings}
    assert [ranks[kind] for kind in seen] == sorted(ranks.values(), reverse=True)
