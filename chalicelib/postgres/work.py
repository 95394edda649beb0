"""The work of a look: what is still to be read, by sessions that take one kind at a time."""

from __future__ import annotations

import threading
from collections import deque
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from chalicelib.postgres.session import Session

# Of most databases, what there is most of: read first. The server looks a table up when it prints
# an index or a constraint of it, and remembers it in that session.
_LARGEST: Final = (("index", "constraint"), ("column", "table"))


class Work:
    """The kinds that are still to be read, for any number of sessions that take one at a time."""

    def __init__(
        self, kinds: Iterable[str], progress: Callable[[str, int, int], None], total: int
    ) -> None:
        wanted = set(kinds)
        first = [[name for name in several if name in wanted] for several in _LARGEST]
        self._mine: dict[int, deque[str]] = {}  # by thread
        self._first = deque(filter(None, first))
        self._waiting = deque(sorted(wanted.difference(*first)))
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
            name = None if self.failures else self._pick()
            if name is None:
                return None
            self._taken += 1
            try:
                self._progress(name, self._taken, self._total)
            except BaseException as error:  # noqa: BLE001 - as above
                self.failures.append(error)
                return None
            return name

    def _pick(self) -> str | None:
        """What this thread began and others should not go on with, or the next that waits."""
        mine = self._mine.setdefault(threading.get_ident(), deque())
        if not mine and self._first:
            mine.extend(self._first.popleft())
        if mine:
            return mine.popleft()
        return self._waiting.popleft() if self._waiting else None
