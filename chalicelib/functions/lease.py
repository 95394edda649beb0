"""The function ``lease``: ends what is to end, and tells who wants to know.

What starts it: a schedule, every minute, for everything that is due, orphans, and notices; a timer,
through a queue, for one lease at its end; and whoever wants something done at an AWS role, where
this function, and no other, may.

A target that fails is counted and held up by no other. ``LeasesStuck`` counts leases that could not
be ended and are tried again: there is an alarm on it.
"""

from __future__ import annotations

import functools
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from chalicelib.access import lease as leases
from chalicelib.access import state, timers
from chalicelib.functions import grant, orders, runtime
from chalicelib.kernel.errors import HoldfastError, Malformed, NotFound, VerificationFailed
from chalicelib.settings import authority
from chalicelib.wiring import access, notices

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from chalicelib.access.desk import Desk, Leased

THREADS: Final = 8
ORPHANS_MINUTES: Final = 15  # between two looks at a target for what is no lease of ours


def lease(event: Mapping[str, Any], context: runtime.Context) -> Any:
    """What came of a tick, of timers, or of a call of a grantor. Raises: Malformed."""
    if "grant" in event:
        return grant.carried_out(event, context, sts=True)
    if "Records" in event:
        with runtime.measured():
            return orders.work_off(event, context, _woken)
    with runtime.measured():
        return _tick(event)


def _woken(body: str) -> None:
    """Sweep the target of the lease that a timer came for."""
    try:
        asked = timers.decode(body.encode())
        target = access.find(_services(), asked.rpartition(".")[0])
    except (Malformed, NotFound) as error:
        # It will not be one at the next delivery either.
        runtime.count("NoOrder")
        runtime.logger.error("no timer; dropped", extra={"body": body[:300], "code": error.code})
        return
    failed = _sweep(target, orphans=False)
    if failed is not None:
        raise failed


def _tick(event: Mapping[str, Any]) -> dict[str, Any]:
    """Sweep every target, then tell every receiver; one that fails holds up no other."""
    at = _time(event)
    targets = access.every(_services())
    orphans = at.minute % ORPHANS_MINUTES == 0
    with ThreadPoolExecutor(THREADS) as pool:
        failed = [
            error
            for error in pool.map(functools.partial(_sweep, orphans=orphans), targets)
            if error is not None
        ]
    told = _tell(targets)
    said = {"targets": len(targets), "failed": len(failed), "told": told}
    runtime.count("Sweeps")
    runtime.logger.info("swept", extra={**said, "orphans": orphans})
    return said


def _sweep(target: Leased, *, orphans: bool) -> HoldfastError | None:
    """End what is to end at a target; why it could not be swept."""
    try:
        now = _desk().states.get(target.stream)
        first = leases.due(now)
        if not orphans and (first is None or first > _desk().now):
            return None
        done = leases.sweep(_desk(), target, orphans=orphans)
    except HoldfastError as error:
        runtime.count("Forks" if isinstance(error, VerificationFailed) else "SweepsFailed")
        said = {"target": target.name, "code": error.code, "reason": error.message}
        runtime.logger.error("not swept", extra=said)
        return error
    except Exception as error:  # noqa: BLE001 - a defect at one target ends no other's leases
        runtime.count("SweepsFailed")
        runtime.logger.error(
            "not swept", extra={"target": target.name, "code": type(error).__name__}
        )
        return HoldfastError(f"a defect in sweeping {target.name}: {type(error).__name__}")
    for one in done:
        said = {"target": one.target, "request": one.request, "what": one.what}
        if one.error is not None:
            runtime.count("LeasesStuck")
            said |= {"code": one.error.code, "reason": one.error.message}
        elif one.what == state.ORPHANED:
            runtime.count("Orphans")
        (runtime.logger.info if one.error is None else runtime.logger.error)("lease", extra=said)
    return None


def _tell(targets: Sequence[Leased]) -> int:
    """Tell every receiver what it was not told yet; how many notices were taken."""
    try:
        found = notices.tell(_services(), _desk(), targets)
    except HoldfastError as error:
        runtime.count("NoticesFailed")
        runtime.logger.error("nobody told", extra={"code": error.code, "reason": error.message})
        return 0
    for one in found:
        if one.error is not None or one.given_up:
            runtime.count("NoticesFailed")
            said = {"receiver": one.receiver, "given_up": list(one.given_up)}
            if one.error is not None:
                said |= {"code": one.error.code, "reason": one.error.message}
            runtime.logger.error("not told", extra=said)
    return sum(one.told for one in found)


@functools.cache
def _services() -> Any:
    return replace(runtime.services(), desk=runtime.desk())


@functools.cache
def _desk() -> Desk:
    services = _services()
    return access.desk(services, lambda: authority.load(services.settings))


def _time(event: Mapping[str, Any]) -> datetime:
    """The moment that the schedule meant. Source: EventBridge, "Events", ``time``."""
    text = event.get("time")
    try:
        return datetime.strptime(str(text), "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
    except ValueError:
        raise Malformed(f"not an event of a schedule: its time is {text!r:.80}") from None
