"""Picks: the facts of a report, out of a book: totals, and of lists the rows that matter most."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

import msgspec

from chalicelib.drift.state import OPENED
from chalicelib.kernel.clock import timestamp
from chalicelib.render import exceptions, facts, matrix, populations
from chalicelib.render.days import calendar, days
from chalicelib.render.facts import Shown
from chalicelib.render.rows_drift import OPEN

if TYPE_CHECKING:
    from chalicelib.render.book import Book
    from chalicelib.render.populations import Population

MAX_ROWS: Final = 200  # of a list that is shown
MAX_SYSTEMS: Final = 500
MAX_EVENTS: Final = 20  # of one finding or request
SAMPLE: Final = 25  # rows
MAX_TEXT: Final = 2_000  # characters of a value; its record has all of it

# Of a sampled population the columns by which people find the thing and test it. Always "leaf".
COLUMNS: Final = {
    "scans": (
        "leaf target scheduled_at recorded_at ran_as objects baseline outcome findings_opened"
    ),
    "findings": "leaf target opened_at severity title name attributed_to disposition ended_at",
    "baselines": (
        "leaf target baseline_id proposed_by proposed_at approved_by approved_at "
        "approvals_required signed_at"
    ),
    "requests_and_leases": (
        "leaf request_id requested_by requested_at approvers last_approved_at role issued_at "
        "ended_at"
    ),
}

_WORST: Final = "open ones before others, the most severe first, then in the order of the log"
_LOG: Final = "in the order of the log"
_NAMED: Final = (
    "SELECT target FROM covered UNION SELECT target FROM configured UNION SELECT target FROM scan"
)


def report(book: Book, *, seed: str = "", size: int = SAMPLE) -> facts.Report:
    """The facts of a book. ``seed``: of the samples; empty: the packet's SHA-256.

    Raises: StoreUnavailable.
    """
    expected, observed, pending, unobserved = book.ask(
        "SELECT coalesce(sum(expected), 0), coalesce(sum(observed), 0), "
        "coalesce(sum(pending), 0), coalesce(sum(unobserved), 0) FROM covered"
    )[0]
    period = book.verified.head.period
    seed = seed or book.verified.verdict.packet
    noted = list(islice(exceptions.exceptions(book), MAX_ROWS))
    return facts.Report(
        evidence=_evidence(book),
        systems=_systems(book),
        ticks=book.one(
            "SELECT count(*) FROM tick WHERE scheduled_at >= ? AND scheduled_at < ?",
            [period.start, period.end],
        ),
        expected=expected,
        observed=observed,
        pending=pending,
        unobserved=unobserved,
        scanned=_scanned(book),
        known_by=dict(
            book.ask("SELECT via, count(*) FROM record WHERE in_range GROUP BY via ORDER BY via")
        ),
        outcomes=dict(book.ask("SELECT outcome, count(*) FROM scan GROUP BY 1 ORDER BY 1")),
        programs=_programs(book),
        gaps=_gaps(book),
        findings=_findings(book),
        exceptions=Shown(noted, exceptions.count(book), _WORST),
        exceptions_by_severity=exceptions.by_severity(book),
        baselines=_baselines(book),
        leases=_leases(book),
        masking=_lines(book, "masking", "target"),
        custody=_lines(book, "custody", "via"),
        keeping=_lines(book, "keeping", "''"),
        frameworks=matrix.matrix(book),
        samples=[
            _sample(book, one, seed, size) for one in populations.POPULATIONS if one.is_sampled
        ],
        seed=seed,
        partial=_partial(book),
        untold=[kind for (kind,) in book.ask("SELECT kind FROM untold ORDER BY 1")],
        odd=book.one("SELECT count(*) FROM odd"),
        days=days(book),
        calendar=calendar(book),
    )


def _scanned(book: Book) -> facts.Scanned:
    """All scans that are here, of the schedule or not."""
    count, first, last = book.ask(
        "SELECT count(*), coalesce(min(recorded_at), ''), coalesce(max(recorded_at), '') "
        "FROM scan WHERE outcome != 'missed'"
    )[0]
    opened = book.one("SELECT at FROM record WHERE kind = 'log.opened' AND leaf = 0")
    return facts.Scanned(count, first, last, opened or "")


def _evidence(book: Book) -> facts.Evidence:
    held = book.verified
    head, verdict = held.head, held.verdict
    roots = [
        facts.Root(one.size, one.root.hex(), one.note.decode())
        for one in (held.closing, held.checkpoint)
    ]
    return facts.Evidence(
        origin=head.origin,
        answer=verdict.answer.value,
        packet=verdict.packet,
        start=head.period.start,
        end=head.period.end,
        closed_at=book.one("SELECT at FROM record WHERE leaf = ?", [head.census]),
        first=head.range.first,
        last=head.range.last,
        records=head.records,
        census=head.census,
        targets=list(head.filter.targets),
        kinds=list(head.filter.kinds),
        closing=roots[0],
        checkpoint=roots[1],
        key=str(held.signer),
        key_id=held.signer.key_id.hex(),
        key_algorithm=held.signer.key.algorithm.name.replace("_", " "),
        quorum=_octets(held.trust.quorum),
        witnesses=[
            facts.Cosigned(_octets(name), timestamp(datetime.fromtimestamp(at, UTC)))
            for name, at in sorted(verdict.witnesses.items())
        ],
        timestamps=[
            facts.Stamped(size, one.authority, str(one.at))
            for size, stamps in sorted(verdict.timestamps.items())
            for one in stamps
        ],
        erased=[
            facts.Erased(one.subject, one.values, one.at, one.by, one.record)
            for one in verdict.erased
        ],
        sealed=sum(verdict.sealed.values()),
        unchecked=list(verdict.unchecked),
        tool=head.tool.version,
        tool_sha256=head.tool.sha256,
        verifier_sha256=head.files["verify.py"].sha256,
    )


def _octets(name: str) -> str:
    """A name of a trust policy, which may be no UTF-8."""
    return name.encode(errors="surrogateescape").decode(errors="replace")


def _systems(book: Book) -> Shown[facts.System]:
    names = book.ask(f"{_NAMED} ORDER BY 1 LIMIT ?", [MAX_SYSTEMS])
    total = book.one(f"SELECT count(*) FROM ({_NAMED})")  # noqa: S608 - of this module
    return Shown([_system(book, name) for (name,) in names], total, "by name")


def _system(book: Book, name: str) -> facts.System:
    told = book.ask(
        "SELECT max(leaf), event, env, approvals FROM configured WHERE target = ? GROUP BY event "
        "ORDER BY 1 DESC",
        [name],
    )
    named = next((_cut(one) for one in told if one[1] == "configured"), None)
    scan = book.ask(
        "SELECT leaf, source, ran_as, objects, outcome FROM scan "
        "WHERE target = ? AND outcome != 'missed' ORDER BY leaf DESC LIMIT 1",
        [name],
    )
    covered = book.ask("SELECT * FROM covered WHERE target = ?", [name])
    counts = covered[0][1:] if covered else (0, 0, 0, 0, 0, "{}")
    outcomes: dict[str, int] = msgspec.json.decode(counts[5])
    leaf, source, ran_as, objects, outcome = _cut(scan[0]) if scan else (None, "", "", None, "")
    if leaf is None and told:
        leaf = told[0][0]
    return facts.System(
        name=name,
        kind=name.partition(":")[0],
        env="" if named is None else named[2] or "",
        approvals=None if named is None else named[3],
        source=source,
        ran_as=ran_as,
        objects=objects,
        outcome=outcome,
        expected=counts[0],
        observed=counts[1],
        pending=counts[2],
        unobserved=counts[3],
        unscheduled=counts[4],
        outcomes=", ".join(f"{count} {one}" for one, count in sorted(outcomes.items())),
        removed=bool(told) and told[0][1] == "removed",
        leaf=leaf,
        configured_leaf=None if named is None else named[0],
    )


def _programs(book: Book) -> Shown[facts.Program]:
    rows = book.ask(
        "SELECT tool, coalesce(program_sha256, ''), count(*), min(recorded_at), min(leaf) "
        "FROM scan WHERE outcome != 'missed' GROUP BY 1, 2 ORDER BY 5 LIMIT ?",
        [MAX_ROWS],
    )
    total = book.one(
        "SELECT count(*) FROM (SELECT 1 FROM scan WHERE outcome != 'missed' "
        "GROUP BY tool, coalesce(program_sha256, ''))"
    )
    return Shown([facts.Program(*_cut(row)) for row in rows], total, _LOG)


def _gaps(book: Book) -> Shown[facts.Gap]:
    rows = book.ask("SELECT target, start, stop, why FROM gap LIMIT ?", [MAX_ROWS])
    total = book.one("SELECT count(*) FROM gap")
    return Shown([facts.Gap(*row) for row in rows], total, "by target and time")


def _findings(book: Book) -> facts.Findings:
    rows = book.walk(
        "SELECT leaf, id, target, severity, direction, title, operation, kind, name, attribute, "
        "before, after, coalesce(not_before, ''), not_after, coalesce(committed_at, ''), "
        "opened_at, who, certainty, disposition, "
        "coalesce(ended_at, ''), ended_leaf, coalesce(accepted_by, ''), "
        "coalesce(suppressed_until, ''), controls FROM finding "
        "ORDER BY disposition != ?, rank, leaf LIMIT ?",
        [OPEN, MAX_ROWS],
    )
    total = book.one("SELECT count(*) FROM finding")
    shown = []
    for row in rows:
        events, more = _events(book, "finding", row[2], row[1])
        told = dict(zip(facts.Found.__struct_fields__, _cut(row), strict=False))
        shown.append(facts.Found(**told, events=events, more=more))
    return facts.Findings(
        total=total,
        by_severity=dict(
            book.ask("SELECT severity, count(*) FROM finding GROUP BY rank, severity ORDER BY rank")
        ),
        by_disposition=dict(
            book.ask("SELECT disposition, count(*) FROM finding GROUP BY 1 ORDER BY 1")
        ),
        carried=book.one("SELECT count(*) FROM carried"),
        carried_open=book.one("SELECT count(*) FROM carried WHERE ended_leaf IS NULL"),
        shown=Shown(shown, total, _WORST),
    )


def _events(book: Book, of: str, target: str, name: str) -> tuple[list[facts.Event], int]:
    """What became of a finding or a request, and how much of it is left out."""
    tell, count = _EVENTS[of]
    rows = [facts.Event(*_cut(row)) for row in book.walk(tell, [target, name, MAX_EVENTS])]
    return rows, book.one(count, [target, name]) - len(rows)


def _cut(row: tuple[Any, ...]) -> tuple[Any, ...]:
    """The row with the beginnings of its texts: a record's body may have 64 MiB."""
    return tuple(one[:MAX_TEXT] if isinstance(one, str) else one for one in row)


_EVENTS: Final = {
    "finding": (
        """SELECT leaf, at, event, by, words FROM finding_event
        WHERE target = ? AND finding = ? ORDER BY leaf LIMIT ?""",
        "SELECT count(*) FROM finding_event WHERE target = ? AND finding = ?",
    ),
    "access": (
        """SELECT leaf, at, event, by, words FROM access_event
        WHERE target = ? AND request = ? ORDER BY leaf LIMIT ?""",
        "SELECT count(*) FROM access_event WHERE target = ? AND request = ?",
    ),
}


def _baselines(book: Book) -> Shown[facts.Baseline]:
    rows = book.ask(
        "SELECT baseline.leaf, id, target, proposed_at, proposed_by, objects, root, accepts, "
        "required, comment, coalesce(signed_at, ''), signed_leaf, in_range FROM baseline "
        "JOIN record ON record.leaf = coalesce(signed_leaf, baseline.leaf) "
        "ORDER BY baseline.leaf DESC LIMIT ?",
        [MAX_ROWS],
    )
    shown = []
    for row in rows:
        agreed = book.ask(
            "SELECT leaf, by, at FROM baseline_approval "
            "WHERE target = ? AND baseline = ? ORDER BY leaf LIMIT ?",
            [row[2], row[1], MAX_EVENTS],
        )
        told = dict(zip(facts.Baseline.__struct_fields__, _cut(row), strict=False))
        told["in_range"] = bool(told["in_range"])
        told["approved"] = [facts.Agreed(*_cut(one)) for one in agreed]
        told["more"] = _agreed(book, row[2], row[1]) - len(agreed)
        shown.append(facts.Baseline(**told))
    return Shown(shown, book.one("SELECT count(*) FROM baseline"), "the newest first")


def _agreed(book: Book, target: str, name: str) -> int:
    """How many agreed to a baseline."""
    found: int = book.one(
        "SELECT count(*) FROM baseline_approval WHERE target = ? AND baseline = ?", [target, name]
    )
    return found


def _leases(book: Book) -> Shown[facts.Lease]:
    names = [name for name in facts.Lease.__struct_fields__ if name not in {"events", "more"}]
    rows = book.walk(
        f"SELECT {', '.join(names)} FROM access "  # noqa: S608 - names of this package
        "ORDER BY own_approval DESC, break_glass DESC, ended_leaf IS NOT NULL, leaf LIMIT ?",
        [MAX_ROWS],
    )
    shown = []
    for row in rows:
        whole = dict(zip(names, row, strict=True))
        events, more = _events(book, "access", whole["target"], whole["id"])
        told: dict[str, Any] = {
            name: _told(name, value) for name, value in zip(names, _cut(row), strict=True)
        }
        for flag in ("break_glass", "own_approval"):
            told[flag] = bool(told[flag])
        shown.append(facts.Lease(**told, events=events, more=more))
    order = "what an assessor asks about first: approved by the requester, break-glass, not ended"
    return Shown(shown, book.one("SELECT count(*) FROM access"), order)


_NUMBERS: Final = frozenset(
    {"issued_leaf", "ended_leaf", "review_leaf", "sessions_ended", "left_behind"}
)


def _told(name: str, value: Any) -> Any:
    """A column of a lease; of a text that nothing says, empty."""
    return "" if value is None and name not in _NUMBERS else value


def _lines(book: Book, table: str, more: str) -> Shown[facts.Line]:
    rows = book.walk(
        f"SELECT leaf, at, by, event, {more}, words FROM {table} ORDER BY leaf LIMIT ?",  # noqa: S608 - of this module
        [MAX_ROWS],
    )
    total = book.one(f"SELECT count(*) FROM {table}")  # noqa: S608 - of this module
    return Shown([facts.Line(*_cut(row)) for row in rows], total, _LOG)


def _sample(book: Book, population: Population, seed: str, size: int) -> facts.Sample:
    names = book.columns(population.sql)
    columns = COLUMNS[population.name].split()
    places = [names.index(name) for name in columns]
    rows = populations.sample(book, population, seed, size)
    return facts.Sample(
        name=population.name,
        title=population.title,
        says=population.says,
        total=populations.count(book, population),
        columns=columns,
        rows=[list(_cut(tuple(row[place] for place in places))) for row in rows],
    )


def _partial(book: Book) -> list[str]:
    """Sentences on what this packet does not tell."""
    head = book.verified.head
    said = []
    if head.filter.targets:
        said.append("Only some targets were asked for; nothing is told of others.")
    if head.filter.kinds:
        said.append("Only some kinds of records were asked for; nothing is told of others.")
    if not book.one("SELECT count(*) FROM tick"):
        said.append("No schedule ran in this period: whether a scan is missing cannot be told.")
    if not book.one("SELECT count(*) FROM scan WHERE outcome != 'missed'"):
        said.append("No scan is in this packet: of the systems' state nothing is told.")
    if carried := book.one("SELECT count(*) FROM carried"):
        which = (
            "that were opened before this period" if book.tells(OPENED) else "no more is told of"
        )
        said.append(f"Findings that scans list and {which}: {carried}. Their records are not here.")
    if odd := book.one("SELECT count(*) FROM odd"):
        said.append(f"Records that are not of their kind's form, of which nothing is told: {odd}.")
    return said
