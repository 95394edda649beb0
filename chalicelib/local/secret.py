"""The installation's secret: 32 random bytes that key its digests and seals; kept like a key."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

from chalicelib.kernel.errors import KeyUnusable
from chalicelib.local import keyfile

if TYPE_CHECKING:
    from pathlib import Path

SECRET_BYTES = 32


def create_secret(path: Path) -> bytes:
    """A new secret, stored at ``path``. Raises: KeyUnusable, if it exists; StoreUnavailable."""
    secret = secrets.token_bytes(SECRET_BYTES)
    keyfile.create(path, secret)
    return secret


def load_secret(path: Path) -> bytes:
    """The secret at ``path``. Raises: KeyUnusable."""
    secret = keyfile.read(path)
    if len(secret) != SECRET_BYTES:
        raise KeyUnusable(
            f"{path} holds {len(secret)} bytes, expected {SECRET_BYTES}",
            next_step="restore the file from a copy",
        )
    return secret
