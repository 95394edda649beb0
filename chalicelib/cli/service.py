"""The service: schedule, queue and workers in one process, until it is told to stop.

Everything it works with is passed in. One thread controls: it dispatches ticks, takes deliveries
from the queue and hands each to a thread of its own, at most ``workers`` at once and ``per_place``
for one database host. What the process had in its hands when it died is in the queue, and the log
says what of it was recorded.

A tick is a multiple of the period since 1970, UTC, so that a restart finds the same ticks. One that
was slept through is not dispatched later: its time is UNOBSERVED, and the next record of the
schedule shows the gap.
"""

from __future__ import annotations

import threading
from collections import Counter, deque
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from chalicelib.cli import ticks
from chalicelib.drift import schedule
from chalicelib.evidence.group import GroupJournal
from chalicelib.kernel.clock import parse_timestamp, timestamp
from chalicelib.kernel.errors import (
    Busy,
    ConfigError,
    Conflict,
    CouldNotTell,
    Fork,
    HoldfastError,
    Malformed,
    Unreachable,
    UsageError,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from chalicelib.cli.bell import Bell
    from chalicelib.cli.installation import Installation
    from chalicelib.drift.desk import Target
    from chalicelib.drift.schedule import Done, Order
    from chalicelib.drift.source import Source
    from chalicelib.kernel.clock import Clock
    from chalicelib.kernel.record import Actor, Journal
    from chalicelib.local.queue import Delivery, Lane, SqliteQueue

MAX_WAIT_SECONDS: Final = 30.0  # a machine that was asleep finds its tick after that
MIN_WAIT_SECONDS: Final = 0.02
MAX_RETRY_SECONDS: Final = 60.0
BUSY_SECONDS: Final = 10.0  # until a target that somebody else holds is tried again
ONCE_ATTEMPTS: Final = 3  # at a dead letter, where the service is to end by itself
GRACE_SECONDS: Final = 60.0  # for what is under way when the service is told to stop
LATE: Final = 0.1  # of a period: a tick dispatched later gives its targets a whole period

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def in_thread(work: Callable[[], None]) -> None:
    """Run it in a thread that does not keep the process alive."""
    threading.Thread(target=work, daemon=True).start()


@dataclass(frozen=True, slots=True)
class _Task:
    """A delivery in a thread's hands, from the queue or from its dead letters."""

    delivery: Delivery
    lane: Lane
    dead: bool
    installation: Installation


class Service:
    """``run`` is the whole of it; ``stop`` ends it, also from a signal's handler.

    ``installation()`` is asked at every tick. ``emit(line)`` tells the world one thing, from any
    thread; what it raises ends the service. ``jitter()`` is a random number from 0 to 1.
    ``journal``: that of whoever else appends in this process.
    """

    def __init__(
        self,
        *,
        installation: Callable[[], Installation],
        orders: SqliteQueue,
        clock: Clock,
        bell: Bell,
        emit: Callable[[dict[str, Any]], None],
        jitter: Callable[[], float],
        actor: Actor,
        period: timedelta,
        workers: int,
        per_place: int,
        once: bool = False,
        journal: Journal | None = None,
        spawn: Callable[[Callable[[], None]], None] = in_thread,
    ) -> None:
        self._load = installation
        self._queue = orders
        self._clock = clock
        self._bell = bell
        self._emit = emit
        self._jitter = jitter
        self._actor = actor
        self._period = period
        self._workers = workers
        self._per_place = per_place
        self._once = once
        self._spawn = spawn
        self._now: Installation | None = None
        self._journal = journal
        self._ticked: datetime | None = None
        self._kept: datetime | None = None  # the tick at which the settings could not be read
        self._newest = ""  # the tick that the log had, where none was dispatched
        self._scans = 0
        self._try_at = _EPOCH
        self._running: dict[str, str] = {}  # group → place, of what threads have in their hands
        self._finished: deque[str] = deque()
        self._given_up: set[str] = set()
        self._codes: set[int] = set()
        self._fatal: BaseException | None = None
        self._stop_at: datetime | None = None
        self._stopping = False

    def stop(self) -> None:
        """Take nothing more, finish what is under way, and return from ``run``."""
        self._stopping = True
        self._bell.ring()

    def run(self) -> int:
        """The exit code: 0; with ``once``, the worst that the records of the tick say.

        Raises: Fork, and what ``emit`` raises; with ``once``, whatever a tick raises.
        """
        self._now = self._open()
        if not self._once:
            self._emit(
                {
                    "event": "started",
                    "targets": len(self._now.targets),
                    "period_seconds": int(self._period.total_seconds()),
                    "next_tick": timestamp(self._floor(self._clock.now()) + self._period),
                    "workers": self._workers,
                }
            )
        if reclaimed := self._queue.reclaim():
            self._emit({"event": "reclaimed", "orders": reclaimed})
        while True:
            if not self._stopping:
                self._tick()
                self._hand_out()
            if self._fatal is not None:
                raise self._fatal
            if self._ended():
                break
            self._bell.wait(self._idle_seconds())
            while self._finished:
                del self._running[self._finished.popleft()]
        if self._running:
            self._emit({"event": "left", "orders": len(self._running)})
        codes = self._answers() if self._once else set()
        return next((code for code in (1, 3) if code in codes), 0)

    def _answers(self) -> set[int]:
        """The exit codes of the one tick: what is recorded for it, whoever recorded it."""
        if self._now is None or self._ticked is None:
            return {CouldNotTell.exit_code}
        tick = timestamp(self._ticked)
        exact = self._newest in {"", tick}
        found = ticks.outcomes(self._now.desk, self._now.targets, tick, exact=exact)
        if self._newest:
            line = {"event": "recorded", "scheduled_at": tick, "scans": self._scans}
            if not exact:
                line["newest"] = self._newest
            self._emit({**line, "outcomes": dict(sorted(found.items()))})
        return self._codes | ticks.exit_codes(found)

    def _ended(self) -> bool:
        if self._stopping:
            now = self._clock.now()
            if self._stop_at is None:
                self._stop_at = now + timedelta(seconds=GRACE_SECONDS)
                seconds = int(GRACE_SECONDS)
                self._emit({"event": "stopping", "scans": len(self._running), "seconds": seconds})
            return not self._running or now >= self._stop_at
        if not self._once or self._running:
            return False
        return self._queue.size() == 0 and self._queue.dead.size() <= len(self._given_up)

    def _idle_seconds(self) -> float:
        """Until there is something to do that does not ring."""
        now = self._clock.now()
        moments = [now + timedelta(seconds=MAX_WAIT_SECONDS)]
        if self._stop_at is not None:
            moments.append(self._stop_at)
        elif len(self._running) < self._workers:
            moments.append(max(self._floor(now) + self._period, self._try_at))
            for lane in (self._queue, self._queue.dead):
                due_at = lane.due_at()
                # What is due and was not taken waits for a host, and so for a thread, which rings.
                if due_at is not None and (due_at > now or not self._running):
                    moments.append(due_at)
        return max(MIN_WAIT_SECONDS, (min(moments) - now).total_seconds())

    def _floor(self, now: datetime) -> datetime:
        return now - (now - _EPOCH) % self._period

    def _open(self) -> Installation:
        """What is configured now, with one journal for all threads, which appends in groups."""
        found = self._load()
        if self._journal is None:
            self._journal = GroupJournal(found.desk.journal)
        return replace(found, desk=replace(found.desk, journal=self._journal))

    def _tick(self) -> None:
        now = self._clock.now()
        tick = self._floor(now)
        if tick == self._ticked or now < self._try_at or (self._once and self._ticked):
            return
        try:
            self._dispatch(tick, now)
        except Fork:
            raise
        except HoldfastError as error:
            if self._once:
                raise
            # A store may come back; the tick is tried again.
            self._try_at = now + timedelta(seconds=MAX_RETRY_SECONDS / 4)
            self._emit(ticks.failed("tick", timestamp(tick), error))
            return
        self._ticked = tick

    def _configured(self, tick: datetime) -> Installation:
        """What is configured at a tick. Where that cannot be read, what was before stays so."""
        try:
            self._now = self._open()
        except ConfigError as error:
            if self._once or self._now is None:
                raise
            if self._kept != tick:  # once a tick, however often that is tried
                self._kept = tick
                line = ticks.failed("settings", timestamp(tick), error)
                line["message"] += "; the settings read before stay in force"
                self._emit(line)
        return self._now

    def _dispatch(self, tick: datetime, now: datetime) -> None:
        installation = self._configured(tick)
        desk = installation.desk
        last = ticks.newest(desk.journal)
        if last and parse_timestamp(last) > now:
            self._codes.add(CouldNotTell.exit_code)
            self._emit(
                {
                    "event": "failed",
                    "what": "tick",
                    "name": timestamp(tick),
                    "error": "clock",
                    "message": f"the log has a tick of {last}, and now is {timestamp(now)}: "
                    "nothing is dispatched before",
                    "next_step": "compare this machine's clock with the log",
                }
            )
        if last >= timestamp(tick):
            self._newest = last
            return
        late = now - tick
        count = schedule.dispatch(
            desk,
            installation.targets.values(),
            self._queue,
            scheduled_at=tick,
            period=self._period + (late if late > self._period * LATE else timedelta()),
            actor=self._actor,
            settings_sha256=installation.settings_sha256,
        )
        line = {"event": "dispatched", "scheduled_at": timestamp(tick), "targets": count}
        if last and parse_timestamp(last) + self._period < tick:
            line["unobserved_since"] = last
        self._emit(line)

    def _hand_out(self) -> None:
        """Deliveries to threads, while there are both; dead letters first, for they are quick."""
        installation = self._now
        if installation is None:
            return
        for lane, dead in ((self._queue.dead, True), (self._queue, False)):
            while len(self._running) < self._workers:
                full = self._given_up if dead else self._full(installation)
                taken = lane.receive(1, without={*full, *self._running})
                if not taken:
                    break
                task = _Task(taken[0], lane, dead, installation)
                group = taken[0].message.group
                self._running[group] = "" if dead else installation.places.get(group, "")
                self._spawn(partial(self._handle, task))

    def _full(self, installation: Installation) -> set[str]:
        """The targets on hosts that have as many scans as they may have."""
        counts = Counter(self._running.values())
        full = {place for place, count in counts.items() if place and count >= self._per_place}
        if not full:
            return set()
        return {name for name, place in installation.places.items() if place in full}

    def _handle(self, task: _Task) -> None:
        """A thread's whole life. What escapes from it ends the service."""
        try:
            self._work(task)
        except BaseException as error:  # noqa: BLE001 - ``run`` raises it again
            self._fatal = error
        finally:
            self._finished.append(task.delivery.message.group)
            self._bell.ring()

    def _work(self, task: _Task) -> None:
        delivery = task.delivery
        try:
            if self._other(task):
                task.lane.delete(delivery.handle)
                return
            order = schedule.decode(delivery.message.body)
            target = task.installation.targets.get(order.target)
            if target is not None:
                before = task.installation.desk.states.get(target.stream).findings
                titles = {name: found.title for name, found in before.items()}
                self._tell(task, self._scan(task, target, order), order, titles)
            else:
                self._emit({"event": "dropped", "target": order.target, "why": "not configured"})
            task.lane.delete(delivery.handle)
        except Malformed as error:
            self._emit(ticks.failed("order", delivery.message.group, error))
            task.lane.delete(delivery.handle)
        except Fork:
            raise
        except HoldfastError as error:
            self._again(task, error, counted=not isinstance(error, (Busy, Conflict)))
        except OSError:
            raise  # nobody hears what is told
        except Exception as error:  # noqa: BLE001 - a defect that one target brings out stops no other
            # Its message may hold anything, a DSN too: only its kind is shown.
            self._again(
                task, HoldfastError(f"a defect in Holdfast: {type(error).__name__}"), counted=True
            )

    def _other(self, task: _Task) -> bool:
        """Whether the message was no order, and is done."""
        work = task.installation.other
        message, desk = task.delivery.message, task.installation.desk
        lines = None if work is None else work(message, desk, task.dead)
        for line in lines or ():
            self._emit(line)
        return lines is not None

    def _scan(self, task: _Task, target: Target, order: Order) -> Done:
        desk = task.installation.desk
        source: Source | CouldNotTell
        if task.dead:
            source = schedule.overdue(target, order, "every attempt to scan it failed")
        else:
            try:
                left = schedule.seconds_left(desk, order)
                source = task.installation.open_source(target, left)
            except CouldNotTell as error:
                source = error
            except UsageError as error:
                source = Unreachable(error.message, next_step=error.next_step)
        return schedule.work(desk, target, order, source, actor=self._actor)

    def _tell(self, task: _Task, done: Done, order: Order, titles: Mapping[str, str]) -> None:
        """One line of the scan, and its events; again, where they may not have been told."""
        self._scans += not done.repeated
        log = task.installation.desk.keyid.partition("+")[0]
        for line in ticks.scanned(done, order, log, titles):
            self._emit(line)

    def _again(self, task: _Task, error: HoldfastError, *, counted: bool) -> None:
        """Deliver the order again, later with every attempt and not all at the same time."""
        delivery = task.delivery
        line = ticks.failed("scan", delivery.message.group, error)
        self._emit({**line, "attempt": delivery.attempt})
        if self._once and task.dead and delivery.attempt >= ONCE_ATTEMPTS:
            self._codes.add(CouldNotTell.exit_code)
            self._given_up.add(delivery.message.group)
        seconds = min(2.0 ** min(delivery.attempt, 10), MAX_RETRY_SECONDS)
        seconds = seconds if counted else BUSY_SECONDS
        try:
            task.lane.release(
                delivery.handle, seconds * (0.5 + self._jitter() / 2), counted=counted
            )
        except HoldfastError as failure:  # then the visibility timeout does it
            self._emit(ticks.failed("queue", delivery.message.group, failure))
