"""Phases: how far a request is, as an exit code, in words, and waited for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from chalicelib.access import obligation
from chalicelib.cli.app import shared
from chalicelib.cli.progress import reading
from chalicelib.cli.remote import builtins
from chalicelib.cli.text import complain, count, emit, say
from chalicelib.kernel import names

if TYPE_CHECKING:
    from chalicelib.api.here import Way
    from chalicelib.api.wishes import NeedsView, RequestView

DONE: Final = 0
PENDING: Final = 4
REFUSED: Final = 5
OVER: Final = 6
CODES: Final = {
    "pending": PENDING,
    "approved": DONE,
    "issuing": DONE,
    "active": DONE,
    "denied": REFUSED,
    "withdrawn": REFUSED,
    "lapsed": OVER,
    "ending": OVER,
    "ended": OVER,
}
STYLES: Final = {
    "pending": "yellow",
    "approved": "bold green",
    "issuing": "green",
    "active": "green",
    "denied": "bold red",
    "withdrawn": "dim",
    "lapsed": "dim",
    "ending": "bold yellow",
    "ended": "dim",
}
FIRST_PAUSE_SECONDS: Final = 0.25  # between two looks, then longer
LAST_PAUSE_SECONDS: Final = 3.0


def wait(over: Way, found: RequestView, *, timeout: str, as_json: bool) -> tuple[RequestView, int]:
    """A request once nobody is waited for any more, and the exit code of that.

    That is of its renewal, where one is asked for. ``timeout``: e.g. ``10m``; empty: for as long as
    it takes, for what waits too long lapses. With ``as_json`` each change is an event, one JSON
    document a line. Raises: UsageError; what looking at it raises.
    """
    most = obligation.seconds(timeout) if timeout else None
    renewed = found.renewal is not None and found.lease is not None
    until = found.lease.until if found.lease is not None else ""
    began, pause = shared.moment(), FIRST_PAUSE_SECONDS
    _event("phase", found, as_json=as_json)
    with reading(found.id) as progress:
        while waits(found):
            left = LAST_PAUSE_SECONDS if most is None else most - (shared.moment() - began)
            if left <= 0:
                _event("timeout", found, as_json=as_json)
                return found, PENDING
            progress(found.phase, 0, 1)
            shared.pause(min(pause, left))
            pause = min(pause * 1.5, LAST_PAUSE_SECONDS)
            before, found = found, over.do("request_show", request=found.id)
            if _differs(before, found):
                _event("phase" if before.phase != found.phase else "approval", found, as_json)
    if renewed and found.phase == "active" and found.lease and found.lease.until == until:
        return found, REFUSED
    return found, CODES[found.phase]


def waits(found: RequestView) -> bool:
    """Whether people still have to agree: to the request, or to the renewal that is asked for."""
    return found.phase == "pending" or (found.phase == "active" and found.renewal is not None)


def _differs(before: RequestView, after: RequestView) -> bool:
    def seen(one: RequestView) -> Any:
        renewal = None if one.renewal is None else len(one.renewal.approvals)
        return one.phase, one.version, len(one.approvals), renewal

    return bool(seen(before) != seen(after))


def _event(event: str, found: RequestView, as_json: bool) -> None:
    if as_json:
        told = {"event": event, "id": found.id, "phase": found.phase, "request": builtins(found)}
        emit(told, indent=None)
    elif event != "timeout":
        say(f"{found.id}: {words(found)}", STYLES[found.phase])


def tell(found: RequestView) -> None:
    """How far it is, and the next command."""
    say(f"{found.id}: {words(found)}", STYLES[found.phase])
    trouble(found)
    say(next_step(found), "bold")


def words(found: RequestView) -> str:
    """How far it is, in one line."""
    said: str = found.phase
    lease = found.lease
    match found.phase:
        case "pending":
            said = f"pending until {moment(found.lapses_at)}; {needs(found.needs)}"
        case "approved":
            by = ", ".join(one.by for one in found.approvals)
            agreed = f" by {by}" if by else "; nobody had to agree"
            said = f"approved{agreed}; to be claimed until {moment(found.lapses_at)}"
        case "active" if lease is not None:
            said = f"active until {moment(lease.until)}"
            if found.renewal is not None:
                longer = obligation.length(found.renewal.seconds)
                said += f"; {longer} more asked for: {needs(found.renewal.needs)}"
        case "ending" if lease is not None:
            said = f"ending: {lease.why or 'its time is over'}"
        case "ended" if lease is not None:
            said = f"ended at {moment(lease.ended_at)}: {lease.why}, proven gone"
        case "denied" | "withdrawn":
            why = f": {found.comment}" if found.comment else ""
            said = f"{found.phase} by {found.closed_by}{why}"
    return said


def needs(wanted: NeedsView) -> str:
    """What people still have to do: ``needs 2 more people, one of dba``."""
    if not wanted.lacking:
        return "nobody has to agree"
    people = "1 person" if wanted.lacking == 1 else f"{wanted.lacking} people"
    groups = "".join(f", one of {group}" for group in wanted.groups_lacking)
    return f"needs {people} to agree{groups}"


def next_step(found: RequestView) -> str:
    """What to do now."""
    step = f"holdfast show {found.id}"
    if waits(found):
        waiting = found.approvals if found.renewal is None else found.renewal.approvals
        person = found.requester.partition(":")[2]
        others = " and ".join(sorted({person, *(names.person(one.by) for one in waiting)}))
        return f"next, somebody else than {others}: holdfast approve {found.id}"
    if found.phase == "approved":
        step = f"holdfast run {found.id} -- psql"
        if found.target.startswith("sts:"):
            step = f"holdfast run {found.id} -- aws sts get-caller-identity"
    if found.phase == "active":
        step = f"holdfast run {found.id} -- PROGRAM, or holdfast revoke {found.id}"
    if found.review == "open" and CODES[found.phase] == OVER:
        return f"next, somebody else: holdfast review {found.id} --comment '…'"
    return f"next: {step}"


def trouble(found: RequestView) -> None:
    """Say loudly that a lease could not be ended, if that is so."""
    lease = found.lease
    if lease is None or lease.trouble is None:
        return
    what = lease.trouble
    complain(
        f"{found.id} COULD NOT BE ENDED: {what.step}: {what.message} ({what.code}, "
        f"{count(what.attempts, 'attempt')}; tried again at {moment(what.next_at)})",
        f"holdfast revoke {found.id}",
    )


def moment(text: str | None) -> str:
    """A moment to the second: ``2026-10-01T02:00:00Z``."""
    return f"{text[:19]}Z" if text else "never"


def scope(found: RequestView) -> str:
    """The tables or resources that it is narrowed to."""
    return ", ".join([*found.tables, *found.resources]) or "all of the profile"
