"""The schedule: who is to be scanned when, each time once, and what was not done in time.

A tick of the schedule sends one order a target to a queue (:func:`dispatch`); a worker takes an
order and scans (:func:`work`); an order that no worker could finish is worked off with the reason
instead of a source (:func:`overdue`). The queue delivers at least once, and one order a target at a
time. What makes an order happen once is the log: the scan's record names the time of the schedule,
and is appended only after the record that the worker saw last.

So for every target and tick there is one record: a scan that read the target, a scan that says
``unknown`` because it was not read by its deadline, or ``scan.missed``, where the next one was
recorded before.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, Protocol

import msgspec

from chalicelib.drift import approval, state
from chalicelib.drift.outcome import Outcome
from chalicelib.drift.scan import held
from chalicelib.drift.who import Attribution
from chalicelib.kernel import canon, ledger, names
from chalicelib.kernel.clock import parse_timestamp, timestamp
from chalicelib.kernel.errors import (
    Conflict,
    CouldNotTell,
    Malformed,
    NotAllowed,
    Overdue,
    UsageError,
)
from chalicelib.kernel.record import Draft, Entry

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from datetime import datetime

    from chalicelib.drift.desk import Desk, Target
    from chalicelib.drift.source import Source
    from chalicelib.kernel.record import Actor

STREAM = "schedule"
DISPATCHED = "schedule.dispatched"
VERSION = 1
MAX_ORDER_BYTES = 1_024
MAX_ATTEMPTS = 3  # to record a tick
MAX_PERIOD = timedelta(days=2)
MAX_SKEW = timedelta(minutes=10)  # between the clocks of the schedule and of a worker


class Message(msgspec.Struct, frozen=True):
    """What a queue takes: delivered in order within ``group``, and once for each ``dedup``."""

    group: str
    dedup: str
    body: bytes


class Queue(Protocol):
    """Where orders wait for a worker."""

    def send(self, messages: Sequence[Message]) -> None:
        """All of them, durably. Raises: StoreUnavailable, when some were not sent."""
        ...


class Order(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Scan ``target`` (full name) for a tick of the schedule, before ``deadline_at``."""

    v: int
    target: str
    scheduled_at: str
    deadline_at: str


class Event(msgspec.Struct, frozen=True):
    """What the world is told, after it was recorded; the same again has the same ``id``."""

    id: str
    type: str
    at: str
    detail: dict[str, Any]


class Events(Protocol):
    """Whoever tells the world."""

    def publish(self, events: Sequence[Event]) -> None:
        """All of them, at least once. Raises: StoreUnavailable, when some were not taken."""
        ...


class Done(msgspec.Struct, frozen=True):
    """What came of an order. ``repeated``: it was recorded before, by another delivery.

    ``outcome`` is None where the order was missed. ``entries``: the records of this order that the
    world is to be told of.
    """

    target: str
    outcome: Outcome | None
    entries: list[Entry]
    repeated: bool = False


def encode(order: Order) -> bytes:
    """The order's canonical bytes."""
    return canon.encode(msgspec.to_builtins(order))


def decode(data: bytes) -> Order:
    """The order in a message. Raises: Malformed."""
    if len(data) > MAX_ORDER_BYTES:
        raise Malformed(f"an order of {len(data)} bytes; at most {MAX_ORDER_BYTES} are taken")
    try:
        order = msgspec.convert(canon.decode(data), Order)
        names.target(order.target)
    except (msgspec.ValidationError, UsageError) as error:
        raise Malformed(f"not an order: {error}") from None
    if order.v != VERSION:
        raise Malformed(f"an order of version {order.v}; this program takes {VERSION}")
    lasts = parse_timestamp(order.deadline_at) - parse_timestamp(order.scheduled_at)
    if not timedelta() < lasts <= MAX_PERIOD:
        raise Malformed(f"an order whose deadline is not within {MAX_PERIOD} after its time")
    return order


def _check_time(desk: Desk, scheduled_at: str) -> None:
    """Return unless the time is yet to come. Once recorded, it would make others look late."""
    now = timestamp(desk.clock.now() + MAX_SKEW)
    if scheduled_at > now:
        raise NotAllowed(
            f"a tick of the schedule at {scheduled_at}, which is more than {MAX_SKEW} ahead",
            next_step="look at who sends to the scan queue, and at this machine's clock",
        )


def dispatch(
    desk: Desk,
    targets: Iterable[Target],
    queue: Queue,
    *,
    scheduled_at: datetime,
    period: timedelta,
    actor: Actor,
    settings_sha256: str,
) -> int:
    """Send one order for every target, then record which were due; returns how many.

    Run again for the same tick it sends the same again, which the queue drops or the log does not
    repeat, and records nothing more. Raises: StoreUnavailable: run it again.
    """
    at = timestamp(scheduled_at)
    _check_time(desk, at)
    deadline_at = timestamp(scheduled_at + period)
    due = sorted({target.stream for target in targets})
    orders = [Order(VERSION, stream, at, deadline_at) for stream in due]
    queue.send([Message(one.target, f"{one.target}@{at}", encode(one)) for one in orders])
    digest = canon.sha256(canon.encode(due))
    body: dict[str, Any] = {
        "scheduled_at": at,
        "deadline_at": deadline_at,
        "targets": len(due),
        "targets_sha256": digest,
        "settings_sha256": settings_sha256,
    }
    for attempt in range(MAX_ATTEMPTS):
        last = _dispatched(desk)
        if last is not None and last.body["scheduled_at"] >= at:
            break
        follows = {"previous": None if last is None else last.index, **_due(last, due, digest)}
        draft = Draft(DISPATCHED, STREAM, timestamp(desk.clock.now()), actor, body | follows)
        try:
            after = {STREAM: 0 if last is None else last.record.seq}
            desk.journal.append([draft], after=after)
            break
        except Conflict:  # the same tick was delivered twice at once
            if attempt == MAX_ATTEMPTS - 1:
                raise
    return len(due)


def _due(last: Entry | None, due: list[str], digest: str) -> dict[str, Any]:
    """Who is due, spelt out where it is not as at the tick before: else the record that has it."""
    if last is None or last.body["targets_sha256"] != digest:
        return {"due": due}
    return {"due_at": last.index if "due" in last.body else last.body["due_at"]}


def _dispatched(desk: Desk) -> Entry | None:
    """The schedule's last record."""
    last = desk.journal.last(STREAM)
    if last is None:
        return None
    newest = next(desk.journal.stream(STREAM, last.seq), None)
    if newest is None:  # its append crashed before it was signed
        desk.journal.recover()
        newest = next(desk.journal.stream(STREAM, last.seq))
    return newest


def seconds_left(desk: Desk, order: Order) -> float:
    """Until the order's deadline; negative beyond it."""
    return (parse_timestamp(order.deadline_at) - desk.clock.now()).total_seconds()


def work(
    desk: Desk,
    target: Target,
    order: Order,
    source: Source | CouldNotTell,
    *,
    actor: Actor,
    progress: Callable[..., None] = lambda _what, _done, _total: None,
) -> Done:
    """Scan for an order, or say what was recorded for it already.

    Beyond its deadline nothing is read, and the target is unknown. Raises: NotAllowed, for a
    time that is yet to come; Busy, Conflict,
    StoreUnavailable, Fork: then the order is to be delivered again.
    """
    _check_time(desk, order.scheduled_at)
    with desk.locks.hold(target.lock):
        now = approval.finish(desk, target, actor)
        told = _recorded(desk, now, order)
        if told is not None:
            return told
        if now.scheduled and order.scheduled_at < now.scheduled[-1].at:
            return _missed(desk, target, now, order, actor)
        if seconds_left(desk, order) <= 0:
            source = overdue(target, order, "its turn came after its deadline")
        pending = now.pending
        result = held(
            desk,
            target,
            now,
            source,
            actor=actor,
            progress=progress,
            scheduled_at=order.scheduled_at,
        )
        entries = result.entries
        if pending:  # an attempt before ended between two appends, and told nobody
            entries = _entries(desk, target.stream, pending, entries[-1].record.seq)
        return Done(target.stream, result.outcome, entries)


def overdue(target: Target, order: Order, why: str) -> Overdue:
    """Why a target is unknown that no worker finished with."""
    return Overdue(
        f"{target.stream} was not read for {order.scheduled_at} by {order.deadline_at}: {why}",
        next_step=f"holdfast scan {target.slug}; docs/operate.md, Overdue",
    )


def _recorded(desk: Desk, now: state.State, order: Order) -> Done | None:
    """What was recorded for the order's time, to be told again; None, where nothing was."""
    tick = next((one for one in now.scheduled if one.at == order.scheduled_at), None)
    if tick is None and len(now.scheduled) == state.MAX_SCHEDULED:
        tick = _older(desk, now, order)
    if tick is None:
        return None
    quiet = tick.outcome and tick.first == tick.seq  # the scan alone: nothing came or went
    entries = [] if quiet else _entries(desk, now.target, tick.first, tick.seq)
    return Done(now.target, Outcome(tick.outcome) if tick.outcome else None, entries, repeated=True)


def _older(desk: Desk, now: state.State, order: Order) -> state.Tick | None:
    """The same from the log, for an order older than what the state remembers."""
    if order.scheduled_at > now.scheduled[0].at:
        return None
    folded = state.State(now.target)
    for entry in desk.journal.stream(now.target):
        state.SHAPE.grow(folded, [entry])
        for tick in folded.scheduled:
            if tick.at == order.scheduled_at:
                return tick
    return None


def _entries(desk: Desk, stream: str, first: int, seq: int) -> list[Entry]:
    return [one for one in desk.journal.stream(stream, first) if one.record.seq <= seq]


def _missed(desk: Desk, target: Target, now: state.State, order: Order, actor: Actor) -> Done:
    """A later order is recorded: this one says only that nobody looked at its time."""
    body = {"scheduled_at": order.scheduled_at, "deadline_at": order.deadline_at}
    draft = Draft(state.MISSED, target.stream, timestamp(desk.clock.now()), actor, body)
    return Done(target.stream, None, ledger.append(desk, now, [draft]))


def events(done: Done, log: str) -> list[Event]:
    """What the world is told of an order: findings that came and went, who it was, or a miss.

    ``log``: the log's name. An event's id is its record's place in it.
    """
    told = []
    for entry in done.entries:
        record, body = entry.record, entry.body
        detail = {"target": record.stream, "record": entry.index, "at": record.at, "log": log}
        if record.kind == state.OPENED:
            kind = "finding opened"
            detail |= {"finding": body["id"]}
            detail |= {key: body[key] for key in ("severity", "direction", "title")}
            detail |= _culprit(body)
        elif record.kind == state.CLOSED:
            kind = "finding closed"
            detail |= {"finding": body["id"]}
        elif record.kind == state.ATTRIBUTED and (culprit := _culprit(body)):
            kind = "finding attributed"
            detail |= {"finding": body["id"], **culprit}
        elif record.kind == state.MISSED:
            kind = "scan failed"
            detail |= {"severity": "high", "title": f"not scanned for {body['scheduled_at']}"}
        else:
            continue  # what a scan could not tell is a finding of its own, told once
        told.append(Event(f"{log}/{entry.index}", kind, record.at, detail))
    return told


def _culprit(body: dict[str, Any]) -> dict[str, Any]:
    """Who made a finding's change, and by which request, where that is certain."""
    who = msgspec.convert(body.get("who"), Attribution | None)
    if who is None or who.culprit is None:
        return {}
    return {"principal": who.culprit.name, "request": who.candidates[0].request_id}
