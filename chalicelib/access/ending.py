"""Ending: leases that are to end, ended at their target and proven gone; what fails is recorded.

1. Only what a record says to end is ended: a lease that is ``ending``, or an orphan.
2. The grantor ends it and verifies that nothing is left; ``lease.ended`` has what it found.
3. What fails is ``lease.unended``, with when it is tried again, later each time. So is a defect,
   an error that is no HoldfastError; and whoever asked gets that error too.
"""

from __future__ import annotations

from contextlib import contextmanager, suppress
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from chalicelib.access import profile as profiles
from chalicelib.access import request, state
from chalicelib.access.desk import insist
from chalicelib.access.grantor import Terms
from chalicelib.access.held import Phase
from chalicelib.kernel import ledger
from chalicelib.kernel.clock import parse_timestamp, timestamp
from chalicelib.kernel.errors import HoldfastError, StoreUnavailable
from chalicelib.kernel.record import Actor

if TYPE_CHECKING:
    from collections.abc import Iterator

    from chalicelib.access.desk import Desk, Leased
    from chalicelib.access.held import Held, Lease, Trouble

BROKER: Final = Actor("broker", "schedule")
ISSUE_SECONDS: Final = 60  # after which nobody is still issuing; a grantor takes less
FIRST_PAUSE_SECONDS: Final = 10  # until what failed is tried again, then twice as long
LAST_PAUSE_SECONDS: Final = 600
MAX_MESSAGE: Final = 500
MAX_NAME: Final = 100  # characters of what a target says that an orphan is
ORPHAN: Final = "orphaned"
DEFECT: Final = "defect"


class Outcome(NamedTuple):
    """What a sweep did about one lease or request. ``what``: the kind of the record."""

    target: str
    request: str
    what: str
    error: HoldfastError | None = None


class Failure(NamedTuple):
    """Why it could not be ended. ``code``: of the error, or DEFECT."""

    step: str
    code: str
    message: str


def finish(desk: Desk, target: Leased, asked: str, *, early: bool = False) -> Held:
    """End a lease that is ``ending``, and record what was found, or what failed.

    ``early``: also where somebody might still be issuing it. Raises: Conflict, StoreUnavailable.
    """
    _, held = request.find(desk, target, asked)
    lease = held.lease
    if held.phase is not Phase.ENDING or lease is None:
        return held
    if not early and not lease.issued_at and desk.now < issued_by(lease):
        return held  # the sweep comes back to it
    step = _Step()
    try:
        proof = target.grantor().end(terms(target, held, lease), step.tell)
    except HoldfastError as error:
        return _failed(desk, target, asked, Failure(step.name, error.code, error.message))
    except Exception as error:
        _failed(desk, target, asked, Failure(step.name, DEFECT, type(error).__name__))
        raise

    def ended() -> Held:
        now, held = request.find(desk, target, asked)
        if held.phase is Phase.ENDING:
            body = {"request": asked, "role": lease.role, "why": lease.why, "proof": proof}
            desk.record(now, state.ENDED, BROKER, body)
        return held

    return insist(ended)


@contextmanager
def shutting(target: Leased, now: state.State, moment: str) -> Iterator[None]:
    """Where nothing can be recorded inside, end what was over at the moment; recorded later.

    A disk that is full is no reason to keep a lease. What was over at that moment is not renewed
    any more. What fails is tried again by the next sweep. Raises: StoreUnavailable, as inside.
    """
    try:
        yield
    except StoreUnavailable:
        for held in now.requests.values():
            lease = held.lease
            if lease is not None and lease.issued_at and held.at_moment(moment) is Phase.ENDING:
                with suppress(HoldfastError):
                    target.grantor().end(terms(target, held, lease), lambda _name: None)
        raise


def orphans(desk: Desk, target: Leased) -> list[Terms]:
    """What the target has, or had, that is no open lease, as far as it is time to end it.

    Raises: as ``Grantor.orphans``, from a target; StoreUnavailable.
    """
    now = ledger.now(desk, target.stream)
    found = {one.role: one for one in target.grantor().orphans(_known(now))}
    later = set()
    for role, kept in now.orphans.items():  # it may be in pieces, and not be found by its name
        found.setdefault(role, _orphan_terms(target, kept.lease, role, kept.at))
        if kept.trouble is not None and kept.trouble.next_at > desk.now:
            later.add(role)
    return [found[role] for role in sorted(found.keys() - later)]


def orphan(desk: Desk, target: Leased, found: Terms) -> list[Outcome]:
    """One of them recorded, ended, and recorded again; nothing, if it is an open lease by now."""
    named = {"request": found.lease[:MAX_NAME], "role": found.role, "why": ORPHAN}

    def known() -> bool:
        # Looked at again: it may have been issued since the names were collected.
        now = ledger.now(desk, target.stream)
        if found.role in _known(now):
            return False
        if found.role not in now.orphans:
            desk.record(now, state.ORPHANED, BROKER, named)
        return True

    if not insist(known):
        return []
    step = _Step()
    try:
        proof = target.grantor().end(found, step.tell)
    except HoldfastError as error:
        _orphan_failed(desk, target, found.role, Failure(step.name, error.code, error.message))
        return [Outcome(target.name, named["request"], state.ORPHANED, error)]
    except Exception as error:
        _orphan_failed(desk, target, found.role, Failure(step.name, DEFECT, type(error).__name__))
        raise

    def ended() -> None:
        now = ledger.now(desk, target.stream)
        desk.record(now, state.ENDED, BROKER, {**named, "request": "", "proof": proof})

    insist(ended)
    return [Outcome(target.name, named["request"], state.ORPHANED)]


def issued_by(lease: Lease) -> str:
    """From when on nobody can still be issuing it."""
    return timestamp(parse_timestamp(lease.at) + timedelta(seconds=ISSUE_SECONDS))


def due(held: Held) -> str | None:
    """When there is something to do about a request, if nobody asks; None: never."""
    lease = held.lease
    if held.phase in {Phase.PENDING, Phase.APPROVED}:
        return held.lapses_at
    if lease is None or held.phase.over:
        return None
    if held.phase is Phase.ISSUING:
        return issued_by(lease)
    if held.phase is Phase.ACTIVE:
        agreed = held.renewal is not None and held.renewal.lacking == (0, ())
        return lease.at if agreed else lease.until
    first = lease.at if lease.issued_at else issued_by(lease)
    return first if lease.trouble is None else max(first, lease.trouble.next_at)


def terms(target: Leased, held: Held, lease: Lease) -> Terms:
    """What a grantor knows of a lease."""
    return Terms(
        lease=held.id,
        target=target.name,
        role=lease.role,
        holder=held.principal,
        profile_name=held.ask.profile,
        profile=lease.profile,
        tables=profiles.scope(held.ask.tables),
        resources=held.ask.resources,
        until=lease.until,
    )


class _Step:
    """Where a grantor is: what it told last."""

    def __init__(self) -> None:
        self.name = ""

    def tell(self, name: str) -> None:
        self.name = name


def _known(now: state.State) -> set[str]:
    """The roles of leases that are not over."""
    return {
        one.lease.role
        for one in now.requests.values()
        if one.lease is not None and not one.phase.over
    }


def _orphan_terms(target: Leased, lease: str, role: str, until: str) -> Terms:
    return Terms(
        lease=lease,
        target=target.name,
        role=role,
        holder="",
        profile_name="",
        profile=profiles.Profile(),
        until=until,
    )


def _failed(desk: Desk, target: Leased, asked: str, failure: Failure) -> Held:
    """Record that it could not be ended, unless somebody else has ended it meanwhile."""

    def work() -> Held:
        now, held = request.find(desk, target, asked)
        if held.phase is Phase.ENDING and held.lease is not None:
            body = {"request": asked, "role": held.lease.role}
            body |= _trouble(desk, held.lease.trouble, failure)
            desk.record(now, state.UNENDED, BROKER, body)
        return held

    return insist(work)


def _orphan_failed(desk: Desk, target: Leased, role: str, failure: Failure) -> None:
    def work() -> None:
        now = ledger.now(desk, target.stream)
        found = now.orphans.get(role)
        if found is not None:
            body = {"request": "", "role": role}
            body |= _trouble(desk, found.trouble, failure)
            desk.record(now, state.UNENDED, BROKER, body)

    insist(work)


def _trouble(desk: Desk, before: Trouble | None, failure: Failure) -> dict[str, Any]:
    """What failed, and when it is tried again."""
    attempts = 1 if before is None else before.attempts + 1
    pause = min(FIRST_PAUSE_SECONDS * 2 ** min(attempts - 1, 10), LAST_PAUSE_SECONDS)
    return {
        "step": failure.step,
        "code": failure.code,
        "message": failure.message[:MAX_MESSAGE],
        "attempts": attempts,
        "next_at": desk.later(pause),
    }
