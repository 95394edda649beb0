"""Removal: everything at a target ended, because the target is no longer to be leased at all."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from chalicelib.access import ending, state
from chalicelib.access.desk import insist
from chalicelib.access.held import Phase
from chalicelib.kernel import ledger

if TYPE_CHECKING:
    from chalicelib.access.desk import Desk, Leased
    from chalicelib.access.held import Held
    from chalicelib.kernel.record import Actor

REMOVED: Final = "target removed"


def remove(desk: Desk, target: Leased, actor: Actor) -> list[Held]:
    """What is still there of requests, leases and orphans, after all of it was to end.

    An open review of a broken glass stays: it needs the records alone. Whoever calls may. Raises:
    StoreUnavailable; as ``Grantor.orphans``, where the target cannot be asked.
    """
    for asked in sorted(ledger.now(desk, target.stream).requests):
        insist(lambda one=asked: _end(desk, target, actor, one))  # type: ignore[misc]
    for one in ending.orphans(desk, target):
        ending.orphan(desk, target, one)
    now = ledger.now(desk, target.stream)
    return [one for one in now.requests.values() if not one.phase.over]


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
