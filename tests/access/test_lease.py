"""Leases: claimed once, by whom it was agreed to, as it was agreed to; whatever comes between."""

from __future__ import annotations

import msgspec
import pytest
from contract import adapters
from support.grants import (
    ANA,
    BOT,
    CHLOE,
    EVE,
    OWN_POLICY,
    Broker,
    Crash,
    person,
    policies,
)
from support.leases import FREE, READ, active, approved, at, fail, held, once, roles

from chalicelib.access import lease, request, state
from chalicelib.access.desk import Bounds
from chalicelib.access.held import Phase
from chalicelib.access.request import Asked
from chalicelib.kernel.errors import (
    Conflict,
    CouldNotTell,
    Forbidden,
    NotAllowed,
    NotFound,
    StoreUnavailable,
)


def test_a_claim_is_recorded_before_anything_is_made(broker):
    which = approved(broker)
    seen = []
    once(broker, "issue before", lambda: seen.append((broker.kinds[-1], roles(broker))))
    credential = lease.claim(*at(broker), ANA, which)
    assert seen == [(state.ISSUING, set())]
    assert broker.kinds[-2:] == [state.ISSUING, state.ISSUED]
    found = held(broker, which)
    assert (found.phase, found.lease.claims) == (Phase.ACTIVE, 1)
    assert found.lease.role == credential.fields["user"]
    assert credential.until == found.lease.until
    assert broker.cluster.connect(credential)


def test_nothing_secret_is_in_the_log_or_the_cache(broker):
    _, credential = active(broker)
    password = credential.fields["password"].encode()
    kept = [one.leaf for one in broker.log.read()]
    kept += [broker.derived.get(key) for key in broker.derived.list("access-state/")]
    assert len(kept) > 4
    assert not any(password in one for one in kept)


def test_another_claim_is_another_secret_and_the_one_before_opens_nothing(broker):
    which, first = active(broker)
    second = lease.claim(*at(broker), ANA, which)
    assert broker.cluster.connect(first) is None
    assert broker.cluster.connect(second)
    assert held(broker, which).lease.claims == 2
    assert first.fields["user"] == second.fields["user"]


def test_a_lease_ends_at_its_time_with_its_sessions(broker):
    which, credential = active(broker)
    session = broker.cluster.connect(credential)
    assert lease.due(broker.state) == held(broker, which).lease.until
    assert lease.sweep(*at(broker)) == []
    broker.clock.pass_(900)
    with pytest.raises(NotAllowed, match="ending"):
        lease.claim(*at(broker), ANA, which)
    (outcome,) = lease.sweep(*at(broker))
    assert (outcome.what, outcome.error) == (state.ENDED, None)
    assert not broker.cluster.lives(session)
    assert roles(broker) == set()
    assert held(broker, which).lease.why == lease.EXPIRED
    assert lease.due(broker.state) is None
    assert lease.sweep(*at(broker)) == []


def test_what_is_revoked_is_gone_and_not_claimed(broker):
    which, credential = active(broker)
    found = lease.revoke(*at(broker), EVE, which, "too much")
    assert (found.phase, found.lease.why) == (Phase.ENDED, lease.REVOKED)
    assert broker.cluster.connect(credential) is None
    with pytest.raises(NotAllowed, match="ended"):
        lease.claim(*at(broker), ANA, which)
    assert lease.revoke(*at(broker), EVE, which).phase is Phase.ENDED


def test_only_its_holder_and_whom_policies_let_revoke(broker):
    which, _ = active(broker)
    with pytest.raises(Forbidden):
        lease.revoke(*at(broker), person("gus"), which)
    assert lease.revoke(*at(broker), ANA, which).phase is Phase.ENDED


def test_why_a_waiting_request_was_revoked_is_kept(broker):
    which = approved(broker)
    found = lease.revoke(*at(broker), EVE, which, "not needed")
    assert (found.phase, found.closed_by) == (Phase.WITHDRAWN, "eve")
    assert found.comment


def test_what_has_lapsed_is_not_revoked_but_lapses(broker):
    which = approved(broker)
    broker.clock.pass_(3_601)
    lease.revoke(*at(broker), EVE, which)
    assert broker.kinds[-1] == state.APPROVED
    lease.sweep(*at(broker))
    assert held(broker, which).phase is Phase.LAPSED


# What changes between an approval and the claim.

STRICTER = """
@approvals("{}")
@approvers("{}")
@max("{}")
permit (principal in Role::"engineer", action == Action::"lease:request", resource);
"""


@pytest.mark.parametrize(
    "stricter", [("2", "dba", "1h"), ("1", "security", "1h"), ("1", "dba", "5m")], ids=range(3)
)
def test_policies_that_are_stricter_by_now_refuse_the_claim(broker, stricter):
    which = approved(broker)
    broker.policy = policies(OWN_POLICY + STRICTER.format(*stricter))
    with pytest.raises(Forbidden, match="want more"):
        lease.claim(*at(broker), ANA, which)
    assert roles(broker) == set()
    broker.policy = policies(OWN_POLICY)
    assert lease.claim(*at(broker), ANA, which)


def test_policies_that_are_laxer_by_now_waive_nothing(broker):
    found = request.ask(*at(broker), ANA, READ)
    broker.policy = policies(
        OWN_POLICY.replace('Agent::"bot"', 'Person::"ana"').replace("read-masked", "read-clear")
    )
    with pytest.raises(NotAllowed, match="pending"):
        lease.claim(*at(broker), ANA, found.id)


def test_a_profile_that_gives_something_else_by_now_is_not_what_was_agreed_to(broker):
    which = approved(broker)
    before = broker.target.profiles
    wider = msgspec.structs.replace(before["read-clear"], privileges=("SELECT", "DELETE"))
    broker.configure(profiles={**before, "read-clear": wider})
    with pytest.raises(Forbidden, match="something else"):
        lease.claim(*at(broker), ANA, which)
    broker.configure(profiles={})
    with pytest.raises(NotFound):
        lease.claim(*at(broker), ANA, which)
    broker.configure(profiles=before)
    assert lease.claim(*at(broker), ANA, which)


def test_a_schema_that_is_leased_no_more_is_not_reached(broker):
    which = approved(broker)
    broker.configure(schemas=("sales",))
    with pytest.raises(NotAllowed, match="no schema"):
        lease.claim(*at(broker), ANA, which)


def test_a_table_that_is_tagged_by_now_is_judged_as_tagged(broker):
    broker.policy = policies(
        OWN_POLICY + 'forbid (principal, action == Action::"lease:request", resource)\n'
        'when { context.tags.contains("pii") };'
    )
    which = approved(broker)
    broker.configure(tags={"public.*": ("pii",)})
    with pytest.raises(Forbidden):
        lease.claim(*at(broker), ANA, which)


def test_a_shorter_bound_of_the_settings_holds_for_what_was_agreed_to_before(broker):
    which = approved(broker)
    tight = broker.another(bounds=Bounds(max_lease_seconds=600))
    with pytest.raises(Forbidden):
        lease.claim(*at(broker, tight), ANA, which)


def test_a_plan_that_takes_until_the_approval_has_lapsed_issues_nothing(broker):
    which = approved(broker)
    once(broker, "plan", lambda: broker.clock.pass_(3_700))
    with pytest.raises(NotAllowed, match="lapsed"):
        lease.claim(*at(broker), ANA, which)
    assert state.ISSUING not in broker.kinds


# What comes between.


def test_of_two_claims_at_once_one_is_issued(broker):
    which = approved(broker)
    won = []
    work = lambda: won.append(lease.claim(*at(broker, broker.another()), ANA, which))  # noqa: E731
    once(broker, f"record before {state.ISSUING}", work)
    with pytest.raises(Conflict):
        lease.claim(*at(broker), ANA, which)
    assert len(roles(broker)) == 1
    assert broker.cluster.connect(won[0])


@pytest.mark.parametrize("point", ["issue before", "issue after", f"record before {state.ISSUED}"])
def test_what_is_revoked_while_it_is_issued_is_given_to_nobody(broker, point):
    which = approved(broker)
    once(broker, point, lambda: lease.revoke(*at(broker, broker.another()), EVE, which))
    with pytest.raises(NotAllowed, match="revoked"):
        lease.claim(*at(broker), ANA, which)
    assert roles(broker) == set()
    assert held(broker, which).phase is Phase.ENDED


@pytest.mark.parametrize("point", ["issue before", "issue after", f"record before {state.ISSUED}"])
def test_what_was_taken_for_lost_while_it_was_issued_is_taken_back(broker, point):
    """Slower than anybody may be: its lease is over before the target has made it."""
    which = approved(broker)

    def sweep():
        broker.clock.pass_(61)
        lease.sweep(*at(broker, broker.another()))

    once(broker, point, sweep)
    with pytest.raises(NotAllowed):
        lease.claim(*at(broker), ANA, which)
    assert roles(broker) == set()
    assert held(broker, which).phase is Phase.ENDED
    assert broker.state.orphans == {}


def test_what_could_not_be_taken_back_is_an_orphan_and_ends_as_one(broker):
    which = approved(broker)

    def sweep():
        broker.clock.pass_(61)
        lease.sweep(*at(broker, broker.another()))
        broker.hook = lambda point: fail(CouldNotTell("away"))() if point == "end" else None

    once(broker, "issue before", sweep)
    with pytest.raises(NotAllowed):
        lease.claim(*at(broker), ANA, which)
    assert len(roles(broker)) == 1
    assert set(broker.state.orphans) == roles(broker)
    broker.hook = lambda _point: None
    assert lease.sweep(*at(broker)) == []  # too early
    broker.clock.pass_(10)
    assert [one.what for one in lease.sweep(*at(broker))] == [state.ORPHANED]
    assert roles(broker) == set()
    assert broker.state.orphans == {}


def test_a_secret_that_was_made_while_the_lease_ended_is_given_to_nobody(broker):
    which, _ = active(broker)
    once(broker, "refresh after", lambda: lease.revoke(*at(broker, broker.another()), EVE, which))
    with pytest.raises(NotAllowed, match="ended while"):
        lease.claim(*at(broker), ANA, which)


def test_a_lease_that_was_over_before_it_was_issued_is_given_to_nobody(broker):
    which = approved(broker, Asked(profile="read-clear", reason="INC-1", seconds=60))
    once(broker, "issue after", lambda: broker.clock.pass_(61))
    with pytest.raises(NotAllowed):
        lease.claim(*at(broker), ANA, which)
    assert roles(broker) == set()
    assert state.ISSUED not in broker.kinds


def test_records_of_others_come_before_the_one_that_says_issued(broker):
    """It is tried anew until it is recorded: the credential is made, and has to be owned up to."""
    which = approved(broker)
    asking = [0]

    def hook(point):
        if point == f"record before {state.ISSUED}" and asking[0] < 5:
            asking[0] += 1
            request.ask(*at(broker), BOT, FREE)

    broker.hook = hook
    assert broker.cluster.connect(lease.claim(*at(broker), ANA, which))
    assert asking == [5]


def test_an_issued_record_of_which_the_answer_was_lost_leaves_a_lease_to_claim(broker):
    which = approved(broker)
    once(broker, f"record after {state.ISSUED}", fail(StoreUnavailable("no answer")))
    with pytest.raises(StoreUnavailable):
        lease.claim(*at(broker), ANA, which)
    assert broker.cluster.connect(lease.claim(*at(broker), ANA, which))


def test_an_issued_record_that_lost_to_itself_is_no_revocation(broker):
    which = approved(broker)
    once(
        broker,
        f"record after {state.ISSUED}",
        fail(Conflict("its answer was lost, and it met itself")),
    )
    assert broker.cluster.connect(lease.claim(*at(broker), ANA, which))
    assert broker.kinds.count(state.ISSUED) == 1


# A clock that goes back.


def test_what_was_recorded_as_over_stays_over_when_the_clock_goes_back(broker):
    which, _ = active(broker)
    other = approved(broker)
    broker.clock.pass_(4_000)
    lease.sweep(*at(broker))
    broker.clock.pass_(-4_000)
    for one in (which, other):
        with pytest.raises(NotAllowed):
            lease.claim(*at(broker), ANA, one)
        with pytest.raises(NotAllowed):
            request.approve(*at(broker), CHLOE, one)
    assert lease.sweep(*at(broker)) == []


def test_a_lease_lasts_no_longer_when_the_clock_goes_back(broker):
    which, credential = active(broker)
    until = held(broker, which).lease.until
    broker.clock.pass_(-10_000)
    assert lease.claim(*at(broker), ANA, which).until == until == credential.until


def test_a_lease_that_was_never_issued_ends_when_the_clock_has_gone_back(broker):
    which = approved(broker)
    once(broker, "issue after", fail(Crash()))
    with pytest.raises(Crash):
        lease.claim(*at(broker), ANA, which)
    broker.clock.pass_(-1_000)
    assert lease.sweep(*at(broker)) == []
    broker.clock.pass_(1_061)
    assert [one.what for one in lease.sweep(*at(broker))] == [state.ENDED]


def test_everything_on_the_adapters_of_aws(tmp_path, strict_aws):
    stores = (adapters.WRITEONCE, adapters.DERIVED, adapters.DOCUMENTS)
    broker = Broker(tmp_path, stores=[table["aws"](tmp_path) for table in stores])
    which, credential = active(broker)
    session = broker.cluster.connect(credential)
    raced = once(
        broker,
        f"record before {state.REFRESHED}",
        lambda: lease.revoke(*at(broker, broker.another()), EVE, which),
    )
    with pytest.raises(Conflict):
        lease.claim(*at(broker), ANA, which)
    assert raced
    assert not broker.cluster.lives(session)
    entries = broker.log.stream(broker.target.stream)
    fresh = state.SHAPE.grow(state.State(broker.target.stream), entries)
    assert fresh == broker.state
    assert list(broker.desk.states.check({fresh.target: fresh})) == []
    broker.documents.close()
