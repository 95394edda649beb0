"""Bundles: leaves in a row, each behind its length as a big-endian uint16.

One encoding for staged batches, locked batches, and the entry bundles of the tile layout.
Source: C2SP tlog-tiles, "Log entries".
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from chalicelib.kernel.errors import Malformed
from chalicelib.kernel.record import MAX_LEAF_BYTES

if TYPE_CHECKING:
    from collections.abc import Iterable

_LENGTH = 2  # bytes of the length prefix


def encode(leaves: Iterable[bytes]) -> bytes:
    """The leaves, oldest first, as one bundle. Raises: ValueError, above MAX_LEAF_BYTES a leaf."""
    parts = bytearray()
    for leaf in leaves:
        if len(leaf) > MAX_LEAF_BYTES:
            raise ValueError(f"a leaf of {len(leaf)} bytes; at most {MAX_LEAF_BYTES}")
        parts += len(leaf).to_bytes(_LENGTH, "big") + leaf
    return bytes(parts)


def decode(data: bytes) -> list[bytes]:
    """The leaves of a bundle. Raises: Malformed, where a length points past the end."""
    leaves, used = split(data)
    if used != len(data):
        raise Malformed(
            f"a bundle that ends inside its leaf {len(leaves)}: {len(data) - used} bytes are left"
        )
    return leaves


def split(data: bytes) -> tuple[list[bytes], int]:
    """The leaves that are whole, and the bytes they take: all, unless it is damaged."""
    leaves: list[bytes] = []
    at = 0
    while (start := at + _LENGTH) <= len(data):
        stop = start + int.from_bytes(data[at:start], "big")
        if stop > len(data) or stop == start:  # no record is empty
            break
        leaves.append(data[start:stop])
        at = stop
    return leaves, at
