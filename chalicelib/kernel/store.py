"""The storage ports that more than one flow needs; one contract suite runs on every adapter."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


class WriteOnce(Protocol):
    """Objects that are written once and can be neither changed nor removed.

    Keys are ``/``-separated segments of ``[A-Za-z0-9._-]``, no segment starting with a dot,
    at most 512 characters.
    """

    def put(self, key: str, data: bytes) -> None:
        """Store durably, or do nothing if exactly these bytes are there already.

        When this returns, the object survives a crash. Raises: DigestMismatch, if other bytes are
        there; StoreUnavailable, when nothing was stored.
        """
        ...

    def get(self, key: str) -> bytes:
        """The bytes. Raises: Missing; StoreUnavailable."""
        ...

    def list(self, prefix: str) -> Iterator[str]:
        """Keys that start with ``prefix``, in ascending order."""
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
    """Small mutable values under compare-and-set. Values are at most 350,000 bytes."""

    def get(self, key: str) -> Document | None:
        """The current value, or None. Raises: StoreUnavailable."""
        ...

    def swap(self, writes: Sequence[Write]) -> None:
        """All of the writes, durably, or none of them; at most 100.

        A written document's version becomes ``expected + 1``. Raises: Conflict, where any expected
        version is not the current one; StoreUnavailable.
        """
        ...

    def list(self, prefix: str) -> Iterator[tuple[str, Document]]:
        """Documents whose key starts with ``prefix``, in ascending order of keys."""
        ...
