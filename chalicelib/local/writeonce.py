"""Write-once objects in a directory: a file appears whole under its name, and is never replaced.

What keeps them unchanged on one machine is this module and file modes, not the disk: whoever owns
the files can edit them, and verification then finds the first bad place. So no number of days can
be promised against the owner, and none is written down: this program removes no object, however
old. A hold is a second name of the file, under ``hold/`` beside the store: who removes the first
one, by mistake or by a rule of theirs for old files, has not removed the bytes.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from chalicelib.kernel.errors import DigestMismatch, Missing
from chalicelib.kernel.store import check_days
from chalicelib.local.directory import Directory

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

HOLDS = "hold"

_MODE = 0o444


class DirectoryWriteOnce:
    """Implements ``kernel.store.WriteOnce`` under ``root``, with holds in ``hold`` beside it."""

    def __init__(self, root: Path, *, sync: Callable[[int], None] = os.fsync) -> None:
        self._directory = Directory(root, sync=sync)
        self._holds = Directory(root.with_name(HOLDS), sync=sync)

    def put(self, key: str, data: bytes, *, keep_days: int = 0) -> None:
        """Store durably; the same bytes again are fine. ``keep_days``: see the module.

        Raises: DigestMismatch; StoreUnavailable.
        """
        check_days(keep_days)
        with self._directory.written(key, data, _MODE) as (nursery, temporary, directory, name):
            try:
                # link() fails where the name exists, and content is complete before it has a name.
                os.link(
                    temporary,
                    name,
                    src_dir_fd=nursery,
                    dst_dir_fd=directory,
                    follow_symlinks=False,
                )
            except FileExistsError:
                if self._directory.read(key) != data:
                    raise DigestMismatch(
                        f"{key} is there already, with other bytes; it was left as it is",
                        next_step="keep both, and verify the log",
                    ) from None

    def get(self, key: str) -> bytes:
        """The bytes. Raises: Missing; StoreUnavailable."""
        data = self._directory.read(key)
        if data is None:
            raise self._missing(key)
        return data

    def list(self, prefix: str) -> Iterator[str]:
        """Keys that start with ``prefix``, in ascending order."""
        return self._directory.keys(prefix)

    def hold(self, key: str) -> None:
        """Give the file a second name, durably; again is fine.

        Raises: Missing; DigestMismatch, where a file of other bytes has that name;
        StoreUnavailable, also on a file system without hard links.
        """
        data = self._directory.read(key)
        if data is None:
            raise self._missing(key)
        if not self._holds.link(key, self._directory) and self._holds.read(key) != data:
            raise DigestMismatch(
                f"{key} is held already, with other bytes; both were left as they are",
                next_step=f"keep both, and compare {self._holds.root / key} with a copy",
            )

    def release(self, key: str) -> None:
        """Take the second name away, if there is one. Raises: Missing; StoreUnavailable."""
        if self._directory.read(key) is None:  # then the second name is all that is left
            raise self._missing(key)
        self._holds.remove(key, durably=True)

    def held(self, key: str) -> bool:
        """Whether there is a second name. Raises: Missing; StoreUnavailable."""
        if self._directory.read(key) is None:
            raise self._missing(key)
        return self._holds.read(key) is not None

    def _missing(self, key: str) -> Missing:
        kept = self._holds.read(key) is not None
        return Missing(
            f"{key} is not in the write-once store at {self._directory.root}",
            next_step=(
                f"it is held: cp {self._holds.root / key} {self._directory.root / key}"
                if kept
                else "restore it from a copy; holdfast evidence fsck names what is missing"
            ),
        )
