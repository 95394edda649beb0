"""Packets that wait in a folder, and addresses that are signed.

``/v1/packets/NAME/content?until=…&signature=…`` is answered by whoever serves the API on this
machine, to whoever has the address: HMAC-SHA256 under a key of the installation, over the name and
the moment.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import re
import secrets
import shutil
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, BinaryIO

from chalicelib.evidence.parcel import KEEP_DAYS
from chalicelib.kernel.errors import Forbidden, NotFound
from chalicelib.kernel.store import check_key
from chalicelib.local import faults

if TYPE_CHECKING:
    from pathlib import Path

    from chalicelib.kernel.clock import Clock

_PIECE_BYTES = 2**20
_UNTIL = re.compile(r"[1-9][0-9]{0,11}")  # a moment in seconds, in the one spelling given out


class DirectoryParcels:
    """Implements ``evidence.parcel.Parcels`` in ``folder``, created with mode 0700."""

    def __init__(self, folder: Path, key: bytes, clock: Clock) -> None:
        self._folder = folder
        self._key = key
        self._clock = clock

    def put(self, name: str, stream: BinaryIO) -> None:
        """Keep what is in the stream; packets that waited too long are removed."""
        check_key(name)
        with faults.translated("cannot write", self._folder):
            self._folder.mkdir(mode=0o700, exist_ok=True)
            self._sweep()
            made = self._folder / f".{name}-{secrets.token_hex(8)}"
            try:
                descriptor = os.open(made, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
                with os.fdopen(descriptor, "wb") as file:
                    shutil.copyfileobj(stream, file, _PIECE_BYTES)
                    file.flush()
                    os.fsync(file.fileno())
                made.replace(self._folder / name)
            finally:
                made.unlink(missing_ok=True)

    def has(self, name: str) -> bool:
        """Whether it is there still."""
        return self._path(name).is_file()

    def address(self, name: str, until: datetime) -> str:
        """The path and query that fetch it until then."""
        end = int(until.timestamp())
        return f"/v1/packets/{name}/content?until={end}&signature={self._sign(name, end)}"

    def open(self, name: str, until: str, signature: str) -> BinaryIO:
        """What is at an address. Raises: Forbidden, for one that is over or forged; NotFound."""
        end = int(until) if _UNTIL.fullmatch(until) else 0
        right = self._sign(name, end)
        if not hmac.compare_digest(right.encode(), signature.encode(errors="replace")):
            raise Forbidden("this address was not given out here")
        if self._clock.now().timestamp() >= end:
            raise Forbidden("this address is over", next_step="ask for the packet's address again")
        try:
            return self._path(name).open("rb")
        except FileNotFoundError:
            raise NotFound(f"the packet was kept for {KEEP_DAYS} days") from None

    def _path(self, name: str) -> Path:
        check_key(name)
        return self._folder / name

    def _sign(self, name: str, end: int) -> str:
        return hmac.digest(self._key, f"{end} {name}".encode(), hashlib.sha256).hex()

    def _sweep(self) -> None:
        """Remove what is too old, and what a crash left half."""
        oldest = self._clock.now() - timedelta(days=KEEP_DAYS)
        for path in self._folder.iterdir():
            if datetime.fromtimestamp(path.stat().st_mtime, tz=UTC) < oldest:
                path.unlink(missing_ok=True)
