"""The judge: how much a change matters, and which way it goes.

1. What rules see of the change is gathered (``match.facts``).
2. Its meaning tells which way the change goes, where it has one (``meaning``) that is proven; else
   the first ``[[direction]]`` that applies.
3. The first ``[[rule]]`` that applies, given that direction, tells severity, title and controls.

Pure and total: every change gets a judgement; odd values are never an error.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from chalicelib.drift.match import facts
from chalicelib.drift.order import Direction
from chalicelib.drift.rulebook import Rules, Severity, describe, load

if TYPE_CHECKING:
    from chalicelib.drift.diff import Change
    from chalicelib.drift.verdict import Meaning

__all__ = ["Direction", "Judgement", "Rules", "Severity", "describe", "judge", "load"]


class Judgement(msgspec.Struct, frozen=True):
    """What the rules say about a change.

    ``rule``: the id of the rule that said it. ``controls``: what a finding of it supports, ids by
    framework. ``ordering``: the id of the direction that told which way; empty, if none did.
    """

    severity: Severity
    direction: Direction
    rule: str
    title: str
    controls: dict[str, list[str]]
    ordering: str = ""


def judge(change: Change, rules: Rules, meaning: Meaning | None = None) -> Judgement:
    """The judgement of a change by the rules, and by its meaning, where it has one."""
    seen = facts(change, None if meaning is None else meaning.facts)
    if meaning is None or meaning.ruled:
        direction, ordering = rules.direction(seen)
    else:
        direction, ordering = meaning.direction, ""
    found = rules.rule(seen, direction)
    return Judgement(
        severity=found.rule.severity,
        direction=direction,
        rule=found.rule.id,
        title=found.rule.title,
        controls={framework: list(ids) for framework, ids in found.controls.items()},
        ordering=ordering,
    )
