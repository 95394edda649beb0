"""Baselines: what is in force and proposed, whether it holds, and people's agreement."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import msgspec

from chalicelib.api.call import version
from chalicelib.api.types import (
    Approve,
    Baseline,
    Empty,
    Explained,
    ProposeRebase,
    Rebase,
    Verification,
)
from chalicelib.drift import approval, decide, finding, rebase, upgrade
from chalicelib.drift.approval import verified
from chalicelib.drift.finding import When, find
from chalicelib.drift.iam.compare import MAX_STEPS
from chalicelib.drift.judge import judge
from chalicelib.drift.meaning import Meanings
from chalicelib.drift.snapshot import COVERAGE
from chalicelib.kernel.errors import NotFound

if TYPE_CHECKING:
    from chalicelib.api.call import Call
    from chalicelib.drift.baseline import Baseline as Signed
    from chalicelib.drift.desk import Desk, Target
    from chalicelib.drift.diff import Change
    from chalicelib.drift.finding import Finding
    from chalicelib.drift.snapshot import Snapshot
    from chalicelib.drift.state import State


def show(call: Call, _asked: Empty, target: str) -> Baseline:
    """The baseline in force, verified, and the open proposal with what it would change.

    Raises: NotFound, without either; VerificationFailed.
    """
    one = call.target(target, "baseline:read")
    desk = call.services.desk
    now = desk.states.get(one.stream)
    if now.baseline is None and now.proposal is None:
        raise NotFound(
            f"{one.stream} has no baseline yet", next_step=f"holdfast baseline propose {one.slug}"
        )
    base = None if now.baseline is None else verified(desk, one, now)
    taken = (
        None if now.proposal is None else decide.load(desk, now.proposal.sha256, now.proposal.root)
    )
    changes = [] if taken is None or base is None else _changes(call, one, base, taken)
    shown = taken or (base.snapshot if base else None)
    return msgspec.structs.replace(
        of(one, now),
        predicate=None if base is None else msgspec.to_builtins(base.predicate),
        would_change=[msgspec.to_builtins(change) for change in changes],
        objects={} if shown is None else _kinds(shown),
        signed={} if base is None else _kinds(base.snapshot),
        gaps=[] if shown is None else gaps(shown),
        key="" if base is None else base.key,
    )


def verify(call: Call, _asked: Empty, target: str) -> Verification:
    """That the baseline in force holds. Raises: NoBaseline; VerificationFailed, and which step."""
    one = call.target(target, "baseline:read")
    base = verified(call.services.desk, one, call.services.desk.states.get(one.stream))
    return Verification(
        verified=True,
        key=base.key,
        predicate=msgspec.to_builtins(base.predicate),
        target=one.stream,
        required=one.approvals,
        root=base.snapshot.root.hex(),
        objects=_kinds(base.snapshot),
    )


def approve(call: Call, asked: Approve, target: str) -> Baseline:
    """Record the caller's agreement; with the last one needed, the baseline is signed.

    Raises: as ``drift.approval.approve``; PreconditionFailed; Busy, while the target is read.
    """
    one = call.target(target, "baseline:approve")
    desk = call.services.desk

    def work() -> State:
        with call.holding(one):
            call.match(_version(one, desk.states.get(one.stream)))
            return approval.approve(
                desk, one, actor=call.actor, proposal=asked.proposal, comment=asked.comment
            )

    return of(one, call.again(work))


def compare(call: Call, _asked: Empty, target: str) -> Rebase:
    """What an upgrade of the server explains of the last scan's findings, and what it does not.

    Raises: as ``drift.rebase.look``.
    """
    one = call.target(target, "baseline:read")
    desk = call.services.desk
    found = rebase.look(desk, one)
    opened = desk.states.get(one.stream).proposal
    meanings = Meanings(found.signed, found.taken, steps=MAX_STEPS)

    def told(several: list[tuple[str, Change, str]]) -> list[Explained]:
        return [
            Explained(finding=finding.encode(_found(desk, one, change, meanings)), why=why)
            for _, change, why in several
        ]

    return Rebase(
        target=one.stream,
        before=found.old.named if found.old else None,
        after=found.new.named if found.new else None,
        record=found.record,
        scanned_at=found.at,
        explained=told(found.explained),
        left=told(found.left),
        proposal=opened.id if opened else None,
    )


def take_over(call: Call, asked: ProposeRebase, target: str) -> Baseline:
    """Propose what an upgrade explains. Raises: as ``drift.rebase.propose``."""
    one = call.target(target, "finding:accept")

    def work() -> State:
        return rebase.propose(
            call.services.desk,
            one,
            record=asked.record,
            actor=call.actor,
            comment=asked.comment,
            replace=asked.replace,
        )

    return of(one, call.again(work))


def of(target: Target, now: State) -> Baseline:
    """What a target's state says of its baseline and the open proposal."""
    return Baseline(
        target=target.stream,
        required=target.approvals,
        version=_version(target, now),
        baseline=msgspec.to_builtins(now.baseline),
        proposal=msgspec.to_builtins(now.proposal),
    )


def gaps(taken: Snapshot) -> list[str]:
    """The kinds that could not be read in full."""
    return sorted(name for kind, name in taken.objects if kind == COVERAGE)


def _kinds(taken: Snapshot) -> dict[str, int]:
    """How many objects there are of each kind."""
    return dict(Counter(kind for kind, _ in taken.objects))


def _version(target: Target, now: State) -> str:
    held = [msgspec.to_builtins(now.baseline), msgspec.to_builtins(now.proposal)]
    return version([target.stream, target.approvals, *held])


def _changes(call: Call, target: Target, base: Signed, after: Snapshot) -> list[Finding]:
    desk = call.services.desk
    before, identity = base.snapshot, base.predicate.identity
    meanings = Meanings(before, after, steps=MAX_STEPS, identity=identity)
    changes = upgrade.diff(before, after, desk.renders)
    return [_found(desk, target, change, meanings) for change in changes]


def _found(desk: Desk, target: Target, change: Change, meanings: Meanings) -> Finding:
    meaning = meanings.of(change)
    judgement = judge(change, desk.rules, meaning)
    return find(target.stream, change, judgement, When(not_after=""), meaning)
