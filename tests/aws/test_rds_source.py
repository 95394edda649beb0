"""Reading RDS through AWS's API: moto where it is right, answers of our own where it has none."""

from __future__ import annotations

import functools
import re
from datetime import UTC, datetime
from pathlib import Path

import botocore.session
import pytest
from botocore.stub import Stubber
from support.aws import Fault, throttle

from chalicelib.aws import gathered, rds_source, rds_surroundings
from chalicelib.aws.asker import Asker
from chalicelib.aws.rds_source import ACTIONS, RdsSource, Reported
from chalicelib.drift.diff import Operation, diff
from chalicelib.drift.snapshot import build
from chalicelib.kernel.errors import (
    NotPermitted,
    Overdue,
    StoreUnavailable,
    Unreachable,
    Unsupported,
)

SECRET = "hunter2hunter2"
STRANGER = "999999999999"
NOW = datetime(2026, 11, 23, tzinfo=UTC)
HERE = {"data_directory": Reported("/d", "", "override", pending_restart=False)}


def row(value, source="configuration file", **more):
    return Reported(value, "", source, more.pop("pending", False), **more)


def source(client, name="orders", *, cluster=False, reported=None, monotonic=lambda: 0.0):
    return RdsSource(
        name,
        cluster=cluster,
        asker=lambda: Asker(client, monotonic=monotonic, seconds=60),
        now=lambda: NOW,
        reported=reported,
        conceal=lambda secret: f"<{len(secret)}>",
    )


def read(client, *args, **options):
    return source(client, *args, **options).read(lambda kind, done, total: None)


def scan(client, *args, **options):
    return build(read(client, *args, **options).objects)


def kinds(snapshot):
    return {kind for kind, _ in snapshot.objects}


def gaps(snapshot):
    return {name: dict(one.attributes) for (kind, name), one in snapshot.objects.items()
            if kind == "coverage"}  # fmt: skip


class Shop:
    """An instance with a network around it, in moto."""

    def __init__(self, aws):
        self.client = aws.client
        self.rds, ec2 = aws.client("rds"), aws.client("ec2")
        self.ec2 = ec2
        self.vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
        self.subnets = [
            ec2.create_subnet(
                VpcId=self.vpc, CidrBlock=f"10.0.{number}.0/24", AvailabilityZone=f"us-east-1{zone}"
            )["Subnet"]["SubnetId"]
            for number, zone in enumerate("ab")
        ]
        self.group = ec2.create_security_group(
            GroupName="db", Description="of orders", VpcId=self.vpc
        )["GroupId"]
        self.rds.create_db_subnet_group(
            DBSubnetGroupName="inner", DBSubnetGroupDescription="d", SubnetIds=self.subnets
        )
        self.rds.create_db_parameter_group(
            DBParameterGroupName="orders-pg16", DBParameterGroupFamily="postgres16", Description="d"
        )
        self.create()

    def create(self):
        self.rds.create_db_instance(
            DBInstanceIdentifier="orders", Engine="postgres", EngineVersion="16.3",
            DBInstanceClass="db.t3.micro", MasterUsername="boss", MasterUserPassword=SECRET,
            AllocatedStorage=20, DBSubnetGroupName="inner", VpcSecurityGroupIds=[self.group],
            DBParameterGroupName="orders-pg16", StorageEncrypted=True, DeletionProtection=True,
            EnableIAMDatabaseAuthentication=True, EnableCloudwatchLogsExports=["postgresql"],
            BackupRetentionPeriod=7,
        )  # fmt: skip

    def let_in(self, **permission):
        self.ec2.authorize_security_group_ingress(
            GroupId=self.group,
            IpPermissions=[{"IpProtocol": "tcp", "FromPort": 5432, "ToPort": 5432, **permission}],
        )

    def set(self, name, value, method="immediate"):
        one = {"ParameterName": name, "ParameterValue": value, "ApplyMethod": method}
        self.rds.modify_db_parameter_group(DBParameterGroupName="orders-pg16", Parameters=[one])

    def share(self, *accounts):
        self.rds.create_db_snapshot(DBSnapshotIdentifier="s1", DBInstanceIdentifier="orders")
        self.rds.modify_db_snapshot_attribute(
            DBSnapshotIdentifier="s1", AttributeName="restore", ValuesToAdd=list(accounts)
        )

    def delete(self):
        self.rds.modify_db_instance(DBInstanceIdentifier="orders", DeletionProtection=False)
        self.rds.delete_db_instance(DBInstanceIdentifier="orders", SkipFinalSnapshot=True)


@pytest.fixture
def shop(empty_aws):
    return Shop(empty_aws)


def test_everything_of_an_instance_is_read(shop):
    shop.let_in(IpRanges=[{"CidrIp": "10.0.0.0/8", "Description": "apps"}])
    shop.set("rds.force_ssl", "1")
    shop.share("all", STRANGER)
    reading = read(shop.client)
    found = {(one.kind, one.name): one.attributes for one in reading.objects}
    machine = found["rds_instance", "orders"]
    assert (machine["deletion_protection"], machine["iam_authentication"]) == (True, True)
    assert (machine["backup_retention_days"], machine["log_exports"]) == (7, ["postgresql"])
    assert machine["security_groups"] == [shop.group]
    assert found["rds_parameter_group", "orders-pg16"]["family"] == "postgres16"
    assert found["rds_parameter", "rds.force_ssl of orders-pg16"]["value"] == "1"
    rule = found["security_group_rule", f"{shop.group} in tcp 5432 from 10.0.0.0/8"]
    assert rule == {"of": f"security_group {shop.group}", "comment": "apps"}
    assert found["rds_subnet", shop.subnets[0]]["internet"] is False
    assert ("rds_snapshot_share", "s1 with everybody") in found
    assert ("rds_snapshot_share", f"s1 with {STRANGER}") in found
    assert "coverage" not in {kind for kind, _ in found}
    assert reading.identity == "instance arn:aws:rds:us-east-1:123456789012:db:orders"
    assert (reading.system["region"], reading.system["account"]) == ("us-east-1", "123456789012")
    assert SECRET not in str(reading)


def test_a_look_costs_eight_calls_and_one_for_each_manual_snapshot(shop):
    assert read(shop.client).system["calls"] == 7
    shop.share(STRANGER)
    reading = read(shop.client)
    assert reading.system["calls"] == 8
    assert len(reading.queries) == 8
    assert {query.sha256 for query in reading.queries} == reading.texts.keys()


def test_two_looks_give_the_same_bytes(shop):
    shop.let_in(IpRanges=[{"CidrIp": "10.0.0.0/8"}], Ipv6Ranges=[{"CidrIpv6": "fd00::/8"}])
    shop.share("all")
    assert scan(shop.client).data == scan(shop.client).data


def test_progress_is_told(shop):
    seen = []
    source(shop.client).read(lambda *told: seen.append(told))
    assert seen[0] == ("rds_instance orders", 0, 5)
    assert seen[-1] == ("rds_instance orders", 5, 5)


def test_every_kind_of_change_is_seen(shop):
    before = scan(shop.client)
    shop.let_in(IpRanges=[{"CidrIp": "0.0.0.0/0"}], Ipv6Ranges=[{"CidrIpv6": "::/0"}])
    shop.set("log_statement", "none")
    shop.rds.modify_db_instance(DBInstanceIdentifier="orders", DeletionProtection=False)
    shop.share("all")
    gateway = shop.ec2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"]
    shop.ec2.attach_internet_gateway(InternetGatewayId=gateway, VpcId=shop.vpc)
    table = shop.ec2.create_route_table(VpcId=shop.vpc)["RouteTable"]["RouteTableId"]
    shop.ec2.create_route(RouteTableId=table, DestinationCidrBlock="0.0.0.0/0", GatewayId=gateway)
    shop.ec2.associate_route_table(RouteTableId=table, SubnetId=shop.subnets[1])
    found = {(one.kind, one.name, one.attribute) for one in diff(before, scan(shop.client))}
    assert found == {
        ("rds_instance", "orders", "deletion_protection"),
        ("rds_parameter", "log_statement of orders-pg16", ""),
        ("rds_snapshot_share", "s1 with everybody", ""),
        ("rds_subnet", shop.subnets[1], "internet"),
        ("rds_subnet", shop.subnets[1], "route_table"),
        ("security_group_rule", f"{shop.group} in tcp 5432 from 0.0.0.0/0", ""),
        ("security_group_rule", f"{shop.group} in tcp 5432 from ::/0", ""),
    }


def test_a_default_route_in_the_main_table_is_the_subnets(shop):
    gateway = shop.ec2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"]
    shop.ec2.attach_internet_gateway(InternetGatewayId=gateway, VpcId=shop.vpc)
    tables = shop.ec2.describe_route_tables(Filters=[{"Name": "vpc-id", "Values": [shop.vpc]}])
    shop.ec2.create_route(
        RouteTableId=tables["RouteTables"][0]["RouteTableId"],
        DestinationCidrBlock="0.0.0.0/0",
        GatewayId=gateway,
    )
    found = scan(shop.client).objects
    assert [found["rds_subnet", one].attributes["internet"] for one in shop.subnets] == [True, True]


def test_a_prefix_list_of_ones_own_is_read_through(shop):
    made = shop.ec2.create_managed_prefix_list(
        PrefixListName="offices", MaxEntries=5, AddressFamily="IPv4",
        Entries=[{"Cidr": "10.1.0.0/16"}, {"Cidr": "0.0.0.0/0"}],
    )["PrefixList"]["PrefixListId"]  # fmt: skip
    shop.let_in(PrefixListIds=[{"PrefixListId": made}])
    reading = read(shop.client)
    (rule,) = [one for one in reading.objects if one.name.endswith(f"from {made}")]
    assert rule.attributes["entries"] == ["0.0.0.0/0", "10.1.0.0/16"]
    assert rule.attributes["world"] is True
    assert reading.system["calls"] == 9


def test_a_deleted_instance_is_one_removed_object_of_the_same_thing(shop):
    shop.share("all")
    before = read(shop.client)
    shop.delete()
    after = read(shop.client)
    assert after.identity == before.identity
    assert [one.kind for one in after.objects] == ["rds_snapshot_share"]
    (found,) = diff(build(before.objects), build(after.objects))
    assert (found.operation, found.kind, found.name) == (
        Operation.REMOVED,
        "rds_instance",
        "orders",
    )


def test_an_instance_that_may_not_be_read_is_not_gone(shop, empty_aws):
    with (
        empty_aws.failing("rds", "DescribeDBInstances", Fault(403, "AccessDenied")),
        pytest.raises(NotPermitted, match="DescribeDBInstances answered AccessDenied"),
    ):
        read(shop.client)
    with (
        empty_aws.failing("rds", "DescribeDBInstances", throttle("rds"), times=99),
        pytest.raises(StoreUnavailable),
    ):
        read(shop.client)


HIDES = [
    ("rds", "DescribeDBParameterGroups", {"rds_parameter_group": ["comment", "family"]}),
    ("rds", "DescribeDBParameters", {"rds_parameter": None}),
    ("ec2", "DescribeSecurityGroups", {"security_group": None, "security_group_rule": None}),
    ("ec2", "DescribeManagedPrefixLists", {"security_group_rule": ["entries", "public", "world"]}),
    ("ec2", "GetManagedPrefixListEntries", {"security_group_rule": ["entries", "public", "world"]}),
    ("ec2", "DescribeSubnets", {"rds_subnet": ["account", "cidr", "cidr_ipv6"]}),
    ("ec2", "DescribeRouteTables", {"rds_subnet": ["internet", "route_table"]}),
    ("rds", "DescribeDBSnapshots", {"rds_snapshot_share": None}),
    ("rds", "DescribeDBSnapshotAttributes", {"rds_snapshot_share": None}),
]


@pytest.mark.parametrize("fault", [Fault(403, "AccessDenied"), throttle("rds")], ids=["no", "slow"])
@pytest.mark.parametrize("one", HIDES, ids=[one[1] for one in HIDES])
def test_a_refused_call_hides_what_it_shows_and_nothing_else(one, fault, shop, empty_aws):
    service, operation, hidden = one
    made = shop.ec2.create_managed_prefix_list(
        PrefixListName="offices", MaxEntries=5, AddressFamily="IPv4",
        Entries=[{"Cidr": "10.1.0.0/16"}],
    )["PrefixList"]["PrefixListId"]  # fmt: skip
    shop.let_in(PrefixListIds=[{"PrefixListId": made}])
    shop.set("log_statement", "all")
    shop.share(STRANGER)
    before = scan(shop.client)
    with empty_aws.failing(service, operation, fault, times=99):
        after = scan(shop.client)
    assert {name: one.get("attributes") for name, one in gaps(after).items()} == hidden
    assert all(f"{service}:{operation}" in one["needs"] for one in gaps(after).values())
    found = diff(before, after)
    assert {one.operation for one in found} == {Operation.UNREADABLE}
    assert {one.name for one in found} == hidden.keys()


def test_reasons_are_equal_for_equal_causes(shop, empty_aws):
    texts = set()
    for _ in range(2):
        with empty_aws.failing("ec2", "DescribeSubnets", Fault(403, "AccessDenied"), times=9):
            texts.add(scan(shop.client).data)
    assert len(texts) == 1


def test_a_look_that_takes_too_long_is_overdue_and_no_gap(shop):
    ticks = iter(range(0, 10_000, 25))
    with pytest.raises(Overdue):
        read(shop.client, monotonic=lambda: float(next(ticks)))


# --- the comparison with PostgreSQL


def test_what_postgresql_does_differently_is_an_object(shop):
    shop.set("log_statement", "all")
    shop.set("work_mem", "4096")
    shop.set("max_connections", "{DBInstanceClassMemory/9531392}", "pending-reboot")
    rows = {
        **HERE,
        "log_statement": row("none", "database", kind="enum"),
        "work_mem": row("4096", kind="integer"),
        "max_connections": row("100", kind="integer"),
    }
    found = scan(shop.client, reported=lambda: rows).objects
    assert found["rds_disagreement", "log_statement"].attributes == {
        "declared": "all",
        "reported": "none",
        "reason": "set in the database",
    }
    assert [name for kind, name in found if kind == "rds_disagreement"] == ["log_statement"]
    (named,) = found["rds_comparison", "orders"].attributes["not_compared"]
    assert named.startswith("max_connections: a formula")


def test_without_a_database_nothing_is_compared(shop):
    assert not {"rds_disagreement", "rds_comparison"} & kinds(scan(shop.client))


def test_a_database_that_cannot_be_read_leaves_the_comparison_unknown(shop):
    def unreachable():
        raise Unreachable("nothing listens there")

    after = scan(shop.client, reported=unreachable)
    assert gaps(after).keys() == {"rds_comparison", "rds_disagreement"}
    assert "nothing listens there" in gaps(after)["rds_disagreement"]["reason"]
    assert ("rds_instance", "orders") in after.objects


def test_parameters_that_cannot_be_read_leave_the_comparison_unknown(shop, empty_aws):
    asked = []
    with empty_aws.failing("rds", "DescribeDBParameters", Fault(403, "AccessDenied")):
        after = scan(shop.client, reported=lambda: asked.append(1) or HERE)
    assert gaps(after).keys() == {"rds_comparison", "rds_disagreement", "rds_parameter"}
    assert asked == []


def test_a_role_that_sees_less_leaves_disagreements_unknown_in_part(shop):
    shop.set("log_statement", "all")
    after = scan(shop.client, reported=lambda: {"log_statement": row("none", "database")})
    assert gaps(after)["rds_disagreement"]["needs"] == "membership in pg_read_all_settings"
    assert ("rds_disagreement", "log_statement") in after.objects


def test_a_database_is_not_asked_about_an_instance_that_is_gone(shop):
    shop.delete()

    def asked():
        raise AssertionError("asked")

    assert read(shop.client, reported=asked).objects == []


# --- what moto has not: answers as the API reference gives them


@functools.cache
def modelled(service):
    """A client that knows AWS's model of the service, and calls nobody."""
    return botocore.session.Session().create_client(
        service, region_name="us-east-1", aws_access_key_id="x", aws_secret_access_key="y"
    )


class Fake:
    """Clients whose answers are ours; requests and answers are checked against AWS's own model."""

    def __init__(self, **answers):
        self.answers = answers
        self.asked = []

    def __call__(self, service):
        return _Client(self, service)


class _Client:
    def __init__(self, fake, service):
        self.fake, self.service = fake, service

    def __getattr__(self, method):
        def answer(**parameters):
            self.fake.asked.append((self.service, method, parameters))
            given = self.fake.answers[method]
            given = given(parameters) if callable(given) else given
            client = modelled(self.service)
            with Stubber(client) as stub:
                if isinstance(given, str):
                    stub.add_client_error(method, given)
                else:
                    stub.add_response(method, given)
                return getattr(client, method)(**parameters)

        return answer


def member(name, group="own", writer=False):
    return {
        "DBInstanceIdentifier": name, "DBClusterIdentifier": "c", "Engine": "aurora-postgresql",
        "DBInstanceArn": f"arn:aws:rds:us-east-1:1:db:{name}",
        "DBParameterGroups": [
            {"DBParameterGroupName": group, "ParameterApplyStatus": "pending-reboot"}
        ],
        "OptionGroupMemberships": [{"OptionGroupName": "mine"}],
    }  # fmt: skip


CLUSTER = {
    "DBClusterIdentifier": "c", "DBClusterArn": "arn:aws-cn:rds:cn-north-1:1:cluster:c",
    "DBClusterParameterGroup": "own", "DBSubnetGroup": "inner", "Port": 5432,
    "VpcSecurityGroups": [{"VpcSecurityGroupId": "sg-1", "Status": "active"}],
    "DBClusterMembers": [
        {"DBInstanceIdentifier": name, "DBClusterParameterGroupStatus": "in-sync"}
        for name in ("c-1", "c-2")
    ],
    "ServerlessV2ScalingConfiguration": {"MinCapacity": 0.5, "MaxCapacity": 4},
}  # fmt: skip


def parameters(**values):
    return {"Parameters": [
        {"ParameterName": name, "ParameterValue": value, "Source": "user", "ApplyType": "static"}
        for name, value in values.items()
    ]}  # fmt: skip


def described(kind):
    def answer(asked):
        (name,) = asked.values()
        one = {f"{kind}Name": name, "DBParameterGroupFamily": "f", "Description": "d"}
        return {f"{kind}s": [one]}

    return answer


def cluster(**more):
    group = {"VpcId": "vpc-1", "Subnets": [{"SubnetIdentifier": "subnet-1"}]}
    answers = {
        "describe_db_clusters": {"DBClusters": [CLUSTER]},
        "describe_db_instances": {"DBInstances": [member("c-1"), member("c-2")]},
        "describe_db_parameter_groups": described("DBParameterGroup"),
        "describe_db_cluster_parameter_groups": described("DBClusterParameterGroup"),
        "describe_db_parameters": parameters(a="1"),
        "describe_db_cluster_parameters": parameters(a="2", b="2"),
        "describe_option_groups": {"OptionGroupsList": [{"Options": [{"OptionName": "X"}]}]},
        "describe_security_groups": {"SecurityGroups": [{"GroupId": "sg-1", "OwnerId": "1"}]},
        "describe_db_subnet_groups": {"DBSubnetGroups": [group]},
        "describe_subnets": {"Subnets": [{"SubnetId": "subnet-1", "CidrBlock": "10.0.0.0/24"}]},
        "describe_route_tables": {
            "RouteTables": [{"RouteTableId": "rtb-1", "Associations": [{"Main": True}]}]
        },
        "describe_db_cluster_snapshots": {
            "DBClusterSnapshots": [{"DBClusterSnapshotIdentifier": "s", "StorageEncrypted": True}]
        },
        "describe_db_cluster_snapshot_attributes": {
            "DBClusterSnapshotAttributesResult": {
                "DBClusterSnapshotIdentifier": "s",
                "DBClusterSnapshotAttributes": [
                    {"AttributeName": "restore", "AttributeValues": ["all"]}
                ],
            }
        },
    }
    return Fake(**{**answers, **more})


def test_a_cluster_is_read_with_its_instances_and_both_kinds_of_groups():
    rows = {**HERE, "a": row("1"), "b": row("9", pending=True)}
    fake = cluster()
    reading = read(fake, "c", cluster=True, reported=lambda: rows)
    assert reading.identity == "cluster arn:aws-cn:rds:cn-north-1:1:cluster:c"
    assert sorted((one.kind, one.name) for one in reading.objects) == [
        ("rds_cluster", "c"),
        ("rds_comparison", "c"),
        ("rds_disagreement", "b"),
        ("rds_instance", "c-1"),
        ("rds_instance", "c-2"),
        ("rds_option", "X of mine"),
        ("rds_parameter", "a of cluster own"),
        ("rds_parameter", "a of own"),
        ("rds_parameter", "b of cluster own"),
        ("rds_parameter_group", "cluster own"),
        ("rds_parameter_group", "own"),
        ("rds_snapshot_share", "s with everybody"),
        ("rds_subnet", "subnet-1"),
        ("security_group", "sg-1"),
    ]
    found = {(one.kind, one.name): one.attributes for one in reading.objects}
    assert found["rds_parameter_group", "own"]["status"] == "pending-reboot"
    assert found["rds_parameter_group", "cluster own"]["status"] == "in-sync"
    assert found["rds_disagreement", "b"]["reason"] == "pending reboot"
    assert found["rds_cluster", "c"]["capacity"] == "0.5 to 4"
    assert found["rds_instance", "c-1"]["of"] == "rds_cluster c"
    manual = {"SnapshotType": "manual", "DBClusterIdentifier": "c"}
    assert ("rds", "describe_db_cluster_snapshots", manual) in fake.asked


def test_an_instance_in_a_cluster_is_read_with_what_protects_it_there():
    fake = cluster(describe_db_instances={"DBInstances": [member("c-1")]})
    found = {(one.kind, one.name) for one in read(fake, "c-1").objects}
    assert {("rds_instance", "c-1"), ("rds_cluster", "c"), ("security_group", "sg-1"),
            ("rds_parameter", "b of cluster own"), ("rds_snapshot_share", "s with everybody")
            } <= found  # fmt: skip


@pytest.mark.parametrize(
    ("name", "is_cluster", "method", "hidden"),
    [
        ("c-1", False, "describe_db_clusters",
         {"rds_cluster", "rds_parameter", "rds_parameter_group"}),
        ("c", True, "describe_db_instances",
         {"rds_instance", "rds_parameter", "rds_parameter_group"}),
        ("c", True, "describe_db_cluster_parameters", {"rds_parameter"}),
        ("c", True, "describe_db_cluster_parameter_groups", {"rds_parameter_group"}),
        ("c", True, "describe_option_groups", {"rds_option"}),
        ("c", True, "describe_db_subnet_groups", {"rds_subnet"}),
        ("c", True, "describe_db_cluster_snapshots", {"rds_snapshot_share"}),
        ("c", True, "describe_db_cluster_snapshot_attributes", {"rds_snapshot_share"}),
    ],
)  # fmt: skip
def test_what_a_refusal_hides_of_a_cluster(name, is_cluster, method, hidden):
    fake = cluster(**{
        "describe_db_instances": {"DBInstances": [member("c-1")] + [member("c-2")] * is_cluster},
        method: "AccessDenied",
    })  # fmt: skip
    found = scan(fake, name, cluster=is_cluster, reported=lambda: HERE)
    lost = {"rds_parameter"} & hidden
    compared = {"rds_disagreement", "rds_comparison"} if lost else set()
    assert gaps(found).keys() == hidden | compared


def test_an_instance_that_the_cluster_names_and_rds_does_not_show_is_a_gap():
    fake = cluster(describe_db_instances={"DBInstances": [member("c-1")]})
    found = gaps(scan(fake, "c", cluster=True))
    assert found["rds_instance"]["reason"] == "RDS does not show the instance c-2"


@pytest.mark.parametrize(
    ("method", "answer", "kind", "reason"),
    [
        ("describe_security_groups", {"SecurityGroups": []}, "security_group",
         "EC2 does not show the security group sg-1"),
        ("describe_subnets", {"Subnets": []}, "rds_subnet",
         "EC2 does not show the subnet subnet-1"),
        ("describe_route_tables", {"RouteTables": []}, "rds_subnet",
         "EC2 does not show the route table of the subnet subnet-1"),
        ("describe_db_cluster_snapshot_attributes", {}, "rds_snapshot_share",
         "rds:DescribeDBClusterSnapshotAttributes answered without attributes"),
        ("describe_option_groups", {"OptionGroupsList": []}, "rds_option",
         "rds:DescribeOptionGroups was asked for one and answered with 0"),
        ("describe_option_groups", "OptionGroupNotFoundFault", "rds_option",
         "DescribeOptionGroups: AWS names it, and says that it is not there"),
    ],
)  # fmt: skip
def test_what_aws_does_not_show_is_not_taken_for_nothing(method, answer, kind, reason):
    found = gaps(scan(cluster(**{method: answer}), "c", cluster=True))
    assert found[kind]["reason"] == reason


def test_a_snapshot_that_goes_while_it_is_read_is_gone():
    fake = cluster(describe_db_cluster_snapshot_attributes="DBClusterSnapshotNotFoundFault")
    found = scan(fake, "c", cluster=True)
    assert gaps(found) == {}
    assert "rds_snapshot_share" not in kinds(found)


def test_one_snapshot_that_may_not_be_read_hides_no_other():
    def attributes(asked):
        name = asked["DBClusterSnapshotIdentifier"]
        rows = [{"AttributeName": "restore", "AttributeValues": [STRANGER]}]
        result = {"DBClusterSnapshotIdentifier": name, "DBClusterSnapshotAttributes": rows}
        return "AccessDenied" if name == "a" else {"DBClusterSnapshotAttributesResult": result}

    names = [{"DBClusterSnapshotIdentifier": one} for one in "ab"]
    found = scan(
        cluster(
            describe_db_cluster_snapshots={"DBClusterSnapshots": names},
            describe_db_cluster_snapshot_attributes=attributes,
        ), "c", cluster=True,
    )  # fmt: skip
    assert gaps(found).keys() == {"rds_snapshot_share"}
    assert ("rds_snapshot_share", f"b with {STRANGER}") in found.objects


def test_aws_own_prefix_lists_are_not_read_through():
    permission = {"IpProtocol": "-1", "PrefixListIds": [{"PrefixListId": "pl-1"}]}
    fake = cluster(
        describe_security_groups={
            "SecurityGroups": [{"GroupId": "sg-1", "IpPermissions": [permission]}]
        },
        describe_managed_prefix_lists={"PrefixLists": [{"PrefixListId": "pl-1", "OwnerId": "AWS"}]},
    )
    found = scan(fake, "c", cluster=True)
    assert gaps(found) == {}
    rule = found.objects["security_group_rule", "sg-1 in all from pl-1"]
    assert rule.attributes == {"of": "security_group sg-1"}


def test_default_option_groups_are_not_asked_for():
    quiet = {**member("c-1"), "OptionGroupMemberships": [{"OptionGroupName": "default:x-16"}]}
    fake = cluster(describe_db_instances={"DBInstances": [quiet]})
    read(fake, "c-1")
    assert "describe_option_groups" not in {method for _, method, _ in fake.asked}


def test_parameters_of_members_that_differ_are_not_compared():
    fake = cluster(
        describe_db_instances={"DBInstances": [member("c-1", "one"), member("c-2", "two")]},
        describe_db_parameters=lambda asked: parameters(
            a="1" if asked["DBParameterGroupName"] == "one" else "3"
        ),
    )
    found = scan(fake, "c", cluster=True, reported=lambda: {**HERE, "a": row("9"), "b": row("2")})
    named = found.objects["rds_comparison", "c"].attributes["not_compared"]
    assert named == ["a: set to different values for different instances"]
    assert "rds_disagreement" not in kinds(found)


def test_disagreements_about_secrets_are_concealed():
    secret = {"ParameterName": "x.token", "ParameterValue": SECRET, "Source": "user"}
    fake = cluster(describe_db_cluster_parameters={"Parameters": [secret]})
    reading = read(fake, "c", cluster=True, reported=lambda: {**HERE, "x.token": row(SECRET + "!")})
    (found,) = [one for one in reading.objects if one.kind == "rds_disagreement"]
    assert (found.attributes["declared"], found.attributes["reported"]) == ("<14>", "<15>")
    assert SECRET not in str(reading.objects)


@pytest.mark.parametrize(
    "answer", [{"DBClusters": []}, {"DBClusters": [{**CLUSTER, "DBClusterIdentifier": "d"}]},
               {"DBClusters": [CLUSTER, CLUSTER]}],
)  # fmt: skip
def test_an_empty_answer_is_not_a_deleted_cluster(answer):
    with pytest.raises(Unsupported, match="answered with something else"):
        read(cluster(describe_db_clusters=answer), "c", cluster=True)


def test_snapshots_without_end_are_given_up(monkeypatch):
    monkeypatch.setattr(rds_surroundings, "MAX_SNAPSHOTS", 1)
    names = [{"DBClusterSnapshotIdentifier": one} for one in "ab"]
    fake = cluster(describe_db_cluster_snapshots={"DBClusterSnapshots": names})
    assert (
        "more than 1 manual snapshots"
        in gaps(scan(fake, "c", cluster=True))["rds_snapshot_share"]["reason"]
    )


def test_the_actions_are_those_that_are_called():
    """Every operation that these modules name, and none beside."""
    names = set()
    for module in (rds_source, rds_surroundings, gathered):
        text = Path(module.__file__).read_text()
        text = text[text.find("\nclass ") if module is rds_source else 0 :]
        names |= set(re.findall(r'f?"((?:Describe|Get)[A-Za-z{}]+)"', text))
    spelt = {each for name in names for each in (name.replace("{of}", ""),
             name.replace("{of}", "Cluster"))}  # fmt: skip
    assert {action.partition(":")[2] for action in ACTIONS} == spelt
    for action in ACTIONS:
        service, _, operation = action.partition(":")
        assert operation in modelled(service).meta.service_model.operation_names
