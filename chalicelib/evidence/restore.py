"""Restore: the state and the heads of streams made again from locked batches, where they were lost.

What was cut off the end of the write-once store as well does not come back and does not show; only
a checkpoint kept elsewhere tells (``fsck``). So whoever restores records it, as the next record.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from chalicelib.evidence import bundle, head, layout, note, state
from chalicelib.kernel import canon, record
from chalicelib.kernel.errors import DigestMismatch, Missing, NotAllowed
from chalicelib.kernel.merkle import Frontier, leaf_hash
from chalicelib.kernel.store import Write

if TYPE_CHECKING:
    from chalicelib.evidence.head import Head
    from chalicelib.evidence.note import Verifier
    from chalicelib.kernel.store import Documents, WriteOnce

_WRITES = 50  # documents a swap; kernel.store allows 100


def lost(writeonce: WriteOnce, documents: Documents) -> bool:
    """Whether there are batches and no state that says so."""
    return documents.get(layout.STATE) is None and any(True for _ in writeonce.list(layout.BATCHES))


def restore(writeonce: WriteOnce, documents: Documents, verifier: Verifier) -> int:
    """Write the lost documents; returns the size that they say.

    Every batch must lead to the checkpoint signed over it; the last may lack one, as after a crash.
    No other writer may be at work. Raises: NotAllowed, where there is a state; Missing,
    DigestMismatch, BadSignature, Malformed, where the batches do not hold.
    """
    if documents.get(layout.STATE) is not None:
        raise NotAllowed("the log's state is there; nothing was restored")
    signed = {layout.number(key, layout.CHECKPOINTS) for key in writeonce.list(layout.CHECKPOINTS)}
    edge, before = Frontier(), Frontier()
    heads: dict[str, Head] = {}
    data = b""
    for key in writeonce.list(layout.BATCHES):
        if layout.number(key, layout.BATCHES) != edge.size or edge.size not in signed | {0}:
            raise Missing(f"{key} does not follow on {edge.size} records under a checkpoint")
        before, data = edge.copy(), writeonce.get(key)
        for leaf in bundle.decode(data):
            digest = leaf_hash(leaf)
            edge.append(digest)
            one = record.decode(leaf)
            last = heads.get(one.stream)
            if one.seq != (last.seq if last else 0) + 1:
                raise Missing(f"{key}: {one.stream} goes on with seq {one.seq}")
            heads[one.stream] = head.grown(last, one.seq, digest.hex(), before.size)
        if edge.size in signed:
            _check_root(writeonce, verifier, edge)
    if max(size or 0 for size in signed | {0}) > edge.size:
        raise Missing(f"a checkpoint is signed beyond the {edge.size} records that are there")
    _write(documents, heads, state.state(verifier.name, before, edge, canon.sha256(data)))
    return edge.size


def _check_root(writeonce: WriteOnce, verifier: Verifier, edge: Frontier) -> None:
    key = layout.checkpoint(edge.size)
    found = note.verify_checkpoint(writeonce.get(key), verifier)
    if (found.size, found.root) != (edge.size, edge.root()):
        raise DigestMismatch(f"the records do not lead to the root that {key} signs")


def _write(documents: Documents, heads: dict[str, Head], value: state.State) -> None:
    """The heads, then the state: without it, an interrupted restore is simply run again."""
    writes = []
    for stream, last in sorted(heads.items()):
        there = documents.get(layout.head(stream))
        writes.append(Write(layout.head(stream), there.version if there else 0, head.encode(last)))
    for first in range(0, len(writes), _WRITES):
        documents.swap(writes[first : first + _WRITES])
    documents.swap([Write(layout.STATE, 0, state.encode(value))])
