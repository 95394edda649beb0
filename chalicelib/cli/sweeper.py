"""The sweeper: ends leases of ``serve`` when their time is over, and what is no lease any more.

It looks every second at what is due by the records. A target that is slow, or cannot be reached,
holds up no other: each has a thread of its own while it is swept, at most THREADS of them.
"""

from __future__ import annotations

import threading
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from chalicelib.access import lease
from chalicelib.kernel.clock import timestamp
from chalicelib.kernel.errors import HoldfastError
from chalicelib.settings import authority
from chalicelib.wiring import access

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from chalicelib.access.desk import Desk, Leased
    from chalicelib.kernel.record import Journal
    from chalicelib.wiring import Services

LOOK_SECONDS: Final = 1.0
ORPHANS_SECONDS: Final = 300  # between two looks at a target for what is no lease of ours
THREADS: Final = 8


class Sweeper:
    """``held`` gives the services as they are configured; ``emit`` hears of what is done."""

    def __init__(
        self,
        held: Callable[[], Services],
        journal: Journal,
        emit: Callable[[dict[str, Any]], None],
        monotonic: Callable[[], float],
    ) -> None:
        self._held = held
        self._journal = journal
        self._emit = emit
        self._monotonic = monotonic
        self._stopped = threading.Event()
        self._lock = threading.Lock()
        self._busy: dict[str, threading.Thread] = {}
        self._orphans_at: dict[str, float] = {}  # when to look for them next

    def start(self) -> None:
        """Look until :meth:`stop`; the threads end with the process, at any point of their work."""
        threading.Thread(target=self._run, name="sweeper", daemon=True).start()

    def stop(self) -> None:
        """Begin nothing more."""
        self._stopped.set()

    def look(self) -> list[threading.Thread]:
        """Begin to sweep every target at which something is due; the threads that do.

        One whose state cannot be read is said, and keeps no other from being looked at.
        """
        held = self._held()
        services = replace(held, desk=replace(held.desk, journal=self._journal))
        desk = access.desk(services, lambda: authority.load(services.settings))
        begun = []
        for target in access.every(services):
            orphans = self._monotonic() >= self._orphans_at.get(target.name, 0)
            with self._saying(target.name):
                due = orphans or self._due(desk, target)
                if due and (one := self._begin(desk, target, orphans)):
                    begun.append(one)
        return begun

    def _run(self) -> None:
        while not self._stopped.wait(LOOK_SECONDS):
            # Whoever reads what is said may be gone, and its disk full: leases end all the same.
            with suppress(OSError), self._saying("leases"):
                self.look()

    @contextmanager
    def _saying(self, name: str) -> Iterator[None]:
        """What fails inside is said, a defect by its kind alone, and stops nothing."""
        try:
            yield
        except HoldfastError as error:
            self._failed(name, error)
        except Exception as error:  # noqa: BLE001 - one look, or one target, ends no other
            self._failed(name, HoldfastError(f"a defect: {type(error).__name__}"))

    def _due(self, desk: Desk, target: Leased) -> bool:
        now = timestamp(desk.clock.now())
        first = lease.due(desk.states.get(target.stream))
        return first is not None and first <= now

    def _begin(self, desk: Desk, target: Leased, orphans: bool) -> threading.Thread | None:
        with self._lock:
            if target.name in self._busy or len(self._busy) >= THREADS or self._stopped.is_set():
                return None
            one = threading.Thread(
                target=self._sweep, args=(desk, target, orphans), daemon=True, name=target.name
            )
            one.start()  # where there is no room for a thread, the next look tries again
            self._busy[target.name] = one
        if orphans:
            self._orphans_at[target.name] = self._monotonic() + ORPHANS_SECONDS
        return one

    def _sweep(self, desk: Desk, target: Leased, orphans: bool) -> None:
        try:
            with suppress(OSError), self._saying(target.name):
                for one in lease.sweep(desk, target, orphans=orphans):
                    line = {"event": "lease", "target": one.target, "request": one.request}
                    line["what"] = one.what
                    if one.error is not None:
                        line["error"] = one.error.message
                    self._emit(line)
        finally:
            with self._lock:
                del self._busy[target.name]

    def _failed(self, name: str, error: HoldfastError) -> None:
        self._emit(
            {
                "event": "failed",
                "what": "leases",
                "name": name,
                "error": error.code,
                "message": error.message,
                "next_step": error.next_step,
            }
        )
