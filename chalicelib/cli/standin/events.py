"""CloudTrail's event history, of the calls that the stand-in served: recorded, and looked up.

Writes of IAM, RDS and EC2 are recorded, failed ones too; reads are not. An event is there at once,
where CloudTrail takes minutes. Source: CloudTrail API Reference, LookupEvents; CloudTrail User
Guide, "CloudTrail record contents".
"""

from __future__ import annotations

import base64
import json
import re
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from chalicelib.kernel.clock import timestamp

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

MAX_RESULTS: Final = 50  # of a page; also what there are if nothing is said
GLOBAL_REGION: Final = "us-east-1"  # where IAM's events are, whoever called from wherever
SERVICES: Final = frozenset({"iam", "rds", "ec2"})
_READ: Final = re.compile(r"(Get|List|Describe|Lookup|Search|Generate|Simulate)[A-Z].*")
_ERROR: Final = re.compile(rb"<Code>([A-Za-z.]{1,128})</Code>")
# Which parameters name resources, and of which types. Source: AWS Config, supported resource types.
_RESOURCES: Final = {
    "iam": {
        "userName": "AWS::IAM::User",
        "roleName": "AWS::IAM::Role",
        "groupName": "AWS::IAM::Group",
        "policyName": "AWS::IAM::Policy",
        "policyArn": "AWS::IAM::Policy",
        "instanceProfileName": "AWS::IAM::InstanceProfile",
        "accessKeyId": "AWS::IAM::AccessKey",
    },
    "rds": {
        "dBInstanceIdentifier": "AWS::RDS::DBInstance",
        "dBClusterIdentifier": "AWS::RDS::DBCluster",
        "dBParameterGroupName": "AWS::RDS::DBParameterGroup",
        "dBSubnetGroupName": "AWS::RDS::DBSubnetGroup",
        "dBSnapshotIdentifier": "AWS::RDS::DBSnapshot",
    },
    "ec2": {
        "groupId": "AWS::EC2::SecurityGroup",
        "routeTableId": "AWS::EC2::RouteTable",
        "subnetId": "AWS::EC2::Subnet",
        "vpcId": "AWS::EC2::VPC",
        "internetGatewayId": "AWS::EC2::InternetGateway",
    },
}


class Refused(Exception):
    """What CloudTrail answers with HTTP 400: its error's name, and a message."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class Served(NamedTuple):
    """One call that was served. ``user``: whose access key it was, empty for the root user's."""

    service: str
    operation: str
    region: str
    access_key: str
    user: str
    address: str
    agent: str
    request_id: str
    parameters: dict[str, Any]
    status: int
    body: bytes


class History:
    """Events, the oldest first. ``unique``: an id that nobody had before."""

    def __init__(
        self, account: str, *, now: Callable[[], datetime], unique: Callable[[], str]
    ) -> None:
        self._account = account
        self._now = now
        self._unique = unique
        self._events: list[dict[str, Any]] = []

    def record(self, served: Served) -> None:
        """Keep a call as an event, if CloudTrail's history here has such ones."""
        if served.service not in SERVICES or _READ.fullmatch(served.operation):
            return
        at = self._now()  # an event has whole seconds, cut off
        self._events.append({
            "EventId": self._unique(),
            "EventName": served.operation,
            "ReadOnly": "false",
            "AccessKeyId": served.access_key,
            "EventTime": int(at.timestamp()),
            "EventSource": f"{served.service}.amazonaws.com",
            "Username": served.user or "root",
            "Resources": _resources(served),
        })  # fmt: skip
        self._events[-1]["CloudTrailEvent"] = json.dumps(
            self._full(self._events[-1], served, timestamp(at))
        )

    def _full(self, event: dict[str, Any], served: Served, at: str) -> dict[str, Any]:
        """The event as CloudTrail's log files have it."""
        error = _ERROR.search(served.body) if served.status >= 400 else None  # noqa: PLR2004 - HTTP
        return {
            "eventVersion": "1.09",
            "userIdentity": self._identity(served),
            "eventTime": f"{at[:19]}Z",
            "eventSource": event["EventSource"],
            "eventName": event["EventName"],
            "awsRegion": _region(served.service, served.region),
            "sourceIPAddress": served.address,
            "userAgent": served.agent,
            **({"errorCode": error[1].decode()} if error else {}),
            "requestParameters": served.parameters,
            "responseElements": None,  # moto's answers are not parsed
            "requestID": served.request_id,
            "eventID": event["EventId"],
            "readOnly": False,
            "eventType": "AwsApiCall",
            "managementEvent": True,
            "recipientAccountId": self._account,
            "eventCategory": "Management",
        }

    def _identity(self, served: Served) -> dict[str, Any]:
        arn = f"arn:aws:iam::{self._account}"
        common = {"accountId": self._account, "accessKeyId": served.access_key}
        if not served.user:
            return {
                "type": "Root",
                "principalId": self._account,
                "arn": f"{arn}:root",
                **common,
            }
        return {
            "type": "IAMUser",
            "principalId": served.user,
            "arn": f"{arn}:user/{served.user}",
            **common,
            "userName": served.user,
        }

    def look_up(self, asked: Mapping[str, Any], region: str) -> dict[str, Any]:
        """The answer to LookupEvents in a region, the newest event first. Raises: Refused."""
        attribute, value = _attribute(asked.get("LookupAttributes") or [])
        start, end = asked.get("StartTime", 0), asked.get("EndTime", float("inf"))
        if start > end:
            raise Refused("InvalidTimeRangeException", "StartTime is after EndTime")
        most = asked.get("MaxResults", MAX_RESULTS)
        if not 1 <= most <= MAX_RESULTS:
            raise Refused("InvalidMaxResultsException", f"MaxResults is 1 to {MAX_RESULTS}")
        found = [
            one
            for one in reversed(self._events)
            if start <= one["EventTime"] <= end
            and json.loads(one["CloudTrailEvent"])["awsRegion"] == region
            and (not attribute or value in _values(one, attribute))
        ]
        first = _first(asked.get("NextToken"), [one["EventId"] for one in found])
        answer: dict[str, Any] = {"Events": found[first : first + most]}
        if first + most < len(found):
            answer["NextToken"] = base64.b64encode(found[first + most]["EventId"].encode()).decode()
        return answer


def _region(service: str, region: str) -> str:
    return GLOBAL_REGION if service == "iam" else region


def _resources(served: Served) -> list[dict[str, str]]:
    types = _RESOURCES[served.service]
    return [
        {"ResourceType": types[name], "ResourceName": value}
        for name, value in served.parameters.items()
        if name in types and isinstance(value, str)
    ]


def _attribute(given: list[dict[str, str]]) -> tuple[str, str]:
    """The one attribute that is looked for, and its value; both empty where there is none."""
    if not given:
        return "", ""
    if len(given) > 1:
        raise Refused("InvalidLookupAttributesException", "one attribute at a time")
    return given[0]["AttributeKey"], given[0]["AttributeValue"]


def _values(event: Mapping[str, Any], attribute: str) -> list[str]:
    if attribute in {"ResourceName", "ResourceType"}:
        return [one[attribute] for one in event["Resources"]]
    if attribute not in {"EventId", "EventName", "ReadOnly", "Username"} | {
        "EventSource",
        "AccessKeyId",
    }:
        raise Refused("InvalidLookupAttributesException", f"there is no attribute {attribute}")
    return [event[attribute]]


def _first(token: str | None, ids: list[str]) -> int:
    """Where a page begins: a token is the id of its first event."""
    if token is None:
        return 0
    try:
        return ids.index(base64.b64decode(token, validate=True).decode())
    except ValueError:
        raise Refused("InvalidNextTokenException", "the token is of another question") from None
