"""Cosignatures: a witness's statement that, at a time, a checkpoint was the newest it had seen.

Ed25519 cosignatures (signature type 0x04). Those with ML-DSA-44 (0x06) are not handled: their keys
are refused, so that no policy counts on one. Source: C2SP tlog-cosignature, signed-note.
"""

from __future__ import annotations

import base64
import hashlib
import re
import struct
from typing import TYPE_CHECKING, Final

import msgspec

from chalicelib.evidence import note
from chalicelib.evidence.note import KEY_ID_BYTES, Signature
from chalicelib.kernel.errors import BadSignature, KeyUnusable, Malformed
from chalicelib.kernel.signing import Algorithm, PublicKey

if TYPE_CHECKING:
    from collections.abc import Iterable

    from chalicelib.kernel.signing import Signer

KIND: Final = 0x04  # signed-note, "Signature types"
MAX_TIME: Final = 2**63 - 1  # seconds since 1970; tlog-cosignature, "Format"
MAX_BYTES: Final = 64 * 2**10  # of the lines that a witness answers with

_ED25519: Final = 64  # bytes of a signature; RFC 8032 §5.1.6
_TIMESTAMPED: Final = struct.Struct(f">Q{_ED25519}s")  # tlog-cosignature, timestamped_signature
_LINE = re.compile(r"[^\n]+\n")


class Cosigner(msgspec.Struct, frozen=True):
    """A witness's public key under its name: what is pinned. ``str()`` of it is the vkey."""

    name: str
    key: PublicKey

    @property
    def key_id(self) -> bytes:
        """Four bytes that tell keys of one name apart; an identifier, not a commitment."""
        preimage = self.name.encode() + b"\n" + bytes([KIND]) + self.key.data
        return hashlib.sha256(preimage).digest()[:KEY_ID_BYTES]

    def __str__(self) -> str:
        encoded = base64.b64encode(bytes([KIND]) + self.key.data).decode()
        return f"{self.name}+{self.key_id.hex()}+{encoded}"


def cosigner(name: str, key: PublicKey) -> Cosigner:
    """The named key. Raises: Malformed, for a name or a key that no cosignature may carry."""
    if key.algorithm is not Algorithm.ED25519:
        raise Malformed(f"a cosigner's key is Ed25519; found {key.algorithm.name}")
    note.verifier(name, key)
    return Cosigner(name, key)


def parse_vkey(text: str) -> Cosigner:
    """The named key of ``name+hash+base64``. Raises: Malformed, also for another type of key."""
    name, key_id, data = note.split_vkey(text)
    if data[0] != KIND:
        raise Malformed(
            f"a witness's key of type 0x{data[0]:02x}; expected 0x{KIND:02x}, "
            "Ed25519 cosignatures (C2SP tlog-cosignature)"
        )
    found = cosigner(name, PublicKey(Algorithm.ED25519, data[1:]))
    if found.key_id.hex() != key_id:
        raise Malformed(f"a witness's key with hash {key_id}; expected {found.key_id.hex()}")
    return found


def sign(text: str, name: str, signer: Signer, at: int) -> Signature:
    """The cosignature of a checkpoint's note text at ``at``, seconds since 1970.

    Raises: Malformed, for a text that is no checkpoint; KeyUnusable, where the signer's key is of
    another kind or its signature does not verify.
    """
    note.parse_checkpoint(text)
    own = cosigner(name, signer.public)
    data = _TIMESTAMPED.pack(at, signer.sign(_message(text, at)))
    signed = Signature(name, own.key_id, data)
    try:
        verify(signed, text, own)  # what cannot be verified must not be given away
    except (BadSignature, Malformed) as error:
        raise KeyUnusable(f"the witness's key does not sign: {error.message}") from error
    return signed


def verify(signature: Signature, text: str, pinned: Cosigner, *, latest: int = MAX_TIME) -> int:
    """The time, seconds since 1970, at which the pinned witness cosigned the note's text.

    ``latest``: no later one is believed. Whether the text is the expected checkpoint is the
    caller's to know. Raises: BadSignature, also for another key's; Malformed.
    """
    if (signature.name, signature.key_id) != (pinned.name, pinned.key_id):
        raise BadSignature(
            f"a cosignature by {signature.name[:80]!r} {signature.key_id.hex()}; "
            f"expected {pinned.name!r} {pinned.key_id.hex()}"
        )
    if len(signature.data) != _TIMESTAMPED.size:
        raise Malformed(
            f"a cosignature of {len(signature.data)} bytes; expected {_TIMESTAMPED.size}"
        )
    at, data = _TIMESTAMPED.unpack(signature.data)
    if at > MAX_TIME:
        raise Malformed("a cosignature with a time of 2^63 seconds or more")
    pinned.key.verify(data, _message(text, at))
    if at > latest:
        raise BadSignature(
            f"a cosignature from the future: dated {at} seconds since 1970, "
            f"and nothing later than {latest} is believed",
            next_step="compare the clocks of this machine and of the witness",
        )
    return int(at)


def parse_line(data: bytes) -> Signature:
    """The one signature line, with its newline, that these bytes are. Raises: Malformed."""
    found = parse_lines(data)
    if len(found) != 1:
        raise Malformed(f"{len(found)} signature lines; expected 1")
    return found[0]


def parse_lines(data: bytes) -> tuple[Signature, ...]:
    """One or more signature lines, each with its newline: what a witness answers with.

    Raises: Malformed. Source: tlog-witness, "add-checkpoint".
    """
    if len(data) > MAX_BYTES:
        raise Malformed(f"{len(data)} bytes of signature lines; at most {MAX_BYTES}")
    try:
        text = data.decode()
    except UnicodeDecodeError:
        raise Malformed("signature lines that are not UTF-8") from None
    lines = _LINE.findall(text)
    if not lines or len("".join(lines)) != len(text):
        raise Malformed("expected signature lines, each with a newline at its end")
    if len(lines) > note.MAX_SIGNATURES:
        raise Malformed(f"{len(lines)} signature lines; at most {note.MAX_SIGNATURES}")
    return tuple(note.parse_signature(line[:-1]) for line in lines)


def by(pinned: Cosigner, signatures: Iterable[Signature]) -> Signature | None:
    """The first signature that says it is the pinned witness's; unknown ones are passed over."""
    known = (pinned.name, pinned.key_id)
    return next((one for one in signatures if (one.name, one.key_id) == known), None)


def _message(text: str, at: int) -> bytes:
    """What is signed. Source: tlog-cosignature, "Ed25519 signed message"."""
    return f"cosignature/v1\ntime {at}\n{text}".encode()
