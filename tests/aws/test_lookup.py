"""CloudTrail's event history: what it says of an event, and what it cannot be asked."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest
from support.aws import ACCOUNT, Fault, throttle
from support.trail import NOW

from chalicelib.aws import lookup
from chalicelib.aws.lookup import CloudTrail, event, region
from chalicelib.drift.causes import Lookup
from chalicelib.drift.who import ROOT
from chalicelib.kernel.errors import (
    ConfigError,
    Malformed,
    NotPermitted,
    Overdue,
    StoreUnavailable,
)

HOUR = timedelta(hours=1)
ROLE = Lookup("ResourceName", "app")
SESSION = {
    "type": "AssumedRole",
    "principalId": "AROAEXAMPLE:ana",
    "arn": f"arn:aws:sts::{ACCOUNT}:assumed-role/admin/ana",
    "accountId": ACCOUNT,
    "sessionContext": {
        "sessionIssuer": {"type": "Role", "arn": f"arn:aws:iam::{ACCOUNT}:role/admin"},
        "sourceIdentity": "ana@example.com",
    },
}


def record(number=1, *, at=-60, **changes):
    """An event of a role as LookupEvents gives it. Source: CloudTrail User Guide, log examples."""
    moment = NOW + timedelta(seconds=at)
    said = {
        "eventVersion": "1.11",
        "userIdentity": SESSION,
        "eventTime": moment.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "eventSource": "iam.amazonaws.com",
        "eventName": "AttachRolePolicy",
        "sourceIPAddress": "192.0.2.7",
        "userAgent": "aws-cli/2.17",
        "requestParameters": {"roleName": "app", "policyArn": "arn:aws:iam::aws:policy/X"},
        "responseElements": None,
        "requestID": f"request-{number}",
        "eventID": f"event-{number}",
        "readOnly": False,
        **changes,
    }
    return {
        "EventId": f"event-{number}",
        "EventName": said["eventName"],
        "EventTime": moment.timestamp(),
        "EventSource": said["eventSource"],
        "Resources": [{"ResourceType": "AWS::IAM::Role", "ResourceName": "app"}],
        "CloudTrailEvent": json.dumps(said),
    }


def given(number=1, **changes):
    """The same as botocore gives it."""
    told = record(number, **changes)
    return {**told, "EventTime": datetime.fromtimestamp(told["EventTime"], tz=UTC)}


class Ticking:
    """Seconds that a call takes, and how often somebody waited."""

    def __init__(self):
        self.seconds, self.paces = 0.0, 0

    def pace(self):
        self.paces += 1

    def monotonic(self):
        return self.seconds


@pytest.fixture
def ticking():
    return Ticking()


@pytest.fixture
def ask(empty_aws, ticking):
    def ask(asked=ROLE, *, start=NOW - HOUR, end=NOW, trail=None, **options):
        made = trail or asker(empty_aws, ticking, **options)
        return made.events(asked, start, end)

    return ask


def asker(aws, ticking, *, seconds=60, **options):
    return CloudTrail(
        aws.client("cloudtrail"),
        pace=ticking.pace,
        monotonic=ticking.monotonic,
        seconds=seconds,
        **options,
    )


def test_an_event_is_told_in_full(empty_aws, ask):
    empty_aws.strict.trail.append(record())
    [found] = ask().events
    assert (found.id, found.name, found.source) == (
        "event-1",
        "AttachRolePolicy",
        "iam.amazonaws.com",
    )
    assert (found.address, found.request_id, found.agent) == (
        "192.0.2.7",
        "request-1",
        "aws-cli/2.17",
    )
    assert found.at == NOW - timedelta(seconds=60)
    assert (found.error, found.read_only) == ("", False)
    assert found.request["roleName"] == "app"
    who = found.principal
    assert (who.name, who.kind, who.account) == (SESSION["arn"], "AssumedRole", ACCOUNT)
    assert who.issuer == f"arn:aws:iam::{ACCOUNT}:role/admin"
    assert who.source_identity == "ana@example.com"


def test_what_was_asked_for_comes_alone_in_pages_and_no_two_calls_at_once(empty_aws, ask, ticking):
    empty_aws.strict.trail += [record(n, at=-n) for n in range(1, 121)]
    empty_aws.strict.trail += [{**record(900), "Resources": []}, record(901, at=-7200)]
    found = ask()
    assert ([one.id for one in found.events], found.missing) == (
        [f"event-{n}" for n in range(1, 121)],
        "",
    )
    assert ticking.paces == 2
    assert empty_aws.calls.count(("cloudtrail", "LookupEvents")) == 3
    assert ask(Lookup("EventName", "DetachRolePolicy")).events == []


def test_more_pages_than_are_read_are_missing(empty_aws, ask):
    empty_aws.strict.trail += [record(n, at=-n) for n in range(1, 121)]
    found = ask(pages=2)
    assert (len(found.events), "more than 100 events" in found.missing) == (100, True)


def test_the_calls_and_the_time_of_a_scan_are_bounded(empty_aws, ask, ticking):
    trail = asker(empty_aws, ticking, calls=2)
    ask(trail=trail)
    ask(trail=trail)
    with pytest.raises(Overdue, match="asks CloudTrail 2 times"):
        ask(trail=trail)
    trail = asker(empty_aws, ticking, seconds=60)
    ask(trail=trail)
    ticking.seconds = 61.0
    with pytest.raises(Overdue, match="for 60 seconds"):
        ask(trail=trail)


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (Fault(400, "AccessDeniedException"), NotPermitted),
        (throttle("cloudtrail"), StoreUnavailable),
    ],
    ids=["denied", "throttled"],
)
def test_a_refusal_is_an_error_and_no_empty_answer(empty_aws, ask, fault, error):
    empty_aws.strict.trail.append(record())
    empty_aws.faults.append(lambda call: fault if call.operation == "LookupEvents" else None)
    with pytest.raises(error):
        ask()


def test_an_event_that_cannot_be_read_is_missing(empty_aws, ask):
    empty_aws.strict.trail += [{**record(1), "CloudTrailEvent": "{"}, record(2)]
    found = ask()
    assert ([one.id for one in found.events], found.missing) == (
        ["event-2"],
        "1 events could not be read",
    )


@pytest.mark.parametrize(
    "told",
    [
        {},
        {**given(), "CloudTrailEvent": "[]"},
        {**given(), "CloudTrailEvent": '{"a":1,"a":2}'},
        {**given(), "CloudTrailEvent": "[" * 100_000},
        {**given(), "CloudTrailEvent": json.dumps({"x": "x" * lookup.MAX_EVENT_BYTES})},
        {**given(), "EventTime": None},
        {**given(), "EventId": None},
    ],
    ids=["empty", "a list", "a key twice", "deep", "large", "no time", "no id"],
)
def test_what_is_no_event(told):
    with pytest.raises(Malformed):
        event(told)


def test_an_event_may_lack_almost_everything():
    found = event({**given(), "CloudTrailEvent": '{"userIdentity":["x"],"userAgent":7}'})
    assert (found.name, found.agent, found.principal.name) == ("", "", "not told")
    assert found.request is None


def test_text_of_callers_is_cut_and_can_be_recorded():
    told = json.loads(given()["CloudTrailEvent"])
    told["userAgent"] = "\ud800 evil\n" + "x" * 10_000
    told["readOnly"] = ["true"]
    found = event({**given(), "CloudTrailEvent": json.dumps(told)})
    assert len(found.agent) == 512
    assert found.agent.encode().startswith(b"? evil\n")
    assert found.read_only is False


@pytest.mark.parametrize(
    ("identity", "name", "kind"),
    [
        (
            {"type": "Root", "arn": f"arn:aws:iam::{ACCOUNT}:root", "accountId": ACCOUNT},
            f"arn:aws:iam::{ACCOUNT}:root",
            ROOT,
        ),
        (
            {"type": "AWSService", "invokedBy": "rds.amazonaws.com"},
            "rds.amazonaws.com",
            "AWSService",
        ),
        ({"type": "AWSAccount", "principalId": "AIDA1"}, "AIDA1", "AWSAccount"),
        ({"type": "Unknown"}, "Unknown", "Unknown"),
    ],
    ids=["root", "a service", "another account", "a type alone"],
)
def test_who_called_is_named_by_what_there_is(identity, name, kind):
    found = event(given(userIdentity=identity)).principal
    assert (found.name, found.kind) == (name, kind)


def test_a_call_that_failed_says_so():
    assert event(given(errorCode="AccessDenied")).error == "AccessDenied"
    assert event(given(errorMessage="no")).error == "failed"
    assert event(given(readOnly=True)).read_only


@pytest.mark.parametrize(
    ("kind", "partition", "expected"),
    [
        ("iam", "aws", "us-east-1"),
        ("iam", "aws-cn", "cn-north-1"),
        ("iam", "aws-us-gov", "us-gov-west-1"),
        ("rds", "aws", "eu-central-1"),
    ],
)
def test_the_region_that_has_the_events(kind, partition, expected):
    assert region(kind, "eu-central-1", partition) == expected


def test_the_region_of_another_partition_is_not_guessed():
    with pytest.raises(ConfigError, match="aws-iso"):
        region("iam", "us-iso-east-1", "aws-iso")
