"""One look at an RDS instance or cluster: the adapter behind ``drift.source.Source``.

1. The instance; or the cluster with its members; or the instance's cluster too. That AWS says it is
   not there is an answer: it is a removed object then, under the same name.
2. Parameter groups, every parameter; option groups. 3. Security groups, prefix lists, subnets and
   their route tables. 4. Whom manual snapshots are shared with: AWS tells it one by one.
5. Parameters compared with what PostgreSQL itself reports, where a database is given.

Needs the actions in ``ACTIONS``. Without the first, the whole target is unknown; without another
one, what it hides. Nothing is judged here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from chalicelib.aws import rds_network, rds_objects, rds_parameters, rds_surroundings
from chalicelib.aws.asker import NothingThere
from chalicelib.aws.gathered import Gathered, all_there
from chalicelib.drift.parameter import Declared, Reported, compare
from chalicelib.drift.source import Known, Reading
from chalicelib.kernel.clock import timestamp
from chalicelib.kernel.errors import Unsupported

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

    from chalicelib.aws.asker import Asker
    from chalicelib.drift.snapshot import Object

__all__ = ["ACTIONS", "RdsSource", "Reported"]

ACTIONS: Final = (
    "ec2:DescribeAvailabilityZones",
    "ec2:DescribeManagedPrefixLists",
    "ec2:DescribeRouteTables",
    "ec2:DescribeSecurityGroups",
    "ec2:DescribeSubnets",
    "ec2:GetManagedPrefixListEntries",
    "rds:DescribeDBClusterParameterGroups",
    "rds:DescribeDBClusterParameters",
    "rds:DescribeDBClusterSnapshotAttributes",
    "rds:DescribeDBClusterSnapshots",
    "rds:DescribeDBClusters",
    "rds:DescribeDBInstances",
    "rds:DescribeDBParameterGroups",
    "rds:DescribeDBParameters",
    "rds:DescribeDBSnapshotAttributes",
    "rds:DescribeDBSnapshots",
    "rds:DescribeDBSubnetGroups",
    "rds:DescribeOptionGroups",
    "sts:GetCallerIdentity",
)

_DEFAULT_OPTIONS: Final = "default:"  # empty, and nobody can add to it. Source: RDS User Guide
_STEPS: Final = 5
_LOST: Final = "what it belongs to could not be read"


class RdsSource:
    """An RDS instance, or a cluster with its instances, as a target that can be read.

    ``asker``: makes one for each look. ``reported``: reads pg_settings of the database inside, and
    raises what a connection raises; None: nothing is compared. ``conceal`` turns a secret into what
    may be stored in its place.
    """

    def __init__(
        self,
        name: str,
        *,
        cluster: bool,
        asker: Callable[[], Asker],
        now: Callable[[], datetime],
        reported: Callable[[], Mapping[str, Reported]] | None,
        conceal: Callable[[str], str],
    ) -> None:
        self._name = name
        self._cluster = cluster
        self._asker = asker
        self._now = now
        self._reported = reported
        self._conceal = conceal

    def read(
        self, progress: Callable[[str, int, int], None], _known: Known | None = None
    ) -> Reading:
        """Look once.

        Raises: NotPermitted, StoreUnavailable, where the instance or cluster itself cannot be read;
        Overdue; Unsupported, where AWS's answer cannot be used.
        """
        ask = self._asker()
        look = _Look(ask, self._name, self._conceal, cluster=self._cluster)
        arn, objects = look.read(progress, self._reported)
        return Reading(
            objects=[*objects, *ask.gaps],
            identity=f"{'cluster' if self._cluster else 'instance'} {arn}",
            system=look.system(arn),
            queries=ask.queries,
            texts=ask.texts,
            read_at=ask.answered_at or timestamp(self._now()),
            committed={},
            dropped={},
            missing=look.missing,
        )


class _Look:
    """One look, with what was found so far."""

    def __init__(
        self, ask: Asker, name: str, conceal: Callable[[str], str], *, cluster: bool
    ) -> None:
        kind = rds_objects.CLUSTER if cluster else rds_objects.INSTANCE
        self._ask = ask
        self._found = Gathered(ask, f"{kind} {name}")
        self._name = name
        self._conceal = conceal
        self._is_cluster = cluster
        self._cluster: dict[str, Any] | None = None
        self._instances: list[dict[str, Any]] = []
        self._declared: dict[str, list[Declared]] = {}  # by group
        self._rows: dict[str, dict[str, Any]] = {}  # by parameter
        self._groups_asked: set[str] = set()
        self._lost_groups = False
        self.missing = ""  # as of ``Reading``

    def read(
        self,
        progress: Callable[[str, int, int], None],
        reported: Callable[[], Mapping[str, Reported]] | None,
    ) -> tuple[str, list[Object]]:
        """The target's ARN, and what there is. Raises: as ``RdsSource.read``."""
        progress(self._found.owner, 0, _STEPS)
        try:
            arn = self._machines()
        except NothingThere:
            arn = self._arn_of_nothing()
            self.missing = f"AWS has no {arn}"
            self._shares()  # snapshots stay
            progress(self._found.owner, _STEPS, _STEPS)
            return arn, list(self._found.objects.values())
        steps: tuple[tuple[str, Callable[[], None]], ...] = (
            (rds_parameters.PARAMETER_GROUP, self._groups),
            (rds_network.GROUP, self._network),
            (rds_objects.SNAPSHOT_SHARE, self._shares),
            (rds_parameters.DISAGREEMENT, lambda: self._comparison(reported)),
        )
        for done, (kind, step) in enumerate(steps, start=1):
            progress(kind, done, _STEPS)
            step()
        progress(self._found.owner, _STEPS, _STEPS)
        return arn, list(self._found.objects.values())

    def system(self, arn: str) -> dict[str, Any]:
        """Where it was read, and what it cost."""
        _, partition, _, region, account, *_ = arn.split(":")
        machine = self._cluster if self._is_cluster else next(iter(self._instances), None)
        endpoint = (machine or {}).get("Endpoint")
        host = endpoint.get("Address") if isinstance(endpoint, dict) else endpoint
        return {
            "arn": arn,
            "partition": partition,
            "region": region,
            "account": account,
            "endpoint": host if isinstance(host, str) else "",
            "calls": self._ask.calls,
        }

    def _machines(self) -> str:
        """The instances and the cluster, and the target's ARN. Raises: NothingThere."""
        if not self._is_cluster:
            found = self._one("DescribeDBInstances", "DBInstances", "DBInstanceIdentifier")
            self._instances = [found]
            self._found.add(rds_objects.instance(found, self._conceal))
            if outer := found.get("DBClusterIdentifier"):
                self._cluster_around(rds_objects.text(outer))
            return rds_objects.arn(found, "DBInstanceArn")
        found = self._one("DescribeDBClusters", "DBClusters", "DBClusterIdentifier")
        self._cluster = found
        self._found.add(rds_objects.cluster(found, self._conceal))
        self._members(found)
        return rds_objects.arn(found, "DBClusterArn")

    def _members(self, cluster: Mapping[str, Any]) -> None:
        self._lost_groups = True
        with self._found.part(rds_objects.INSTANCE, needs="rds:DescribeDBInstances"):
            of_cluster = [{"Name": "db-cluster-id", "Values": [self._name]}]
            pages = self._ask.pages("rds", "DescribeDBInstances", "DBInstances", Filters=of_cluster)
            for one in pages:
                self._found.add(rds_objects.instance(one, self._conceal))
                self._instances.append(one)
            wanted = rds_objects.members(cluster)
            all_there(wanted - set(map(rds_objects.name, self._instances)), "RDS", "instance")
            self._lost_groups = False

    def _cluster_around(self, name: str) -> None:
        """The cluster that the instance is in: much of what protects it is set there."""
        self._lost_groups = True
        with self._found.part(rds_objects.CLUSTER, needs="rds:DescribeDBClusters"):
            self._cluster = self._one(
                "DescribeDBClusters", "DBClusters", "DBClusterIdentifier", name
            )
            self._found.add(rds_objects.cluster(self._cluster, self._conceal))
            self._lost_groups = False

    def _one(self, operation: str, items: str, key: str, name: str = "") -> dict[str, Any]:
        """The one element that has the name. Raises: NothingThere; Unsupported."""
        wanted = name or self._name
        found = self._ask.call("rds", operation, **{key: wanted}).get(items) or []
        if len(found) != 1 or found[0].get(key) != wanted:
            raise Unsupported(
                f"rds:{operation} was asked for {wanted!r} and answered with something else",
                next_step="scan again; if it stays, report this defect",
            )
        one: dict[str, Any] = found[0]
        return one

    def _arn_of_nothing(self) -> str:
        """The ARN that the target had: the identity of a thing that is gone is still its own."""
        caller = self._ask.call("sts", "GetCallerIdentity")
        zones = self._ask.call("ec2", "DescribeAvailabilityZones").get("AvailabilityZones") or [{}]
        partition = rds_objects.arn(caller, "Arn").split(":")[1]
        region = rds_objects.needed(zones[0], "RegionName")
        account = rds_objects.needed(caller, "Account")
        kind = "cluster" if self._is_cluster else "db"
        return f"arn:{partition}:rds:{region}:{account}:{kind}:{self._name}"

    def _groups(self) -> None:
        """Parameter groups with their parameters, and option groups."""
        if self._lost_groups:
            self._ask.lacks(
                rds_parameters.PARAMETER_GROUP, _LOST, needs="what reads it", partial=True
            )
            self._ask.lacks(rds_parameters.PARAMETER, _LOST, needs="what reads it", partial=True)
        of_instances: dict[str, set[str]] = {}
        for one in self._instances:
            for name, status in rds_objects.instance_groups(one).items():
                of_instances.setdefault(name, set()).add(status)
        for name, statuses in sorted(of_instances.items()):
            self._group(name, "", statuses)
        if self._cluster is not None and self._cluster.get("DBClusterParameterGroup"):
            mine = {rds_objects.text(one["DBInstanceIdentifier"]) for one in self._instances}
            statuses = {
                rds_objects.text(one.get("DBClusterParameterGroupStatus") or "")
                for one in self._cluster.get("DBClusterMembers") or []
                if self._is_cluster or one.get("DBInstanceIdentifier") in mine
            }
            name = rds_objects.needed(self._cluster, "DBClusterParameterGroup")
            self._group(name, "Cluster", statuses)
        machines = [*self._instances, *filter(None, [self._cluster])]
        names = {name for one in machines for name in rds_objects.option_groups(one)}
        for name in sorted(names):
            if not name.startswith(_DEFAULT_OPTIONS):
                self._options(name)

    def _group(self, name: str, of: str, statuses: set[str]) -> None:
        """One parameter group; ``of``: empty, or Cluster, as in the names of operations.

        Both kinds have a default group of the same name.
        """
        shown = rds_parameters.shown_group(name, cluster=bool(of))
        self._groups_asked.add(shown)
        asked = {f"DB{of}ParameterGroupName": name}
        described: dict[str, Any] | None = None
        operation = f"DescribeDB{of}ParameterGroups"
        about = ("comment", "family")
        with self._found.part(
            rds_parameters.PARAMETER_GROUP, needs=f"rds:{operation}", partial=True, attributes=about
        ):
            described = self._found.one(operation, f"DB{of}ParameterGroups", asked)
        self._found.add(
            rds_parameters.parameter_group(shown, statuses, described, self._found.owner)
        )
        operation = f"DescribeDB{of}Parameters"
        status = rds_parameters.worst(statuses)
        with self._found.part(rds_parameters.PARAMETER, needs=f"rds:{operation}", partial=True):
            declared = []
            for row in self._ask.pages("rds", operation, "Parameters", **asked):
                self._found.add(rds_parameters.parameter(shown, row, self._conceal))
                declared.append(rds_parameters.declared(row, status))
                self._rows[declared[-1].name.lower()] = row
            self._declared[shown] = declared

    def _options(self, name: str) -> None:
        with self._found.part(rds_objects.OPTION, needs="rds:DescribeOptionGroups", partial=True):
            found = self._found.one(
                "DescribeOptionGroups", "OptionGroupsList", {"OptionGroupName": name}
            )
            for one in found.get("Options") or []:
                self._found.add(rds_objects.option(name, one, self._conceal))

    def _comparison(self, reported: Callable[[], Mapping[str, Reported]] | None) -> None:
        """What RDS declares against what PostgreSQL reports."""
        if reported is None:
            return
        kinds = (rds_parameters.DISAGREEMENT, rds_parameters.COMPARISON)
        with self._found.part(*kinds, needs="both the parameter groups and the database"):
            if self._lost_groups or not self._groups_asked <= self._declared.keys():
                raise Unsupported("what RDS declares could not be read in full")
            rows = reported()
            declared = rds_parameters.effective(
                [
                    [self._declared[name] for name in sorted(rds_objects.instance_groups(one))]
                    for one in self._instances
                ],
                self._of_cluster(),
            )
            found = compare(declared, rows)
            self._found.add(
                *rds_parameters.disagreements(found, self._rows, self._conceal),
                rds_parameters.comparison(self._name, found),
            )
            if not found.complete:
                self._ask.lacks(
                    rds_parameters.DISAGREEMENT,
                    "parameters that only superusers may see are not shown",
                    needs="membership in pg_read_all_settings",
                    partial=True,
                )

    def _of_cluster(self) -> list[Declared]:
        if self._cluster is None or not self._cluster.get("DBClusterParameterGroup"):
            return []
        name = rds_objects.needed(self._cluster, "DBClusterParameterGroup")
        return self._declared[rds_parameters.shown_group(name, cluster=True)]

    def _network(self) -> None:
        machines = [*self._instances, *filter(None, [self._cluster])]
        rds_surroundings.network(self._found, machines)

    def _shares(self) -> None:
        """Those of the cluster, where the instance is in one: it has none of its own."""
        outer = next((one.get("DBClusterIdentifier") for one in self._instances), None)
        name = rds_objects.text(outer or self._name)
        is_cluster = self._is_cluster or outer is not None
        rds_surroundings.shares(self._found, name, cluster=is_cluster)
