"""Notices: whoever the settings name is told of requests and leases, each at once and by itself."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Final

from chalicelib.access import receiver
from chalicelib.access.receiver import Books
from chalicelib.wiring import leases

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from chalicelib.access.desk import Desk, Leased
    from chalicelib.access.receiver import Receiver, Told
    from chalicelib.wiring.services import Services

THREADS: Final = 8


def tell(services: Services, desk: Desk, targets: Sequence[Leased]) -> list[Told]:
    """What each receiver was told. Raises: ConfigError, for one that cannot be; CouldNotTell."""
    found = leases.receivers(services.settings, services.desk.clock)
    if not found:
        return []
    books = Books(
        journal=desk.journal,
        documents=services.documents,
        clock=services.desk.clock,
        log=services.verifier.name,
        targets={one.stream: one.name for one in targets},
        reveal=desk.reveal,
    )
    with ThreadPoolExecutor(THREADS) as pool:

        def at_once(call: Callable[[Receiver], Told], many: Sequence[Receiver]) -> Iterable[Told]:
            return pool.map(call, many)

        return receiver.tell_all(found, books, at_once)
