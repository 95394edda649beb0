"""Renewals: a later end, once as many agree as to a new lease."""

from __future__ import annotations

import msgspec
import pytest
from support.grants import (
    ANA,
    BEN,
    BOT,
    CHLOE,
    EVE,
    OWN_POLICY,
    person,
    policies,
)
from support.leases import FREE, active, approved, at, fail, held, now

from chalicelib.access import ending, lease, request, state
from chalicelib.access.desk import Bounds
from chalicelib.access.held import Phase
from chalicelib.kernel.errors import (
    CouldNotTell,
    Forbidden,
    NotAllowed,
)

STRICTER = """
@approvals("{}")
@approvers("{}")
@max("{}")
permit (principal in Role::"engineer", action == Action::"lease:request", resource);
"""


def test_a_renewal_waits_for_as_many_as_a_new_one(broker):
    which, _ = active(broker)
    before = held(broker, which).lease.until
    found = lease.renew(*at(broker), ANA, which, 1_800)
    assert (found.renewal.seconds, found.lease.until) == (1_800, before)
    with pytest.raises(NotAllowed, match="your own"):
        request.approve(*at(broker), person("ana", "approver"), which)
    request.approve(*at(broker), CHLOE, which)
    found = lease.carry_out(*at(broker), which)
    assert found.renewal is None
    assert broker.cluster.roles[found.lease.role].until == found.lease.until > before
    assert found.lease.until <= broker.desk.later(1_800)


def test_a_renewal_that_nobody_carried_out_is_due_at_once(broker):
    which, _ = active(broker)
    before = lease.renew(*at(broker), ANA, which, 1_800).lease.until
    request.approve(*at(broker), CHLOE, which)
    assert lease.due(broker.state) <= now(broker)
    assert [one.what for one in lease.sweep(*at(broker))] == [state.EXTENDED]
    assert lease.due(broker.state) == held(broker, which).lease.until > before
    assert lease.sweep(*at(broker)) == []


def test_a_target_that_does_not_take_the_renewal_stops_no_sweep(broker):
    first, _ = active(broker)
    lease.renew(*at(broker), ANA, first, 1_800)
    request.approve(*at(broker), CHLOE, first)
    second = approved(broker)
    broker.clock.pass_(800)
    held_until = held(broker, first).lease.until
    broker.hook = lambda point: fail(CouldNotTell("away"))() if point == "extend before" else None
    broker.desk = broker.another(bounds=Bounds(claim_seconds=3_600))
    done = lease.sweep(*at(broker))
    assert [(one.request, one.what, one.error is None) for one in done] == [
        (first, state.EXTENDED, False)
    ]
    assert held(broker, first).lease.until > held_until
    assert lease.due(broker.state) > now(broker)
    assert held(broker, second).phase is Phase.APPROVED


def test_a_renewal_that_would_be_no_later_closes_all_the_same(broker):
    """Bounds were lowered, or a clock went back: nobody comes back to it again and again."""
    which, _ = active(broker)
    until = held(broker, which).lease.until
    lease.renew(*at(broker), ANA, which, 1_800)
    request.approve(*at(broker), CHLOE, which)
    tight = broker.another(bounds=Bounds(max_lease_seconds=60))
    lease.carry_out(*at(broker, tight), which)
    found = held(broker, which)
    assert (found.renewal, found.lease.until) == (None, until)


def test_a_lease_is_no_longer_in_all_than_policies_and_bounds_let_it_be(broker):
    which, _ = active(broker)
    for seconds in (0, 9, 28_801, 10**30):
        with pytest.raises(NotAllowed, match="10s to 8h, not "):
            lease.renew(*at(broker), ANA, which, seconds)
    with pytest.raises(NotAllowed, match="which is later"):
        lease.renew(*at(broker), ANA, which, 300)
    broker.clock.pass_(600)
    with pytest.raises(NotAllowed, match="allows 1h in all, and the lease would last 1h 5m"):
        lease.renew(*at(broker), ANA, which, 3_300)
    lease.renew(*at(broker), ANA, which, 2_900)
    broker.clock.pass_(250)
    request.approve(*at(broker), CHLOE, which)
    found = lease.carry_out(*at(broker), which)
    length = ending.parse_timestamp(found.lease.until) - ending.parse_timestamp(found.lease.at)
    assert 3_500 <= length.total_seconds() < 3_501


def test_the_bound_of_the_settings_holds_for_a_renewal_that_was_agreed_to_late(broker):
    broker.policy = policies(
        OWN_POLICY + '@approvals("1")\n@max("7d")\npermit (principal == Agent::"bot", '
        'action == Action::"lease:request", resource);'
    )
    tight = broker.desk = broker.another(bounds=Bounds(max_lease_seconds=1_200))
    tighter = broker.another(bounds=Bounds(max_lease_seconds=1_050))
    found = request.ask(tight, broker.target, BOT, FREE)
    request.approve(tight, broker.target, BEN, found.id)
    lease.claim(tight, broker.target, BOT, found.id)
    broker.clock.pass_(100)
    lease.renew(tight, broker.target, BOT, found.id, 1_000)
    broker.clock.pass_(500)
    request.approve(tight, broker.target, BEN, found.id)
    done = lease.carry_out(tighter, broker.target, found.id).lease
    length = ending.parse_timestamp(done.until) - ending.parse_timestamp(done.at)
    assert length.total_seconds() == 1_050


SHORT = """
@id("own.short")
@approvals("0")
permit (principal == Agent::"bot", action == Action::"lease:request", resource)
when { context.seconds <= 1200 };

@id("own.long")
@approvals("1")
permit (principal == Agent::"bot", action == Action::"lease:request", resource)
when { context.seconds > 1200 };

@id("own.short.approvers")
forbid (principal, action == Action::"lease:approve", resource)
when { context.requester == "agent:bot" && context.seconds > 2400 };
"""


def test_a_renewal_makes_a_lease_no_longer_than_policies_were_asked_about(broker):
    """What is asked for early and carried out late is not both terms together."""
    broker.policy = policies(SHORT)
    found = request.ask(*at(broker), BOT, msgspec.structs.replace(FREE, seconds=1_100))
    lease.claim(*at(broker), BOT, found.id)
    away = []

    def not_now(point):
        if point == f"record before {state.EXTENDED}" and not away:
            away.append(point)
            raise CouldNotTell("the store is away")

    broker.hook = not_now
    with pytest.raises(CouldNotTell):
        lease.renew(*at(broker), BOT, found.id, 1_190)
    broker.clock.pass_(1_000)
    assert [one.what for one in lease.sweep(*at(broker))] == [state.EXTENDED]
    done = held(broker, found.id).lease
    length = ending.parse_timestamp(done.until) - ending.parse_timestamp(done.at)
    assert length.total_seconds() < 1_200


def test_who_agrees_to_a_renewal_may_agree_to_all_of_it(broker):
    broker.policy = policies(SHORT)
    found = request.ask(*at(broker), BOT, msgspec.structs.replace(FREE, seconds=1_100))
    lease.claim(*at(broker), BOT, found.id)
    lease.renew(*at(broker), BOT, found.id, 2_500)
    with pytest.raises(Forbidden, match=r"own\.short\.approvers"):
        request.approve(*at(broker), BEN, found.id)
    lease.renew(*at(broker), BOT, found.id, 2_300)
    request.approve(*at(broker), BEN, found.id)


def test_another_renewal_is_agreed_to_anew(broker):
    which, _ = active(broker)
    broker.policy = policies(OWN_POLICY + STRICTER.format("2", "dba,security", "1h"))
    first = lease.renew(*at(broker), ANA, which, 1_000).renewal.leaf
    request.approve(*at(broker), BEN, which)
    lease.renew(*at(broker), ANA, which, 3_000)
    request.approve(*at(broker), CHLOE, which)
    found = held(broker, which).renewal
    assert found.leaf != first
    assert found.lacking == (1, ("dba",))


def test_a_renewal_that_is_denied_leaves_the_lease_as_it_was(broker):
    which, credential = active(broker)
    lease.renew(*at(broker), ANA, which, 1_800)
    request.deny(*at(broker), EVE, which)
    found = held(broker, which)
    assert (found.phase, found.renewal) == (Phase.ACTIVE, None)
    assert broker.cluster.connect(credential)


def test_a_renewal_that_comes_too_late_is_agreed_to_by_nobody(broker):
    which, _ = active(broker)
    lease.renew(*at(broker), ANA, which, 1_800)
    broker.clock.pass_(900)
    with pytest.raises(NotAllowed, match="ending"):
        request.approve(*at(broker), CHLOE, which)
    assert lease.carry_out(*at(broker), which).lease.until <= now(broker)
    assert [one.what for one in lease.sweep(*at(broker))] == [state.ENDED]
