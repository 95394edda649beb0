"""Proofs: inclusion proofs of ascending leaves, each without what the one before it has shown.

Two leaves share the upper part of their paths: a line of ``proofs.jsonl`` gives the hashes that are
new, and how many of the line before are kept. Source: docs/formats/packet.md, "Leaves and proofs".
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from chalicelib.evidence import merkle
from chalicelib.kernel import canon
from chalicelib.kernel.errors import DigestMismatch, Malformed
from chalicelib.kernel.merkle import node_hash

if TYPE_CHECKING:
    from array import array
    from collections.abc import Callable, Iterator, Sequence

    from chalicelib.evidence.tiles import Nodes

    Progress = Callable[[str, int, int], None]


def prove(indices: array[int], size: int, nodes: Nodes, progress: Progress) -> Iterator[bytes]:
    """The lines of ``proofs.jsonl``: of each proof, what the one before it has not."""
    before: list[tuple[int, int]] = []
    for number, index in enumerate(indices):
        path = merkle.path(index, size)
        kept = 0
        while kept < min(len(path), len(before)) and path[-1 - kept] == before[-1 - kept]:
            kept += 1
        fresh = [merkle.span(start, stop, nodes).hex() for start, stop in path[: len(path) - kept]]
        yield canon.encode([index, kept, fresh]) + b"\n"
        before = path
        if not number % 1_000:
            progress("proofs", number, len(indices))


class Path:
    """Inclusion proofs of ascending leaves, each against what the one before it has shown.

    The hashes that two paths share are hashed once: the fresh ones must lead to a node that the
    path before has verified. Source: RFC 9162 §2.1.3.2.
    """

    def __init__(self, size: int, root: bytes) -> None:
        self._size = size
        self._root = root
        self._ranges: list[tuple[int, int]] = []
        self._nodes: list[bytes] = []  # of the path before: after each of its hashes, from the leaf

    def verify(self, leaf: bytes, index: int, kept: int, fresh: Sequence[bytes]) -> None:
        """Return if the leaf is at ``index``. Raises: Malformed; DigestMismatch."""
        if index >= self._size:
            raise Malformed(f"leaf {index} in a tree of {self._size}")
        ranges = merkle.path(index, self._size)
        own = len(ranges) - kept
        shared = min(len(self._ranges), len(ranges))
        if (
            own != len(fresh)
            or kept > shared
            or ranges[own:] != self._ranges[len(self._ranges) - kept :]
        ):
            raise Malformed("a proof that does not follow from the one before")
        nodes = [leaf]
        for sibling, (start, _) in zip(fresh, ranges, strict=False):
            left = start < index
            nodes.append(node_hash(sibling, nodes[-1]) if left else node_hash(nodes[-1], sibling))
        known = self._nodes[len(self._nodes) - kept - 1] if kept else self._root
        if nodes[-1] != known:
            raise DigestMismatch("it does not lead to the signed root")
        self._nodes = nodes + (self._nodes[len(self._nodes) - kept :] if kept else [])
        self._ranges = ranges


def parse(line: bytes) -> tuple[int, int, list[bytes]]:
    """Index, kept and hashes of a line of ``proofs.jsonl``. Raises: Malformed."""
    match canon.decode(line):
        case [int(index), int(kept), list(hashes)] if index >= 0 and kept >= 0:
            return index, kept, [digest(str(one).encode()) for one in hashes]
    raise Malformed("not a line [index, kept, [hash, …]]")


def digest(text: bytes) -> bytes:
    """The 32 bytes of 64 lower-case hexadecimal digits. Raises: Malformed."""
    try:
        data = bytes.fromhex(text.decode())
    except ValueError:
        data = b""
    if len(data) != merkle.HASH_BYTES or data.hex().encode() != text:
        raise Malformed("not a hash of 64 lower-case hexadecimal digits")
    return data
