"""Time as it is passed in and written down: UTC, RFC 3339, microseconds."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime
from typing import Protocol

from chalicelib.kernel.errors import Malformed

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
