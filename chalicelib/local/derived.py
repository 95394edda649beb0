"""Derived objects in a directory: each put replaces the whole file at once."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from chalicelib.local.directory import Directory

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

_MODE = 0o600


class DirectoryDerived:
    """Implements ``kernel.store.Derived`` under ``root``."""

    def __init__(self, root: Path, *, sync: Callable[[int], None] = os.fsync) -> None:
        self._directory = Directory(root, sync=sync)

    def put(self, key: str, data: bytes) -> None:
        """Store durably, atomically replacing what was there. Raises: StoreUnavailable."""
        with self._directory.written(key, data, _MODE) as (nursery, temporary, directory, name):
            os.replace(temporary, name, src_dir_fd=nursery, dst_dir_fd=directory)

    def get(self, key: str) -> bytes | None:
        """The bytes, or None. Raises: StoreUnavailable."""
        return self._directory.read(key)

    def delete(self, key: str) -> None:
        """Remove, if it is there. Raises: StoreUnavailable."""
        self._directory.remove(key)

    def list(self, prefix: str) -> Iterator[str]:
        """Keys that start with ``prefix``, in ascending order."""
        return self._directory.keys(prefix)
