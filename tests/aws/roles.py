"""One account's roles and sessions, as strictly as AWS has them and moto does not.

STS: names, identities, tags and durations in their bounds, the policy's size, whole seconds. IAM:
the size of all inline policies of a role together. ``Account.may`` decides as AWS does, as far as
policies here go: a denial in the role's or the session's policy, else an allowance in both.
``before``: called before each request with its operation; what it does has happened before then.
"""

from __future__ import annotations

import fnmatch
import json
import re
from datetime import UTC, datetime, timedelta
from itertools import count

from botocore.exceptions import ClientError

ACCOUNT = "123456789012"
ROLE_ID = "AROAEXAMPLEID4NLIKE77"


def error(code, operation, status=400):
    told = {"HTTPStatusCode": status, "RequestId": "r-1"}
    said = {"Code": code, "Message": "arn, token and all"}
    return ClientError({"Error": said, "ResponseMetadata": told}, operation)


class Clock:
    def __init__(self, at="2026-10-01T02:00:00+00:00"):
        self.at = datetime.fromisoformat(at)

    def now(self):
        return self.at

    def pass_(self, seconds):
        self.at += timedelta(seconds=seconds)


class Session:
    def __init__(self, name, issued, said):
        self.name, self.issued, self.said = name, issued, said
        self.ends = issued + timedelta(seconds=said["DurationSeconds"])
        self.policy = json.loads(said["Policy"])
        self.tags = {one["Key"]: one["Value"] for one in said["Tags"]}


class Account:
    """``clock``: AWS's. ``max_characters``: of a role's inline policies together."""

    def __init__(self, *names, clock=None, max_characters=10_240):
        self.clock = clock or Clock()
        self.roles = {name: {} for name in names}
        self.sessions = []
        self.calls = []
        self.before = lambda operation: None
        self.max_characters = max_characters
        self._tokens = map(str, count(1))

    def arn(self, name):
        return f"arn:aws:iam::{ACCOUNT}:role/{name}"

    def token(self):
        return next(self._tokens)

    def _call(self, operation):
        self.before(operation)
        self.calls.append(operation)

    # STS

    def assume_role(self, **said):
        self._call("AssumeRole")
        assert set(said) == {
            "RoleArn", "RoleSessionName", "SourceIdentity", "Policy", "Tags", "DurationSeconds",
        }  # fmt: skip
        if said["RoleArn"].rpartition("/")[2] not in self.roles:
            raise error("AccessDenied", "AssumeRole", 403)
        for key in ("RoleSessionName", "SourceIdentity"):
            assert re.fullmatch(r"[\w+=,.@-]{2,64}", said[key], re.ASCII), said[key]
        assert 1 <= len(said["Policy"]) <= 2_048
        assert 900 <= said["DurationSeconds"] <= 3_600
        assert len(said["Tags"]) <= 50
        for one in said["Tags"]:
            for key, most in (("Key", 128), ("Value", 256)):
                assert len(one[key]) <= most
                assert re.fullmatch(r"[\w .:/=+@-]*", one[key])
        made = Session(said["RoleSessionName"], self.clock.at.replace(microsecond=0), said)
        self.sessions.append(made)
        number = len(self.sessions)
        return {
            "Credentials": {
                "AccessKeyId": f"ASIAEXAMPLE{number}",
                "SecretAccessKey": f"secret-{number}",
                "SessionToken": f"token-{number}",
                "Expiration": made.ends,
            },
            "PackedPolicySize": 10,
        }

    # IAM

    def _role(self, name, operation):
        if name not in self.roles:
            raise error("NoSuchEntity", operation, 404)
        return self.roles[name]

    def get_role(self, RoleName):  # noqa: N803 - botocore's spelling, here and below
        self._call("GetRole")
        self._role(RoleName, "GetRole")
        return {"Role": {"Arn": self.arn(RoleName)}}

    def get_paginator(self, operation):
        assert operation == "list_role_policies"
        return self

    def paginate(self, RoleName):  # noqa: N803
        self._call("ListRolePolicies")
        names = sorted(self._role(RoleName, "ListRolePolicies"))
        for number in range(0, len(names), 3):
            yield {"PolicyNames": names[number : number + 3]}

    def get_role_policy(self, RoleName, PolicyName):  # noqa: N803
        self._call("GetRolePolicy")
        found = self._role(RoleName, "GetRolePolicy").get(PolicyName)
        if found is None:
            raise error("NoSuchEntity", "GetRolePolicy", 404)
        return {"PolicyDocument": json.loads(found)}

    def put_role_policy(self, RoleName, PolicyName, PolicyDocument):  # noqa: N803
        self._call("PutRolePolicy")
        assert re.fullmatch(r"[\w+=,.@-]{1,128}", PolicyName, re.ASCII)
        there = {**self._role(RoleName, "PutRolePolicy"), PolicyName: PolicyDocument}
        if sum(len("".join(one.split())) for one in there.values()) > self.max_characters:
            raise error("LimitExceeded", "PutRolePolicy", 409)
        json.loads(PolicyDocument)
        self.roles[RoleName] = there

    def delete_role_policy(self, RoleName, PolicyName):  # noqa: N803
        self._call("DeleteRolePolicy")
        if self._role(RoleName, "DeleteRolePolicy").pop(PolicyName, None) is None:
            raise error("NoSuchEntity", "DeleteRolePolicy", 404)

    # What a session may do

    def may(self, session, action, resource, role="leased"):
        """Whether AWS would allow a session this, now; the role itself may do everything."""
        if self.clock.at >= session.ends:
            return False
        context = {
            "aws:CurrentTime": self.clock.at,
            "aws:TokenIssueTime": session.issued,
            "aws:userid": f"{ROLE_ID}:{session.name}",
        }
        inline = [json.loads(one) for one in self.roles[role].values()]
        every = [one for policy in (*inline, session.policy) for one in policy["Statement"]]
        applying = [one for one in every if _applies(one, action, resource, context)]
        if any(one["Effect"] == "Deny" for one in applying):
            return False
        return any(one in session.policy["Statement"] for one in applying)

    def alive(self, role="leased"):
        """The numbers, from 1, of the sessions that may do what their policy says."""
        found = []
        for number, session in enumerate(self.sessions, 1):
            allow = session.policy["Statement"][0]
            resource = allow["Resource"]
            resource = "arn:aws:s3:::any" if resource == "*" else resource[0].replace("*", "x")
            if self.may(session, allow["Action"][0], resource, role):
                found.append(number)
        return found


def _applies(statement, action, resource, context):
    wanted = ((statement["Action"], action), (statement["Resource"], resource))
    if not all(_any_like(patterns, text) for patterns, text in wanted):
        return False
    for operator, keys in statement.get("Condition", {}).items():
        for key, value in keys.items():
            match operator:
                case "StringLike":
                    held = _any_like(value, context[key])
                case "DateLessThan":
                    held = context[key] < _moment(value)
                case "DateGreaterThanEquals":
                    held = context[key] >= _moment(value)
                case _:
                    raise AssertionError(operator)
            if not held:
                return False
    return True


def _any_like(patterns, text):
    patterns = [patterns] if isinstance(patterns, str) else patterns
    return any(fnmatch.fnmatchcase(text, one.replace("[", "[[]")) for one in patterns)


def _moment(text):
    return datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
