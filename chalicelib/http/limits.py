"""Limits: a bucket of requests for each caller, in this process.

On AWS every process of the function has buckets of its own, and API Gateway bounds them together.
"""

from __future__ import annotations

import math
import threading
from collections import OrderedDict
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

MAX_CALLERS: Final = 10_000  # remembered; the one that was away longest is forgotten


class Limits:
    """Buckets of ``burst`` requests, refilled at ``per_second``; ``monotonic()`` in seconds."""

    def __init__(self, per_second: float, burst: int, monotonic: Callable[[], float]) -> None:
        self._per_second = per_second
        self._burst = burst
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()  # left, and when

    def wait(self, caller: str) -> int:
        """0 where the caller may go on, and one is taken; else the seconds until they may."""
        now = self._monotonic()
        with self._lock:
            left, then = self._buckets.pop(caller, (float(self._burst), now))
            left = min(float(self._burst), left + (now - then) * self._per_second)
            seconds = 0 if left >= 1 else math.ceil((1 - left) / self._per_second)
            self._buckets[caller] = (left if seconds else left - 1, now)
            while len(self._buckets) > MAX_CALLERS:
                self._buckets.popitem(last=False)
        return seconds
