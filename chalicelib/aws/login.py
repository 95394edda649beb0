"""Tokens of RDS in place of a lease's password, for databases that take them.

The lease's role is a member of ``rds_iam`` and has no password; who has the token logs in as it for
15 minutes after it was made, over TLS alone. What was begun goes on until the lease's end. Source:
Amazon RDS User Guide, "IAM database authentication". ``ACTIONS`` are what the signer needs, on the
database user: ``arn:aws:rds-db:REGION:ACCOUNT:dbuser:RESOURCE-ID/hf_*`` for every lease.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from chalicelib.aws.failures import translated
from chalicelib.kernel.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable

    from chalicelib.aws.secrets import TokenClient

ACTIONS: Final = ("rds-db:connect",)
_MAX_PORT: Final = 65_535


def tokens(client: TokenClient, region: str) -> Callable[[str, str, str], str]:
    """What makes a token for host, port and role, as ``postgres.lease.PostgresGrantor`` takes it.

    It is signed here, without the network, with the credentials of this process, and ends with
    them if they end sooner. It raises ConfigError, for what is no host's name and port: the host is
    part of what is signed, and has to be the server's own name. CouldNotTell, without credentials.
    """

    def token(host: str, port: str, role: str) -> str:
        if not host or host.startswith(("/", "@")) or "," in host:
            raise ConfigError(
                "a token of RDS is for one host by its name; the target's DSN names none, or more",
                next_step="address = 'HOST:PORT' in the target's [.access], RDS's own endpoint",
            )
        number = int(port) if port.isascii() and port.isdecimal() else 0
        if not 0 < number <= _MAX_PORT:
            raise ConfigError(f"a token of RDS is for one port; expected 1 to {_MAX_PORT}")
        with translated("sign a token of RDS"):
            return client.generate_db_auth_token(
                DBHostname=host, Port=number, DBUsername=role, Region=region
            )

    return token
