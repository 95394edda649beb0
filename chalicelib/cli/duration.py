"""Durations on the command line: ``90s``, ``15m``, ``1h``."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Final

from chalicelib.kernel.errors import UsageError

SHORTEST: Final = timedelta(minutes=1)  # EventBridge: a rate has at least a minute
LONGEST: Final = timedelta(hours=24)

_FORM: Final = re.compile(r"([0-9]{1,5})([smh])")
_UNITS: Final = {"s": "seconds", "m": "minutes", "h": "hours"}


def period(text: str, *, option: str = "--every") -> timedelta:
    """The period of a schedule, one minute to 24 hours. Raises: UsageError, naming the option."""
    found = _FORM.fullmatch(text.strip())
    if found is not None:
        value = timedelta(**{_UNITS[found[2]]: int(found[1])})
        if SHORTEST <= value <= LONGEST:
            return value
    raise UsageError(
        f"{option}: not a period from 1m to 24h: {text[:20]!r}",
        next_step=f"{option} 15m; seconds are s, minutes m, hours h",
    )
