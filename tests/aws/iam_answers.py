"""IAM's answers, made by hand: a client that gives them, in pages, and refuses what it is told."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from urllib.parse import quote

from botocore.exceptions import ClientError

from chalicelib.aws.asker import Asker

ACCOUNT = "123456789012"
NOW = datetime(2026, 10, 1, 2, 0, tzinfo=UTC)
CREATED = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
TRUST = {
    "Version": "2012-10-17",
    "Statement": [
        {
            "Effect": "Allow",
            "Principal": {"Service": "ec2.amazonaws.com"},
            "Action": "sts:AssumeRole",
        }
    ],
}


def days(number):
    """So many days before NOW."""
    return NOW - timedelta(days=number)


def allows(*actions):
    return {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Action": list(actions), "Resource": "*"}],
    }


def encoded(document):
    """As IAM's answers have it on the wire."""
    return quote(json.dumps(document))


def local(name, path="/"):
    return f"arn:aws:iam::{ACCOUNT}:policy{path}{name}"


def managed(name, path="/"):
    return f"arn:aws:iam::aws:policy{path}{name}"


def _detail(kind, name, *, attached=(), inline=None, boundary="", labels=None, path="/"):
    said = {
        "Path": path,
        f"{kind}Name": name,
        "CreateDate": CREATED,
        "AttachedManagedPolicies": [{"PolicyArn": arn} for arn in attached],
        f"{kind}PolicyList": [
            {"PolicyName": own, "PolicyDocument": document}
            for own, document in (inline or {}).items()
        ],
    }
    if boundary:
        said["PermissionsBoundary"] = {"PermissionsBoundaryArn": boundary}
    if labels:
        said["Tags"] = [{"Key": key, "Value": value} for key, value in labels.items()]
    return said


def user(name, *, groups=(), **more):
    return {**_detail("User", name, **more), "GroupList": list(groups)}


def group(name, **more):
    return _detail("Group", name, **more)


def role(name, *, trust=TRUST, **more):
    return {**_detail("Role", name, **more), "AssumeRolePolicyDocument": trust}


def policy(arn, *documents, counts=(1, 0), comment=""):
    """A policy whose last version is the default one."""
    return {
        "Arn": arn,
        "Path": "/",
        "DefaultVersionId": f"v{len(documents)}",
        "AttachmentCount": counts[0],
        "PermissionsBoundaryUsageCount": counts[1],
        "Description": comment,
        "PolicyVersionList": [
            {"VersionId": f"v{number}", "Document": document, "CreateDate": CREATED}
            for number, document in enumerate(documents, 1)
        ],
    }


def page(*, users=(), groups=(), roles=(), policies=()):
    return {
        "UserDetailList": list(users),
        "GroupDetailList": list(groups),
        "RoleDetailList": list(roles),
        "Policies": list(policies),
    }


def key(number, created=CREATED, status="Active"):
    return {"AccessKeyId": f"AKIA{number:012}", "Status": status, "CreateDate": created}


def report(*rows):
    """A credential report; a row: user, then for up to two keys when made and last used."""
    columns = [f"access_key_{n}_last_{what}" for n in (1, 2) for what in ("rotated", "used_date")]
    lines = [",".join(["user", "arn", *columns])]
    for name, *times in rows:
        texts = [one if isinstance(one, str) else one.isoformat() for one in times]
        lines.append(",".join([f'"{name}"', "arn", *texts, *["N/A"] * (4 - len(texts))]))
    return "\n".join(lines).encode()


def error(operation, code, status=400):
    return ClientError(
        {
            "Error": {"Code": code, "Message": "no"},
            "ResponseMetadata": {"HTTPStatusCode": status, "RequestId": "0f"},
        },
        operation,
    )


class Iam:
    """A client of IAM, and of STS, of one account.

    ``looks``: lists of pages of GetAccountAuthorizationDetails, one for each time it is asked for,
    the last for all further ones. ``refused``: codes of errors by operation, or by operation and
    the name of the user asked about. ``asked``: operations, in their order.
    """

    def __init__(self, *looks):
        self.looks = list(looks) or [[page()]]
        self.keys = {}
        self.last_used = {}
        self.devices = {}
        self.passwords = set()
        self.policies = {}
        self.report = None
        self.account = ACCOUNT
        self.aliases = []
        self.refused = {}
        self.asked = []

    def asker(self, seconds=60):
        return Asker(lambda service: self, monotonic=lambda: 0.0, seconds=seconds)

    def __getattr__(self, method):
        if f"_{method}" not in type(self).__dict__:
            raise AttributeError(method)

        def ask(**parameters):
            operation = _OPERATIONS[method]
            self.asked.append(operation)
            about = (operation, parameters.get("UserName"))
            code = self.refused.get(operation) or self.refused.get(about)
            if code:
                raise error(operation, code, 403)
            return getattr(self, f"_{method}")(**parameters)

        return ask

    def _get_caller_identity(self):
        return {"Account": self.account, "Arn": f"arn:aws:sts::{self.account}:assumed-role/r/s"}

    def _get_account_authorization_details(self, Filter, MaxItems, Marker="0"):  # noqa: N803
        number = int(Marker)
        if number == 0:
            self.look = self.looks.pop(0) if len(self.looks) > 1 else self.looks[0]
        more = {"Marker": str(number + 1)} if number + 1 < len(self.look) else {}
        return {**self.look[number], "IsTruncated": bool(more), **more}

    def _roles(self):
        return [one for page in self.look for one in page["RoleDetailList"]]

    def _list_roles(self, MaxItems):  # noqa: N803
        details = {"MaxSessionDuration": 3600, "Description": "made by hand"}
        return {"Roles": [{"RoleName": one["RoleName"], **details} for one in self._roles()]}

    def _list_instance_profiles(self, MaxItems):  # noqa: N803
        roles = [{"RoleName": "web"}, {"RoleName": "app"}]
        return {"InstanceProfiles": [{"InstanceProfileName": "web", "Path": "/", "Roles": roles}]}

    def _get_account_summary(self):
        return {"SummaryMap": {"AccountMFAEnabled": 1, "AccountAccessKeysPresent": 0}}

    def _list_account_aliases(self):
        return {"AccountAliases": self.aliases}

    def _get_account_password_policy(self):
        return {"PasswordPolicy": {"MinimumPasswordLength": 14, "RequireSymbols": True}}

    def _list_access_keys(self, UserName):  # noqa: N803
        return {"AccessKeyMetadata": self.keys.get(UserName, [])}

    def _get_access_key_last_used(self, AccessKeyId):  # noqa: N803
        used = self.last_used.get(AccessKeyId)
        if used == "gone":
            raise error("GetAccessKeyLastUsed", "NoSuchEntity", 404)
        return {"AccessKeyLastUsed": {"LastUsedDate": used} if used else {}}

    def _list_mfa_devices(self, UserName):  # noqa: N803
        serials = self.devices.get(UserName, [])
        return {"MFADevices": [{"SerialNumber": one, "EnableDate": CREATED} for one in serials]}

    def _get_login_profile(self, UserName):  # noqa: N803
        if UserName not in self.passwords:
            raise error("GetLoginProfile", "NoSuchEntity", 404)
        return {"LoginProfile": {"UserName": UserName}}

    def _generate_credential_report(self):
        return {"State": "STARTED" if self.report is None else "COMPLETE"}

    def _get_credential_report(self):
        if self.report is None:
            raise error("GetCredentialReport", "ReportInProgress", 404)
        return {"Content": self.report}

    def _get_policy(self, PolicyArn):  # noqa: N803
        if PolicyArn not in self.policies:
            raise error("GetPolicy", "NoSuchEntity", 404)
        found = self.policies[PolicyArn]
        return {"Policy": {k: v for k, v in found.items() if k != "PolicyVersionList"}}

    def _get_policy_version(self, PolicyArn, VersionId):  # noqa: N803
        versions = self.policies[PolicyArn]["PolicyVersionList"]
        return {"PolicyVersion": next(one for one in versions if one["VersionId"] == VersionId)}


_OPERATIONS = {
    "get_caller_identity": "GetCallerIdentity",
    "get_account_authorization_details": "GetAccountAuthorizationDetails",
    "list_roles": "ListRoles",
    "list_instance_profiles": "ListInstanceProfiles",
    "get_account_summary": "GetAccountSummary",
    "list_account_aliases": "ListAccountAliases",
    "get_account_password_policy": "GetAccountPasswordPolicy",
    "list_access_keys": "ListAccessKeys",
    "get_access_key_last_used": "GetAccessKeyLastUsed",
    "list_mfa_devices": "ListMFADevices",
    "get_login_profile": "GetLoginProfile",
    "generate_credential_report": "GenerateCredentialReport",
    "get_credential_report": "GetCredentialReport",
    "get_policy": "GetPolicy",
    "get_policy_version": "GetPolicyVersion",
}
