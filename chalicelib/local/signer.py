"""An Ed25519 private key in a file that only its owner can read.

PKCS #8 in PEM, unencrypted, mode 0600. Needs read access to that file and nothing else.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from chalicelib.kernel.errors import KeyUnusable
from chalicelib.kernel.signing import Algorithm, PublicKey
from chalicelib.local import keyfile

if TYPE_CHECKING:
    from pathlib import Path


class KeyFileSigner:
    """Implements ``kernel.signing.Signer``. The key is in no representation, and not pickled."""

    __slots__ = ("_key", "_public")

    def __init__(self, key: Ed25519PrivateKey) -> None:
        self._key = key
        self._public = PublicKey(Algorithm.ED25519, key.public_key().public_bytes_raw())

    @classmethod
    def create(cls, path: Path) -> KeyFileSigner:
        """A new key, stored at ``path``. Raises: as :meth:`store`."""
        made = cls.generate()
        made.store(path)
        return made

    @classmethod
    def generate(cls) -> KeyFileSigner:
        """A new key that is stored nowhere yet, so that its file can be named after it."""
        return cls(Ed25519PrivateKey.generate())

    def store(self, path: Path) -> None:
        """Store the key at ``path``. Raises: KeyUnusable, if it exists; StoreUnavailable."""
        pem = self._key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        keyfile.create(path, pem)

    @classmethod
    def load(cls, path: Path) -> KeyFileSigner:
        """The key at ``path``. Raises: KeyUnusable: missing, open to others, not Ed25519."""
        key = _parse(keyfile.read(path))
        if not isinstance(key, Ed25519PrivateKey):
            raise KeyUnusable(
                f"{path} is not an unencrypted Ed25519 key in PKCS #8 PEM",
                next_step="restore the key file from a copy",
            )
        return cls(key)

    @property
    def public(self) -> PublicKey:
        """The key that verifies what this signs."""
        return self._public

    def sign(self, message: bytes) -> bytes:
        """The signature (64 bytes), the same every time. Source: RFC 8032 §5.1.6."""
        return self._key.sign(message)

    def __repr__(self) -> str:
        return f"KeyFileSigner(public={self._public.data.hex()})"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a private key is not pickled")


def _parse(data: bytes) -> object:
    """The private key in PEM, or None; whatever the parser says is kept out of errors."""
    try:
        return serialization.load_pem_private_key(data, password=None)
    except Exception:  # noqa: BLE001 - a parser of foreign bytes; every failure means "not a key"
        return None
