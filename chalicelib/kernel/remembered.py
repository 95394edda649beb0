"""Write-once objects that were read or written before, from memory: they cannot have changed.

Only for stores that keep their promise whoever writes to them, as Object Lock does.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import TYPE_CHECKING

from chalicelib.kernel.errors import DigestMismatch

if TYPE_CHECKING:
    from collections.abc import Iterator

    from chalicelib.kernel.store import WriteOnce

MAX_BYTES = 64 * 2**20


class RememberedWriteOnce:
    """Implements ``kernel.store.WriteOnce`` over another one, for any number of threads.

    Keeps up to ``max_bytes``, those that were used last. That something is missing is not kept.
    """

    def __init__(self, inner: WriteOnce, *, max_bytes: int = MAX_BYTES) -> None:
        self._inner = inner
        self._max_bytes = max_bytes
        self._kept: OrderedDict[str, bytes] = OrderedDict()
        self._bytes = 0
        self._lock = threading.Lock()

    def put(self, key: str, data: bytes) -> None:
        """Store durably; the same bytes again are fine. Raises: DigestMismatch; as the other."""
        kept = self._recall(key)
        if kept is None:
            self._inner.put(key, data)
            self._keep(key, data)
        elif kept != data:
            raise DigestMismatch(
                f"{key} is there already, with other bytes; it was left as it is",
                next_step="keep both, and verify the log",
            )

    def get(self, key: str) -> bytes:
        """The bytes. Raises: Missing; StoreUnavailable."""
        kept = self._recall(key)
        if kept is None:
            kept = self._inner.get(key)
            self._keep(key, kept)
        return kept

    def list(self, prefix: str) -> Iterator[str]:
        """Keys that start with ``prefix``, in ascending order."""
        return self._inner.list(prefix)

    def _recall(self, key: str) -> bytes | None:
        with self._lock:
            kept = self._kept.get(key)
            if kept is not None:
                self._kept.move_to_end(key)
            return kept

    def _keep(self, key: str, data: bytes) -> None:
        with self._lock:
            if key in self._kept or len(data) > self._max_bytes // 4:
                return
            self._kept[key] = data
            self._bytes += len(data)
            while self._bytes > self._max_bytes:
                self._bytes -= len(self._kept.popitem(last=False)[1])
