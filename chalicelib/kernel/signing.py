"""Keys: public ones verify here, private ones stay behind the ``Signer`` port."""

from __future__ import annotations

import enum
from typing import Protocol

import msgspec
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519

from chalicelib.kernel.errors import BadSignature, Malformed


class Algorithm(enum.Enum):
    """Signature algorithms; the value is the C2SP signed-note type byte."""

    ED25519 = 0x01  # raw 32-byte key, raw 64-byte signature; RFC 8032
    ECDSA_P256 = 0x02  # DER SubjectPublicKeyInfo, ASN.1 DER signature over SHA-256


class PublicKey(msgspec.Struct, frozen=True):
    """A public key in the encoding that its algorithm's signed-note type uses (see Algorithm)."""

    algorithm: Algorithm
    data: bytes

    def verify(self, signature: bytes, message: bytes) -> None:
        """Return if the signature is this key's own. Raises: BadSignature; Malformed (the key)."""
        try:
            if self.algorithm is Algorithm.ED25519:
                ed25519.Ed25519PublicKey.from_public_bytes(self.data).verify(signature, message)
                return
            key = serialization.load_der_public_key(self.data)
            if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(
                key.curve, ec.SECP256R1
            ):
                raise Malformed("the key is not an ECDSA key on P-256")
            key.verify(signature, message, ec.ECDSA(hashes.SHA256()))
        except InvalidSignature:
            raise BadSignature("the signature is not this key's over these bytes") from None
        except (ValueError, UnsupportedAlgorithm) as error:
            raise Malformed(f"not a usable {self.algorithm.name} public key") from error


class Signer(Protocol):
    """A private key somewhere that signs and is never seen."""

    @property
    def public(self) -> PublicKey:
        """The key that verifies what this signs."""
        ...

    def sign(self, message: bytes) -> bytes:
        """A signature over the message, in the algorithm's encoding (see Algorithm)."""
        ...
