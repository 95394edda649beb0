"""The bell: what the service's controlling thread waits for, and threads and signals ring."""

from __future__ import annotations

import queue
from contextlib import suppress
from typing import Protocol


class Bell(Protocol):
    """What the controlling thread waits for."""

    def ring(self) -> None:
        """Wake it; also from a signal's handler."""
        ...

    def wait(self, seconds: float) -> None:
        """Return when it rings, or rang since the last time, or after ``seconds``."""
        ...


class ThreadBell:
    """Implements Bell. A SimpleQueue is the one thing to wait for that a handler may touch."""

    def __init__(self) -> None:
        self._rings: queue.SimpleQueue[None] = queue.SimpleQueue()

    def ring(self) -> None:
        """Wake whoever waits."""
        self._rings.put(None)

    def wait(self, seconds: float) -> None:
        """Return when it rings, or rang since the last time, or after ``seconds``."""
        with suppress(queue.Empty):
            self._rings.get(timeout=seconds)
            while True:
                self._rings.get_nowait()
