"""The demo's stand-in of AWS: what is in it, what its CloudTrail tells, that there is no other.

The server runs in this process for most tests, with an account of its own, so that moto's other
users here see nothing of it; one test starts the process that the demo has.
"""

from __future__ import annotations

import json
import os
import socket
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit

import botocore.session
import pytest
from botocore.exceptions import ClientError

from chalicelib.cli.standin import account, form, server
from chalicelib.cli.standin.events import History, Refused, Served
from chalicelib.cli.standin.process import StandIn, without_aws
from chalicelib.kernel.errors import ConfigError, CouldNotTell

ACCOUNT = "210987654321"
NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)


def client(service, endpoint, credentials, region=account.REGION):
    return botocore.session.Session().create_client(
        service,
        region_name=region,
        endpoint_url=endpoint,
        aws_access_key_id=credentials["access_key"],
        aws_secret_access_key=credentials["secret"],
    )


@pytest.fixture(scope="module")
def aws():
    """A built account, its night over: the endpoint, the access keys, and what was said of it."""
    with server.serving(ACCOUNT) as endpoint:
        keys = account.build(endpoint)
        yield endpoint, keys, account.night(endpoint, keys["mallory"])


@pytest.fixture(scope="module")
def events(aws):
    """LookupEvents in a region, as the scanner."""
    endpoint, keys, _ = aws

    def asked(region=account.REGION, by="", value="", **more):
        if by:
            more["LookupAttributes"] = [{"AttributeKey": by, "AttributeValue": value}]
        trail = client("cloudtrail", endpoint, keys["holdfast"], region)
        return trail.lookup_events(**more)

    return asked


def test_every_user_with_a_key_is_who_that_key_says(aws):
    endpoint, keys, _ = aws
    assert set(keys) == {"terraform", "holdfast", "mallory"}
    for user, credentials in keys.items():
        told = client("sts", endpoint, credentials).get_caller_identity()
        assert (told["Account"], told["Arn"]) == (ACCOUNT, f"arn:aws:iam::{ACCOUNT}:user/{user}")


def test_every_answer_says_that_it_is_a_stand_ins(aws):
    endpoint, keys, _ = aws
    told = client("sts", endpoint, keys["holdfast"]).get_caller_identity()
    assert told["ResponseMetadata"]["HTTPHeaders"]["server"] == "stand-in of AWS (moto)"


def test_the_night_changed_what_it_says(aws):
    endpoint, keys, told = aws
    iam, rds, ec2 = (client(one, endpoint, keys["holdfast"]) for one in ("iam", "rds", "ec2"))
    document = iam.get_role_policy(RoleName="shop-web", PolicyName="orders")
    assert document["PolicyDocument"]["Statement"][1]["Resource"].endswith("/*")
    instance = rds.describe_db_instances(DBInstanceIdentifier="orders")["DBInstances"][0]
    assert instance["DeletionProtection"] is False
    group = instance["VpcSecurityGroups"][0]["VpcSecurityGroupId"]
    rules = ec2.describe_security_groups(GroupIds=[group])["SecurityGroups"][0]["IpPermissions"]
    blocks = {block["CidrIp"] for rule in rules for block in rule["IpRanges"]}
    assert blocks == {"10.0.0.0/16", "0.0.0.0/0"}
    assert [line.split()[2] for line in told if line.startswith("aws ")] == [
        "put-role-policy",
        "authorize-security-group-ingress",
        "modify-db-instance",
    ]


def test_the_history_says_who_changed_a_role_and_from_where(events):
    newest, *before = events("us-east-1", "ResourceName", "shop-web")["Events"]
    said = json.loads(newest["CloudTrailEvent"])
    assert (newest["EventName"], newest["Username"]) == ("PutRolePolicy", "mallory")
    assert said["userIdentity"]["arn"] == f"arn:aws:iam::{ACCOUNT}:user/mallory"
    assert (said["sourceIPAddress"], said["readOnly"]) == ("127.0.0.1", False)
    assert said["requestParameters"]["roleName"] == "shop-web"
    document = json.loads(said["requestParameters"]["policyDocument"])
    assert document["Statement"][1]["Action"] == ["rds-db:connect"]
    assert said["requestID"]
    assert said["eventID"] == newest["EventId"]
    assert {one["Username"] for one in before} == {"terraform"}


def test_the_history_has_a_rule_and_a_modification_with_their_values(events):
    found = events(by="Username", value="mallory")["Events"]
    said = [json.loads(one["CloudTrailEvent"]) for one in found]
    assert [one["eventName"] for one in said] == [
        "ModifyDBInstance",
        "AuthorizeSecurityGroupIngress",
    ]
    assert said[0]["requestParameters"] == {
        "dBInstanceIdentifier": "orders",
        "deletionProtection": False,
        "applyImmediately": True,
    }
    (rule,) = said[1]["requestParameters"]["ipPermissions"]["items"]
    assert (rule["fromPort"], rule["ipRanges"]["items"][0]["cidrIp"]) == (5432, "0.0.0.0/0")
    assert {one["ResourceType"] for one in found[1]["Resources"]} == {"AWS::EC2::SecurityGroup"}


def test_iams_events_are_in_one_region_and_others_where_they_happened(events):
    assert {one["EventSource"] for one in events("us-east-1")["Events"]} == {"iam.amazonaws.com"}
    there = {one["EventSource"] for one in events()["Events"]}
    assert there == {"rds.amazonaws.com", "ec2.amazonaws.com"}
    assert events("eu-west-1")["Events"] == []


def test_reads_are_not_in_the_history_and_no_password_is(events):
    found = [*events("us-east-1")["Events"], *events()["Events"]]
    assert not [one for one in found if one["EventName"].startswith(("Describe", "Get", "List"))]
    (made,) = events(by="EventName", value="CreateDBInstance")["Events"]
    said = json.loads(made["CloudTrailEvent"])["requestParameters"]
    assert said["masterUserPassword"] == "HIDDEN_DUE_TO_SECURITY_REASONS"
    assert "of-nobody" not in json.dumps([one["CloudTrailEvent"] for one in found])


def test_the_history_is_paged_the_newest_first(events):
    whole = [one["EventId"] for one in events("us-east-1")["Events"]]
    pages, more = [], {}
    while True:
        answer = events("us-east-1", MaxResults=4, **more)
        pages += [one["EventId"] for one in answer["Events"]]
        if "NextToken" not in answer:
            break
        more = {"NextToken": answer["NextToken"]}
    assert pages == whole
    assert len(whole) > 8


def test_the_history_refuses_as_cloudtrail_does(events):
    with pytest.raises(ClientError) as refused:
        events(NextToken="bm90aGluZw==")
    assert refused.value.response["Error"]["Code"] == "InvalidNextTokenException"
    with pytest.raises(ClientError) as refused:
        events(StartTime=NOON, EndTime=NOON - timedelta(seconds=1))
    assert refused.value.response["Error"]["Code"] == "InvalidTimeRangeException"


def history():
    """One event a second from noon on, ids in their order."""
    ids = iter(f"event-{number}" for number in range(100))
    times = (NOON + timedelta(seconds=number, microseconds=900_000) for number in range(100))
    return History(ACCOUNT, now=lambda: next(times), unique=lambda: next(ids))


def served(operation="TagRole", *, status=200, body=b"", user="ana", **parameters):
    return Served(
        service="iam",
        operation=operation,
        region="eu-central-1",
        access_key="AKIA0000000000000000",
        user=user,
        address="127.0.0.1",
        agent="test",
        request_id="request",
        parameters=parameters or {"roleName": "one"},
        status=status,
        body=body,
    )


def names(answer):
    return [one["EventId"] for one in answer["Events"]]


def test_times_are_whole_seconds_and_both_ends_count():
    kept = history()
    for _ in range(4):
        kept.record(served())
    noon = NOON.timestamp()
    asked = {"StartTime": noon + 1, "EndTime": noon + 2}
    assert names(kept.look_up(asked, "us-east-1")) == ["event-2", "event-1"]
    (first,) = kept.look_up({"EndTime": noon}, "us-east-1")["Events"]
    assert json.loads(first["CloudTrailEvent"])["eventTime"] == "2026-11-23T12:00:00Z"


def test_what_failed_says_so_and_the_root_user_is_root():
    kept = history()
    kept.record(served(status=403, body=b"<Error><Code>AccessDenied</Code></Error>", user=""))
    (found,) = kept.look_up({}, "us-east-1")["Events"]
    said = json.loads(found["CloudTrailEvent"])
    assert (said["errorCode"], said["userIdentity"]["type"]) == ("AccessDenied", "Root")
    assert said["userIdentity"]["arn"] == f"arn:aws:iam::{ACCOUNT}:root"


@pytest.mark.parametrize(
    ("asked", "code"),
    [
        ({"MaxResults": 51}, "InvalidMaxResultsException"),
        ({"MaxResults": 0}, "InvalidMaxResultsException"),
        ({"NextToken": "no base64"}, "InvalidNextTokenException"),
        (
            {"LookupAttributes": [{"AttributeKey": "Colour", "AttributeValue": "red"}]},
            "InvalidLookupAttributesException",
        ),
        (
            {"LookupAttributes": [{"AttributeKey": "EventId", "AttributeValue": "a"}] * 2},
            "InvalidLookupAttributesException",
        ),
    ],
    ids=["too many", "none", "token", "attribute", "two attributes"],
)
def test_a_question_that_cloudtrail_refuses(asked, code):
    kept = history()
    kept.record(served())
    with pytest.raises(Refused) as refused:
        kept.look_up(asked, "us-east-1")
    assert refused.value.code == code


@pytest.mark.parametrize(
    ("by", "value", "found"),
    [
        ("EventId", "event-1", ["event-1"]),
        ("EventName", "PutRolePolicy", ["event-1"]),
        ("ResourceName", "one", ["event-0"]),
        ("ResourceType", "AWS::IAM::Role", ["event-1", "event-0"]),
        ("Username", "root", ["event-1"]),
        ("EventSource", "rds.amazonaws.com", []),
        ("ReadOnly", "false", ["event-1", "event-0"]),
    ],
)
def test_events_are_found_by_each_attribute(by, value, found):
    kept = history()
    kept.record(served())
    kept.record(served("PutRolePolicy", user="", roleName="two", policyName="three"))
    asked = {"LookupAttributes": [{"AttributeKey": by, "AttributeValue": value}]}
    assert names(kept.look_up(asked, "us-east-1")) == found


def operation(service, name):
    return botocore.session.Session().get_service_model(service).operation_model(name)


def test_a_form_is_read_by_the_services_own_protocol():
    modify = operation("rds", "ModifyDBParameterGroup")
    parameters = {
        "DBParameterGroupName": "orders",
        "Parameters.Parameter.1.ParameterName": "work_mem",
        "Parameters.Parameter.1.ParameterValue": "64",
        "Parameters.Parameter.2.ParameterName": "log_statement",
    }
    assert form.parameters(modify, parameters) == {
        "dBParameterGroupName": "orders",
        "parameters": [
            {"parameterName": "work_mem", "parameterValue": "64"},
            {"parameterName": "log_statement"},
        ],
    }
    tag = operation("iam", "TagRole")
    assert form.parameters(tag, {"RoleName": "a", "Tags.member.1.Key": "k"}) == {
        "roleName": "a",
        "tags": [{"key": "k"}],
    }
    assert form.parameters(operation("iam", "GetAccountSummary"), {"Action": "x"}) == {}
    assert form.parameters(operation("iam", "CreateLoginProfile"), {"Password": "x"}) == {
        "password": form.HIDDEN
    }


ENVIRONMENT = {
    "PATH": "/bin",
    "HTTPS_PROXY": "http://proxy.example.com",
    "all_proxy": "http://proxy.example.com",
    "AWS_PROFILE": "production",
    "AWS_SESSION_TOKEN": "of production",
    "AWS_ACCESS_KEY_ID": "of production",
    "AWS_ENDPOINT_URL_IAM": "https://iam.amazonaws.com",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI": "http://169.254.170.2/",
    "AWS_SHARED_CREDENTIALS_FILE": "/home/ana/.aws/credentials",
    "BOTO_CONFIG": "/home/ana/.boto",
    "MOTO_ACCOUNT_ID": "999999999999",
}


def test_an_environment_of_the_demo_leads_to_no_aws():
    assert without_aws(ENVIRONMENT) == {
        "PATH": "/bin",
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "AWS_EC2_METADATA_DISABLED": "true",
    }


def test_the_process_serves_on_loopback_with_keys_of_its_own_and_ends(monkeypatch, tmp_path):
    credentials = tmp_path / "credentials"
    credentials.write_text("[production]\naws_access_key_id = x\naws_secret_access_key = y\n")
    with StandIn({**os.environ, **ENVIRONMENT}) as standin:
        place = urlsplit(standin.endpoint)
        assert place.hostname == "127.0.0.1"
        assert standin.account == account.ACCOUNT
        for name in [name for name in os.environ if name.startswith("AWS_")]:
            monkeypatch.delenv(name)
        for name, value in standin.environment("holdfast").items():
            monkeypatch.setenv(name, value)
        # a client that is told nothing else: of any service and region
        told = botocore.session.Session().create_client("sts", region_name="eu-west-3")
        assert told.get_caller_identity()["Arn"].endswith(":user/holdfast")
        other = botocore.session.Session().create_client("kms", region_name="us-east-1")
        assert other.meta.endpoint_url == standin.endpoint
        assert standin.night()[0].startswith("aws iam put-role-policy --role-name shop-web")
    with socket.socket() as probe:
        assert probe.connect_ex((place.hostname, place.port)) != 0
    with pytest.raises(CouldNotTell, match="was not started"):
        StandIn(ENVIRONMENT).endpoint  # noqa: B018 - asking is what fails


def test_without_moto_the_demo_says_what_to_install_and_makes_nothing(holdfast, monkeypatch):
    monkeypatch.setattr("chalicelib.cli.standin.process.NEEDED", ("botocore", "no_such_module"))
    with pytest.raises(ConfigError, match="needs no_such_module") as refused:
        StandIn({})
    assert refused.value.next_step == "pip install 'holdfast[demo]'"
    assert "no_such_module" in holdfast("demo", "run", expect=2).err
    assert not (holdfast.home / "run").exists()
