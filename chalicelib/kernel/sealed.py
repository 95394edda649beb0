"""Documents that only this installation can write: each value carries an HMAC under its secret.

The log's state decides what is signed next. Somebody who can write files, but has no key, must not
be able to put a state there that makes the next append sign what they staged. Nor to put an answer
there that a request is then given, or a job that nobody asked for.
"""

from __future__ import annotations

import hashlib
import hmac
from typing import TYPE_CHECKING

from chalicelib.kernel import passing
from chalicelib.kernel.errors import KeyUnusable
from chalicelib.kernel.store import Document, Write

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from chalicelib.kernel.passing import Passing
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
        return _sealed(self._key or b"", key, value)

    def _opened(self, key: str, found: Document) -> Document:
        seal, value = found.value[:SEAL_BYTES], found.value[SEAL_BYTES:]
        if self._key is not None and not hmac.compare_digest(seal, self._seal(key, value)):
            return Document(found.version, b"")
        return Document(found.version, value)


class SealedPassing:
    """Implements ``kernel.passing.Passing`` over another one; values have 32 bytes fewer.

    A document whose seal does not hold is not there for whoever reads, and is there for whoever
    swaps: so a forged answer is given to nobody, and does not let its request happen again either,
    but refuses it with Conflict until it ends; a forged job is shown to nobody. The same follows
    where the installation's secret was changed. A seal holds its key and not its moment: whoever
    can write the store can bring back an older document of the same key, or remove one.

    Without a secret nothing is believed, and nothing can be written.
    """

    def __init__(self, inner: Passing, secret: bytes | None) -> None:
        self._inner = inner
        self._key = (
            None if secret is None else hmac.digest(secret, b"holdfast passing v1", hashlib.sha256)
        )

    def get(self, key: str) -> Document | None:
        """The document, or None. Raises: StoreUnavailable."""
        found = self._inner.get(key)
        return None if found is None else self._opened(key, found)

    def swap(self, key: str, expected: int, value: bytes, *, lasts_seconds: int) -> int:
        """Write where ``expected`` is the version; the new one.

        Raises: as the port says; KeyUnusable, without a secret.
        """
        if self._key is None:
            raise KeyUnusable(
                "this copy of the store has no secret to seal what it writes with",
                next_step="use the store where its key folder is",
            )
        passing.check_swap(key, expected, value, lasts_seconds)
        sealed = _sealed(self._key, key, value) + value
        return self._inner.swap(key, expected, sealed, lasts_seconds=lasts_seconds)

    def list(self, prefix: str, *, after: str = "", limit: int) -> list[tuple[str, Document]]:
        """As the other's, without those whose seal does not hold. Raises: as the port says."""
        found: list[tuple[str, Document]] = []
        while True:
            page = self._inner.list(prefix, after=after, limit=limit)
            for key, document in page:
                opened = self._opened(key, document)
                if opened is not None:
                    found.append((key, opened))
            if len(page) < limit or len(found) >= limit:
                return found[:limit]
            after = page[-1][0]

    def _opened(self, key: str, found: Document) -> Document | None:
        seal, value = found.value[:SEAL_BYTES], found.value[SEAL_BYTES:]
        if self._key is None or not hmac.compare_digest(seal, _sealed(self._key, key, value)):
            return None
        return Document(found.version, value)


def _sealed(secret: bytes, key: str, value: bytes) -> bytes:
    """The seal of a value under its key, 32 bytes."""
    return hmac.digest(secret, b"%d %b %b" % (len(key), key.encode(), value), hashlib.sha256)
