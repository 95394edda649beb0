"""Targets: what is watched, as far as the caller may see it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chalicelib.api.types import Empty, Target, Targets
from chalicelib.settings import STS

if TYPE_CHECKING:
    from chalicelib.api.call import Call
    from chalicelib.drift.desk import Target as TargetOf


def ls(call: Call, _asked: Empty) -> Targets:
    """The targets that the caller may see, in order of names; AWS roles, which are leased, too."""
    roles = [one for one in call.services.settings.leased() if one.kind == STS]
    allowed = call.guard.may("target:read", roles)
    seen = [one for one, yes in zip(roles, allowed, strict=True) if yes]
    rows = sorted([*call.targets("target:read"), *seen], key=lambda one: one.slug)
    return Targets(items=[_row(call, one) for one in rows])


def show(call: Call, _asked: Empty, target: str) -> Target:
    """One of them. Raises: NotFound, Forbidden."""
    return _row(call, call.target(target, "target:read"))


def _row(call: Call, one: TargetOf) -> Target:
    now = call.services.desk.states.get(one.stream)
    return Target(
        target=one.stream,
        env=one.env,
        approvals=one.approvals,
        baseline=now.baseline.proposal if now.baseline else None,
        proposal=now.proposal.id if now.proposal else None,
        last_scan=now.last_scan.at if now.last_scan else None,
        outcome=now.last_scan.outcome if now.last_scan else None,
        findings=len(now.findings),
    )
