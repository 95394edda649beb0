"""Requests: who may ask, change, agree and deny; and what does not get past that."""

from __future__ import annotations

import pytest
from support.grants import (
    ANA,
    BEN,
    BOT,
    CHLOE,
    DAN,
    EVE,
    OWN_POLICY,
    person,
    policies,
)
from support.leases import READ, at

from chalicelib.access import lease, request, state, wish
from chalicelib.access.desk import Bounds
from chalicelib.access.held import Phase
from chalicelib.access.principal import Kind
from chalicelib.access.profile import SHIPPED
from chalicelib.access.request import Asked
from chalicelib.kernel.errors import (
    Conflict,
    Forbidden,
    NotAllowed,
    NotFound,
    PreconditionFailed,
    UsageError,
)

WRITE = Asked(profile="write", reason="INC-481 refund bug")


def asked(broker, who=ANA, what=READ, **more):
    return request.ask(*at(broker), who, what, **more)


def test_a_request_says_what_it_needs_and_is_one_record(broker):
    held = asked(broker)
    assert held.phase is Phase.PENDING
    assert held.lacking == (1, ())
    assert held.ask.tables == ("public.orders",)
    assert held.ask.gives == SHIPPED["read-clear"]
    assert request.ID.fullmatch(held.id)
    assert broker.kinds == [state.REQUESTED]


def test_the_reason_is_not_in_the_record_but_sealed(broker):
    held = asked(broker)
    (entry,) = broker.log.stream(broker.target.stream)
    assert b"refund" not in entry.leaf
    assert not isinstance(held.ask.reason, str)


def test_an_agreement_of_one_of_each_group_approves(broker):
    held = asked(broker, what=WRITE)
    for one in (EVE, BEN):
        request.approve(*at(broker), one, held.id)
    found = request.find(*at(broker), held.id)[1]
    assert found.phase is Phase.PENDING
    assert found.lacking == (1, ("security",))
    request.approve(*at(broker), CHLOE, held.id)
    assert request.find(*at(broker), held.id)[1].phase is Phase.APPROVED


def test_one_person_in_both_groups_stands_for_one_of_them(broker):
    held = asked(broker, what=WRITE)
    assert request.approve(*at(broker), DAN, held.id).phase is Phase.PENDING
    found = request.approve(*at(broker), BEN, held.id)
    assert found.phase is Phase.APPROVED  # Dan for security, Ben for dba


@pytest.mark.parametrize("name", ["ana", "Ana", "ana ", "ANA", "\uff21\uff4e\uff41"])
def test_nobody_agrees_to_their_own_whatever_their_name_looks_like(broker, name):
    held = asked(broker)
    with pytest.raises(NotAllowed, match="your own"):
        request.approve(*at(broker), person(name, "approver"), held.id)
    with pytest.raises(NotAllowed, match="your own"):
        request.deny(*at(broker), person(name, "approver"), held.id)
    assert broker.kinds == [state.REQUESTED]


@pytest.mark.parametrize("name", ["ben", "Ben", " BEN ", "\uff42\uff45\uff4e"])
def test_one_person_counts_once(broker, name):
    held = asked(broker, what=WRITE)
    request.approve(*at(broker), BEN, held.id)
    with pytest.raises(NotAllowed, match="already"):
        request.approve(*at(broker), person(name, "approver"), held.id)


@pytest.mark.parametrize("kind", [Kind.AGENT, Kind.PIPELINE])
def test_only_people_agree(broker, kind):
    held = asked(broker)
    for verb in (request.approve, request.deny):
        with pytest.raises(NotAllowed, match="only people"):
            verb(*at(broker), person("ben", "approver", kind=kind), held.id)


@pytest.mark.parametrize("name", ["agent:bot", "Agent:bot", "pipeline:nightly"])
def test_a_person_who_is_called_like_an_agent_agrees_to_nothing(broker, name):
    held = asked(broker)
    with pytest.raises(NotAllowed, match="no person"):
        request.approve(*at(broker), person(name, "approver"), held.id)


def test_who_has_no_permit_agrees_to_nothing(broker):
    held = asked(broker)
    with pytest.raises(Forbidden):
        request.approve(*at(broker), person("gus"), held.id)


def test_a_change_voids_what_was_agreed_to(broker):
    held = asked(broker, what=WRITE)
    request.approve(*at(broker), BEN, held.id)
    seen = held.leaf
    found = request.amend(*at(broker), ANA, held.id, WRITE)
    assert found.approvals == []
    assert (found.phase, found.revision) == (Phase.PENDING, 2)
    with pytest.raises(PreconditionFailed):
        request.approve(*at(broker), CHLOE, held.id, seen=seen)
    request.approve(*at(broker), CHLOE, held.id, seen=found.leaf)
    assert request.find(*at(broker), held.id)[1].phase is Phase.PENDING


def test_an_approved_request_that_is_changed_waits_again(broker):
    held = asked(broker)
    assert request.approve(*at(broker), BEN, held.id).phase is Phase.APPROVED
    request.amend(*at(broker), ANA, held.id, WRITE)
    with pytest.raises(NotAllowed, match="pending"):
        lease.claim(*at(broker), ANA, held.id)


def test_somebody_else_changes_and_withdraws_nothing(broker):
    held = asked(broker)
    for other in (BEN, person("ana", kind=Kind.AGENT), person("Ana", "engineer")):
        with pytest.raises(NotAllowed):
            request.amend(*at(broker), other, held.id, READ)
        with pytest.raises(NotAllowed):
            request.withdraw(*at(broker), other, held.id)
        with pytest.raises(NotAllowed):
            lease.claim(*at(broker), other, held.id)


@pytest.mark.parametrize("seconds", [86_400, 86_401, 10**7])
def test_what_has_lapsed_is_neither_agreed_to_nor_changed_before_any_sweep(broker, seconds):
    held = asked(broker)
    broker.clock.pass_(seconds)
    with pytest.raises(NotAllowed, match="lapsed"):
        request.approve(*at(broker), BEN, held.id)
    with pytest.raises(NotAllowed, match="lapsed"):
        request.amend(*at(broker), ANA, held.id, READ)
    with pytest.raises(NotAllowed, match="lapsed"):
        request.withdraw(*at(broker), ANA, held.id)
    with pytest.raises(NotAllowed, match="lapsed"):
        request.deny(*at(broker), BEN, held.id)
    assert broker.kinds == [state.REQUESTED]


def test_what_was_denied_stays_denied(broker):
    held = asked(broker)
    request.deny(*at(broker), EVE, held.id, comment="not today")
    for work in (
        lambda: request.approve(*at(broker), BEN, held.id),
        lambda: request.amend(*at(broker), ANA, held.id, READ),
        lambda: lease.claim(*at(broker), ANA, held.id),
    ):
        with pytest.raises(NotAllowed, match="denied"):
            work()
    assert lease.revoke(*at(broker), ANA, held.id).phase is Phase.DENIED


def test_two_decisions_on_one_state_are_one_decision_and_a_conflict(broker):
    held = asked(broker)
    raced = []

    def hook(point):
        if point == "record before access.approved" and not raced:
            raced.append(request.deny(broker.another(), broker.target, EVE, held.id))

    broker.hook = hook
    with pytest.raises(Conflict):
        request.approve(*at(broker), BEN, held.id)
    assert request.find(*at(broker), held.id)[1].phase is Phase.DENIED


def test_the_same_key_from_the_same_caller_is_the_same_request(broker):
    first = asked(broker, seed="key-1")
    assert asked(broker, seed="key-1").id == first.id
    assert asked(broker, person("ana", "engineer", kind=Kind.PERSON), seed="key-1").id == first.id
    assert asked(broker, person("fay", "engineer"), seed="key-1").id != first.id
    assert asked(broker, seed="key-2").id != first.id
    assert broker.kinds == [state.REQUESTED] * 3


def test_the_same_key_is_not_another_request(broker):
    asked(broker, seed="key-1")
    with pytest.raises(PreconditionFailed, match="same key"):
        asked(broker, what=WRITE, seed="key-1")
    with pytest.raises(PreconditionFailed, match="same key"):
        asked(broker, seed="key-1", break_glass=True)


def test_after_a_change_the_same_key_still_finds_its_request(broker):
    first = asked(broker, seed="key-1")
    request.amend(*at(broker), ANA, first.id, WRITE)
    assert asked(broker, seed="key-1").revision == 2


def test_an_id_that_is_drawn_twice_gives_nobody_somebody_elses_request(broker):
    same = broker.another(draw=lambda count: "a" * count)
    first = request.ask(*at(broker, same), ANA, READ)
    for who in (person("fay", "engineer"), ANA):
        with pytest.raises(Conflict, match="taken"):
            request.ask(*at(broker, same), who, READ)
    assert request.find(*at(broker), first.id)[1].principal == "person:ana"


def test_a_requester_has_so_many_open_and_no_more(broker):
    for _ in range(request.MAX_OPEN):
        held = asked(broker)
    with pytest.raises(NotAllowed, match="at most 20"):
        asked(broker)
    assert asked(broker, person("fay", "engineer")).phase is Phase.PENDING
    request.withdraw(*at(broker), ANA, held.id)
    assert asked(broker).phase is Phase.PENDING


def test_what_is_over_is_remembered_up_to_a_bound(broker):
    first = asked(broker)
    request.withdraw(*at(broker), ANA, first.id)
    for _ in range(state.MAX_CLOSED):
        request.withdraw(*at(broker), ANA, asked(broker).id)
    assert len(broker.state.closed) == state.MAX_CLOSED
    with pytest.raises(NotFound):
        request.find(*at(broker), first.id)
    entries = broker.log.stream(broker.target.stream)
    fresh = state.SHAPE.grow(state.State(broker.target.stream), entries)
    assert fresh == broker.state
    assert list(broker.desk.states.check({fresh.target: fresh})) == []


@pytest.mark.parametrize(
    ("wrong", "error"),
    [
        ({"reason": ""}, UsageError),
        ({"reason": "  x  "}, UsageError),
        ({"reason": "x" * 2_001}, UsageError),
        ({"reason": "a\x00b and more"}, UsageError),
        ({"reason": "clear\x1b[2J the screen"}, UsageError),
        ({"reason": "read \u202eodd order"}, UsageError),
        ({"reason": "half \ud800 a pair"}, UsageError),
        ({"ticket": "INC-1\n"}, UsageError),
        ({"ticket": "\uff29NC"}, UsageError),
        ({"profile": "root"}, NotFound),
        ({"profile": "migrate", "tables": ("public.orders",)}, UsageError),
        ({"tables": ("secret.orders",)}, NotAllowed),
        ({"tables": ("pg_catalog.pg_authid",)}, NotAllowed),
        ({"tables": ('public."x"; DROP TABLE y',)}, UsageError),
        ({"tables": ('public."a\x1b[2K"',)}, UsageError),
        ({"tables": ('public."a\ud800"',)}, UsageError),
        ({"tables": ("orders",)}, UsageError),
        ({"tables": tuple(f"public.t{n}" for n in range(201))}, UsageError),
        ({"resources": ("arn:aws:s3:::x",)}, UsageError),
        ({"seconds": wish.MIN_SECONDS - 1}, NotAllowed),
        ({"seconds": -1}, NotAllowed),
        ({"seconds": 10**30}, NotAllowed),
        ({"seconds": 3_601}, NotAllowed),
    ],
    ids=range(23),
)
def test_what_cannot_be_asked_for_is_refused_before_it_is_recorded(broker, wrong, error):
    given = {"profile": "read-clear", "reason": "INC-481", **wrong}
    with pytest.raises(error) as caught:
        asked(broker, what=Asked(**given))
    assert caught.type is error
    assert "\x1b" not in caught.value.message
    assert broker.kinds == []


def test_odd_names_of_tables_are_names_and_nothing_else(broker):
    odd = 'public."Odd ""name"" -- ;"'
    held = asked(broker, what=Asked(profile="read-clear", reason="INC-1", tables=(odd, odd)))
    assert held.ask.tables == (odd,)
    request.approve(*at(broker), BEN, held.id)
    assert lease.claim(*at(broker), ANA, held.id).kind == "postgres"


def test_the_longest_reason_of_wide_characters_is_recorded(broker):
    held = asked(broker, what=Asked(profile="read-clear", reason="\U0001f525" * 2_000))
    assert held.phase is Phase.PENDING


def test_a_reason_of_several_lines_stays_as_it_is(broker):
    held = asked(broker, what=Asked(profile="read-clear", reason="one\r\n\ttwo\n"))
    assert wish.plain(broker.desk, held).reason == "one\n\ttwo"


def test_who_may_not_have_it_cannot_ask(broker):
    for who in (person("gus"), person("eve", "approver"), person("x", kind=Kind.AGENT)):
        with pytest.raises(Forbidden):
            asked(broker, who)


def test_nobody_agrees_to_what_needs_nobody(broker):
    held = asked(broker, BOT, Asked(profile="read-masked", reason="nightly report"))
    assert held.phase is Phase.APPROVED
    with pytest.raises(NotAllowed, match="waits for nobody"):
        request.approve(*at(broker), BEN, held.id)
    assert request.deny(*at(broker), BEN, held.id).phase is Phase.DENIED


NEEDS_REASON = """
forbid (principal, action in [Action::"lease:request", Action::"lease:approve"], resource)
unless { context has reason && context.reason like "INC-*" };
"""


def test_a_policy_that_needs_a_reason_denies_once_it_is_erased(broker):
    broker.policy = policies(OWN_POLICY + NEEDS_REASON)
    held, other = asked(broker), asked(broker)
    request.approve(*at(broker), BEN, held.id)
    broker.erased = True
    with pytest.raises(Forbidden):
        request.approve(*at(broker), BEN, other.id)
    with pytest.raises(Forbidden):
        lease.claim(*at(broker), ANA, held.id)
    broker.erased = False
    assert lease.claim(*at(broker), ANA, held.id).kind == "postgres"


def test_tags_of_the_tables_and_of_everything_reach_policies(broker):
    broker.policy = policies(
        OWN_POLICY + 'forbid (principal, action == Action::"lease:request", resource)\n'
        'when { context.tags.contains("pii") };'
    )
    assert asked(broker).phase is Phase.PENDING
    for tables in (("public.customers",), ("public.*",), ()):
        with pytest.raises(Forbidden):
            asked(broker, what=Asked(profile="read-clear", reason="INC-1", tables=tables))


def test_a_broken_glass_is_at_once_short_and_looked_at_by_somebody_else(broker):
    glass = Asked(profile="write", reason="it burns")
    held = asked(broker, what=glass, break_glass=True)
    assert (held.phase, held.review, held.ask.seconds) == (Phase.APPROVED, "open", 900)
    with pytest.raises(NotAllowed, match="cannot be changed"):
        request.amend(*at(broker), ANA, held.id, WRITE)
    with pytest.raises(NotAllowed, match="when it is over"):
        request.review(*at(broker), BEN, held.id, "seen")
    lease.claim(*at(broker), ANA, held.id)
    with pytest.raises(NotAllowed, match="not renewed"):
        lease.renew(*at(broker), ANA, held.id, 600)
    lease.revoke(*at(broker), ANA, held.id)
    assert broker.state.requests[held.id].phase is Phase.ENDED
    for who, error in (
        (person("ana", "approver"), NotAllowed),
        (person("ANA", "approver"), NotAllowed),
        (person("bot", "approver", kind=Kind.AGENT), NotAllowed),
        (person("gus"), Forbidden),
    ):
        with pytest.raises(error):
            request.review(*at(broker), who, held.id, "all fine")
    with pytest.raises(UsageError):
        request.review(*at(broker), BEN, held.id, "  ")
    assert request.review(*at(broker), BEN, held.id, "all fine").review == "closed"
    with pytest.raises(NotAllowed):
        request.review(*at(broker), BEN, held.id, "again")
    assert held.id in broker.state.closed


@pytest.mark.parametrize("seconds", [901, 3_600])
def test_a_broken_glass_is_never_for_longer(broker, seconds):
    with pytest.raises(NotAllowed):
        asked(
            broker,
            what=Asked(profile="write", reason="it burns", seconds=seconds),
            break_glass=True,
        )


def test_only_people_who_may_break_the_glass(broker):
    for who in (BOT, person("gus"), person("eve", "approver")):
        with pytest.raises(Forbidden):
            asked(broker, who, Asked(profile="write", reason="it burns"), break_glass=True)


def test_a_broken_glass_that_nobody_used_needs_no_review(broker):
    held = asked(broker, what=Asked(profile="write", reason="it burns"), break_glass=True)
    broker.clock.pass_(3_601)
    lease.sweep(*at(broker))
    assert broker.state.closed[held.id].review == ""


def test_a_default_length_is_no_longer_than_policies_let_it_be(broker):
    broker.policy = policies(
        OWN_POLICY + '@approvals("1") @max("5m")\npermit (principal in Role::"engineer", '
        'action == Action::"lease:request", resource);'
    )
    assert asked(broker).ask.seconds == 300
    with pytest.raises(NotAllowed, match="at most 5m, asked for 301s"):
        asked(broker, what=Asked(profile="read-clear", reason="INC-1", seconds=301))


def test_the_bound_of_the_settings_holds_whatever_policies_say(broker):
    tight = broker.another(bounds=Bounds(max_lease_seconds=600, break_glass_seconds=900))
    long = Asked(profile="read-clear", reason="INC-1", seconds=601)
    for glass in (False, True):
        with pytest.raises(NotAllowed, match="10s to 10m, asked for 601s"):
            request.ask(*at(broker, tight), ANA, long, break_glass=glass)
