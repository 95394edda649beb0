"""Receivers: whoever is told of requests and leases, each at its own pace. Pure.

1. A receiver has a cursor: for each target's stream the last record that it was told of. A new
   receiver begins with what is recorded from then on; a new target, with its first record.
2. It is told one record after the other, in the order of each stream, and the cursor is kept after
   it has taken them: so it may be told twice, and is never not told.
3. What it does not take now is tried again, after pauses that grow to an hour; nobody else waits.
4. What it refuses for good, and what it has not taken after MAX_ATTEMPTS, is given up for this
   receiver, and that is said: one record does not keep all others from it.

The log has the records; what a cursor says is no evidence, and a lost one loses no record.
"""

from __future__ import annotations

import hashlib
from datetime import timedelta
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

import msgspec

from chalicelib.access import notice
from chalicelib.kernel import canon
from chalicelib.kernel.clock import parse_timestamp, timestamp
from chalicelib.kernel.errors import Conflict, CouldNotTell, HoldfastError, UsageError
from chalicelib.kernel.store import Document, Write

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from datetime import datetime

    from chalicelib.access.notice import Notice, Reveal
    from chalicelib.kernel.clock import Clock
    from chalicelib.kernel.record import Entry, Journal
    from chalicelib.kernel.store import Documents

FIRST_PAUSE_SECONDS: Final = 10
LAST_PAUSE_SECONDS: Final = 3_600
MAX_ATTEMPTS: Final = 30  # of one record: about a day, with the pauses between them
MAX_RECORDS: Final = 500  # told to one receiver in one go
KEEP_EVERY: Final = 20  # records after which the cursor is kept, at the latest
KEYS: Final = "notice/"


class Receiver(Protocol):
    """Somebody who is told."""

    @property
    def name(self) -> str:
        """What it is called in messages, and its cursor by; it says no secret."""
        ...

    @property
    def kinds(self) -> frozenset[str]:
        """Kinds of records that it is told of, or their beginnings up to a dot; none: all."""
        ...

    def tell(self, one: Notice) -> None:
        """It has taken the notice when this returns.

        Raises: CouldNotTell: later, perhaps; UsageError: this one, never.
        """
        ...


class Books(NamedTuple):
    """What notices are made from. ``targets``: full names, by their access streams.

    ``log``: its name. ``reveal``: as of ``access.desk.Desk``.
    """

    journal: Journal
    documents: Documents
    clock: Clock
    log: str
    targets: Mapping[str, str]
    reveal: Reveal


class Told(NamedTuple):
    """What one receiver was told. ``given_up``: ids of notices that it will not be told.

    ``error``: the first thing that it did not take; ``waits_until``: when it is tried again.
    """

    receiver: str
    told: int = 0
    given_up: tuple[str, ...] = ()
    error: HoldfastError | None = None
    waits_until: str = ""


class _Place(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The last record of a stream that was told, and its place in the log."""

    seq: int = 0
    index: int = 0


class _Cursor(msgspec.Struct, forbid_unknown_fields=True):
    """How far a receiver is. ``failures`` in a row; ``attempts`` at the record that is next."""

    streams: dict[str, _Place]
    failures: int = 0
    attempts: int = 0
    waits_until: str = ""
    v: int = 1


def tell_all(
    receivers: Sequence[Receiver],
    books: Books,
    run: Callable[[Callable[[Receiver], Told], Sequence[Receiver]], Iterable[Told]] = map,
) -> list[Told]:
    """What each was told. ``run``: how; a pool's ``map`` tells them at once, and none waits."""
    return list(run(lambda one: tell(one, books), receivers))


def tell(receiver: Receiver, books: Books) -> Told:
    """Tell a receiver what it was not told yet, as far as it takes it. Errors of ours are told."""
    try:
        return _tell(receiver, books)
    except HoldfastError as error:
        return Told(receiver.name, error=error)


def pause_seconds(failures: int) -> int:
    """How long a receiver is left alone that has failed so often in a row."""
    return min(LAST_PAUSE_SECONDS, FIRST_PAUSE_SECONDS << min(max(failures, 1) - 1, 20))


def _tell(receiver: Receiver, books: Books) -> Told:
    key = KEYS + hashlib.sha256(receiver.name.encode()).hexdigest()
    kept = books.documents.get(key)
    cursor = _cursor(kept)
    if cursor is None:
        _keep(books, key, kept, _new(books))
        return Told(receiver.name)
    now = books.clock.now()
    if cursor.waits_until > timestamp(now):
        return Told(receiver.name, waits_until=cursor.waits_until)
    told = 0
    given_up: list[str] = []
    refused: HoldfastError | None = None
    for number, (stream, entry) in enumerate(_entries(books, cursor), 1):
        made = notice.notice(entry, books.targets[stream], books.log, books.reveal)
        error = None
        if made is not None and _wanted(receiver.kinds, made.kind):
            error = _given(receiver, cursor, made, now)
            refused = refused or error
            if error is None:
                told += 1
            elif isinstance(error, UsageError) or cursor.attempts >= MAX_ATTEMPTS:
                given_up.append(made.id)
            else:
                break
        cursor.attempts = 0
        cursor.streams[stream] = _Place(entry.record.seq, entry.index)
        if number >= MAX_RECORDS or isinstance(error, CouldNotTell):
            break
        if number % KEEP_EVERY == 0:
            kept = _keep(books, key, kept, cursor)
    _keep(books, key, kept, cursor)
    return Told(receiver.name, told, tuple(given_up), refused, cursor.waits_until)


def _given(
    receiver: Receiver, cursor: _Cursor, made: Notice, now: datetime
) -> HoldfastError | None:
    """Why the receiver did not take it, with the pause that follows; None where it did."""
    try:
        receiver.tell(made)
    except UsageError as error:
        return error
    except CouldNotTell as error:
        cursor.failures += 1
        cursor.attempts += 1
        cursor.waits_until = timestamp(now + timedelta(seconds=pause_seconds(cursor.failures)))
        return error
    cursor.failures, cursor.waits_until = 0, ""
    return None


def _entries(books: Books, cursor: _Cursor) -> Iterator[tuple[str, Entry]]:
    """Records that the receiver was not told of, each stream's in order."""
    for stream in sorted(books.targets):
        place = cursor.streams.get(stream, _Place())
        last = books.journal.last(stream)
        if last is not None and last.seq > place.seq:
            for entry in books.journal.stream(stream, place.seq + 1, place.index):
                yield stream, entry


def _new(books: Books) -> _Cursor:
    """The cursor of a receiver that is told what comes, and not what was."""
    found, size = _Cursor({}), books.journal.size()  # what comes after is at no lower index
    for stream in books.targets:
        last = books.journal.last(stream)
        found.streams[stream] = _Place(0 if last is None else last.seq, size)
    return found


def _cursor(kept: Document | None) -> _Cursor | None:
    """The cursor, or None where there is none that can be read: then it begins anew."""
    if kept is None:
        return None
    try:
        found = msgspec.json.decode(kept.value, type=_Cursor)
        if found.waits_until:
            parse_timestamp(found.waits_until)
    except (msgspec.MsgspecError, HoldfastError):
        return None
    return found


def _keep(books: Books, key: str, kept: Document | None, cursor: _Cursor) -> Document:
    """The document as it is now. Raises: Conflict, where somebody else tells this receiver."""
    version = 0 if kept is None else kept.version
    value = canon.encode(msgspec.to_builtins(cursor))
    if kept is not None and kept.value == value:
        return kept
    try:
        books.documents.swap([Write(key, version, value)])
    except Conflict:
        raise Conflict(
            "somebody else is telling this receiver; it may be told twice",
            next_step="nothing: whoever was first goes on",
        ) from None
    return Document(version + 1, value)


def _wanted(kinds: frozenset[str], kind: str) -> bool:
    return not kinds or kind in kinds or kind.partition(".")[0] in kinds
