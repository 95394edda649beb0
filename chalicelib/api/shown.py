"""Shown: a request and its lease, as the API tells of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from chalicelib.access import obligation, state
from chalicelib.access.state import Phase
from chalicelib.api.wishes import (
    ApprovalView,
    LeaseView,
    NeedsView,
    RenewalView,
    RequestView,
    TroubleView,
)
from chalicelib.evidence.personal import Reveal

if TYPE_CHECKING:
    from chalicelib.access.desk import Leased
    from chalicelib.access.obligation import Obligations
    from chalicelib.access.state import Agreed, Held
    from chalicelib.api.call import Call


def view(call: Call, target: Leased, held: Held) -> RequestView:
    """A request as it is told now."""
    reveal = Reveal(call.services.subjects, call.services.log)
    wished = state.REQUESTED if held.revision == 1 else state.AMENDED
    comment = held.comment and reveal.text(held.comment, held.comment_kind, target.stream)
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
        lease=_lease(held.lease),
        renewal=_renewal(held.renewal),
        closed_by=held.closed_by or None,
        closed_at=held.closed_at or None,
        comment=comment or None,
    )


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


def _lease(one: state.Lease | None) -> LeaseView | None:
    if one is None:
        return None
    return LeaseView(
        role=one.role,
        plan=one.plan,
        until=one.until,
        issued_at=one.issued_at or None,
        claims=one.claims,
        claimed_at=one.claimed_at or None,
        sessions_ended=one.sessions,
        why=one.why or None,
        ended_at=one.ended_at or None,
        trouble=None if one.trouble is None else TroubleView(**msgspec.structs.asdict(one.trouble)),
    )
