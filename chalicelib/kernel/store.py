"""The storage ports that more than one flow needs; one contract suite runs on every adapter."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, Protocol

import msgspec

from chalicelib.kernel.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

MAX_KEY_CHARACTERS: Final = 512
MAX_SEGMENT_CHARACTERS: Final = 200  # below NAME_MAX (255) on every common file system
MAX_OBJECT_BYTES: Final = 2**30  # read in one piece; the largest kind of object is a snapshot
MAX_KEEP_DAYS: Final = 36_500  # S3, "Object Lock": at most 100 years

# DynamoDB, "Constraints": an item has at most 400 KB, a sort key 1,024 bytes, a transaction 100
# writes and 4 MB with the names and keys of its items.
MAX_DOCUMENT_KEY_BYTES: Final = 1_024
MAX_VALUE_BYTES: Final = 350_000
MAX_WRITES: Final = 100
MAX_SWAP_BYTES: Final = 3_500_000  # the values of one swap together

_SEGMENT = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]*")


class WriteOnce(Protocol):
    """Objects that are written once and can be neither changed nor removed.

    Keys as in :func:`check_key`. Objects have at most MAX_OBJECT_BYTES. An object can be removed
    once its days are over and nobody holds it; nothing here ever removes one.
    """

    def put(self, key: str, data: bytes, *, keep_days: int = 0) -> None:
        """Store durably, or leave it be if exactly these bytes are there already.

        It is locked for at least ``keep_days`` from now, up to MAX_KEEP_DAYS, also where it was
        there; 0: for as long as the store itself says. When this returns, the object survives a
        crash. Raises: DigestMismatch, if other bytes are there; StoreUnavailable, when nothing was
        stored, or not for so long.
        """
        ...

    def get(self, key: str) -> bytes:
        """The bytes. Raises: Missing; StoreUnavailable."""
        ...

    def list(self, prefix: str) -> Iterator[str]:
        """Keys that start with ``prefix``, in ascending order."""
        ...

    def hold(self, key: str) -> None:
        """Keep the object from being removed until it is released, however old it is.

        Durable when this returns; again is fine. Raises: Missing; StoreUnavailable.
        """
        ...

    def release(self, key: str) -> None:
        """Take the hold off, if there is one; retention goes on. Raises: as :meth:`hold`."""
        ...

    def held(self, key: str) -> bool:
        """Whether somebody holds the object. Raises: as :meth:`hold`."""
        ...


class Derived(Protocol):
    """Objects that can be made again from others: tiles, the latest checkpoint, staged batches."""

    def put(self, key: str, data: bytes) -> None:
        """Store durably, atomically replacing what was there. Raises: StoreUnavailable."""
        ...

    def get(self, key: str) -> bytes | None:
        """The bytes, or None. Raises: StoreUnavailable."""
        ...

    def delete(self, key: str) -> None:
        """Remove, if it is there. Raises: StoreUnavailable."""
        ...

    def list(self, prefix: str) -> Iterator[str]:
        """Keys that start with ``prefix``, in ascending order."""
        ...


class Document(msgspec.Struct, frozen=True):
    """A small mutable value and the version that a compare-and-set must name."""

    version: int
    value: bytes


class Write(msgspec.Struct, frozen=True):
    """One write of a compare-and-set. ``expected``: the version to replace; 0: there is none."""

    key: str
    expected: int
    value: bytes


class Documents(Protocol):
    """Small mutable values under compare-and-set.

    Keys are text of 1 to 1,024 bytes in UTF-8, values at most 350,000 bytes.
    """

    def get(self, key: str) -> Document | None:
        """The current value, or None. Raises: StoreUnavailable."""
        ...

    def swap(self, writes: Sequence[Write]) -> None:
        """All of the writes, durably, or none of them; at most 100, and 3.5 MB of values.

        A written document's version becomes ``expected + 1``. Raises: Conflict, where any expected
        version is not the current one; StoreUnavailable: then it is not known whether they were
        made; ValueError, past the bounds (see :func:`check_writes`).
        """
        ...

    def list(self, prefix: str) -> Iterator[tuple[str, Document]]:
        """Documents whose key starts with ``prefix``, in ascending order of keys."""
        ...

    def purge(self) -> None:
        """Leave nothing of the values that were replaced, as far as the store can see to it.

        What it cannot reach, an adapter says. Raises: Busy, where a reader keeps it from that;
        StoreUnavailable.
        """
        ...


def check_key(key: str) -> list[str]:
    """The segments of a key of write-once or derived objects.

    Segments are of ``[A-Za-z0-9._-]``, at most 200 characters, none starting with a dot, and joined
    by ``/``; a key has at most 512 characters. Raises: UsageError, for what could name no object.
    """
    segments = key.split("/")
    if len(key) > MAX_KEY_CHARACTERS or not all(
        len(segment) <= MAX_SEGMENT_CHARACTERS and _SEGMENT.fullmatch(segment)
        for segment in segments
    ):
        raise UsageError(
            f"not a storage key: {key[:80]!r}; expected segments of letters, digits, '.', '_', '-'"
        )
    return segments


def check_days(keep_days: int) -> None:
    """Return if an object can be locked for so long. Raises: ValueError."""
    if not 0 <= keep_days <= MAX_KEEP_DAYS:
        raise ValueError(f"an object is locked for 0 to {MAX_KEEP_DAYS} days, found {keep_days}")


def check_writes(writes: Sequence[Write]) -> None:
    """Return if these writes can be one swap. Raises: ValueError, past a bound of Documents."""
    if len(writes) > MAX_WRITES or len({write.key for write in writes}) != len(writes):
        raise ValueError(f"a swap writes at most {MAX_WRITES} documents, each once")
    if any(len(write.value) > MAX_VALUE_BYTES or write.expected < 0 for write in writes):
        raise ValueError(f"a document has at most {MAX_VALUE_BYTES} bytes and a version from 1")
    if sum(len(write.value) for write in writes) > MAX_SWAP_BYTES:
        raise ValueError(f"the values of a swap are at most {MAX_SWAP_BYTES} bytes together")
    if not all(0 < len(write.key.encode()) <= MAX_DOCUMENT_KEY_BYTES for write in writes):
        raise ValueError(f"a document's key has at most {MAX_DOCUMENT_KEY_BYTES} bytes, and one")
