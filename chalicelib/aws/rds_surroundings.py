"""What is around an RDS instance or cluster, asked of AWS: its network, and shared snapshots."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from chalicelib.aws import rds_network, rds_objects
from chalicelib.aws.asker import NothingThere
from chalicelib.aws.gathered import all_there
from chalicelib.kernel.errors import Unsupported

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence, Sized

    from chalicelib.aws.gathered import Gathered

MAX_SNAPSHOTS: Final = 5_000  # of one instance or cluster; a region has 100 unless more are granted
MAX_PREFIX_LISTS: Final = 200  # the most values of a filter. Source: EC2 API reference, Filter
_OF_AWS: Final = "AWS"  # the owner of prefix lists that AWS changes by itself


def network(found: Gathered, machines: Sequence[Mapping[str, Any]]) -> None:
    """Security groups with their rules, subnets with what their route tables lead to.

    ``machines``: elements of DescribeDBInstances and DescribeDBClusters.
    """
    wanted = {name for one in machines for name in rds_objects.security_groups(one)}
    if wanted:
        _security_groups(found, sorted(wanted))
    zones: dict[str, str] = {}
    vpcs: set[str] = set()
    with found.part(rds_network.SUBNET, needs="rds:DescribeDBSubnetGroups"):
        groups = _subnet_groups(found, machines)
        vpcs = {rds_objects.needed(one, "VpcId") for one in groups}
        zones = rds_network.zones(groups)
    if zones:
        _subnets(found, zones, sorted(vpcs))


def _security_groups(found: Gathered, wanted: list[str]) -> None:
    kinds = (rds_network.GROUP, rds_network.RULE)
    with found.part(*kinds, needs="ec2:DescribeSecurityGroups"):
        by_id = [{"Name": "group-id", "Values": wanted}]
        pages = found.ask.pages("ec2", "DescribeSecurityGroups", "SecurityGroups", Filters=by_id)
        groups = {rds_objects.needed(one, "GroupId"): one for one in pages}
        lists = _prefix_lists(found, rds_network.prefix_lists(groups.values()))
        for one in groups.values():
            found.add(*rds_network.group_objects(one, found.owner, lists))
        all_there(set(wanted) - groups.keys(), "EC2", "security group")


def _prefix_lists(found: Gathered, wanted: list[str]) -> dict[str, list[str] | None]:
    """The entries of prefix lists; not of AWS's own, which it changes by itself."""
    lists: dict[str, list[str] | None] = {}
    if not wanted:
        return lists
    with found.part(
        rds_network.RULE,
        needs="ec2:DescribeManagedPrefixLists, ec2:GetManagedPrefixListEntries",
        partial=True,
        attributes=rds_network.OF_LISTS,
    ):
        _bounded(wanted, MAX_PREFIX_LISTS, "prefix lists")
        by_id = [{"Name": "prefix-list-id", "Values": wanted}]
        pages = found.ask.pages("ec2", "DescribeManagedPrefixLists", "PrefixLists", Filters=by_id)
        for one in list(pages):
            name = rds_objects.needed(one, "PrefixListId")
            lists[name] = None
            if one.get("OwnerId") != _OF_AWS:
                rows = found.ask.pages(
                    "ec2", "GetManagedPrefixListEntries", "Entries", PrefixListId=name
                )
                lists[name] = sorted({rds_objects.needed(row, "Cidr") for row in rows})
        all_there(set(wanted) - lists.keys(), "EC2", "prefix list")
    return lists


def _subnet_groups(
    found: Gathered, machines: Sequence[Mapping[str, Any]]
) -> list[Mapping[str, Any]]:
    """The subnet groups of instances; of a cluster without any, whose answer names it, its own."""
    said = [one["DBSubnetGroup"] for one in machines if one.get("DBSubnetGroup")]
    groups: list[Mapping[str, Any]] = [one for one in said if not isinstance(one, str)]
    if groups:
        return groups
    return [
        found.one("DescribeDBSubnetGroups", "DBSubnetGroups", {"DBSubnetGroupName": one})
        for one in said
    ]


def _subnets(found: Gathered, zones: Mapping[str, str], vpcs: list[str]) -> None:
    kind, ask = rds_network.SUBNET, found.ask
    about: dict[str, dict[str, Any]] = {}
    tables: list[dict[str, Any]] = []
    with found.part(
        kind, needs="ec2:DescribeSubnets", partial=True, attributes=rds_network.OF_SUBNET
    ):
        by_id = [{"Name": "subnet-id", "Values": sorted(zones)}]
        for one in ask.pages("ec2", "DescribeSubnets", "Subnets", Filters=by_id):
            about[rds_objects.needed(one, "SubnetId")] = one
        all_there(zones.keys() - about.keys(), "EC2", "subnet")
    with found.part(
        kind, needs="ec2:DescribeRouteTables", partial=True, attributes=rds_network.OF_ROUTES
    ):
        by_vpc = [{"Name": "vpc-id", "Values": vpcs}]
        tables.extend(ask.pages("ec2", "DescribeRouteTables", "RouteTables", Filters=by_vpc))
        lost = [name for name in zones if rds_network.route_table(tables, name) is None]
        all_there(lost, "EC2", "route table of the subnet")
    for name, zone in zones.items():
        table = rds_network.route_table(tables, name)
        found.add(rds_network.subnet(name, zone, about.get(name), table, found.owner))


def shares(found: Gathered, name: str, *, cluster: bool) -> None:
    """Whom manual snapshots of an instance or cluster are shared with: a call for each of them.

    They outlive it. Automatic ones, and those of AWS Backup, cannot be shared.
    Source: Amazon RDS User Guide, "Sharing a DB snapshot".
    """
    of = "Cluster" if cluster else ""
    key, kind = f"DB{of}SnapshotIdentifier", rds_objects.SNAPSHOT_SHARE
    operation = f"DescribeDB{of}Snapshots"
    snapshots: list[dict[str, Any]] = []
    with found.part(kind, needs=f"rds:{operation}"):
        asked = {"DBClusterIdentifier" if of else "DBInstanceIdentifier": name}
        pages = found.ask.pages(
            "rds", operation, f"DB{of}Snapshots", SnapshotType="manual", **asked
        )
        for one in pages:
            snapshots.append(one)
            _bounded(snapshots, MAX_SNAPSHOTS, "manual snapshots")
    operation = f"DescribeDB{of}SnapshotAttributes"
    for one in snapshots:
        part = found.part(kind, needs=f"rds:{operation}", partial=True)
        with part, suppress(NothingThere):  # deleted meanwhile
            asked = {key: rds_objects.needed(one, key)}
            answer = found.ask.call("rds", operation, **asked)
            rows = (answer.get(f"{operation[8:]}Result") or {}).get(operation[8:])
            if rows is None:
                raise Unsupported(f"rds:{operation} answered without attributes")
            found.add(*rds_objects.shares(one, rows))


def _bounded(several: Sized, most: int, what: str) -> None:
    if len(several) > most:
        raise Unsupported(f"there are more than {most} {what}")
