"""Notices through SNS and EventBridge."""

from __future__ import annotations

import json
import traceback

import pytest
from botocore.exceptions import ClientError
from support.aws import Fault, throttle

from chalicelib.access import notice
from chalicelib.access.notice import Notice
from chalicelib.aws.bus import EventBridgeReceiver, SnsReceiver
from chalicelib.kernel.errors import CouldNotTell, NotAllowed

ONE = Notice(
    id="example.org/log/17",
    kind="access.requested",
    at="2026-10-01T02:00:00.123456Z",
    log="example.org/log",
    record=17,
    seq=3,
    target="postgres:orders-prod",
    request="orders-prod.abcdefghijkm",
    actor="ana",
    via="oidc",
    detail={"reason": "a\nb"},
)


@pytest.fixture
def queue(empty_aws):
    """(its ARN, what is in it)."""
    sqs = empty_aws.client("sqs")
    url = sqs.create_queue(QueueName="told")["QueueUrl"]
    found = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]

    def bodies():
        told = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", [])
        return [json.loads(one["Body"]) for one in told]

    return found["QueueArn"], bodies


@pytest.fixture
def topic(empty_aws, queue):
    sns = empty_aws.client("sns")
    arn = sns.create_topic(Name="notices")["TopicArn"]
    sns.subscribe(TopicArn=arn, Protocol="sqs", Endpoint=queue[0])
    return arn


def test_people_get_lines_of_text_and_what_to_filter_by(empty_aws, topic, queue):
    receiver = SnsReceiver(empty_aws.client("sns"), topic, kinds=["access.requested"])
    receiver.tell(ONE)
    [said] = queue[1]()
    assert said["Subject"] == notice.subject(ONE)
    assert said["Message"] == notice.text(ONE)
    values = {name: one["Value"] for name, one in said["MessageAttributes"].items()}
    assert values == {"kind": "access.requested", "target": "postgres:orders-prod", "id": ONE.id}
    assert receiver.name == topic
    assert receiver.kinds == frozenset({"access.requested"})


def test_a_topic_that_is_gone_is_tried_again(empty_aws, topic):
    receiver = SnsReceiver(empty_aws.client("sns"), f"{topic}-other")
    with pytest.raises(CouldNotTell, match="cannot publish a notice"):
        receiver.tell(ONE)


@pytest.mark.parametrize("fault", [throttle("sns"), Fault(403, "AuthorizationError"), Fault()])
def test_a_topic_that_fails_is_tried_again(empty_aws, topic, fault):
    with (
        empty_aws.failing("sns", "Publish", fault, times=100),
        pytest.raises(CouldNotTell) as caught,
    ):
        SnsReceiver(empty_aws.client("sns"), topic).tell(ONE)
    assert not isinstance(caught.value, NotAllowed)


class Refusing:
    def publish(self, **_):
        said = {"Code": "InvalidParameter", "Message": "the text that was sent"}
        raise ClientError({"Error": said}, "Publish")


def test_what_a_topic_never_takes_is_given_up():
    with pytest.raises(NotAllowed, match="refuses the notice") as caught:
        SnsReceiver(Refusing(), "arn").tell(ONE)
    assert "that was sent" not in "".join(traceback.format_exception(caught.value))


def test_programs_get_an_event(empty_aws, queue):
    client = empty_aws.client("events")
    bus = client.create_event_bus(Name="notices")["EventBusArn"]
    pattern = {"source": ["holdfast"], "detail-type": ["access requested"]}
    client.put_rule(Name="r", EventBusName="notices", EventPattern=json.dumps(pattern))
    client.put_targets(Rule="r", EventBusName="notices", Targets=[{"Id": "q", "Arn": queue[0]}])
    receiver = EventBridgeReceiver(client, "notices", pause=lambda _: None)
    receiver.tell(ONE)
    [said] = queue[1]()
    assert said["detail"] == notice.event(ONE)
    assert EventBridgeReceiver(client, bus, pause=lambda _: None).name == bus


def test_a_bus_that_fails_is_tried_again(empty_aws):
    receiver = EventBridgeReceiver(empty_aws.client("events"), "x", pause=lambda _: None)
    with (
        empty_aws.failing("events", "PutEvents", throttle("events"), times=100),
        pytest.raises(CouldNotTell),
    ):
        receiver.tell(ONE)
