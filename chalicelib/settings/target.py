"""Targets: whether one can be as its settings say, and what kinds there are."""

from __future__ import annotations

import ipaddress
import re
import urllib.parse
from typing import TYPE_CHECKING, Final

from chalicelib.kernel import names
from chalicelib.kernel.errors import ConfigError, UsageError
from chalicelib.settings import access

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from chalicelib.settings.schema import BrokerSection, TargetSection

POSTGRES: Final = "postgres"
IAM: Final = "iam"  # an AWS account: who may do what in it
RDS: Final = "rds"  # an instance or a cluster, as AWS has configured it
STS: Final = "sts"  # an AWS role that is leased, and not scanned
AWS_KINDS: Final = (IAM, RDS)  # that are read through AWS's API

RDS_IAM: Final = "rds-iam"  # of ``auth``: a token of RDS in place of a password
MAX_APPROVALS: Final = 10  # what is signed for names each of them; see drift.baseline

REGION: Final = re.compile(r"[a-z]{2,3}(-[a-z]{2,12}){1,3}-[0-9]{1,2}")
_ENVIRONMENT_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,127}")
_SECRET_NAME: Final = re.compile(r"[A-Za-z0-9/_+=.@:-]{1,2048}")
_ACCOUNT: Final = re.compile(r"[0-9]{12}")
_ROLE_ARN: Final = re.compile(r"arn:aws[a-z-]*:iam::[0-9]{12}:role/[A-Za-z0-9+=,.@_/-]{1,576}")
_LABEL = r"(?!-)[A-Za-z0-9-]{1,63}(?<!-)"
_ENDPOINT: Final = re.compile(
    rf"https?://(?=.{{1,300}}\Z)(?:{_LABEL}(?:\.{_LABEL})*|\[(?P<v6>[0-9A-Fa-f:.]{{2,45}})\])"
    r"(?::(?P<port>[0-9]{1,5}))?/?"
)
_MAX_PORT: Final = 65_535
# Source: RDS API reference, CreateDBInstance and CreateDBCluster: letters, digits and hyphens.
_RDS_NAME: Final = re.compile(r"[a-z](?:-?[a-z0-9])*")
_MAX_RDS_NAME: Final = 63
# A password in a URI's authority or query, or as a keyword; what this misses, libpq's parser finds.
_PASSWORD: Final = re.compile(
    r"://[^/@]*:[^/@]*@|(?:password|secret|passfile|_key)\s*=", re.IGNORECASE
)
_OF_AWS: Final = ("account", "instance", "cluster", "region", "role_arn", "endpoint")


def check_target(path: Path, slug: str, section: TargetSection) -> None:
    """Return if a target can be as it is written. Raises: ConfigError."""
    where = f"{path}: [targets.{slug}]"
    try:
        names.target(slug, kind=section.kind)
        people = {names.person(one) for one in section.approvers}
    except UsageError as error:
        raise ConfigError(f"{where}: {error.message}") from error
    if not 0 <= section.approvals <= MAX_APPROVALS:
        raise ConfigError(f"{where}: approvals is 0 to {MAX_APPROVALS}, found {section.approvals}")
    if section.env == "prod" and section.approvals == 0:
        raise ConfigError(f"{where}: a prod target needs at least one approval, found 0")
    if people and len(people) < section.approvals:
        raise ConfigError(
            f"{where}: {section.approvals} approvals cannot come from {len(people)} approvers"
        )
    if section.kind in AWS_KINDS:
        _check_aws(where, section)
        return
    given = [name for name in (*_OF_AWS, "database_target") if getattr(section, name)]
    if given or section.access_analyzer:
        raise ConfigError(
            f"{where}: {(*given, 'access_analyzer')[0]} is for targets of the kinds iam and rds"
        )
    if section.kind == STS:
        access.check_role(where, section)
    elif section.kind != POSTGRES:
        raise ConfigError(
            f"{where}: kind {section.kind!r}; expected one of postgres, {IAM}, {RDS} and {STS}"
        )
    else:
        check_way(where, section)
        if section.access is not None:
            check_way(f"{where[:-1]}.access]", section.access)


def check_databases(path: Path, targets: Mapping[str, TargetSection]) -> None:
    """Every ``database_target`` is a configured database. Raises: ConfigError."""
    for slug, one in targets.items():
        if not one.database_target:
            continue
        name = names.target(one.database_target)
        found = targets.get(name.slug)
        if name.kind != POSTGRES or found is None or found.kind != POSTGRES:
            raise ConfigError(
                f"{path}: [targets.{slug}]: database_target: there is no database {name}",
                next_step=f"holdfast target add {name.slug} --dsn-env VARIABLE",
            )


def check_way(where: str, section: TargetSection | BrokerSection) -> None:
    """How a target is reached: one way, and no password in the file. Raises: ConfigError."""
    ways = [name for name in ("dsn_env", "secret", "auth") if getattr(section, name)]
    if (
        len(ways) != 1
        or bool(section.dsn) < bool(section.auth)
        or (section.dsn_env and section.dsn)
    ):
        raise ConfigError(
            f"{where}: found {', '.join(ways) or 'no way to reach it'}; expected one of dsn_env, "
            "secret, and dsn with auth",
            next_step="docs/configuration.md, [targets.NAME]",
        )
    if section.dsn_env and not _ENVIRONMENT_NAME.fullmatch(section.dsn_env):
        raise ConfigError(
            f"{where}: dsn_env names an environment variable and is not the DSN itself",
            next_step="dsn_env = 'ORDERS_DSN', and the DSN in that variable",
        )
    if section.secret and not _SECRET_NAME.fullmatch(section.secret):
        raise ConfigError(f"{where}: secret is the name or ARN of a secret in Secrets Manager")
    if section.auth not in {"", RDS_IAM}:
        raise ConfigError(f"{where}: auth is {RDS_IAM!r}, or left out")
    if section.dsn and _PASSWORD.search(urllib.parse.unquote(section.dsn)):
        raise ConfigError(
            f"{where}: the dsn carries a password",
            next_step="put the whole DSN into Secrets Manager, and its name into secret",
        )


def _check_aws(where: str, section: TargetSection) -> None:
    """What is read through AWS's API: an account, or a database server. Raises: ConfigError."""
    ways = [name for name in ("dsn_env", "secret", "dsn", "auth") if getattr(section, name)]
    if ways or section.access is not None or section.masking is not None:
        raise ConfigError(
            f"{where}: a target of the kind {section.kind} is no database: it has no "
            f"{(*ways, 'access and no masking')[0]}"
        )
    if section.kind == IAM:
        _check_iam(where, section)
    else:
        _check_rds(where, section)
    if section.region and not REGION.fullmatch(section.region):
        raise ConfigError(f"{where}: region: expected one like eu-central-1")
    if section.role_arn and not _ROLE_ARN.fullmatch(section.role_arn):
        raise ConfigError(f"{where}: role_arn: expected arn:aws:iam::ACCOUNT:role/NAME")
    if section.endpoint and not is_endpoint(section.endpoint):
        raise ConfigError(f"{where}: endpoint: expected a URL of a host, with nothing behind it")


def is_endpoint(text: str) -> bool:
    """Whether it is the URL of a host, with a port or none, and nothing behind it."""
    found = _ENDPOINT.fullmatch(text)
    if found is None or int(found["port"] or 0) > _MAX_PORT:
        return False
    try:
        return found["v6"] is None or ipaddress.IPv6Address(found["v6"]).version > 0
    except ValueError:
        return False


def _check_iam(where: str, section: TargetSection) -> None:
    if not _ACCOUNT.fullmatch(section.account):
        raise ConfigError(f"{where}: account: expected the 12 digits of an AWS account")
    if section.instance or section.cluster or section.database_target:
        raise ConfigError(f"{where}: instance, cluster and database_target are for the kind rds")


def _check_rds(where: str, section: TargetSection) -> None:
    if bool(section.instance) == bool(section.cluster):
        raise ConfigError(f"{where}: expected one of instance and cluster")
    name = section.instance or section.cluster
    if not _RDS_NAME.fullmatch(name) or len(name) > _MAX_RDS_NAME:
        raise ConfigError(
            f"{where}: {name[:80]!r} names no instance and no cluster: expected lower-case "
            "letters, digits and single hyphens, a letter first"
        )
    if section.account and not _ACCOUNT.fullmatch(section.account):
        raise ConfigError(f"{where}: account: expected the 12 digits of an AWS account")
    if section.access_analyzer:
        raise ConfigError(f"{where}: access_analyzer is for targets of the kind iam")
    if section.database_target:
        try:
            names.target(section.database_target)
        except UsageError as error:
            raise ConfigError(f"{where}: database_target: {error.message}") from error
