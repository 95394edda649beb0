"""The outcome: what a scan says in one word."""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING

from chalicelib.drift.diff import Operation
from chalicelib.drift.finding import BASELINE, Disposition

if TYPE_CHECKING:
    from collections.abc import Sequence

    from chalicelib.drift.finding import Finding


class Outcome(enum.Enum):
    """What a scan says. Only ``CLEAN`` is clean."""

    CLEAN = "clean"
    DRIFT = "drift"
    UNKNOWN = "unknown"
    REFUSED = "refused"  # the baseline in force failed verification

    @property
    def exit_code(self) -> int:
        """0 clean, 1 findings or verification failed, 3 could not tell."""
        return {Outcome.CLEAN: 0, Outcome.DRIFT: 1, Outcome.REFUSED: 1, Outcome.UNKNOWN: 3}[self]

    @classmethod
    def of(cls, judged: Sequence[tuple[Finding, Disposition]], *, compared: bool) -> Outcome:
        """Findings outweigh what is unknown; and nothing but a full, clean comparison is clean."""
        if any(one.kind == BASELINE for one, _ in judged):
            return cls.REFUSED
        if any(one.certain and disposition is Disposition.OPEN for one, disposition in judged):
            return cls.DRIFT
        unknown = any(one.operation is Operation.UNREADABLE for one, _ in judged)
        if unknown or not compared:
            return cls.UNKNOWN
        return cls.CLEAN
