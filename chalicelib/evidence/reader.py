"""Reader: the log as it can be believed without the private key.

What is checked when:

- ``head`` and ``size``: the signature of the newest checkpoint, and that the state agrees with it.
- ``read``: every batch that is touched. Its leaves are rehashed onto the right edge of the tree
  before it and must give the root of the signed checkpoint at its end; that edge comes from tiles
  and must give the root of the signed checkpoint at its start (without tiles, or where they lie,
  all earlier batches are folded instead). Then each record is decoded strictly, and its body,
  where it is kept apart, must have the recorded size and digest.
- ``prove_inclusion``, ``prove_consistency``: the nodes come from tiles; a proof is returned only
  after it led to the root of the newest signed checkpoint.

That all checkpoints lie on one line, and that streams have no gaps, is ``evidence.fsck``'s to say.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from chalicelib.evidence import bodies, bundle, layout, merkle, state
from chalicelib.evidence import head as heads
from chalicelib.evidence.tiles import Nodes
from chalicelib.kernel import canon, record
from chalicelib.kernel.errors import (
    DigestMismatch,
    Fork,
    Malformed,
    Missing,
    NotFound,
    VerificationFailed,
)
from chalicelib.kernel.merkle import Frontier, leaf_hash
from chalicelib.kernel.record import Last

if TYPE_CHECKING:
    from collections.abc import Iterator

    from chalicelib.evidence.keys import Keyring
    from chalicelib.evidence.note import SignedCheckpoint, Verifier
    from chalicelib.evidence.state import State
    from chalicelib.kernel.record import BodyRef, Entry
    from chalicelib.kernel.store import Derived, Documents, WriteOnce


class Reader:
    """A log in its stores, under the keys that are pinned; their name is the log's origin."""

    def __init__(
        self, *, writeonce: WriteOnce, derived: Derived, documents: Documents, keys: Keyring
    ) -> None:
        self._writeonce = writeonce
        self._derived = derived
        self._documents = documents
        self._keys = keys

    @property
    def keys(self) -> Keyring:
        """The pinned keys."""
        return self._keys

    @property
    def verifier(self) -> Verifier:
        """The pinned key that signs now."""
        return self._keys.newest

    def head(self) -> SignedCheckpoint | None:
        """The newest signed checkpoint; None while the log is empty.

        An append that is not finished does not count. Raises: Fork, where the state is behind a
        checkpoint or contradicts one; Missing; BadSignature; Malformed.
        """
        _, current, _ = self._current()
        if current is None:
            return None
        signed = self._find(current.size)
        if signed is not None:
            state.agree(current, signed)
            return signed
        if current.batch.start == 0:
            return None
        signed = self._signed(current.batch.start)
        state.agree(current, signed)
        return signed

    def settled(self) -> SignedCheckpoint | None:
        """The newest signed checkpoint whose tiles are there: what proofs are given up to.

        An append signs its checkpoint first, and returns when both are there. Raises: as
        :meth:`head`.
        """
        head, latest = self.head(), self._latest()
        return head if head is None or latest is None or latest.size > head.size else latest

    def size(self) -> int:
        """The number of records under a signed checkpoint."""
        head = self.head()
        return 0 if head is None else head.size

    def checkpoint(self) -> bytes | None:
        """The newest signed note; None while the log is empty."""
        head = self.head()
        return None if head is None else head.note

    def read(self, start: int = 0, stop: int | None = None) -> Iterator[Entry]:
        """Records ``start`` ≤ index < ``stop``, verified as the module says, a batch at a time.

        Raises: NotFound, for a range outside the log; VerificationFailed.
        """
        for index, leaf in self.leaves(start, stop):
            yield self.entry(index, leaf)

    def leaves(self, start: int = 0, stop: int | None = None) -> Iterator[tuple[int, bytes]]:
        """The same leaves as they are stored, each with its index; no body is fetched."""
        size = self.size()
        stop = size if stop is None else stop
        if not 0 <= start <= stop <= size:
            raise NotFound(f"no records {start} up to {stop}: the log has {size}")
        if start == stop:
            return
        for index, leaf in self._leaves(self._floor(start), stop, size):
            if start <= index < stop:
                yield index, leaf

    def starts(self) -> list[int]:
        """The first index of every batch, ascending."""
        found = (layout.number(key, layout.BATCHES) for key in self._writeonce.list(layout.BATCHES))
        return [start for start in found if start is not None]

    def last(self, stream: str) -> Last | None:
        """The end of a stream; the record there may not be under a signed checkpoint yet."""
        found = self._head(stream)[1]
        return None if found is None else Last(found.seq, found.leaf)

    def stream(self, name: str, start: int = 1, near: int = 0) -> Iterator[Entry]:
        """A stream's records from seq ``start`` on, as far as they are under a signed checkpoint.

        Reads the batches that hold them, and no others, unless it is more than
        ``heads.MAX_BATCHES`` batches behind: then the log from index ``near`` on. Raises: Missing,
        where a record of the stream is not where it must be; VerificationFailed.
        """
        found = self._head(name)[1]
        if found is None or found.seq < start:
            return
        size = self.size()
        starts = found.since(start)
        due = start
        for index, leaf in (
            self._leaves(self._floor(near), size, size)
            if starts is None
            else (pair for at in starts if at < size for pair in self._leaves(at, at + 1, size))
        ):
            one = record.decode(leaf)
            if one.stream != name or one.seq < start:
                continue
            if one.seq != due:
                raise Missing(
                    f"{name} goes on with seq {one.seq} at record {index}; expected {due}",
                    next_step="holdfast evidence fsck names the first bad place",
                )
            due += 1
            yield self.entry(index, leaf, one)

    def entry(self, index: int, leaf: bytes, found: record.Record | None = None) -> Entry:
        """The record of a leaf, with its body, kept apart or not. Raises: VerificationFailed.

        ``found``: that record, from whoever has just decoded it.
        """
        found = found or record.decode(leaf)
        body = found.body if found.body_ref is None else self.body(found.body_ref)
        return record.Entry(index, leaf, found, body or {})

    def body(self, ref: BodyRef) -> dict[str, object]:
        """A body that is kept apart. Raises: Missing; DigestMismatch; Malformed."""
        return bodies.decode(ref, self._writeonce.get(layout.body(ref.sha256)))

    def prove_inclusion(self, index: int, size: int) -> list[bytes]:
        """The path from leaf ``index`` to the root over the first ``size`` leaves.

        Raises: NotFound, beyond the signed log; Missing, without tiles; DigestMismatch, where they
        lie.
        """
        head, nodes = self._nodes(size)
        if not 0 <= index < size:
            raise NotFound(f"no record {index} among the first {size}")
        proof = merkle.prove_inclusion(index, size, nodes)
        root = self._checked_root(size, head, nodes)
        merkle.verify_inclusion(nodes(0, index), index, size, proof, root)
        return proof

    def prove_consistency(self, old: int, new: int) -> list[bytes]:
        """Hashes that show the first ``new`` leaves to extend the first ``old``.

        Raises: as :meth:`prove_inclusion`.
        """
        head, nodes = self._nodes(new)
        if not 0 <= old <= new:
            raise NotFound(f"{new} records do not extend {old}")
        proof = merkle.prove_consistency(old, new, nodes)
        roots = (self._checked_root(size, head, nodes) for size in (old, new))
        merkle.verify_consistency(old, new, proof, *roots)
        return proof

    def root(self, size: int) -> bytes:
        """The root over the first ``size`` leaves, which the newest signed one extends.

        Raises: as :meth:`prove_inclusion`.
        """
        return self._checked_root(size, *self._nodes(size))

    def nodes(self, size: int | None = None) -> Nodes:
        """The nodes of the tree over ``size`` leaves, or as it is now, unverified.

        Of every smaller tree as well.
        """
        return Nodes(self.size() if size is None else size, self._derived.get)

    def _nodes(self, size: int) -> tuple[SignedCheckpoint, Nodes]:
        head = self.settled()
        if head is not None and head.size < size:
            head = self.head()
        if head is None or not 0 <= size <= head.size:
            raise NotFound(f"no tree of {size} records: the log has {head.size if head else 0}")
        return head, Nodes(head.size, self._derived.get)

    def _checked_root(self, size: int, head: SignedCheckpoint, nodes: Nodes) -> bytes:
        """The root over ``size`` leaves, shown to be one that the signed head extends."""
        root = merkle.frontier(size, nodes).root()
        proof = merkle.prove_consistency(size, head.size, nodes)
        merkle.verify_consistency(size, head.size, proof, root, head.root)
        return root

    def _current(self) -> tuple[int, State | None, SignedCheckpoint | None]:
        """The state's version and value, and the derived checkpoint, which it is not behind.

        Raises: Fork, where something was signed or locked beyond the state.
        """
        while True:
            latest = self._latest()  # before the state, which can only be newer
            version, current = self._state()
            size, ours = (0, b"") if current is None else (current.size, state.encode(current))
            if latest is not None and latest.size > size:
                raise state.behind(size, ours, latest)
            locked = self._batch_bytes(size)
            if locked is None:
                return version, current, latest
            if self._state()[0] == version:
                raise self._beyond(size, ours, locked)
            # A writer won and locked its batch since the state was read: read it again.

    def _beyond(self, size: int, ours: bytes, locked: bytes) -> Fork:
        """A batch is locked where the state says that the log ends."""
        leaves, used = bundle.split(locked)
        whole = bool(leaves) and used == len(locked)
        signed = self._find(size + len(leaves)) if whole else None
        if signed is not None:
            return state.behind(size, ours, signed)
        key = layout.batch(size)
        return Fork(
            f"the state ends at {size} leaves, but {key} is locked",
            ours=ours,
            theirs=canon.encode({"batch": key, "sha256": canon.sha256(locked)}),
            next_step="holdfast evidence fsck; docs/operate.md, A fork",
        )

    def _leaves(self, at: int, stop: int, size: int) -> Iterator[tuple[int, bytes]]:
        """Leaves from the batch at ``at`` to the one that reaches ``stop``, with their indices."""
        edge = self._edge(at, size)
        while at < stop:
            leaves = self._batch(at, edge)
            yield from enumerate(leaves, at)
            at += len(leaves)

    def _head(self, stream: str) -> tuple[int, heads.Head | None]:
        """The version and value of a stream's head."""
        document = self._documents.get(layout.head(stream))
        return (0, None) if document is None else (document.version, heads.decode(document.value))

    def _state(self) -> tuple[int, State | None]:
        """The version and value of the guarded state."""
        document = self._documents.get(layout.STATE)
        if document is None:
            return 0, None
        value = state.decode(document.value)
        if value.origin != self._keys.origin:
            raise Malformed(
                f"the state is another log's: expected {self._keys.origin!r}, "
                f"observed {value.origin[:80]!r}"
            )
        return document.version, value

    def _latest(self) -> SignedCheckpoint | None:
        """The derived newest checkpoint; None where there is none that can be believed."""
        data = self._derived.get(layout.LATEST)
        if data is None:
            return None
        try:
            return self._keys.verify(data)
        except VerificationFailed:
            return None  # derived, so it will be made again; the locked ones are what counts

    def _find(self, size: int) -> SignedCheckpoint | None:
        """The locked checkpoint over ``size`` leaves, verified, or None where there is none."""
        try:
            data = self._writeonce.get(layout.checkpoint(size))
        except Missing:
            return None
        try:
            signed = self._keys.verify(data)
            if signed.size != size:
                raise Malformed(f"a checkpoint of {signed.size} leaves")
        except VerificationFailed as error:
            raise type(error)(
                f"{layout.checkpoint(size)} is locked and is not what the log's key signed: "
                f"{error.message}",
                next_step=self._stranger() or "holdfast evidence fsck; docs/operate.md, A fork",
            ) from error
        return signed

    def _stranger(self) -> str:
        """What to do where the state names a key that is not pinned: the log's key was rotated."""
        with suppress(VerificationFailed):  # an unusable state says nothing, and is not the news
            _, current = self._state()
            known = {str(key.verifier) for key in self._keys.keys}
            if current is not None and current.key and current.key not in known:
                return (
                    f"the state names the key {current.key}: if the log's key was rotated to it, "
                    "use the settings that the rotation wrote"
                )
        return ""

    def _signed(self, size: int) -> SignedCheckpoint:
        signed = self._find(size)
        if signed is None:
            raise Missing(
                f"there is no {layout.checkpoint(size)}, which the log must have",
                next_step="holdfast evidence fsck, and restore the write-once store from a copy",
            )
        return signed

    def _batch(self, start: int, edge: Frontier) -> list[bytes]:
        """The leaves of a batch, shown to lead from ``edge``, moved on, to their checkpoint."""
        leaves = bundle.decode(self._writeonce.get(layout.batch(start)))
        if not leaves:
            raise Malformed(f"{layout.batch(start)} holds no leaf")
        for leaf in leaves:
            edge.append(leaf_hash(leaf))
        signed = self._signed(edge.size)
        if signed.root != edge.root():
            raise DigestMismatch(
                f"{layout.batch(start)} does not lead to the signed root of {edge.size} leaves: "
                f"expected {signed.root.hex()}, observed {edge.root().hex()}",
                next_step="holdfast evidence fsck names the first bad place",
            )
        return leaves

    def _batch_bytes(self, start: int) -> bytes | None:
        try:
            return self._writeonce.get(layout.batch(start))
        except Missing:
            return None

    def _floor(self, index: int) -> int:
        """The start of the batch that holds leaf ``index``."""
        digits = f"{index:0{layout.DIGITS}d}"
        # Few keys share most digits with the one looked for: ask for those first.
        for kept in range(layout.DIGITS, -1, -2):
            best = None
            for key in self._writeonce.list(layout.BATCHES + digits[:kept]):
                start = layout.number(key, layout.BATCHES)
                if start is not None and start <= index:
                    best = start
            if best is not None:
                return best
        raise Missing(f"no batch holds record {index}", next_step="holdfast evidence fsck")

    def _edge(self, at: int, size: int) -> Frontier:
        """The right edge over the first ``at`` leaves, which a signed checkpoint covers."""
        if at == 0:
            return Frontier()
        signed = self._signed(at)
        try:
            edge = merkle.frontier(at, Nodes(size, self._derived.get))
            if edge.root() == signed.root:
                return edge
        except Missing:
            pass  # tiles can be made again; the batches themselves say the same, slower
        edge = Frontier()
        while edge.size < at:
            self._batch(edge.size, edge)
        return edge
