"""RDS's and EC2's answers turned into objects; nothing is asked here.

Names and attributes are AWS's own, in snake case and shorter; what is absent there is absent here.
No value moves by itself: no free storage, no availability zone of the moment, no writer of a
cluster. Text in answers was written by whoever may tag or describe a resource: it is data only.
"""

from __future__ import annotations

import re
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from chalicelib.drift.snapshot import Object
from chalicelib.kernel.clock import timestamp
from chalicelib.kernel.errors import Unsupported

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

INSTANCE: Final = "rds_instance"
CLUSTER: Final = "rds_cluster"
OPTION: Final = "rds_option"
SNAPSHOT_SHARE: Final = "rds_snapshot_share"

EVERYBODY: Final = "everybody"
MAX_TEXT_CHARS: Final = 65_536  # far past what RDS takes anywhere
_COLONS: Final = 5  # in every ARN. Source: AWS General Reference, "Amazon Resource Names"

# Source: Amazon RDS API reference, DBInstance and DBCluster.
_COMMON: Final = {
    "DbiResourceId": "resource_id",
    "DbClusterResourceId": "resource_id",
    "Engine": "engine",
    "EngineVersion": "engine_version",
    "EngineMode": "engine_mode",
    "PubliclyAccessible": "public_access",
    "StorageEncrypted": "encrypted",
    "KmsKeyId": "kms_key",
    "DeletionProtection": "deletion_protection",
    "IAMDatabaseAuthenticationEnabled": "iam_authentication",
    "BackupRetentionPeriod": "backup_retention_days",
    "PreferredBackupWindow": "backup_window",
    "PreferredMaintenanceWindow": "maintenance_window",
    "CopyTagsToSnapshot": "copy_tags_to_snapshots",
    "MultiAZ": "multi_az",
    "CACertificateIdentifier": "ca_certificate",
    "AutoMinorVersionUpgrade": "auto_minor_upgrade",
    "PerformanceInsightsEnabled": "performance_insights",
    "PerformanceInsightsKMSKeyId": "performance_insights_key",
    "DatabaseInsightsMode": "database_insights",
    "MonitoringInterval": "monitoring_seconds",
    "MonitoringRoleArn": "monitoring_role",
    "MasterUsername": "master_user",
    "StorageType": "storage_type",
    "NetworkType": "network",
    "DBInstanceClass": "class",
    "DBClusterInstanceClass": "class",
    "DBClusterIdentifier": "cluster",
    "ReadReplicaSourceDBInstanceIdentifier": "replica_of",
    "ReadReplicaSourceDBClusterIdentifier": "replica_of",
    "ReplicationSourceIdentifier": "replica_of",
    "HttpEndpointEnabled": "data_api",
    "ActivityStreamStatus": "activity_stream",
    "ActivityStreamMode": "activity_stream_mode",
    "ActivityStreamKmsKeyId": "activity_stream_key",
    "DBClusterParameterGroup": "cluster_parameter_group",
}
# Names of what waits, where they differ from the attributes'.
_PENDING: Final = {
    **_COMMON,
    "DBSubnetGroupName": "subnet_group",
    "PendingCloudwatchLogsExports": "log_exports",
    "MasterUserPassword": "master_password",
    "DBInstanceIdentifier": "name",
    "Port": "port",
}
_UNNAMED_VALUE: Final = frozenset({"MasterUserPassword"})  # that it waits, and nothing of it

SECRET_NAME = re.compile(
    r"pass|pwd|secret|token|key|credential|private|jwt|salt|auth|bearer", re.IGNORECASE
)
SECRET_TEXT = re.compile(
    r"://[^\s/@:]*:[^\s@]*@"
    r"|(?:pass|pwd|secret|token|access_key|api_?key|auth|bearer)[a-z0-9_]*[\"']?\s*[=:]\s*\S",
    re.IGNORECASE,
)


def instance(answer: Mapping[str, Any], conceal: Callable[[str], str]) -> Object:
    """``rds_instance`` of an element of DescribeDBInstances. Raises: Unsupported."""
    attributes = _machine(answer, conceal)
    if cluster_name := answer.get("DBClusterIdentifier"):
        attributes["of"] = f"{CLUSTER} {text(cluster_name)}"
    attributes |= {
        "port": (answer.get("Endpoint") or {}).get("Port") or answer.get("DbInstancePort") or None,
        "subnet_group": optional((answer.get("DBSubnetGroup") or {}).get("DBSubnetGroupName")),
        "parameter_group": ", ".join(sorted(instance_groups(answer))) or None,
        "option_groups": sorted(option_groups(answer)),
        "replicas": names(answer.get("ReadReplicaDBInstanceIdentifiers")),
    }
    return Object(INSTANCE, name(answer), given(attributes))


def cluster(answer: Mapping[str, Any], conceal: Callable[[str], str]) -> Object:
    """``rds_cluster`` of an element of DescribeDBClusters. Raises: Unsupported."""
    name = needed(answer, "DBClusterIdentifier")
    attributes = _machine(answer, conceal)
    scaling = answer.get("ServerlessV2ScalingConfiguration") or {}
    attributes |= {
        "cluster": None,  # it is itself
        "parameter_group": attributes.pop("cluster_parameter_group", None),
        "port": answer.get("Port"),
        "subnet_group": optional(answer.get("DBSubnetGroup")),
        "members": sorted(members(answer)),
        "replicas": names(answer.get("ReadReplicaIdentifiers")),
        "option_groups": sorted(option_groups(answer)),
        "capacity": " to ".join(
            str(scaling[key]) for key in ("MinCapacity", "MaxCapacity") if key in scaling
        )
        or None,
    }
    return Object(CLUSTER, name, given(attributes))


def _machine(answer: Mapping[str, Any], conceal: Callable[[str], str]) -> dict[str, Any]:
    """What instances and clusters have in common."""
    found: dict[str, Any] = {
        attribute: _scalar(answer[name])
        for name, attribute in _COMMON.items()
        if answer.get(name) not in (None, "")
    }
    for key in ("PendingModifiedValues", "PendingModifiedValue"):
        found["pending"] = sorted(_waiting(answer.get(key) or {})) or found.get("pending")
    secret = answer.get("MasterUserSecret") or {}
    return found | {
        "security_groups": security_groups(answer),
        "log_exports": names(answer.get("EnabledCloudwatchLogsExports")),
        "roles": sorted(
            f"{text(one.get('RoleArn'))} for {text(one.get('FeatureName') or 'everything')}"
            for one in answer.get("AssociatedRoles") or []
        ),
        "directories": names(
            one.get("Domain") for one in answer.get("DomainMemberships") or [] if one.get("Domain")
        ),
        "master_secret": optional(secret.get("SecretArn")),
        "tags": tags(answer.get("TagList") or [], conceal),
    }


def _waiting(pending: Mapping[str, Any]) -> Iterable[str]:
    """What waits for a maintenance window or a reboot, with the value that it will have."""
    for name, value in pending.items():
        if value is None or value in ({}, []):
            continue
        attribute = _PENDING.get(name, name)
        if name in _UNNAMED_VALUE:
            yield attribute
        elif isinstance(value, dict):
            yield f"{attribute}: {_shown(value)}"
        else:
            yield f"{attribute} {_shown(value)}"


def name(instance: Mapping[str, Any]) -> str:
    """An instance's name. Raises: Unsupported."""
    return needed(instance, "DBInstanceIdentifier")


def members(cluster: Mapping[str, Any]) -> set[str]:
    """The names of a cluster's instances."""
    return {name(one) for one in cluster.get("DBClusterMembers") or []}


def security_groups(answer: Mapping[str, Any]) -> list[str]:
    """The ids of an instance's or a cluster's security groups."""
    found = answer.get("VpcSecurityGroups") or []
    return sorted({needed(one, "VpcSecurityGroupId") for one in found})


def instance_groups(answer: Mapping[str, Any]) -> dict[str, str]:
    """The apply status of an instance's parameter groups, by their names."""
    return {
        needed(one, "DBParameterGroupName"): text(one.get("ParameterApplyStatus") or "")
        for one in answer.get("DBParameterGroups") or []
    }


def option_groups(answer: Mapping[str, Any]) -> set[str]:
    """The names of an instance's or a cluster's option groups."""
    return {
        needed(one, key)
        for member, key in (
            ("OptionGroupMemberships", "OptionGroupName"),
            ("DBClusterOptionGroupMemberships", "DBClusterOptionGroupName"),
        )
        for one in answer.get(member) or []
    }


def option(group: str, answer: Mapping[str, Any], conceal: Callable[[str], str]) -> Object:
    """``rds_option`` of an element of ``Options`` of DescribeOptionGroups. Raises: Unsupported."""
    name = needed(answer, "OptionName")
    settings = {}
    for one in answer.get("OptionSettings") or []:
        key, value = needed(one, "Name"), text(one.get("Value") or "")
        secret = one.get("IsSensitive") or SECRET_NAME.search(key) or SECRET_TEXT.search(value)
        settings[key] = conceal(value) if value and secret else value
    attributes = {
        "version": optional(answer.get("OptionVersion")),
        "port": answer.get("Port"),
        "permanent": answer.get("Permanent"),
        "persistent": answer.get("Persistent"),
        "security_groups": names(
            one.get("VpcSecurityGroupId") for one in answer.get("VpcSecurityGroupMemberships") or []
        ),
        "settings": settings,
    }
    return Object(OPTION, f"{name} of {group}", given(attributes))


def shares(snapshot: Mapping[str, Any], attributes: Iterable[Mapping[str, Any]]) -> list[Object]:
    """``rds_snapshot_share`` for each account that may restore a manual snapshot.

    ``attributes``: of DescribeDB…SnapshotAttributes. "all" is every AWS account.
    Source: Amazon RDS API reference, DBSnapshotAttribute. Raises: Unsupported.
    """
    kind = "DBSnapshotIdentifier"
    name = needed(snapshot, kind if kind in snapshot else "DBClusterSnapshotIdentifier")
    encrypted = snapshot.get("Encrypted", snapshot.get("StorageEncrypted"))
    whom = {
        needed({"value": value}, "value")
        for one in attributes
        if one.get("AttributeName") == "restore"
        for value in one.get("AttributeValues") or []
    }
    return [
        Object(
            SNAPSHOT_SHARE,
            f"{name} with {EVERYBODY if one == 'all' else one}",
            given({"encrypted": encrypted}),
        )
        for one in sorted(whom)
    ]


def tags(rows: Iterable[Mapping[str, Any]], conceal: Callable[[str], str]) -> dict[str, str]:
    """Tags by key; those that look like secrets are concealed. Raises: Unsupported."""
    found = {needed(one, "Key"): text(one.get("Value") or "") for one in rows}
    return concealed(found, conceal)


def concealed(values: Mapping[str, str], conceal: Callable[[str], str]) -> dict[str, str]:
    """Texts by key; those that look like secrets are concealed."""
    return {
        key: conceal(value)
        if value and (SECRET_NAME.search(key) or SECRET_TEXT.search(value))
        else value
        for key, value in values.items()
    }


def needed(answer: Mapping[str, Any], key: str) -> str:
    """A text that must be there. Raises: Unsupported."""
    value = answer.get(key)
    if not isinstance(value, str) or not value:
        raise Unsupported(
            f"AWS's answer has no {key}", next_step="scan again; if it stays, report this defect"
        )
    return text(value)


def arn(answer: Mapping[str, Any], key: str) -> str:
    """An ARN, of six parts or more. Raises: Unsupported."""
    value = needed(answer, key)
    if not value.startswith("arn:") or value.count(":") < _COLONS:
        raise Unsupported(f"AWS's answer has something else than an ARN in {key}")
    return value


def text(value: object) -> str:
    """A text of bounded length. Raises: Unsupported."""
    if not isinstance(value, str) or len(value) > MAX_TEXT_CHARS:
        raise Unsupported(
            f"AWS's answer holds something else than a text of at most {MAX_TEXT_CHARS} characters",
            next_step="scan again; if it stays, report this defect",
        )
    return value


def names(values: Iterable[Any] | None) -> list[str]:
    """Texts in order, each once. Raises: Unsupported."""
    return sorted({text(one) for one in values or []})


def optional(value: object) -> str | None:
    """A text, or None for none and for an empty one. Raises: Unsupported."""
    return None if value in (None, "") else text(value)


def _scalar(value: object) -> bool | int | str:
    return value if isinstance(value, bool | int) else text(value)


def _shown(value: object) -> str:
    """A value of any of the forms that botocore gives, in words. Raises: Unsupported."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, datetime):
        return timestamp(value)
    if isinstance(value, list):
        return ", ".join(sorted(map(_shown, value)))
    if isinstance(value, dict):
        return "; ".join(f"{key} {_shown(each)}" for key, each in sorted(value.items()))
    return str(value) if isinstance(value, int | float) else text(value)


def given(attributes: Mapping[str, Any]) -> dict[str, Any]:
    """Without what is absent; False, 0 and the empty text are values."""
    return {
        key: value
        for key, value in attributes.items()
        if value is not None and value not in ([], {})
    }
