"""The teller: tells receivers of requests and leases while ``serve`` runs, every few seconds."""

from __future__ import annotations

import threading
import time
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from chalicelib.kernel.errors import HoldfastError
from chalicelib.settings import authority
from chalicelib.wiring import access, notices

if TYPE_CHECKING:
    from collections.abc import Callable

    from chalicelib.kernel.record import Journal
    from chalicelib.wiring import Services

LOOK_SECONDS: Final = 5.0
AGAIN_SECONDS: Final = 300.0  # until the same failure is said again


class Teller:
    """``held`` gives the services as they are configured; ``emit`` hears of what was not taken."""

    def __init__(
        self,
        held: Callable[[], Services],
        journal: Journal,
        emit: Callable[[dict[str, Any]], None],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._held = held
        self._journal = journal
        self._emit = emit
        self._monotonic = monotonic
        self._said: dict[tuple[str, str], float] = {}  # when, by who it is about and what
        self._stopped = threading.Event()

    def start(self) -> None:
        """Tell until :meth:`stop`; the thread ends with the process: what was told is kept."""
        threading.Thread(target=self._run, name="teller", daemon=True).start()

    def stop(self) -> None:
        """Begin nothing more."""
        self._stopped.set()

    def once(self) -> None:
        """One look; what keeps it from telling anybody is said."""
        try:
            self.look()
        except HoldfastError as error:
            self._failed("receivers", error)
        except Exception as error:  # noqa: BLE001 - one look ends no look after it
            self._failed("receivers", HoldfastError(f"a defect: {type(error).__name__}"))

    def look(self) -> int:
        """Tell every receiver what it was not told yet; how many notices were taken."""
        held = self._held()
        services = replace(held, desk=replace(held.desk, journal=self._journal))
        desk = access.desk(services, lambda: authority.load(services.settings))
        total = 0
        for one in notices.tell(services, desk, access.every(services)):
            total += one.told
            if one.error is not None:
                self._failed(one.receiver, one.error)
        return total

    def _run(self) -> None:
        while not self._stopped.wait(LOOK_SECONDS):
            with suppress(OSError):  # whoever reads what is said may be gone
                self.once()

    def _failed(self, name: str, error: HoldfastError) -> None:
        now = self._monotonic()
        self._said = {one: at for one, at in self._said.items() if now - at < AGAIN_SECONDS}
        if (name, error.message) in self._said:
            return
        self._said[name, error.message] = now
        self._emit(
            {
                "event": "failed",
                "what": "notices",
                "name": name,
                "error": error.code,
                "message": error.message,
                "next_step": error.next_step,
            }
        )
