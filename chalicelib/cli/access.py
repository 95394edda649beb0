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
from chalicelib.cli.text import count, emit, say
from chalicelib.cli.wish import Id, Timeout
from chalicelib.kernel.clock import parse_timestamp
from chalicelib.kernel.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from chalicelib.api.here import Way
    from chalicelib.api.wishes import (
        ApprovalView,
        LeaseView,
        NeedsView,
        RenewalView,
        RequestView,
    )

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
        headings = ["id", "phase", "who", "what", "when"]
        table.grid(headings, [_row(one) for one in rows], unbroken=2, whole_words=True)
        if not rows:
            say("no requests that are open" if not asked.closed else "no requests", "dim")
    for one in rows:
        phase.trouble(one)
        if one.review == "open" and one.phase in _CLOSED:
            say(f"{one.id}: the glass was broken and nobody has reviewed it", "bold yellow")
            phase.say_next(one)


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
    if failing or phase.overdue(one):
        late = "NOT ENDED" if failing else "PAST ITS TIME"
        shown = Text(f"{one.phase}, {late}", "bold white on red")
    return [
        one.id,
        shown,
        one.requester,
        f"{one.profile}: {phase.scope(one)}, {obligation.length(one.seconds)}{glass}",
        _when(one),
    ]


def _when(one: RequestView) -> str:
    """The one moment to know of, in words: tables have no headings in a pipe."""
    lease = one.lease
    match one.phase:
        case "pending":
            return f"until {phase.moment(one.lapses_at)}, {phase.needs(one.needs)}"
        case "approved":
            return f"to be claimed until {phase.moment(one.lapses_at)}"
        case "lapsed":
            return f"lapsed at {phase.moment(one.closed_at or one.lapses_at)}"
        case "denied" | "withdrawn":
            return f"{one.phase} at {phase.moment(one.closed_at)}"
        case "ended" if lease is not None:
            return f"ended at {phase.moment(lease.ended_at)}"
    until = f"until {phase.moment(lease.until if lease else None)}"
    renewal = phase.renewal(one)
    return f"{until}, {renewal}" if renewal else until


@app.command("show")
def show(asked: Id, as_json: JsonFlag = False) -> None:
    """Show one request: what is asked for, who agreed and who has to, and its lease."""
    found: RequestView = way().do("request_show", request=asked)
    if as_json:
        emit(builtins(found))
        return
    table.pairs(rows(found))
    phase.trouble(found)
    phase.say_next(found)


@app.command("wait")
def wait(asked: Id, timeout: Timeout = "", as_json: JsonFlag = False) -> None:
    """Wait until enough people agreed, or somebody denied. Exit 0, 4 not yet, 5 denied, 6 over.

    With --json every change is one JSON document a line.
    """
    most = phase.patience(timeout)
    over = way()
    found = over.do("request_show", request=asked)
    found, code = phase.wait(over, found, most=most, as_json=as_json)
    phase.tell(found, said=not as_json)
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
        *([("may agree", found.may_agree)] if found.may_agree else []),
        ("approved by", _people(found.approvals) or "nobody"),
        ("policies", found.policies),
        ("version", f"{found.version} (record {found.record}, revision {found.revision})"),
    ]
    if found.lapses_at is not None:
        told.append(("lapses at", phase.moment(found.lapses_at)))
    if found.break_glass:
        told.append(("broken glass", f"its review is {found.review or 'not needed any more'}"))
    if (looked := found.reviewed) is not None:
        told.append(("reviewed by", f"{looked.by} at {phase.moment(looked.at)}"))
        told.append(("found", looked.comment or "nothing was said"))
    if found.lease is not None:
        told += _lease(found.lease)
    told += _renewals(found)
    if found.closed_by is not None:
        told.append(("closed by", f"{found.closed_by}, at {phase.moment(found.closed_at)}"))
    if found.comment is not None:
        told.append(("comment", found.comment))
    return told


def _renewals(found: RequestView) -> list[tuple[str, Any]]:
    told: list[tuple[str, Any]] = []
    if (last := found.renewed) is not None:
        by = ", ".join(_people(last.approvals)) or "nobody had to"
        longer = obligation.length(last.seconds)
        told.append(("renewed", f"at {phase.moment(last.at)} for {longer}; agreed by: {by}"))
    if (asked := found.renewal) is not None:
        longer = obligation.length(asked.seconds)
        at, lapses = phase.moment(asked.at), phase.moment(asked.lapses_at)
        told.append(("renewal", f"{longer} from {at} on{_in_all(found.lease, asked)}"))
        told.append(("waits", f"until {lapses}; {phase.needs(asked.needs)}"))
        told.append(("agreed to it", _people(asked.approvals) or "nobody"))
    if (denied := found.renewal_denied) is not None:
        why = f": {denied.comment}" if denied.comment else ""
        longer = obligation.length(denied.seconds)
        at = phase.moment(denied.at)
        told.append(("renewal", f"of {longer} denied by {denied.by} at {at}{why}"))
    return told


def _in_all(lease: LeaseView | None, asked: RenewalView) -> str:
    """How long the whole lease is to be: that is what people agree to."""
    if lease is None:
        return ""
    later = parse_timestamp(asked.at) - parse_timestamp(lease.until)
    return (
        f", {obligation.span(lease.seconds + round(later.total_seconds()) + asked.seconds)} in all"
    )


def _people(found: Sequence[ApprovalView]) -> list[str]:
    return [
        f"{one.by}{' for ' + ', '.join(one.groups) if one.groups else ''} at {phase.moment(one.at)}"
        for one in found
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
        ("until", f"{phase.moment(lease.until)}, {obligation.span(lease.seconds)} in all"),
        ("issued at", phase.moment(lease.issued_at)),
        (
            "claimed",
            f"{count(lease.claims, 'time')}, last at {phase.moment(lease.claimed_at)}"
            if lease.claims
            else "never",
        ),
        ("plan", lease.plan),
    ]
    if lease.ended_at is not None:
        told.append(("ended", f"{lease.why}, proven gone at {phase.moment(lease.ended_at)}"))
    elif lease.why is not None:
        told.append(("ending", f"{lease.why}; not proven gone yet"))
    return told
