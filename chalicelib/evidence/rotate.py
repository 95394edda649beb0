"""Rotate: the log's key is changed for another, by whoever can sign with both.

1. *Announce.* Append the record ``log.rotated``, which names the new key, under the old one.
2. *Swap.* In one compare-and-set, name the new key in the log's state as the one that signs next.
   S is the size of the log at that moment: whatever was appended before it is the old key's.
3. *Hand over.* Lock the checkpoint of S a second time, signed by both keys.

Before 2 the old key goes on as if nothing had happened; after it the old key can append nothing,
and whoever does this again, with the same new key, finishes it. Nothing is signed for a size beyond
S before 2, and by the old key nothing after it, so no size ever has two roots.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from chalicelib.evidence import note
from chalicelib.evidence.note import Verifier
from chalicelib.kernel.errors import Conflict, Malformed
from chalicelib.kernel.record import Draft

if TYPE_CHECKING:
    from chalicelib.evidence.log import Log
    from chalicelib.kernel.record import Actor, Record
    from chalicelib.kernel.signing import Signer

STREAM: Final = "log"
ROTATED: Final = "log.rotated"
MAX_ATTEMPTS: Final = 100  # swaps lost in a row to appends before a rotation gives up
NEAR: Final = 16  # the newest records of the stream among which an announcement is looked for


class Body(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The body of ``log.rotated``: the vkeys of both keys, and why."""

    key: str
    former: str
    reason: str


class Announced(msgspec.Struct, frozen=True):
    """What a record says: that ``key`` is to follow on ``former``."""

    former: Verifier
    key: Verifier


class Rotation(msgspec.Struct, frozen=True):
    """A change of key that is done: ``former`` signed up to ``size``, ``key`` signs from it on."""

    size: int
    former: Verifier
    key: Verifier


def announced(one: Record) -> Announced | None:
    """What a record announces; None, where it is of another kind, or says nothing that can be."""
    if (one.stream, one.kind) != (STREAM, ROTATED):
        return None
    try:
        body = msgspec.convert(one.body, Body)
        former, key = note.parse_vkey(body.former), note.parse_vkey(body.key)
    except (msgspec.ValidationError, Malformed):
        return None
    return Announced(former, key) if former.name == key.name else None


def pending(log: Log) -> Announced | None:
    """The newest announcement about the log's own key, which nothing has followed on yet."""
    last = log.last(STREAM)
    found = None
    if last is not None:
        for entry in log.stream(STREAM, max(1, last.seq - NEAR + 1)):
            found = announced(entry.record) or found
    return found if found is not None and found.former == log.verifier else None


def rotate(log: Log, successor: Signer, *, actor: Actor, at: str, reason: str) -> Rotation:
    """The change of the log's key for ``successor``'s, made or finished.

    ``log`` has the settings and the key from before. ``at`` as in kernel.clock. Raises: Malformed,
    for a key that the log has or had; KeyUnusable, where it was changed for another one meanwhile;
    BadSignature, where somebody else wrote what marks the change; Conflict; and as Log.append.
    """
    former = log.verifier
    key = note.verifier(former.name, successor.public)
    log.keys.changed(log.keys.keys[-1].first + 1, key)  # a key that cannot follow stops it here
    for _ in range(MAX_ATTEMPTS):
        size = log.passed_on(key)
        if size is None:
            if pending(log) != Announced(former, key):  # step 1
                body = msgspec.to_builtins(Body(str(key), str(former), reason))
                log.append([Draft(ROTATED, STREAM, at, actor, body)])
            log.recover()
            try:
                size = log.pass_on(key)  # step 2
            except Conflict:
                continue  # an append came between, or the answer was lost: look again
        log.hand_over(size, former, successor)  # step 3
        return Rotation(size, former, key)
    raise Conflict(
        f"lost {MAX_ATTEMPTS} swaps in a row to writers; the log's key is what it was",
        next_step="try again when fewer writers are at work",
    )
