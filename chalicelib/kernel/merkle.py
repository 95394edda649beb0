"""The Merkle tree hash that snapshots and the evidence log share; ``evidence.merkle`` has proofs.

Source: RFC 9162 §2.1.1 (identical to RFC 6962 §2.1 for these functions), SHA-256.
"""

from __future__ import annotations

import hashlib
import itertools
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

HASH_BYTES = 32  # SHA-256
_CHUNK = 1024  # leaves
EMPTY_ROOT = hashlib.sha256(b"").digest()  # RFC 9162 §2.1.1: MTH({}) = HASH()


def leaf_hash(leaf: bytes) -> bytes:
    """Hash (32 bytes) of one leaf's data. Source: RFC 9162 §2.1.1, the 0x00 prefix."""
    return hashlib.sha256(b"\x00" + leaf).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Hash (32 bytes) of an interior node. Source: RFC 9162 §2.1.1, the 0x01 prefix."""
    return hashlib.sha256(b"\x01" + left + right).digest()


class Frontier:
    """The right edge of a growing tree: the roots of its complete subtrees, largest first.

    ``size`` leaves, at most 64 hashes of 32 bytes; appending and the root cost O(log n).
    Raises: ValueError, where the number of hashes is not the number of one-bits in ``size``.
    """

    __slots__ = ("hashes", "size")

    def __init__(self, size: int = 0, hashes: Iterable[bytes] = ()) -> None:
        self.size = size
        self.hashes = list(hashes)
        if (
            size < 0
            or len(self.hashes) != size.bit_count()
            or any(len(h) != HASH_BYTES for h in self.hashes)
        ):
            raise ValueError(
                f"a frontier of {size} leaves has {size.bit_count()} hashes of 32 bytes"
            )

    def append(self, leaf: bytes) -> None:
        """Add the *hash* of the next leaf (32 bytes)."""
        node, size, hashes = leaf, self.size, self.hashes
        while size & 1:  # node_hash, without the call: this is what a verification does most
            node = hashlib.sha256(b"\x01" + hashes.pop() + node).digest()
            size >>= 1
        hashes.append(node)
        self.size += 1

    def root(self) -> bytes:
        """Merkle tree hash (32 bytes) of all leaves so far."""
        if not self.hashes:
            return EMPTY_ROOT
        node = self.hashes[-1]
        for left in reversed(self.hashes[:-1]):
            node = node_hash(left, node)
        return node

    def copy(self) -> Frontier:
        """An independent frontier of the same tree."""
        return Frontier(self.size, self.hashes)


def root(leaves: Iterable[bytes]) -> bytes:
    """Merkle tree hash (32 bytes) of leaf data, oldest first; one pass, O(log n) memory.

    Empty input hashes the empty string. Leaves are taken _CHUNK at a time: such a chunk is a
    complete subtree, and what is left at the end is the rightmost one. Source: RFC 9162 §2.1.1.
    """
    return root_of_hashes(hashlib.sha256(b"\x00" + leaf).digest() for leaf in leaves)


def root_of_hashes(hashes: Iterable[bytes]) -> bytes:
    """As :func:`root`, of the leaves' hashes (32 bytes each)."""
    frontier, rest = Frontier(), iter(hashes)
    while len(chunk := list(itertools.islice(rest, _CHUNK))) == _CHUNK:
        frontier.append(_subtree(chunk))
    if not chunk:
        return frontier.root()
    node = _subtree(chunk)
    for left in reversed(frontier.hashes):
        node = node_hash(left, node)
    return node


def _subtree(level: list[bytes]) -> bytes:
    """Merkle tree hash (32 bytes) of at least one leaf's hash, level by level.

    A node without a neighbour goes up as it is: RFC 9162 splits at the largest power of two.
    """
    while len(level) > 1:
        pairs = zip(level[::2], level[1::2], strict=False)
        above = [hashlib.sha256(b"\x01" + left + right).digest() for left, right in pairs]
        level = above if len(level) % 2 == 0 else [*above, level[-1]]
    return level[0]
