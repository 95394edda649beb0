"""A fleet on a schedule in virtual time: thousands of targets, workers that die, late messages.

Discrete events, as SQS FIFO and Lambda would have them: a tick dispatches, batches of up to ten
deliveries go to free workers, each order is worked on in a thread of its own, and a batch is
acknowledged when its last order is done. Only time is simulated. Orders, queue, log, states and
locks are the real ones. Reading a target suspends its thread until the virtual time at which the
reading ends, so that the orders of one moment are under way at once, hold their locks, and share
appends as threads of one process do.
"""

from __future__ import annotations

import heapq
import random
import threading
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from support.memory import MemoryDerived, MemoryDocuments, MemoryLocks, MemoryWriteOnce

from chalicelib.drift import approval, schedule
from chalicelib.drift.desk import Desk, Target
from chalicelib.drift.judge import load as load_rules
from chalicelib.drift.look import look
from chalicelib.drift.snapshot import Object
from chalicelib.drift.source import Query, Reading
from chalicelib.drift.state import States
from chalicelib.evidence import note
from chalicelib.evidence.group import GroupJournal
from chalicelib.evidence.keys import LogKey, keyring
from chalicelib.evidence.log import Log
from chalicelib.kernel.clock import parse_timestamp, timestamp
from chalicelib.kernel.errors import Busy, ConnectionLost
from chalicelib.kernel.record import Actor
from chalicelib.kernel.signing import Algorithm, PublicKey
from chalicelib.local.queue import SqliteQueue

START = datetime(2026, 10, 1, tzinfo=UTC)
ACTOR = Actor("scan", "os")
ANA = Actor("ana", "asserted")
BATCH = 10  # deliveries that one worker takes at a time; SQS FIFO, event source mapping
SLICE_SECONDS = 2.0  # orders that go on within it do so at once, and share an append
SKEW_SECONDS = 30.0


class Killed(BaseException):
    """The worker's process is gone; nothing of it runs on but what is outside."""


@dataclass
class Plan:
    """What a run is to be like. Shares are of all orders; times are in seconds."""

    targets: int
    workers: int
    period: float = 900.0
    visibility: float = 360.0  # above what any batch takes
    lease: float = 330.0  # after which the lock of a killed worker is free
    hang: float = 300.0  # the bound of one reading
    slowest: float = 20.0
    signed: int = 0  # targets with a baseline, which drift at the second tick
    poisoned: tuple[int, ...] = ()  # hang until the bound, every time
    crashing: tuple[int, ...] = ()  # kill their worker, every time
    killed_before: float = 0.0  # killed once while reading
    killed_after: float = 0.0  # killed once after the append, before the acknowledgement
    duplicated: float = 0.0  # delivered once more, whenever
    diverted: float = 0.0  # not through the FIFO queue: delivered whenever
    skew: float = 0.0
    shared_fate: bool = False  # a worker's orders are in one process, and die together
    seed: int = 1


@dataclass
class Task:
    """One order in a worker's hands."""

    order: schedule.Order
    at: float
    skew: float
    batch: list[Task] = field(default_factory=list)
    handle: str = ""
    lane: object = None
    dead: bool = False
    kill: str = ""
    go: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))
    wakes_at: float | None = None
    done: bool = False
    closed: bool = False
    doomed: bool = False
    error: BaseException | None = None


class Clock:
    """Virtual time, as the worker that asks has it."""

    def __init__(self):
        self.seconds = 0.0
        self.own = threading.local()

    def now(self):
        task = getattr(self.own, "task", None)
        seconds = self.seconds if task is None else task.at + task.skew
        return START + timedelta(seconds=seconds)


class Key:
    def __init__(self, seed):
        self._key = Ed25519PrivateKey.from_private_bytes(seed.to_bytes(32, "big"))
        self.public = PublicKey(Algorithm.ED25519, self._key.public_key().public_bytes_raw())

    def sign(self, message):
        return self._key.sign(message)


class Simulation:
    """A run of ``plan``; what came of it is in the attributes and in the log."""

    def __init__(self, folder, plan):
        self.plan = plan
        self.random = random.Random(plan.seed)  # noqa: S311 - a seeded world
        self.clock = Clock()
        self.targets = [Target(f"t{n:05d}", approvals=0) for n in range(plan.targets)]
        self.number = {target.stream: n for n, target in enumerate(self.targets)}
        self.queue = SqliteQueue(
            folder / "queue.db",
            self.clock,
            visibility_seconds=plan.visibility,
            max_receives=3,
            durable=False,
        )
        self._stores()
        self.heap, self.counter = [], 0
        self.free = plan.workers
        self.idle = threading.Semaphore(0)
        self.guard = threading.Lock()
        self.reading = Counter()
        self.most_at_once = 0
        self.drifted = False
        self.events = []
        self.outcomes = Counter()
        self.tick_of = {}
        self.doomed = {}

    def _stores(self):
        signer = Key(self.plan.seed)
        self.verifier = note.verifier("simulation.example", signer.public)
        self.objects, self.derived = MemoryWriteOnce(), MemoryDerived()
        self.documents, self.locks = MemoryDocuments(), MemoryLocks(abandons=(Killed,))
        log = Log(
            writeonce=self.objects,
            derived=self.derived,
            documents=self.documents,
            signer=signer,
            keys=keyring([LogKey(self.verifier)]),
            tool="test/0",
            pause=lambda _attempt: None,
        )
        self.log = GroupJournal(log)
        self.desk = Desk(
            journal=self.log,
            objects=self.objects,
            states=States(log, self.derived, b"s" * 32),
            locks=self.locks,
            clock=self.clock,
            signer=signer,
            keyid=str(self.verifier),
            trusted=keyring([LogKey(self.verifier)]).of_record,
            rules=load_rules(),
            tool="test/0",
        )

    # The targets

    def seconds(self, stream, tick):
        """How long a target takes to be read for a tick: the same in every run."""
        return random.Random(f"{self.plan.seed} {stream} {tick}").uniform(1, self.plan.slowest)  # noqa: S311

    def read(self, stream):
        """A target's objects now."""
        return [
            Object("schema", "public", {"owner": stream}),
            Object("table", "orders", {"of": "schema public", "row_security": not self.drifted}),
        ]

    def sign_baselines(self):
        for target in self.targets[: self.plan.signed]:
            taken, reading = look(_Source(self, target.stream, None), lambda *_: None)
            approval.propose(
                self.desk,
                target,
                taken,
                identity=reading.identity,
                read_at=reading.read_at,
                actor=ANA,
            )

    # Virtual time

    def later(self, seconds, what, *args):
        self.counter += 1
        heapq.heappush(self.heap, (seconds, self.counter, what, args))

    def run(self, ticks):
        """All of it, until the queue is empty after the last tick."""
        self.sign_baselines()
        for tick in range(ticks):
            self.later(tick * self.plan.period, self.tick, tick)
        while self.heap:
            self.clock.seconds, _, what, args = heapq.heappop(self.heap)
            if what == self.step:
                tasks = [args[0]]
                bound = self.clock.seconds + SLICE_SECONDS
                while self.heap and self.heap[0][2] == self.step and self.heap[0][0] <= bound:
                    tasks.append(heapq.heappop(self.heap)[3][0])
                self.steps(tasks)
            else:
                what(*args)
        assert self.queue.size() == self.queue.dead.size() == 0
        assert self.free == self.plan.workers

    def tick(self, tick):
        self.drifted = tick > 0
        at = START + timedelta(seconds=tick * self.plan.period)
        self.tick_of[timestamp(at)] = tick
        schedule.dispatch(
            self.desk,
            self.targets,
            _Diverting(self),
            scheduled_at=at,
            period=timedelta(seconds=self.plan.period),
            actor=ACTOR,
            settings_sha256="0" * 64,
        )
        self.pump()

    # The queue and the workers

    def pump(self):
        """Batches for workers that are free."""
        for lane, dead in ((self.queue.dead, True), (self.queue, False)):
            while self.free:
                taken = lane.receive(BATCH)
                if not taken:
                    break
                self.free -= 1
                skew = self.random.uniform(-1, 1) * self.plan.skew
                batch = []
                for one in taken:
                    order = schedule.decode(one.message.body)
                    task = Task(order, self.clock.seconds, skew, batch, one.handle, lane, dead)
                    task.kill = "" if dead else self.fate(order)
                    batch.append(task)
                for task in batch:
                    self.later(self.clock.seconds, self.step, task)
        due = [at for at in (self.queue.due_at(), self.queue.dead.due_at()) if at is not None]
        now = self.clock.now()
        if self.free and due and min(due) > now:
            self.later((min(due) - START).total_seconds() + 0.001, self.pump)

    def fate(self, order):
        """Whether, and when, this order's worker is killed: by chance at most once an order."""
        if self.number[order.target] in self.plan.crashing:
            return "before"
        key = (order.target, order.scheduled_at)
        if key in self.doomed:
            return ""
        chance = self.random.random()
        before, after = self.plan.killed_before, self.plan.killed_after
        self.doomed[key] = (
            "before" if chance < before else "after" if chance < before + after else ""
        )
        return self.doomed[key]

    def stray(self, order):
        """A delivery beside the queue: a duplicate, or one that comes out of its order."""
        skew = self.random.uniform(-1, 1) * self.plan.skew
        task = Task(order, self.clock.seconds, skew)
        task.kill = "before" if self.number[order.target] in self.plan.crashing else ""
        self.later(self.clock.seconds, self.step, task)

    def steps(self, tasks):
        """Let these orders' threads go on, all at once, until each waits or is done."""
        for task in tasks:
            if task.wakes_at is None:
                thread = threading.Thread(target=self.life, args=(task,), daemon=True)
                task.wakes_at = task.at
                thread.start()
            else:
                task.at = task.wakes_at
                task.go.release()
        for _ in tasks:
            self.idle.acquire()
        for task in tasks:
            if task.done:
                self.finished(task)
            else:
                self.later(task.wakes_at, self.step, task)

    step = steps  # what the heap's entries of single orders are

    def finished(self, task):
        if task.error is not None and not isinstance(task.error, (Busy, Killed)):
            raise task.error
        if isinstance(task.error, Killed):
            self.later(task.at + self.plan.lease, self.locks.free, _lock(task.order))
            for other in task.batch if self.plan.shared_fate else ():
                other.doomed = True
        task.closed = True
        if not task.batch:
            if task.error is not None:
                wait = 30 if isinstance(task.error, Busy) else self.plan.visibility
                self.later(task.at + wait, self.stray, task.order)
        elif all(one.closed for one in task.batch):
            self.later(max(one.at for one in task.batch), self.acknowledge, task.batch)

    def acknowledge(self, batch):
        """What a batch's end means: what is done goes, and what failed comes again."""
        killed = any(isinstance(task.error, Killed) or task.kill == "after" for task in batch)
        for task in batch:
            if killed and (self.plan.shared_fate or task.error or task.kill):
                continue  # nobody is there to say anything
            if task.error is None:
                task.lane.delete(task.handle)
            elif isinstance(task.error, Busy):
                task.lane.release(task.handle, 15, counted=False)
        self.free += 1
        self.pump()

    # An order's thread

    def life(self, task):
        self.clock.own.task = task
        try:
            self.work(task)
        except BaseException as error:  # noqa: BLE001 - the main thread looks at it
            task.error = error
        task.done = True
        self.idle.release()

    def work(self, task):
        target = self.targets[self.number[task.order.target]]
        if task.dead:
            source = schedule.overdue(target, task.order, "no attempt to scan it came to an end")
        else:
            source = _Source(self, target.stream, task)
        done = schedule.work(
            self.desk, target, task.order, source, actor=ACTOR, progress=lambda *_: None
        )
        told = schedule.events(done, self.verifier.name)
        with self.guard:
            self.events += told
            if not done.repeated:
                self.outcomes[done.outcome.value if done.outcome else "missed"] += 1
            else:
                self.outcomes["repeated"] += 1

    def pause(self, task, seconds):
        """Suspend the task's thread for virtual seconds."""
        task.wakes_at = task.at + seconds
        self.idle.release()
        task.go.acquire()
        if task.doomed:
            raise Killed

    # What the log says

    def fates(self):
        """The records of each target and tick: (kind, outcome, code, seconds after the tick)."""
        found = defaultdict(list)
        for entry in self.log.read():
            record, body = entry.record, entry.body
            if record.kind not in {"scan", "scan.missed"}:
                continue
            tick = self.tick_of[body["scheduled_at"]]
            after = (
                parse_timestamp(record.at) - parse_timestamp(body["scheduled_at"])
            ).total_seconds()
            code = (body.get("failure") or {}).get("code", "")
            outcome = body.get("outcome", "missed")
            found[record.stream, tick].append((record.kind, outcome, code, after))
        return found


class _Source:
    """A simulated target's reader, in the thread of an order."""

    def __init__(self, simulation, stream, task):
        self.simulation, self.stream, self.task = simulation, stream, task

    def read(self, progress, known=None):
        sim, task = self.simulation, self.task
        if task is not None:
            with sim.guard:
                sim.reading[self.stream] += 1
                sim.most_at_once = max(sim.most_at_once, sim.reading[self.stream])
            try:
                self.wait()
            finally:
                with sim.guard:
                    sim.reading[self.stream] -= 1
        progress("all", 1, 1)
        return Reading(
            objects=sim.read(self.stream),
            identity=self.stream,
            system={"database": self.stream},
            queries=[Query("all", "0" * 64, 2)],
            read_at=timestamp(sim.clock.now()),
            committed={},
            dropped={},
        )

    def wait(self):
        sim, task = self.simulation, self.task
        poisoned = sim.number[self.stream] in sim.plan.poisoned
        tick = sim.tick_of[task.order.scheduled_at]
        seconds = sim.plan.hang if poisoned else sim.seconds(self.stream, tick)
        if task.kill == "before":
            sim.pause(task, seconds / 2)
            raise Killed
        sim.pause(task, seconds)
        if poisoned:
            raise ConnectionLost("the target was not read within its bound")


class _Diverting:
    """The queue as the dispatcher has it: some messages are lost to it, or come twice."""

    def __init__(self, simulation):
        self.simulation = simulation

    def send(self, messages):
        sim, kept = self.simulation, []
        for message in messages:
            order = schedule.decode(message.body)
            chance = sim.random.random()
            if chance < sim.plan.diverted:
                at = sim.clock.seconds + sim.random.uniform(0, 2.5 * sim.plan.period)
                sim.later(at, sim.stray, order)
                continue
            kept.append(message)
            if chance < sim.plan.diverted + sim.plan.duplicated:
                at = sim.clock.seconds + sim.random.uniform(0, 2.5 * sim.plan.period)
                sim.later(at, sim.stray, order)
        sim.queue.send(kept)
        sim.queue.send(kept[: len(kept) // 2])  # a dispatcher that was started again


def _lock(order):
    return Target(order.target.partition(":")[2]).lock
