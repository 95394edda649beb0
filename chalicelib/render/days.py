"""Days: findings by day and severity, and which target was looked at on which day.

A period of more than MAX_COLUMNS days is told in stretches of equal numbers of days.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from datetime import date, timedelta
from typing import TYPE_CHECKING, Final

import msgspec

from chalicelib.drift.judge import Severity

if TYPE_CHECKING:
    from chalicelib.render.book import Book

MAX_COLUMNS: Final = 62
MAX_TARGETS: Final = 60

OBSERVED: Final = "observed"
PART: Final = "part"  # observed, and UNOBSERVED for some of it
UNOBSERVED: Final = "unobserved"
UNKNOWN: Final = "unknown"  # looked at, and it could not tell
NOTHING: Final = "nothing"  # nothing was due, or the packet does not say so


class Day(msgspec.Struct, frozen=True):
    """A stretch of whole days (UTC), ``first`` to ``last``, and its findings by severity."""

    first: str
    last: str
    findings: dict[str, int]


class Watched(msgspec.Struct, frozen=True):
    """A target, and what each stretch was to it: observed, part, unobserved, unknown, nothing."""

    target: str
    cells: list[str]


class Calendar(msgspec.Struct, frozen=True):
    """Targets with the most gaps first, then by name; ``total``: how many there are."""

    targets: list[Watched]
    total: int


def stretches(book: Book) -> list[tuple[str, str]]:
    """The first and last day of each stretch of the period."""
    period = book.verified.head.period
    first = date.fromisoformat(period.start[:10])
    last = date.fromisoformat(period.end[:10])
    if period.end[10:] == "T00:00:00.000000Z" and last > first:
        last -= timedelta(days=1)  # the end is not in the period
    count = (last - first).days + 1
    length = -(-count // MAX_COLUMNS)
    found = []
    for start in range(0, count, length):
        end = min(start + length, count) - 1
        found.append(
            ((first + timedelta(days=start)).isoformat(), (first + timedelta(days=end)).isoformat())
        )
    return found


def days(book: Book) -> list[Day]:
    """Findings of the period by stretch and severity, all severities in each."""
    columns = stretches(book)
    found: list[Counter[str]] = [Counter() for _ in columns]
    for day, severity, count in book.walk(
        "SELECT substr(opened_at, 1, 10), severity, count(*) FROM finding GROUP BY 1, 2"
    ):
        for number in _within(columns, day, day):
            found[number][severity] += count
    names = [one.value for one in Severity]
    return [
        Day(first, last, {name: counts[name] for name in names})
        for (first, last), counts in zip(columns, found, strict=True)
    ]


def _within(columns: list[tuple[str, str]], first: str, last: str) -> range:
    """Which of the columns have any of these days, of whatever texts they are."""
    if not columns or last < columns[0][0] or first > columns[-1][1] or last < first:
        return range(0)
    firsts = [one for one, _ in columns]
    return range(max(bisect_right(firsts, first) - 1, 0), bisect_right(firsts, last))


def calendar(book: Book) -> Calendar:
    """What each stretch was to each target."""
    columns = stretches(book)
    rows = book.ask(
        "SELECT target FROM covered ORDER BY unobserved DESC, target LIMIT ?", [MAX_TARGETS]
    )
    cells = {target: [[False, False, False] for _ in columns] for (target,) in rows}
    scans = book.walk(
        "SELECT target, substr(coalesce(scheduled_at, recorded_at), 1, 10), outcome = 'unknown' "
        "FROM scan WHERE outcome != 'missed' GROUP BY 1, 2, 3"
    )
    for target, day, is_unknown in scans:
        if target in cells:
            for number in _within(columns, day, day):
                cells[target][number][2 if is_unknown else 0] = True
    for target, start, stop in book.walk("SELECT target, start, stop FROM gap"):
        if target in cells:
            for number in _within(columns, start[:10], _last_day(stop)):
                cells[target][number][1] = True
    watched = [Watched(target, [_cell(*one) for one in found]) for target, found in cells.items()]
    return Calendar(watched, book.one("SELECT count(*) FROM covered"))


def _last_day(stop: str) -> str:
    """The last day of a stretch that ends before ``stop``, which a record may say as it likes."""
    if stop[10:] != "T00:00:00.000000Z":
        return stop[:10]
    try:
        return (date.fromisoformat(stop[:10]) - timedelta(days=1)).isoformat()
    except (ValueError, OverflowError):  # no day, or none before it
        return stop[:10]


def _cell(is_seen: bool, is_gap: bool, is_unknown: bool) -> str:  # noqa: FBT001 - three marks
    if is_gap:
        return PART if is_seen else UNOBSERVED  # what could not tell observed nothing
    if is_unknown:
        return UNKNOWN
    return OBSERVED if is_seen else NOTHING
