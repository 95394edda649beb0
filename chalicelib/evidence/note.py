"""Signed notes and checkpoints: text that keys signed, and the head of a log as such a text.

Parsing is strict, so that one note has one encoding: base64 in canonical form, sizes without
leading zeroes. Source: C2SP signed-note and tlog-checkpoint.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from typing import TYPE_CHECKING

import msgspec
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from chalicelib.evidence.layout import MAX_SIZE
from chalicelib.evidence.merkle import HASH_BYTES
from chalicelib.kernel.errors import BadSignature, Malformed
from chalicelib.kernel.signing import Algorithm, PublicKey

if TYPE_CHECKING:
    from collections.abc import Sequence

    from chalicelib.kernel.signing import Signer

MAX_NOTE_BYTES = 1_000_000  # as Go's sumdb/note; 16 post-quantum signatures need 80,000
MAX_SIGNATURES = 100  # lines, as Go's sumdb/note; the specification asks for at least 16
MAX_NAME_CHARACTERS = 255
KEY_ID_BYTES = 4

_DASH = "\N{EM DASH} "
_CONTROL = re.compile(
    r"[\x00-\x09\x0b-\x1f]"
)  # signed-note, "Format": all below U+0020 but newline
_SIZE = re.compile(r"0|[1-9][0-9]{0,18}")
_KEY_ID = re.compile(r"[0-9a-f]{8}")
_ED25519_BYTES = 32  # a public key; RFC 8032 §5.1.5


class Verifier(msgspec.Struct, frozen=True):
    """A public key under a name: what is pinned. ``str()`` of it is the vkey."""

    name: str
    key: PublicKey

    @property
    def key_id(self) -> bytes:
        """Four bytes that tell keys of one name apart; an identifier, not a commitment."""
        if self.key.algorithm is Algorithm.ECDSA_P256:
            # signed-note, "Signature types", 0x02: over the SubjectPublicKeyInfo alone.
            return hashlib.sha256(self.key.data).digest()[:KEY_ID_BYTES]
        kind = bytes([self.key.algorithm.value])
        preimage = self.name.encode() + b"\n" + kind + self.key.data
        return hashlib.sha256(preimage).digest()[:KEY_ID_BYTES]

    def __str__(self) -> str:
        encoded = bytes([self.key.algorithm.value]) + self.key.data
        return f"{self.name}+{self.key_id.hex()}+{base64.b64encode(encoded).decode()}"


class Signature(msgspec.Struct, frozen=True):
    """One signature line: who claims to have signed, and the signature."""

    name: str
    key_id: bytes
    data: bytes

    def line(self) -> str:
        """The signature line, with its newline."""
        return f"{_DASH}{self.name} {base64.b64encode(self.key_id + self.data).decode()}\n"


class Note(msgspec.Struct, frozen=True):
    """A note as it was read; nothing is known of its text until :func:`verify` returned it."""

    text: str
    signatures: tuple[Signature, ...]

    def encode(self) -> bytes:
        """The bytes of the note."""
        lines = "".join(signature.line() for signature in self.signatures)
        return f"{self.text}\n{lines}".encode()


class Checkpoint(msgspec.Struct, frozen=True):
    """The head of a log: its identity, the number of its leaves, and their Merkle tree hash."""

    origin: str
    size: int
    root: bytes
    extensions: tuple[str, ...] = ()

    def text(self) -> str:
        """The note text that is signed."""
        root = base64.b64encode(self.root).decode()
        return "".join(f"{x}\n" for x in (self.origin, str(self.size), root, *self.extensions))


class SignedCheckpoint(msgspec.Struct, frozen=True):
    """A checkpoint whose signature was verified, and the note that says so."""

    checkpoint: Checkpoint
    note: bytes

    @property
    def size(self) -> int:
        """The number of leaves."""
        return self.checkpoint.size

    @property
    def root(self) -> bytes:
        """The Merkle tree hash (32 bytes)."""
        return self.checkpoint.root


def verifier(name: str, key: PublicKey) -> Verifier:
    """The named key. Raises: Malformed, for a name or a key that no note may carry."""
    check_name(name)
    if key.algorithm is Algorithm.ED25519:
        if len(key.data) != _ED25519_BYTES:
            raise Malformed(f"an Ed25519 key of {len(key.data)} bytes; expected {_ED25519_BYTES}")
    elif _p256(key.data) != key.data:
        raise Malformed("not the canonical SubjectPublicKeyInfo of an ECDSA key on P-256")
    return Verifier(name, key)


def parse_vkey(text: str) -> Verifier:
    """The named key of ``name+hash+base64``. Raises: Malformed, also for another key's hash."""
    name, key_id, data = split_vkey(text)
    try:
        algorithm = Algorithm(data[0])
    except ValueError:
        raise Malformed(f"a verifier key of unknown type 0x{data[0]:02x}") from None
    found = verifier(name, PublicKey(algorithm, data[1:]))
    if found.key_id.hex() != key_id:
        raise Malformed(f"a verifier key with hash {key_id}; expected {found.key_id.hex()}")
    return found


def split_vkey(text: str) -> tuple[str, str, bytes]:
    """Name, hash (8 hexadecimal digits), and type byte with key; none of them is checked further.

    Raises: Malformed. Source: signed-note, "Verifier keys".
    """
    name, _, rest = text.partition("+")
    key_id, plus, encoded = rest.partition("+")
    data = parse_base64(encoded)
    if not plus or not data or not _KEY_ID.fullmatch(key_id):
        raise Malformed("not a verifier key; expected name+hash+base64")
    return name, key_id, data


def check_name(name: str) -> None:
    """Return if ``name`` may name a key. Raises: Malformed. Source: signed-note, "Format"."""
    if (
        not name
        or len(name) > MAX_NAME_CHARACTERS
        or "+" in name
        or any(c.isspace() or ord(c) < ord(" ") for c in name)
        or _surrogates(name)
    ):
        raise Malformed("not a key name: empty, too long, or with a space, a plus or a control")


def parse(data: bytes) -> Note:
    """The note of bytes from outside, unverified. Raises: Malformed."""
    if len(data) > MAX_NOTE_BYTES:
        raise Malformed(f"a note of {len(data)} bytes; at most {MAX_NOTE_BYTES}")
    try:
        whole = data.decode()
    except UnicodeDecodeError:
        raise Malformed("a note that is not UTF-8") from None
    if _CONTROL.search(whole):
        raise Malformed("a note with a control character other than newline")
    body, blank, tail = whole.rpartition("\n\n")
    lines = tail.split("\n")
    if not blank or lines.pop() or not lines:
        raise Malformed("a note without a blank line and signature lines at its end")
    if len(lines) > MAX_SIGNATURES:
        raise Malformed(f"a note with {len(lines)} signatures; at most {MAX_SIGNATURES}")
    return Note(f"{body}\n", tuple(map(parse_signature, lines)))


def verify(data: bytes, verifiers: Sequence[Verifier]) -> Note:
    """The note, if at least one of ``verifiers`` signed it and none of them is misquoted.

    Signatures by other keys are ignored: they neither help nor harm. Raises: Malformed;
    BadSignature. Source: signed-note, "Signatures".
    """
    note = parse(data)
    known = {(v.name, v.key_id): v.key for v in verifiers}
    verified = 0
    for signature in note.signatures:
        key = known.get((signature.name, signature.key_id))
        if key is not None:
            key.verify(signature.data, note.text.encode())
            verified += 1
    if not verified:
        names = ", ".join(sorted({s.name for s in note.signatures}))
        raise BadSignature(f"a note that no trusted key signed; it bears the names {names[:200]!r}")
    return note


def sign(text: str, name: str, signer: Signer) -> bytes:
    """The note of ``text`` with one signature. Raises: Malformed, for a text no note may carry."""
    unsigned = verifier(name, signer.public)
    if not text.endswith("\n"):
        raise Malformed("a note's text ends in a newline")
    data = signer.sign(text.encode())
    encoded = Note(text, (Signature(name, unsigned.key_id, data),)).encode()
    verify(encoded, [unsigned])  # what cannot be verified must not be published
    return encoded


def parse_checkpoint(text: str) -> Checkpoint:
    """The checkpoint that a note's text states. Raises: Malformed. Source: tlog-checkpoint."""
    *lines, end = text.split("\n")
    if end or len(lines) < 3 or not all(lines):  # noqa: PLR2004 - origin, size, root
        raise Malformed("not a checkpoint: expected origin, size and root hash, a line each")
    origin, size, encoded, *extensions = lines
    root = parse_base64(encoded)
    if not _SIZE.fullmatch(size) or int(size) > MAX_SIZE:
        raise Malformed("not a checkpoint: the size is no decimal number below 2^63")
    if root is None or len(root) != HASH_BYTES:
        raise Malformed(f"not a checkpoint: the root hash is not base64 of {HASH_BYTES} bytes")
    return Checkpoint(origin, int(size), root, tuple(extensions))


def verify_checkpoint(data: bytes, pinned: Verifier) -> SignedCheckpoint:
    """The checkpoint of a note by the log that ``pinned`` names, which is also its origin.

    Raises: Malformed; BadSignature, also for a checkpoint of another log.
    """
    checkpoint = parse_checkpoint(verify(data, [pinned]).text)
    if checkpoint.origin != pinned.name:
        raise BadSignature(
            f"a checkpoint of another log: expected {pinned.name!r}, observed {checkpoint.origin!r}"
        )
    return SignedCheckpoint(checkpoint, data)


def parse_signature(line: str) -> Signature:
    """The signature of a line without its newline. Raises: Malformed."""
    name, space, encoded = line.removeprefix(_DASH).rpartition(" ")
    data = parse_base64(encoded)
    if not line.startswith(_DASH) or not space or data is None or len(data) <= KEY_ID_BYTES:
        raise Malformed("a signature line of another form than: em dash, name, base64")
    check_name(name)
    return Signature(name, data[:KEY_ID_BYTES], data[KEY_ID_BYTES:])


def parse_base64(text: str) -> bytes | None:
    """The bytes of canonical base64 (RFC 4648 §4), or None: one value has one spelling."""
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None
    return data if base64.b64encode(data).decode() == text else None


def _p256(data: bytes) -> bytes | None:
    """The canonical encoding of a P-256 key's SubjectPublicKeyInfo, or None."""
    try:
        key = serialization.load_der_public_key(data)
    except Exception:  # noqa: BLE001 - a parser of foreign bytes; every failure means "not a key"
        return None
    if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP256R1):
        return None
    return key.public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )


def _surrogates(text: str) -> bool:
    return any("\ud800" <= c <= "\udfff" for c in text)
