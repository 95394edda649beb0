"""Preflight: what can be known before a deployment.

Reads and changes nothing. No secret is read, and no database is asked: whoever runs this is not
where the scan function is. ``ACTIONS`` are the IAM actions this needs.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final, NamedTuple
from urllib.parse import parse_qs, urlsplit

import msgspec

from chalicelib.aws import changes, packaging
from chalicelib.aws.checks import Check, Verdict, Wrong, asked, unanswered
from chalicelib.aws.failures import code, translated
from chalicelib.kernel.errors import CouldNotTell, HoldfastError, NotPermitted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    Clients = Callable[[str], Any]

ACTIONS: Final = (
    "cloudformation:DescribeStacks",
    "lambda:GetAccountSettings",
    "secretsmanager:DescribeSecret",
    "sts:GetCallerIdentity",
)

DEFAULTS: Final = {  # of infra's template, where nobody chose; a test compares them
    "DatabaseUsers": "",
    "OperatorRoleArns": "",
    "KeySpec": "ECC_NIST_EDWARDS25519",
    "ReserveConcurrency": "false",
    "RetentionDays": "400",
    "ScanConcurrency": "10",
    "SecretPrefix": "holdfast/",
}
# Key specs that a checkpoint can be signed with. NIST curves are in every region (Source: KMS,
# "Asymmetric keys in AWS KMS"); of Ed25519 KMS has no call that tells.
EVERYWHERE: Final = "ECC_NIST_P256"
KEY_SPECS: Final = (DEFAULTS["KeySpec"], EVERYWHERE)
OTHER_FUNCTIONS: Final = 6  # dispatch, overdue, packet, lease, grant, API: one each, beside scans
OTHERS_RESERVED: Final = 65  # what ReserveConcurrency keeps for them; a test adds it up
UNRESERVED: Final = 100  # what Lambda keeps back; Lambda quotas, "Reserved concurrency"

_STAGE: Final = re.compile(r"[a-z][a-z0-9-]{0,31}")
_SECRET_ARN: Final = re.compile(
    r"arn:aws[a-z-]*:secretsmanager:(?P<region>[a-z0-9-]+):\d{12}:secret:"
)
_MISSING: Final = "ResourceNotFoundException"
_BUNDLE: Final = f"sslrootcert={packaging.ROOT}/rds-global-bundle.pem"


class Watched(msgspec.Struct, frozen=True):
    """How a target is reached: the name or ARN of a secret, or a DSN for IAM authentication.

    Without either it is read by its DSN from the environment, on one machine and not on AWS.
    ``by_api``: it is no database, and read through AWS's API, as ``role_arn`` if it has one;
    ``account``: the one that it must be in, if the settings say so.
    """

    slug: str
    secret: str = ""
    dsn: str = ""
    by_api: bool = False
    account: str = ""
    role_arn: str = ""


class Identity(NamedTuple):
    """An ARN, and the account that it is in."""

    arn: str
    account: str

    def __str__(self) -> str:
        return f"{self.arn} in account {self.account}"


def project(folder: Path, stage: str, version: Sequence[int]) -> Iterator[Check]:
    """What deploying needs on this machine: the folder, Chalice, a Python that Lambda runs."""
    yield asked("project", lambda: _project(folder))
    yield asked("stage", lambda: _stage(folder, stage))
    yield asked("Chalice", packaging.packager)
    yield asked("Python", lambda: packaging.runtime(version))


def account(
    clients: Clients,
    *,
    stack: str,
    region: str,
    targets: Sequence[Watched],
    given: Mapping[str, str],
    opened: bool,
    vendor: Path | None = None,
) -> Iterator[Check]:
    """What deploying needs of the account: credentials, key, quotas, and the targets' secrets.

    ``given``: parameters of the template; the others are as ``stack`` has them, or the defaults.
    ``opened``: the log has its key, so that nobody has to sign its first record. ``vendor``: the
    folder whose files are shipped at the root of the zip.
    """
    try:
        who = identity(clients("sts"))
    except HoldfastError as error:
        yield unanswered("credentials", error)
        return  # every other answer would be the same
    yield Check("credentials", Verdict.OK, str(who))
    try:
        found = changes.stack(clients("cloudformation"), stack)
    except HoldfastError as error:
        yield unanswered("parameters", error)
        return
    chosen = {**DEFAULTS, **(found.parameters if found else {}), **given}
    if found is None or found.status == changes.SHELL:  # else the key is there
        yield asked("signing key", lambda: _key_spec(region, chosen["KeySpec"]))
    if not opened:
        yield asked("operator", lambda: _operator(who, chosen["OperatorRoleArns"]))
    yield asked("concurrency", lambda: _concurrency(clients("lambda"), chosen))
    for target in targets:
        yield asked(
            f"target {target.slug}",
            lambda: (
                _read_by_api(target, who.account)  # noqa: B023
                if target.by_api  # noqa: B023
                else _target(clients, target, region, chosen, vendor)  # noqa: B023
            ),
        )


def _project(folder: Path) -> str:
    packaging.check_project(folder)
    return f"in {folder}"


def _stage(folder: Path, stage: str) -> str:
    if not _STAGE.fullmatch(stage):
        raise Wrong(
            f"{stage[:40]!r} is no stage: lower-case letters, digits and '-', at most 32",
            "--stage prod",
        )
    packaging.check_stage(folder, stage)
    return stage


def identity(client: Any) -> Identity:
    """Whose credentials these are. ``client``: of STS. Raises: as failures.translated."""
    with translated("ask who the caller is", NotPermitted):
        found = client.get_caller_identity()
    return Identity(found["Arn"], found["Account"])


def _key_spec(region: str, spec: str) -> str:
    if spec not in KEY_SPECS:
        raise Wrong(f"{spec[:40]!r} cannot sign a log", f"--parameter KeySpec={EVERYWHERE}")
    if spec != EVERYWHERE:
        raise CouldNotTell(
            f"KMS has no call that tells whether {region} has {spec}",
            next_step=f"deploy; if the key cannot be created: --parameter KeySpec={EVERYWHERE}",
        )
    return f"{spec}, which every region has"


def _operator(who: Identity, roles: str) -> str:
    """The log is opened from here, and only the roles that the key's policy names may sign."""
    allowed = [one.strip() for one in roles.split(",") if one.strip()]
    kind, _, rest = who.arn.rpartition(":")[2].partition("/")
    # A session's ARN has the role's name without its path.
    role = rest.partition("/")[0] if kind == "assumed-role" else ""
    if who.arn in allowed or any(role and one.rpartition("/")[2] == role for one in allowed):
        return "may sign the log's first record"
    arn = f"arn:aws:iam::{who.account}:role/{role}" if role else who.arn
    raise Wrong(
        "the key's policy will not let these credentials sign the log's first record",
        f"--parameter OperatorRoleArns={arn}  # with the role's path, if it has one",
    )


def _concurrency(client: Any, chosen: Mapping[str, str]) -> str:
    with translated("read the account's Lambda quotas", NotPermitted):
        limit = client.get_account_settings()["AccountLimit"]
    reserves = chosen["ReserveConcurrency"] == "true"
    needed = int(chosen["ScanConcurrency"]) + (OTHERS_RESERVED if reserves else OTHER_FUNCTIONS)
    there = limit["UnreservedConcurrentExecutions"] - UNRESERVED * reserves
    if there < needed:
        raise Wrong(
            f"{max(there, 0)} executions at once are free in this account; {needed} are needed",
            "--parameter ScanConcurrency=2 --parameter ReserveConcurrency=false, or ask for more: "
            "aws service-quotas request-service-quota-increase --service-code lambda "
            "--quota-code L-B99A9384 --desired-value 1000",
        )
    return f"{there} executions at once are free, {needed} are needed"


def _target(
    clients: Clients,
    target: Watched,
    region: str,
    chosen: Mapping[str, str],
    vendor: Path | None,
) -> str:
    if target.secret:
        return _target_secret(clients("secretsmanager"), target.secret, region, chosen)
    if target.dsn:
        return _iam_login(target.dsn, chosen["DatabaseUsers"], vendor)
    raise Wrong(
        "neither a secret nor a DSN for IAM: its DSN comes from an environment variable",
        f'[targets.{target.slug}] secret = "holdfast/{target.slug}", in holdfast.toml',
    )


def _read_by_api(target: Watched, own: str) -> str:
    """Words for a target that AWS's API tells of, and that is in the account that it must be in."""
    there = target.role_arn.split(":")[4] if target.role_arn else own
    if target.account and target.account != there:
        named = f"its role_arn is of account {there}" if target.role_arn else f"this is {there}"
        raise Wrong(
            f"it is in account {target.account}, and {named}",
            f'[targets.{target.slug}] role_arn = "arn:aws:iam::{target.account}:role/NAME", '
            "in holdfast.toml (docs/targets/aws.md)",
        )
    if not target.role_arn:
        return f"in this account, {own}; the scan function itself reads it"
    return (
        f"read as {target.role_arn}; that its trust policy lets the scan function in, and its "
        "policy lets it read, is not looked at (docs/targets/aws.md)"
    )


def _target_secret(client: Any, secret: str, region: str, chosen: Mapping[str, str]) -> str:
    arn = _SECRET_ARN.match(secret)
    if arn and arn["region"] != region:
        raise Wrong(f"its secret is in {arn['region']}", f"replicate the secret to {region}")
    found = secret_there(client, secret)
    name = secret[arn.end() :] if arn else secret
    if not name.startswith(chosen["SecretPrefix"]):
        raise Wrong(
            f"the scan function may only read secrets named {chosen['SecretPrefix']}…",
            "rename the secret, or deploy with --parameter SecretPrefix=…",
        )
    return (
        f"{found}; not read, and the database is not asked from here: that its DSN has "
        "sslmode=verify-full, and an sslrootcert that is in the package, is not looked at "
        "(docs/deploy.md, TLS)"
    )


def secret_there(client: Any, secret: str) -> str:
    """Words for a secret that can be described, and is not read. Raises: Wrong; NotPermitted."""
    with translated(f"describe the secret {secret}", NotPermitted):
        try:
            found = client.describe_secret(SecretId=secret)
        except client.exceptions.ClientError as error:
            if code(error) != _MISSING:
                raise
            raise Wrong(
                f"there is no secret {secret}",
                f"aws secretsmanager create-secret --name {secret} --secret-string file://dsn.txt",
            ) from None
    if found.get("DeletedDate"):
        raise Wrong(
            f"the secret {secret} is scheduled for deletion",
            f"aws secretsmanager restore-secret --secret-id {secret}",
        )
    return f"secret {found['Name']} is there"


def _iam_login(dsn: str, users: str, vendor: Path | None) -> str:
    try:
        parts = urlsplit(dsn)
        user, host = parts.username, parts.hostname
    except ValueError:
        user = host = None
    if parts_missing := [n for n, v in (("user", user), ("host", host)) if not v]:
        raise Wrong(
            f"its DSN names no {' and no '.join(parts_missing)}",
            f'dsn = "postgresql://user@host/database?sslmode=verify-full&{_BUNDLE}"',
        )
    options = parse_qs(parts.query)
    if options.get("sslmode") != ["verify-full"]:
        raise Wrong(
            "an IAM token would go to a server that nobody verified",
            f"add ?sslmode=verify-full&{_BUNDLE}",
        )
    _root_certificate(options.get("sslrootcert", [""])[-1], vendor)
    if not any(one.strip().endswith(f"/{user}") for one in users.split(",")):
        raise Wrong(
            f"the scan function may not log in as {user}",
            "--parameter DatabaseUsers=arn:aws:rds-db:REGION:ACCOUNT:dbuser:RESOURCE/" + str(user),
        )
    return f"IAM login as {user} on {host}; the database itself is not asked from here"


def _root_certificate(path: str, vendor: Path | None) -> None:
    """Return if the functions have the certificates to verify a server against. Raises: Wrong."""
    bundle = "Amazon's certificate bundle into vendor/ (docs/deploy.md, TLS)"
    if not path:
        raise Wrong(
            "its DSN has sslmode=verify-full and no sslrootcert: the functions have no certificate "
            "to verify the server against",
            f"add &{_BUNDLE}, and {bundle}",
        )
    name = path.removeprefix(f"{packaging.ROOT}/")
    if vendor is not None and name != path and not (vendor / name).is_file():
        raise Wrong(f"its sslrootcert is {path}, and there is no vendor/{name}", f"put {bundle}")
