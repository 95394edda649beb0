"""A directory that holds objects under keys, and is never left through a link or a ``..``.

Every step below the root is taken with ``openat`` and O_NOFOLLOW, so that a link planted anywhere
under it is refused rather than followed. What write-once and derived stores share; the difference,
whether an object may be replaced, is theirs.
"""

from __future__ import annotations

import errno
import os
import secrets
import stat
from contextlib import contextmanager
from typing import TYPE_CHECKING

from chalicelib.kernel.errors import Malformed, Unsupported
from chalicelib.kernel.store import MAX_OBJECT_BYTES, check_key
from chalicelib.local import faults

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

_TEMPORARY = ".tmp"  # no key can name it: segments never start with a dot
_OPEN_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_OPEN_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC  # never waits for a pipe
_OPEN_ROOT = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC  # the root may be reached by a link
_DIRECTORY_MODE = 0o700


class Directory:
    """The files under ``root``, which is created with mode 0700 if it is not there.

    ``sync`` makes one open file or directory durable; tests pass one that fails.
    """

    def __init__(self, root: Path, *, sync: Callable[[int], None] = os.fsync) -> None:
        self.root = root
        self._sync = sync
        self._durable: set[str] = set()  # directories whose entry in their parent was synced

    def read(self, key: str) -> bytes | None:
        """The bytes, or None. Raises: StoreUnavailable; Malformed, where no regular file stands."""
        *parents, name = check_key(key)
        path = self.root / key
        with faults.translated("cannot read", path):
            try:
                with self._opened(parents, key) as directory:
                    file = os.open(name, _OPEN_FILE, dir_fd=directory)
            except FileNotFoundError:
                return None
            except OSError as error:
                if error.errno == errno.ELOOP:
                    raise _no_object(key) from None
                raise
            if not stat.S_ISREG(os.fstat(file).st_mode):
                os.close(file)
                raise _no_object(key)
            with os.fdopen(file, "rb") as stream:
                data = stream.read(MAX_OBJECT_BYTES + 1)
        if len(data) > MAX_OBJECT_BYTES:
            raise Malformed(f"{key} is larger than {MAX_OBJECT_BYTES} bytes")
        return data

    @contextmanager
    def written(self, key: str, data: bytes, mode: int) -> Iterator[tuple[int, str, int, str]]:
        """A durable temporary file with these bytes, and the place that it is meant for.

        Gives (directory, temporary name, directory, name) for ``link`` or ``rename``; makes the
        name durable afterwards. Whatever is left under the temporary name goes.
        """
        if len(data) > MAX_OBJECT_BYTES:  # what is never read again must not be stored
            raise Unsupported(
                f"{key} would have {len(data)} bytes; at most {MAX_OBJECT_BYTES} are stored",
                next_step="find what is so large in the target, e.g. a comment or a definition",
            )
        *parents, name = check_key(key)
        temporary = f"{os.getpid()}-{secrets.token_hex(8)}"
        with (
            faults.translated("cannot store", self.root / key),
            self._opened([_TEMPORARY], key, create=True) as nursery,
            self._opened(parents, key, create=True) as directory,
        ):
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
            file = os.open(temporary, flags, 0o600, dir_fd=nursery)
            try:
                with os.fdopen(file, "wb") as stream:
                    stream.write(data)
                    stream.flush()
                    os.fchmod(file, mode)
                    self._sync(file)
                yield nursery, temporary, directory, name
                self._sync(directory)
            finally:
                _remove(temporary, nursery)

    def remove(self, key: str, *, durably: bool = False) -> None:
        """Remove the file, if it is there. Raises: StoreUnavailable."""
        *parents, name = check_key(key)
        with faults.translated("cannot remove", self.root / key):
            try:
                with self._opened(parents, key) as directory:
                    _remove(name, directory)
                    if durably:
                        self._sync(directory)
            except FileNotFoundError:
                return

    def link(self, key: str, other: Directory) -> bool:
        """Durably give another directory's file the same name here too; False, where one stands.

        Raises: FileNotFoundError, where the other has no such file; StoreUnavailable; Malformed.
        """
        *parents, name = check_key(key)
        with (
            other._opened(parents, key) as source,
            faults.translated("cannot hold", self.root / key),
            self._opened(parents, key, create=True) as directory,
        ):
            try:
                os.link(name, name, src_dir_fd=source, dst_dir_fd=directory, follow_symlinks=False)
            except FileExistsError:
                return False
            finally:
                self._sync(directory)  # also of one that another process has just made
        return True

    def keys(self, prefix: str) -> Iterator[str]:
        """Keys that start with ``prefix``, ascending; links too, so that they are found."""
        yield from self._keys([], prefix)

    def _keys(self, parents: list[str], prefix: str) -> Iterator[str]:
        here = "".join(f"{segment}/" for segment in parents)
        with faults.translated("cannot list", self.root / here):
            try:
                with self._opened(parents, here) as directory, os.scandir(directory) as found:
                    # "a.p/" sorts before "a/": the slash is part of the text that is compared.
                    names = sorted(
                        entry.name + "/" * entry.is_dir(follow_symlinks=False) for entry in found
                    )
            except FileNotFoundError:
                return
        for name in names:
            key = here + name
            if name.startswith("."):
                continue
            if not name.endswith("/"):
                if key.startswith(prefix):
                    yield key
            elif key.startswith(prefix) or prefix.startswith(key):
                yield from self._keys([*parents, name[:-1]], prefix)

    @contextmanager
    def _opened(self, parents: list[str], key: str, *, create: bool = False) -> Iterator[int]:
        """The directory that holds a key, open. Raises: FileNotFoundError; OSError; Malformed."""
        if create and (not self.root.exists() or "" not in self._durable):
            self.root.mkdir(mode=_DIRECTORY_MODE, parents=True, exist_ok=True)
            _synced(self.root.parent, self._sync)
            self._durable.add("")
        directory = os.open(self.root, _OPEN_ROOT)
        try:
            for depth, segment in enumerate(parents):
                if create:
                    self._make("/".join(parents[: depth + 1]), segment, directory)
                below = _open_below(segment, directory, key)
                os.close(directory)
                directory = below
            yield directory
        finally:
            os.close(directory)

    def _make(self, path: str, segment: str, parent: int) -> None:
        """Create one directory durably; sync it too if another process created it just now."""
        try:
            os.mkdir(segment, _DIRECTORY_MODE, dir_fd=parent)
        except FileExistsError:
            if path in self._durable:
                return
        self._sync(parent)
        self._durable.add(path)


def _synced(path: Path, sync: Callable[[int], None]) -> None:
    directory = os.open(path, _OPEN_ROOT)
    try:
        sync(directory)
    finally:
        os.close(directory)


def _open_below(segment: str, parent: int, key: str) -> int:
    try:
        return os.open(segment, _OPEN_DIRECTORY, dir_fd=parent)
    except OSError as error:
        # Linux answers ENOTDIR, POSIX ELOOP, where O_DIRECTORY | O_NOFOLLOW meets a link.
        if error.errno in (errno.ENOTDIR, errno.ELOOP):
            raise _no_object(key) from None
        raise


def _remove(name: str, directory: int) -> None:
    try:
        os.unlink(name, dir_fd=directory)
    except FileNotFoundError:
        return


def _no_object(key: str) -> Malformed:
    return Malformed(
        f"{key} is not a stored object: a symbolic link or something else than a file stands there",
        next_step="find out who put it there, and restore the object from a copy",
    )
