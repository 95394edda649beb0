"""Documents that only this installation can write: each value carries an HMAC under its secret.

The log's state decides what is signed next. Somebody who can write files, but has no key, must not
be able to put a state there that makes the next append sign what they staged.
"""

from __future__ import annotations

import hashlib
import hmac
from typing import TYPE_CHECKING

from chalicelib.kernel.store import Document, Write

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from chalicelib.kernel.store import Documents

SEAL_BYTES = 32  # HMAC-SHA256


class SealedDocuments:
    """Implements ``kernel.store.Documents`` over another one.

    A value whose seal does not hold reads as empty bytes, which is no document of any kind, so that
    whoever reads it says that it is unusable. Without a secret seals are taken off and not checked.
    """

    def __init__(self, inner: Documents, secret: bytes | None) -> None:
        self._inner = inner
        self._key = (
            None if secret is None else hmac.digest(secret, b"holdfast document v1", hashlib.sha256)
        )

    def get(self, key: str) -> Document | None:
        """The current value, or None. Raises: StoreUnavailable."""
        found = self._inner.get(key)
        return None if found is None else self._opened(key, found)

    def swap(self, writes: Sequence[Write]) -> None:
        """All of the writes, durably, or none of them. Raises: Conflict, StoreUnavailable."""
        self._inner.swap(
            [Write(w.key, w.expected, self._seal(w.key, w.value) + w.value) for w in writes]
        )

    def list(self, prefix: str) -> Iterator[tuple[str, Document]]:
        """Documents whose key starts with ``prefix``, in ascending order of keys."""
        for key, found in self._inner.list(prefix):
            yield key, self._opened(key, found)

    def purge(self) -> None:
        """As the other's."""
        self._inner.purge()

    def _seal(self, key: str, value: bytes) -> bytes:
        secret = self._key or b""
        return hmac.digest(secret, b"%d %b %b" % (len(key), key.encode(), value), hashlib.sha256)

    def _opened(self, key: str, found: Document) -> Document:
        seal, value = found.value[:SEAL_BYTES], found.value[SEAL_BYTES:]
        if self._key is not None and not hmac.compare_digest(seal, self._seal(key, value)):
            return Document(found.version, b"")
        return Document(found.version, value)
