"""Publishing: what follows a won compare-and-set, and can be done again by anyone after a crash.

Steps 5 to 9 of the append protocol; ``evidence.log`` numbers them. Each step writes the same bytes
whoever does it and however often, except that a signer without deterministic signatures may sign
one checkpoint twice: the first note that is stored is the one that counts.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from chalicelib.evidence import bundle, layout, note, state
from chalicelib.evidence.note import Checkpoint
from chalicelib.evidence.reader import Reader, agree
from chalicelib.evidence.tiles import Tiler
from chalicelib.kernel import canon
from chalicelib.kernel.errors import DigestMismatch, Fork, KeyUnusable, Missing
from chalicelib.kernel.merkle import leaf_hash

if TYPE_CHECKING:
    from chalicelib.evidence.note import SignedCheckpoint, Verifier
    from chalicelib.evidence.state import State
    from chalicelib.kernel.signing import Signer
    from chalicelib.kernel.store import Derived, Documents, WriteOnce


class Publisher(Reader):
    """A reader that can also lock, sign and derive what the state already says."""

    def __init__(
        self,
        *,
        writeonce: WriteOnce,
        derived: Derived,
        documents: Documents,
        signer: Signer,
        verifier: Verifier,
    ) -> None:
        super().__init__(
            writeonce=writeonce, derived=derived, documents=documents, verifier=verifier
        )
        if signer.public != verifier.key:
            raise KeyUnusable(
                "the private key is not the one that is pinned for this log",
                next_step=f"use the key of {verifier}",
            )
        self._signer = signer

    def publish(self, current: State, staged: bytes | None = None) -> SignedCheckpoint:
        """Steps 5 and 6: the last batch of the state, locked and under a locked signed checkpoint.

        ``staged``: that batch, from whoever has just staged it.
        Raises: Missing, where neither the batch nor its stage is there; Fork; DigestMismatch.
        """
        self._lock_batch(current, staged)  # step 5
        text = Checkpoint(current.origin, current.size, bytes.fromhex(current.root)).text()
        signed_note = note.sign(text, current.origin, self._signer)  # step 6
        with suppress(DigestMismatch):  # another appender was first: its note must say the same
            self._writeonce.put(layout.checkpoint(current.size), signed_note)
        signed = self._signed(current.size)
        agree(current, signed)
        return signed

    def derive(self, current: State, signed: SignedCheckpoint, tiler: Tiler | None = None) -> None:
        """Steps 7 to 9: no stage left of ``current``, and tiles and latest checkpoint as of it.

        Starts from the stored tiles where they fold to a signed root, which is after the batch
        before in the ordinary case, else from the first leaf; or from ``tiler``.
        """
        while True:
            self._derived.delete(layout.stage(current.batch.start, current.batch.sha256))  # step 7
            if tiler is None:
                latest = self._latest()
                if latest is not None and latest.size >= signed.size:
                    return
                tiler = self._tiler(current, latest)
            while tiler.size < signed.size:
                self._cut(tiler)  # step 8
            self._derived.put(layout.LATEST, signed.note)  # step 9
            # It may have replaced a newer one, so look again after writing: whoever writes last
            # sees every swap that was won before, and leaves the newest.
            _, newest = self._state()
            if newest is None or newest.size <= signed.size:
                return
            found = self._find(newest.size)
            if found is None:
                return
            current, signed = newest, found

    def rebuild(self) -> int:
        """Every tile and the latest checkpoint, made again from the locked batches; the log's size.

        Call it when no append is unfinished. Raises: as :meth:`Reader.read`.
        """
        _, current, _ = self._current()
        if current is not None:
            self.derive(current, self._signed(current.size), Tiler())
        return 0 if current is None else current.size

    def _lock_batch(self, current: State, staged: bytes | None) -> None:
        key = layout.batch(current.batch.start)
        data = self._staged(current) if staged is None else staged
        edge = current.base()
        for leaf in bundle.decode(data):
            edge.append(leaf_hash(leaf))
        if (edge.size, edge.root().hex()) != (current.size, current.root):
            raise DigestMismatch(
                f"{key} does not lead to the state: expected root {current.root} at {current.size} "
                f"leaves, observed {edge.root().hex()} at {edge.size}"
            )
        if current.batch.start:
            agree(current, self._signed(current.batch.start))
        self._writeonce.put(key, data)

    def _staged(self, current: State) -> bytes:
        """The bundle of the state's last batch: already locked, or still staged."""
        start, sha256 = current.batch.start, current.batch.sha256
        # The stage goes once the batch is locked, so whoever misses it finds the batch after all.
        data = self._batch_bytes(start) or self._derived.get(layout.stage(start, sha256))
        data = data or self._batch_bytes(start)
        if data is None:
            raise Missing(
                f"an append of records {start} to {current.size - 1} won its place, but neither "
                f"{layout.batch(start)} nor {layout.stage(start, sha256)} is there",
                next_step="restore one of them from a copy; nothing can be appended before",
            )
        if canon.sha256(data) != sha256:
            raise Fork(
                f"two batches for record {start}: the state has SHA-256 {sha256}, "
                f"the store has {canon.sha256(data)}",
                ours=state.encode(current),
                theirs=canon.encode({"batch": layout.batch(start), "sha256": canon.sha256(data)}),
                next_step="stop all writers and keep both",
            )
        return data

    def _tiler(self, current: State, latest: SignedCheckpoint | None) -> Tiler:
        """The stored tiles of the batch before, or of the latest checkpoint; else none of them."""
        for size in (current.batch.start, latest.size if latest else 0):
            if latest is not None and 0 < size <= latest.size:
                tiler = Tiler.load(size, self._derived.get)
                if tiler is not None and tiler.frontier().root() == self._signed(size).root:
                    return tiler
        return Tiler()

    def _cut(self, tiler: Tiler) -> None:
        """Step 8, for one batch: its tiles, then the partial ones that full ones replaced go."""
        replaced = []
        for leaf in self._batch(tiler.size, tiler.frontier()):
            for key, data in tiler.add(leaf):
                self._derived.put(key, data)
                replaced.append(key)
        for key, data in tiler.partials():
            self._derived.put(key, data)
        for full in replaced:
            for key in list(self._derived.list(f"{full}.p/")):
                self._derived.delete(key)
