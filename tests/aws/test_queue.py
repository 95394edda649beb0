from __future__ import annotations

import json
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.aws import Fault, throttle

from chalicelib.aws.queue import MAX_ATTEMPTS, SqsQueue, legal
from chalicelib.drift.schedule import Message
from chalicelib.kernel.errors import StoreUnavailable, UsageError


def message(number, group=None):
    return Message(group or f"postgres:t-{number}", f"2026-10-01T02:00Z/{number}", b"%d" % number)


@pytest.fixture
def aws(empty_aws):
    return empty_aws


@pytest.fixture
def client(aws):
    return aws.client("sqs")


@pytest.fixture
def url(client):
    return client.create_queue(QueueName="scan.fifo", Attributes={"FifoQueue": "true"})["QueueUrl"]


@pytest.fixture
def pauses():
    return []


@pytest.fixture
def queue(client, url, pauses):
    return SqsQueue(client, url, pause=pauses.append)


def received(client, url):
    """Every message, in no order, as (body, group)."""
    found = []
    while True:
        answer = client.receive_message(
            QueueUrl=url, MaxNumberOfMessages=10, AttributeNames=["MessageGroupId"]
        )
        for one in answer.get("Messages", []):
            found.append((one["Body"], one["Attributes"]["MessageGroupId"]))
            client.delete_message(QueueUrl=url, ReceiptHandle=one["ReceiptHandle"])
        if not answer.get("Messages"):
            return found


def answering(client, change):
    """Let ``change(answer, number of the call)`` spoil what the queue answered to a batch."""
    seen = []
    lock = threading.Lock()

    def spoil(parsed, **_):
        with lock:
            seen.append(sorted(one["Id"] for one in parsed.get("Successful", [])))
            change(parsed, len(seen))

    client.meta.events.register("after-call.sqs.SendMessageBatch", spoil)
    return seen


def fail(parsed, names, *, sender=False):
    kept = [one for one in parsed["Successful"] if one["Id"] not in names]
    parsed["Successful"] = kept
    parsed["Failed"] = [
        {"Id": name, "SenderFault": sender, "Code": "InternalError"} for name in names
    ]


def test_every_message_arrives_in_its_group(queue, client, url):
    queue.send([message(number) for number in range(45)])
    assert sorted(received(client, url)) == sorted((str(n), f"postgres:t-{n}") for n in range(45))


def test_messages_of_one_group_keep_their_order(queue, client, url):
    queue.send([Message(f"g{n % 7}", f"d{n}", b"%d" % n) for n in range(70)])
    in_order = {}
    while found := client.receive_message(
        QueueUrl=url, MaxNumberOfMessages=10, AttributeNames=["MessageGroupId"]
    ).get("Messages"):
        for one in found:
            in_order.setdefault(one["Attributes"]["MessageGroupId"], []).append(int(one["Body"]))
            client.delete_message(QueueUrl=url, ReceiptHandle=one["ReceiptHandle"])
    assert in_order == {f"g{n}": list(range(n, 70, 7)) for n in range(7)}


def test_nothing_to_send_is_fine(queue, aws):
    queue.send([])
    assert ("sqs", "SendMessageBatch") not in aws.calls


def test_sending_again_sends_nothing_twice(queue, client, url):
    for _ in range(2):
        queue.send([message(number) for number in range(12)])
    assert len(received(client, url)) == 12


def test_messages_go_in_tens_and_below_the_bound_of_a_call(queue, client, url, aws):
    queue.send([Message(f"g{n}", f"{n}", b"%d" % n * 100_000) for n in range(5)])
    queue.send([message(n) for n in range(21)])
    sent = [one for one in aws.calls if one == ("sqs", "SendMessageBatch")]
    assert len(sent) == 3 + 3
    assert len(received(client, url)) == 5 + 21


@pytest.mark.parametrize("size", [0, 256 * 1024 + 1])
def test_a_message_that_no_queue_holds_is_refused_before_any_is_sent(queue, aws, size):
    with pytest.raises(UsageError, match="bytes"):
        queue.send([message(1), Message("g", "d", b"x" * size)])
    assert ("sqs", "SendMessageBatch") not in aws.calls


def test_what_failed_of_a_batch_and_only_that_is_sent_again(queue, client, url, pauses):
    def once(parsed, number):
        if number == 1:
            fail(parsed, ["3", "7"])

    seen = answering(client, once)
    queue.send([message(number) for number in range(10)])
    assert seen == [[str(n) for n in range(10)], ["3", "7"]]
    assert pauses == [1]
    assert len(received(client, url)) == 10


def test_what_is_named_neither_sent_nor_failed_is_sent_again(queue, client, pauses):
    def forget(parsed, number):
        if number == 1:
            parsed["Successful"] = parsed["Successful"][1:]

    seen = answering(client, forget)
    queue.send([message(number) for number in range(3)])
    assert (seen, pauses) == ([["0", "1", "2"], ["0"]], [1])


def test_the_sender_s_own_fault_is_not_retried(queue, client, pauses):
    seen = answering(client, lambda parsed, _: fail(parsed, ["0"], sender=True))
    with pytest.raises(StoreUnavailable, match=r"1 of 2 messages could not be sent.*InternalError"):
        queue.send([message(0), message(1)])
    assert (len(seen), pauses) == (1, [])


def test_retries_are_bounded(queue, client, pauses):
    seen = answering(client, lambda parsed, _: fail(parsed, ["0"]))
    with pytest.raises(StoreUnavailable, match="1 of 1"):
        queue.send([message(0)])
    assert len(seen) == MAX_ATTEMPTS
    assert pauses == list(range(1, MAX_ATTEMPTS))


@pytest.mark.parametrize(
    "fault",
    [throttle("sqs"), Fault(503, "ServiceUnavailable"), Fault(how="drop"), Fault(how="cut")],
)
def test_a_call_that_fails_for_a_while_is_made_again(queue, client, url, aws, fault):
    aws.fail("sqs", "SendMessageBatch", fault, times=2)
    queue.send([message(number) for number in range(10)])
    assert len(received(client, url)) == 10


def test_a_queue_that_does_not_answer_fails_the_send_and_is_not_asked_for_every_batch(queue, aws):
    aws.fail("sqs", "*", Fault(500), times=10_000)
    with pytest.raises(StoreUnavailable):
        queue.send([message(number) for number in range(2_000)])
    assert len(aws.calls) < 200


def test_a_queue_that_is_not_there_is_said(client, pauses):
    lost = SqsQueue(client, "http://127.0.0.1/123456789012/none.fifo", pause=pauses.append)
    with pytest.raises(StoreUnavailable):
        lost.send([message(1)])


def test_several_calls_are_in_flight_at_once(aws, client, url):
    """The barrier opens only once four calls wait at it."""
    barrier = threading.Barrier(4)
    client.meta.events.register(
        "before-send.sqs.SendMessageBatch", lambda **_: [None][barrier.wait(timeout=30) * 0]
    )
    SqsQueue(client, url, pause=[].append).send([message(number) for number in range(40)])
    assert len(received(client, url)) == 40


@given(st.text(min_size=1, max_size=300))
def test_an_id_is_always_one_that_sqs_takes(text):
    made = legal(text)
    assert 0 < len(made) <= 128
    assert all("!" <= char <= "~" for char in made)
    assert made == legal(text)


def test_distinct_names_have_distinct_ids():
    texts = ["a", "a" * 128, "a" * 129, "a" * 130, "ä", "a b", "", "sha256:x", legal("ä")]
    assert len({legal(text) for text in texts}) == len(texts)
    assert all(len(legal(text)) <= 128 for text in texts)
    assert legal("postgres:orders-prod") == "postgres:orders-prod"


def test_bodies_are_sent_as_they_are(queue, client, url):
    body = json.dumps({"target": "ünïcödé 🐘", "quote": '"&<'}, ensure_ascii=False)
    queue.send([Message("g", "d", body.encode())])
    assert received(client, url) == [(body, "g")]
