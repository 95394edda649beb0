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

    Keeps up to ``max_bytes``, those that were used last. That something is missing is not kept,
    nor what is held. For how many days this process had an object locked is kept with it, so
    ``keep_days`` counts from the first time that it asked for as many.
    """

    def __init__(self, inner: WriteOnce, *, max_bytes: int = MAX_BYTES) -> None:
        self._inner = inner
        self._max_bytes = max_bytes
        self._kept: OrderedDict[str, tuple[bytes, int]] = OrderedDict()
        self._bytes = 0
        self._lock = threading.Lock()

    def put(self, key: str, data: bytes, *, keep_days: int = 0) -> None:
        """Store durably; the same bytes again are fine. Raises: DigestMismatch; as the other."""
        kept = self._recall(key)
        if kept is None or kept[1] < keep_days:
            self._inner.put(key, data, keep_days=keep_days)
            self._keep(key, data, keep_days)
        elif kept[0] != data:
            raise DigestMismatch(
                f"{key} is there already, with other bytes; it was left as it is",
                next_step="keep both, and verify the log",
            )

    def get(self, key: str) -> bytes:
        """The bytes. Raises: Missing; StoreUnavailable."""
        kept = self._recall(key)
        if kept is not None:
            return kept[0]
        data = self._inner.get(key)
        self._keep(key, data, 0)
        return data

    def list(self, prefix: str) -> Iterator[str]:
        """Keys that start with ``prefix``, in ascending order."""
        return self._inner.list(prefix)

    def hold(self, key: str) -> None:
        """As the other's."""
        self._inner.hold(key)

    def release(self, key: str) -> None:
        """As the other's."""
        self._inner.release(key)

    def held(self, key: str) -> bool:
        """As the other's."""
        return self._inner.held(key)

    def _recall(self, key: str) -> tuple[bytes, int] | None:
        with self._lock:
            kept = self._kept.get(key)
            if kept is not None:
                self._kept.move_to_end(key)
            return kept

    def _keep(self, key: str, data: bytes, keep_days: int) -> None:
        with self._lock:
            if len(data) > self._max_bytes // 4:
                return
            before = self._kept.get(key)
            if before is None:
                self._bytes += len(data)
            self._kept[key] = (data, max(keep_days, before[1] if before else 0))
            while self._bytes > self._max_bytes:
                self._bytes -= len(self._kept.popitem(last=False)[1][0])
