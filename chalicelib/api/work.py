"""Work: jobs from a queue, each done once as far as the log tells, and what they came to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from chalicelib.api import baselines, jobs, packets
from chalicelib.drift import approval, explained, look, scan, schedule, state
from chalicelib.drift.schedule import Done
from chalicelib.kernel import ledger
from chalicelib.kernel.clock import timestamp
from chalicelib.kernel.errors import (
    Busy,
    Conflict,
    CouldNotTell,
    Fork,
    HoldfastError,
    NotFound,
    Overdue,
    StoreUnavailable,
    Unreachable,
    UsageError,
)
from chalicelib.wiring.services import LOG_STREAM

if TYPE_CHECKING:
    from collections.abc import Callable

    from chalicelib.api.jobs import Job
    from chalicelib.drift.desk import Desk, Target
    from chalicelib.drift.schedule import Event
    from chalicelib.drift.source import Source
    from chalicelib.kernel.record import Entry
    from chalicelib.wiring import Services
    from chalicelib.wiring.backend import Backend

    _Deed = tuple[dict[str, Any], list[Entry]]  # what came of it, and what was recorded

_AGAIN = (Busy, Conflict, StoreUnavailable, Fork)  # then the message is to come again


@dataclass(frozen=True, slots=True)
class Bench:
    """What a worker works with. ``open_source(target)`` may raise CouldNotTell and UsageError."""

    services: Services
    desk: Desk
    backend: Backend
    open_source: Callable[[Target], Source]


class Finished(NamedTuple):
    """A job that has ended. ``entries``: records that the world is to be told of."""

    job: Job
    entries: list[Entry]

    def events(self, log: str) -> list[Event]:
        """What the world is told: findings that came and went. ``log``: the log's name."""
        return schedule.events(Done(self.job.target, None, self.entries), log)


def work(bench: Bench, job: str) -> Finished | None:
    """Do a job; None where it is over, or gone. What it fails with is in the job.

    Raises: Busy, Conflict, StoreUnavailable, Fork: then it is to be delivered again.
    """
    clock, passing = bench.desk.clock, bench.backend.passing
    try:
        one = jobs.read(passing, job)
        last = bench.desk.journal.last(one.target or LOG_STREAM)
        begun = jobs.begin(passing, clock, job, last.seq if last else 0)
    except NotFound:
        return None
    if begun is None:
        return None
    result: dict[str, Any] | HoldfastError
    entries: list[Entry] = []
    try:
        result, entries = _DEEDS[begun.kind](bench, begun)
    except _AGAIN:
        raise
    except HoldfastError as error:
        result = error
    return Finished(jobs.end(passing, clock, job, result), entries)


def give_up(bench: Bench, job: str) -> Finished | None:
    """The job has failed: every attempt ended without an answer. Raises: Conflict."""
    error = Overdue("every attempt ended without an answer", next_step="ask again")
    try:
        return Finished(jobs.end(bench.backend.passing, bench.desk.clock, job, error), [])
    except NotFound:
        return None


def _scan(bench: Bench, one: Job) -> _Deed:
    """``record``: the scan's place in the log."""
    target = bench.services.settings.target(one.target)
    if done := _before(bench, one, state.SCAN):
        return {"record": done[-1].index}, done
    _check_in_time(bench, one)
    found: Source | CouldNotTell
    try:
        found = bench.open_source(target)
    except CouldNotTell as error:
        found = error
    except UsageError as error:
        found = Unreachable(error.message, next_step=error.next_step)
    result = scan.scan(bench.desk, target, found, actor=one.by, progress=_quiet, request=one.id)
    return {"record": result.index}, result.entries


def _propose(bench: Bench, one: Job) -> _Deed:
    """``proposal``: its id; ``in_force``; ``gaps``: kinds that could not be read in full."""
    desk = bench.desk
    target = bench.services.settings.target(one.target)
    if done := _before(bench, one, state.PROPOSED):
        now = desk.states.get(target.stream)
        proposal = done[-1].body["proposal"]
        in_force = now.baseline is not None and now.baseline.proposal == proposal
        return {"proposal": proposal, "in_force": in_force, "gaps": []}, []
    _check_in_time(bench, one)
    source = bench.open_source(target)
    with desk.locks.hold(target.lock):
        since = timestamp(desk.clock.now())
        taken, reading = look.to_sign(source, _quiet)
        taken, leases = explained.lasting(desk, target, taken, reading, since)
        now = approval.propose(
            desk,
            target,
            taken,
            identity=reading.identity,
            read_at=reading.read_at,
            actor=one.by,
            comment=one.asked["comment"],
            replace=one.asked["replace"],
            request=one.id,
            leases=leases,
        )
    proposal = now.proposal.id if now.proposal else now.baseline.proposal if now.baseline else ""
    told = {"proposal": proposal, "in_force": now.proposal is None, "gaps": baselines.gaps(taken)}
    return told, []


def _before(bench: Bench, one: Job, kind: str) -> list[Entry]:
    """The records up to this job's deed, where an earlier delivery did it and could not say so."""
    now = ledger.now(bench.desk, one.target)
    if one.after is None or now.seq == one.after:
        return []
    found = []
    for entry in bench.desk.journal.stream(one.target, one.after + 1):
        found.append(entry)
        if entry.record.kind == kind and entry.body.get("request") == one.id:
            return found
    return []


def _packet(bench: Bench, one: Job) -> _Deed:
    _check_in_time(bench, one)
    return packets.build(bench, one), []


def _check_in_time(bench: Bench, one: Job) -> None:
    """Return if whoever asked was not told yet that it failed: else it is not to be done either.

    Raises: Overdue.
    """
    if one.seen(timestamp(bench.desk.clock.now())).state == jobs.FAILED:
        raise Overdue("nobody finished it in its time", next_step="ask again")


def _quiet(_what: str, _done: int, _total: int) -> None:
    """Nobody watches."""


_DEEDS: dict[str, Callable[[Bench, Job], _Deed]] = {
    jobs.SCAN: _scan,
    jobs.PROPOSAL: _propose,
    jobs.PACKET: _packet,
}
