"""What is in the stand-in's account, made with AWS's own API; and what is done to it at night.

A small company's: people in groups, a shop that runs on RDS under roles of its own.
"""

from __future__ import annotations

import functools
import json
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

    import botocore.session

ACCOUNT: Final = "123456789012"  # of AWS's documentation
REGION: Final = "eu-central-1"
INSTANCE: Final = "orders"
ROLE: Final = "shop-web"
POLICY: Final = "orders"
SCANNER: Final = "holdfast"
CULPRIT: Final = "mallory"
BUILDER: Final = "terraform"
ROOT: Final = {
    "access_key": "AKIAIOSFODNN7EXAMPLE",
    "secret": "of nobody",
}  # never a real account's
_ZONES: Final = {"10.0.1.0/24": "eu-central-1a", "10.0.2.0/24": "eu-central-1b"}
_PASSWORDS: Final = {
    "MinimumPasswordLength": 16,
    "RequireSymbols": True,
    "RequireNumbers": True,
    "RequireUppercaseCharacters": True,
    "RequireLowercaseCharacters": True,
    "AllowUsersToChangePassword": True,
    "PasswordReusePrevention": 12,
}


def _policy(*statements: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def _trust(**principal: str) -> str:
    return _policy({"Effect": "Allow", "Principal": principal, "Action": "sts:AssumeRole"})


class Account:
    """Clients of the stand-in at ``endpoint`` by their services, as somebody with an access key."""

    def __init__(self, endpoint: str, credentials: Mapping[str, str]) -> None:
        self._endpoint = endpoint
        self._credentials = credentials

    def __getattr__(self, service: str) -> Any:
        from botocore.config import Config  # noqa: PLC0415 - as in _session

        made = _session().create_client(
            service,
            region_name=REGION,
            endpoint_url=self._endpoint,
            aws_access_key_id=self._credentials["access_key"],
            aws_secret_access_key=self._credentials["secret"],
            config=Config(retries={"total_max_attempts": 1}, proxies={}),
        )
        setattr(self, service, made)
        return made


@functools.cache
def _session() -> botocore.session.Session:
    """One for all clients: it keeps the models of the services, which take long to parse."""
    import botocore.session  # noqa: PLC0415 - the demo's chapters need the names above only

    return botocore.session.Session()


def key(root: Account, user: str) -> dict[str, str]:
    """An access key for a user."""
    made = root.iam.create_access_key(UserName=user)["AccessKey"]
    return {"access_key": made["AccessKeyId"], "secret": made["SecretAccessKey"]}


def build(endpoint: str) -> dict[str, dict[str, str]]:
    """Make all of it; access keys by their users' names."""
    root = Account(endpoint, ROOT)
    for user in (BUILDER, SCANNER, CULPRIT, "ines"):
        root.iam.create_user(UserName=user)
    keys = {user: key(root, user) for user in (BUILDER, SCANNER, CULPRIT)}
    builder = Account(endpoint, keys[BUILDER])
    database = _database(builder)
    _identities(builder.iam, builder.sts.get_caller_identity()["Account"], database)
    for one in keys.values():
        Account(endpoint, one).sts.get_caller_identity()  # so that every key was used before
    return keys


def _database(aws: Account) -> str:
    """An instance of RDS in a network of its own; its resource id."""
    vpc = aws.ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    subnets = [
        aws.ec2.create_subnet(VpcId=vpc, CidrBlock=block, AvailabilityZone=zone)["Subnet"][
            "SubnetId"
        ]
        for block, zone in _ZONES.items()
    ]
    group = aws.ec2.create_security_group(
        GroupName="orders-database", Description="PostgreSQL of the shop", VpcId=vpc
    )["GroupId"]
    aws.ec2.authorize_security_group_ingress(
        GroupId=group, IpPermissions=[_rule("10.0.0.0/16", "the shop's own network")]
    )
    aws.rds.create_db_subnet_group(
        DBSubnetGroupName="orders",
        DBSubnetGroupDescription="private",
        SubnetIds=subnets,
    )
    aws.rds.create_db_parameter_group(
        DBParameterGroupName="orders-pg18",
        DBParameterGroupFamily="postgres18",
        Description="orders",
    )
    aws.rds.modify_db_parameter_group(
        DBParameterGroupName="orders-pg18",
        Parameters=[
            {"ParameterName": name, "ParameterValue": value, "ApplyMethod": how}
            for name, value, how in (
                ("log_statement", "ddl", "immediate"),
                ("track_commit_timestamp", "1", "pending-reboot"),
            )
        ],
    )
    made = aws.rds.create_db_instance(
        DBInstanceIdentifier=INSTANCE,
        DBInstanceClass="db.t4g.medium",
        Engine="postgres",
        EngineVersion="18.1",
        AllocatedStorage=50,
        StorageType="gp3",
        StorageEncrypted=True,
        MasterUsername="postgres",
        MasterUserPassword="of-nobody-at-all",
        DBParameterGroupName="orders-pg18",
        DBSubnetGroupName="orders",
        VpcSecurityGroupIds=[group],
        BackupRetentionPeriod=14,
        CopyTagsToSnapshot=True,
        DeletionProtection=True,
        EnableIAMDatabaseAuthentication=True,
        EnableCloudwatchLogsExports=["postgresql"],
        PubliclyAccessible=False,
        MultiAZ=True,
    )["DBInstance"]
    return str(made["DbiResourceId"])


def _rule(block: str, comment: str) -> dict[str, Any]:
    return {
        "IpProtocol": "tcp",
        "FromPort": 5432,
        "ToPort": 5432,
        "IpRanges": [{"CidrIp": block, "Description": comment}],
    }


def _allow(resource: str, *actions: str) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": list(actions), "Resource": resource}


def _login(account: str, database: str, user: str) -> dict[str, Any]:
    """IAM's permission to log in to a database as one of its users; ``*``: as any."""
    return _allow(f"arn:aws:rds-db:{REGION}:{account}:dbuser:{database}/{user}", "rds-db:connect")


def _identities(iam: Any, account: str, database: str) -> None:
    """Who may do what: the shop's roles, one that may become another, people in a group."""
    iam.update_account_password_policy(**_PASSWORDS)
    container, function = (
        _trust(Service=f"{name}.amazonaws.com") for name in ("ecs-tasks", "lambda")
    )
    batch, report = (f"arn:aws:iam::{account}:role/{name}" for name in ("nightly-batch", "report"))
    for role, trust, policy, statement in (
        (ROLE, container, POLICY, _LOOK),
        ("orders-api", container, "database", _login(account, database, "api")),
        ("nightly-batch", function, "become-report", _allow(report, "sts:AssumeRole")),
        ("report", _trust(AWS=batch), "database", _login(account, database, "report")),
    ):
        iam.create_role(RoleName=role, AssumeRolePolicyDocument=trust)
        iam.put_role_policy(RoleName=role, PolicyName=policy, PolicyDocument=_policy(statement))
    metrics = _policy(_allow("*", "cloudwatch:GetMetricData", "logs:FilterLogEvents"))
    policy = iam.create_policy(PolicyName="look-at-metrics", PolicyDocument=metrics)
    iam.create_group(GroupName="engineers")
    iam.attach_group_policy(GroupName="engineers", PolicyArn=policy["Policy"]["Arn"])
    for user in ("ines", CULPRIT):
        iam.add_user_to_group(GroupName="engineers", UserName=user)


_LOOK: Final = _allow("*", "rds:DescribeDBInstances")


def night(endpoint: str, credentials: Mapping[str, str]) -> list[str]:
    """Do three things that nobody signed for; the calls, as AWS's own command line has them."""
    aws = Account(endpoint, credentials)
    found = aws.rds.describe_db_instances(DBInstanceIdentifier=INSTANCE)["DBInstances"][0]
    account = aws.sts.get_caller_identity()["Account"]
    widened = _policy(_LOOK, _login(account, found["DbiResourceId"], "*"))
    aws.iam.put_role_policy(RoleName=ROLE, PolicyName=POLICY, PolicyDocument=widened)
    group = found["VpcSecurityGroups"][0]["VpcSecurityGroupId"]
    aws.ec2.authorize_security_group_ingress(
        GroupId=group, IpPermissions=[_rule("0.0.0.0/0", "temporary")]
    )
    aws.rds.modify_db_instance(
        DBInstanceIdentifier=INSTANCE, DeletionProtection=False, ApplyImmediately=True
    )
    statements = widened.replace("[{", "[\n        {").replace("}, {", "},\n        {")
    return [
        f"aws iam put-role-policy --role-name {ROLE} --policy-name {POLICY}",
        *f"    --policy-document '{statements}'".splitlines(),
        f"aws ec2 authorize-security-group-ingress --group-id {group}",
        "    --protocol tcp --port 5432 --cidr 0.0.0.0/0",
        f"aws rds modify-db-instance --db-instance-identifier {INSTANCE} --no-deletion-protection",
        "    --apply-immediately",
    ]
