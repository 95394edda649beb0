"""Time as it is passed in and written down: UTC, RFC 3339, microseconds."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime, time
from typing import Protocol

from chalicelib.kernel.errors import Malformed, UsageError

_FORMAT = "%Y-%m-%dT%H:%M:%S.%fZ"


class Clock(Protocol):
    """Where the time comes from."""

    def now(self) -> datetime:
        """The moment, timezone-aware."""
        ...


def timestamp(moment: datetime) -> str:
    """``2026-10-01T02:00:00.123456Z``: always UTC, always six digits; text order is time order."""
    if moment.tzinfo is None:
        raise ValueError("a timestamp needs a timezone-aware datetime")
    moment = moment.astimezone(UTC)
    return f"{moment.year:04d}" + moment.strftime(_FORMAT[2:])


def parse_timestamp(text: str) -> datetime:
    """The moment that :func:`timestamp` wrote. Raises: Malformed, on any other form."""
    with suppress(ValueError):
        moment = datetime.fromisoformat(text)  # many forms, of which one is left below
        if moment.tzinfo is UTC and timestamp(moment) == text:
            return moment
    raise Malformed(f"not a timestamp of the form 2026-10-01T02:00:00.123456Z: {text!r}")


def moment(text: str) -> datetime:
    """The UTC moment of ``2026-10-01`` or ``2026-10-01T02:00Z``. Raises: UsageError."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise UsageError(
            f"not a day or a moment: {text[:80]!r}; expected 2026-10-01 or 2026-10-01T02:00Z"
        ) from None
    if found.tzinfo is None:
        if found.time() != time():
            raise UsageError(f"a moment needs its timezone: {text[:80]!r}; expected {text[:80]}Z")
        found = found.replace(tzinfo=UTC)
    try:
        return found.astimezone(UTC)
    except OverflowError:  # within a day of the calendar's ends
        raise UsageError(f"not a moment that can be told in UTC: {text[:80]!r}") from None
