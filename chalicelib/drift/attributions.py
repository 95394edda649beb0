"""Attributions: whose maker a scan asks for, and what it learns that was not known."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chalicelib.drift.who import Sought, nobody

if TYPE_CHECKING:
    from collections.abc import Iterable

    from chalicelib.drift.desk import Desk, Target
    from chalicelib.drift.diff import Change
    from chalicelib.drift.finding import Finding
    from chalicelib.drift.state import State
    from chalicelib.drift.who import Attribution


def learned(
    desk: Desk,
    target: Target,
    now: State,
    found: Iterable[tuple[Finding, Change]],
    ended: str,
) -> dict[str, Attribution]:
    """What was learned, by the findings' ids: of new ones, and of those that may tell more now.

    The worst are asked for first. ``ended``: when the reading was over (as ``kernel.clock``), which
    is where the window of what is new ends: it may have been changed while it was read.
    """
    if desk.attributed is nobody:
        return {}
    moment = desk.clock.now()
    sought = []
    for one, change in sorted(found, key=lambda pair: -pair[0].severity.rank):
        note = now.findings.get(one.id)
        if note is None:
            until = max(one.when.not_after, ended)
            sought.append(Sought(one.id, change, one.when.not_before, until))
        elif note.who is None:  # nobody was there to ask when it came
            sought.append(Sought(one.id, change, note.when.not_before, note.when.not_after))
        elif note.who.again(moment):
            sought.append(Sought(one.id, change, note.who.since, note.who.until))
    told = desk.attributed(target, sought, moment) if sought else {}
    known = {key: note.who for key, note in now.findings.items()}
    return {key: who for key, who in told.items() if who != known.get(key)}
