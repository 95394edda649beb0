"""Phases: how far a request is, as an exit code, in words, and waited for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from chalicelib.access import obligation
from chalicelib.cli.app import shared
from chalicelib.cli.progress import reading
from chalicelib.cli.remote import builtins
from chalicelib.cli.text import complain, count, emit, say
from chalicelib.kernel import names
from chalicelib.kernel.errors import UsageError

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


def patience(timeout: str, *, waits: bool = True) -> int | None:
    """The seconds of ``--timeout``, None without. Asked before anything is recorded.

    ``waits``: whether there is a ``--wait`` that it is for. Raises: UsageError.
    """
    if not timeout:
        return None
    if not waits:
        raise UsageError("--timeout is for --wait", next_step="--wait")
    return obligation.seconds(timeout)


def wait(
    over: Way, found: RequestView, *, most: int | None, as_json: bool
) -> tuple[RequestView, int]:
    """A request once nobody is waited for any more, and the exit code of that.

    That is of its renewal, where one is asked for. ``most``: seconds; None: for as long as it
    takes, for what waits too long lapses. Each change is said; with ``as_json`` as an event, one
    JSON document a line. Raises: what looking at it raises.
    """
    asked = found.renewal is not None
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
                _event("approval" if _agreed(before, found) else "phase", found, as_json)
    if asked and found.phase == "active" and found.renewal_denied is not None:
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


def _agreed(before: RequestView, after: RequestView) -> bool:
    """Whether somebody agreed, or it was changed: neither another phase nor a denial."""
    return before.phase == after.phase and after.renewal_denied == before.renewal_denied


def _event(event: str, found: RequestView, as_json: bool) -> None:
    if as_json:
        told = {"event": event, "id": found.id, "phase": found.phase, "request": builtins(found)}
        emit(told, indent=None)
    elif event != "timeout":
        say(f"{found.id}: {words(found)}", STYLES[found.phase])


def tell(found: RequestView, *, said: bool = False, theirs: bool = False) -> None:
    """How far it is, and the next command. ``said``: how far, it was said before.

    ``theirs``: whether it is somebody else's, for whom the next command is.
    """
    if not said:
        say(f"{found.id}: {words(found)}", STYLES[found.phase])
    trouble(found)
    say_next(found, theirs=theirs)


def say_next(found: RequestView, *, theirs: bool = False) -> None:
    """Say the next command, if there is one."""
    if step := next_step(found, theirs=theirs):
        say(step, "bold")


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
            said += f"; {renewal(found)}" if renewal(found) else ""
        case "ending" if lease is not None:
            said = f"being ended: {lease.why}"
            if overdue(found):
                said = f"past its time since {moment(lease.until)}, and not ended"
        case "ended" if lease is not None:
            said = f"ended at {moment(lease.ended_at)}: {lease.why}, proven gone"
        case "denied" | "withdrawn":
            why = f": {found.comment}" if found.comment else ""
            said = f"{found.phase} by {found.closed_by}{why}"
    return said


def overdue(found: RequestView) -> bool:
    """Whether a lease is past its time, and nobody has begun to end it."""
    return found.phase == "ending" and found.lease is not None and found.lease.why is None


def renewal(found: RequestView) -> str:
    """What became of the renewal that was asked for last; empty, if there is nothing to say."""
    if found.renewal is not None:
        longer = obligation.length(found.renewal.seconds)
        return f"renewal of {longer} {needs(found.renewal.needs)}"
    denied = found.renewal_denied
    if denied is None or found.phase != "active":
        return ""
    why = f": {denied.comment}" if denied.comment else ""
    return f"renewal of {obligation.length(denied.seconds)} denied by {denied.by}{why}"


def needs(wanted: NeedsView) -> str:
    """What people still have to do: ``needs 2 more people, one of dba``."""
    if not wanted.lacking:
        return "nobody has to agree"
    people = "1 person" if wanted.lacking == 1 else f"{wanted.lacking} people"
    groups = "".join(f", one of {group}" for group in wanted.groups_lacking)
    return f"needs {people} to agree{groups}"


def next_step(found: RequestView, *, theirs: bool = False) -> str:
    """What to do now; empty, where nothing is left to do. ``theirs``: as of :func:`tell`."""
    person = found.requester.partition(":")[2]
    step = ""
    if waits(found):
        waiting = found.approvals if found.renewal is None else found.renewal.approvals
        others = " and ".join(sorted({person, *(names.person(one.by) for one in waiting)}))
        return f"next, somebody else than {others}: holdfast approve {found.id}"
    if found.phase == "approved":
        step = f"holdfast run {found.id} -- psql"
        if found.target.startswith("sts:"):
            step = f"holdfast run {found.id} -- aws sts get-caller-identity"
    if found.phase == "active":
        step = f"holdfast run {found.id} -- PROGRAM, or holdfast revoke {found.id}"
    if found.review == "open" and CODES[found.phase] == OVER:
        return f"next, somebody else than {person}: holdfast review {found.id} --comment '…'"
    if not step:
        return ""
    return f"next, for {person}: {step}" if theirs else f"next: {step}"


def trouble(found: RequestView) -> None:
    """Say loudly that a lease could not be ended, or that nobody ends it, if that is so."""
    lease = found.lease
    if lease is None:
        return
    if overdue(found):
        complain(
            f"{found.id} IS PAST ITS TIME since {moment(lease.until)}, AND NOT ENDED: its sessions "
            "may go on. holdfast serve, or a deployment, ends what is over; does it run?",
            f"holdfast serve, or: holdfast revoke {found.id}",
        )
    if lease.trouble is None:
        return
    what = lease.trouble
    step = f"{what.step}: " if what.step else ""
    complain(
        f"{found.id} COULD NOT BE ENDED, after {count(what.attempts, 'attempt')}: "
        f"{step}{what.message} ({what.code}). holdfast serve, or a deployment, tries again at "
        f"{moment(what.next_at)}",
        f"holdfast revoke {found.id}",
    )


def moment(text: str | None) -> str:
    """A moment to the second: ``2026-10-01T02:00:00Z``."""
    return f"{text[:19]}Z" if text else "never"


def scope(found: RequestView) -> str:
    """The tables or resources that it is narrowed to."""
    return ", ".join([*found.tables, *found.resources]) or "all of the profile"
