"""What reads targets of AWS: whose credentials, which region, and which account it must be."""

from __future__ import annotations

import json

import pytest
from support.aws import ACCOUNT, Fault, StrictAws

from chalicelib import settings, wiring
from chalicelib.aws import session
from chalicelib.aws.lookup import CloudTrail
from chalicelib.drift import look
from chalicelib.drift.desk import Target
from chalicelib.kernel.errors import AnotherSystem, AuthenticationFailed, ConfigError, NotFound
from chalicelib.kernel.record import Actor
from chalicelib.settings import edit
from chalicelib.settings.target import is_endpoint
from chalicelib.wiring import watched

ANA = Actor("ana", "os")
ROLE = f"arn:aws:iam::{ACCOUNT}:role/holdfast-scan"


@pytest.fixture(scope="module")
def own_aws():
    with StrictAws() as aws:
        yield aws


@pytest.fixture
def aws(own_aws, monkeypatch):
    own_aws.reset()
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    return own_aws


@pytest.fixture
def installed(aws, tmp_path):
    """An installation on this machine with targets of the server."""
    wiring.create(tmp_path, "test.example/log", ANA)
    path = tmp_path / settings.FILE_NAME

    def add(slug, **fields):
        loaded = settings.load(path)
        edit.add_target(loaded, slug, settings.TargetSection(endpoint=aws.endpoint, **fields))
        services = wiring.connect(settings.load(path))
        return services, services.settings.target(slug)

    return add


def quiet(*_):
    return None


def instance(aws, name="orders"):
    aws.client("rds").create_db_instance(
        DBInstanceIdentifier=name,
        Engine="postgres",
        DBInstanceClass="db.t3.micro",
        AllocatedStorage=20,
        MasterUsername="owner",
        MasterUserPassword="not-a-secret",
    )


def test_an_account_is_read_by_the_role_of_its_target(aws, installed):
    services, target = installed("us", kind="iam", account=ACCOUNT, role_arn=ROLE)
    trust = {"Statement": {"Effect": "Allow", "Principal": "*", "Action": "sts:AssumeRole"}}
    aws.client("iam").create_role(
        RoleName="holdfast-scan", AssumeRolePolicyDocument=json.dumps(trust)
    )
    aws.calls.clear()
    reading = services.reader(target).read(quiet)
    assert reading.identity == f"account {ACCOUNT}"
    assert aws.calls[0] == ("sts", "AssumeRole")
    assert "assumed-role/holdfast-scan/holdfast-scan" in reading.system["caller"]


def test_a_role_that_cannot_be_assumed_is_told_by_its_name(aws, installed):
    services, target = installed("us", kind="iam", account=ACCOUNT, role_arn=ROLE)
    aws.fail("sts", "AssumeRole", Fault(403, "AccessDenied"))
    with pytest.raises(AuthenticationFailed, match="holdfast-scan"):
        services.reader(target).read(quiet)


def test_an_instance_in_another_account_is_another_system(aws, installed):
    instance(aws)
    where = {"kind": "rds", "instance": "orders", "region": "us-east-1"}
    services, target = installed("here", account=ACCOUNT, **where)
    reading = services.reader(target).read(quiet)
    assert reading.identity == f"instance arn:aws:rds:us-east-1:{ACCOUNT}:db:orders"
    assert ("rds_instance", "orders") in {one.key for one in reading.objects}
    services, target = installed("there", account="999999999999", **where)
    with pytest.raises(AnotherSystem, match="the settings say 999999999999"):
        services.reader(target).read(quiet)


def test_the_events_of_an_account_are_where_the_partition_has_them(installed):
    services, target = installed("us", kind="iam", account=ACCOUNT, region="eu-west-1")
    found = watched.trail(services.settings, target)
    assert isinstance(found, CloudTrail)
    assert found._client.meta.region_name == "us-east-1"
    services, target = installed("gov", kind="iam", account=ACCOUNT, region="us-gov-east-1")
    found = watched.trail(services.settings, target)
    assert found._client.meta.region_name == "us-gov-west-1"
    services, target = installed("iso", kind="iam", account=ACCOUNT, region="us-iso-east-1")
    with pytest.raises(ConfigError, match="aws-iso"):
        watched.trail(services.settings, target)
    services, target = installed("db", kind="rds", instance="orders", region="eu-west-1")
    found = watched.trail(services.settings, target)
    assert found._client.meta.region_name == "eu-west-1"


def test_only_who_wants_it_is_given_a_second_opinion(installed):
    services, target = installed("us", kind="iam", account=ACCOUNT)
    assert services.desk.opinion(target) is None
    services, target = installed("them", kind="iam", account=ACCOUNT, access_analyzer=True)
    assert services.desk.opinion(target) is not None
    assert services.desk.opinion(Target("shop")) is None


def test_secrets_of_all_targets_are_what_leads_to_databases(installed):
    services, target = installed("us", kind="iam", account=ACCOUNT, region="cn-north-1")
    section = services.settings.file.targets["us"]
    found = watched.databases(services.settings, section)
    assert (found.account, found.partition, found.secrets) == (ACCOUNT, "aws-cn", ())
    assert services.host(target) == f"aws {ACCOUNT} cn-north-1"
    with pytest.raises(ConfigError, match="no database"):
        services.dsn(target)


def test_nobody_is_asked_to_sign_for_an_instance_that_is_not_there(aws, installed):
    instance(aws)
    for slug, region, name in (("typo", "us-east-1", "ordres"), ("there", "eu-west-1", "orders")):
        services, target = installed(slug, kind="rds", instance=name, region=region)
        with pytest.raises(NotFound, match=f"AWS has no arn:aws:rds:{region}:{ACCOUNT}:db:{name}"):
            look.to_sign(services.reader(target), quiet)
    services, target = installed("right", kind="rds", instance="orders", region="us-east-1")
    assert look.to_sign(services.reader(target), quiet).snapshot.objects


def test_an_account_is_the_same_whoever_decodes_its_documents(aws, installed):
    trust = {"Statement": {"Effect": "Allow", "Principal": "*", "Action": "sts:AssumeRole"}}
    aws.client("iam").create_role(
        RoleName="web",
        AssumeRolePolicyDocument=json.dumps({"Version": "2012-10-17", **trust}),
        Tags=[{"Key": "password", "Value": "hunter2hunter2"}],
    )
    services, target = installed("us", kind="iam", account=ACCOUNT)
    found = {one.key: one.attributes for one in services.reader(target).read(quiet).objects}
    role = found["iam_role", "web"]
    assert role["trust"]["Statement"][0]["Principal"] == "*"
    assert role["tags"]["password"].startswith("(concealed ")


def test_what_is_asked_after_reading_has_time_left():
    for analyzer, left in ((False, 210.0), (True, 150.0)):
        section = settings.TargetSection(kind="iam", account=ACCOUNT, access_analyzer=analyzer)
        assert watched._of_reading(section, 240.0) == left
        assert watched._of_reading(section, 20.0) == 10.0


@pytest.mark.parametrize(
    "endpoint",
    ["http://[", "http://a:99999", "http://a:b", "http://-", "http://..", "http://a b", "http://:1",
     "http://[::1", "http://[::g]", "http://me:pw@host", "http://host/path", "http://a\n", "ftp://a"],
)  # fmt: skip
def test_an_endpoint_is_a_host_and_nothing_else(installed, endpoint):
    path = installed("us", kind="iam", account=ACCOUNT)[0].settings.path
    section = settings.TargetSection(kind="iam", account=ACCOUNT, endpoint=endpoint)
    with pytest.raises(ConfigError, match="endpoint: expected a URL"):
        edit.check_new_target(settings.load(path), "them", section)


@pytest.mark.parametrize(
    "endpoint", ["http://a", "https://a.b-c:1/", "http://[::1]:65535", "http://127.0.0.1"]
)
def test_an_endpoint_that_clients_take(endpoint):
    assert is_endpoint(endpoint)
    assert session.client("sts", region="us-east-1", endpoint=endpoint)


def test_a_database_that_is_compared_with_is_not_removed(installed):
    services, _ = installed("us", kind="iam", account=ACCOUNT)
    path = services.settings.path
    edit.add_target(settings.load(path), "orders", settings.TargetSection(dsn_env="ORDERS"))
    rds = settings.TargetSection(kind="rds", instance="orders", database_target="orders")
    edit.add_target(settings.load(path), "orders-rds", rds)
    with pytest.raises(ConfigError, match="is compared with orders") as caught:
        edit.without_target(settings.load(path), "orders")
    assert "database_target" in caught.value.next_step
