"""What leads into databases: requests to AWS, in classes that people know by name.

A goal is a set of actions on a set of resources. Sources: AWS Service Authorization Reference
("Amazon RDS", "Amazon RDS IAM authentication", "AWS Secrets Manager"); Amazon RDS User Guide,
"Creating and using an IAM policy for IAM database access"; for who may give himself more,
S. Gietzen, "AWS IAM Privilege Escalation: Methods and Mitigation" (Rhino Security Labs, 2018):
those of IAM itself.
"""

from __future__ import annotations

import re
from itertools import product
from typing import TYPE_CHECKING, Final

import msgspec

from chalicelib.drift.iam import glob
from chalicelib.drift.iam.document import Effect, Names, Statement
from chalicelib.drift.iam.glob import Pattern, Wild

if TYPE_CHECKING:
    from collections.abc import Iterable

    from chalicelib.drift.iam.actions import Reference
    from chalicelib.drift.iam.glob import Language

CONNECT: Final = "rds-db:connect"
CHANGE: Final = "rds: change"
COPY: Final = "rds: copy"
READ: Final = "secretsmanager:GetSecretValue"
REPLACE: Final = "secretsmanager: change"
ESCALATE: Final = "iam: give itself access"
HAND_OVER: Final = "iam:PassRole"

MEANINGS: Final = {
    CONNECT: "logs in to a database with a token of IAM",
    CHANGE: "changes an instance or cluster: a new master password, public access, …",
    COPY: "copies what is in a database: snapshots, their sharing, restoring, exports, replicas",
    READ: "reads the password of a database",
    REPLACE: "changes a database's secret, or who may read it",
    ESCALATE: "changes policies, memberships, trust or others' credentials, and so gets the rest",
    HAND_OVER: "hands a role that reaches databases to a service, which then acts for it",
}  # fmt: skip

# Actions of RDS that a reference may not list; it adds the others.
_RDS: Final = (
    "ModifyDBInstance", "ModifyDBCluster", "AddRoleToDBInstance", "AddRoleToDBCluster",
    "RestoreDBInstanceFromDBSnapshot", "RestoreDBInstanceToPointInTime",
    "RestoreDBClusterFromSnapshot", "RestoreDBClusterToPointInTime", "StartExportTask",
    "CopyDBSnapshot", "CopyDBClusterSnapshot", "CreateDBSnapshot", "CreateDBClusterSnapshot",
    "ModifyDBSnapshotAttribute", "ModifyDBClusterSnapshotAttribute", "CreateDBInstanceReadReplica",
)  # fmt: skip
_HARMLESS: Final = re.compile(r"rds:(?:describe|list).*")
_COPIES: Final = re.compile(
    r"rds:(?:restore.*|copy.*snapshot|create.*snapshot|modify.*snapshotattribute|startexporttask"
    r"|createdbinstancereadreplica|createbluegreendeployment|download.*"
    r"|startdbinstanceautomatedbackupsreplication)"
)
_COPIED: Final = ("snapshot", "cluster-snapshot", "auto-backup", "cluster-auto-backup")
_MAKERS: Final = ("", "rds:", "awsbackup:")  # what names of snapshots that AWS makes begin with
_REPLACING: Final = (
    "PutSecretValue", "UpdateSecret", "UpdateSecretVersionStage", "PutResourcePolicy",
    "DeleteResourcePolicy", "RotateSecret", "ReplicateSecretToRegions",
)  # fmt: skip
_POLICY: Final = (
    "PutUserPolicy", "AttachUserPolicy", "PutGroupPolicy", "AttachGroupPolicy", "PutRolePolicy",
    "AttachRolePolicy", "CreatePolicyVersion", "SetDefaultPolicyVersion", "AddUserToGroup",
    "UpdateAssumeRolePolicy",
)  # fmt: skip
_CREDENTIALS: Final = ("CreateAccessKey", "CreateLoginProfile", "UpdateLoginProfile")


class Databases(msgspec.Struct, frozen=True):
    """The databases that are meant, and where their passwords are.

    ``instances``: resource ids (``db-ABC…``, ``cluster-ABC…``) as rds-db:connect knows them; ``""``
    or none at all: every one of the account. ``arns``: of instances and clusters; none: every one.
    ``secrets``: names, or ARNs with or without their last six characters.
    """

    account: str
    partition: str = "aws"
    instances: tuple[str, ...] = ()
    secrets: tuple[str, ...] = ()
    arns: tuple[str, ...] = ()


class Goal(msgspec.Struct, frozen=True):
    """Requests that lead into databases. Actions in lower case, resources as canonical patterns.

    ``spared``: resources that do not. ``others``: nor does one's own user.
    """

    label: str
    actions: tuple[str, ...]
    resources: tuple[str, ...]
    spared: tuple[str, ...] = ()
    others: bool = False

    @property
    def statement(self) -> Statement:
        """The goal as a region of requests."""
        return Statement(Effect.ALLOW, Names(self.actions), Names(self.resources))

    @property
    def language(self) -> Language:
        """The ARNs of the resources that there can be: none has a colon inside a name but IAM's.

        A pattern of a policy may match a whole ARN and more with one ``*``.
        """
        return tuple(_strict(text) for text in self.resources)

    @property
    def exception(self) -> Statement | None:
        """The region of what is spared."""
        if not self.spared:
            return None
        return Statement(Effect.DENY, Names(self.actions), Names(self.spared))


def goals(databases: Databases, reference: Reference) -> list[Goal]:
    """All that leads into the databases but roles: how these are taken is not a goal."""
    arn, account = f"arn:{databases.partition}", databases.account
    ids = [_literal(one) if one else "*" for one in databases.instances] or ["*"]
    rds = f"{arn}:rds:*:{account}"
    kept = [_literal(one) for one in databases.arns] or [f"{rds}:db:*", f"{rds}:cluster:*"]
    copies = [*kept, *(f"{rds}:{kind}:{maker}*" for kind, maker in product(_COPIED, _MAKERS))]
    known = {one.lower() for one in reference.actions if one.lower().startswith("rds:")}
    known |= {f"rds:{one}".lower() for one in _RDS}
    known = {one for one in known if not _HARMLESS.fullmatch(one)}
    copying = {one for one in known if _COPIES.fullmatch(one)}
    iam = f"{arn}:iam::{account}"
    found = [
        _goal(CONNECT, [CONNECT], [f"{arn}:rds-db:*:{account}:dbuser:{one}/*" for one in ids]),
        _goal(CHANGE, known - copying, kept),
        _goal(COPY, copying, copies),
        _goal(
            ESCALATE,
            (f"iam:{one}" for one in _POLICY),
            [f"{iam}:{kind}/*" for kind in ("user", "group", "role", "policy")],
            # IAM User Guide, "Using service-linked roles": nobody edits their policies and trust.
            spared=(f"{iam}:role/aws-service-role/*",),
        ),
        _goal(ESCALATE, (f"iam:{one}" for one in _CREDENTIALS), [f"{iam}:user/*"], others=True),
    ]
    if secrets := [text for one in databases.secrets for text in _secret(one, databases)]:
        found.append(_goal(READ, [READ], secrets))
        found.append(_goal(REPLACE, (f"secretsmanager:{one}" for one in _REPLACING), secrets))
    return found


def _goal(
    label: str,
    actions: Iterable[str],
    resources: Iterable[str],
    *,
    spared: tuple[str, ...] = (),
    others: bool = False,
) -> Goal:
    texts = tuple(sorted({one.lower() for one in actions}))
    return Goal(label, texts, tuple(sorted(set(resources))), spared, others)


def _secret(one: str, databases: Databases) -> list[str]:
    """Secrets Manager ends every ARN with a hyphen and six characters that it chooses."""
    text = _literal(one)
    if one.startswith("arn:"):
        return [text, f"{text}-??????"]
    own = f"arn:{databases.partition}:secretsmanager:*:{databases.account}:secret"
    return [f"{own}:{text}-??????"]


def _strict(text: str) -> Pattern:
    if ":iam:" in text:
        return glob.arn(text)
    wild = {Wild.ANY: Wild.SPAN, Wild.ONE: Wild.STEP}
    return Pattern(tuple(wild[t] if isinstance(t, Wild) else t for t in glob.parse(text).tokens))


def _literal(text: str) -> str:
    """The pattern that matches the text alone."""
    return glob.render(Pattern(tuple(text)))
