"""Holds: what must not go, however old it is, and whose values must not be erased.

A hold is on a stream or on a packet, has a reason, and ends when somebody releases it. Both are
records in the stream ``log``; which holds are in force is a fold over them. A hold is recorded
first and put on the objects afterwards, and taken off in the same order, so a crash leaves a record
whose work is finished by doing it again. Whoever holds, releases or erases has the lock LOCK.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from chalicelib.evidence import anchor, layout
from chalicelib.kernel import canon
from chalicelib.kernel.clock import timestamp
from chalicelib.kernel.errors import Conflict, Malformed, Missing, NotAllowed, NotFound, UsageError
from chalicelib.kernel.record import Actor, Draft

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from chalicelib.kernel.clock import Clock
    from chalicelib.kernel.record import Entry, Journal
    from chalicelib.kernel.store import WriteOnce

    Progress = Callable[[int, int], None]

STREAM: Final = "log"
SCHEDULE: Final = "schedule"  # with STREAM, in every packet; docs/formats/packet.md
PLACED: Final = "hold.placed"
RELEASED: Final = "hold.released"
LOCK: Final = "evidence/holds"

ID_DIGITS: Final = 32  # as of findings
MIN_PREFIX: Final = 6  # of a hold's id, "H-" counted
MIN_REASON_CHARACTERS: Final = 3
MAX_REASON_CHARACTERS: Final = 2_000
MAX_ATTEMPTS: Final = 20  # appends lost in a row to others
MAX_MANIFEST_BYTES: Final = 16 * 2**20  # docs/formats/packet.md


def _quiet(_done: int, _total: int) -> None:
    """Progress that nobody watches."""


class _Range(msgspec.Struct, frozen=True):
    first: int
    last: int


class _Filter(msgspec.Struct, frozen=True):
    targets: list[str]


class _Manifest(msgspec.Struct, frozen=True):
    """A packet's manifest, as far as a hold needs it."""

    origin: str
    range: _Range
    filter: _Filter


class Packet(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A packet by the SHA-256 of its manifest; its range first ≤ index < last; no streams: all."""

    sha256: str
    first: int
    last: int
    streams: list[str]


class Placed(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The body of ``hold.placed``: one of ``stream`` and ``packet``."""

    hold: str
    stream: str | None
    packet: Packet | None
    reason: str


class Released(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The body of ``hold.released``."""

    hold: str
    reason: str


class Hold(msgspec.Struct, frozen=True):
    """A hold, with who placed it and where that is recorded."""

    placed: Placed
    by: Actor
    at: str
    index: int
    released: bool = False

    @property
    def id(self) -> str:
        """Its name."""
        return self.placed.hold

    @property
    def what(self) -> str:
        """What it is on, for people."""
        packet = self.placed.packet
        if packet is None:
            return f"stream {self.placed.stream}"
        return f"packet {packet.sha256}, records {packet.first} to {packet.last - 1}"

    def covers(self, stream: str, index: int) -> bool:
        """Whether it is on a record of the stream at this place of the log."""
        packet = self.placed.packet
        if packet is None:
            return stream == self.placed.stream
        chosen = not packet.streams or stream in {*packet.streams, STREAM, SCHEDULE}
        return chosen and packet.first <= index < packet.last

    def needs(self, stream: str, index: int) -> bool:
        """Whether the leaf of that record has to stay: a packet has the hashes of its range."""
        packet = self.placed.packet
        if packet is None:
            return stream == self.placed.stream
        return packet.first <= index < packet.last


def fold(journal: Journal) -> dict[str, Hold]:
    """Every hold there was, by its id, in order. Raises: Malformed; VerificationFailed."""
    holds: dict[str, Hold] = {}
    for entry in journal.stream(STREAM):
        kind = entry.record.kind
        if kind not in {PLACED, RELEASED}:
            continue
        try:
            if kind == PLACED:
                body = msgspec.convert(entry.body, Placed)
                holds[body.hold] = Hold(body, entry.record.actor, entry.record.at, entry.index)
            else:
                of = msgspec.convert(entry.body, Released).hold
                holds[of] = msgspec.structs.replace(holds[of], released=True)
        except (msgspec.ValidationError, KeyError) as error:
            raise Malformed(f"record {entry.index} is not a {kind}: {error}") from None
    return holds


def effective(journal: Journal) -> list[Hold]:
    """The holds in force. Raises: as :func:`fold`."""
    return [one for one in fold(journal).values() if not one.released]


def packet(manifest: bytes, *, origin: str, size: int) -> Packet:
    """The packet of a manifest, which must be of this log of ``size`` records.

    Raises: Malformed; UsageError, for a packet of another log, or of records that it does not have.
    """
    if len(manifest) > MAX_MANIFEST_BYTES:
        raise Malformed(f"a manifest has at most {MAX_MANIFEST_BYTES} bytes")
    try:
        found = msgspec.convert(canon.decode(manifest), _Manifest)
    except msgspec.ValidationError as error:
        raise Malformed(f"not a packet's manifest: {error}") from None
    if found.origin != origin:
        raise UsageError(
            f"the packet is of another log: expected {origin!r}, observed {found.origin[:300]!r}"
        )
    first, last = found.range.first, found.range.last
    if not 0 <= first < last <= size:
        raise UsageError(f"the packet has records {first} up to {last}, and the log has {size}")
    return Packet(canon.sha256(manifest), first, last, sorted(set(found.filter.targets)))


def place(
    journal: Journal,
    clock: Clock,
    *,
    stream: str | None = None,
    packet: Packet | None = None,
    reason: str,
    actor: Actor,
) -> Hold:
    """Record a hold on a stream or a packet; the caller has LOCK, and then holds the objects.

    Raises: UsageError; NotFound, for a stream without records; as Journal.append.
    """
    text = check_reason(reason)
    if (stream is None) == (packet is None):
        raise UsageError("a hold is on a stream, or on a packet")
    if stream is not None and journal.last(stream) is None:
        raise NotFound(
            f"the log has no stream {stream[:80]!r}", next_step="holdfast evidence ls names them"
        )
    at = timestamp(clock.now())
    about = stream if packet is None else packet.sha256
    digest = canon.sha256(canon.encode([stream is None, about, at, actor.name, text]))
    body = Placed("H-" + digest[:ID_DIGITS], stream, packet, text)
    entry = _append(journal, Draft(PLACED, STREAM, at, actor, msgspec.to_builtins(body)))
    return Hold(body, actor, at, entry.index)


def release(
    journal: Journal, clock: Clock, held: Hold, *, reason: str, actor: Actor
) -> Entry | None:
    """Record that a hold is released; None, where it was already. The caller has LOCK.

    Raises: UsageError; as Journal.append.
    """
    text = check_reason(reason)
    if held.released:
        return None
    body = msgspec.to_builtins(Released(held.id, text))
    return _append(journal, Draft(RELEASED, STREAM, timestamp(clock.now()), actor, body))


def find(holds: Iterable[Hold], name: str) -> Hold:
    """The hold whose id is this, or begins so. Raises: NotFound."""
    found = [one for one in holds if one.id.startswith(name) and len(name) >= MIN_PREFIX]
    if len(found) == 1:
        return found[0]
    if found:
        raise NotFound(f"{name[:80]!r} is the beginning of {len(found)} holds")
    raise NotFound(f"no hold {name[:80]!r}", next_step="holdfast evidence holds --all")


def refuse(holds: Iterable[Hold], what: str) -> None:
    """Return if there is none of these holds. Raises: NotAllowed, naming the first."""
    for one in holds:
        raise NotAllowed(
            f"{what}: {one.id[:14]} on {one.what} was placed by {one.by.name} on {one.at[:10]} "
            f"({one.placed.reason})",
            next_step=f"whoever decides about it: holdfast evidence release {one.id[:14]}",
        )


def check_reason(text: str) -> str:
    """The reason as it is recorded. Raises: UsageError."""
    reason = text.strip()
    if not MIN_REASON_CHARACTERS <= len(reason) <= MAX_REASON_CHARACTERS:
        raise UsageError(
            f"a reason has {MIN_REASON_CHARACTERS} to {MAX_REASON_CHARACTERS} characters, "
            f"found {len(reason)}"
        )
    return reason


def objects(
    journal: Journal,
    store: WriteOnce,
    holds: Sequence[Hold],
    refers: Callable[[Entry], Iterable[str]],
    progress: Callable[[int, int], None] = lambda _done, _total: None,
) -> set[str]:
    """Keys of all write-once objects that the holds' records need, as of now.

    The batches of the records and, around each, the checkpoints that prove it, with every anchor of
    those; bodies kept apart; what ``refers`` says of a record; and each change of the log's key.
    Raises: VerificationFailed, where the log itself is not what was signed.
    """
    size = journal.size()
    packets = [one.placed.packet for one in holds]
    first = min((0 if one is None else one.first for one in packets), default=size)
    last = max((size if one is None else one.last for one in packets), default=size)
    keys: set[str] = set()
    batches: set[int] = set()
    starts = _starts(store)
    start, following = 0, next(starts, size)
    for entry in journal.read(first, min(last, size)):
        while following <= entry.index:
            start, following = following, next(starts, size)
        progress(entry.index - first, last - first)
        of = (entry.record.stream, entry.index)
        if any(one.needs(*of) for one in holds):
            batches.update((start, following))
            keys.add(layout.batch(start))
        if any(one.covers(*of) for one in holds):
            keys.update(refers(entry))
            if entry.record.body_ref is not None:
                keys.add(layout.body(entry.record.body_ref.sha256))
    keys.update(layout.checkpoint(edge) for edge in batches if edge)
    if keys:
        keys.update(store.list(layout.HANDOVERS))
        keys.update(_anchors(store, batches))
    return keys


def put_on(store: WriteOnce, keys: Iterable[str], progress: Progress = _quiet) -> int:
    """Hold the objects; how many were not held before. Raises: Missing, after all the others."""
    return _changed(store, keys, store.hold, held=False, progress=progress)


def take_off(store: WriteOnce, keys: Iterable[str], progress: Progress = _quiet) -> int:
    """Release the objects; how many were held. Raises: Missing, after all the others."""
    return _changed(store, keys, store.release, held=True, progress=progress)


def _changed(
    store: WriteOnce,
    keys: Iterable[str],
    change: Callable[[str], None],
    *,
    held: bool,
    progress: Progress,
) -> int:
    """How many objects were held, or not, and were changed."""
    wanted, changed, gone = sorted(keys), 0, []
    for done, key in enumerate(wanted, 1):
        try:
            if store.held(key) is held:
                change(key)
                changed += 1
        except Missing:
            gone.append(key)
        progress(done, len(wanted))
    _complain(gone)
    return changed


def _complain(gone: list[str]) -> None:
    if gone:
        raise Missing(
            f"{len(gone)} of the objects that the log's records need are not there, the first "
            f"{gone[0]}; all others were dealt with",
            next_step="holdfast evidence fsck names what is missing; restore it from a copy",
        )


def _append(journal: Journal, draft: Draft) -> Entry:
    """One record after the last of the stream, so that a fold over it is not out of date."""
    for _ in range(MAX_ATTEMPTS):
        last = journal.last(STREAM)
        try:
            return journal.append([draft], after={STREAM: last.seq if last else 0})[0]
        except Conflict:
            continue  # the lock keeps other holds away: what came between is of another kind
    raise Conflict("the log's own stream goes on too fast; nothing was recorded")


def _starts(store: WriteOnce) -> Iterator[int]:
    """Where the batches after the first one start, ascending."""
    for key in store.list(layout.BATCHES):
        start = layout.number(key, layout.BATCHES)
        if start:
            yield start


def _anchors(store: WriteOnce, sizes: set[int]) -> Iterator[str]:
    """The cosignatures and timestamps of checkpoints of these sizes."""
    for prefix in (anchor.COSIGNATURES, anchor.TIMESTAMPS):
        for key in store.list(prefix):
            found = anchor.place(key)
            if found is not None and found.size in sizes:
                yield key
