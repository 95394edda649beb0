"""RDS's and EC2's answers as objects: every fact, no secret, one form, hostile text as it is."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.aws import rds_network, rds_objects, rds_parameters
from chalicelib.drift.parameter import Declared
from chalicelib.drift.snapshot import Object, line
from chalicelib.kernel.errors import Unsupported

SECRET = "hunter2hunter2"
GROUP = "sg-1"
UNTIL = datetime(2030, 1, 2, tzinfo=UTC)


def hidden(text):
    return f"<{len(text)}>"


def machine(**more):
    return {"DBInstanceIdentifier": "orders", "DBInstanceArn": "arn:aws:rds:r:1:db:orders", **more}


def instance(**more):
    return rds_objects.instance(machine(**more), hidden).attributes


def rules(*permissions, out=(), lists=None, **about):
    group = {
        "GroupId": GROUP,
        "OwnerId": "111111111111",
        "IpPermissions": list(permissions),
        "IpPermissionsEgress": list(out),
        **about,
    }
    found = rds_network.group_objects(group, "rds_instance orders", lists or {})
    return {one.name: dict(one.attributes) for one in found if one.kind == "security_group_rule"}


def tcp(first=5432, last=5432, **peers):
    return {"IpProtocol": "tcp", "FromPort": first, "ToPort": last, **peers}


def cidr(text, **more):
    return {"IpRanges": [{"CidrIp": text, **more}]}


def test_an_instance_shows_what_people_sign_for():
    found = instance(
        DbiResourceId="db-1", Engine="postgres", EngineVersion="16.3", PubliclyAccessible=False,
        StorageEncrypted=True, DeletionProtection=False, BackupRetentionPeriod=0,
        IAMDatabaseAuthenticationEnabled=True, CACertificateIdentifier="rds-ca-rsa2048-g1",
        EnabledCloudwatchLogsExports=["upgrade", "postgresql"], Endpoint={"Port": 5433},
        VpcSecurityGroups=[{"VpcSecurityGroupId": "sg-2"}, {"VpcSecurityGroupId": "sg-1"}],
        DBParameterGroups=[{"DBParameterGroupName": "g", "ParameterApplyStatus": "in-sync"}],
        OptionGroupMemberships=[{"OptionGroupName": "o"}],
        AssociatedRoles=[{"RoleArn": "arn:x", "FeatureName": "s3Export", "Status": "ACTIVE"}],
        TagList=[{"Key": "team", "Value": "a"}],
    )  # fmt: skip
    assert found == {
        "resource_id": "db-1", "engine": "postgres", "engine_version": "16.3",
        "public_access": False, "encrypted": True, "deletion_protection": False,
        "backup_retention_days": 0, "iam_authentication": True,
        "ca_certificate": "rds-ca-rsa2048-g1", "log_exports": ["postgresql", "upgrade"],
        "port": 5433, "security_groups": ["sg-1", "sg-2"], "parameter_group": "g",
        "option_groups": ["o"], "roles": ["arn:x for s3Export"], "tags": {"team": "a"},
    }  # fmt: skip


def test_what_moves_by_itself_is_not_in_it():
    steady = instance(Engine="postgres")
    moving = instance(
        Engine="postgres", LatestRestorableTime="2026-01-01", AvailabilityZone="a",
        DBInstanceStatus="backing-up", AllocatedStorage=20, SecondaryAvailabilityZone="b",
    )  # fmt: skip
    assert moving == steady
    members = [{"DBInstanceIdentifier": name, "IsClusterWriter": name == "a"} for name in "ab"]
    failed_over = [{"DBInstanceIdentifier": name, "IsClusterWriter": name == "b"} for name in "ba"]
    one, other = (
        rds_objects.cluster({"DBClusterIdentifier": "c", "DBClusterMembers": these}, hidden)
        for these in (members, failed_over)
    )
    assert one == other
    assert one.attributes["members"] == ["a", "b"]


def test_what_waits_is_told_with_its_value_and_never_the_password():
    pending = {
        "EngineVersion": "16.4", "IAMDatabaseAuthenticationEnabled": False, "MultiAZ": True,
        "BackupRetentionPeriod": 0, "MasterUserPassword": SECRET, "Port": 5433,
        "PendingCloudwatchLogsExports": {"LogTypesToDisable": ["postgresql"]}, "Iops": None,
        "ProcessorFeatures": [{"Name": "coreCount", "Value": "2"}], "SomethingNew": 1.5,
        "CertificateDetails": {"CAIdentifier": "rds-ca", "ValidTill": UNTIL},
    }  # fmt: skip
    assert instance(PendingModifiedValues=pending)["pending"] == [
        "CertificateDetails: CAIdentifier rds-ca; ValidTill 2030-01-02T00:00:00.000000Z",
        "ProcessorFeatures Name coreCount; Value 2", "SomethingNew 1.5",
        "backup_retention_days 0", "engine_version 16.4",
        "iam_authentication false", "log_exports: LogTypesToDisable postgresql",
        "master_password", "multi_az true", "port 5433",
    ]  # fmt: skip
    assert "pending" not in instance(PendingModifiedValues={})


@pytest.mark.parametrize(
    ("key", "value", "shown"),
    [
        ("team", "a", "a"),
        ("api_token", SECRET, "<14>"),
        ("link", f"https://ana:{SECRET}@x/", "<29>"),
        ("note", f"password={SECRET}", "<23>"),
        ("password", "", ""),
    ],
)
def test_tags_that_look_like_secrets_are_concealed(key, value, shown):
    assert rds_objects.tags([{"Key": key, "Value": value}], hidden) == {key: shown}


@pytest.mark.parametrize(
    ("row", "shown"),
    [
        ({"ParameterName": "rds.force_ssl", "ParameterValue": "1"}, "1"),
        ({"ParameterName": "rds.restrict_password_commands", "ParameterValue": "1"}, "1"),
        ({"ParameterName": "credcheck.password_min", "ParameterValue": "8",
          "DataType": "integer"}, "8"),
        ({"ParameterName": "x.auth", "ParameterValue": "scram", "DataType": "string",
          "AllowedValues": "md5,scram"}, "scram"),
        ({"ParameterName": "password_encryption", "ParameterValue": "md5"}, "md5"),
        ({"ParameterName": "x.token", "ParameterValue": SECRET, "DataType": "string"}, "<14>"),
        ({"ParameterName": "ssl_passphrase_command", "ParameterValue": "echo x"}, "<6>"),
        ({"ParameterName": "archive_command", "ParameterValue": f"PGPASSWORD={SECRET} x"}, "<27>"),
        ({"ParameterName": "archive_command", "ParameterValue": f"x://a:{SECRET}@b"}, "<22>"),
    ],
)  # fmt: skip
def test_a_parameters_value_is_concealed_where_it_may_be_a_secret(row, shown):
    found = rds_parameters.parameter("g", row, hidden)
    assert found.attributes["value"] == shown
    assert found.name == f"{row['ParameterName']} of g"


def test_every_fact_of_a_parameter():
    row = {
        "ParameterName": "shared_buffers", "ParameterValue": "{DBInstanceClassMemory/32768}",
        "Description": "(8kB) Sets the number of buffers.", "Source": "system",
        "ApplyType": "static", "ApplyMethod": "pending-reboot", "IsModifiable": True,
        "DataType": "integer",
    }  # fmt: skip
    found = rds_parameters.parameter("g", row, hidden)
    assert found == Object(
        "rds_parameter",
        "shared_buffers of g",
        {
            "of": "rds_parameter_group g", "value": "{DBInstanceClassMemory/32768}", "unit": "8kB",
            "source": "system", "apply_type": "static", "apply_method": "pending-reboot",
            "modifiable": True,
        },
    )  # fmt: skip
    assert rds_parameters.declared(row, "in-sync") == Declared(
        "shared_buffers", "{DBInstanceClassMemory/32768}", "system", "in-sync", True, "8kB"
    )
    assert rds_parameters.unit({"Description": "(none of this) Sets"}) == ""


def test_an_empty_value_and_none_are_two_things():
    with_empty = rds_parameters.parameter("g", {"ParameterName": "a", "ParameterValue": ""}, hidden)
    without = rds_parameters.parameter("g", {"ParameterName": "a"}, hidden)
    assert with_empty.attributes.get("value") == ""
    assert "value" not in without.attributes


def test_an_instances_group_overrides_the_clusters_only_where_somebody_set_it():
    outer = [Declared("a", "1", "user"), Declared("b", "1", "system"), Declared("c", "1", "user")]
    inner = [Declared("a", "2", "user"), Declared("b", "2", "engine-default"),
             Declared("c", "", "engine-default"), Declared("d", "2", "system")]  # fmt: skip
    found = {one.name: one.value for one in rds_parameters.effective([[inner]], outer)}
    assert found == {"a": "2", "b": "1", "c": "1", "d": "2"}
    assert rds_parameters.effective([], outer) == outer


def test_the_two_kinds_of_groups_have_names_of_their_own():
    names = {rds_parameters.shown_group("default.aurora-postgresql16", cluster=one)
             for one in (True, False)}  # fmt: skip
    assert len(names) == 2


def test_sensitive_options_are_concealed():
    answer = {
        "OptionName": "NATIVE", "OptionVersion": "1",
        "OptionSettings": [
            {"Name": "IAM_ROLE_ARN", "Value": "arn:x"},
            {"Name": "COLOUR", "Value": SECRET, "IsSensitive": True},
            {"Name": "WALLET_PASSWORD", "Value": SECRET},
        ],
    }  # fmt: skip
    found = rds_objects.option("g", answer, hidden)
    assert found.name == "NATIVE of g"
    assert found.attributes["settings"] == {
        "IAM_ROLE_ARN": "arn:x", "COLOUR": "<14>", "WALLET_PASSWORD": "<14>",
    }  # fmt: skip


def test_shares_are_named_and_all_is_everybody():
    rows = [
        {"AttributeName": "restore", "AttributeValues": ["all", "999999999999"]},
        {"AttributeName": "another", "AttributeValues": ["888888888888"]},
    ]
    of_instance = rds_objects.shares({"DBSnapshotIdentifier": "s", "Encrypted": False}, rows)
    assert [(one.name, one.attributes) for one in of_instance] == [
        ("s with 999999999999", {"encrypted": False}),
        ("s with everybody", {"encrypted": False}),
    ]
    snapshot = {"DBClusterSnapshotIdentifier": "s", "StorageEncrypted": True}
    of_cluster = rds_objects.shares(snapshot, rows)
    assert of_cluster[0].attributes == {"encrypted": True}


@pytest.mark.parametrize(
    ("permission", "name"),
    [
        (tcp(**cidr("10.0.0.0/8")), "sg-1 in tcp 5432 from 10.0.0.0/8"),
        (tcp(5432, 5440, **cidr("10.0.0.0/8")), "sg-1 in tcp 5432-5440 from 10.0.0.0/8"),
        (tcp(Ipv6Ranges=[{"CidrIpv6": "fd00::/8"}]), "sg-1 in tcp 5432 from fd00::/8"),
        (tcp(PrefixListIds=[{"PrefixListId": "pl-1"}]), "sg-1 in tcp 5432 from pl-1"),
        ({"IpProtocol": "-1", **cidr("10.0.0.0/8")}, "sg-1 in all from 10.0.0.0/8"),
        ({"IpProtocol": "50", **cidr("10.0.0.0/8")}, "sg-1 in 50 from 10.0.0.0/8"),
        ({"IpProtocol": "icmp", "FromPort": -1, "ToPort": -1, **cidr("10.0.0.0/8")},
         "sg-1 in icmp from 10.0.0.0/8"),
        ({"IpProtocol": "icmp", "FromPort": 8, "ToPort": 0, **cidr("10.0.0.0/8")},
         "sg-1 in icmp 8/0 from 10.0.0.0/8"),
        (tcp(UserIdGroupPairs=[{"GroupId": "sg-2", "UserId": "111111111111"}]),
         "sg-1 in tcp 5432 from sg-2"),
        (tcp(UserIdGroupPairs=[{"GroupId": "sg-2", "UserId": "222222222222"}]),
         "sg-1 in tcp 5432 from sg-2 of account 222222222222"),
        (tcp(UserIdGroupPairs=[{"GroupId": "sg-2", "UserId": "222222222222",
                                "VpcPeeringConnectionId": "pcx-1"}]),
         "sg-1 in tcp 5432 from sg-2 of account 222222222222 over pcx-1"),
    ],
)  # fmt: skip
def test_a_rule_is_named_by_what_it_lets_through(permission, name):
    assert list(rules(permission)) == [name]


def test_rules_out_are_told_from_rules_in():
    assert list(rules(out=[{"IpProtocol": "-1", **cidr("0.0.0.0/0")}])) == [
        "sg-1 out all to 0.0.0.0/0"
    ]


def test_a_prefix_lists_entries_count_as_if_they_were_written_there():
    permission = tcp(PrefixListIds=[{"PrefixListId": "pl-1", "Description": "office"}])
    (unknown,) = rules(permission, lists={"pl-1": None}).values()
    assert unknown == {"of": "security_group sg-1", "comment": "office"}
    (world,) = rules(permission, lists={"pl-1": ["10.0.0.0/8", "::/0"]}).values()
    assert (world["world"], world["public"]) == (True, True)
    assert world["entries"] == ["10.0.0.0/8", "::/0"]


@pytest.mark.parametrize(
    ("network", "public"),
    [
        ("0.0.0.0/0", True), ("::/0", True), ("0.0.0.0/1", True), ("2000::/3", True),
        ("8.8.8.8/32", True), ("10.0.0.0/7", True), ("not a network", True),
        ("10.0.0.0/8", False), ("172.16.0.0/12", False), ("192.168.1.0/24", False),
        ("100.64.0.0/10", False), ("fd00::/8", False), ("fe80::/10", False),
    ],
)  # fmt: skip
def test_public_addresses_are_known(network, public):
    assert rds_network.is_public(network) is public


IGW = {"GatewayId": "igw-1", "State": "active"}


@pytest.mark.parametrize(
    ("routes", "leads"),
    [
        ([{"DestinationCidrBlock": "0.0.0.0/0", **IGW}], True),
        ([{"DestinationIpv6CidrBlock": "::/0", **IGW}], True),
        ([{"DestinationCidrBlock": "0.0.0.0/1", **IGW}], True),
        ([{"DestinationCidrBlock": "0.0.0.0/0", **IGW, "State": "blackhole"}], False),
        ([{"DestinationCidrBlock": "0.0.0.0/0", "NatGatewayId": "nat-1"}], False),
        ([{"DestinationIpv6CidrBlock": "::/0", "EgressOnlyInternetGatewayId": "eigw-1"}], False),
        ([{"DestinationCidrBlock": "10.0.0.0/16", "GatewayId": "local"}], False),
        ([{"DestinationCidrBlock": "10.9.0.0/16", "GatewayId": "vgw-1"}], False),
        ([], False),
    ],
)
def test_what_leads_to_the_internet(routes, leads):
    table = {"RouteTableId": "rtb-1", "Routes": routes}
    found = rds_network.subnet("subnet-1", "a", None, table, "rds_instance orders")
    assert found.attributes["internet"] is leads


def test_a_subnets_own_route_table_comes_before_the_main_one():
    main = {"RouteTableId": "rtb-main", "Associations": [{"Main": True}]}
    own = {"RouteTableId": "rtb-own", "Associations": [{"Main": False, "SubnetId": "subnet-1"}]}
    gone = {"SubnetId": "subnet-2", "AssociationState": {"State": "disassociated"}}
    left = {"RouteTableId": "rtb-left", "Associations": [gone]}
    tables = [main, left, own]
    assert rds_network.route_table(tables, "subnet-1") is own
    assert rds_network.route_table(tables, "subnet-2") is main
    assert rds_network.route_table([own], "subnet-2") is None


def group_lines(permissions):
    group = {"GroupId": GROUP, "IpPermissions": permissions}
    return sorted(map(line, rds_network.group_objects(group, "rds_instance orders", {})))


@given(st.permutations(range(4)), st.booleans())
def test_equal_rules_give_equal_bytes_in_any_order_and_grouping(order, together):
    ranges = [{"CidrIp": f"10.{number}.0.0/16", "Description": "x"} for number in order]
    grouped = [ranges] if together else [[one] for one in ranges]
    found = group_lines([tcp(IpRanges=several) for several in grouped])
    assert found == group_lines([tcp(**cidr(f"10.{n}.0.0/16", Description="x")) for n in range(4)])
    assert len(found) == 5


@given(st.permutations(["a", "b", "c"]))
def test_equal_instances_give_equal_bytes_whatever_the_order_of_lists(order):
    def listed(names):
        return line(
            rds_objects.instance(
                machine(
                    VpcSecurityGroups=[{"VpcSecurityGroupId": one} for one in names],
                    EnabledCloudwatchLogsExports=names,
                    ReadReplicaDBInstanceIdentifiers=names,
                    OptionGroupMemberships=[{"OptionGroupName": one} for one in names],
                    TagList=[{"Key": one, "Value": "x"} for one in names],
                    AssociatedRoles=[{"RoleArn": one} for one in names],
                    PendingModifiedValues=dict.fromkeys(names, "x"),
                ),
                hidden,
            )
        )

    assert listed(order) == listed(["a", "b", "c"])


@given(st.text(st.characters(codec="utf-8"), max_size=200))
def test_hostile_text_stays_text(text):
    """In descriptions, tags and comments: no error, no other name, a canonical line."""
    found = [
        rds_objects.instance(machine(TagList=[{"Key": "k", "Value": text}]), hidden),
        *rds_network.group_objects(
            {"GroupId": GROUP, "Description": text, "GroupName": text,
             "IpPermissions": [tcp(**cidr("10.0.0.0/8", Description=text))]}, "o x", {},
        ),
        rds_parameters.parameter_group("g", ["in-sync"], {"Description": text}, "o x"),
    ]  # fmt: skip
    assert [one.name for one in found] == [
        "orders", GROUP, f"{GROUP} in tcp 5432 from 10.0.0.0/8", "g",
    ]  # fmt: skip
    assert all(line(one) for one in found)


@pytest.mark.parametrize(
    "broken",
    [
        lambda: instance(VpcSecurityGroups=[{}]),
        lambda: instance(Engine=["a"]),
        lambda: instance(TagList=[{"Key": "k", "Value": "x" * 70_000}]),
        lambda: rds_objects.instance({}, hidden),
        lambda: rds_objects.cluster({"DBClusterIdentifier": ""}, hidden),
        lambda: rds_parameters.parameter("g", {}, hidden),
        lambda: rds_objects.arn({"Arn": "nonsense"}, "Arn"),
        lambda: rules(tcp(UserIdGroupPairs=[{}])),
        lambda: rules({"FromPort": 1}),
        lambda: rules(tcp(IpRanges=[{}])),
    ],
)
def test_an_answer_that_cannot_be_used_is_no_answer(broken):
    with pytest.raises(Unsupported):
        broken()
