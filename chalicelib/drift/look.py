"""The look: a target as a source reads it now, compared with nothing and recorded nowhere."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from chalicelib.drift.diff import Change, Operation, diff
from chalicelib.drift.snapshot import Snapshot, build
from chalicelib.kernel.errors import NotFound, Unsupported

if TYPE_CHECKING:
    from collections.abc import Callable

    from chalicelib.drift.source import Known, Reading, Source


class Look(NamedTuple):
    """A target as it was read: its snapshot, and what was noted while reading."""

    snapshot: Snapshot
    reading: Reading

    def coverage(self) -> list[Change]:
        """What could not be read, where there is no baseline to compare with."""
        changes = diff(build([]), self.snapshot)
        return [change for change in changes if change.operation is Operation.UNREADABLE]


def look(source: Source, progress: Callable[..., None], known: Known | None = None) -> Look:
    """The target now, recorded nowhere. Raises: CouldNotTell, as the source does."""
    reading = source.read(progress, known)
    try:
        return Look(build(reading.objects), reading)
    except ValueError as error:
        raise Unsupported(f"what was read is no snapshot: {error}") from error


def to_sign(source: Source, progress: Callable[..., None]) -> Look:
    """As :func:`look`, for a baseline. Raises: as it; NotFound, where the target is not there."""
    seen = look(source, progress)
    if seen.reading.missing:
        raise NotFound(
            f"nothing to sign for: {seen.reading.missing}",
            next_step="correct the name, region, account or role_arn of the target in the settings",
        )
    return seen
