"""Hosts of targets: each is read by a bounded number of scans at a time, over all functions."""

from __future__ import annotations

import hashlib
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Final

from chalicelib.kernel.errors import Busy

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from chalicelib.drift.desk import Locks

WAIT_ATTEMPTS: Final = 40  # looks for a free place at a host, about a minute in all


@contextmanager
def place(locks: Locks, host: str, places: int, pause: Callable[[int], None]) -> Iterator[None]:
    """One of the host's places, held while the block runs; every process has the same places.

    Raises: Busy, when none came free in WAIT_ATTEMPTS looks, with a ``pause`` after each.
    """
    name = hashlib.sha256(host.encode()).hexdigest()[:32]
    for attempt in range(WAIT_ATTEMPTS):
        for number in range(places):
            with ExitStack() as stack:
                try:
                    stack.enter_context(locks.hold(f"host/{name}/{number}"))
                except Busy:
                    continue
                yield
                return
        pause(attempt)
    raise Busy(
        f"{places} scans of targets at {host} are under way",
        next_step="it comes again; raise [postgres] scans_per_host if the host can take more",
    )
