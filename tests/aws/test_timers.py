"""Timers on EventBridge Scheduler: one a lease, made, moved, gone."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta

import pytest
from aws.roles import Clock
from botocore.exceptions import ClientError
from support.aws import Fault, throttle

from chalicelib.access import timers
from chalicelib.aws.timers import ATTEMPTS, Places, SchedulerTimers, name
from chalicelib.kernel.errors import StoreUnavailable

LEASE = "orders-prod.abcdefghijkm"
AT = datetime(2026, 10, 1, 2, 30, tzinfo=UTC)
PLACES = Places(
    group="holdfast",
    queue="arn:aws:sqs:us-east-1:123456789012:holdfast-lease",
    role="arn:aws:iam::123456789012:role/holdfast-timer",
    dead_letters="arn:aws:sqs:us-east-1:123456789012:holdfast-lease-dead",
)


@pytest.fixture
def client(empty_aws):
    made = empty_aws.client("scheduler")
    made.create_schedule_group(Name="holdfast")
    return made


@pytest.fixture
def sent(client):
    """(operation, body) of each request that changes something."""
    calls = []
    for operation in ("CreateSchedule", "UpdateSchedule"):
        client.meta.events.register(
            f"before-call.scheduler.{operation}",
            lambda params, model, **_: calls.append((model.name, json.loads(params["body"]))),
        )
    return calls


@pytest.fixture
def ours(client):
    return SchedulerTimers(client, PLACES, clock=Clock(), pause=lambda _: None)


def there(client):
    return [one["Name"] for one in client.list_schedules(GroupName="holdfast")["Schedules"]]


def test_a_timer_is_one_schedule_that_runs_once(ours, client):
    ours.wake(LEASE, AT)
    found = client.get_schedule(GroupName="holdfast", Name=LEASE)
    assert found["ScheduleExpression"] == "at(2026-10-01T02:30:00)"
    assert found["ScheduleExpressionTimezone"] == "UTC"
    assert found["FlexibleTimeWindow"] == {"Mode": "OFF"}
    assert found["ActionAfterCompletion"] == "DELETE"
    assert found["State"] == "ENABLED"
    target = found["Target"]
    assert timers.decode(target["Input"].encode()) == LEASE
    assert (target["Arn"], target["RoleArn"]) == (PLACES.queue, PLACES.role)
    assert target["DeadLetterConfig"] == {"Arn": PLACES.dead_letters}
    assert target["RetryPolicy"]["MaximumEventAgeInSeconds"] == 3_600


def test_there_and_back_again_is_no_repetition(ours, client, sent):
    """AWS takes a request with a token that it knows for done, and does nothing."""
    for at in (AT, AT + timedelta(hours=1), AT):
        ours.wake(LEASE, at)
    found = client.get_schedule(GroupName="holdfast", Name=LEASE)
    assert found["ScheduleExpression"] == "at(2026-10-01T02:30:00)"
    tokens = [said["ClientToken"] for _, said in sent]
    assert len(tokens) == len(set(tokens)) == 5


def test_a_timer_is_moved(ours, client):
    ours.wake(LEASE, AT)
    ours.wake(LEASE, AT + timedelta(hours=1))
    assert there(client) == [LEASE]
    found = client.get_schedule(GroupName="holdfast", Name=LEASE)
    assert found["ScheduleExpression"] == "at(2026-10-01T03:30:00)"
    assert found["ActionAfterCompletion"] == "DELETE", "an update replaces all of it"


def test_a_timer_that_comes_while_it_is_moved_is_made_anew(ours, client, empty_aws):
    ours.wake(LEASE, AT)
    gone = Fault(404, "ResourceNotFoundException")
    with empty_aws.failing("scheduler", "UpdateSchedule", gone) as seen:
        client.delete_schedule(GroupName="holdfast", Name=LEASE)
        ours.wake(LEASE, AT)
    assert seen == [0]
    assert there(client) == [LEASE]


def test_a_timer_is_forgotten_also_where_there_is_none(ours, client):
    ours.wake(LEASE, AT)
    ours.forget(LEASE)
    ours.forget(LEASE)
    assert there(client) == []


@pytest.mark.parametrize(
    ("at", "expression"),
    [
        (AT + timedelta(microseconds=1), "at(2026-10-01T02:30:01)"),
        (AT - timedelta(days=1), "at(2026-10-01T02:00:05)"),
        (datetime(2026, 10, 1, 2, 0, 4, tzinfo=UTC), "at(2026-10-01T02:00:05)"),
        (AT.astimezone(), "at(2026-10-01T02:30:00)"),
    ],
    ids=["a fraction", "the past", "at once", "another zone"],
)
def test_it_is_never_too_early_and_never_in_the_past(ours, client, at, expression):
    ours.wake(LEASE, at)
    found = client.get_schedule(GroupName="holdfast", Name=LEASE)
    assert found["ScheduleExpression"] == expression


def test_names_fit_and_differ():
    long = "a" * 63 + ".abcdefghijkm"
    assert name(LEASE) == LEASE
    assert re.fullmatch(r"[0-9a-zA-Z_.-]{1,64}", name(long))
    assert name(long) != name("b" + long[1:])


class Contrary:
    """A scheduler that says of each that it is there, and gone."""

    def create_schedule(self, **_):
        raise ClientError({"Error": {"Code": "ConflictException"}}, "CreateSchedule")

    def update_schedule(self, **_):
        raise ClientError({"Error": {"Code": "ResourceNotFoundException"}}, "UpdateSchedule")

    delete_schedule = update_schedule


def test_one_that_comes_and_goes_all_the_time_is_given_up():
    pauses = []
    ours = SchedulerTimers(Contrary(), PLACES, clock=Clock(), pause=pauses.append)
    with pytest.raises(StoreUnavailable, match=f"there and gone {ATTEMPTS} times"):
        ours.wake(LEASE, AT)
    assert pauses == [1, 2, 3]


def test_a_group_that_is_not_there_is_said(client):
    places = PLACES._replace(group="other")
    ours = SchedulerTimers(client, places, clock=Clock(), pause=lambda _: None)
    with pytest.raises(StoreUnavailable):
        ours.wake(LEASE, AT)


def test_a_scheduler_that_fails_is_said(ours, empty_aws):
    with (
        empty_aws.failing("scheduler", "*", throttle("scheduler"), times=100),
        pytest.raises(StoreUnavailable, match="cannot set a timer"),
    ):
        ours.wake(LEASE, AT)
