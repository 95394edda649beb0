"""Publishing: what follows a won compare-and-set, and can be done again by anyone after a crash.

Steps 5 to 9 of the append protocol; ``evidence.log`` numbers them. Each step writes the same bytes
whoever does it and however often, except that a signer without deterministic signatures may sign
one checkpoint twice: the first note that is stored is the one that counts.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

import msgspec

from chalicelib.evidence import bundle, layout, note, retention, state
from chalicelib.evidence.keys import handed_over, verify_handover
from chalicelib.evidence.note import Checkpoint
from chalicelib.evidence.reader import Reader
from chalicelib.evidence.tiles import Tiler
from chalicelib.kernel import canon
from chalicelib.kernel.errors import (
    BadSignature,
    Conflict,
    DigestMismatch,
    Fork,
    KeyUnusable,
    Missing,
    VerificationFailed,
)
from chalicelib.kernel.merkle import leaf_hash
from chalicelib.kernel.store import Write

if TYPE_CHECKING:
    from chalicelib.evidence.keys import Keyring
    from chalicelib.evidence.note import SignedCheckpoint, Verifier
    from chalicelib.evidence.retention import Retention
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
        keys: Keyring,
        retention: Retention = retention.NONE,
    ) -> None:
        super().__init__(writeonce=writeonce, derived=derived, documents=documents, keys=keys)
        if signer.public != keys.newest.key:
            raise KeyUnusable(
                "the private key is not the one that is pinned for this log",
                next_step=f"use the key of {keys.newest}",
            )
        self._signer = signer
        self._retention = retention
        self._handover_seen = len(keys.keys) == 1

    def check_turn(self, current: State | None) -> None:
        """Return if this writer's key signs what follows on the state, whose change of key is told.

        A change of key whose note a crash left out gets it here, once in a writer's life.
        Raises: KeyUnusable, where another key signs next; BadSignature, where the note of the
        change is another one.
        """
        size = 0 if current is None else current.size
        due = self.signs_next(current)
        if due != str(self.verifier):
            known = any(due == str(key.verifier) for key in self._keys.keys)
            raise KeyUnusable(
                f"the state of the log, of {size} records, names the former key {due} as the one "
                f"that signs next, and {self.verifier} is pinned from {self._keys.keys[-1].first} "
                "records on; nothing was written"
                if known
                else f"the log's key was rotated to {due} at {size} records or before, and this "
                f"process has {self.verifier}; nothing was written",
                next_step="find out who put the state back; docs/operate.md, Change the log's key"
                if known
                else "use the settings that the rotation wrote, and deploy them; if it was "
                "interrupted: holdfast evidence rotate",
            )
        if not self._handover_seen:
            at, former, key = list(self._keys.changes())[-1]
            found = self._handed_over(former, key)
            if found not in {at, None}:
                raise KeyUnusable(
                    f"the settings say that the log's key was rotated to {key} at {at} records; "
                    f"it was at {found}",
                    next_step=f"[[log.former]] last = {found}",
                )
            self.hand_over(at, former, self._signer)
            self._handover_seen = True

    def signs_next(self, current: State | None) -> str:
        """The vkey that signs what follows on the state, which names it from version 2 on."""
        if current is not None and current.key:
            return current.key
        return str(self._keys.next(0 if current is None else current.size))

    def pass_on(self, key: Verifier) -> int:
        """Name another key as the one that signs next; gives the log's size at that moment.

        No append may be unfinished. Raises: Conflict, where one came between, and nothing was
        changed; KeyUnusable, where the key was changed already; BadSignature, where somebody else
        has written what is to mark the change.
        """
        version, current, _ = self._current()
        self.check_turn(current)
        signed = None if current is None else self._find(current.size)
        if current is None or signed is None:
            raise Conflict("an append is not finished; nothing was changed")
        state.agree(current, signed)
        place = layout.handover(current.size)
        if place in self._writeonce.list(place):
            raise BadSignature(
                f"{place} is locked, and the log's key was not changed at {current.size} records: "
                "somebody else wrote it; nothing was changed",
                next_step="find out who; rotate again after another record was appended",
            )
        named = msgspec.structs.replace(current, v=state.VERSION, key=str(key))
        self._documents.swap([Write(layout.STATE, version, state.encode(named))])
        return current.size

    def passed_on(self, key: Verifier) -> int | None:
        """The size at which this writer's key was changed for ``key``; None where it was not."""
        _, current = self._state()
        if current is None or current.key != str(key):
            return None
        found = self._handed_over(self.verifier, key)
        return current.size if found is None else found  # nobody appends before it was handed over

    def _handed_over(self, former: Verifier, key: Verifier) -> int | None:
        """The size at which a note by both keys says that the one followed on the other."""
        for place in self._writeonce.list(layout.HANDOVERS):
            size = layout.number(place, layout.HANDOVERS)
            with suppress(VerificationFailed):  # another change, or not a change at all
                if verify_handover(self._writeonce.get(place), former, key).size == size:
                    return size
        return None

    def hand_over(self, size: int, former: Verifier, successor: Signer) -> SignedCheckpoint:
        """The locked note of a change of key, made from the former key's checkpoint if need be.

        Raises: Missing, without that checkpoint; BadSignature, Malformed, where another note is
        locked; StoreUnavailable.
        """
        place = layout.handover(size)
        new = note.verifier(former.name, successor.public)
        try:
            data = self._writeonce.get(place)
        except Missing:
            made = handed_over(self._signed(size).note, former, successor)
            with suppress(DigestMismatch):  # a signer whose signatures differ was first
                self._writeonce.put(place, made, keep_days=self._retention.most)
            data = self._writeonce.get(place)
        try:
            signed = verify_handover(data, former, new)
            if signed.checkpoint != self._signed(size).checkpoint:
                raise BadSignature(f"it is not over the checkpoint of {size} records")
        except VerificationFailed as error:
            raise type(error)(
                f"{place} is locked, and not as both keys signed it: {error.message}",
                next_step="somebody else wrote it: holdfast evidence fsck; docs/operate.md, A fork",
            ) from error
        return signed

    def publish(self, current: State, staged: bytes | None = None) -> SignedCheckpoint:
        """Steps 5 and 6: the last batch of the state, locked and under a locked signed checkpoint.

        ``staged``: that batch, from whoever has just staged it.
        Raises: Missing, where neither the batch nor its stage is there; Fork; DigestMismatch.
        """
        self._lock_batch(current, staged)  # step 5
        text = Checkpoint(current.origin, current.size, bytes.fromhex(current.root)).text()
        signed_note = note.sign(text, current.origin, self._signer)  # step 6
        with suppress(DigestMismatch):  # another appender was first: its note must say the same
            key = layout.checkpoint(current.size)
            self._writeonce.put(key, signed_note, keep_days=self._retention.most)
        signed = self._signed(current.size)
        state.agree(current, signed)
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
            if self.signs_next(newest) != str(self.verifier):
                return  # the key was changed since: who has the new one shows theirs
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
        leaves = bundle.decode(data)
        for leaf in leaves:
            edge.append(leaf_hash(leaf))
        if (edge.size, edge.root().hex()) != (current.size, current.root):
            raise DigestMismatch(
                f"{key} does not lead to the state: expected root {current.root} at {current.size} "
                f"leaves, observed {edge.root().hex()} at {edge.size}"
            )
        if current.batch.start:
            state.agree(current, self._signed(current.batch.start))
        self._writeonce.put(key, data, keep_days=self._retention.days_of(leaves))

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
