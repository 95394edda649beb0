"""Ticks: what the log has of a time of the schedule, and the lines that tell it.

A line is what the service says of one thing: a mapping of JSON values with its kind in ``event``.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, Final

from chalicelib.drift import schedule, state
from chalicelib.drift.outcome import Outcome
from chalicelib.kernel.errors import CouldNotTell

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from chalicelib.drift.desk import Desk
    from chalicelib.drift.schedule import Done, Event, Order
    from chalicelib.kernel.errors import HoldfastError
    from chalicelib.kernel.record import Journal

MISSED: Final = "missed"  # a later tick was recorded before
NOT_SCANNED: Final = "not scanned"  # there is no record of the target for the tick
NO_ANSWERS: Final = (MISSED, NOT_SCANNED)


def newest(journal: Journal) -> str:
    """The time of the newest tick that was dispatched; empty: none. Raises: StoreUnavailable."""
    last = journal.last(schedule.STREAM)
    if last is None:
        return ""
    entry = next(journal.stream(schedule.STREAM, last.seq), None)
    if entry is None:  # its append crashed
        journal.recover()
        entry = next(journal.stream(schedule.STREAM, last.seq))
    return str(entry.body["scheduled_at"])


def outcomes(desk: Desk, targets: Iterable[str], tick: str, *, exact: bool) -> Counter[str]:
    """How many of the targets have each outcome recorded for a tick, by its word.

    Not ``exact``: by their last scans, which count where they are not older than the tick.
    Raises: StoreUnavailable; Fork.
    """
    found: Counter[str] = Counter()
    for name in targets:
        now = desk.states.get(name)
        if exact:
            known = [one.outcome or MISSED for one in now.scheduled if one.at == tick]
        else:
            last = now.last_scan
            known = [last.outcome] if last is not None and last.at >= tick else []
        found[known[0] if known else NOT_SCANNED] += 1
    return found


def exit_codes(found: Iterable[str]) -> set[int]:
    """The exit codes of outcomes' words. What nobody scanned is unknown, and never clean."""
    return {
        CouldNotTell.exit_code if one in NO_ANSWERS else Outcome(one).exit_code for one in found
    }


def scanned(done: Done, order: Order, log: str, titles: Mapping[str, str]) -> list[dict[str, Any]]:
    """The line of a scan, and those of what came and went with it.

    ``titles``: of the findings that were there before, by their ids.
    """
    kinds = Counter(entry.record.kind for entry in done.entries)
    heartbeat = [entry for entry in done.entries if entry.record.kind == state.SCAN]
    line: dict[str, Any] = {
        "event": "scan",
        "target": done.target,
        "scheduled_at": order.scheduled_at,
        "outcome": done.outcome.value if done.outcome else MISSED,
        "repeated": done.repeated,
        "opened": kinds[state.OPENED],
        "closed": kinds[state.CLOSED],
    }
    if heartbeat:
        body = heartbeat[-1].body
        line["findings"] = len(body["findings"])
        line["record"] = heartbeat[-1].index
        if "failure" in body:
            line["failure"] = {key: body["failure"][key] for key in ("code", "message")}
    return [line, *told(schedule.events(done, log), titles)]


def told(events: Iterable[Event], titles: Mapping[str, str]) -> Iterator[dict[str, Any]]:
    """The lines of events; ``titles`` as in :func:`scanned`."""
    for event in events:
        line = {"event": event.type, "id": event.id, "at": event.at, **event.detail}
        if "title" not in line and line.get("finding") in titles:
            line["title"] = titles[line["finding"]]
        yield line


def failed(what: str, name: str, error: HoldfastError) -> dict[str, Any]:
    """The line of something that did not work."""
    return {
        "event": "failed",
        "what": what,
        "name": name,
        "error": error.code,
        "message": error.message,
        "next_step": error.next_step,
    }
