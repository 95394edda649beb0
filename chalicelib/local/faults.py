"""Faults: the one place where failures of the file system become errors that say what to do.

An error names a path and a next step, never the bytes that were to be stored.
"""

from __future__ import annotations

import errno
from contextlib import contextmanager
from typing import TYPE_CHECKING

from chalicelib.kernel.errors import StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_NEXT_STEPS = {
    errno.ENOSPC: "free space on the file system of {path}, then try again",
    errno.EDQUOT: "raise the disk quota or free space for {path}, then try again",
    errno.EFBIG: "raise the limit on file sizes (ulimit -f), then try again",
    errno.EROFS: "mount the file system of {path} read-write, then try again",
    errno.EACCES: "give this user read and write access to {path}, then try again",
    errno.EPERM: "check owner and attributes of {path}: it must allow new files and hard links",
    errno.EIO: "check the device under {path}: it fails to read or write",
    errno.EMFILE: "raise the limit on open files (ulimit -n), then try again",
    errno.ENOENT: "check that {path} exists and that nobody removes it",
    errno.ENOTDIR: "check that {path} is a directory",
    errno.ELOOP: "replace the symbolic link at {path} by a directory; links are not followed",
}


@contextmanager
def translated(action: str, path: Path) -> Iterator[None]:
    """A block whose OSErrors become StoreUnavailable: ``action`` at ``path`` failed, and why."""
    try:
        yield
    except OSError as error:
        raise unavailable(action, path, error) from error


def unavailable(action: str, path: Path, error: OSError) -> StoreUnavailable:
    """The error of a failed ``action``, a verb phrase such as ``cannot store``."""
    number = error.errno or 0
    reason = error.strerror or type(error).__name__
    step = _NEXT_STEPS.get(number, "check the file system of {path}, then try again")
    return StoreUnavailable(
        f"{action} {path}: {reason} ({errno.errorcode.get(number, 'no errno')})",
        next_step=step.format(path=path),
    )
