"""The table of causes of an AWS account's changes, for ``causes``. Source: IAM API Reference."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from chalicelib.drift.cause_row import iam

if TYPE_CHECKING:
    from chalicelib.drift.cause_row import Row

_PASSWORDS: Final = "UpdateAccountPasswordPolicy"

NAMES: Final[dict[str, str]] = {
    "iam_account": r"(?P<account>\S+)",
    "iam_password_policy": r"(?P<name>.+)",
    "iam_user": r"(?P<name>\S+)",
    "iam_group": r"(?P<name>\S+)",
    "iam_role": r"(?P<name>\S+)",
    "iam_instance_profile": r"(?P<name>\S+)",
    "iam_policy": r"(?P<name>\S+)",
    "aws_policy": r"(?P<name>arn:\S+)",  # iam_policy of AWS's own
    "iam_policy_version": r"(?P<name>\S+) (?P<version>\S+)",
    "iam_inline_policy": r"(?P<holder>role|user|group) (?P<name>\S+): (?P<policy>\S+)",
    "iam_attachment": r"(?P<holder>role|user|group) (?P<name>\S+) has (?P<policy>\S+)",
    "iam_membership": r"(?P<name>\S+) in (?P<group>\S+)",
    "iam_access_key": r"(?P<name>\S+) (?P<key>\S+)",
    "iam_mfa_device": r"(?P<name>\S+) (?P<serial>\S+)",
}

# What CloudTrail may file an event of the object under; a part of its name, or an attribute.
RESOURCES: Final[dict[str, tuple[str, ...]]] = {
    **dict.fromkeys(NAMES.keys() - {"iam_account", "iam_password_policy"}, ("name",)),
    "iam_access_key": ("key", "name"),
    "iam_mfa_device": ("serial", "name"),
}

ROWS: Final[dict[str, tuple[Row, ...]]] = {
    "iam_account": (
        iam("alias+", "CreateAccountAlias", "", "accountAlias"),
        iam("alias-", "DeleteAccountAlias"),
        iam("root_mfa+", "EnableMFADevice", root=True, most="object"),
        iam("root_mfa-", "DeactivateMFADevice", root=True, most="object"),
        iam("root_access_keys+", "CreateAccessKey", "userName==!", root=True),
        iam("root_access_keys-", "DeleteAccessKey", "userName==!", root=True),
    ),
    "iam_password_policy": (
        iam("minimum_length", _PASSWORDS, "", "minimumPasswordLength"),
        iam("max_age_days", _PASSWORDS, "", "maxPasswordAge"),
        iam("reuse_prevention", _PASSWORDS, "", "passwordReusePrevention"),
        iam("users_may_change", _PASSWORDS, "", "allowUsersToChangePassword"),
        iam("hard_expiry", _PASSWORDS, "", "hardExpiry"),
        iam("+ * !minimum_length !max_age_days !reuse_prevention !users_may_change !hard_expiry",
             _PASSWORDS),
        iam("-", "DeleteAccountPasswordPolicy"),
    ),
    "iam_user": (
        iam("+ created", "CreateUser", "userName=name"),
        iam("+", "UpdateUser", "newUserName=name"),
        iam("-", "DeleteUser", "userName=name"),
        iam("-", "UpdateUser", "userName=name newUserName==*"),
        iam("path", "UpdateUser", "userName=name", "newPath", must=True),
        iam("console+", "CreateLoginProfile", "userName=name"),
        iam("console-", "DeleteLoginProfile", "userName=name"),
        iam("boundary+", "PutUserPermissionsBoundary", "userName=name", "permissionsBoundary"),
        iam("boundary-", "DeleteUserPermissionsBoundary", "userName=name"),
        iam("tags", "TagUser", "userName=name", most="object"),
        iam("tags", "UntagUser", "userName=name", most="object"),
    ),
    "iam_group": (
        iam("+ created", "CreateGroup", "groupName=name"),
        iam("+", "UpdateGroup", "newGroupName=name"),
        iam("-", "DeleteGroup", "groupName=name"),
        iam("-", "UpdateGroup", "groupName=name newGroupName==*"),
        iam("path", "UpdateGroup", "groupName=name", "newPath", must=True),
    ),
    "iam_role": (
        iam("+ created", "CreateRole", "roleName=name"),
        iam("+ created", "CreateServiceLinkedRole", "^roleName=name"),
        iam("-", "DeleteRole", "roleName=name"),
        iam("-", "DeleteServiceLinkedRole", "roleName=name"),
        iam("trust", "UpdateAssumeRolePolicy", "roleName=name", "policyDocument"),
        iam("trust", "CreateRole", "roleName=name", "assumeRolePolicyDocument"),
        iam("path", "CreateRole", "roleName=name", "path", must=True),
        iam("comment", "UpdateRole", "roleName=name", "description", must=True),
        iam("comment", "UpdateRoleDescription", "roleName=name", "description"),
        iam("max_session_seconds", "UpdateRole", "roleName=name", "maxSessionDuration",
             must=True),
        iam("boundary+", "PutRolePermissionsBoundary", "roleName=name", "permissionsBoundary"),
        iam("boundary-", "DeleteRolePermissionsBoundary", "roleName=name"),
        iam("tags", "TagRole", "roleName=name", most="object"),
        iam("tags", "UntagRole", "roleName=name", most="object"),
    ),
    "iam_instance_profile": (
        iam("+", "CreateInstanceProfile", "instanceProfileName=name"),
        iam("-", "DeleteInstanceProfile", "instanceProfileName=name"),
        iam("path", "CreateInstanceProfile", "instanceProfileName=name", "path", must=True),
        iam("roles", "AddRoleToInstanceProfile", "instanceProfileName=name", most="object"),
        iam("roles", "RemoveRoleFromInstanceProfile", "instanceProfileName=name", most="object"),
    ),
    "iam_policy": (
        iam("+", "CreatePolicy", "policyName=name"),
        iam("-", "DeletePolicy", "policyArn=name"),
        iam("document", "CreatePolicyVersion", "policyArn=name setAsDefault==true",
             "policyDocument"),
        iam("document", "SetDefaultPolicyVersion", "policyArn=name",
             "versionId=default_version"),
        iam("document", "CreatePolicy", "policyName=name", "policyDocument"),
        iam("default_version", "CreatePolicyVersion", "policyArn=name setAsDefault==true",
             "^versionId"),
        iam("default_version", "SetDefaultPolicyVersion", "policyArn=name", "versionId"),
        iam("default_version path comment", "CreatePolicy", "policyName=name", most="object"),
    ),
    "aws_policy": (  # it is there while somebody uses it
        *(
            row
            for one in ("Role", "User", "Group")
            for row in (
                iam("+", f"Attach{one}Policy", "policyArn=name"),
                iam("-", f"Detach{one}Policy", "policyArn=name"),
            )
        ),
        *(
            row
            for one in ("Role", "User")
            for row in (
                iam("+", f"Put{one}PermissionsBoundary", "permissionsBoundary=name"),
                iam("-", f"Delete{one}PermissionsBoundary", most="kind"),
            )
        ),
    ),
    "iam_policy_version": (
        iam("+", "CreatePolicyVersion", "policyArn=name ^versionId=version", most="itself"),
        iam("-", "DeletePolicyVersion", "policyArn=name versionId=version"),
        iam("default+", "SetDefaultPolicyVersion", "policyArn=name versionId=version"),
        iam("default-", "SetDefaultPolicyVersion", "policyArn=name", most="object"),
        iam("default-", "CreatePolicyVersion", "policyArn=name setAsDefault==true",
             most="object"),
        iam("sha256 created", "CreatePolicy", "policyName=name", most="object"),
        iam("sha256 created", "CreatePolicyVersion", "policyArn=name ^versionId=version"),
    ),
    "iam_inline_policy": (
        iam("+ document", "Put{holder}Policy", "{key}Name=name policyName=policy",
             "policyDocument=document"),
        iam("-", "Delete{holder}Policy", "{key}Name=name policyName=policy"),
    ),
    "iam_attachment": (
        iam("+", "Attach{holder}Policy", "{key}Name=name policyArn=policy"),
        iam("-", "Detach{holder}Policy", "{key}Name=name policyArn=policy"),
    ),
    "iam_membership": (
        iam("+", "AddUserToGroup", "userName=name groupName=group"),
        iam("-", "RemoveUserFromGroup", "userName=name groupName=group"),
    ),
    "iam_access_key": (
        iam("+", "CreateAccessKey", "^accessKeyId=key", most="itself"),
        iam("-", "DeleteAccessKey", "accessKeyId=key", most="itself"),
        iam("status", "UpdateAccessKey", "accessKeyId=key", "status"),
    ),
    "iam_mfa_device": (
        iam("+", "EnableMFADevice", "serialNumber=serial"),
        iam("-", "DeactivateMFADevice", "serialNumber=serial"),
    ),
}  # fmt: skip
