"""Installation: what a target needs before the broker can lease anything there, by the settings."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NamedTuple

from chalicelib.kernel.errors import ConfigError, UsageError
from chalicelib.settings import STS
from chalicelib.wiring import access

if TYPE_CHECKING:
    from chalicelib.wiring.services import Services


class Installed(NamedTuple):
    """``statements``: the SQL, in order. ``ran``: whether it was run, in one transaction.

    ``broker``: the role that issues and ends. ``password``: whether its password was set.
    """

    target: str
    broker: str
    statements: list[str]
    ran: bool
    password: bool


def install(services: Services, text: str, dsn_env: str, *, print_only: bool) -> Installed:
    """Install a target by its settings, or say what would be run.

    ``dsn_env``: the variable with the DSN of whoever installs: a superuser, or the master user of
    RDS. The broker is the user of its own DSN, and gets the password of that, where it has one.
    Raises: UsageError, ConfigError, NotFound; CouldNotTell.
    """
    target = access.find(services, text)
    if target.kind == STS:
        raise UsageError(f"{target.name} is an AWS role: nothing is installed in a database")
    from psycopg.conninfo import conninfo_to_dict  # noqa: PLC0415 - it loads the driver

    from chalicelib.postgres import install as installation  # noqa: PLC0415 - as above
    from chalicelib.postgres.connection import describe  # noqa: PLC0415

    section = access.section(services, services.settings.target(target.name))
    dsn = os.environ.get(dsn_env, "")
    if not dsn:
        raise ConfigError(
            f"the environment variable {dsn_env}, for the DSN of whoever installs, is not set",
            next_step=f"export {dsn_env}='postgresql://postgres@host/database'",
        )
    own = access.broker_dsn(services, services.settings.target(target.name))
    there, broker = describe(dsn), describe(own)
    if there["dbname"] != broker["dbname"]:
        raise UsageError(
            f"{dsn_env} leads to the database {there['dbname']!r}, and the broker's DSN to "
            f"{broker['dbname']!r}",
            next_step="both name the database of the target",
        )
    password = str(conninfo_to_dict(own).get("password") or "")
    wanted = installation.Wanted(
        schemas=section.schemas,
        profiles=dict(target.profiles),
        owners=tuple(section.owners),
        broker=broker["user"],
    )
    statements = installation.install(dsn, wanted, print_only=print_only, password=password)
    return Installed(
        target=target.name,
        broker=wanted.broker,
        statements=statements,
        ran=not print_only,
        password=bool(password) and not print_only,
    )
