"""State: what the compare-and-set guards: the tree's size, root and right edge, and its last batch.

It names the key that signs what follows on it, so that a change of key is one compare-and-set too.
The state may be ahead of the newest signed checkpoint by exactly that last batch: whoever finds it
so finishes the append (see ``evidence.log``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from chalicelib.kernel import canon
from chalicelib.kernel.errors import Fork, Malformed
from chalicelib.kernel.merkle import Frontier

if TYPE_CHECKING:
    from chalicelib.evidence.note import SignedCheckpoint, Verifier

VERSION = 2
WITHOUT_KEY = 1  # the version before keys could be changed; still read, no longer written


class Batch(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The last append: its first index, its bundle's SHA-256, the right edge that it grew from."""

    start: int
    sha256: str
    frontier: tuple[str, ...]


class State(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """The document ``log/state``; hashes are in hexadecimal.

    ``key``: the vkey that signs next; absent in version 1.
    """

    v: int
    origin: str
    size: int
    root: str
    frontier: tuple[str, ...]
    batch: Batch
    key: str = ""

    def edge(self) -> Frontier:
        """The right edge of the tree, an independent copy."""
        return Frontier(self.size, map(bytes.fromhex, self.frontier))

    def base(self) -> Frontier:
        """The right edge that the last batch grew from."""
        return Frontier(self.batch.start, map(bytes.fromhex, self.batch.frontier))


def state(key: Verifier, before: Frontier, after: Frontier, sha256: str) -> State:
    """The state that an append of the bundle ``sha256`` by ``key`` leads to."""
    return State(
        VERSION,
        key.name,
        after.size,
        after.root().hex(),
        tuple(h.hex() for h in after.hashes),
        Batch(before.size, sha256, tuple(h.hex() for h in before.hashes)),
        str(key),
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
    if value.v not in {WITHOUT_KEY, VERSION}:
        raise Malformed(
            f"a log state of version {value.v}; this program reads {WITHOUT_KEY} and {VERSION}"
        )
    if encode(value) != data or bool(value.key) != (value.v == VERSION):
        raise Malformed(f"a log state of version {value.v} has a key from version {VERSION} on")
    if value.key and not value.key.startswith(f"{value.origin}+"):
        raise Malformed("a log state whose key is of another log")
    if edge.root().hex() != value.root or not 0 <= base.size < edge.size:
        raise Malformed("a log state whose size, root and right edge contradict each other")
    return value


def agree(current: State, signed: SignedCheckpoint) -> None:
    """Return if the state holds the root that was signed, at its size or before its last batch.

    Raises: Fork.
    """
    edge = current.edge() if signed.size == current.size else current.base()
    if edge.root() != signed.root:
        raise Fork(
            f"two roots for {signed.size} leaves: the state has {edge.root().hex()}, "
            f"the signed checkpoint has {signed.root.hex()}",
            ours=encode(current),
            theirs=signed.note,
            next_step="stop all writers and keep both; one of the two histories is not the log's",
        )


def behind(size: int, ours: bytes, theirs: SignedCheckpoint) -> Fork:
    """The state knows fewer leaves than were signed for: rolled back, or another log's."""
    return Fork(
        f"the state knows {size} leaves, but a checkpoint of {theirs.size} was signed",
        ours=ours,
        theirs=theirs.note,
        next_step="stop all writers, keep both, and restore the state that the checkpoint proves",
    )
