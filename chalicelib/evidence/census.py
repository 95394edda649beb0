"""Census: how many records each stream has in a period, recorded in the log when it is closed.

With it whoever leaves something out of a packet contradicts a leaf of the log: the streams' counts
add up to the range, and what was left out has to belong to streams that were not asked for.
Source: docs/formats/packet.md, "Completeness".
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final

import msgspec

from chalicelib.kernel.errors import DigestMismatch, Malformed, Missing

if TYPE_CHECKING:
    from chalicelib.evidence.manifest import Filter, Manifest
    from chalicelib.kernel.record import Entry, Record

CLOSED: Final = "period.closed"
LOG: Final = "log"
SCHEDULE: Final = "schedule"
SCAN: Final = "scan"
MISSED: Final = "scan.missed"
HEARTBEATS: Final = frozenset({SCAN, MISSED})
WHOLE: Final = frozenset({LOG, SCHEDULE})  # streams of which every record is in every packet


class Stream(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """One stream in a range: the seq before its first record there, that of its last, and kinds."""

    name: str
    before: int
    until: int
    kinds: dict[str, int]


class Census(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The body of ``period.closed``: the streams of the leaves ``first`` ≤ index < ``last``."""

    start: str = msgspec.field(name="from")
    end: str = msgspec.field(name="to")
    first: int
    last: int
    streams: tuple[Stream, ...]


def decode(entry: Entry) -> Census:
    """The census in a record. Raises: Malformed, also where it does not add up."""
    try:
        found = msgspec.convert(entry.body, Census)
    except msgspec.ValidationError as error:
        raise Malformed(f"not a census: {error}") from None
    names = [one.name for one in found.streams]
    counted = sum(one.until - one.before for one in found.streams)
    if (
        entry.record.kind != CLOSED
        or entry.record.stream != LOG
        or names != sorted(set(names))
        or counted != found.last - found.first
        or any(sum(one.kinds.values()) != one.until - one.before for one in found.streams)
        or any(one.before < 0 or min(one.kinds.values(), default=0) < 1 for one in found.streams)
    ):
        raise Malformed(
            f"a census that does not add up: its streams have {counted} records, and the range "
            f"{found.last - found.first}"
        )
    return found


def chosen(stream: str, kind: str, asked: Filter) -> bool:
    """Whether a record of the range is among those that were asked for; heartbeats always are."""
    if stream in WHOLE:
        return True
    if asked.targets and stream not in asked.targets:
        return False
    return kind in HEARTBEATS or asked.takes(kind)


class Count:
    """Counts the records of a range, in the order of the log."""

    def __init__(self) -> None:
        self.ends: dict[str, tuple[int, int]] = {}  # the seq before a stream's first, and its last
        self.kinds: dict[str, Counter[str]] = {}

    def add(self, record: Record, *, whole: bool = True) -> None:
        """Take the next record. Raises: Missing, where its stream goes back, or has a gap."""
        name, seq = record.stream, record.seq
        before, until = self.ends.get(name, (seq - 1, seq - 1))
        if seq <= until or (whole and seq != until + 1):
            raise Missing(f"{name} goes from seq {until} to {seq}")
        self.ends[name] = (before, seq)
        self.kinds.setdefault(name, Counter())[record.kind] += 1

    def streams(self) -> tuple[Stream, ...]:
        """What was counted, by name."""
        return tuple(
            Stream(name, *self.ends[name], dict(self.kinds[name])) for name in sorted(self.ends)
        )


class Tally:
    """The chosen records of a range, held to what the census says of their streams."""

    def __init__(self, asked: Filter) -> None:
        self._asked = asked
        self._count = Count()

    def add(self, record: Record) -> None:
        """Take the next record of the range that is here; what was not asked for does not count.

        Raises: Missing, for one out of order.
        """
        if chosen(record.stream, record.kind, self._asked):
            self._count.add(record, whole=not self._asked.kinds or record.stream in WHOLE)

    def check(self, census: Census, manifest: Manifest) -> None:
        """Return if these are all that were asked for. Raises: DigestMismatch; Missing."""
        period, within = manifest.period, manifest.range
        facts = (census.start, census.end, census.first, census.last)
        if facts != (period.start, period.end, within.first, within.last):
            raise DigestMismatch("the census is of another period or range than the packet")
        for stranger in self._count.ends.keys() - {one.name for one in census.streams}:
            raise Malformed(f"{stranger} has records here and none in the census")
        for one in census.streams:
            self._check(one)

    def _check(self, one: Stream) -> None:
        due = {k: n for k, n in one.kinds.items() if chosen(one.name, k, self._asked)}
        found = self._count.kinds.get(one.name, Counter())
        if found != due:
            raise Missing(
                f"{one.name} has {found.total()} of the {sum(due.values())} records that the "
                "census counts"
            )
        before, until = self._count.ends.get(one.name, (one.before, one.until))
        # They ascend within the bounds: as many as counted, where all are chosen, is no gap.
        if before < one.before or until > one.until:
            raise Missing(
                f"{one.name} has the seqs {before + 1} to {until}; the census says "
                f"{one.before + 1} to {one.until}"
            )
