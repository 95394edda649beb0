"""Leases that are renewed, run out, or are taken by somebody whose clock is wrong."""

from __future__ import annotations

import queue
from datetime import UTC, datetime, timedelta

import pytest
from contract.adapters import LOCKS
from support.aws import Fault

from chalicelib.kernel.errors import Busy, Conflict, StoreUnavailable

AT = datetime(2026, 10, 1, 2, 0, tzinfo=UTC)
LOST = Fault(500, "InternalServerError", after=True)
DOWN = Fault(500, "InternalServerError")


class Clock:
    def __init__(self, at=AT):
        self.at = at

    def now(self):
        return self.at

    def pass_by(self, seconds):
        self.at += timedelta(seconds=seconds)


class Rounds:
    """In place of waiting: a renewal happens when the test says so, and is then over."""

    def __init__(self):
        self.asked, self.done, self.seconds = queue.Queue(), queue.Queue(), []

    def __call__(self, stop, seconds):
        self.seconds.append(seconds)
        self.done.put(None)
        while not stop.is_set():
            try:
                self.asked.get(timeout=0.02)
            except queue.Empty:
                continue
            return False
        return True

    def renew(self):
        self.done.get(timeout=30)  # it waits
        self.asked.put(None)
        self.done.get(timeout=30)  # it waits again
        self.done.put(None)


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def rounds():
    return Rounds()


@pytest.fixture
def make(aws, tmp_path, clock):
    def locks(clock=clock, **options):
        return LOCKS["aws"](tmp_path, clock, **options)

    return locks


@pytest.fixture
def items(aws, make):
    table = make()._table
    return lambda: aws.client("dynamodb").scan(TableName=table)["Items"]


def is_held(locks):
    try:
        with locks.hold("a"):
            return False
    except Busy:
        return True


def test_a_lease_is_renewed_while_the_block_lasts(make, clock, rounds, items):
    with make(wait=rounds).hold("a"):
        for _ in range(5):
            clock.pass_by(40)
            rounds.renew()
            assert is_held(make())
        (item,) = items()
        until = int(clock.at.timestamp()) + 60
        assert item["expires_at"] == {"N": str(until * 1_000)}
        assert item["gone_at"] == {"N": str(until + 86_400)}
        assert item["since"] == {"S": "2026-10-01T02:00:00.000000Z"}
    assert set(rounds.seconds) == {20}
    assert items() == []


def test_a_lease_that_was_not_renewed_is_taken_over_and_its_holder_told(make, clock, rounds):
    def work():
        with make(wait=rounds).hold("a"):
            clock.pass_by(59)
            assert is_held(make())
            clock.pass_by(2)
            assert not is_held(make())

    with pytest.raises(Conflict, match="60 s ran out") as error:
        work()
    assert error.value.next_step
    assert not is_held(make())


def test_a_holder_that_was_overtaken_does_not_release_its_successor(make, clock, items):
    def work():
        with make().hold("a"):
            clock.pass_by(61)
            successor.__enter__()

    successor = make().hold("a")
    with pytest.raises(Conflict):
        work()
    assert is_held(make())
    assert successor.__exit__(None, None, None) is False
    assert items() == []


def test_a_clock_that_is_ahead_takes_over_and_the_holder_notices(make, clock, rounds):
    def work():
        with make(wait=rounds).hold("a"):
            rounds.done.get(timeout=30)
            assert not is_held(make(Clock(AT + timedelta(seconds=61))))
            rounds.asked.put(None)  # the renewal finds the lease gone, and stops

    with pytest.raises(Conflict, match="or a clock is wrong"):
        work()


def test_a_clock_that_is_behind_waits(make, clock):
    with make().hold("a"):
        clock.pass_by(61)
        assert is_held(make(Clock(AT - timedelta(seconds=5))))
        clock.at = AT


def test_answers_that_were_lost_do_no_harm(aws, make, items, rounds, clock):
    with aws.failing("dynamodb", "PutItem", LOST, times=2):
        lease = make(wait=rounds).hold("a")
        lease.__enter__()
    assert is_held(make())
    with aws.failing("dynamodb", "UpdateItem", LOST, times=2):
        clock.pass_by(40)
        rounds.renew()
    clock.pass_by(40)
    assert is_held(make())
    with aws.failing("dynamodb", "DeleteItem", LOST, times=2):
        assert lease.__exit__(None, None, None) is False
    assert items() == []


def test_a_renewal_that_fails_is_tried_again(aws, make, rounds, clock):
    with make(wait=rounds).hold("a"):
        clock.pass_by(20)
        with aws.failing("dynamodb", "UpdateItem", DOWN, times=3):
            rounds.renew()
        clock.pass_by(20)
        rounds.renew()
        clock.pass_by(59)
        assert is_held(make())


def test_no_table_and_no_service_are_said(aws, make):
    with (
        aws.failing("dynamodb", "PutItem", DOWN, times=99),
        pytest.raises(StoreUnavailable),
        make().hold("a"),
    ):
        pytest.fail("held")
    with (
        aws.failing("dynamodb", "DeleteItem", DOWN, times=99),
        pytest.raises(StoreUnavailable, match="release"),
        make().hold("a"),
    ):
        pass


def test_an_error_in_the_block_is_told_rather_than_one_of_the_release(aws, make):
    def work():
        with make().hold("a"):
            raise ZeroDivisionError

    with aws.failing("dynamodb", "DeleteItem", DOWN, times=99), pytest.raises(ZeroDivisionError):
        work()


def test_a_holder_that_did_not_say_who_it_is_is_still_refused(aws, make, clock):
    table = make()._table
    until = str(int(clock.at.timestamp() * 1_000) + 1)
    item = {"k": {"S": "a"}, "token": {"S": "x"}, "expires_at": {"N": until}}
    aws.client("dynamodb").put_item(TableName=table, Item=item)
    with pytest.raises(Busy, match="another process"), make().hold("a"):
        pytest.fail("held")
