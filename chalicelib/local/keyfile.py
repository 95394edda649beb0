"""Files that hold a key: their owner's alone, mode 0600, made once and never replaced."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

from chalicelib.kernel.errors import KeyUnusable
from chalicelib.local import faults

if TYPE_CHECKING:
    from pathlib import Path

MAX_KEY_BYTES = 4_096  # an Ed25519 key in PEM has about 120
_OTHERS = stat.S_IRWXG | stat.S_IRWXO


def create(path: Path, data: bytes) -> None:
    """Store a key durably. Raises: KeyUnusable, if anything is there; StoreUnavailable."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    with faults.translated("cannot store the key at", path):
        try:
            file = os.open(path, flags, 0o600)
        except FileExistsError:
            raise KeyUnusable(
                f"{path} exists; a key is never replaced",
                next_step="use that key, or choose another path",
            ) from None
        try:
            with os.fdopen(file, "wb") as stream:
                stream.write(data)
                stream.flush()
                os.fsync(file)
            _sync_directory(path)
        except OSError:
            path.unlink(missing_ok=True)
            raise


def read(path: Path) -> bytes:
    """The bytes of a key that is this user's own and nobody else's to read. Raises: KeyUnusable."""
    try:
        file = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            _check(path, os.fstat(file))
            return os.read(file, MAX_KEY_BYTES)
        finally:
            os.close(file)
    except OSError as error:
        raise KeyUnusable(
            f"cannot read the key at {path}: {error.strerror}",
            next_step="restore the key file from a copy, or correct the path to it",
        ) from error


def _check(path: Path, found: os.stat_result) -> None:
    if not stat.S_ISREG(found.st_mode):
        raise KeyUnusable(f"{path} is not a regular file")
    if found.st_uid != os.geteuid():
        raise KeyUnusable(
            f"{path} belongs to user {found.st_uid}, not to {os.geteuid()}, who runs this",
            next_step=f"chown {os.geteuid()} {path}",
        )
    if found.st_mode & _OTHERS:
        raise KeyUnusable(
            f"{path} is open to others: mode {stat.S_IMODE(found.st_mode):04o}, expected 0600",
            next_step=f"chmod 600 {path}, and replace the key if others may have read it",
        )


def _sync_directory(path: Path) -> None:
    directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)
