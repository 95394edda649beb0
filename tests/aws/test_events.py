from __future__ import annotations

import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.aws import Fault, throttle

from chalicelib.aws.events import MAX_ATTEMPTS, MAX_BATCH_BYTES, EventBridgeEvents
from chalicelib.drift.schedule import Event
from chalicelib.kernel.errors import StoreUnavailable

AT = "2026-10-01T02:00:00.123456Z"


def event(number, **detail):
    return Event(f"F-{number}", "finding opened", AT, {"target": "postgres:orders", **detail})


@pytest.fixture
def aws(empty_aws):
    return empty_aws


@pytest.fixture
def client(aws):
    made = aws.client("events")
    made.create_event_bus(Name="holdfast")
    return made


@pytest.fixture
def sent(client):
    """The entries of each call, as they went to the service."""
    calls = []

    def keep(params, **_):
        body = params["body"]
        calls.append(json.loads(body)["Entries"])

    client.meta.events.register("before-call.events.PutEvents", keep)
    return calls


@pytest.fixture
def pauses():
    return []


@pytest.fixture
def events(client, pauses):
    return EventBridgeEvents(client, "holdfast", pause=pauses.append)


def refusing(client, numbers, times, code="ThrottlingException"):
    left = [times]

    def spoil(parsed, **_):
        if left[0]:
            left[0] -= 1
            for number in numbers:
                parsed["Entries"][number] = {"ErrorCode": code, "ErrorMessage": "no"}
            parsed["FailedEntryCount"] = len(numbers)

    client.meta.events.register("after-call.events.PutEvents", spoil)


def test_an_event_says_who_what_and_when(events, sent):
    events.publish([Event("F-1", "scan failed", AT, {"target": "postgres:orders", "why": "ä"})])
    ((entry,),) = sent
    assert (entry["Source"], entry["DetailType"]) == ("holdfast", "scan failed")
    assert entry["EventBusName"] == "holdfast"
    assert json.loads(entry["Detail"]) == {
        "id": "F-1",
        "at": AT,
        "target": "postgres:orders",
        "why": "ä",
    }


def test_what_was_published_reaches_a_rule_s_target(events, client, aws):
    sqs = aws.client("sqs")
    url = sqs.create_queue(QueueName="alarms")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]
    client.put_rule(
        Name="r",
        EventBusName="holdfast",
        EventPattern=json.dumps({"source": ["holdfast"], "detail": {"severity": ["critical"]}}),
    )
    client.put_targets(
        Rule="r", EventBusName="holdfast", Targets=[{"Id": "q", "Arn": arn["QueueArn"]}]
    )
    events.publish([event(1, severity="low"), event(2, severity="critical")])
    (got,) = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10)["Messages"]
    assert json.loads(got["Body"])["detail"]["id"] == "F-2"


def test_an_event_s_id_and_time_are_not_what_its_detail_says(events, sent):
    events.publish([event(1, id="other", at="never")])
    said = json.loads(sent[0][0]["Detail"])
    assert (said["id"], said["at"]) == ("F-1", AT)


def test_nothing_to_publish_is_fine(events, sent):
    events.publish([])
    assert sent == []


def test_events_go_in_tens(events, sent):
    events.publish([event(number) for number in range(21)])
    assert [len(entries) for entries in sent] == [10, 10, 1]


def test_a_call_stays_below_its_bound(events, sent):
    events.publish([event(number, title="x" * 100_000) for number in range(5)])
    assert [len(entries) for entries in sent] == [2, 2, 1]
    assert all(len(json.loads(one["Detail"])["title"]) == 100_000 for c in sent for one in c)


@pytest.mark.parametrize(
    "detail",
    [
        {"title": "x" * 300_000},
        {"title": "ä" * 200_000},
        {"titles": ["x" * 5_000] * 500},
        {"deep": {f"k{n}": {"x": ["y" * 300] * 90} for n in range(90)}},
        {f"key-{n}" * 100: "z" * 3_000 for n in range(1_000)},
        {"k" * 300_000: 1},
    ],
)
def test_what_is_too_long_is_cut_and_says_so(events, sent, detail):
    events.publish([event(1, **detail)])
    ((entry,),) = sent
    assert len(entry["Detail"].encode()) < MAX_BATCH_BYTES
    said = json.loads(entry["Detail"])
    assert (said["id"], said["at"], said["cut"]) == ("F-1", AT, True)


def test_a_long_title_keeps_its_beginning_and_the_rest_of_the_event_stays(events, sent):
    events.publish([event(1, title="begin" + "x" * 300_000, severity="high")])
    said = json.loads(sent[0][0]["Detail"])
    assert said["title"].startswith("begin")
    assert said["title"].endswith("…")
    assert (said["severity"], said["target"]) == ("high", "postgres:orders")


def test_what_failed_of_a_call_and_only_that_is_published_again(events, client, sent, pauses):
    refusing(client, [1, 2], 1)
    events.publish([event(number) for number in range(4)])
    assert [[json.loads(one["Detail"])["id"] for one in entries] for entries in sent] == [
        ["F-0", "F-1", "F-2", "F-3"],
        ["F-1", "F-2"],
    ]
    assert pauses == [1]


def test_an_answer_of_another_length_acknowledges_nothing(events, client, sent, pauses):
    left = [1]

    def shorten(parsed, **_):
        if left.pop() if left else 0:
            parsed["Entries"].pop()

    client.meta.events.register("after-call.events.PutEvents", shorten)
    events.publish([event(0), event(1)])
    assert ([len(entries) for entries in sent], pauses) == ([2, 2], [1])


def test_retries_are_bounded(events, client, sent, pauses):
    refusing(client, [0], 1_000, "InternalFailure")
    with pytest.raises(StoreUnavailable, match=r"1 of 1 events.*InternalFailure"):
        events.publish([event(0)])
    assert len(sent) == MAX_ATTEMPTS
    assert pauses == list(range(1, MAX_ATTEMPTS))


@pytest.mark.parametrize("fault", [throttle("events"), Fault(500), Fault(how="drop")])
def test_a_call_that_fails_for_a_while_is_made_again(events, aws, fault):
    aws.fail("events", "PutEvents", fault, times=2)
    events.publish([event(0)])
    assert aws.calls.count(("events", "PutEvents")) == 3


def test_a_bus_that_does_not_answer_is_said(events, aws):
    aws.fail("events", "*", Fault(500), times=1_000)
    with pytest.raises(StoreUnavailable):
        events.publish([event(0)])


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=30),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4)
    ),
    max_leaves=20,
)


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.dictionaries(st.text(max_size=8), VALUES, max_size=5))
def test_any_detail_is_published_whole(events, sent, detail):
    events.publish([Event("F-1", "finding closed", AT, detail)])
    assert json.loads(sent[-1][0]["Detail"]) == {**detail, "id": "F-1", "at": AT}
