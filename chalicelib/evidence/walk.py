"""Walk: one pass over the locked log, from its first leaf, against every signed checkpoint.

What it says of a damaged batch it says with the help of the derived tiles: where their hashes lead
to the signed root, they show which leaf is another one, and the walk goes on behind the damage.
Holds one batch, one tile a level, and the last seq of each stream.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from chalicelib.evidence import bundle, head, layout, tiles
from chalicelib.evidence.merkle import frontier
from chalicelib.evidence.report import Kind, Problem
from chalicelib.evidence.tiles import Nodes, Tiler
from chalicelib.kernel import canon, record
from chalicelib.kernel.errors import Malformed, Missing, VerificationFailed
from chalicelib.kernel.merkle import Frontier, leaf_hash

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from chalicelib.evidence.head import Head
    from chalicelib.evidence.note import SignedCheckpoint
    from chalicelib.evidence.reader import Reader
    from chalicelib.evidence.report import Findings
    from chalicelib.kernel.record import Entry
    from chalicelib.kernel.store import Derived, WriteOnce

    Check = Callable[[Entry], Iterable[Problem]]
    Full = Callable[[str, bytes], None]


class Walk:
    """The pass. ``full`` takes each full tile that the leaves make, as (key, bytes).

    Afterwards ``edge`` is the right edge of the tree, ``base`` the one before the last batch,
    ``digest`` that batch's SHA-256, ``heads`` the head of each stream, ``signed`` the newest
    good checkpoint. ``edge`` and ``tiler`` are None where damage cannot be passed.
    """

    def __init__(
        self,
        *,
        writeonce: WriteOnce,
        derived: Derived,
        reader: Reader,
        findings: Findings,
        outside: SignedCheckpoint | None,
        pending: int | None,
        check: Check,
        full: Full,
    ) -> None:
        self._writeonce = writeonce
        self._derived = derived
        self._reader = reader
        self._found = findings
        self._outside = outside
        self._pending = pending  # the size whose checkpoint a crashed append still owes
        self._check = check
        self._full = full
        self.edge: Frontier | None = Frontier()
        self.base = Frontier()
        self.tiler: Tiler | None = Tiler()
        self.digest = ""
        self.heads: dict[str, Head] = {}
        self.gaps = False  # a stretch of records is unknown, so a stream's next seq is too
        self.signed: SignedCheckpoint | None = None
        self.at = 0  # the leaves that were walked or passed
        self._sizes = Peek(numbers(writeonce, layout.CHECKPOINTS))

    def batch(self, start: int, following: int | None, place: str, data: bytes) -> None:
        """One batch: ``data``, found at ``place``; ``following`` is where the next one starts."""
        leaves, used = bundle.split(data)
        whole = used == len(data) and bool(leaves)
        end = self._end(start, following, len(leaves), whole=whole)
        self.base = Frontier() if self.edge is None else self.edge.copy()
        self.digest = canon.sha256(data)
        self._found.batches += 1
        signed = self._checkpoint(end)
        if self.edge is None or not self._leads(start, end, leaves, place, signed):
            self._pass(end, signed)
            return
        self._compare_outside(leaves)
        for index, leaf in enumerate(leaves, start):
            self._leaf(index, leaf, place, start)
        self.at = end

    def missing(self, start: int, stop: int) -> None:
        """A stretch of the log for which no batch is there."""
        self._found.add(
            Problem(
                place=layout.batch(start),
                what="a batch is missing",
                expected=f"the leaves {start} to {stop - 1}",
                observed="no such object",
                kind=Kind.MISSING,
                index=start,
            )
        )
        self._pass(stop, self._checkpoint(stop))

    def next_size(self, start: int) -> int | None:
        """The size of the first checkpoint beyond ``start`` that was not looked at yet."""
        self._skip(start)
        return self._sizes.peek()

    def _end(self, start: int, following: int | None, count: int, *, whole: bool) -> int:
        """Where the batch must end: at its checkpoint, or with its leaves if that is missing."""
        signed = self.next_size(start)
        if whole and start + count in (signed, following):
            return start + count
        return signed or following or start + count

    def _skip(self, size: int) -> None:
        """Verify and report the checkpoints up to ``size`` that no batch ends at."""
        while (found := self._sizes.peek()) is not None and found <= size:
            self._sizes.take()
            self._verified(found)
            self._found.add(
                Problem(
                    place=layout.checkpoint(found),
                    what="a checkpoint where no batch ends",
                    expected="no such object",
                    observed=f"a checkpoint of {found} leaves",
                    kind=Kind.STRAY,
                )
            )

    def _checkpoint(self, size: int) -> SignedCheckpoint | None:
        """The checkpoint over exactly ``size`` leaves, if it is there and good."""
        self._skip(size - 1)
        if self._sizes.peek() == size:
            self._sizes.take()
            return self._verified(size)
        if size != self._pending:
            self._found.add(
                Problem(
                    place=layout.checkpoint(size),
                    what="a checkpoint is missing",
                    expected=f"a signed checkpoint of {size} leaves",
                    observed="no such object",
                    kind=Kind.MISSING,
                )
            )
        return None

    def _verified(self, size: int) -> SignedCheckpoint | None:
        place = layout.checkpoint(size)
        self._found.checkpoints += 1
        keys = self._reader.keys
        try:
            signed = keys.verify(self._writeonce.get(place))
            if signed.size != size:
                raise Malformed(f"a checkpoint of {signed.size} leaves")
        except VerificationFailed as error:
            self._found.add(
                Problem(
                    place=place,
                    what="a checkpoint that no key pinned for its size signed as it stands",
                    expected=f"a checkpoint of {size} leaves, signed by {keys.told(size)}",
                    observed=error.message,
                    kind=Kind.SIGNATURE,
                )
            )
            return None
        self.signed = signed
        return signed

    def _leads(
        self,
        start: int,
        end: int,
        leaves: list[bytes],
        place: str,
        signed: SignedCheckpoint | None,
    ) -> bool:
        """Whether the leaves are the log's: they lead to the signed root, or only it is another."""
        edge = self.base.copy()
        hashes = list(map(leaf_hash, leaves))
        for one in hashes:
            edge.append(one)
        fits = len(leaves) == end - start
        if fits and (signed is None or edge.root() == signed.root):
            self.edge = edge
            return True
        stored = self._stored_hashes(start, end)
        if signed is not None and fits and stored == hashes:
            self.edge = edge
            self._found.add(
                Problem(
                    place=layout.checkpoint(end),
                    what=f"two roots for {end} leaves: the leaves and their tiles agree on another",
                    expected=edge.root().hex(),
                    observed=signed.root.hex(),
                    kind=Kind.FORK,
                )
            )
            return True
        self._found.add(self._damage(start, end, leaves, place=place, signed=signed, stored=stored))
        return False

    def _damage(
        self,
        start: int,
        end: int,
        leaves: list[bytes],
        *,
        place: str,
        signed: SignedCheckpoint | None,
        stored: list[bytes] | None,
    ) -> Problem:
        """A batch that does not lead to its root, with its first bad leaf if known."""
        observed = f"{len(leaves)} whole leaves that lead elsewhere"
        expected = f"the leaves {start} to {end - 1}"
        if signed is not None:
            expected += f" under the root {signed.root.hex()}"
        edge = self.base.copy()
        for one in stored or []:
            edge.append(one)
        index, stream, seq = None, "", None
        if stored and signed is not None and edge.root() == signed.root:
            wrong = (
                at
                for at, one in enumerate(stored)
                if at >= len(leaves) or leaf_hash(leaves[at]) != one
            )
            at = next(wrong, len(stored))
            index = start + at
            stream, seq = self._named(index, stored[at] if at < len(stored) else b"")
            observed += f"; leaf {index} is the first that is another one"
        return Problem(
            place=place,
            what="the leaves of a batch are not the ones that were signed for",
            expected=expected,
            observed=observed,
            kind=Kind.ROOT,
            index=index,
            stream=stream,
            seq=seq,
        )

    def _stored_hashes(self, start: int, end: int) -> list[bytes] | None:
        """The leaf hashes that the tiles hold, or None; unverified."""
        try:
            nodes = Nodes(end, self._derived.get)
            return [nodes(0, index) for index in range(start, end)]
        except VerificationFailed:
            return None

    def _named(self, index: int, expected: bytes) -> tuple[str, int | None]:
        """The stream and seq of the record that was at ``index``, out of the derived bundles."""
        number, offset = divmod(index, tiles.FULL)
        for key in self._derived.list(tiles.path(tiles.ENTRIES, number)):
            try:
                leaves = bundle.decode(self._derived.get(key) or b"")
                if offset < len(leaves) and leaf_hash(leaves[offset]) == expected:
                    original = record.decode(leaves[offset])
                    return original.stream, original.seq
            except VerificationFailed:
                continue  # the next bundle may still name it
        return "", None

    def _pass(self, end: int, signed: SignedCheckpoint | None) -> None:
        """Go on behind damage, if stored hashes lead to what was signed where it ends."""
        self.at = end
        self.gaps = True
        self.edge = self.tiler = None
        if signed is not None:
            try:
                edge = frontier(end, Nodes(end, self._derived.get))
            except VerificationFailed:
                edge = Frontier()
            if edge.root() == signed.root:
                self.edge = edge
                self.tiler = Tiler.load(end, self._derived.get)
        self._found.complete = False

    def _leaf(self, index: int, leaf: bytes, place: str, start: int) -> None:
        """One leaf that is the log's: the record in it, its place in its stream, its body."""
        self._found.records += 1
        if self.tiler is not None:
            for key, data in self.tiler.add(leaf):
                self._full(key, data)
        try:
            found = record.decode(leaf)
        except VerificationFailed as error:
            self._found.add(
                Problem(
                    place=place,
                    what="a leaf that is no record",
                    expected="a canonical record",
                    observed=error.message,
                    kind=Kind.RECORD,
                    index=index,
                )
            )
            return
        before = self.heads.get(found.stream)
        due = (before.seq if before else 0) + 1
        if found.seq != due and not (self.gaps and found.seq > due):
            self._found.add(
                Problem(
                    place=place,
                    what="a stream with a gap or a repetition",
                    expected=f"seq {due}",
                    observed=f"seq {found.seq}",
                    kind=Kind.SEQUENCE,
                    index=index,
                    stream=found.stream,
                    seq=found.seq,
                )
            )
        if found.seq >= due:
            self.heads[found.stream] = head.grown(before, found.seq, leaf_hash(leaf).hex(), start)
        try:
            entry = self._reader.entry(index, leaf, found)
        except VerificationFailed as error:
            ref = found.body_ref
            self._found.add(
                Problem(
                    place=place if ref is None else layout.body(ref.sha256),
                    what="a body that is not what its leaf recorded",
                    expected="the recorded bytes" if ref is None else f"{ref.size_bytes} bytes",
                    observed=error.message,
                    kind=Kind.MISSING if isinstance(error, Missing) else Kind.BODY,
                    index=index,
                    stream=found.stream,
                    seq=found.seq,
                )
            )
            return
        self._found.add(*self._check(entry))

    def _compare_outside(self, leaves: list[bytes]) -> None:
        """The tree as it was at the size of a checkpoint kept elsewhere has that one's root."""
        kept, edge = self._outside, self.base.copy()
        if kept is None or not edge.size < kept.size <= edge.size + len(leaves):
            return
        for leaf in leaves[: kept.size - edge.size]:
            edge.append(leaf_hash(leaf))
        if edge.root() != kept.root:
            self._found.add(
                Problem(
                    place=layout.checkpoint(kept.size),
                    what="the log does not extend the checkpoint that was kept elsewhere",
                    expected=kept.root.hex(),
                    observed=edge.root().hex(),
                    kind=Kind.FORK,
                )
            )


class Peek:
    """An iterator that shows its next number before giving it."""

    def __init__(self, numbers: Iterator[int]) -> None:
        self._numbers = numbers
        self._next = next(numbers, None)

    def peek(self) -> int | None:
        """The next number, which stays the next one."""
        return self._next

    def take(self) -> int | None:
        """The next number."""
        taken, self._next = self._next, next(self._numbers, None)
        return taken


def numbers(writeonce: WriteOnce, prefix: str) -> Iterator[int]:
    """The sizes or indices in the names under a prefix, ascending."""
    for key in writeonce.list(prefix):
        number = layout.number(key, prefix)
        if number is not None:
            yield number
