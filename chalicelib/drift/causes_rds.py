"""The table of causes of changes to RDS and the network around it, for ``causes``.

Sources: Amazon RDS API Reference; Amazon EC2 API Reference.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from chalicelib.drift.cause_row import ec2, rds

if TYPE_CHECKING:
    from chalicelib.drift.cause_row import Row


def _settings(event: str, names: str, known: dict[str, str]) -> list[Row]:
    """A call that sets what it states: attributes by their parameters, and one for the rest."""
    rest = " ".join(["*", "!tags", *(f"!{one}" for one in known)])
    return [
        *(rds(one, event, names, key, must=True) for one, key in known.items()),
        rds(rest, event, names, most="object"),
    ]


_SHARED: Final = {  # of instances and of clusters
    "backup_retention_days": "backupRetentionPeriod",
    "backup_window": "preferredBackupWindow",
    "ca_certificate": "cACertificateIdentifier",
    "copy_tags_to_snapshots": "copyTagsToSnapshot",
    "database_insights": "databaseInsightsMode",
    "deletion_protection": "deletionProtection",
    "engine_version": "engineVersion",
    "iam_authentication": "enableIAMDatabaseAuthentication",
    "log_exports": "cloudwatchLogsExportConfiguration",
    "maintenance_window": "preferredMaintenanceWindow",
    "monitoring_role": "monitoringRoleArn",
    "monitoring_seconds": "monitoringInterval",
    "network": "networkType",
    "option_groups": "optionGroupName",
    "performance_insights": "enablePerformanceInsights",
    "performance_insights_key": "performanceInsightsKMSKeyId",
    "security_groups": "vpcSecurityGroupIds",
    "storage_type": "storageType",
}
_INSTANCE: Final = _SHARED | {
    "auto_minor_upgrade": "autoMinorVersionUpgrade",
    "class": "dBInstanceClass",
    "multi_az": "multiAZ",
    "parameter_group": "dBParameterGroupName",
    "port": "dBPortNumber",
    "public_access": "publiclyAccessible",
    "subnet_group": "dBSubnetGroupName",
}
_CLUSTER: Final = _SHARED | {"parameter_group": "dBClusterParameterGroupName", "port": "port"}
_BY_INSTANCE: Final = "dBInstanceIdentifier=name"
_BY_CLUSTER: Final = "dBClusterIdentifier=name"
_MAKE_INSTANCE: Final = (
    "CreateDBInstance",
    "CreateDBInstanceReadReplica",
    "RestoreDBInstanceFromDBSnapshot",
    "RestoreDBInstanceFromS3",
)
_MAKE_CLUSTER: Final = (
    "CreateDBCluster",
    "RestoreDBClusterFromS3",
    "RestoreDBClusterFromSnapshot",
    "RestoreDBClusterToPointInTime",
)

NAMES: Final[dict[str, str]] = {
    "rds_instance": r"(?P<name>\S+)",
    "rds_cluster": r"(?P<name>\S+)",
    "rds_parameter_group": r"(?P<cluster>cluster )?(?P<name>\S+)",
    "rds_parameter": r"(?P<parameter>\S+) of (?P<cluster>cluster )?(?P<name>\S+)",
    "rds_option": r"(?P<option>\S+) of (?P<name>\S+)",
    "rds_subnet": r"(?P<name>\S+)",
    "security_group": r"(?P<name>\S+)",
    "security_group_rule": (
        r"(?P<name>\S+) (?P<way>in|out) (?P<protocol>\S+)(?: (?P<ports>\S+))? (?:from|to) "
        r"(?P<peer>.+)"
    ),
    "rds_snapshot_share": r"(?P<name>\S+) with (?P<account>\S+)",
}

# What CloudTrail may file an event of the object under; a part of its name, or an attribute.
RESOURCES: Final[dict[str, tuple[str, ...]]] = {
    **dict.fromkeys(NAMES, ("name",)),
    "rds_subnet": ("name", "route_table"),
}

ROWS: Final[dict[str, tuple[Row, ...]]] = {
    "rds_instance": (
        *_settings("ModifyDBInstance", _BY_INSTANCE, _INSTANCE),
        *(rds("+", one, "^dbiResourceId=resource_id", most="itself") for one in _MAKE_INSTANCE),
        *(rds("+", one, _BY_INSTANCE) for one in _MAKE_INSTANCE),
        *(rds("*", one, _BY_INSTANCE, most="object") for one in _MAKE_INSTANCE),
        rds("+", "RestoreDBInstanceToPointInTime", "targetDBInstanceIdentifier=name"),
        rds("+", "ModifyDBInstance", "newDBInstanceIdentifier=name"),
        rds("-", "ModifyDBInstance", "dBInstanceIdentifier=name newDBInstanceIdentifier==*"),
        rds("-", "DeleteDBInstance", _BY_INSTANCE),
        rds("pending parameter_group", "RebootDBInstance", _BY_INSTANCE, most="object"),
        rds("replica_of backup_retention_days backup_window", "PromoteReadReplica", _BY_INSTANCE,
             most="object"),
        rds("engine_version ca_certificate pending", "ApplyPendingMaintenanceAction",
             "resourceIdentifier=name", most="object"),
        rds("tags", "AddTagsToResource", "resourceName=name", most="object"),
        rds("tags", "RemoveTagsFromResource", "resourceName=name", most="object"),
    ),
    "rds_cluster": (
        *_settings("ModifyDBCluster", _BY_CLUSTER, _CLUSTER),
        *(
            rds("+", one, "^dbClusterResourceId=resource_id", most="itself")
            for one in _MAKE_CLUSTER
        ),
        *(rds("+", one, _BY_CLUSTER) for one in _MAKE_CLUSTER),
        *(rds("*", one, _BY_CLUSTER, most="object") for one in _MAKE_CLUSTER),
        rds("+", "ModifyDBCluster", "newDBClusterIdentifier=name"),
        rds("-", "ModifyDBCluster", "dBClusterIdentifier=name newDBClusterIdentifier==*"),
        rds("-", "DeleteDBCluster", _BY_CLUSTER),
        rds("pending parameter_group", "RebootDBCluster", _BY_CLUSTER, most="object"),
        rds("engine_version ca_certificate pending", "ApplyPendingMaintenanceAction",
             "resourceIdentifier=name", most="object"),
        rds("tags", "AddTagsToResource", "resourceName=name", most="object"),
        rds("tags", "RemoveTagsFromResource", "resourceName=name", most="object"),
        rds("members", "CreateDBInstance", _BY_CLUSTER, most="object"),
        rds("members", "DeleteDBInstance", "^dBClusterIdentifier=name", most="object"),
        rds("members", "FailoverDBCluster", _BY_CLUSTER, most="object"),
    ),
    "rds_parameter_group": (
        *(
            rds(what, f"{verb}DB{{of}}ParameterGroup", "dB{of}ParameterGroupName=name", most=most)
            for what, verb, most in (
                ("+", "Create", "value"), ("-", "Delete", "value"), ("*", "Modify", "object"),
                ("*", "Reset", "object"),
            )
        ),
        rds("+", "CopyDB{of}ParameterGroup", "targetDB{of}ParameterGroupIdentifier=name"),
        *(
            row
            for one in ("ModifyDBInstance", "ModifyDBCluster")
            for row in (
                rds("+ status", one, "dB{of}ParameterGroupName=name"),
                rds("-", one, "dB{of}ParameterGroupName==*", most="kind"),
            )
        ),
        rds("status", "RebootDBInstance", most="kind"),
        rds("status", "RebootDBCluster", most="kind"),
    ),
    "rds_parameter": tuple(
        rds("+ - *", f"{verb}DB{{of}}ParameterGroup", f"dB{{of}}ParameterGroupName=name {which}",
             "parameterValue=value")
        for verb, which in (
            ("Modify", "parameterName=parameter"), ("Reset", "parameterName=parameter"),
            ("Reset", "resetAllParameters==true"),
        )
    ),
    "rds_option": (
        rds("+ *", "ModifyOptionGroup", "optionGroupName=name optionName=option", most="object"),
        rds("-", "ModifyOptionGroup", "optionGroupName=name optionsToRemove=option"),
        rds("-", "DeleteOptionGroup", "optionGroupName=name"),
        rds("+", "CopyOptionGroup", "targetOptionGroupIdentifier=name", most="object"),
        rds("+ -", "ModifyDBInstance", "optionGroupName==*", most="kind"),
    ),
    "rds_subnet": (
        ec2("internet route_table", "AssociateRouteTable", "subnetId=name",
             "routeTableId=route_table"),
        *(
            ec2("internet", one, "routeTableId=route_table", most="object")
            for one in ("CreateRoute", "ReplaceRoute", "DeleteRoute")
        ),
        ec2("internet route_table", "ReplaceRouteTableAssociation", "routeTableId=route_table",
             most="object"),
        ec2("internet route_table", "DisassociateRouteTable", most="kind"),
        ec2("internet", "DetachInternetGateway", most="kind"),
        rds("+", "ModifyDBSubnetGroup", "subnetIds=name"),
        rds("-", "ModifyDBSubnetGroup", "subnetIds==*", most="kind"),
        rds("+ -", "ModifyDBInstance", "dBSubnetGroupName==*", most="kind"),
        ec2("+", "CreateSubnet", "^subnetId=name"),
        ec2("-", "DeleteSubnet", "subnetId=name"),
    ),
    "security_group": (
        ec2("+", "CreateSecurityGroup", "^groupId=name"),
        ec2("-", "DeleteSecurityGroup", "groupId=name"),
        *(
            row
            for one in ("ModifyDBInstance", "ModifyDBCluster")
            for row in (
                rds("+", one, "vpcSecurityGroupIds=name"),
                rds("-", one, "vpcSecurityGroupIds==*", most="kind"),
            )
        ),
    ),
    "security_group_rule": (
        ec2("+", "AuthorizeSecurityGroup{way}", "groupId=name", rule=True),
        ec2("-", "RevokeSecurityGroup{way}", "groupId=name", rule=True),
        ec2("comment", "UpdateSecurityGroupRuleDescriptions{way}", "groupId=name", rule=True),
        ec2("+ - comment", "ModifySecurityGroupRules", "groupId=name", rule=True),
        ec2("entries public world", "ModifyManagedPrefixList", "prefixListId=peer",
             most="object"),
        # A group comes with a rule, and a group that is taken into use with all that it has.
        ec2("+", "CreateSecurityGroup", "^groupId=name", most="object"),
        ec2("-", "DeleteSecurityGroup", "groupId=name", most="object"),
        *(
            row
            for one in ("ModifyDBInstance", "ModifyDBCluster")
            for row in (
                rds("+", one, "vpcSecurityGroupIds=name", most="object"),
                rds("-", one, "vpcSecurityGroupIds==*", most="kind"),
            )
        ),
    ),
    "rds_snapshot_share": (
        *(
            rds(what, f"ModifyDB{of}SnapshotAttribute",
                 f"dB{of}SnapshotIdentifier=name {values}=shared")
            for of in ("", "Cluster")
            for what, values in (("+", "valuesToAdd"), ("-", "valuesToRemove"))
        ),
        rds("-", "DeleteDBSnapshot", "dBSnapshotIdentifier=name"),
        rds("-", "DeleteDBClusterSnapshot", "dBClusterSnapshotIdentifier=name"),
    ),
}  # fmt: skip
