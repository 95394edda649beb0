"""What people decide about findings: suppress until a date, or accept into a new baseline."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING

from chalicelib.drift import approval, snapshot, state, upgrade
from chalicelib.drift.approval import verified
from chalicelib.drift.diff import merge
from chalicelib.drift.finding import BASELINE, identify
from chalicelib.drift.snapshot import COVERAGE
from chalicelib.kernel import ledger
from chalicelib.kernel.clock import timestamp
from chalicelib.kernel.errors import NotAllowed, NotFound, UsageError
from chalicelib.kernel.personal import Personal
from chalicelib.kernel.record import Draft

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from chalicelib.drift.desk import Desk, Target
    from chalicelib.drift.diff import Change
    from chalicelib.kernel.record import Actor

MAX_SUPPRESSION_DAYS = 366
MIN_REASON_CHARACTERS = 3
MAX_REASON_CHARACTERS = 2_000


def suppress(
    desk: Desk,
    target: Target,
    ids: Iterable[str],
    *,
    until: date,
    reason: str,
    actor: Actor,
    seen: Callable[[state.State], None] = approval.whatever,
    request: str = "",
) -> str:
    """Record that findings do not count until the end of a day (UTC); returns that moment.

    ``seen(state)`` raises where the state that this is decided on is not as somebody saw it.
    ``request``: a name of the request that this answers; where it did this before, nothing is
    recorded. Raises: NotFound, NotAllowed (an unknown cannot be suppressed), UsageError.
    """
    found, wanted = _wanted(desk, target, ids)
    for note in (found.findings[one] for one in wanted):
        if request and note.request == request:  # one append has them all
            return note.suppressed_until
    now = desk.clock.now()
    end = datetime.combine(until, time(), UTC) + timedelta(days=1)
    if not now < end <= now + timedelta(days=MAX_SUPPRESSION_DAYS + 1):
        raise UsageError(
            f"--until {until} is not within the next {MAX_SUPPRESSION_DAYS} days",
            next_step="suppress until a date by which it will be mended, or accept it",
        )
    seen(found)
    text = _reason(reason)
    at = timestamp(now)
    ledger.append(
        desk,
        found,
        [
            Draft(
                state.SUPPRESSED,
                target.stream,
                at,
                actor,
                {
                    "id": one,
                    "until": timestamp(end),
                    # Free text is its writer's own: sealed, so that it can be erased.
                    "reason": Personal(actor.name, text),
                    **({"request": request} if request else {}),
                },
            )
            for one in wanted
        ],
    )
    return timestamp(end)


def accept(
    desk: Desk,
    target: Target,
    ids: Iterable[str],
    *,
    reason: str,
    actor: Actor,
    replace: bool = False,
    seen: Callable[[state.State], None] = approval.whatever,
) -> state.State:
    """Propose a baseline that takes over these findings' changes, and no others.

    The findings are accepted once people have signed it. ``seen``: as of :func:`suppress`. Raises:
    NotFound, NotAllowed, UsageError; NoBaseline, VerificationFailed, where there is no good
    baseline to start from.
    """
    text = _reason(reason)
    wanted = set(_wanted(desk, target, ids)[1])
    with desk.locks.hold(target.lock):
        now = desk.states.get(target.stream)
        held = verified(desk, target, now)
        if now.last_scan is None or not now.last_scan.snapshot:
            raise NotFound(
                f"the last scan of {target.stream} holds no snapshot",
                next_step=f"holdfast scan {target.slug}",
            )
        taken = load(desk, now.last_scan.snapshot, now.last_scan.root)
        changes = upgrade.diff(held.snapshot, taken, desk.renders)
        found = {identify(target.stream, one): one for one in changes}
        if lost := wanted - found.keys():
            raise NotFound(
                f"not in the last scan any more: {', '.join(sorted(lost))}",
                next_step=f"holdfast scan {target.slug}",
            )
        accepted = [found[one] for one in sorted(wanted)]
        merged = merge(held.snapshot, taken, accepted)
        _check_parents(accepted, merged, taken)
        return approval.propose(
            desk,
            target,
            merged,
            identity=now.last_scan.identity,
            read_at=now.last_read_at,
            actor=actor,
            comment=text,
            accepts=sorted(wanted),
            replace=replace,
            seen=seen,
        )


def load(desk: Desk, digest: str, root: str) -> snapshot.Snapshot:
    """A stored snapshot, verified against both digests. Raises: Missing, DigestMismatch."""
    return snapshot.verify(
        desk.objects.get(approval.snapshot_key(digest)), sha256=digest, root=root
    )


def _wanted(desk: Desk, target: Target, ids: Iterable[str]) -> tuple[state.State, list[str]]:
    """The findings' ids, and the state that they were looked up in."""
    now = ledger.now(desk, target.stream)
    notes = now.findings
    wanted = sorted(set(ids))
    if not wanted:
        raise UsageError("name at least one finding, e.g. F-0123456789ab")
    for one in wanted:
        if one not in notes:
            raise NotFound(
                f"{target.stream} has no finding {one} now",
                next_step=f"holdfast drift ls {target.slug}",
            )
        if notes[one].kind in {COVERAGE, BASELINE}:
            raise NotAllowed(
                f"{one} says that nobody can tell; that can be mended, but not agreed away",
                next_step=f"holdfast drift show {one}",
            )
    return now, wanted


def _check_parents(
    changes: Sequence[Change], merged: snapshot.Snapshot, taken: snapshot.Snapshot
) -> None:
    """A grant on a table that the baseline does not have is no state that anything was ever in."""
    for change in changes:
        item = merged.objects.get(change.key)
        parent = item.parent if item else None
        if parent is not None and parent in taken.objects and parent not in merged.objects:
            raise NotAllowed(
                f"{change.kind} {change.name} cannot be accepted without {' '.join(parent)}",
                next_step="accept both in one command",
            )


def _reason(text: str) -> str:
    reason = text.strip()
    if not MIN_REASON_CHARACTERS <= len(reason) <= MAX_REASON_CHARACTERS:
        raise UsageError(
            f"a reason has {MIN_REASON_CHARACTERS} to {MAX_REASON_CHARACTERS} characters, "
            f"found {len(reason)}",
            next_step="--reason 'INC-481, mended on Friday'",
        )
    return reason
