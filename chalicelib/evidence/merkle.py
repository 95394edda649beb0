"""Proofs about the log's tree: that a leaf is in it, and that one tree extends another.

A proof is made from ``node(level, index)``: the hash of the complete subtree over the leaves
``index * 2**level`` up to ``(index + 1) * 2**level``. Where nodes come from is not handled here.
Source: RFC 9162 §2.1.3 and §2.1.4.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from chalicelib.evidence.layout import MAX_SIZE
from chalicelib.kernel.errors import DigestMismatch, Malformed
from chalicelib.kernel.merkle import EMPTY_ROOT, Frontier, node_hash

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    Node = Callable[[int, int], bytes]

HASH_BYTES = 32  # SHA-256
MAX_PROOF = 64  # hashes; a path in a tree of MAX_SIZE leaves is no longer


def subtrees(start: int, stop: int) -> list[tuple[int, int]]:
    """The complete subtrees, as (level, index), that cover the leaves ``start`` ≤ i < ``stop``.

    ``start`` is a multiple of the largest power of two below the range's length, as every range
    of RFC 9162's recursion is; largest first.
    """
    covers = []
    while start < stop:
        level = (stop - start).bit_length() - 1
        covers.append((level, start >> level))
        start += 1 << level
    return covers


def frontier(size: int, node: Node) -> Frontier:
    """The right edge of the tree over the first ``size`` leaves."""
    return Frontier(size, [node(*cover) for cover in subtrees(0, size)])


def prove_inclusion(index: int, size: int, node: Node) -> list[bytes]:
    """The path from leaf ``index`` to the root over ``size`` leaves, bottom up.

    Raises: ValueError, unless 0 ≤ index < size ≤ MAX_SIZE. Source: RFC 9162 §2.1.3.1.
    """
    return [span(start, stop, node) for start, stop in path(index, size)]


def path(index: int, size: int) -> list[tuple[int, int]]:
    """The ranges of leaves, as (start, stop), whose hashes are leaf ``index``'s path, bottom up.

    Raises: ValueError, unless 0 ≤ index < size ≤ MAX_SIZE. Source: RFC 9162 §2.1.3.1.
    """
    if not 0 <= index < size <= MAX_SIZE:
        raise ValueError(f"no leaf {index} in a tree of {size}")
    ranges = []
    start, stop = 0, size
    while stop - start > 1:
        middle = start + split(stop - start)
        if index < middle:
            ranges.append((middle, stop))
            stop = middle
        else:
            ranges.append((start, middle))
            start = middle
    return ranges[::-1]


def prove_consistency(old: int, new: int, node: Node) -> list[bytes]:
    """Hashes that show the tree over ``new`` leaves to extend the one over ``old``.

    Raises: ValueError, unless 0 ≤ old ≤ new ≤ MAX_SIZE. Source: RFC 9162 §2.1.4.1; the proof from
    the empty tree, which the RFC leaves out, is empty.
    """
    if not 0 <= old <= new <= MAX_SIZE:
        raise ValueError(f"no tree of {new} extends one of {old}")
    if old in (0, new):
        return []
    path = []
    start, stop = 0, new
    while old != stop:
        middle = start + split(stop - start)
        if old <= middle:
            path.append(span(middle, stop, node))
            stop = middle
        else:
            path.append(span(start, middle, node))
            start = middle
    if start:  # the RFC's flag b: the old tree is no subtree that its reader knows already
        path.append(span(start, stop, node))
    return path[::-1]


def verify_inclusion(
    leaf: bytes, index: int, size: int, proof: Sequence[bytes], root: bytes
) -> None:
    """Return if the leaf *hash* is at ``index`` under ``root``.

    Raises: Malformed, for a proof of no such tree; DigestMismatch. Source: RFC 9162 §2.1.3.2, whose
    step numbers stand at the code.
    """
    _bounded(proof, leaf, root)
    if not 0 <= index < size <= MAX_SIZE:  # step 1
        raise Malformed(f"an inclusion proof of leaf {index} in a tree of {size}")
    node, fn, sn = leaf, index, size - 1  # steps 2 and 3
    for sibling in proof:  # step 4
        if sn == 0:
            raise Malformed("an inclusion proof that is too long")
        if fn & 1 or fn == sn:
            node = node_hash(sibling, node)
            while not fn & 1 and fn:
                fn, sn = fn >> 1, sn >> 1
        else:
            node = node_hash(node, sibling)
        fn, sn = fn >> 1, sn >> 1
    if sn:  # step 5
        raise Malformed("an inclusion proof that is too short")
    if node != root:
        raise DigestMismatch(
            f"leaf {index} does not lead to the root: expected {root.hex()}, observed {node.hex()}"
        )


def verify_consistency(
    old: int, new: int, proof: Sequence[bytes], old_root: bytes, new_root: bytes
) -> None:
    """Return if the tree under ``new_root`` extends the one under ``old_root``.

    Raises: Malformed, for a proof of no such trees; DigestMismatch. Source: RFC 9162 §2.1.4.2,
    whose step numbers stand at the code. The empty tree has one root and needs no proof.
    """
    _bounded(proof, old_root, new_root)
    if not 0 <= old <= new <= MAX_SIZE:
        raise Malformed(f"a consistency proof from {old} to {new} leaves")
    if old in (0, new):
        fr, sr = (new_root if old else EMPTY_ROOT), (new_root if new else EMPTY_ROOT)
        if proof:
            raise Malformed("a consistency proof where none is needed")
    else:
        fr, sr = _two_roots(old, new, proof, old_root)
    if fr != old_root or sr != new_root:
        raise DigestMismatch(
            f"the tree of {new} leaves does not extend the tree of {old}: expected roots "
            f"{old_root.hex()} and {new_root.hex()}, observed {fr.hex()} and {sr.hex()}"
        )


def _two_roots(old: int, new: int, proof: Sequence[bytes], old_root: bytes) -> tuple[bytes, bytes]:
    """Steps 1 to 7 of RFC 9162 §2.1.4.2: the roots of both trees that a proof leads to."""
    if not proof:  # step 1
        raise Malformed("an empty consistency proof")
    path = list(proof) if old & (old - 1) else [old_root, *proof]  # step 2
    fn, sn = old - 1, new - 1  # step 3
    while fn & 1:  # step 4
        fn, sn = fn >> 1, sn >> 1
    fr = sr = path[0]  # step 5
    for sibling in path[1:]:  # step 6
        if sn == 0:
            raise Malformed("a consistency proof that is too long")
        if fn & 1 or fn == sn:
            fr, sr = node_hash(sibling, fr), node_hash(sibling, sr)
            while not fn & 1 and fn:
                fn, sn = fn >> 1, sn >> 1
        else:
            sr = node_hash(sr, sibling)
        fn, sn = fn >> 1, sn >> 1
    if sn:  # step 7
        raise Malformed("a consistency proof that is too short")
    return fr, sr


def split(length: int) -> int:
    """The largest power of two smaller than ``length``. Source: RFC 9162 §2.1.1."""
    return 1 << ((length - 1).bit_length() - 1)


def span(start: int, stop: int, node: Node) -> bytes:
    """Merkle tree hash of the leaves ``start`` ≤ i < ``stop``, folded right to left."""
    *lefts, right = (node(*cover) for cover in subtrees(start, stop))
    for left in reversed(lefts):
        right = node_hash(left, right)
    return right


def _bounded(proof: Sequence[bytes], *hashes: bytes) -> None:
    if len(proof) > MAX_PROOF:
        raise Malformed(f"a proof of {len(proof)} hashes; at most {MAX_PROOF}")
    if any(len(part) != HASH_BYTES for part in (*proof, *hashes)):
        raise Malformed(f"a proof with a hash that is not {HASH_BYTES} bytes long")
