"""Personal values: in a leaf a salted commitment and a sealed copy, never the value itself.

A leaf is kept for years and proves itself only as a whole; somebody's personal data must be gone
when they ask for it. So the leaf holds ``{"personal": {...}}`` in place of the value: a commitment
that says nothing without its salt, and salt and value sealed under a key of their subject's, which
is kept elsewhere. Without that key the leaf verifies as before, and nobody reads the value.

1. *Commit*: SHA-256 over DOMAIN, a salt of 32 random bytes, and the value in UTF-8. Hiding for want
   of the salt, binding since SHA-256 has no collisions.
2. *Seal*: AES-256-GCM of salt and value, after its nonce of 12 random bytes. Bound to where it
   stands: subject, key, kind and stream of the record, and the commitment.

The length of a value can be told from its sealed copy. Keys, and who may read, are not handled
here. Sources: NIST SP 800-38D (GCM; a key seals at most 2^32 values under random nonces).
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
from typing import TYPE_CHECKING, Any, Final

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from chalicelib.kernel import canon
from chalicelib.kernel.errors import BadSignature, DigestMismatch, Malformed, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

MARK: Final = "personal"
DOMAIN: Final = b"holdfast personal value v1\0"
MAX_VALUE_BYTES: Final = 16_384
KEY_BYTES: Final = 32
SALT_BYTES: Final = 32
NONCE_BYTES: Final = 12
TAG_BYTES: Final = 16
MIN_SEALED_BYTES: Final = NONCE_BYTES + SALT_BYTES + TAG_BYTES
_ROOM: Final = 320  # characters of a sealed value beside its base64, and to spare

_PSEUDONYM = re.compile(r"[0-9a-f]{32}")
_KEY_ID = re.compile(r"[0-9a-f]{16}")
_DIGEST = re.compile(r"[0-9a-f]{64}")


class Personal:
    """A value about somebody, in the body of a draft; it shows itself to nobody.

    Not a struct: no encoder knows it, so what nobody sealed cannot get into a record.
    """

    __slots__ = ("subject", "value")

    def __init__(self, subject: str, value: str) -> None:
        self.subject = subject
        self.value = value

    def __repr__(self) -> str:
        return "Personal(…)"


class Sealed(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What stands in a leaf: pseudonym of the subject, id of the key, commitment, sealed copy."""

    subject: str
    key: str
    commitment: str
    sealed: str


class Concealed(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A sealed value as it stands in a body, under the mark by which it is known."""

    personal: Sealed


def commitment(salt: bytes, value: str) -> str:
    """The commitment to a value, 64 hexadecimal digits."""
    return hashlib.sha256(DOMAIN + salt + value.encode()).hexdigest()


def seal(
    value: str,
    *,
    subject: str,
    key_id: str,
    key: bytes,
    kind: str,
    stream: str,
    random: Callable[[int], bytes],
) -> Concealed:
    """A value, sealed for one place. ``random(n)`` gives n random bytes.

    Raises: UsageError, for a value above MAX_VALUE_BYTES, or of lone surrogates.
    """
    try:
        size = len(value.encode())
    except UnicodeEncodeError as error:
        raise UsageError(f"a personal value is no text: {error.reason}") from None
    if size > MAX_VALUE_BYTES:
        raise UsageError(f"a personal value of {size} bytes; at most {MAX_VALUE_BYTES}")
    salt, nonce = random(SALT_BYTES), random(NONCE_BYTES)
    bound = commitment(salt, value)
    place = _place(subject, key_id, kind, stream, bound)
    sealed = nonce + AESGCM(key).encrypt(nonce, salt + value.encode(), place)
    return Concealed(Sealed(subject, key_id, bound, base64.b64encode(sealed).decode()))


def unseal(sealed: Sealed, key: bytes, *, kind: str, stream: str) -> str:
    """The value, shown to be the one that was committed to.

    Raises: BadSignature, for another key's, another place's or changed bytes; DigestMismatch, for
    another value than the commitment's; Malformed.
    """
    data = base64.b64decode(sealed.sealed)
    place = _place(sealed.subject, sealed.key, kind, stream, sealed.commitment)
    try:
        plain = AESGCM(key).decrypt(data[:NONCE_BYTES], data[NONCE_BYTES:], place)
    except InvalidTag:
        raise BadSignature(
            f"a personal value of {kind} in {stream} does not open with its subject's key: its "
            "sealed copy is of another place, or was changed"
        ) from None
    try:
        value = plain[SALT_BYTES:].decode()
    except UnicodeDecodeError:
        raise Malformed(f"a personal value of {kind} in {stream} is no text") from None
    if not hmac.compare_digest(commitment(plain[:SALT_BYTES], value), sealed.commitment):
        raise DigestMismatch(
            f"a personal value of {kind} in {stream} is not the one that its record commits to"
        )
    return value


def parse(value: object) -> Sealed | None:
    """The sealed value that ``{"personal": {...}}`` is; None for anything else."""
    if not isinstance(value, dict) or value.keys() != {MARK}:
        return None
    try:
        found = msgspec.convert(value, Concealed).personal
    except msgspec.ValidationError:
        return None
    fields = (
        (_PSEUDONYM, found.subject),
        (_KEY_ID, found.key),
        (_DIGEST, found.commitment),
    )
    if not all(pattern.fullmatch(text) for pattern, text in fields):
        return None
    return found if _is_sealed(found.sealed) else None


def text_or_sealed(value: object) -> str | Concealed:
    """A field that is plain text, or personal and sealed. Raises: TypeError, for anything else."""
    found = parse(value)
    if found is not None:
        return Concealed(found)
    if isinstance(value, str):
        return value
    raise TypeError(f"expected text, or a sealed value; found {type(value).__name__}")


def within(value: object) -> bool:
    """Whether there is a Personal somewhere in a body."""
    kind = type(value)
    if kind is dict:
        return any(map(within, value.values()))  # type: ignore[attr-defined]
    if kind is list or kind is tuple:
        return any(map(within, value))  # type: ignore[call-overload]
    return kind is Personal


def replaced(value: Any, seal_one: Callable[[Personal], Concealed]) -> Any:
    """A copy of a body in which each Personal is sealed."""
    if isinstance(value, Personal):
        return msgspec.to_builtins(seal_one(value))
    if isinstance(value, dict):
        return {key: replaced(one, seal_one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [replaced(one, seal_one) for one in value]
    return value


def shown(value: Any, show: Callable[[Sealed], Any]) -> Any:
    """A copy of a recorded body in which each sealed value is what ``show`` makes of it."""
    if isinstance(value, dict):
        found = parse(value)
        if found is not None:
            return show(found)
        return {key: shown(one, show) for key, one in value.items()}
    if isinstance(value, list):
        return [shown(one, show) for one in value]
    return value


def stand_in(value: object) -> str:
    """Text about as long as a Personal will be when it is sealed; an encoder's hook.

    Raises: TypeError, for anything else.
    """
    if not isinstance(value, Personal):
        raise TypeError(f"{type(value).__name__} cannot be recorded")
    size = MIN_SEALED_BYTES + len(value.value.encode(errors="replace"))
    return "x" * (size * 4 // 3 + _ROOM)


def sealed_in(value: Any) -> list[Sealed]:
    """Every sealed value of a recorded body."""
    found: list[Sealed] = []
    shown(value, found.append)
    return found


def _is_sealed(text: str) -> bool:
    """Whether it is canonical base64 of a size that a sealed copy can have."""
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return False
    most = MIN_SEALED_BYTES + MAX_VALUE_BYTES
    return MIN_SEALED_BYTES <= len(data) <= most and base64.b64encode(data).decode() == text


def _place(subject: str, key_id: str, kind: str, stream: str, bound: str) -> bytes:
    """What a sealed copy is bound to (associated data of AES-GCM)."""
    return DOMAIN + canon.encode([subject, key_id, kind, stream, bound])
