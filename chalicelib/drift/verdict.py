"""What a change means, beyond its text: which way it goes, and what shows it."""

from __future__ import annotations

from typing import Final

import msgspec

from chalicelib.drift.iam.compare import Widening
from chalicelib.drift.order import Direction

MAX_REASONS: Final = 5
MAX_REASON_CHARACTERS: Final = 500

_DIRECTIONS: Final = {
    Widening.WIDENED: Direction.WIDENS,
    Widening.NARROWED: Direction.NARROWS,
    Widening.BOTH: Direction.BOTH,
    Widening.NEUTRAL: Direction.NEUTRAL,
    Widening.UNDECIDED: Direction.UNDECIDED,
}


class Meaning(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a change of policies, or of who may do what in a database, means.

    ``reasons``: at most MAX_REASONS, each with what shows it, or why nobody can tell.
    ``reference_date``: of the list of AWS's actions that the verdict holds for; empty, where no
    list was needed. ``analyzer``: what Access Analyzer says; empty, where it was not asked.
    ``facts``: what rules see beside the object (docs/rules.md). ``ruled``: the verdict is not
    proven, so the rules tell which way the change goes, as if it had no meaning.
    """

    verdict: Widening
    reasons: list[str] = []
    reference_date: str = ""
    analyzer: str = ""
    facts: dict[str, bool] = {}
    ruled: bool = False

    @property
    def direction(self) -> Direction:
        """Which way the change goes."""
        return _DIRECTIONS[self.verdict]


def bounded(text: str) -> str:
    """A reason of at most MAX_REASON_CHARACTERS, the cut shown."""
    return text if len(text) <= MAX_REASON_CHARACTERS else text[: MAX_REASON_CHARACTERS - 1] + "…"
