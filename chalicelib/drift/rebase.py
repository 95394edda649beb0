"""The rebase: after an upgrade of a server, a baseline that takes over what the upgrade explains.

It is :func:`decide.accept` of those findings of the last scan: people approve it as any proposal,
and every other finding stays one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from chalicelib.drift import approval, decide, upgrade
from chalicelib.drift.approval import verified
from chalicelib.drift.diff import Operation
from chalicelib.drift.finding import identify
from chalicelib.kernel import ledger
from chalicelib.kernel.errors import NotAllowed, NotFound

if TYPE_CHECKING:
    from collections.abc import Callable

    from chalicelib.drift import state
    from chalicelib.drift.desk import Desk, Target
    from chalicelib.drift.diff import Change
    from chalicelib.drift.snapshot import Snapshot
    from chalicelib.drift.upgrade import Server
    from chalicelib.kernel.record import Actor

_MEND: Final = "nothing that was measured makes this: mend it, or accept it by itself"


class Rebase(NamedTuple):
    """What the last scan found, in two groups, each change with its finding's id and a word.

    ``explained``: from the upgrade, and why; ``left``: all else, and what a person can do.
    ``record``: the scan's place in the log. Without an upgrade, ``old`` and ``new`` may be None,
    and nothing is explained.
    """

    signed: Snapshot
    taken: Snapshot
    old: Server | None
    new: Server | None
    record: int
    at: str
    explained: list[tuple[str, Change, str]]
    left: list[tuple[str, Change, str]]


def look(desk: Desk, target: Target) -> Rebase:
    """The baseline in force compared with the last scan's snapshot; nothing is recorded.

    Raises: NoBaseline, VerificationFailed; NotFound, without a scan of the target as it is.
    """
    now = ledger.now(desk, target.stream)
    held = verified(desk, target, now)
    scanned = now.last_scan
    if scanned is None or not scanned.snapshot:
        raise NotFound(
            f"the last scan of {target.stream} holds no snapshot",
            next_step=f"holdfast scan {target.slug}",
        )
    taken = decide.load(desk, scanned.snapshot, scanned.root)
    found = upgrade.find(held.snapshot, taken, desk.renders)
    explained, left = [], []
    for change in upgrade.diff(held.snapshot, taken, desk.renders):
        name = identify(target.stream, change)
        if name not in now.findings:  # a lease's, or decided on since
            continue
        why = found.reason(change) if found is not None else ""
        if why:
            explained.append((name, change, why))
        else:
            left.append((name, change, advice(change)))
    return Rebase(
        signed=held.snapshot,
        taken=taken,
        old=upgrade.server(held.snapshot),
        new=upgrade.server(taken),
        record=scanned.index,
        at=scanned.at,
        explained=explained,
        left=left,
    )


def advice(change: Change) -> str:
    """What a person can do about a change that no upgrade explains."""
    if change.operation is Operation.UNREADABLE:
        return "nobody can tell: give the scanning role what it lacks"
    if change.kind == upgrade.SETTING and change.operation is Operation.REMOVED:
        return "somebody had set it: see in the release notes what replaces it, set that, accept"
    if change.kind == upgrade.SETTING:
        return "somebody set it, here or before: compare the configuration files, or accept it"
    if change.attribute in {"definition", "body", "using", "check", "default"}:
        return "read both texts: accept it if they say the same, mend it if they do not"
    if change.kind == "extension":
        return "compare it with the extension's own release: accept it if that is what is there"
    return _MEND


def propose(
    desk: Desk,
    target: Target,
    *,
    record: int,
    actor: Actor,
    comment: str = "",
    replace: bool = False,
    seen: Callable[[state.State], None] = approval.whatever,
) -> state.State:
    """Propose the baseline in force with all that is explained taken over, and nothing else.

    ``record``: the scan that was looked at. Raises: NotAllowed, where there was another one since,
    or nothing is explained; as :func:`look` and ``decide.accept``.
    """
    found = look(desk, target)
    if found.record != record:
        raise NotAllowed(
            f"{target.stream} was scanned again since, as record {found.record}",
            next_step=f"holdfast baseline rebase {target.slug}",
        )
    if not found.explained or found.old is None or found.new is None:
        raise NotAllowed(
            f"no finding of {target.stream} comes from an upgrade of its server",
            next_step=f"holdfast drift ls {target.slug}",
        )
    said = f"upgrade of the server from {found.old.named} to {found.new.named}"
    return decide.accept(
        desk,
        target,
        [name for name, _, _ in found.explained],
        reason=comment or said,
        actor=actor,
        replace=replace,
        seen=seen,
    )
