"""Parcels: packets that wait to be fetched, by an address that is good for minutes. A port."""

from __future__ import annotations

from typing import TYPE_CHECKING, BinaryIO, Final, Protocol

if TYPE_CHECKING:
    from datetime import datetime

KEEP_DAYS: Final = 7  # then a packet is to be built again


class Parcels(Protocol):
    """Where packets wait. A name is as a segment of ``kernel.store.check_key``."""

    def put(self, name: str, stream: BinaryIO) -> None:
        """Keep what is in the stream from its beginning on. Raises: StoreUnavailable."""
        ...

    def has(self, name: str) -> bool:
        """Whether it is there still. Raises: StoreUnavailable."""
        ...

    def address(self, name: str, until: datetime) -> str:
        """A URL that fetches it until then, for whoever has the URL.

        One that starts with ``/`` stands behind the API's base address. Raises: StoreUnavailable.
        """
        ...
