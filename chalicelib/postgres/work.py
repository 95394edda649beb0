"""The work of a look: what is still to be read, by sessions that take one kind at a time."""

from __future__ import annotations

import threading
from collections import deque
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from chalicelib.postgres.session import Session

_LARGEST: Final = ("index", "column", "constraint", "table")  # of most databases: read first


class Work:
    """The kinds that are still to be read, for any number of sessions that take one at a time."""

    def __init__(
        self, kinds: Iterable[str], progress: Callable[[str, int, int], None], total: int
    ) -> None:
        self._waiting = deque(sorted(kinds, key=lambda name: (name not in _LARGEST, name)))
        self._progress = progress
        self._total = total
        self._taken = 0
        self._lock = threading.Lock()
        self.failures: list[BaseException] = []

    def attend(self, read: Callable[..., None], session: Session, *, dated: bool) -> None:
        """Read what nobody has taken yet, until there is nothing left or a session has failed."""
        while (name := self._next()) is not None:
            try:
                read(name, session, dated=dated)
            except BaseException as error:  # noqa: BLE001 - raised again by who waits for all
                self.failures.append(error)

    def _next(self) -> str | None:
        with self._lock:
            if self.failures or not self._waiting:
                return None
            self._taken += 1
            name = self._waiting.popleft()
            try:
                self._progress(name, self._taken, self._total)
            except BaseException as error:  # noqa: BLE001 - as above
                self.failures.append(error)
                return None
            return name
