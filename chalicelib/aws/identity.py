"""The person behind AWS credentials, as STS knows them.

Whoever may assume a role chooses the session's name, unless the role's trust policy or IAM Identity
Center sets it. Where people approve with assumed roles, the trust policy must hold the name to the
person, e.g. ``"StringEquals": {"sts:RoleSessionName": "${aws:username}"}``; else one person could
count as two. ``ACTIONS`` is empty: GetCallerIdentity needs no permission (Source: STS reference).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from chalicelib.aws.failures import translated
from chalicelib.kernel import names
from chalicelib.kernel.errors import UsageError

if TYPE_CHECKING:
    from mypy_boto3_sts import STSClient

ACTIONS: Final[tuple[str, ...]] = ()

MAX_ARN_CHARACTERS: Final = 2_048  # IAM and STS quotas, "Policy: maximum size of an ARN"

# Source: IAM User Guide, "IAM identifiers"; a session's name: STS, AssumeRole, RoleSessionName.
_FORMS: Final = tuple(
    re.compile(rf"arn:aws[a-z-]{{0,20}}:{form}")
    for form in (
        r"iam::[0-9]{12}:(?P<name>root)",
        r"iam::[0-9]{12}:user/(?:[!-.0-~]{1,510}/)*(?P<name>[\w+=,.@-]{1,64})",
        r"sts::[0-9]{12}:assumed-role/[\w+=,.@-]{1,64}/(?P<name>[\w+=,.@-]{2,64})",
    )
)


def caller(client: STSClient) -> str:
    """Who the credentials say one is, in the form in which people are counted.

    An assumed role's session name, an IAM user's name, or ``root``. Raises: UsageError, for
    federated users and whatever else does not name a person; CouldNotTell, when STS does not tell.
    """
    with translated("ask who the caller is"):
        arn = client.get_caller_identity()["Arn"]
    for form in _FORMS:
        found = form.fullmatch(arn, 0, MAX_ARN_CHARACTERS)
        if found:
            return names.person(found["name"])
    raise UsageError(
        f"the credentials do not name a person: {arn[:200]!r}; expected an IAM user, or an assumed "
        "role with a session name",
        next_step="sign in through IAM Identity Center, or say who acts with --as",
    )
