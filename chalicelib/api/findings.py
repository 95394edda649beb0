"""Findings: those that are there now, and what people decide about them."""

from __future__ import annotations

import base64
from datetime import date
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import msgspec

from chalicelib.api.call import version
from chalicelib.api.types import (
    Accept,
    Acceptances,
    Accepted,
    Empty,
    FindingQuery,
    Findings,
    FindingView,
    Suppress,
    Suppressed,
    Suppressions,
)
from chalicelib.drift import decide, state
from chalicelib.drift.finding import Finding
from chalicelib.drift.judge import Direction, Severity
from chalicelib.evidence.personal import Reveal
from chalicelib.kernel.errors import NotFound, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from chalicelib.api.call import Call
    from chalicelib.drift.desk import Target
    from chalicelib.drift.state import Note

MIN_PREFIX: Final = 4  # of a finding's id, "F-" counted


class _Row(NamedTuple):
    """A finding as its target's state has it."""

    target: Target
    id: str
    note: Note


def ls(call: Call, asked: FindingQuery) -> Findings:
    """The findings that are asked for, in the order that is asked for."""
    now = call.now
    rows = [row for row in _rows(call, "finding:read", asked.target) if _wanted(row, asked, now)]
    rows.sort(key=lambda row: row.id)
    descending = asked.sort.startswith("-")
    rows.sort(key=_ORDERS[asked.sort.removeprefix("-")], reverse=descending)
    start = _start(rows, asked.cursor)
    page = rows[start : start + asked.limit]
    more = start + asked.limit < len(rows)
    return Findings(items=_views(call, page), next=_cursor(page[-1]) if more else None)


def show(call: Call, _asked: Empty, finding: str) -> FindingView:
    """One finding, by its id or a beginning of it. Raises: NotFound."""
    (view,) = _views(call, [_locate(_rows(call, "finding:read"), finding)])
    return view


def suppress(call: Call, asked: Suppress) -> Suppressions:
    """Let findings not count until a day ends. Raises: as ``drift.decide.suppress``."""
    done = []
    for target, ids in _by_target(call, "finding:suppress", asked.findings).items():

        def work(target: Target = target, ids: list[str] = ids) -> str:
            return decide.suppress(
                call.services.desk,
                target,
                ids,
                until=_day(asked.until),
                reason=asked.reason,
                actor=call.actor,
                seen=lambda now: _match(call, now, ids),
                request=call.request,
            )

        done.append(Suppressed(target=target.stream, findings=ids, until=call.again(work)))
    return Suppressions(items=done)


def accept(call: Call, asked: Accept) -> Acceptances:
    """Propose baselines that take findings over. Raises: as ``drift.decide.accept``."""
    done = []
    for target, ids in _by_target(call, "finding:accept", asked.findings).items():

        def work(target: Target = target, ids: list[str] = ids) -> state.State:
            return decide.accept(
                call.services.desk,
                target,
                ids,
                reason=asked.reason,
                actor=call.actor,
                replace=asked.replace,
                seen=lambda now: _match(call, now, ids),
            )

        opened = call.again(work).proposal
        proposal = opened.id if opened else None
        done.append(Accepted(target=target.stream, findings=ids, proposal=proposal))
    return Acceptances(items=done)


def _match(call: Call, now: state.State, ids: list[str]) -> None:
    """Where the caller says which version they saw, it must be the one that is there."""
    if call.expect:
        note = now.findings.get(ids[0])
        call.match("" if note is None else _version(ids[0], note))


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise UsageError(f"{text} is no day of the calendar; expected e.g. 2026-12-24") from None


def _rows(call: Call, action: str, target: str | None = None) -> list[_Row]:
    """Every finding that is there now on targets of which the caller may know."""
    return [
        _Row(one, key, note)
        for one in call.targets(action, target)
        for key, note in call.services.desk.states.get(one.stream).findings.items()
    ]


def _wanted(row: _Row, asked: FindingQuery, now: str) -> bool:
    note = row.note
    text = asked.text.casefold()
    return (
        (not asked.severity or Severity(note.severity) in asked.severity)
        and (not asked.direction or Direction(note.direction) in asked.direction)
        and (not asked.disposition or note.at(now) in asked.disposition)
        and asked.kind in {"", note.kind}
        and (text in note.name.casefold() or text in note.title.casefold())
    )


_ORDERS: Final[dict[str, Callable[[_Row], Any]]] = {
    "severity": lambda row: Severity(row.note.severity).rank,
    "opened_at": lambda row: row.note.opened_at,
    "target": lambda row: row.target.stream,
    "name": lambda row: (row.note.kind, row.note.name),
}


def _cursor(row: _Row) -> str:
    return base64.urlsafe_b64encode(row.id.encode()).decode().rstrip("=")


def _start(rows: list[_Row], cursor: str) -> int:
    """Where the page after ``cursor`` begins; what went meanwhile moves nothing else."""
    if not cursor:
        return 0
    for place, row in enumerate(rows):
        if _cursor(row) == cursor:
            return place + 1
    raise UsageError(
        "the list went on without the finding that this page follows", next_step="begin again"
    )


def _views(call: Call, rows: list[_Row]) -> list[FindingView]:
    recorded = call.memory.findings(row.note.index for row in rows)
    reveal = Reveal(call.services.subjects, call.services.log)
    now = call.now
    return [_view(row, recorded[row.note.index], reveal, now) for row in rows]


def _view(row: _Row, found: Finding, reveal: Reveal, now: str) -> FindingView:
    note = row.note
    fields = {name: getattr(found, name) for name in Finding.__struct_fields__}
    fields["who"] = note.who  # later scans may have learned more than its record says
    return FindingView(
        **fields,
        disposition=note.at(now),
        suppressed_until=note.suppressed_until or None,
        reason=reveal.text(note.reason, state.SUPPRESSED, row.target.stream) or None,
        by=note.by or None,
        record=note.index,
        opened_at=note.opened_at,
        version=_version(row.id, note),
    )


def _version(finding: str, note: Note) -> str:
    reason = note.reason if isinstance(note.reason, str) else msgspec.to_builtins(note.reason)
    decided = [note.disposition.value, note.suppressed_until, note.by, reason]
    who = [] if note.who is None else [msgspec.to_builtins(note.who)]
    return version([finding, note.index, decided, *who])


def _locate(rows: list[_Row], finding: str) -> _Row:
    """The one finding whose id is this, or begins so."""
    found = [row for row in rows if row.id.startswith(finding) and len(finding) >= MIN_PREFIX]
    if len(found) == 1:
        return found[0]
    if found:
        raise NotFound(f"{finding} is the beginning of {len(found)} findings")
    raise NotFound(f"no finding {finding} now", next_step="holdfast drift ls")


def _by_target(call: Call, action: str, findings: Iterable[str]) -> dict[Target, list[str]]:
    """The findings' whole ids by target; all are there and may be decided, or nothing is."""
    rows = _rows(call, "finding:read")
    grouped: dict[Target, list[str]] = {}
    for finding in dict.fromkeys(findings):
        row = _locate(rows, finding)
        call.guard.check(action, row.target)
        ids = grouped.setdefault(row.target, [])
        if row.id not in ids:
            ids.append(row.id)
    if call.expect and sum(map(len, grouped.values())) != 1:
        raise UsageError("If-Match names one version, and so one finding")
    return grouped
