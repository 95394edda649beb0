"""Keys: which public key may sign which sizes of one log.

A log's key is changed at one size S: the old key signs sizes up to S, the new one sizes from S on.
The checkpoint of S is the old key's (``layout.checkpoint``); the same text is locked a second time,
signed by both (``layout.handover``). So the new key is the old one's to name, and nobody else's:
the record ``log.rotated`` below S, which says the same, is under the old key's signature too.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import msgspec

from chalicelib.evidence import note
from chalicelib.evidence.layout import MAX_SIZE
from chalicelib.evidence.note import Note, SignedCheckpoint, Verifier
from chalicelib.kernel.errors import BadSignature, Malformed

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from chalicelib.kernel.signing import PublicKey, Signer

MAX_KEYS = 32  # of one log; tlog-policy, "Implementation limits"


class LogKey(msgspec.Struct, frozen=True):
    """A key of a log, and the sizes, both included, whose checkpoints it may sign."""

    verifier: Verifier
    first: int = 0
    last: int = MAX_SIZE

    def signs(self, size: int) -> bool:
        """Whether a checkpoint over ``size`` leaves may be this key's."""
        return self.first <= size <= self.last


class Keyring(msgspec.Struct, frozen=True):
    """The keys of one log, oldest first: where one's sizes end, the next one's begin."""

    keys: tuple[LogKey, ...]

    @property
    def origin(self) -> str:
        """The log's name, which is that of all its keys."""
        return self.newest.name

    @property
    def newest(self) -> Verifier:
        """The key that signs now."""
        return self.keys[-1].verifier

    def signer(self, data: bytes) -> Verifier:
        """The key that signed a checkpoint, the oldest of them. Raises: as :meth:`verify`."""
        size = self.verify(data).size
        found = {(one.name, one.key_id) for one in note.parse(data).signatures}
        pinned = [key.verifier for key in self.keys if key.signs(size)]
        return next(one for one in pinned if (one.name, one.key_id) in found)

    def next(self, size: int) -> Verifier:
        """The key that signs what follows on ``size`` leaves. Raises: Malformed, beyond them."""
        for key in self.keys:
            if key.first <= size < key.last:  # the new key's first note at its first size adds none
                return key.verifier
        raise Malformed(f"none of the pinned keys of {self.origin} signs for {size + 1} leaves")

    def told(self, size: int) -> str:
        """The vkeys that sign for ``size`` leaves, for messages."""
        found = [str(key.verifier) for key in self.keys if key.signs(size)]
        return " or ".join(found) or "no pinned key"

    def of_record(self, index: int) -> dict[str, PublicKey]:
        """The key, by its vkey, that may sign what the record at ``index`` refers to, or none."""
        return {
            str(key.verifier): key.verifier.key
            for key in self.keys
            if key.first <= index < key.last
        }

    def changes(self) -> Iterator[tuple[int, Verifier, Verifier]]:
        """Each change of the key: its size, the key before, and the key after."""
        for before, after in itertools.pairwise(self.keys):
            yield after.first, before.verifier, after.verifier

    def changed(self, size: int, successor: Verifier) -> Keyring:
        """The ring after the newest key was changed for another at ``size``. Raises: Malformed."""
        last = self.keys[-1]
        return keyring(
            [*self.keys[:-1], LogKey(last.verifier, last.first, size), LogKey(successor, size)]
        )

    def verify(self, data: bytes) -> SignedCheckpoint:
        """The checkpoint of a note, signed by a key that its size belongs to, and misquoting none.

        Raises: Malformed; BadSignature, also for a checkpoint of another log, and for one by a key
        of the log whose sizes it is not among.
        """
        claimed = note.parse_checkpoint(note.parse(data).text)
        if claimed.origin != self.origin:
            raise BadSignature(
                f"a checkpoint of another log: expected {self.origin!r}, "
                f"observed {claimed.origin!r}"
            )
        try:
            note.verify(data, [key.verifier for key in self.keys if key.signs(claimed.size)])
        except BadSignature as error:
            others = [key for key in self.keys if not key.signs(claimed.size)]
            raise BadSignature(error.message + _outside(data, others)) from error
        return SignedCheckpoint(claimed, data)


def keyring(keys: Sequence[LogKey]) -> Keyring:
    """The keys as a ring. Raises: Malformed, unless they share a name and their sizes meet."""
    if not 0 < len(keys) <= MAX_KEYS:
        raise Malformed(f"a log has 1 to {MAX_KEYS} keys; found {len(keys)}")
    for before, after in itertools.pairwise(keys):
        if after.first != before.last or after.verifier.name != before.verifier.name:
            raise Malformed(
                f"the sizes of {before.verifier.name}'s key end at {before.last}, and the next "
                f"key, of {after.verifier.name}, begins at {after.first}"
            )
    for key in keys:
        if not 0 <= key.first < key.last <= MAX_SIZE:
            raise Malformed(
                f"the sizes of the key {key.verifier.key_id.hex()} are {key.first} to {key.last}; "
                f"expected at least one record between them, and at most {MAX_SIZE}"
            )
    # Signature lines name a key by its id alone, so two of one id could not be told apart.
    if len({key.verifier.key_id for key in keys}) != len(keys):
        raise Malformed("one key, or one key id, stands twice among the keys of a log")
    return Keyring(tuple(keys))


def handed_over(locked: bytes, former: Verifier, successor: Signer) -> bytes:
    """The note of a change of key: the former key's checkpoint, signed by the new key too.

    ``locked``: that checkpoint. Raises: BadSignature, Malformed, where it is not the former key's;
    KeyUnusable.
    """
    theirs = _only(locked, [former])
    mine = note.parse(note.sign(theirs.text, former.name, successor))
    return Note(theirs.text, theirs.signatures + mine.signatures).encode()


def verify_handover(data: bytes, former: Verifier, successor: Verifier) -> SignedCheckpoint:
    """The checkpoint of a change of key, signed by the former key, then the new one, and no other.

    Raises: Malformed; BadSignature.
    """
    found = _only(data, [former, successor])
    checkpoint = note.parse_checkpoint(found.text)
    if checkpoint.origin != former.name:
        raise BadSignature(
            f"a checkpoint of another log: expected {former.name!r}, observed {checkpoint.origin!r}"
        )
    return SignedCheckpoint(checkpoint, data)


def _only(data: bytes, verifiers: Sequence[Verifier]) -> Note:
    """The note that exactly these keys signed, in this order. Raises: Malformed; BadSignature."""
    found = note.parse(data)
    signers = [(one.name, one.key_id) for one in found.signatures]
    if signers != [(one.name, one.key_id) for one in verifiers]:
        raise BadSignature(
            f"a note signed by {_told([one.key_id for one in found.signatures])}; "
            f"expected {_told([one.key_id for one in verifiers])}"
        )
    for verifier, signature in zip(verifiers, found.signatures, strict=True):
        verifier.key.verify(signature.data, found.text.encode())
    return found


def _told(key_ids: Sequence[bytes]) -> str:
    return ", ".join(f"the key {one.hex()}" for one in key_ids)


def _outside(data: bytes, others: Sequence[LogKey]) -> str:
    """What to add where another key of the log signed, which may not for this size."""
    for key in others:
        try:
            note.verify_checkpoint(data, key.verifier)
        except BadSignature:
            continue
        return (
            f"; it is by the key {key.verifier.key_id.hex()}, which signs for sizes "
            f"{key.first} to {key.last} only"
        )
    return ""
