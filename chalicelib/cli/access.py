"""``holdfast ls``, ``show`` and ``wait``: requests for access, and the leases that came of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Final, get_args

import msgspec
import typer
from rich.text import Text

from chalicelib.access import obligation
from chalicelib.api.wishes import PhaseText, RequestQuery
from chalicelib.cli import phase, table
from chalicelib.cli.app import JsonFlag, app, finish
from chalicelib.cli.remote import builtins, way
from chalicelib.cli.text import emit, say
from chalicelib.cli.wish import Id, Timeout
from chalicelib.kernel.errors import UsageError

if TYPE_CHECKING:
    from chalicelib.api.here import Way
    from chalicelib.api.wishes import LeaseView, NeedsView, RequestView

_CLOSED: Final = frozenset({"ended", "denied", "withdrawn", "lapsed"})


@app.command("ls")
def ls(
    every: Annotated[bool, typer.Option("--all", help="Also those that are over.")] = False,
    mine: Annotated[bool, typer.Option("--mine", help="One's own alone.")] = False,
    target: Annotated[str | None, typer.Option(help="Of this target.")] = None,
    of_phase: Annotated[
        str | None, typer.Option("--phase", help="pending, approved, active, ending, …")
    ] = None,
    as_json: JsonFlag = False,
) -> None:
    """List requests for access and leases, the newest first; what could not be ended is said."""
    known = get_args(PhaseText)
    if of_phase is not None and of_phase not in known:
        raise UsageError(f"no phase {of_phase[:40]!r}", next_step=f"one of {', '.join(known)}")
    over = way()
    asked = RequestQuery(
        target=target,
        phase=None if of_phase is None else msgspec.convert(of_phase, PhaseText),
        mine=mine,
        closed=every or of_phase in _CLOSED,
        limit=over.most,
    )
    rows = _pages(over, asked)
    if as_json:
        emit(builtins(rows))
    else:
        headings = ["id", "phase", "who", "what", "until"]
        table.grid(headings, [_row(one) for one in rows], unbroken=2)
        if not rows:
            say("no requests that are open" if not asked.closed else "no requests", "dim")
    for one in rows:
        phase.trouble(one)
        if one.review == "open" and one.phase in _CLOSED:
            say(f"{one.id}: the glass was broken and nobody has reviewed it", "bold yellow")
            say(phase.next_step(one), "bold")


def _pages(over: Way, asked: RequestQuery) -> list[RequestView]:
    found: list[RequestView] = []
    while True:
        page = over.do("requests", asked)
        found += page.items
        if page.next is None:
            return found
        asked = msgspec.structs.replace(asked, cursor=page.next)


def _row(one: RequestView) -> list[str | Text]:
    glass = ", glass broken" if one.break_glass else ""
    failing = one.lease is not None and one.lease.trouble is not None
    shown = Text(one.phase, phase.STYLES[one.phase])
    if failing:
        shown = Text(f"{one.phase}, NOT ENDED", "bold white on red")
    return [
        one.id,
        shown,
        one.requester,
        f"{one.profile}: {phase.scope(one)}, {obligation.length(one.seconds)}{glass}",
        _until(one),
    ]


def _until(one: RequestView) -> str:
    if one.phase == "pending":
        return f"{phase.moment(one.lapses_at)}, {phase.needs(one.needs)}"
    if one.lapses_at is not None:
        return phase.moment(one.lapses_at)
    return phase.moment(one.lease.until if one.lease else one.closed_at)


@app.command("show")
def show(asked: Id, as_json: JsonFlag = False) -> None:
    """Show one request: what is asked for, who agreed and who has to, and its lease."""
    found: RequestView = way().do("request_show", request=asked)
    if as_json:
        emit(builtins(found))
        return
    table.pairs(rows(found))
    phase.trouble(found)
    say(phase.next_step(found), "bold")


@app.command("wait")
def wait(asked: Id, timeout: Timeout = "", as_json: JsonFlag = False) -> None:
    """Wait until enough people agreed, or somebody denied. Exit 0, 4 not yet, 5 denied, 6 over.

    With --json every change is one JSON document a line.
    """
    over = way()
    found = over.do("request_show", request=asked)
    found, code = phase.wait(over, found, timeout=timeout, as_json=as_json)
    phase.tell(found)
    finish(code)


def rows(found: RequestView) -> list[tuple[str, Any]]:
    """A request, a label and a value each."""
    told: list[tuple[str, Any]] = [
        ("request", found.id),
        ("target", found.target),
        ("phase", Text(found.phase, phase.STYLES[found.phase])),
        ("requester", f"{found.requester}, at {phase.moment(found.at)}"),
        ("profile", found.profile),
        ("scope", phase.scope(found)),
        ("for", obligation.length(found.seconds)),
        ("reason", found.reason),
        *([("ticket", found.ticket)] if found.ticket else []),
        ("needs", _wanted(found.needs)),
        ("approved by", _people(found) or "nobody"),
        ("policies", found.policies),
        ("version", f"{found.version} (record {found.record}, revision {found.revision})"),
    ]
    if found.lapses_at is not None:
        told.append(("lapses at", phase.moment(found.lapses_at)))
    if found.break_glass:
        told.append(("broken glass", f"its review is {found.review or 'not needed any more'}"))
    if found.lease is not None:
        told += _lease(found.lease)
    if found.renewal is not None:
        longer = obligation.length(found.renewal.seconds)
        told.append(("renewal", f"{longer} from then on; {phase.needs(found.renewal.needs)}"))
    if found.closed_by is not None:
        told.append(("closed by", f"{found.closed_by}, at {phase.moment(found.closed_at)}"))
    if found.comment is not None:
        told.append(("comment", found.comment))
    return told


def _people(found: RequestView) -> list[str]:
    return [
        f"{one.by}{' for ' + ', '.join(one.groups) if one.groups else ''} at {phase.moment(one.at)}"
        for one in found.approvals
    ]


def _wanted(wanted: NeedsView) -> str:
    said = obligation.words(
        obligation.Obligations(
            approvals=wanted.approvals,
            groups=tuple(wanted.groups),
            max_seconds=wanted.max_seconds,
        )
    )
    return f"{said}; still {phase.needs(wanted)[6:]}" if wanted.lacking else said


def _lease(lease: LeaseView) -> list[tuple[str, Any]]:
    told: list[tuple[str, Any]] = [
        ("role", lease.role),
        ("until", phase.moment(lease.until)),
        ("issued at", phase.moment(lease.issued_at)),
        ("claimed", f"{lease.claims} times, last at {phase.moment(lease.claimed_at)}"),
        ("plan", lease.plan),
    ]
    if lease.why is not None:
        told.append(("ended", f"{lease.why}, at {phase.moment(lease.ended_at)}"))
    return told
