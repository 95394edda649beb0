"""Requests to an API behind API Gateway, signed with AWS credentials: Signature Version 4.

The credentials are those of ``aws.session``. What is signed is what is sent: the method, the URL,
the headers given here and the body. Source: IAM User Guide, "Create a signed AWS API request".
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.exceptions import NoCredentialsError

from chalicelib.aws import session
from chalicelib.aws.failures import translated
from chalicelib.kernel.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from botocore.credentials import Credentials

ACTIONS: Final = ("execute-api:Invoke",)  # of whoever calls the API; no function of ours does
SERVICE: Final = "execute-api"
_HOST: Final = re.compile(
    r"[a-z0-9-]+\.execute-api(?:-fips)?\.([a-z0-9-]+)\.amazonaws\.com(?:\.cn)?"
)


def region(host: str) -> str:
    """The region of an API, by its host's name; else the one that is configured.

    Raises: ConfigError, where neither says it.
    """
    found = _HOST.fullmatch(host.lower())
    name = found[1] if found else session.region()
    if not name:
        raise ConfigError(
            f"the region of {host[:200]} is not known, and a request is signed for one",
            next_step="AWS_REGION=… in the environment",
        )
    return name


class Signer:
    """Headers that authenticate a request in ``region``. ``credentials``: else the session's."""

    def __init__(self, region: str, credentials: Credentials | None = None) -> None:
        self._region = region
        self._credentials = credentials

    def __call__(
        self, method: str, url: str, fields: Mapping[str, str], body: bytes | None
    ) -> dict[str, str]:
        """Authorization and what belongs to it.

        Raises: CouldNotTell, where there are no credentials, or they cannot be had now.
        """
        with translated("sign a request"):
            found = self._credentials or session.credentials()
            if found is None:
                raise NoCredentialsError
            request = AWSRequest(method=method, url=url, headers=dict(fields), data=body or b"")
            SigV4Auth(found.get_frozen_credentials(), SERVICE, self._region).add_auth(request)
        added = {name: str(value) for name, value in request.headers.items()}
        return {name: value for name, value in added.items() if name not in fields}
