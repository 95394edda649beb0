"""Restore: the state and the heads of streams made again from locked batches, where they were lost.

What was cut off the end of the write-once store as well does not come back and does not show; only
a checkpoint kept elsewhere tells (``fsck``). So whoever restores records it, as the next record.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from chalicelib.evidence import bundle, head, layout, state
from chalicelib.evidence.keys import verify_handover
from chalicelib.evidence.rotate import announced
from chalicelib.kernel import canon, record
from chalicelib.kernel.errors import DigestMismatch, Missing, NotAllowed, VerificationFailed
from chalicelib.kernel.merkle import Frontier, leaf_hash
from chalicelib.kernel.store import Write

if TYPE_CHECKING:
    from chalicelib.evidence.head import Head
    from chalicelib.evidence.keys import Keyring
    from chalicelib.evidence.note import Verifier
    from chalicelib.evidence.rotate import Announced
    from chalicelib.kernel.store import Documents, WriteOnce

_WRITES = 50  # documents a swap; kernel.store allows 100


def lost(writeonce: WriteOnce, documents: Documents) -> bool:
    """Whether there are batches and no state that says so."""
    return documents.get(layout.STATE) is None and any(True for _ in writeonce.list(layout.BATCHES))


class _Folded:
    """What the locked batches lead to, and whether the last of them is under no checkpoint."""

    def __init__(self) -> None:
        self.edge, self.before = Frontier(), Frontier()
        self.heads: dict[str, Head] = {}
        self.data = b""
        self.signed = True
        self.announced: Announced | None = None

    def batch(self, key: str, data: bytes) -> None:
        """Take the next batch. Raises: Missing; Malformed."""
        self.before, self.data = self.edge.copy(), data
        for leaf in bundle.decode(data):
            digest = leaf_hash(leaf)
            self.edge.append(digest)
            one = record.decode(leaf)
            self.announced = announced(one) or self.announced
            last = self.heads.get(one.stream)
            if one.seq != (last.seq if last else 0) + 1:
                raise Missing(f"{key}: {one.stream} goes on with seq {one.seq}")
            self.heads[one.stream] = head.grown(last, one.seq, digest.hex(), self.before.size)


def restore(writeonce: WriteOnce, documents: Documents, keys: Keyring, *, adopt: str = "") -> int:
    """Write the lost documents; returns the size that they say.

    Every batch must lead to the checkpoint signed over it. The last may lack one: an append that
    crashed before it was signed, or what somebody put there who wants it signed. Without the state
    nothing tells the two apart, so ``adopt`` must be its SHA-256, from somebody who has looked.
    The state names the key that signs next: by the pinned keys' sizes, or by a change of key that
    was not finished. No other writer may be at work. Raises: NotAllowed, where there is a state,
    or a batch that nobody has adopted; Missing, DigestMismatch, BadSignature, Malformed, where the
    batches do not hold.
    """
    if documents.get(layout.STATE) is not None:
        raise NotAllowed("the log's state is there; nothing was restored")
    folded = _fold(writeonce, keys)
    sha256 = canon.sha256(folded.data)
    if not folded.signed and adopt != sha256:
        leaves = [record.decode(leaf) for leaf in bundle.decode(folded.data)]
        told = ", ".join(
            sorted({f"{one.kind} of {one.stream} by {one.actor.name}" for one in leaves})
        )
        raise NotAllowed(
            f"{layout.batch(folded.before.size)} is locked, and no checkpoint is signed over it: "
            f"{len(leaves)} records ({told[:500]})",
            next_step="an append that crashed, or a forgery that wants to be signed: ask those who "
            f"are named; only if it is theirs: holdfast evidence repair --adopt {sha256}",
        )
    _write(documents, folded.heads)
    key = _key(writeonce, keys, folded)
    value = state.state(key, folded.before, folded.edge, sha256)
    documents.swap([Write(layout.STATE, 0, state.encode(value))])
    return folded.edge.size


def _key(writeonce: WriteOnce, keys: Keyring, folded: _Folded) -> Verifier:
    """The key that signs next: another than the pinned one where it was handed over, and told."""
    size, told = folded.edge.size, folded.announced
    due = keys.next(size)
    if told is not None and told.former == due:
        with suppress(VerificationFailed):  # none, or not by both keys: it was not handed over
            data = writeonce.get(layout.handover(size))
            if verify_handover(data, due, told.key).checkpoint.root == folded.edge.root():
                return told.key
    return due


def mend_heads(writeonce: WriteOnce, documents: Documents, keys: Keyring) -> list[str]:
    """The streams whose heads were not what the signed batches lead to, and now are.

    No append may be unfinished, and no other writer at work. Raises: as :func:`restore`; Conflict.
    """
    folded = _fold(writeonce, keys)
    if not folded.signed:
        raise NotAllowed(f"{layout.batch(folded.before.size)} is under no signed checkpoint")
    return _write(documents, folded.heads)


def _fold(writeonce: WriteOnce, keys: Keyring) -> _Folded:
    signed = {layout.number(key, layout.CHECKPOINTS) for key in writeonce.list(layout.CHECKPOINTS)}
    folded = _Folded()
    for key in writeonce.list(layout.BATCHES):
        size = folded.edge.size
        if layout.number(key, layout.BATCHES) != size or size not in signed | {0}:
            raise Missing(f"{key} does not follow on {size} records under a checkpoint")
        folded.batch(key, writeonce.get(key))
        folded.signed = folded.edge.size in signed
        if folded.signed:
            _check_root(writeonce, keys, folded.edge)
    if max(size or 0 for size in signed | {0}) > folded.edge.size:
        raise Missing(
            f"a checkpoint is signed beyond the {folded.edge.size} records that are there"
        )
    return folded


def _check_root(writeonce: WriteOnce, keys: Keyring, edge: Frontier) -> None:
    key = layout.checkpoint(edge.size)
    found = keys.verify(writeonce.get(key))
    if (found.size, found.root) != (edge.size, edge.root()):
        raise DigestMismatch(f"the records do not lead to the root that {key} signs")


def _write(documents: Documents, heads: dict[str, Head]) -> list[str]:
    """Write the heads that are others; gives their streams.

    On a restore the state comes after them: an interrupted one is simply run again.
    """
    writes, changed = [], []
    for stream, last in sorted(heads.items()):
        there = documents.get(layout.head(stream))
        due = head.encode(last)
        if there is None or there.value != due:
            writes.append(Write(layout.head(stream), there.version if there else 0, due))
            changed.append(stream)
    for first in range(0, len(writes), _WRITES):
        documents.swap(writes[first : first + _WRITES])
    return changed
