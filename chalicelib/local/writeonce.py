"""Write-once objects in a directory: a file appears whole under its name, and is never replaced.

What keeps them unchanged on one machine is this module and file modes, not the disk: whoever owns
the files can edit them, and verification then finds the first bad place.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from chalicelib.kernel.errors import DigestMismatch, Missing
from chalicelib.local.directory import Directory

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

_MODE = 0o444


class DirectoryWriteOnce:
    """Implements ``kernel.store.WriteOnce`` under ``root``."""

    def __init__(self, root: Path, *, sync: Callable[[int], None] = os.fsync) -> None:
        self._directory = Directory(root, sync=sync)

    def put(self, key: str, data: bytes) -> None:
        """Store durably; the same bytes again are fine.

        Raises: DigestMismatch; StoreUnavailable.
        """
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
            raise Missing(
                f"{key} is not in the write-once store at {self._directory.root}",
                next_step="restore it from a copy; holdfast evidence fsck names what is missing",
            )
        return data

    def list(self, prefix: str) -> Iterator[str]:
        """Keys that start with ``prefix``, in ascending order."""
        return self._directory.keys(prefix)
