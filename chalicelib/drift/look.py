"""The look: a target as a source reads it now, compared with nothing and recorded nowhere."""

from __future__ import annotations

import functools
import gc
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

from chalicelib.drift.diff import Change, Operation, diff
from chalicelib.drift.snapshot import Snapshot, build
from chalicelib.kernel.errors import NotFound, Unsupported

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from chalicelib.drift.snapshot import Object
    from chalicelib.drift.source import Known, Reading, Source


class Look(NamedTuple):
    """A target as it was read: its snapshot, and what was noted while reading."""

    snapshot: Snapshot
    reading: Reading

    def coverage(self) -> list[Change]:
        """What could not be read, where there is no baseline to compare with."""
        changes = diff(build([]), self.snapshot)
        return [change for change in changes if change.operation is Operation.UNREADABLE]


_looking = 0  # how many looks go on in this process
_lock = threading.Lock()


@contextmanager
def _uncollected() -> Iterator[None]:
    """A block in which Python does not look for cycles of objects.

    A look makes objects by the hundred thousand, none of which refers back to another; to look
    through them again and again is a tenth of its time.
    """
    global _looking  # noqa: PLW0603 - the collector is one for the whole process
    with _lock:
        _looking += 1
        gc.disable()
    try:
        yield
    finally:
        with _lock:
            _looking -= 1
            if not _looking:
                gc.enable()


def look(source: Source, progress: Callable[..., None], known: Known | None = None) -> Look:
    """The target now, recorded nowhere. Raises: CouldNotTell, as the source does."""
    with _uncollected():
        if known is not None:
            known = known._replace(snapshot=functools.cache(known.snapshot))
        reading = source.read(progress, known)
        earlier = known.snapshot() if known is not None and reading.kept else None
        if earlier is not None and _same(earlier, reading.objects):
            return Look(earlier, reading)
        try:
            return Look(build(reading.objects), reading)
        except ValueError as error:
            raise Unsupported(f"what was read is no snapshot: {error}") from error


def _same(earlier: Snapshot, objects: list[Object]) -> bool:
    """Whether these are the very objects of a snapshot, which need not be built anew then."""
    stored = earlier.objects
    return len(objects) == len(stored) and all(
        (old := stored.get(item.key)) is item or old == item for item in objects
    )


def to_sign(source: Source, progress: Callable[..., None]) -> Look:
    """As :func:`look`, for a baseline. Raises: as it; NotFound, where the target is not there."""
    seen = look(source, progress)
    if seen.reading.missing:
        raise NotFound(
            f"nothing to sign for: {seen.reading.missing}",
            next_step="correct the name, region, account or role_arn of the target in the settings",
        )
    return seen
