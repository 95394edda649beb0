"""Ending: whatever fails or stops on the way, nothing is left for good, and it is said."""

from __future__ import annotations

import pytest
from support.grants import (
    ANA,
    EVE,
    STEPS,
    Crash,
    Role,
)
from support.leases import active, approved, at, fail, held, now, once, roles

from chalicelib.access import ending, lease, request, state
from chalicelib.access.grantor import Terms
from chalicelib.access.held import Phase
from chalicelib.access.profile import Profile
from chalicelib.access.request import Asked
from chalicelib.kernel.errors import (
    Conflict,
    CouldNotTell,
    NotAllowed,
    StoreUnavailable,
)


@pytest.mark.parametrize("point", ["issue before", "issue after"])
@pytest.mark.parametrize(
    "error", [CouldNotTell("away"), Conflict("another table"), ZeroDivisionError()], ids=range(3)
)
def test_what_failed_to_be_issued_is_ended_for_all_we_know(broker, point, error):
    which = approved(broker)
    once(broker, point, fail(error))
    expected = CouldNotTell if isinstance(error, Conflict) else type(error)
    with pytest.raises(expected) as caught:
        lease.claim(*at(broker), ANA, which)
    assert not isinstance(caught.value, Conflict)  # or whoever asked would be told to try again
    found = held(broker, which)
    assert (found.phase, found.lease.why) == (Phase.ENDING, lease.NOT_ISSUED)
    assert lease.sweep(*at(broker), orphans=False) == []  # somebody may still be at it
    assert lease.due(broker.state) > now(broker)
    broker.clock.pass_(61)
    assert lease.due(broker.state) <= now(broker)
    assert [one.what for one in lease.sweep(*at(broker))] == [state.ENDED]
    assert roles(broker) == set()


POINTS = (
    "plan",
    "issue before",
    "issue after",
    *(
        f"record {when} {kind}"
        for when in ("before", "after")
        for kind in (state.ISSUING, state.ISSUED, state.ENDING, state.ENDED)
    ),
    "end",
    *(f"end {one}" for one in STEPS),
    "end after",
)


@pytest.mark.parametrize("point", POINTS)
def test_a_process_that_ends_anywhere_leaves_nothing_for_good(broker, point):
    which = approved(broker)
    done = once(broker, point, fail(Crash()))
    for work in (
        lambda: lease.claim(*at(broker), ANA, which),
        lambda: lease.revoke(*at(broker), EVE, which),
    ):
        try:
            work()
        except Crash:
            break
    assert done
    assert roles(broker) <= {one.lease.role for one in broker.state.requests.values() if one.lease}
    broker.desk = broker.another()
    for _ in range(3):
        broker.clock.pass_(3_700)
        lease.sweep(*at(broker))
    assert roles(broker) == set()
    assert held(broker, which).phase.over
    assert lease.due(broker.state) is None


@pytest.mark.parametrize("step", ["", *STEPS])
def test_an_end_that_fails_is_said_and_tried_again_later_and_later(broker, step):
    which, credential = active(broker)
    session = broker.cluster.connect(credential)
    point = f"end {step}" if step else "end"
    broker.hook = lambda reached: fail(CouldNotTell("in the way"))() if reached == point else None
    assert lease.revoke(*at(broker), EVE, which).phase is Phase.ENDING
    pauses = []
    for attempt in range(1, 10):
        trouble = held(broker, which).lease.trouble
        assert (trouble.step, trouble.attempts, trouble.code) == (step, attempt, "could_not_tell")
        assert lease.due(broker.state) == trouble.next_at > now(broker)
        assert lease.sweep(*at(broker), orphans=False) == []
        pauses.append(ending.parse_timestamp(trouble.next_at) - ending.parse_timestamp(trouble.at))
        broker.clock.moment = ending.parse_timestamp(trouble.next_at)
        (outcome,) = lease.sweep(*at(broker), orphans=False)
        assert (outcome.what, outcome.error.message) == (
            state.UNENDED,
            f"{step}: in the way" if step else "in the way",
        )
    assert [round(one.total_seconds()) for one in pauses] == [
        10,
        20,
        40,
        80,
        160,
        320,
        600,
        600,
        600,
    ]
    broker.hook = lambda _point: None
    broker.clock.pass_(601)
    assert [one.what for one in lease.sweep(*at(broker))] == [state.ENDED]
    assert held(broker, which).lease.trouble is None
    assert not broker.cluster.lives(session)


def test_an_early_end_that_failed_is_not_tried_again_and_again(broker):
    """Nobody ends what somebody may still be issuing, and nobody asks every second whether to."""
    which = approved(broker)

    def revoke():
        lease.revoke(*at(broker, broker.another()), EVE, which)
        broker.hook = lambda point: fail(CouldNotTell("away"))() if point == "end" else None

    once(broker, "issue after", revoke)
    with pytest.raises(NotAllowed):
        lease.claim(*at(broker), ANA, which)
    assert held(broker, which).lease.trouble.attempts == 1
    broker.clock.pass_(11)
    assert lease.due(broker.state) > now(broker)
    broker.hook = lambda _point: None
    broker.clock.pass_(50)
    assert [one.what for one in lease.sweep(*at(broker))] == [state.ENDED]


def test_one_that_fails_holds_no_other_up(broker):
    first, second = sorted(active(broker)[0] for _ in range(2))
    broker.clock.pass_(1_000)
    once(broker, "end sessions", fail(CouldNotTell("in the way")))
    done = lease.sweep(*at(broker))
    assert [(one.request, one.what) for one in done] == [
        (first, state.UNENDED),
        (second, state.ENDED),
    ]


def test_a_defect_holds_no_other_up_and_is_not_swallowed(broker):
    first, second = sorted(active(broker)[0] for _ in range(2))
    broker.clock.pass_(1_000)
    once(broker, "end sessions", fail(ZeroDivisionError("with a secret in it")))
    with pytest.raises(ExceptionGroup, match="orders-prod") as caught:
        lease.sweep(*at(broker))
    assert [type(one) for one in caught.value.exceptions] == [ZeroDivisionError]
    assert held(broker, second).phase is Phase.ENDED
    trouble = held(broker, first).lease.trouble
    assert (trouble.code, trouble.message) == ("defect", "ZeroDivisionError")
    assert lease.due(broker.state) == trouble.next_at > now(broker)


def test_a_target_that_is_away_stops_no_lapse_and_is_said(broker):
    approved(broker)
    which, _ = active(broker)
    broker.cluster.down = True
    broker.clock.pass_(4_000)
    done = lease.sweep(*at(broker))
    assert sorted((one.what, one.error is None) for one in done) == [
        (state.LAPSED, True),
        (state.ORPHANED, False),
        (state.UNENDED, False),
    ]
    assert held(broker, which).phase is Phase.ENDING


def test_a_log_that_takes_nothing_ends_the_sweep(broker):
    active(broker)
    broker.clock.pass_(1_000)
    once(broker, f"record before {state.ENDING}", fail(StoreUnavailable("full")))
    with pytest.raises(StoreUnavailable):
        lease.sweep(*at(broker))


def test_two_sweeps_at_once_are_one(broker):
    which, _ = active(broker)
    broker.clock.pass_(1_000)
    once(broker, "end login", lambda: lease.sweep(*at(broker, broker.another())))
    lease.sweep(*at(broker))
    assert broker.kinds.count(state.ENDED) == 1
    assert held(broker, which).phase is Phase.ENDED


# Orphans.


def orphan(broker, role="hf_lost", **more):
    found = Terms(
        **{
            "lease": "orders-prod.aaaaaaaaaaab",
            "target": broker.target.name,
            "role": role,
            "holder": "person:zoe",
            "profile_name": "write",
            "profile": Profile(),
            "until": now(broker),
            **more,
        }
    )
    broker.cluster.roles[role] = Role(found, "unknown", found.until)


def test_what_is_no_lease_is_recorded_and_ended(broker):
    orphan(broker)
    which, credential = active(broker)
    (outcome,) = lease.sweep(*at(broker))
    assert (outcome.what, outcome.error) == (state.ORPHANED, None)
    assert roles(broker) == {credential.fields["user"]}
    assert broker.kinds[-2:] == [state.ORPHANED, state.ENDED]
    assert lease.sweep(*at(broker)) == []
    assert held(broker, which).phase is Phase.ACTIVE


def test_an_orphan_that_says_to_be_of_a_lease_that_runs_does_not_end_it(broker):
    which, credential = active(broker)
    orphan(broker, lease=which)
    assert [one.what for one in lease.sweep(*at(broker))] == [state.ORPHANED]
    assert roles(broker) == {credential.fields["user"]}
    assert held(broker, which).phase is Phase.ACTIVE


def test_an_orphan_that_cannot_be_ended_is_recorded_once_and_tried_later_and_later(broker):
    orphan(broker)
    broker.hook = lambda point: fail(CouldNotTell("in the way"))() if point == "end role" else None
    for _ in range(30):
        lease.sweep(*at(broker))
        broker.clock.pass_(1)
    assert broker.kinds.count(state.ORPHANED) == 1
    assert broker.kinds.count(state.UNENDED) == 2
    assert broker.state.orphans["hf_lost"].trouble.attempts == 2
    broker.hook = lambda _point: None
    broker.clock.pass_(60)
    lease.sweep(*at(broker))
    assert broker.state.orphans == {}


def test_one_orphan_that_fails_holds_no_other_up(broker):
    for role in ("hf_1", "hf_2", "hf_3"):
        orphan(broker, role)
    once(broker, "end login", fail(CouldNotTell("in the way")))
    assert [one.error is None for one in lease.sweep(*at(broker))] == [False, True, True]
    assert roles(broker) == {"hf_1"}


def test_a_defect_at_one_orphan_holds_no_other_up(broker):
    for role in ("hf_1", "hf_2"):
        orphan(broker, role)
    once(broker, "end login", fail(ZeroDivisionError()))
    with pytest.raises(ExceptionGroup):
        lease.sweep(*at(broker))
    assert roles(broker) == {"hf_1"}
    assert broker.state.orphans["hf_1"].trouble.code == "defect"


def test_an_orphan_that_somebody_removed_is_proven_gone(broker):
    orphan(broker)
    once(broker, "end login", fail(CouldNotTell("in the way")))
    lease.sweep(*at(broker))
    broker.cluster.roles.clear()
    broker.clock.pass_(20)
    assert [one.what for one in lease.sweep(*at(broker))] == [state.ORPHANED]
    assert broker.state.orphans == {}


def test_the_role_of_a_broken_glass_is_an_orphan_once_it_has_ended(broker):
    """Its request stays open until it is reviewed; its role does not."""
    glass = Asked(profile="write", reason="it burns")
    found = request.ask(*at(broker), ANA, glass, break_glass=True)
    role = lease.claim(*at(broker), ANA, found.id).fields["user"]
    lease.revoke(*at(broker), ANA, found.id)
    orphan(broker, role, lease=found.id)
    assert [one.what for one in lease.sweep(*at(broker))] == [state.ORPHANED]
    assert roles(broker) == set()


def test_a_lease_that_was_issued_since_the_names_were_read_is_no_orphan(broker):
    which = approved(broker)
    once(broker, "orphans", lambda: lease.claim(*at(broker, broker.another()), ANA, which))
    assert lease.sweep(*at(broker)) == []
    assert held(broker, which).phase is Phase.ACTIVE


def test_many_orphans_are_remembered_up_to_a_bound(broker):
    for number in range(state.MAX_ORPHANS + 5):
        orphan(broker, f"hf_{number:03d}")
    broker.hook = lambda point: fail(CouldNotTell("away"))() if point == "end" else None
    lease.sweep(*at(broker))
    assert len(broker.state.orphans) == state.MAX_ORPHANS


@pytest.mark.parametrize("kind", [state.ENDING, state.ENDED])
def test_where_nothing_can_be_recorded_what_is_over_ends_all_the_same(broker, kind):
    """A disk that is full keeps no session alive; the log has it when it can."""
    first, credential = active(broker)
    second, _ = active(broker)
    broker.cluster.connect(credential)
    broker.clock.pass_(500)
    third, living = active(broker)
    broker.clock.pass_(500)

    def full(point):
        if point == f"record before {kind}":
            raise StoreUnavailable("no space left")

    broker.hook = full
    with pytest.raises(StoreUnavailable):
        lease.sweep(*at(broker))
    assert roles(broker) == {held(broker, third).lease.role}
    assert broker.cluster.connect(living)
    assert held(broker, first).phase is not Phase.ENDED
    broker.hook = lambda _point: None
    assert {one.request for one in lease.sweep(*at(broker))} == {first, second}
    assert {held(broker, one).phase for one in (first, second)} == {Phase.ENDED}


def test_where_nothing_can_be_recorded_a_target_that_is_away_is_tried_again(broker):
    active(broker)
    broker.clock.pass_(1_000)

    def both(point):
        if point == f"record before {state.ENDING}":
            raise StoreUnavailable("no space left")
        if point == "end":
            raise CouldNotTell("away")

    broker.hook = both
    with pytest.raises(StoreUnavailable):
        lease.sweep(*at(broker))
    broker.hook = lambda _point: None
    assert [one.what for one in lease.sweep(*at(broker))] == [state.ENDED]
    assert roles(broker) == set()
