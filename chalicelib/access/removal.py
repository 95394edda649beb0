"""Removal: everything at a target ended, because the target is no longer to be leased at all."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from chalicelib.access import ending, state
from chalicelib.access.desk import insist
from chalicelib.access.held import Phase
from chalicelib.kernel import ledger
from chalicelib.kernel.errors import NotAllowed

if TYPE_CHECKING:
    from chalicelib.access.desk import Desk, Leased
    from chalicelib.access.held import Held
    from chalicelib.access.state import State
    from chalicelib.kernel.record import Actor

REMOVED: Final = "target removed"


def remove(desk: Desk, target: Leased, actor: Actor) -> list[Held]:
    """What is still there of requests, leases and orphans, after all of it was to end.

    Whoever calls may. Raises: NotAllowed, where the review of a broken glass is open, which nobody
    could close any more; as ``Grantor.orphans``, where the target cannot be asked: nothing was
    ended or withdrawn then; StoreUnavailable.
    """
    _check_reviewed(ledger.now(desk, target.stream))
    ending.orphans(desk, target)
    for asked in sorted(ledger.now(desk, target.stream).requests):
        insist(lambda one=asked: _end(desk, target, actor, one))  # type: ignore[misc]
    for one in ending.orphans(desk, target):
        ending.orphan(desk, target, one)
    now = ledger.now(desk, target.stream)
    return [one for one in now.requests.values() if not one.phase.over]


def _check_reviewed(now: State) -> None:
    for one in now.requests.values():
        if one.review == "open" and one.lease is not None:
            first = "" if one.phase.over else f"holdfast revoke {one.id}, then "
            raise NotAllowed(
                f"{one.id} broke the glass, and nobody has reviewed it; nothing was ended",
                next_step=f"{first}somebody else than {one.by.name}: holdfast review {one.id} "
                "--comment '…'",
            )


def _end(desk: Desk, target: Leased, actor: Actor, asked: str) -> None:
    now = ledger.now(desk, target.stream)
    held = now.requests.get(asked)
    if held is None or held.phase.over:
        return
    if held.phase in {Phase.PENDING, Phase.APPROVED}:
        desk.record(now, state.WITHDRAWN, actor, {"request": asked, "comment": REMOVED})
        return
    if held.phase is not Phase.ENDING:
        body = {"request": asked, "why": REMOVED, "comment": ""}
        desk.record(now, state.ENDING, actor, body)
    ending.finish(desk, target, asked)
