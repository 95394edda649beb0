"""A batch of messages: failures come again alone, and a killer takes nobody along for good."""

from __future__ import annotations

import threading

import pytest
from aws_lambda_powertools.utilities.batch.exceptions import BatchProcessingError

from chalicelib.functions.orders import work_off
from chalicelib.kernel.errors import Conflict


def message(number, group, deliveries=1):
    return {
        "messageId": f"m{number}",
        "receiptHandle": "h",
        "body": f"{group}/{number}",
        "attributes": {"ApproximateReceiveCount": str(deliveries), "MessageGroupId": group},
        "messageAttributes": {},
        "eventSource": "aws:sqs",
        "eventSourceARN": "arn:aws:sqs:us-east-1:123456789012:scan.fifo",
        "awsRegion": "us-east-1",
    }


def failed(answer):
    return [one["itemIdentifier"] for one in answer["batchItemFailures"]]


class Ran:
    """What ran, in order; ``bad`` bodies fail."""

    def __init__(self, *bad):
        self.bad = bad
        self.bodies = []

    def __call__(self, body):
        self.bodies.append(body)
        if body in self.bad:
            raise Conflict(body)


def test_only_what_failed_comes_again():
    ran = Ran("b/2")
    answer = work_off({"Records": [message(n, g) for n, g in enumerate("aabc")]}, None, ran)
    assert failed(answer) == ["m2"]
    assert sorted(ran.bodies) == ["a/0", "a/1", "b/2", "c/3"]


def test_later_ones_of_a_group_wait_for_the_one_that_failed():
    ran = Ran("a/0")
    records = [message(0, "a"), message(1, "a"), message(2, "b")]
    answer = work_off({"Records": records}, None, ran)
    assert sorted(failed(answer)) == ["m0", "m1"]
    assert sorted(ran.bodies) == ["a/0", "b/2"]


def test_where_all_fail_the_function_fails():
    with pytest.raises(BatchProcessingError):
        work_off({"Records": [message(0, "a")]}, None, Ran("a/0"))


def test_groups_run_at_once_and_a_group_one_by_one():
    together = threading.Barrier(3)
    order = []

    def run(body):
        order.append(body)
        if body.endswith("first"):
            together.wait(30)

    records = [message("first", "a"), message("then", "a")]
    records += [message("first", "b"), message("first", "c")]
    assert failed(work_off({"Records": records}, None, run)) == []
    assert order[-1] == "a/then"


@pytest.mark.parametrize("killer", range(10))
def test_beside_a_target_that_ends_the_process_every_other_is_done_in_two_more_deliveries(killer):
    """The process ends when the killer's turn comes: whatever ran before is done."""

    class Killed(BaseException):
        pass

    done = set()

    def run(body):
        if body == f"g{killer}/{killer}":
            raise Killed
        done.add(body)

    for deliveries in (2, 3):
        records = [message(n, f"g{n}", deliveries) for n in range(10)]
        with pytest.raises(Killed):
            work_off({"Records": records}, None, run)
    assert len(done) == 9


def test_a_batch_again_keeps_the_order_of_a_group():
    for deliveries in (2, 3):
        ran = Ran()
        records = [message(n, g, deliveries) for n, g in enumerate("abab")]
        work_off({"Records": records}, None, ran)
        at = ran.bodies.index
        assert at("a/0") < at("a/2")
        assert at("b/1") < at("b/3")
        assert (at("a/2") < at("b/1")) == (deliveries == 2)
