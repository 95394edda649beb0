"""EC2's answers about an instance's network, turned into objects; nothing is asked here.

A rule of a security group is an object for each peer, named by what it lets through: two groups
with the same rules give the same objects, however AWS puts ranges together. What leads to the
internet is a route to an internet gateway that is attached; one through NAT lets nobody in.
"""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING, Any, Final

from chalicelib.aws.rds_objects import needed, text
from chalicelib.drift.snapshot import Object
from chalicelib.kernel.errors import Unsupported

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

GROUP: Final = "security_group"
RULE: Final = "security_group_rule"
SUBNET: Final = "rds_subnet"

OF_SUBNET: Final = ("account", "cidr", "cidr_ipv6")  # attributes of its own
OF_LISTS: Final = ("entries", "public", "world")  # attributes of a rule that names a prefix list
OF_ROUTES: Final = ("internet", "route_table")  # attributes by its route table

_ALL: Final = "-1"
_WITH_PORTS: Final = frozenset({"tcp", "udp", "6", "17"})
_ICMP: Final = frozenset({"icmp", "icmpv6", "1", "58"})
# Where nobody outside comes from. Source: RFC 1918, 6598, 3927, 1122, 4193, 4291.
_PRIVATE: Final = tuple(
    ipaddress.ip_network(one)
    for one in (
        "10.0.0.0/8",
        "172.16.0.0/12",
        "192.168.0.0/16",
        "100.64.0.0/10",
        "169.254.0.0/16",
        "127.0.0.0/8",
        "fc00::/7",
        "fe80::/10",
        "::1/128",
    )
)


def group_objects(
    group: Mapping[str, Any], owner: str, lists: Mapping[str, list[str] | None]
) -> list[Object]:
    """``security_group`` and its ``security_group_rule`` of an element of DescribeSecurityGroups.

    ``lists``: the entries of prefix lists, as far as they are known. Raises: Unsupported.
    """
    name = needed(group, "GroupId")
    about = {
        "of": owner,
        "name": text(group.get("GroupName") or ""),
        "vpc": text(group.get("VpcId") or ""),
        "comment": text(group.get("Description") or ""),
    }
    found = {
        rule.name: rule
        for way, member in (("in", "IpPermissions"), ("out", "IpPermissionsEgress"))
        for permission in group.get(member) or []
        for rule in _rules(name, way, permission, text(group.get("OwnerId") or ""), lists)
    }
    return [Object(GROUP, name, {k: v for k, v in about.items() if v}), *found.values()]


def prefix_lists(groups: Iterable[Mapping[str, Any]]) -> list[str]:
    """The ids of the prefix lists that rules of these groups name."""
    return sorted({
        needed(one, "PrefixListId")
        for group in groups
        for member in ("IpPermissions", "IpPermissionsEgress")
        for permission in group.get(member) or []
        for one in permission.get("PrefixListIds") or []
    })  # fmt: skip


def _rules(
    group: str,
    way: str,
    permission: Mapping[str, Any],
    account: str,
    lists: Mapping[str, list[str] | None],
) -> Iterator[Object]:
    head = f"{group} {way} {_traffic(permission)} {'from' if way == 'in' else 'to'}"
    for peer, row, networks in _peers(permission, account, lists):
        attributes: dict[str, Any] = {"of": f"{GROUP} {group}"}
        if comment := text(row.get("Description") or ""):
            attributes["comment"] = comment
        if networks is not None and "PrefixListId" in row:
            attributes["entries"] = networks
        if any(is_public(one) for one in networks or []):
            attributes["public"] = True
        if any(one.endswith("/0") for one in networks or []):
            attributes["world"] = True
        yield Object(RULE, f"{head} {peer}", attributes)


def _peers(
    permission: Mapping[str, Any], account: str, lists: Mapping[str, list[str] | None]
) -> Iterator[tuple[str, Mapping[str, Any], list[str] | None]]:
    """Who is let through: as the rule's name says it, AWS's element, and the networks it means."""
    for member, key in (("IpRanges", "CidrIp"), ("Ipv6Ranges", "CidrIpv6")):
        for row in permission.get(member) or []:
            network = needed(row, key)
            yield network, row, [network]
    for row in permission.get("PrefixListIds") or []:
        name = needed(row, "PrefixListId")
        yield name, row, lists.get(name)
    for row in permission.get("UserIdGroupPairs") or []:
        peer = text(row.get("GroupId") or row.get("GroupName") or "")
        if not peer:
            raise Unsupported("AWS's answer has a rule for a security group without its name")
        if (other := text(row.get("UserId") or "")) and other != account:
            peer += f" of account {other}"
        if peering := text(row.get("VpcPeeringConnectionId") or ""):
            peer += f" over {peering}"
        yield peer, row, None


def _traffic(permission: Mapping[str, Any]) -> str:
    """``all``, ``tcp 5432``, ``tcp 5432-5440``, ``icmp 8/0``, or a protocol's number."""
    protocol = needed(permission, "IpProtocol")
    first, last = permission.get("FromPort"), permission.get("ToPort")
    if protocol == _ALL:
        return "all"
    if protocol in _WITH_PORTS and first is not None and last is not None:
        return f"{protocol} {first}" if first == last else f"{protocol} {first}-{last}"
    if protocol in _ICMP and first not in {None, -1}:
        return f"{protocol} {first}" if last in {None, -1} else f"{protocol} {first}/{last}"
    return protocol


def is_public(network: str) -> bool:
    """Whether a network holds addresses outside the private ranges; True for no network at all."""
    try:
        found = ipaddress.ip_network(network, strict=False)
    except ValueError:
        return True
    return not any(
        one.version == found.version and found.subnet_of(one)  # type: ignore[arg-type]
        for one in _PRIVATE
    )


def zones(subnet_groups: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    """The availability zones of all subnets of RDS's subnet groups, by the subnets' ids."""
    return {
        needed(one, "SubnetIdentifier"): text(
            (one.get("SubnetAvailabilityZone") or {}).get("Name") or ""
        )
        for group in subnet_groups
        for one in group.get("Subnets") or []
    }


def subnet(
    name: str, zone: str, about: Mapping[str, Any] | None, table: Mapping[str, Any] | None, of: str
) -> Object:
    """``rds_subnet``. ``about``: of DescribeSubnets; ``table``: its route table, where read."""
    attributes: dict[str, Any] = {"of": of, "zone": zone or None}
    if about is not None:
        attributes["cidr"] = text(about.get("CidrBlock") or "") or None
        attributes["cidr_ipv6"] = sorted(
            needed(one, "Ipv6CidrBlock")
            for one in about.get("Ipv6CidrBlockAssociationSet") or []
            if (one.get("Ipv6CidrBlockState") or {}).get("State", "associated") == "associated"
        )
        attributes["account"] = text(about.get("OwnerId") or "") or None
    if table is not None:
        attributes["route_table"] = needed(table, "RouteTableId")
        attributes["internet"] = leads_to_internet(table)
    return Object(SUBNET, name, {k: v for k, v in attributes.items() if v not in (None, [])})


def route_table(tables: Iterable[Mapping[str, Any]], subnet_id: str) -> Mapping[str, Any] | None:
    """The subnet's own route table, or else the main one of its VPC; None, if neither is there."""
    main = None
    for table in tables:
        for one in table.get("Associations") or []:
            state = (one.get("AssociationState") or {}).get("State", "associated")
            if one.get("SubnetId") == subnet_id and state in {"associated", "associating"}:
                return table
            if one.get("Main"):
                main = table
    return main


def leads_to_internet(table: Mapping[str, Any]) -> bool:
    """Whether a route, IPv4 or IPv6, leads to an internet gateway; one that is gone does not."""
    return any(
        text(route.get("GatewayId") or "").startswith("igw-") and route.get("State") != "blackhole"
        for route in table.get("Routes") or []
    )
