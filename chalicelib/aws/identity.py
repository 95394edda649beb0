"""The person behind AWS credentials, as STS knows them.

What an ARN says, and what it takes for a session's name to be a person, is in ``access.identity``.
``ACTIONS`` is empty: GetCallerIdentity needs no permission (Source: STS reference).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from chalicelib.access import identity
from chalicelib.aws.failures import translated
from chalicelib.kernel import names
from chalicelib.kernel.errors import UsageError

if TYPE_CHECKING:
    from mypy_boto3_sts import STSClient

ACTIONS: Final[tuple[str, ...]] = ()


def caller(client: STSClient) -> str:
    """Who the credentials say one is, in the form in which people are counted.

    An assumed role's session name, an IAM user's name, or ``root``. Raises: UsageError, for
    federated users and whatever else does not name a person; CouldNotTell, when STS does not tell.
    """
    with translated("ask who the caller is"):
        arn = client.get_caller_identity()["Arn"]
    found = identity.caller(arn)
    if found is not None:
        return names.person(found.name)
    raise UsageError(
        f"the credentials do not name a person: {arn[:200]!r}; expected an IAM user, or an assumed "
        "role with a session name",
        next_step="sign in through IAM Identity Center, or say who acts with --as",
    )
