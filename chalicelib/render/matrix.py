"""The control matrix: of each control, what ran in the period, and what came of it.

Evidence supports a control; whether it is met is for an assessor to say. The sets of evidence, and
the controls that each supports, are those of controls.toml.
"""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING, Final

import msgspec

from chalicelib.access import state as leases
from chalicelib.drift import rulebook, state
from chalicelib.render import exceptions
from chalicelib.render.exceptions import (
    ACCESS,
    BASELINE,
    COVERAGE,
    CUSTODY,
    DRIFT,
    HOST,
    INTEGRITY,
    LEASES,
    REVIEW,
    STATEMENTS,
)
from chalicelib.render.rows_drift import OPEN

if TYPE_CHECKING:
    from collections.abc import Callable

    from chalicelib.drift.rulebook import Controls
    from chalicelib.render.book import Book

SUPPORTS: Final = (
    'Evidence "supports" a control. Whether the control is met is for an assessor to say.'
)
UNTOLD: Final = "not told here"
NOTHING: Final = "nothing of this ran in the period"
NO_EXCEPTION: Final = "no exception found"

TITLES: Final = {
    "nist_800_53": "NIST SP 800-53 Rev. 5",
    "soc2": "SOC 2, Trust Services Criteria",
    "iso_27001": "ISO/IEC 27001:2022, Annex A",
    "pci_dss": "PCI DSS 4.0.1",
    "fedramp_ksi": "FedRAMP 20x Key Security Indicators",
}
_ALL: Final = "*"
_PARTS = re.compile(r"\d+|\D+")


class Ran(msgspec.Struct, frozen=True):
    """One set of evidence: how many (``count``) of a ``population`` ran, and ``words`` for that.

    ``exceptions``: how many, whatever they are at the end of the period. ``first_leaf``: of the
    population; None: it is empty. ``told``: whether the packet has the records that would tell.
    """

    set: str
    evidence: str
    words: str
    population: str
    count: int
    exceptions: int
    first_leaf: int | None
    told: bool


class Control(msgspec.Struct, frozen=True):
    """A control. ``awaiting_check``: nobody compared its id with the framework's text yet.

    ``dispositions``: its exceptions, each once, by what they are at the end of the period.
    ``ran``: whether any of its evidence is here. ``complete``: whether all records are here that
    could be exceptions of it; else that there are none says nothing.
    """

    id: str
    awaiting_check: bool
    evidence: list[Ran]
    result: str
    dispositions: dict[str, int]
    ran: bool
    complete: bool

    @property
    def exceptions(self) -> int:
        """How many there are."""
        return sum(self.dispositions.values())


class Framework(msgspec.Struct, frozen=True):
    """A framework's controls, in the order of their ids."""

    name: str
    title: str
    controls: list[Control]


def matrix(book: Book) -> list[Framework]:
    """Of each framework the controls that evidence of this program supports.

    Raises: StoreUnavailable.
    """
    controls = rulebook.controls()
    noted: Counter[tuple[tuple[str, ...], str]] = Counter()
    for one in exceptions.exceptions(book):
        noted[one.sets, one.disposition] += 1
    ran = {name: _ran(book, name, one.evidence, noted) for name, one in controls.sets.items()}
    # Rules may name any set, so a finding that is left out may be an exception of each control.
    is_whole = book.tells(state.OPENED)
    return [_framework(name, controls, ran, noted, is_whole=is_whole) for name in TITLES]


def sets_of(framework: str) -> dict[str, frozenset[str]]:
    """By a framework's controls, the sets of evidence that support them."""
    found: dict[str, set[str]] = {}
    for name, one in rulebook.controls().sets.items():
        for control in getattr(one, framework):
            found.setdefault(control, set()).add(name)
    return {control: frozenset(found[control]) for control in sorted(found, key=_natural)}


def _framework(
    name: str,
    controls: Controls,
    ran: dict[str, Ran],
    noted: Counter[tuple[tuple[str, ...], str]],
    *,
    is_whole: bool,
) -> Framework:
    awaiting = controls.awaiting_check.get(name, [])
    rows = []
    for control, sets in sets_of(name).items():
        evidence = [one for key, one in ran.items() if key in sets]
        dispositions: Counter[str] = Counter()
        for (of, disposition), times in noted.items():
            if not sets.isdisjoint(of):
                dispositions[disposition] += times
        ordered = {key: dispositions[key] for key in sorted(dispositions, key=_first_open)}
        complete = is_whole and all(one.told for one in evidence)
        rows.append(
            Control(
                id=control,
                awaiting_check=_ALL in awaiting or control in awaiting,
                evidence=evidence,
                result=_result(evidence, ordered, complete=complete),
                dispositions=ordered,
                ran=any(one.told and one.count for one in evidence) or bool(ordered),
                complete=complete,
            )
        )
    return Framework(name, TITLES[name], rows)


def _first_open(disposition: str) -> tuple[bool, str]:
    return disposition != OPEN, disposition


def _result(evidence: list[Ran], dispositions: dict[str, int], *, complete: bool) -> str:
    total = sum(dispositions.values())
    if total:
        parts = ", ".join(f"{times} {name}" for name, times in dispositions.items())
        found = f"{_some(total, 'exception')}: {parts}"
        return found if complete else f"{found}; of part of it {UNTOLD}"
    if not complete:
        return f"exceptions {UNTOLD}" if any(one.told for one in evidence) else UNTOLD
    return NO_EXCEPTION if any(one.count for one in evidence) else NOTHING


def _natural(text: str) -> list[tuple[int, str]]:
    """AC-2 before AC-2(3) before AC-10."""
    return [(int(part), "") if part.isdigit() else (-1, part) for part in _PARTS.findall(text)]


def _some(number: int | None, noun: str, plural: str = "") -> str:
    return f"{number or 0} {noun if number == 1 else plural or noun + 's'}"


def _ran(book: Book, name: str, evidence: str, noted: Counter[tuple[tuple[str, ...], str]]) -> Ran:
    words, population, count, first = _POPULATIONS.get(name, _unknown)(book)
    told = book.tells(*_NEEDS.get(name, ()))
    return Ran(
        set=name,
        evidence=evidence,
        words=words if told else UNTOLD,
        population=population,
        count=count,
        exceptions=sum(times for (sets, _), times in noted.items() if name in sets),
        first_leaf=first,
        told=told,
    )


# What of a packet that has not all kinds of records says whether there was any. Scans, times of the
# schedule and the log's own records are in every packet.
_NEEDS: Final = {
    BASELINE: (state.PROPOSED, state.APPROVED, state.SIGNED),
    LEASES: (leases.REQUESTED, leases.APPROVED, leases.ISSUED, leases.ENDED),
    REVIEW: (leases.REQUESTED, leases.ISSUED, leases.REVIEWED),
    CUSTODY: ("evidence.read",),
}

Population = tuple[str, str, int, int | None]
_SCANS: Final = "FROM scan WHERE leaf >= ? AND leaf < ? AND outcome != 'missed'"


def _within(table: str) -> str:
    """The rows of a table whose records are in the range. ``table``: of this module."""
    return f"FROM {table} WHERE leaf >= ? AND leaf < ?"


def _row(book: Book, sql: str) -> tuple[int, ...]:
    """The one row of a question over the range. Sums of nothing are 0; so is a missing leaf."""
    head = book.verified.head
    (row,) = book.ask(sql, [head.range.first, head.range.last])
    return tuple(0 if one is None else one for one in row)


def _leaf(book: Book, table: str) -> int | None:
    """The first record of a table. ``table``: with its condition, of this module."""
    head = book.verified.head
    found = book.one(f"SELECT min(leaf) {table}", [head.range.first, head.range.last])
    return None if found is None else int(found)


def _drift(book: Book) -> Population:
    scans, targets, held = _row(
        book, f"SELECT count(*), count(DISTINCT target), count(baseline_leaf) {_SCANS}"
    )
    words = (
        f"{_some(scans, 'scan')} of {_some(targets, 'target')}, "
        f"{held} of them held to a signed baseline"
    )
    return words, "scans", scans, _leaf(book, _SCANS)


def _access(book: Book) -> Population:
    where = f"{_SCANS} AND snapshot_sha256 IS NOT NULL"
    taken, targets, rows = _row(
        book, f"SELECT count(*), count(DISTINCT target), sum(objects) {where}"
    )
    words = (
        f"{_some(taken, 'snapshot')} of {_some(targets, 'target')}, "
        f"{_some(rows, 'object')} read in all"
    )
    return words, "scans", taken, _leaf(book, where)


def _baseline(book: Book) -> Population:
    head = book.verified.head
    signed, first = book.ask(
        "SELECT count(*), min(leaf) FROM baseline WHERE signed_leaf >= ? AND signed_leaf < ?",
        [head.range.first, head.range.last],
    )[0]
    (agreed,) = _row(book, f"SELECT count(*) {_within('baseline_approval')}")
    (proposed,) = _row(book, f"SELECT count(*) {_within('baseline')}")
    words = (
        f"{_some(proposed, 'baseline')} proposed, {_some(agreed, 'approval')} by others, "
        f"{signed} signed"
    )
    return words, "baselines", signed, first


def _statements(_book: Book) -> Population:
    return "no statement is recorded; what may count is a change of what is logged", "", 0, None


def _host(book: Book) -> Population:
    where = f"{_SCANS} AND (target LIKE 'iam:%' OR target LIKE 'rds:%')"
    scans, targets = _row(book, f"SELECT count(*), count(DISTINCT target) {where}")
    words = f"{_some(scans, 'scan')} of {_some(targets, 'target')} in AWS"
    return words, "scans", scans, _leaf(book, where)


def _coverage(book: Book) -> Population:
    ((expected, observed, pending),) = book.ask(
        "SELECT coalesce(sum(expected), 0), coalesce(sum(observed), 0), coalesce(sum(pending), 0) "
        "FROM covered"
    )
    period = book.verified.head.period
    ticks, first = book.ask(
        "SELECT count(*), min(leaf) FROM tick WHERE scheduled_at >= ? AND scheduled_at < ?",
        [period.start, period.end],
    )[0]
    words = (
        f"{observed} of {_some(expected, 'scan')} that the schedule expected, "
        f"at {_some(ticks, 'time', 'times')}"
    )
    if pending:
        words += f"; {pending} could still come when the period was closed"
    return words, "ticks", expected, first


def _leases(book: Book) -> Population:
    where = _within("access")
    asked, given, gone, renewed = _row(
        book, f"SELECT count(*), count(issued_leaf), count(ended_leaf), sum(renewals) {where}"
    )
    (agreed,) = _row(
        book, f"SELECT count(*) {_within('access_event')} AND event = '{leases.APPROVED}'"
    )
    words = (
        f"{_some(asked, 'request')}, {_some(agreed, 'approval')}, {_some(given, 'lease')}, "
        f"{gone} of them proven gone"
    )
    if renewed:
        words += f", {_some(renewed, 'renewal')}"
    return words, "requests_and_leases", asked, _leaf(book, where)


def _review(book: Book) -> Population:
    where = f"{_within('access_event')} AND event = '{leases.REVIEWED}'"
    (reviews,) = _row(book, f"SELECT count(*) {where}")
    (broken,) = _row(book, f"SELECT count(issued_leaf) {_within('access')} AND break_glass")
    words = (
        f"{_some(reviews, 'review')}; {_some(broken, 'lease')} given before anybody agreed "
        "(break-glass)"
    )
    return words, "access_events", reviews, _leaf(book, where)


def _integrity(book: Book) -> Population:
    told = book.verified.verdict
    stamps = sum(map(len, told.timestamps.values()))
    words = (
        f"{_some(book.verified.head.records, 'record')} proven under a checkpoint of "
        f"{_some(book.verified.checkpoint.size, 'leaf', 'leaves')}, "
        f"{_some(len(told.witnesses), 'witness', 'witnesses')}, {_some(stamps, 'timestamp')}: "
        f"{told.answer.value}"
    )
    return words, "records", book.verified.head.records, book.one("SELECT min(leaf) FROM record")


def _custody(book: Book) -> Population:
    where = _within("custody")
    (made,) = _row(book, f"SELECT count(*) {where} AND event = 'packet.made'")
    (read,) = _row(book, f"SELECT count(*) {where} AND event = 'evidence.read'")
    words = f"{_some(made, 'packet')} made, evidence read {_some(read, 'time', 'times')}"
    return words, "custody", made + read, _leaf(book, where)


def _unknown(_book: Book) -> Population:
    """Of a set that this module does not know."""
    return "nothing of this program is such evidence", "", 0, None


_POPULATIONS: Final[dict[str, Callable[[Book], Population]]] = {
    DRIFT: _drift,
    ACCESS: _access,
    BASELINE: _baseline,
    STATEMENTS: _statements,
    HOST: _host,
    COVERAGE: _coverage,
    LEASES: _leases,
    REVIEW: _review,
    INTEGRITY: _integrity,
    CUSTODY: _custody,
}
