"""Receipts: what each use of the signing key signed, written down by whoever used it.

A receipt is locked at ``receipt/<day>/<request id>`` in the write-once store, after the signature
was made and before it goes anywhere. ``evidence.account`` holds receipts against the uses that the
key's service counted. Nothing here reads or writes.
"""

from __future__ import annotations

import base64
import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

import msgspec

from chalicelib.evidence import layout, note
from chalicelib.kernel import canon, clock, dsse
from chalicelib.kernel.errors import Malformed

if TYPE_CHECKING:
    from chalicelib.evidence.note import Verifier

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
    """A locked object over a signed message: a checkpoint or a baseline's envelope."""

    place: str
    created: datetime
    message_sha256: str


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


def published(key: str, created: datetime, data: bytes, verifier: Verifier) -> Published:
    """What the locked object at ``key`` publishes: the digest of the message that was signed.

    A checkpoint's message is its note's text, an envelope's the DSSE pre-authentication encoding.
    Raises: Malformed, BadSignature: not the pinned key's, so no publication of its signatures.
    """
    if key.startswith(ENVELOPES):
        if canon.sha256(data) != key.removeprefix(ENVELOPES):
            raise Malformed("an envelope with other bytes than its name says")
        dsse.open_sealed(data, {"pinned": verifier.key})
        return Published(key, created, canon.sha256(_envelope_message(data)))
    size = note.verify_checkpoint(data, verifier).size
    if layout.number(key, layout.CHECKPOINTS) != size:
        raise Malformed(f"a checkpoint over {size} leaves under the name of another")
    return Published(key, created, canon.sha256(note.parse(data).text.encode()))


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
