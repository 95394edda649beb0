from __future__ import annotations

import json
import os
import signal
import sqlite3
import stat
import subprocess
import sys
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chalicelib.drift.schedule import Message
from chalicelib.kernel.errors import StoreUnavailable, UsageError
from chalicelib.local import queue as module
from chalicelib.local.queue import SqliteQueue

START = datetime(2026, 10, 1, 2, 0, tzinfo=UTC)


class Clock:
    def __init__(self):
        self.moment = START

    def now(self):
        return self.moment

    def wait(self, seconds):
        self.moment += timedelta(seconds=seconds)


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def path(tmp_path):
    return tmp_path / "folder" / "queue.db"


@pytest.fixture
def orders(path, clock):
    made = SqliteQueue(path, clock, visibility_seconds=60, max_receives=3)
    yield made
    made.close()


def message(group, tick=1):
    return Message(group, f"{group}@{tick}", f"{group} {tick}".encode())


def send(orders, *names):
    """``a1`` is the message of group a for tick 1."""
    orders.send([message(name[0], int(name[1:])) for name in names])


def names(deliveries):
    return [f"{one.message.group}{one.message.dedup[2:]}" for one in deliveries]


def test_what_was_sent_is_delivered_oldest_first_and_once(orders):
    send(orders, "b1", "a1", "c1")
    assert names(orders.receive(2)) == ["b1", "a1"]
    [last] = orders.receive(10)
    assert last.message == message("c")
    assert last.attempt == 1
    assert orders.receive(10) == []


def test_of_a_group_one_is_in_flight_and_the_next_comes_after_it(orders):
    send(orders, "a1", "a2", "b1", "a3")
    [first, other] = orders.receive(10)
    assert names([first, other]) == ["a1", "b1"]
    assert orders.receive(10) == []
    assert orders.delete(first.handle)
    assert names(orders.receive(10)) == ["a2"]
    assert orders.receive(10) == []
    assert orders.size() == 3


def test_groups_can_be_left_where_they_are(orders):
    send(orders, "a1", "b1", "c1")
    assert names(orders.receive(10, without={"a", "c"})) == ["b1"]
    assert names(orders.receive(10)) == ["a1", "c1"]


def test_a_delivery_that_was_not_finished_in_time_comes_again_and_its_handle_is_stale(
    orders, clock
):
    send(orders, "a1", "a2")
    [lost] = orders.receive(10)
    clock.wait(59.9)
    assert orders.receive(10) == []
    clock.wait(0.1)
    [again] = orders.receive(10)
    assert names([again]) == ["a1"]
    assert again.attempt == 2
    assert again.handle != lost.handle
    assert not orders.delete(lost.handle)
    assert not orders.release(lost.handle, 0)
    assert orders.delete(again.handle)
    assert not orders.delete(again.handle)
    assert names(orders.receive(10)) == ["a2"]


def test_a_late_finisher_is_believed_while_nobody_else_has_the_message(orders, clock):
    send(orders, "a1")
    [one] = orders.receive(1)
    clock.wait(61)
    assert orders.delete(one.handle)
    assert orders.receive(1) == []


def test_a_released_delivery_comes_again_after_its_delay_and_holds_its_group(orders, clock):
    send(orders, "a1", "a2", "b1")
    [one, _] = orders.receive(2)
    assert orders.release(one.handle, 10)
    assert orders.receive(10) == []
    assert orders.due_at() == START + timedelta(seconds=10)
    clock.wait(10)
    [again] = orders.receive(10)
    assert (names([again]), again.attempt) == (["a1"], 2)


def test_an_attempt_that_does_not_count_can_be_repeated_for_ever(orders, clock):
    send(orders, "a1")
    for _ in range(20):
        [one] = orders.receive(1)
        assert one.attempt == 1
        orders.release(one.handle, 1, counted=False)
        clock.wait(1)
    assert orders.dead.size() == 0


def test_after_its_last_attempt_a_message_is_a_dead_letter_and_its_group_goes_on(orders, clock):
    send(orders, "a1", "a2", "b1")
    for attempt in (1, 2, 3):
        [one, *_] = orders.receive(10, without="b")
        assert one.attempt == attempt
        clock.wait(59.9)
        assert orders.receive(10, without="b") == []
        orders.release(one.handle, 0) if attempt == 2 else clock.wait(0.1)
        assert orders.dead.size() == 0
    assert names(orders.receive(10)) == ["a2", "b1"]
    assert orders.dead.size() == 1
    [dead] = orders.dead.receive(10)
    assert names([dead]) == ["a1"]
    for _ in range(10):  # as often as it takes
        assert orders.dead.receive(10) == []
        assert orders.dead.release(dead.handle, 5)
        clock.wait(5)
        [dead] = orders.dead.receive(10)
    assert orders.dead.delete(dead.handle)
    assert orders.dead.size() == 0
    assert orders.size() == 2


def test_the_holder_of_what_became_a_dead_letter_has_a_stale_handle(orders, clock):
    send(orders, "a1")
    for _ in range(3):
        [held] = orders.receive(1)
        clock.wait(60)
    assert orders.receive(1) == []
    assert not orders.delete(held.handle)
    assert orders.dead.size() == 1


def test_the_same_again_is_dropped_for_five_minutes_and_while_it_is_kept(orders, clock):
    send(orders, "a1", "a1")
    send(orders, "a1")
    [one] = orders.receive(10)
    orders.delete(one.handle)
    clock.wait(299)
    send(orders, "a1")
    assert orders.size() == 0
    clock.wait(1)
    send(orders, "a1")
    clock.wait(3_000)
    send(orders, "a1")
    assert orders.size() == 1
    for _ in range(3):
        orders.receive(1)
        clock.wait(60)
    orders.receive(1)
    send(orders, "a1")
    assert (orders.size(), orders.dead.size()) == (0, 1)


def test_when_the_next_delivery_is_due(orders, clock):
    assert orders.due_at() is None
    send(orders, "a1", "a2")
    assert orders.due_at() == START
    orders.receive(1)
    assert orders.due_at() == START + timedelta(seconds=60)


def test_whoever_knows_that_all_workers_are_gone_takes_back_what_they_held(orders, path, clock):
    send(orders, "a1", "b1")
    [held] = orders.receive(1)
    other = SqliteQueue(path, clock)
    assert other.reclaim() == 1
    assert other.reclaim() == 0
    assert not orders.delete(held.handle)
    assert [(one.message.group, one.attempt) for one in other.receive(10)] == [("a", 2), ("b", 1)]
    other.close()


@pytest.mark.parametrize(
    "bad",
    [
        Message("", "d", b"x"),
        Message("g", "", b"x"),
        Message("g" * 129, "d", b"x"),
        Message("g", "d" * 129, b"x"),
        Message("g\n", "d", b"x"),
        Message("g", "d", b""),
        Message("g", "d", bytes(256 * 1024 + 1)),
    ],
)
def test_a_message_past_a_bound_is_refused_and_none_is_sent(orders, bad):
    with pytest.raises(UsageError, match="a message"):
        orders.send([message("a"), bad])
    assert orders.size() == 0


def test_the_largest_message_is_delivered(orders):
    large = Message("g" * 128, "d" * 128, bytes(256 * 1024))
    orders.send([large])
    assert orders.receive(1)[0].message == large


def test_a_full_queue_takes_nothing_and_says_so(orders, monkeypatch):
    monkeypatch.setattr(module, "MAX_MESSAGES", 3)
    send(orders, "a1", "b1")
    with pytest.raises(StoreUnavailable, match="at most 3"):
        send(orders, "c1", "d1")
    send(orders, "c1")
    assert names(orders.receive(10)) == ["a1", "b1", "c1"]


def test_wrong_limits_and_delays_are_refused(orders):
    send(orders, "a1")
    for limit in (0, -1, 1_001):
        with pytest.raises(ValueError, match="one receive"):
            orders.receive(limit)
    [one] = orders.receive(1)
    for delay in (-1, 43_201):
        with pytest.raises(ValueError, match="a delay"):
            orders.release(one.handle, delay)


def test_the_file_is_its_owner_s_alone_and_synchronous(orders, path):
    send(orders, "a1")
    for file in path.parent.glob("queue.db*"):
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
    with orders._file.session() as connection:
        assert connection.execute("PRAGMA synchronous").fetchone() == (2,)
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)


def test_a_trigger_that_somebody_put_there_is_refused(orders, path):
    send(orders, "a1")
    orders.close()
    connection = sqlite3.connect(path)
    connection.execute("CREATE TRIGGER t AFTER DELETE ON message BEGIN DELETE FROM message; END")
    connection.close()
    with pytest.raises(StoreUnavailable, match="its own tables"):
        orders.receive(1)


def test_an_error_of_the_file_says_what_to_do(path, clock):
    path.parent.mkdir()
    path.write_bytes(b"no database at all" * 100)
    with pytest.raises(StoreUnavailable, match="cannot be used") as error:
        SqliteQueue(path, clock).receive(1)
    assert f"mv {path}* ELSEWHERE" in error.value.next_step
    path.unlink()
    assert SqliteQueue(path, clock).receive(1) == []


class Model:
    """What a user of the queue knows of it."""

    def __init__(self, path):
        self.clock = Clock()
        self.orders = SqliteQueue(
            path, self.clock, visibility_seconds=60, max_receives=3, durable=False
        )
        self.sent, self.done, self.flying = [], [], {}

    def send(self, number):
        self.sent.append(message(f"g{number % 3}", len(self.sent)))
        self.orders.send([self.sent[-1]])

    def receive(self, number):
        for one in self.orders.receive(number + 1):
            assert one.message.group not in [held.group for held, _ in self.flying.values()]
            self.flying[one.handle] = (one.message, self.clock.now() + timedelta(seconds=60))

    def bury(self, number):
        for one in self.orders.dead.receive(number + 1):
            assert self.orders.dead.delete(one.handle)
            self.done.append(one.message)

    def delete(self, number):
        for handle in sorted(self.flying)[number : number + 1]:
            held, _ = self.flying.pop(handle)
            assert self.orders.delete(handle)
            self.done.append(held)

    def release(self, number):
        for handle in sorted(self.flying)[number : number + 1]:
            del self.flying[handle]
            assert self.orders.release(handle, number)

    def wait(self, number):
        self.clock.wait(number * 15)
        for handle, (_, until) in list(self.flying.items()):
            if until <= self.clock.now():
                del self.flying[handle]


STEP = st.tuples(
    st.sampled_from(["send", "receive", "delete", "release", "wait", "bury"]), st.integers(0, 5)
)


@settings(max_examples=60)
@given(st.lists(STEP, max_size=60))
def test_whatever_happens_a_group_has_one_in_flight_and_nothing_is_lost(tmp_path_factory, steps):
    model = Model(tmp_path_factory.mktemp("queue") / "queue.db")
    for what, number in steps:
        getattr(model, what)(number)
    kept = model.orders.size() + model.orders.dead.size()
    assert kept + len(model.done) == len(model.sent)
    assert len({one.dedup for one in model.done}) == len(model.done)
    model.orders.close()


WORKER = """
import json, sys
from pathlib import Path
from chalicelib.local.clock import SystemClock
from chalicelib.local.queue import SqliteQueue
orders = SqliteQueue(Path(sys.argv[1]), SystemClock(), durable=False)
board = Path(sys.argv[2])
done = []
while True:
    taken = orders.receive(3)
    if not taken and orders.size() == 0:
        break
    for one in taken:
        mark = board / one.message.group
        with mark.open("x"):  # fails where another process is at this group
            done.append(one.message.dedup)
        mark.unlink()
        assert orders.delete(one.handle)
print(json.dumps(done))
"""


def test_processes_never_have_two_of_a_group_at_once_and_take_each_message_once(
    orders, path, tmp_path
):
    board = tmp_path / "board"
    board.mkdir()
    orders.send([message(f"g{group}", tick) for tick in range(30) for group in range(4)])
    children = [
        subprocess.Popen(
            [sys.executable, "-c", WORKER, str(path), str(board)], stdout=subprocess.PIPE, text=True
        )
        for _ in range(3)
    ]
    said = [child.communicate(timeout=60)[0] for child in children]
    assert [child.returncode for child in children] == [0, 0, 0]
    done = [name for text in said for name in json.loads(text)]
    assert sorted(done) == sorted(f"g{group}@{tick}" for group in range(4) for tick in range(30))
    for text in said:
        for group in range(4):
            mine = [int(n.partition("@")[2]) for n in json.loads(text) if n.startswith(f"g{group}")]
            assert mine == sorted(mine)


HOLDER = """
import sys
from pathlib import Path
from chalicelib.local.clock import SystemClock
from chalicelib.local.queue import SqliteQueue
orders = SqliteQueue(Path(sys.argv[1]), SystemClock(), visibility_seconds=float(sys.argv[2]))
print(len(orders.receive(1)), flush=True)
sys.stdin.read()
"""


def test_what_a_killed_process_held_is_delivered_again_when_its_time_is_up(path, clock, tmp_path):
    clock.moment = datetime.fromtimestamp(tmp_path.stat().st_mtime, tz=UTC)
    orders = SqliteQueue(path, clock)
    send(orders, "a1", "a2")
    clock.wait(60)  # as fast as the holder's clock, at least
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(path), "3600"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as child:
        assert child.stdout.readline() == b"1\n"
        os.kill(child.pid, signal.SIGKILL)
        child.wait(timeout=10)
    assert orders.receive(10) == []
    clock.wait(4_000)
    [again] = orders.receive(10)
    assert (names([again]), again.attempt) == (["a1"], 2)
    orders.close()
