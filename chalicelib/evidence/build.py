"""Build: a packet of a closed period, out of the log and its stores.

What goes in and why is in docs/formats/packet.md; the numbers are those of the steps here:

1. *Choose* the leaves of the range, and note what they refer to: bodies, snapshots, baselines,
   texts of queries, and records elsewhere in the log (the *context*).
2. *Anchor*: the checkpoints to show, with the witnesses' and authorities' answers to them.
3. *Prove* every chosen leaf under the last of these checkpoints.
4. *Sign* the manifest. Its note is locked under the manifest's digest, so that the same packet made
   again is the same file, also with a key whose signatures differ each time.

Holds one leaf, one stored object, and some numbers a leaf. Temporary files are passed in.
"""

from __future__ import annotations

import bisect
import heapq
from array import array
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO, NamedTuple

import msgspec

from chalicelib.evidence import (
    anchor,
    container,
    layout,
    manifest,
    merkle,
    note,
    proofs,
    submission,
    summary,
    trust,
)
from chalicelib.evidence.census import LOG, SCAN, chosen
from chalicelib.evidence.clear import Clear, streams
from chalicelib.evidence.closing import MARGIN, STRAYS
from chalicelib.evidence.coverage import DISPATCHED, Coverage
from chalicelib.evidence.manifest import File, Manifest, Range
from chalicelib.evidence.personal import ERASED
from chalicelib.evidence.rotate import ROTATED
from chalicelib.kernel import canon, personal, record
from chalicelib.kernel.clock import parse_timestamp, timestamp
from chalicelib.kernel.errors import DigestMismatch, Missing
from chalicelib.kernel.merkle import leaf_hash

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from chalicelib.evidence.closing import Closed
    from chalicelib.evidence.log import Log
    from chalicelib.evidence.manifest import Filter, Period, Tool
    from chalicelib.evidence.trust import Policy
    from chalicelib.kernel.record import Entry
    from chalicelib.kernel.signing import Signer
    from chalicelib.kernel.store import WriteOnce

    Progress = Callable[[str, int, int], None]


class References(NamedTuple):
    """What a record refers to: keys in the write-once store, and indices of other records."""

    keys: tuple[str, ...] = ()
    records: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Sources:
    """What packets are made of.

    ``refer(entry)`` says what a record refers to, beyond its body and its tick. ``assets``: the
    files that are the same in every packet of this version. ``temporary()``: a new, empty file.
    """

    log: Log
    objects: WriteOnce
    signer: Signer
    policy: Policy
    refer: Callable[[Entry], References]
    tool: Tool
    assets: Mapping[str, bytes]
    temporary: Callable[[], BinaryIO]


class Built(NamedTuple):
    """A packet that was written: its manifest, and the SHA-256 by which it is named."""

    manifest: Manifest
    sha256: str


def build(
    sources: Sources,
    period: Period,
    asked: Filter,
    closed: Closed,
    *,
    out: BinaryIO,
    progress: Progress,
) -> Built:
    """Write the packet of a closed period to ``out``.

    Raises: KeyUnusable, StoreUnavailable, VerificationFailed; Malformed, where it would be larger
    than a packet may be.
    """
    building = _Build(sources, period, asked, closed)
    try:
        return building.run(out, progress)
    finally:
        building.close()


class _Spool:
    """Entries one after the other in one temporary file."""

    def __init__(self, stream: BinaryIO) -> None:
        self.stream = stream
        self.entries: list[container.Entry] = []
        self._at = 0

    def add(self, name: str, parts: Iterable[bytes]) -> None:
        digester = container.Digester()
        self.stream.seek(self._at)
        for part in parts:
            digester.update(part)
            self.stream.write(part)
        self.entries.append(digester.entry(name, self._at))
        self._at += digester.size


class _Build:
    def __init__(self, sources: Sources, period: Period, asked: Filter, closed: Closed) -> None:
        self._from = sources
        self._period = period
        self._asked = asked
        self._closed = closed
        self._range = Range(closed.census.first, closed.census.last)
        self._hashes = sources.temporary()
        self._leaves = sources.temporary()  # of the range
        self._store = _Spool(sources.temporary())
        self._indices = array("Q")  # of the chosen leaves in the range
        self._context: dict[int, Entry] = {}
        self._keys: set[str] = set()
        self._subjects: set[str] = set()
        self._ticks: list[str] = []  # deadlines

    def close(self) -> None:
        for stream in (self._hashes, self._leaves, self._store.stream):
            stream.close()

    def run(self, out: BinaryIO, progress: Progress) -> Built:
        self._choose(progress)  # 1
        self._entry(self._closed.at)
        if self._range.first:
            self._entry(0)
        past = self._history()
        later = self._later(past)  # 2
        top = later[-1]
        for index in past:
            if index < top:
                self._entry(index)
        ordered, indices = self._ordered()
        head = self._manifest(later, len(indices))
        cover = Coverage(head)
        clear = Clear(streams(self._asked.targets))
        spool = self._store
        spool.add(manifest.HASHES, _pieces(self._hashes))
        spool.add(manifest.LEAVES, self._lines(ordered(), cover, clear))
        proven = proofs.prove(indices, top, self._from.log.nodes(), progress)  # 3
        spool.add(manifest.PROOFS, proven)
        coverage, questions = cover.coverage(), cover.questions()
        spool.add(manifest.COVERAGE, [coverage])
        spool.add(manifest.QUESTIONS, [questions])
        spool.add(manifest.TRUST, [trust.encode(self._from.policy)])
        words = summary.text(head, coverage, questions, clear.told())
        spool.add(manifest.REPORT, [words.encode()])
        for name, data in self._from.assets.items():
            spool.add(name, [data])
        return self._sign(head, out)  # 4

    # Step 1

    def _choose(self, progress: Progress) -> None:
        first, last = self._range.first, self._range.last
        for index, leaf in self._from.log.leaves(first, last):
            self._hashes.write(leaf_hash(leaf).hex().encode() + b"\n")
            one = record.decode(leaf)
            if chosen(one.stream, one.kind, self._asked):
                self._indices.append(index)
                self._take(self._from.log.entry(index, leaf, one))
                self._leaves.write(leaf + b"\n")
            if not (index - first) % 1_000:
                progress("records", index - first, last - first)
        self._late()

    def _late(self) -> None:
        """Scans for the period's ticks that were recorded after the range."""
        if not self._ticks:
            return
        until, beyond = timestamp(parse_timestamp(max(self._ticks)) + MARGIN), 0
        for index, leaf in self._from.log.leaves(self._range.last, self._closed.at):
            one = record.decode(leaf)
            beyond = beyond + 1 if one.at > until else 0
            if beyond == STRAYS:
                return
            if one.at <= until and one.kind == SCAN and chosen(one.stream, SCAN, self._asked):
                entry = self._from.log.entry(index, leaf, one)
                at = entry.body.get("scheduled_at")
                if at is not None and self._period.start <= at < self._period.end:
                    self._add(entry)

    def _take(self, entry: Entry) -> None:
        """Note what a chosen record refers to."""
        one = entry.record
        if one.body_ref is not None:
            self._stored(layout.body(one.body_ref.sha256))
        if one.kind == DISPATCHED:
            self._ticks.append(entry.body["deadline_at"])
            previous = entry.body.get("previous")
            if previous is not None and previous < self._range.first:
                self._entry(previous)
            self._entry(entry.body.get("due_at", entry.index))
        self._subjects |= {each.subject for each in personal.sealed_in(entry.body)}
        found = self._from.refer(entry)
        for key in found.keys:
            self._stored(key)
        for index in found.records:
            self._entry(index)

    def _entry(self, index: int) -> None:
        """Take a record into the context, unless it is chosen anyway."""
        if index not in self._context and not self._chosen(index):
            ((_, leaf),) = self._from.log.leaves(index, index + 1)
            self._add(self._from.log.entry(index, leaf))

    def _add(self, entry: Entry) -> None:
        self._context[entry.index] = entry
        if entry.record.kind != DISPATCHED:
            self._take(entry)
            return
        if entry.record.body_ref is not None:
            self._stored(layout.body(entry.record.body_ref.sha256))
        self._entry(entry.body.get("due_at", entry.index))  # not also the ticks before it

    def _chosen(self, index: int) -> bool:
        """Whether a record that another one refers to, which comes later, was chosen."""
        at = bisect.bisect_left(self._indices, index)
        return at < len(self._indices) and self._indices[at] == index

    def _stored(self, key: str) -> None:
        if key not in self._keys:
            self._keys.add(key)
            self._store.add(key, [self._from.objects.get(key)])

    def _history(self) -> dict[int, str]:
        """The log's own records that a reader needs: changes of its key, and erasures; by kind."""
        if not self._subjects and len(self._from.log.keys.keys) == 1:
            return {}
        return {
            entry.index: entry.record.kind
            for entry in self._from.log.stream(LOG)
            if entry.record.kind == ROTATED
            or (entry.record.kind == ERASED and entry.body["subject"] in self._subjects)
        }

    def _ordered(self) -> tuple[Callable[[], Iterator[tuple[int, bytes]]], array[int]]:
        """All chosen leaves in the order of the log, and their indices."""
        outside = sorted(self._context)
        indices = array("Q", heapq.merge(self._indices, outside))

        def leaves() -> Iterator[tuple[int, bytes]]:
            self._leaves.seek(0)
            within = zip(self._indices, (line[:-1] for line in self._leaves), strict=True)
            context = ((index, self._context[index].leaf) for index in outside)
            yield from heapq.merge(within, context)

        return leaves, indices

    def _lines(
        self, leaves: Iterable[tuple[int, bytes]], *takers: Coverage | Clear
    ) -> Iterator[bytes]:
        """The lines of the leaves, which the takers take as they go by."""
        for index, leaf in leaves:
            entry = self._context.get(index) or self._from.log.entry(index, leaf)
            for one in takers:
                one.add(entry)
            yield leaf + b"\n"

    # Step 2

    def _later(self, past: Mapping[int, str]) -> tuple[int, ...]:
        """Checkpoints over the census: its own, one with a quorum, one with a timestamp.

        And where somebody's values were erased after all of them, one that shows it.
        """
        size = self._from.log.size()
        starts = self._from.log.starts()
        own = next((start for start in starts if start > self._closed.at), size)
        found = {own}
        cosigned = self._anchored(anchor.COSIGNATURES, own)
        best: set[str] = set()
        for at in cosigned:
            names = self._witnesses(at)
            if len(names) > len(best):
                best, witnessed = names, at
                if self._from.policy.met(names):
                    break
        if best:
            found.add(witnessed)
        found |= set(self._anchored(anchor.TIMESTAMPS, own)[:1])
        erased = max((index for index, kind in past.items() if kind == ERASED), default=-1)
        found.add(max(*found, next((start for start in starts if start > erased), size)))
        if len(found) > manifest.MAX_CHECKPOINTS - 2:
            found.remove(own)  # the others are over the census as well
        return tuple(sorted(found))

    def _anchored(self, prefix: str, least: int) -> list[int]:
        """Sizes from ``least`` on that somebody outside answered to, ascending."""
        size = self._from.log.size()
        places = (anchor.place(key) for key in self._from.objects.list(prefix))
        return sorted({one.size for one in places if one and least <= one.size <= size})

    def _witnesses(self, size: int) -> set[str]:
        """Which known witnesses cosigned the checkpoint of a size."""
        text = note.parse(self._from.objects.get(layout.checkpoint(size))).text
        return set(self._from.policy.cosigned(submission.locked(self._from.objects, size), text))

    def _manifest(self, later: tuple[int, ...], records: int) -> Manifest:
        """The manifest without its files; stored objects that belong to checkpoints are taken."""
        log, first, last = self._from.log, self._range.first, self._range.last
        sizes = (*((first,) if first else ()), last, *later)
        for size in sizes:
            self._stored(layout.checkpoint(size))
        for size in later:
            for key in anchor.cosignatures(self._from.objects, size):
                self._stored(key)
            for key in anchor.timestamps(self._from.objects, size):
                self._stored(key)
        handovers = tuple(size for size, _, _ in log.keys.changes() if size <= later[-1])
        for size in handovers:
            self._stored(layout.handover(size))
        pairs = zip((last, *later), later, strict=False)
        nodes = log.nodes()
        return Manifest(
            v=manifest.VERSION,
            origin=log.keys.origin,
            period=self._period,
            filter=self._asked,
            range=self._range,
            census=self._closed.at,
            frontier=tuple(one.hex() for one in merkle.frontier(first, nodes).hashes),
            checkpoints=sizes,
            consistency=tuple(
                tuple(h.hex() for h in merkle.prove_consistency(old, new, nodes))
                for old, new in pairs
            ),
            handovers=handovers,
            records=records,
            tool=self._from.tool,
            files={},
        )

    # Step 4

    def _sign(self, head: Manifest, out: BinaryIO) -> Built:
        entries = self._store.entries
        files = {one.name: File(one.sha256, one.size) for one in entries}
        whole = msgspec.structs.replace(head, files=files)
        data = manifest.encode(whole)
        digest = canon.sha256(data)
        self._store.add(manifest.MANIFEST, [data])
        self._store.add(manifest.NOTE, [self._note(whole.origin, digest)])
        container.write(out, [(one, self._store.stream) for one in self._store.entries])
        return Built(whole, digest)

    def _note(self, origin: str, digest: str) -> bytes:
        """The signed note of a manifest, made once."""
        objects, place = self._from.objects, layout.packet(digest)
        try:
            return objects.get(place)
        except Missing:
            signed = note.sign(manifest.text(origin, digest), origin, self._from.signer)
            with suppress(DigestMismatch):  # somebody else was first: theirs counts
                objects.put(place, signed)
        return objects.get(place)


def _pieces(stream: BinaryIO) -> Iterator[bytes]:
    stream.seek(0)
    while piece := stream.read(2**20):
        yield piece
