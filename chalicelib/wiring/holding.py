"""Holds and erasures over the services: under their lock, the record first and then the objects."""

from __future__ import annotations

from typing import TYPE_CHECKING, BinaryIO

import msgspec

from chalicelib.drift.audit import references
from chalicelib.evidence import container, erasure, hold, manifest
from chalicelib.evidence.hold import Hold, Packet
from chalicelib.kernel.errors import CouldNotTell, Malformed, NotFound, VerificationFailed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from chalicelib.evidence.erasure import Erasure
    from chalicelib.kernel.record import Actor
    from chalicelib.wiring.services import Services

    Progress = Callable[[str, int, int], None]


class Done(msgspec.Struct, frozen=True):
    """A hold, how many objects it is on, and for how many of them that changed just now."""

    hold: Hold
    objects: int
    changed: int


def read_packet(held: Services, file: BinaryIO) -> Packet:
    """The packet in a file, whose manifest a key of this log signed.

    Raises: Malformed, BadSignature; UsageError, for a packet of another log.
    """
    entries = container.scan(file)
    data, signed = (_entry(file, entries, name) for name in (manifest.MANIFEST, manifest.NOTE))
    found = hold.packet(data, origin=held.keys.origin, size=held.log.size())
    manifest.verify(signed, data, manifest.decode(data), held.keys)
    return found


def _entry(file: BinaryIO, entries: dict[str, container.Entry], name: str) -> bytes:
    if name not in entries:
        raise Malformed(f"not a packet: it has no {name}")
    return container.read(file, entries[name], manifest.MAX_BYTES)


def known_packet(held: Services, sha256: str) -> Packet:
    """The packet of this name, which was held before. Raises: NotFound."""
    for one in hold.fold(held.log).values():
        if one.placed.packet is not None and one.placed.packet.sha256 == sha256:
            return one.placed.packet
    raise NotFound(
        f"no packet {sha256} was held before, and its digest alone does not say what is in it",
        next_step="holdfast evidence hold --packet FILE",
    )


def place(
    held: Services,
    actor: Actor,
    *,
    stream: str | None,
    packet: Packet | None,
    reason: str,
    progress: Progress,
) -> Done:
    """Place a hold, and put it on every object that its records need now.

    Raises: UsageError, NotFound; Busy; CouldNotTell, where it is recorded and not on everything.
    """
    with held.desk.locks.hold(hold.LOCK):
        placed = hold.place(
            held.log, held.desk.clock, stream=stream, packet=packet, reason=reason, actor=actor
        )
        again = "holdfast evidence hold --refresh"
        return _finished(placed, again, lambda: _put_on(held, [placed], progress))


def refresh(held: Services, progress: Progress) -> tuple[int, int, int]:
    """Put the holds in force on what was recorded since: holds, objects, and objects that are new.

    Raises: Busy; Missing; VerificationFailed; StoreUnavailable.
    """
    with held.desk.locks.hold(hold.LOCK):
        holds = hold.effective(held.log)
        objects, added = _put_on(held, holds, progress)
    return len(holds), objects, added


def release(held: Services, actor: Actor, of: Hold, *, reason: str, progress: Progress) -> Done:
    """Release a hold, and every object that no other one is on. One that was released is finished.

    Raises: as :func:`place`.
    """
    with held.desk.locks.hold(hold.LOCK):
        current = hold.find(hold.fold(held.log).values(), of.id)
        hold.release(held.log, held.desk.clock, current, reason=reason, actor=actor)
        again = f"holdfast evidence release {of.id} --reason 'finish'"
        return _finished(current, again, lambda: _take_off(held, current, progress))


def erase(held: Services, actor: Actor, name: str, *, reason: str, progress: Progress) -> Erasure:
    """Destroy the key of a person's values. Raises: as ``erasure.erase``; Busy."""
    with held.desk.locks.hold(hold.LOCK):
        return erasure.erase(
            held.subjects,
            held.log,
            held.desk.clock,
            name,
            actor=actor,
            reason=reason,
            progress=lambda done, total: progress("records", done, total),
        )


def _put_on(held: Services, holds: list[Hold], progress: Progress) -> tuple[int, int]:
    keys = _objects(held, holds, progress)
    added = hold.put_on(held.desk.objects, keys, _named(progress, "objects"))
    return len(keys), added


def _take_off(held: Services, released: Hold, progress: Progress) -> tuple[int, int]:
    kept = _objects(held, hold.effective(held.log), progress)
    keys = _objects(held, [released], progress) - kept
    return len(keys), hold.take_off(held.desk.objects, keys, _named(progress, "objects"))


def _objects(held: Services, holds: Iterable[Hold], progress: Progress) -> set[str]:
    return hold.objects(
        held.log, held.desk.objects, list(holds), references, _named(progress, "records")
    )


def _named(progress: Progress, what: str) -> Callable[[int, int], None]:
    return lambda done, total: progress(what, done, total)


def _finished(of: Hold, again: str, work: Callable[[], tuple[int, int]]) -> Done:
    """What came of a hold's work on the objects, after it was recorded.

    Raises: CouldNotTell, where it stopped: what is recorded is recorded, and can be finished.
    """
    try:
        objects, changed = work()
    except (CouldNotTell, VerificationFailed) as error:
        raise type(error)(
            f"{of.id[:14]} on {of.what} is recorded, and not all objects were dealt with: "
            f"{error.message}",
            next_step=f"{again}, once that is mended",
        ) from error
    return Done(of, objects, changed)
