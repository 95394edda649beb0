"""Coverage: what was expected to be looked at, what was, and every gap, which is UNOBSERVED.

It follows from the chosen records of a packet alone, so that whoever has them derives it again.
Source: docs/formats/packet.md, "Coverage" and "Questions".
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from chalicelib.evidence.census import MISSED, SCAN, SCHEDULE
from chalicelib.kernel import canon
from chalicelib.kernel.errors import Malformed
from chalicelib.kernel.kinds import ACCESS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from chalicelib.evidence.manifest import Manifest
    from chalicelib.kernel.record import Entry

DISPATCHED: Final = "schedule.dispatched"


class Tick(NamedTuple):
    """A time of the schedule; ``due_at`` is the record that lists who was due."""

    at: str
    deadline: str
    due_at: int


class Gap(NamedTuple):
    """A stretch in which a target was UNOBSERVED."""

    target: str
    start: str
    end: str
    why: str


class Coverage:
    """Takes the chosen records in the order of the log, and says what they cover."""

    def __init__(self, manifest: Manifest) -> None:
        self._manifest = manifest
        self._period = manifest.period
        self._asked = frozenset(manifest.filter.targets)
        self._due: dict[int, list[str]] = {}
        self._ticks: list[Tick] = []
        self._known: set[int] = set()  # the records of ticks
        self._seen: dict[tuple[str, str], str] = {}  # (target, tick) → outcome, "" where missed
        self._unscheduled: Counter[str] = Counter()
        self._tools: Counter[str] = Counter()
        self._questions: Counter[str] = Counter()
        self._failures: list[list[Any]] = []
        self._closed_at = ""

    def add(self, entry: Entry) -> None:
        """Take the next record. Raises: Malformed, for one whose body is not that of its kind."""
        record = entry.record
        self._tools[record.tool] += 1
        if entry.index == self._manifest.census:
            self._closed_at = record.at
        try:
            if record.stream == SCHEDULE and record.kind == DISPATCHED:
                self._tick(entry)
            elif record.kind == SCAN:
                self._scan(entry)
            elif record.kind == MISSED:
                self._seen.setdefault((record.stream, _text(entry.body["scheduled_at"])), "")
        except (KeyError, TypeError, AttributeError) as error:
            raise Malformed(f"its body is not that of a {record.kind}: {error!r}") from None

    def coverage(self) -> bytes:
        """``coverage.json``."""
        # Requests and leases are in streams of their own, which nobody scans.
        scanned = [name for name in self._asked if not name.startswith(f"{ACCESS}:")]
        rows = {name: _row(name) for name in scanned}
        rows |= {name: _row(name) for name in self._unscheduled if name not in rows}
        gaps = list(self._gaps(rows))
        for target, times in self._unscheduled.items():
            rows[target]["unscheduled"] = times
        for gap in gaps:
            rows[gap.target]["unobserved"] += 1
        ticks = sum(self._within(one.at) for one in self._ticks)
        targets = [rows[name] for name in sorted(rows)]
        return canon.encode(
            {"ticks": ticks, "targets": targets, "unobserved": [list(gap) for gap in sorted(gaps)]}
        )

    def questions(self) -> bytes:
        """``questions.json``."""
        return canon.encode(
            {
                "tools": dict(self._tools),
                "questions": dict(self._questions),
                "failures": self._failures,
            }
        )

    def _tick(self, entry: Entry) -> None:
        body = entry.body
        at, deadline = _text(body["scheduled_at"]), _text(body["deadline_at"])
        due_at = entry.index if "due" in body else body["due_at"]
        if "due" in body:
            self._due[entry.index] = list(map(_text, body["due"]))
        elif due_at not in self._due:
            raise Malformed(
                f"a tick whose targets are listed in record {due_at}, which is not here"
            )
        previous = body.get("previous")
        if previous is not None and previous not in self._known and at >= self._period.start:
            raise Malformed(f"a tick after that of record {previous}, which is not here")
        self._known.add(entry.index)
        self._ticks.append(Tick(at, deadline, due_at))

    def _scan(self, entry: Entry) -> None:
        body, stream = entry.body, entry.record.stream
        outcome, at = _text(body["outcome"]), body.get("scheduled_at")
        if at is not None:
            self._seen.setdefault((stream, _text(at)), outcome)
        elif self._within_range(entry.index):
            self._unscheduled[stream] += 1
        if body.get("questions"):
            self._questions[_text(body["questions"])] += 1
        if "failure" in body:
            self._failures.append([entry.index, stream, _text(body["failure"]["code"])])

    def _gaps(self, rows: dict[str, dict[str, Any]]) -> Iterator[Gap]:
        """Every gap; what was expected and observed goes into ``rows``."""
        ticks = sorted(self._ticks)
        for number, tick in enumerate(ticks):
            due = [t for t in self._due[tick.due_at] if not self._asked or t in self._asked]
            if self._within(tick.at):
                for target in due:
                    yield from self._looked(_row_of(rows, target), tick)
            following = ticks[number + 1].at if number + 1 < len(ticks) else self._closed_at
            start = max(tick.deadline, self._period.start)
            end = min(following, self._period.end)
            if start < end:
                for target in due:
                    _row_of(rows, target)
                    yield Gap(target, start, end, "no tick")

    def _looked(self, row: dict[str, Any], tick: Tick) -> Iterator[Gap]:
        row["expected"] += 1
        outcome = self._seen.get((row["target"], tick.at))
        if outcome:
            row["observed"] += 1
            row["outcomes"][outcome] = row["outcomes"].get(outcome, 0) + 1
        elif outcome is None and tick.deadline > self._closed_at:
            row["pending"] += 1
        else:
            why = "no scan" if outcome is None else "missed"
            yield Gap(row["target"], tick.at, tick.deadline, why)

    def _within(self, at: str) -> bool:
        return self._period.start <= at < self._period.end

    def _within_range(self, index: int) -> bool:
        return self._manifest.range.first <= index < self._manifest.range.last


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{str(value)[:40]} is no text")
    return value


def _row_of(rows: dict[str, dict[str, Any]], target: str) -> dict[str, Any]:
    if target not in rows:
        rows[target] = _row(target)
    return rows[target]


def _row(target: str) -> dict[str, Any]:
    counts = {"expected": 0, "observed": 0, "pending": 0, "unobserved": 0, "unscheduled": 0}
    return {"target": target, **counts, "outcomes": {}}
