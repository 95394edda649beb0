"""Receipts: what each use of the signing key signed, written down by whoever used it.

A receipt is locked at ``receipt/<day>/<request id>`` in the write-once store, after the signature
was made and before it goes anywhere. ``evidence.account`` holds receipts against the uses that the
key's service counted. Nothing here reads or writes.
"""

from __future__ import annotations

import base64
import re
from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

import msgspec

from chalicelib.evidence import layout, manifest, note
from chalicelib.evidence.keys import verify_handover
from chalicelib.kernel import canon, clock, dsse
from chalicelib.kernel.errors import BadSignature, Malformed

if TYPE_CHECKING:
    from chalicelib.evidence.keys import Keyring

VERSION: Final = 1
RECEIPTS: Final = "receipt/"
ENVELOPES: Final = "baseline/sha256/"
MAX_RECEIPT_BYTES: Final = 4_096
_REQUEST_ID: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]{0,127}")
_DIGEST: Final = re.compile(r"[0-9a-f]{64}")


class Receipt(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """That ``key`` (an ARN) signed a message; ``request_id`` is the service's name of the call."""

    v: int
    request_id: str
    key: str
    message_sha256: str
    at: str


class Kept(msgspec.Struct, frozen=True):
    """A receipt at its ``place`` (a key), ``created`` by the store's own clock."""

    place: str
    created: datetime
    receipt: Receipt


class Published(msgspec.Struct, frozen=True):
    """A locked object over a signed message: a checkpoint, a change of key, an envelope, a packet.

    ``key``: the vkey that signed it; of the two of a change of key, the new one, for the former
    key's signature is that of the checkpoint.
    """

    place: str
    created: datetime
    message_sha256: str
    key: str = ""


def receipt(request_id: str, key: str, message: bytes, at: datetime) -> Receipt:
    """The receipt of a signature over ``message``. Raises: Malformed, as :func:`decode`."""
    made = Receipt(VERSION, request_id, key, canon.sha256(message), clock.timestamp(at))
    _check(made)
    return made


def place(one: Receipt) -> str:
    """The key at which a receipt is locked: by day, then by the service's name of the call."""
    return f"{day(clock.parse_timestamp(one.at))}{one.request_id}"


def day(moment: datetime) -> str:
    """The prefix of the keys of one day's receipts."""
    return f"{RECEIPTS}{moment.astimezone(UTC).date().isoformat()}/"


def encode(one: Receipt) -> bytes:
    """The bytes that are locked: canonical JSON."""
    return canon.encode(msgspec.to_builtins(one))


def decode(key: str, data: bytes) -> Receipt:
    """The receipt that is locked at ``key``. Raises: Malformed, also for one of another place."""
    if len(data) > MAX_RECEIPT_BYTES:
        raise Malformed(f"a receipt of {len(data)} bytes; at most {MAX_RECEIPT_BYTES}")
    try:
        found = msgspec.convert(canon.decode(data), Receipt)
    except msgspec.ValidationError as error:
        raise Malformed(f"not a receipt: {error}") from error
    _check(found)
    if place(found) != key:
        raise Malformed(f"a receipt that belongs at {place(found)}")
    return found


def published(key: str, created: datetime, data: bytes, keys: Keyring) -> Published:
    """What the locked object at ``key`` publishes: the digest of the message that was signed.

    A note's message is its text, an envelope's the DSSE pre-authentication encoding.
    Raises: Malformed, BadSignature: of no pinned key, so no publication of their signatures.
    """
    if key.startswith(ENVELOPES):
        if canon.sha256(data) != key.removeprefix(ENVELOPES):
            raise Malformed("an envelope with other bytes than its name says")
        pinned = {str(one.verifier): one.verifier.key for one in keys.keys}
        _, signer = dsse.open_sealed(data, pinned)
        return Published(key, created, canon.sha256(_envelope_message(data)), signer)
    if key.startswith(layout.PACKETS):
        return Published(key, created, _packet_message(key, data, keys), _signer(data, keys))
    size = layout.number(key, layout.HANDOVERS)
    change = next((pair for at, *pair in keys.changes() if at == size), None)
    if change is not None:
        signed, signer = verify_handover(data, *change), str(change[1])
    else:
        signed = keys.verify(data)
        size = layout.number(key, layout.CHECKPOINTS)
        signer = str(keys.signer(data))
    if signed.size != size:
        raise Malformed(f"a checkpoint over {signed.size} leaves under the name of another")
    return Published(key, created, canon.sha256(note.parse(data).text.encode()), signer)


def _packet_message(key: str, data: bytes, keys: Keyring) -> str:
    """The digest of what is signed over the manifest that the key of a packet's note names."""
    due = manifest.text(keys.origin, key.removeprefix(layout.PACKETS)).encode()
    if note.parse(data).text.encode() != due:
        raise Malformed("a packet's note with another text than its name says")
    return canon.sha256(due)


def _signer(data: bytes, keys: Keyring) -> str:
    """The vkey of the pinned key that signed a note. Raises: BadSignature."""
    for one in keys.keys[:-1]:
        with suppress(BadSignature):
            note.verify(data, [one.verifier])
            return str(one.verifier)
    note.verify(data, [keys.newest])
    return str(keys.newest)


def _check(one: Receipt) -> None:
    if one.v != VERSION:
        raise Malformed(f"a receipt of version {one.v}; expected {VERSION}")
    if not _REQUEST_ID.fullmatch(one.request_id) or not _DIGEST.fullmatch(one.message_sha256):
        raise Malformed("a receipt without a request id or a SHA-256 in its form")
    clock.parse_timestamp(one.at)


def _envelope_message(data: bytes) -> bytes:
    envelope = msgspec.convert(canon.parse(data), dsse.Envelope)
    payload = base64.b64decode(envelope.payload, validate=True)
    return dsse.pre_authentication_encoding(envelope.payload_type, payload)
