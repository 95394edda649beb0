"""State: what the compare-and-set guards: the tree's size, root and right edge, and its last batch.

The state may be ahead of the newest signed checkpoint by exactly that last batch: whoever finds it
so finishes the append (see ``evidence.log``).
"""

from __future__ import annotations

import msgspec

from chalicelib.kernel import canon
from chalicelib.kernel.errors import Malformed
from chalicelib.kernel.merkle import Frontier

VERSION = 1


class Batch(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The last append: its first index, its bundle's SHA-256, the right edge that it grew from."""

    start: int
    sha256: str
    frontier: tuple[str, ...]


class State(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The document ``log/state``; hashes are in hexadecimal."""

    v: int
    origin: str
    size: int
    root: str
    frontier: tuple[str, ...]
    batch: Batch

    def edge(self) -> Frontier:
        """The right edge of the tree, an independent copy."""
        return Frontier(self.size, map(bytes.fromhex, self.frontier))

    def base(self) -> Frontier:
        """The right edge that the last batch grew from."""
        return Frontier(self.batch.start, map(bytes.fromhex, self.batch.frontier))


def state(origin: str, before: Frontier, after: Frontier, sha256: str) -> State:
    """The state that an append of the bundle ``sha256`` leads to."""
    return State(
        VERSION,
        origin,
        after.size,
        after.root().hex(),
        tuple(h.hex() for h in after.hashes),
        Batch(before.size, sha256, tuple(h.hex() for h in before.hashes)),
    )


def encode(value: State) -> bytes:
    """The document's canonical bytes."""
    return canon.encode(msgspec.to_builtins(value))


def decode(data: bytes) -> State:
    """The state of a document. Raises: Malformed, unless it is canonical and agrees with itself."""
    try:
        value = msgspec.convert(canon.decode(data), State)
        edge, base = value.edge(), value.base()
    except (ValueError, msgspec.ValidationError) as error:
        raise Malformed(f"not a log state: {error}") from None
    if value.v != VERSION:
        raise Malformed(f"a log state of version {value.v}; this program reads {VERSION}")
    if edge.root().hex() != value.root or not 0 <= base.size < edge.size:
        raise Malformed("a log state whose size, root and right edge contradict each other")
    return value
