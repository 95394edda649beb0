"""Who made a change: the call that fits best in the window, and never more certain than that."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest
from support.trail import (
    ACCOUNT,
    ANA_ROLE,
    NOW,
    FakeTrail,
    ask,
    change,
    made,
    sought,
)

from chalicelib.drift.causes import (
    NAMES,
    RESOURCES,
    ROWS,
    Fit,
    Lookup,
    causes,
    fallbacks,
    lookups,
)
from chalicelib.drift.desk import Target
from chalicelib.drift.diff import Operation
from chalicelib.drift.iam import document
from chalicelib.drift.who import HISTORY, LATE, Certainty, Principal, attributed, rank, words
from chalicelib.kernel.clock import timestamp
from chalicelib.kernel.errors import ConfigError, NotPermitted, Overdue

CERTAIN, LIKELY, POSSIBLE = Certainty.CERTAIN, Certainty.LIKELY, Certainty.POSSIBLE
NONE, UNKNOWN = Certainty.NONE, Certainty.UNKNOWN
ADMIN = "arn:aws:iam::aws:policy/AdministratorAccess"
OPEN = {"Version": "2012-10-17", "Statement": [
    {"Effect": "Allow", "Principal": "*", "Action": "sts:AssumeRole"},
]}  # fmt: skip
SHUT = {"Version": "2012-10-17", "Statement": [
    {"Effect": "Deny", "Principal": "*", "Action": "sts:AssumeRole"},
]}  # fmt: skip
TARGET = Target(slug="prod", kind="iam")


def one(found):
    return found.certainty, [(c.event, c.fit) for c in found.candidates]


# What each kind's events are: the change, the event, its parameters, AWS's answer, how it fits.
TRUST = change("iam_role", "app", "trust", before=document.canonical(SHUT),
               after=document.canonical(OPEN))  # fmt: skip
DEFAULT = {"default_version": "v3", "document": document.canonical(OPEN)}
RULE = "sg-1 in tcp 5432 from 10.0.0.0/8"
PERMISSIONS = {"items": [{"ipProtocol": "tcp", "fromPort": 5432, "toPort": 5432, "groups": {},
                          "ipRanges": {"items": [{"cidrIp": "10.0.0.0/8"}]}}]}  # fmt: skip
ARN = f"arn:aws:iam::{ACCOUNT}:policy/team/reader"
FITS = [
    (TRUST, "UpdateAssumeRolePolicy", {"roleName": "app", "policyDocument": json.dumps(OPEN)},
     None, Fit.VALUE),
    (TRUST, "UpdateAssumeRolePolicy", {"roleName": "app", "policyDocument": json.dumps(SHUT)},
     None, Fit.ANOTHER_VALUE),
    (TRUST, "UpdateAssumeRolePolicy", {"roleName": "app", "policyDocument": "{"}, None,
     Fit.OBJECT),
    (TRUST, "UpdateAssumeRolePolicy", {"roleName": "web", "policyDocument": json.dumps(OPEN)},
     None, None),
    (change("iam_attachment", f"role app has {ADMIN}"), "AttachRolePolicy",
     {"roleName": "app", "policyArn": ADMIN}, None, Fit.VALUE),
    (change("iam_attachment", "role app has reader"), "AttachRolePolicy",
     {"roleName": "app", "policyArn": ARN}, None, Fit.VALUE),
    (change("iam_attachment", "role app has AdministratorAccess"), "AttachRolePolicy",
     {"roleName": "app", "policyArn": ADMIN}, None, None),  # AWS's own has its ARN as its name
    (change("iam_attachment", "role app has reader"), "DetachRolePolicy",
     {"roleName": "app", "policyArn": ARN}, None, None),
    (change("iam_attachment", "user eve has reader", gone=True), "DetachUserPolicy",
     {"userName": "eve", "policyArn": ARN}, None, Fit.VALUE),
    (change("iam_attachment", "group ops has reader"), "AttachGroupPolicy",
     {"groupName": "ops", "policyArn": ARN}, None, Fit.VALUE),
    (change("iam_policy", "reader", "document", before=document.canonical(SHUT), **DEFAULT),
     "CreatePolicyVersion",
     {"policyArn": ARN, "policyDocument": json.dumps(OPEN), "setAsDefault": True},
     {"policyVersion": {"versionId": "v3", "isDefaultVersion": True}}, Fit.VALUE),
    (change("iam_policy", "reader", "document", before=document.canonical(SHUT), **DEFAULT),
     "CreatePolicyVersion", {"policyArn": ARN, "policyDocument": json.dumps(OPEN)}, None, None),
    (change("iam_policy", "reader", "document", before=document.canonical(SHUT), **DEFAULT),
     "SetDefaultPolicyVersion", {"policyArn": ARN, "versionId": "v3"}, None, Fit.VALUE),
    (change("iam_policy", "reader", "default_version", before="v2", after="v3"),
     "SetDefaultPolicyVersion", {"policyArn": ARN, "versionId": "v2"}, None, Fit.ANOTHER_VALUE),
    (change("iam_policy_version", "reader v3"), "CreatePolicyVersion", {"policyArn": ARN},
     {"policyVersion": {"versionId": "v3"}}, Fit.ITSELF),
    (change("iam_policy_version", "reader v2", gone=True), "DeletePolicyVersion",
     {"policyArn": ARN, "versionId": "v2"}, None, Fit.VALUE),
    (change("iam_inline_policy", "role app: all", document=document.canonical(OPEN)),
     "PutRolePolicy",
     {"roleName": "app", "policyName": "all", "policyDocument": json.dumps(OPEN)}, None,
     Fit.VALUE),
    (change("iam_inline_policy", "role app: all", document=document.canonical(OPEN)),
     "PutUserPolicy",
     {"userName": "app", "policyName": "all", "policyDocument": json.dumps(OPEN)}, None, None),
    (change("iam_access_key", "eve AKIAEVE"), "CreateAccessKey", None,
     {"accessKey": {"userName": "eve", "accessKeyId": "AKIAEVE"}}, Fit.ITSELF),
    (change("iam_access_key", "eve AKIAEVE"), "CreateAccessKey", {"userName": "eve"},
     {"accessKey": {"userName": "eve", "accessKeyId": "AKIAOTHER"}}, None),
    (change("iam_access_key", "eve AKIAEVE", "status", before="Inactive", after="Active"),
     "UpdateAccessKey", {"accessKeyId": "AKIAEVE", "status": "Active"}, None, Fit.VALUE),
    (change("iam_membership", "eve in ops"), "AddUserToGroup",
     {"userName": "eve", "groupName": "ops"}, None, Fit.VALUE),
    (change("iam_user", "eve", "console", before=False, after=True), "CreateLoginProfile",
     {"userName": "eve"}, None, Fit.VALUE),
    (change("iam_user", "eve", "console", before=False, after=True), "DeleteLoginProfile",
     {"userName": "eve"}, None, None),
    (change("iam_role", "app", "boundary", before="limit", after=None),
     "DeleteRolePermissionsBoundary", {"roleName": "app"}, None, Fit.VALUE),
    (change("iam_user", "new"), "UpdateUser", {"userName": "old", "newUserName": "new"}, None,
     Fit.VALUE),
    (change("iam_user", "old", gone=True), "UpdateUser", {"userName": "old", "newPath": "/x/"},
     None, None),
    (change("iam_mfa_device", f"eve arn:aws:iam::{ACCOUNT}:mfa/eve", gone=True),
     "DeactivateMFADevice",
     {"userName": "eve", "serialNumber": f"arn:aws:iam::{ACCOUNT}:mfa/eve"}, None, Fit.VALUE),
    (change("iam_password_policy", "account", "minimum_length", before=14, after=6),
     "UpdateAccountPasswordPolicy", {"minimumPasswordLength": 6}, None, Fit.VALUE),
    (change("iam_password_policy", "account", gone=True), "DeleteAccountPasswordPolicy", None,
     None, Fit.VALUE),
    (change("rds_parameter", "rds.force_ssl of orders-pg16", "value", before="1", after="0"),
     "ModifyDBParameterGroup",
     {"dBParameterGroupName": "orders-pg16", "parameters": [
         {"parameterName": "work_mem", "parameterValue": "0"},
         {"parameterName": "rds.force_ssl", "parameterValue": "0"},
     ]}, None, Fit.VALUE),
    (change("rds_parameter", "rds.force_ssl of orders-pg16", "value", before="1", after="0"),
     "ModifyDBParameterGroup",
     {"dBParameterGroupName": "orders-pg16", "parameters": [
         {"parameterName": "work_mem", "parameterValue": "0"},
         {"parameterName": "rds.force_ssl", "parameterValue": "1"},
     ]}, None, Fit.ANOTHER_VALUE),
    (change("rds_parameter", "rds.force_ssl of orders-pg16", "value", before="1", after="0"),
     "ResetDBParameterGroup",
     {"dBParameterGroupName": "orders-pg16", "resetAllParameters": True}, None, Fit.OBJECT),
    (change("rds_instance", "orders", "public_access", before=False, after=True),
     "ModifyDBInstance", {"dBInstanceIdentifier": "Orders", "publiclyAccessible": True}, None,
     Fit.VALUE),
    (change("rds_instance", "orders", "public_access", before=False, after=True),
     "ModifyDBInstance", {"dBInstanceIdentifier": "orders", "deletionProtection": False}, None,
     None),  # it alters only what it states
    (change("rds_instance", "orders", "security_groups", before=["sg-1"], after=["sg-2"]),
     "ModifyDBInstance",
     {"dBInstanceIdentifier": "orders", "vpcSecurityGroupIds": ["sg-2"]}, None, Fit.VALUE),
    (change("rds_instance", "orders", "pending", before=["parameter_group"], after=[]),
     "RebootDBInstance", {"dBInstanceIdentifier": "orders"}, None, Fit.OBJECT),
    (change("rds_instance", "orders", "engine_version", before="16.3", after="16.4"),
     "RebootDBInstance", {"dBInstanceIdentifier": "orders"}, None, None),
    (change("rds_parameter", "work_mem of cluster orders", "value", before="1", after="2"),
     "ModifyDBClusterParameterGroup",
     {"dBClusterParameterGroupName": "orders",
      "parameters": [{"parameterName": "work_mem", "parameterValue": "2"}]}, None, Fit.VALUE),
    (change("rds_parameter", "work_mem of cluster orders", "value", before="1", after="2"),
     "ModifyDBParameterGroup",
     {"dBParameterGroupName": "orders",
      "parameters": [{"parameterName": "work_mem", "parameterValue": "2"}]}, None, None),
    (change("rds_parameter", "x of g", "value", before="1", after="(concealed 0123456789abcdef)"),
     "ModifyDBParameterGroup",
     {"dBParameterGroupName": "g", "parameters": [{"parameterName": "x", "parameterValue": "s"}]},
     None, Fit.OBJECT),  # what is concealed cannot be compared
    (change("rds_instance", "orders", "tags", before={}, after={"env": "prod"}),
     "AddTagsToResource", {"resourceName": f"arn:aws:rds:eu-west-1:{ACCOUNT}:db:orders"}, None,
     Fit.OBJECT),
    (change("iam_role", "app", "trust", before="{", after="{ {"), "UpdateAssumeRolePolicy",
     {"roleName": "app", "policyDocument": "{  {"}, None, Fit.OBJECT),
    (change("iam_policy", ADMIN, aws_managed=True), "AttachRolePolicy",
     {"roleName": "app", "policyArn": ADMIN}, None, Fit.VALUE),
    (change("security_group_rule", "sg-1 out all to 0.0.0.0/0"), "CreateSecurityGroup",
     {"groupName": "g"}, {"groupId": "sg-1"}, Fit.OBJECT),
    (change("rds_instance", "orders", "option_groups", before=["a"], after=["b"]),
     "ModifyDBInstance", {"dBInstanceIdentifier": "orders", "optionGroupName": "b"}, None,
     Fit.VALUE),
    (change("rds_cluster", "orders", "deletion_protection", before=True, after=False),
     "ModifyDBCluster", {"dBClusterIdentifier": "orders", "deletionProtection": False}, None,
     Fit.VALUE),
    (change("security_group_rule", RULE), "AuthorizeSecurityGroupIngress",
     {"groupId": "sg-1", "ipPermissions": PERMISSIONS}, None, Fit.VALUE),
    (change("security_group_rule", RULE), "AuthorizeSecurityGroupEgress",
     {"groupId": "sg-1", "ipPermissions": PERMISSIONS}, None, None),
    (change("security_group_rule", "sg-1 in tcp 22 from 10.0.0.0/8"),
     "AuthorizeSecurityGroupIngress", {"groupId": "sg-1", "ipPermissions": PERMISSIONS}, None,
     None),
    (change("security_group_rule", "sg-1 in tcp 5432 from 0.0.0.0/0"),
     "AuthorizeSecurityGroupIngress", {"groupId": "sg-1", "ipPermissions": PERMISSIONS}, None,
     None),
    (change("security_group_rule", RULE, gone=True), "RevokeSecurityGroupIngress",
     {"groupId": "sg-1", "securityGroupRuleIds": {"items": ["sgr-1"]}}, None, Fit.OBJECT),
    (change("rds_subnet", "subnet-1", "internet", before=False, after=True, route_table="rtb-1"),
     "CreateRoute", {"routeTableId": "rtb-1", "destinationCidrBlock": "0.0.0.0/0"}, None,
     Fit.OBJECT),
    (change("rds_snapshot_share", "nightly with everybody"), "ModifyDBSnapshotAttribute",
     {"dBSnapshotIdentifier": "nightly", "attributeName": "restore", "valuesToAdd": ["all"]},
     None, Fit.VALUE),
    (change("rds_snapshot_share", "nightly with 999999999999"), "ModifyDBSnapshotAttribute",
     {"dBSnapshotIdentifier": "nightly", "attributeName": "restore", "valuesToAdd": ["all"]},
     None, None),
    (change("rds_parameter_group", "orders-pg16", "status", before="in-sync",
            after="pending-reboot"), "RebootDBInstance", {"dBInstanceIdentifier": "x"}, None,
     Fit.KIND),
]  # fmt: skip


@pytest.mark.parametrize("case", range(len(FITS)))
def test_how_well_an_event_fits(case):
    altered, name, request, response, expected = FITS[case]
    service = {"iam": "iam", "rds": "rds", "sec": "ec2"}[altered.kind[:3]]
    service = "ec2" if name in {"CreateRoute", "CreateSecurityGroup"} else service
    event = made(name, request, response=response, source=f"{service}.amazonaws.com")
    found = rank(sought(altered), [event], now=NOW)
    expected = expected and expected.name.lower().replace("_", " ")
    assert [c.fit for c in found.candidates] == ([expected] if expected else [])


def test_every_kind_of_the_table_is_asked_for_by_something():
    """A kind with rows but without a form of its names, or the reverse, would never be found."""
    assert ROWS.keys() == NAMES.keys()
    assert RESOURCES.keys() <= ROWS.keys()


def test_what_no_call_makes_is_not_attributed():
    assert causes(change("iam_access_key", "eve AKIA1", "age", before="a", after="b")) == []
    assert causes(change("iam_database_access", "role app")) == []
    assert causes(change("rds_disagreement", "work_mem")) == []
    assert causes(change("table", "public.orders")) == []
    assert causes(change("iam_attachment", "a name of no such form")) == []
    unread = change("iam_role", "app")
    assert lookups(unread) == [Lookup("ResourceName", "app")]
    assert fallbacks(unread)[0] == Lookup("EventName", "CreateRole")


def attach(at=-60, **more):
    return made("AttachRolePolicy", {"roleName": "app", "policyArn": ADMIN}, at=at, **more)


ATTACHED = sought(change("iam_attachment", f"role app has {ADMIN}"))


def test_one_call_that_states_the_value_is_certain_once_all_was_delivered():
    found = rank(ATTACHED, [attach()], now=NOW + LATE)
    assert (found.certainty, found.pending_until) == (CERTAIN, "")
    assert found.culprit == found.candidates[0].principal
    early = rank(ATTACHED, [attach()], now=NOW)
    assert (early.certainty, early.pending_until) == (LIKELY, timestamp(NOW + LATE))
    assert early.culprit is None
    assert "may still be delivered" in early.why


def test_an_id_that_is_given_once_is_certain_at_once():
    key = sought(change("iam_access_key", "eve AKIAEVE"))
    event = made("CreateAccessKey", None, response={"accessKey": {"accessKeyId": "AKIAEVE"}})
    assert rank(key, [event], now=NOW).certainty is CERTAIN


def test_two_calls_that_fit_are_possible_the_nearest_to_the_end_first():
    found = rank(ATTACHED, [attach(-300, id="old"), attach(-60, id="new")], now=NOW + LATE)
    assert found.certainty is POSSIBLE
    assert [c.event_id for c in found.candidates] == ["new", "old"]


def test_the_value_ranks_above_the_object_alone():
    """However near to the end the other one is."""
    altered = sought(change("rds_parameter", "ssl of g", "value", before="1", after="0"))
    said = {"dBParameterGroupName": "g"}
    parameters = [{"parameterName": "ssl", "parameterValue": "0"}]
    rds = "rds.amazonaws.com"
    events = [
        made("ResetDBParameterGroup", {**said, "resetAllParameters": True}, at=-5, source=rds),
        made("ModifyDBParameterGroup", {**said, "parameters": parameters}, at=-500, source=rds),
    ]
    found = rank(altered, events, now=NOW + LATE)
    assert one(found) == (
        LIKELY, [("ModifyDBParameterGroup", "value"), ("ResetDBParameterGroup", "object")],
    )  # fmt: skip


def test_a_call_that_gave_another_value_is_no_more_than_possible():
    said = {"roleName": "app", "policyDocument": json.dumps(SHUT)}
    found = rank(sought(TRUST), [made("UpdateAssumeRolePolicy", said)], now=NOW + LATE)
    assert one(found) == (POSSIBLE, [("UpdateAssumeRolePolicy", "another value")])
    right = made("UpdateAssumeRolePolicy", {**said, "policyDocument": json.dumps(OPEN)}, at=-90)
    both = rank(sought(TRUST), [made("UpdateAssumeRolePolicy", said), right], now=NOW + LATE)
    assert (both.certainty, both.candidates[0].fit) == (CERTAIN, "value")


@pytest.mark.parametrize(
    "event",
    [
        attach(error="AccessDenied"),
        attach(read_only=True),
        attach(-7200),
        attach(120),
        attach(source="sts.amazonaws.com"),
    ],
    ids=["failed", "only reads", "before the window", "after the window", "another service"],
)
def test_no_candidate_is(event):
    found = rank(ATTACHED, [event], now=NOW + LATE)
    assert (found.certainty, found.candidates) == (NONE, [])


def test_the_second_in_which_the_window_begins_is_inside():
    """CloudTrail cuts off the fractions of seconds, and the window does not."""
    since = sought(ATTACHED.change, since=NOW - timedelta(seconds=60) + timedelta(microseconds=9))
    assert rank(since, [attach(-60)], now=NOW + LATE).certainty is CERTAIN


def test_nothing_yet_is_unknown_while_more_may_come_and_none_afterwards():
    assert rank(ATTACHED, [], now=NOW).certainty is UNKNOWN
    assert rank(ATTACHED, [], now=NOW + LATE).certainty is NONE


def test_what_was_not_asked_is_never_none_nor_certain():
    assert rank(ATTACHED, [], now=NOW + LATE, missing="denied").certainty is UNKNOWN
    found = rank(ATTACHED, [attach()], now=NOW + LATE, missing="denied")
    assert (found.certainty, "denied" in found.why) == (LIKELY, True)


def test_a_window_beyond_the_history_is_unknown():
    old = sought(ATTACHED.change, since=NOW - HISTORY - timedelta(days=1))
    found = rank(old, [], now=NOW + LATE)
    assert (found.certainty, "90 days" in found.why) == (UNKNOWN, True)
    assert rank(ATTACHED._replace(since=""), [], now=NOW + LATE).certainty is UNKNOWN


def test_no_more_than_five_candidates():
    found = rank(ATTACHED, [attach(-n, id=str(n)) for n in range(1, 9)], now=NOW + LATE)
    assert [c.event_id for c in found.candidates] == ["1", "2", "3", "4", "5"]
    assert "8 calls" in found.why


def test_only_root_alters_what_is_roots():
    altered = sought(change("iam_account", ACCOUNT, "root_access_keys", before=False, after=True))
    key = {"accessKey": {"accessKeyId": "AKIAROOT"}}
    root = Principal(f"arn:aws:iam::{ACCOUNT}:root", "Root", ACCOUNT)
    assert (
        rank(altered, [made("CreateAccessKey", None, response=key)], now=NOW + LATE).candidates
        == []
    )
    by_root = made("CreateAccessKey", None, response=key, principal=root)
    found = rank(altered, [by_root], now=NOW + LATE)
    assert (found.certainty, words(found.candidates[0].principal)) == (
        CERTAIN, f"root of account {ACCOUNT}",
    )  # fmt: skip


def test_principals_are_named_in_full():
    session = Principal(
        f"arn:aws:sts::{ACCOUNT}:assumed-role/admin/ana", "AssumedRole", ACCOUNT, "",
        ANA_ROLE, "ana@example.com", "cloudformation.amazonaws.com",
    )  # fmt: skip
    assert words(session) == (
        f"arn:aws:sts::{ACCOUNT}:assumed-role/admin/ana, source identity ana@example.com, "
        "through cloudformation.amazonaws.com"
    )
    service = Principal("rds.amazonaws.com", "AWSService", invoked_by="rds.amazonaws.com")
    assert words(service) == "the AWS service rds.amazonaws.com"


def test_resources_are_asked_for_first_and_events_only_where_that_shows_nothing():
    trail = FakeTrail({Lookup("ResourceName", "app"): [attach()]})
    found = ask(trail, ATTACHED, now=NOW + LATE)
    assert (found.certainty, trail.asked) == (CERTAIN, [Lookup("ResourceName", "app")])
    trail = FakeTrail({Lookup("EventName", "AttachRolePolicy"): [attach()]})
    assert ask(trail, ATTACHED, now=NOW + LATE).certainty is CERTAIN
    assert trail.asked == [Lookup("ResourceName", "app"), Lookup("EventName", "AttachRolePolicy")]


def test_one_question_serves_all_who_want_it():
    trail = FakeTrail({Lookup("ResourceName", "app"): [attach()]})
    other = sought(TRUST, id="F-2", since=NOW - timedelta(hours=3))
    found = attributed(lambda _: trail)(TARGET, [other, ATTACHED], NOW + LATE)
    assert {key: who.certainty for key, who in found.items()} == {"F-1": CERTAIN, "F-2": NONE}
    assert trail.asked.count(Lookup("ResourceName", "app")) == 1
    assert trail.windows[0] == (NOW - timedelta(hours=3), NOW + timedelta(seconds=1))


@pytest.mark.parametrize("error", [NotPermitted("denied (HTTP 400, request 1)"), Overdue("late")])
def test_who_refuses_is_asked_no_more_and_all_is_unknown(error):
    trail = FakeTrail({}, error=error)
    two = [ATTACHED, sought(TRUST, id="F-2")]
    found = attributed(lambda _: trail)(TARGET, two, NOW + LATE)
    assert {who.certainty for who in found.values()} == {UNKNOWN}
    assert len(trail.asked) == 1
    assert "request" not in found["F-1"].why
    assert all(who.again(NOW) for who in found.values())
    assert not any(who.again(NOW + HISTORY) for who in found.values())


def test_what_was_cut_off_is_unknown():
    trail = FakeTrail({}, missing="more than 1000 events")
    assert ask(trail, ATTACHED, now=NOW + LATE).certainty is UNKNOWN


def test_a_target_without_a_trail_is_not_attributed_and_a_broken_one_is_unknown():
    assert attributed(lambda _: None)(TARGET, [ATTACHED], NOW) == {}

    def broken(_target):
        raise ConfigError("no region")

    found = attributed(broken)(TARGET, [ATTACHED], NOW)
    assert (found["F-1"].certainty, "no region" in found["F-1"].why) == (UNKNOWN, True)
    table = sought(change("table", "public.orders"))
    assert attributed(broken)(TARGET, [table], NOW) == {}


def test_parameters_that_are_strange_fit_nothing():
    deep = {"roleName": ["x", {"y": None}], "policyArn": {"items": [1, 2.5, None]}}
    for request in (deep, [], "text", 7, {"roleName": {}}, {"RoleName": "app"}):
        assert rank(ATTACHED, [made("AttachRolePolicy", request)], now=NOW + LATE).candidates == []
    wide = {"policyArn": ADMIN, "x": [{} for _ in range(20_000)] + [{"roleName": "app"}]}
    assert rank(ATTACHED, [made("AttachRolePolicy", wide)], now=NOW + LATE).candidates == []


def test_times_are_of_the_window():
    found = rank(ATTACHED, [attach()], now=NOW)
    assert (found.since, found.until) == (ATTACHED.since, ATTACHED.until)
    assert found.candidates[0].at == timestamp(NOW - timedelta(seconds=60))
    assert datetime(2026, 11, 23, tzinfo=UTC) < NOW
    assert ATTACHED.change.operation is Operation.ADDED
