"""Closing: a period is closed by a census of its records, appended to the log once.

Which leaves are a period's: from the batch with the first record dated in it, up to the end of the
batch with the last one. Writers date their records before they append them, and their clocks
differ; MARGIN is how far from its place in the log a record's date may lead and still be found.
A clock that is quite wrong hides nobody else's records: what is dated later than that ends the
search only where STRAYS records in a row are, and a start is looked for with NEIGHBOURS.
"""

from __future__ import annotations

import bisect
from datetime import timedelta
from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec

from chalicelib.evidence.census import CLOSED, LOG, Census, Count, decode
from chalicelib.kernel import canon, record
from chalicelib.kernel.clock import parse_timestamp, timestamp
from chalicelib.kernel.errors import DigestMismatch, Missing, NotFound, UsageError
from chalicelib.kernel.record import Draft, Record, entry_at

if TYPE_CHECKING:
    from collections.abc import Callable

    from chalicelib.evidence.log import Log
    from chalicelib.evidence.manifest import Period
    from chalicelib.kernel.clock import Clock
    from chalicelib.kernel.record import Actor, Entry
    from chalicelib.kernel.store import WriteOnce

MARGIN: Final = timedelta(hours=1)
STRAYS: Final = 100
NEIGHBOURS: Final = 3  # batches of which one has to be dated in the period or after it


class Closed(NamedTuple):
    """A closed period: its census, and the census's place in the log."""

    at: int
    census: Census


def close(
    log: Log,
    objects: WriteOnce,
    period: Period,
    *,
    clock: Clock,
    actor: Actor,
    progress: Callable[[str, int, int], None],
) -> Closed:
    """The period's census, taken and recorded now if it was not yet.

    Raises: UsageError, for a period that is not over; NotFound, where nothing was recorded in it.
    """
    now = timestamp(clock.now())
    if period.end > now:
        raise UsageError(
            f"the period ends at {period.end}, and it is {now} now", next_step="an earlier --to"
        )
    place = _place(period)
    found = _recorded(log, objects, place)
    if found is None:
        census = take(log, period, progress)
        index = _record(log, census, clock, actor).index
        try:
            objects.put(place, b"%d" % index)
        except DigestMismatch:  # somebody else closed it at the same moment, and theirs counts
            found = _recorded(log, objects, place)
        else:
            found = Closed(index, census)
    if found is None or (found.census.start, found.census.end) != (period.start, period.end):
        raise Missing(f"{place} does not name the census of {period.start} to {period.end}")
    return found


def take(log: Log, period: Period, progress: Callable[[str, int, int], None]) -> Census:
    """What the log holds of a period. Raises: NotFound, where that is nothing."""
    starts, size = log.starts(), log.size()
    ends = [*starts[1:], size]
    latest = timestamp(parse_timestamp(period.end) + MARGIN)
    count, waiting = Count(), list[Record]()
    first = last = beyond = 0
    inside = False  # whether the batch has a record of the period
    begin = _begin(log, starts, period)
    batch = bisect.bisect_right(starts, begin) - 1
    for index, leaf in log.leaves(begin, size):
        one = record.decode(leaf)
        waiting.append(one)
        beyond = beyond + 1 if one.at > latest else 0
        inside = inside or period.start <= one.at < period.end
        if index + 1 == ends[batch]:
            if inside:
                first = first if last else starts[batch]
                last = index + 1
            if last:  # else it lies before the period
                for each in waiting if inside else ():
                    count.add(each)
            if inside or not last:
                waiting.clear()
            batch, inside = batch + 1, False
            progress("census", index + 1, size)
            if beyond >= STRAYS:
                break
    if not last:
        raise NotFound(
            f"nothing was recorded from {period.start} up to {period.end}",
            next_step="holdfast evidence ls shows what was recorded, and when",
        )
    return Census(period.start, period.end, first, last, count.streams())


def _begin(log: Log, starts: list[int], period: Period) -> int:
    """The start of a batch before which no record can be the period's."""
    earliest = timestamp(parse_timestamp(period.start) - MARGIN)

    def before(place: int) -> bool:
        near = starts[place : place + NEIGHBOURS]
        return all(
            record.decode(leaf).at < earliest
            for start in near
            for _, leaf in log.leaves(start, start + 1)
        )

    places = range(len(starts))
    at = bisect.bisect_left(places, True, key=lambda place: not before(place))  # noqa: FBT003
    return starts[max(0, at - 1)] if starts else 0


def _record(log: Log, census: Census, clock: Clock, actor: Actor) -> Entry:
    body = msgspec.to_builtins(census)
    return log.append([Draft(CLOSED, LOG, timestamp(clock.now()), actor, body)])[0]


def _recorded(log: Log, objects: WriteOnce, place: str) -> Closed | None:
    try:
        text = objects.get(place)
    except Missing:
        return None
    entry = entry_at(log, int(text) if text.isdigit() else -1)
    return Closed(entry.index, decode(entry))


def _place(period: Period) -> str:
    """Where the index of a period's census is: the first one that was put there counts."""
    return f"period/{canon.sha256(canon.encode([period.start, period.end]))}"
