"""Named locks between processes: held by one, refused to the others, gone with their holder.

A lock is an ``flock`` on a file, which the kernel releases when its process ends, however it ends.
The file stays; what it says about its holder is only ever shown to people.
"""

from __future__ import annotations

import fcntl
import json
import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

from chalicelib.kernel.clock import timestamp
from chalicelib.kernel.errors import Busy
from chalicelib.kernel.store import check_key
from chalicelib.local import faults

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from chalicelib.kernel.clock import Clock

_MAX_HOLDER_BYTES = 256


class FileLocks:
    """Locks by name, as files under ``root``."""

    def __init__(self, root: Path, *, clock: Clock) -> None:
        self._root = root
        self._clock = clock

    @contextmanager
    def hold(self, name: str) -> Iterator[None]:
        """A block that no two processes, or threads, are in at once.

        Raises: Busy, at once, naming the holder and since when; StoreUnavailable.
        """
        check_key(name)
        path = self._root / f"{name}.lock"
        with faults.translated("cannot lock", path):
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
            file = os.open(path, flags, 0o600)
        try:
            with faults.translated("cannot lock", path):
                try:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    raise _busy(name, os.pread(file, _MAX_HOLDER_BYTES, 0)) from None
                self._say(file)
            yield
        finally:
            os.close(file)

    def _say(self, file: int) -> None:
        holder = {"pid": os.getpid(), "since": timestamp(self._clock.now())}
        os.ftruncate(file, 0)
        os.pwrite(file, json.dumps(holder).encode(), 0)


def _busy(name: str, holder: bytes) -> Busy:
    try:
        said = json.loads(holder)
        who = f"process {int(said['pid'])} since {said['since']!s:.27}"
    except (ValueError, TypeError, KeyError):
        who = "another process, which has just started"
    return Busy(
        f"{name} is held by {who}",
        next_step="wait until it ends, or end that process; its lock goes with it",
    )
