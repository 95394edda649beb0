"""The record: one canonical JSON leaf of the evidence log, and the journal port that takes it.

The four flows meet here and nowhere else.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import msgspec

from chalicelib.kernel import canon
from chalicelib.kernel.errors import Malformed

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

VERSION = 1
MAX_LEAF_BYTES = 65_535  # C2SP tlog-tiles: entry bundles carry a uint16 length


class Actor(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Who did it, and how we know: via ``os``, ``asserted``, ``iam``, ``oidc`` or ``schedule``."""

    name: str
    via: str


class Draft(msgspec.Struct, frozen=True):
    """A record before the log gave it a place in its stream. ``at`` as in kernel.clock."""

    kind: str
    stream: str
    at: str
    actor: Actor
    body: dict[str, Any]


class BodyRef(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where a body too large for a leaf is: ``body/sha256/<digest>`` in the write-once store."""

    sha256: str
    size_bytes: int


class Record(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """One leaf. One of ``body`` and ``body_ref`` is there; ``seq`` counts its stream from 1."""

    v: int
    kind: str
    stream: str
    seq: int
    at: str
    actor: Actor
    tool: str
    body: dict[str, Any] | None = None
    body_ref: BodyRef | None = None


class Entry(msgspec.Struct, frozen=True):
    """A record at its place in the log, with its body wherever that was kept.

    ``index`` counts the log from 0; ``leaf`` holds the stored bytes.
    """

    index: int
    leaf: bytes
    record: Record
    body: dict[str, Any]


class Last(NamedTuple):
    """The last record of a stream: its seq, and its leaf's hash in hexadecimal."""

    seq: int
    leaf: str


class Journal(Protocol):
    """The evidence log as the other flows see it."""

    def append(
        self, drafts: Sequence[Draft], *, after: Mapping[str, int] | None = None
    ) -> list[Entry]:
        """Put the drafts into the log, in this order and all of them.

        When it returns they are durable and under a signed checkpoint. ``after``: for streams, the
        seq of the record that the drafts were written after (0: none). Raises: Conflict, where
        such a stream has gone on since, and nothing was recorded; StoreUnavailable, Fork,
        KeyUnusable: then the caller must not report anything as recorded.
        """
        ...

    def recover(self) -> object:
        """Finish an append that crashed, so that what it recorded is seen. Raises: as append."""
        ...

    def size(self) -> int:
        """The number of records under a signed checkpoint."""
        ...

    def last(self, stream: str) -> Last | None:
        """The end of a stream; the record there may not be under a signed checkpoint yet."""
        ...

    def stream(self, name: str, start: int = 1, near: int = 0) -> Iterator[Entry]:
        """A stream's records from seq ``start`` on, verified against the log's hashes.

        ``near``: an index of the log at or before the first of them, if one is known. Raises:
        VerificationFailed; StoreUnavailable.
        """
        ...

    def read(self, start: int = 0, stop: int | None = None) -> Iterator[Entry]:
        """Records ``start`` ≤ index < ``stop``, verified against the log's hashes.

        Raises: VerificationFailed; StoreUnavailable.
        """
        ...


_SHORTCUT = canon.Shortcut(Record)


def encode(record: Record) -> bytes:
    """The leaf's canonical bytes. Raises: ValueError, for a body that JSON cannot hold exactly."""
    return _SHORTCUT.encode(record) or canon.encode(msgspec.to_builtins(record))


def decode(leaf: bytes) -> Record:
    """The record of a leaf. Raises: Malformed, on unknown versions or fields, or other bytes."""
    record = _SHORTCUT.decode(leaf) or _converted(leaf)
    if record.v != VERSION:
        raise Malformed(f"a record of version {record.v}; this program reads version {VERSION}")
    if (record.body is None) == (record.body_ref is None):
        raise Malformed("a record has either a body or a reference to one")
    if record.seq < 1:
        raise Malformed(f"a record's seq starts at 1, found {record.seq}")
    return record


def _converted(leaf: bytes) -> Record:
    value = canon.decode(leaf)
    try:
        record = msgspec.convert(value, Record)
    except msgspec.ValidationError as error:
        raise Malformed(f"not a record: {error}") from None
    if msgspec.to_builtins(record) != value:
        raise Malformed("a record with a field that says nothing; it has to be left out")
    return record


def entry_at(journal: Journal, index: int) -> Entry:
    """The one record at ``index``. Raises: NotFound, VerificationFailed, as Journal.read."""
    return next(iter(journal.read(index, index + 1)))
