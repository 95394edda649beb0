"""Shown: a request and its lease, as the API tells of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from chalicelib.access import obligation, state
from chalicelib.access.question import Action
from chalicelib.access.state import Phase
from chalicelib.api.wishes import (
    ApprovalView,
    DenialView,
    LeaseView,
    NeedsView,
    RenewalView,
    RenewedView,
    RequestView,
    ReviewedView,
    TroubleView,
)
from chalicelib.evidence.personal import Reveal
from chalicelib.kernel.clock import parse_timestamp

if TYPE_CHECKING:
    from chalicelib.access.desk import Leased
    from chalicelib.access.obligation import Obligations
    from chalicelib.access.policy import Policy
    from chalicelib.access.state import Agreed, Held
    from chalicelib.api.call import Call
    from chalicelib.kernel.personal import Concealed

MAX_MEMBERS: Final = 10  # of a role or a group that are named


def view(call: Call, target: Leased, held: Held, reveal: Reveal | None = None) -> RequestView:
    """A request as it is told now."""
    reveal = reveal or Reveal(call.services.subjects, call.services.log)  # one for all of a list
    wished = state.REQUESTED if held.revision == 1 else state.AMENDED

    def said(comment: str | Concealed, kind: str) -> str | None:
        return (comment and reveal.text(comment, kind, target.stream)) or None

    denied, looked = None, None
    if (one := held.denied) is not None:
        comment = said(one.comment, state.DENIED)
        denied = DenialView(by=one.by, at=one.at, seconds=one.seconds, comment=comment)
    if (other := held.reviewed) is not None:
        comment = said(other.comment, state.REVIEWED)
        looked = ReviewedView(by=other.by, at=other.at, comment=comment)
    waiting = held.phase in {Phase.PENDING, Phase.APPROVED}
    return RequestView(
        id=held.id,
        target=target.name,
        requester=held.principal,
        at=held.at,
        phase=held.at_moment(call.now).value,
        profile=held.ask.profile,
        tables=list(held.ask.tables),
        resources=list(held.ask.resources),
        seconds=held.ask.seconds,
        reason=reveal.text(held.ask.reason, wished, target.stream),
        ticket=held.ask.ticket,
        revision=held.revision,
        version=version(held),
        record=held.index,
        policies=list(held.policies),
        needs=_needs(held.obligations, held.approvals),
        approvals=list(map(_approval, held.approvals)),
        lapses_at=held.lapses_at if waiting else None,
        break_glass=held.break_glass,
        review=held.review,
        reviewed=looked,
        lease=_lease(held.lease),
        renewal=_renewal(held.renewal),
        renewal_denied=denied,
        renewed=_renewed(held.renewed),
        may_agree=[],
        closed_by=held.closed_by or None,
        closed_at=held.closed_at or None,
        comment=said(held.comment, held.comment_kind),
    )


def may_agree(policy: Policy) -> list[str]:
    """Whom policies let agree to requests: roles and groups with their members, in words.

    Who that is for one request, their conditions say, and what they forbid.
    """
    found = {}
    for one in policy.permits(Action.LEASE_APPROVE):
        kind, _, name = one.whom.removeprefix("any person in ").partition(" ")
        table = {"role": policy.membership.roles, "group": policy.membership.groups}.get(kind, {})
        members = [member.removeprefix("person:") for member in table.get(name, ())]
        more = [f"{len(members) - MAX_MEMBERS} more"] if len(members) > MAX_MEMBERS else []
        known = ", ".join([*members[:MAX_MEMBERS], *more]) or "nobody by the settings"
        found[one.whom] = f"{one.whom} ({known})" if kind in {"role", "group"} else one.whom
    return list(found.values())


def version(held: Held) -> str:
    """The hash of what is to be agreed to."""
    return held.leaf if held.renewal is None else held.renewal.leaf


def _needs(wanted: Obligations, approvals: list[Agreed]) -> NeedsView:
    lacking, groups = obligation.lacking(wanted, [one.vote for one in approvals])
    return NeedsView(
        approvals=wanted.approvals,
        groups=list(wanted.groups),
        max_seconds=wanted.max_seconds,
        lacking=lacking,
        groups_lacking=list(groups),
    )


def _approval(one: Agreed) -> ApprovalView:
    return ApprovalView(by=one.by.name, at=one.at, record=one.index, groups=list(one.groups))


def _renewal(one: state.Renewal | None) -> RenewalView | None:
    if one is None:
        return None
    return RenewalView(
        seconds=one.seconds,
        at=one.at,
        lapses_at=one.lapses_at,
        needs=_needs(one.obligations, one.approvals),
        approvals=list(map(_approval, one.approvals)),
    )


def _renewed(one: state.Renewed | None) -> RenewedView | None:
    if one is None:
        return None
    return RenewedView(
        seconds=one.seconds, at=one.at, approvals=list(map(_approval, one.approvals))
    )


def _lease(one: state.Lease | None) -> LeaseView | None:
    if one is None:
        return None
    return LeaseView(
        role=one.role,
        plan=one.plan,
        seconds=round((parse_timestamp(one.until) - parse_timestamp(one.at)).total_seconds()),
        until=one.until,
        issued_at=one.issued_at or None,
        claims=one.claims,
        claimed_at=one.claimed_at or None,
        sessions_ended=one.sessions,
        why=one.why or None,
        ended_at=one.ended_at or None,
        trouble=None if one.trouble is None else TroubleView(**msgspec.structs.asdict(one.trouble)),
    )
