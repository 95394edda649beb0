"""Access: what ``[access]``, ``[profiles]``, ``[notify]`` and targets say of leases, checked."""

from __future__ import annotations

import difflib
import re
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from chalicelib.access import profile, state
from chalicelib.kernel import names
from chalicelib.kernel.errors import ConfigError, UsageError

if TYPE_CHECKING:
    from pathlib import Path

    from chalicelib.access.profile import Profile
    from chalicelib.settings.schema import BrokerSection, File, TargetSection, WebhookSection

LOGINS: Final = ("password", "rds-iam")
FORMATS: Final = ("json", "slack")
_NAME: Final = re.compile(r"[a-z][a-z0-9-]{0,39}")
_TAG: Final = re.compile(r"[a-z0-9][a-z0-9._-]{0,62}")
_ROLE_ARN: Final = re.compile(r"arn:aws[a-z-]{0,20}:iam::[0-9]{12}:role/[!-~]{1,512}", re.ASCII)
_AWS_ACTION: Final = re.compile(r"[a-z0-9-]{1,63}:[A-Za-z0-9*]{1,128}")
_ADDRESS: Final = re.compile(r"(\[[0-9a-fA-F:]{2,45}\]|[A-Za-z0-9._-]{1,253}):([0-9]{1,5})")
_ENVIRONMENT: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,127}")
_KIND: Final = re.compile(r"[a-z][a-z0-9_]*(\.[a-z0-9_]+)*")


def profiles(file: File) -> dict[str, Profile]:
    """Every profile by its name: those of the settings, in place of shipped ones."""
    return {**profile.SHIPPED, **file.profiles}


def check(path: Path, file: File) -> None:
    """Return if leases can be as they are written. Raises: ConfigError."""
    for name, one in file.profiles.items():
        if not _NAME.fullmatch(name):
            raise ConfigError(
                f"{path}: [profiles] {name[:80]!r}: a profile is called by 1 to 40 lower-case "
                "letters, digits and hyphens"
            )
        _check_profile(f"{path}: [profiles.{name}]", one)
    known = profiles(file)
    for slug, target in file.targets.items():
        check_masking(f"{path}: [targets.{slug}", target)
        if target.access is not None:
            if file.aws is not None and target.access.dsn_env:
                raise ConfigError(
                    f"{path}: [targets.{slug}.access] dsn_env: a function on AWS has no variable "
                    "of yours in its environment",
                    next_step="secret = NAME, or dsn = DSN with auth = 'rds-iam'",
                )
            _check_access(f"{path}: [targets.{slug}.access]", target.access, known)
    for webhook in file.notify.webhooks:
        _check_webhook(f"{path}: [[notify.webhooks]]", webhook)
    for name, arn, service in (
        ("sns_topic", file.notify.sns_topic, "sns"),
        ("event_bus", file.notify.event_bus, "events"),
    ):
        if arn and not re.fullmatch(rf"arn:aws[a-z-]*:{service}:[a-z0-9-]+:[0-9]{{12}}:\S+", arn):
            raise ConfigError(f"{path}: [notify] {name}: expected an ARN of {service}")
    if file.access.break_glass_seconds > file.access.max_lease_seconds:
        raise ConfigError(f"{path}: [access] break_glass_seconds is more than max_lease_seconds")


def check_role(where: str, section: TargetSection) -> None:
    """Return if a target that is an AWS role can be as it is written. Raises: ConfigError."""
    if any((section.dsn_env, section.secret, section.dsn, section.auth, section.approvers)):
        raise ConfigError(f"{where}: a target of the kind sts is no database, and has no DSN")
    if section.access is None or not _ROLE_ARN.fullmatch(section.access.role_arn):
        raise ConfigError(
            f"{where}: a target of the kind sts has [.access] role_arn, the role that leases assume"
        )


def _check_profile(where: str, one: Profile) -> None:
    wrong = sorted(set(one.privileges) - set(profile.PRIVILEGES))
    if wrong:
        raise ConfigError(
            f"{where} privileges: found {wrong[0][:40]!r}; expected some of "
            + ", ".join(profile.PRIVILEGES),
            next_step="what else it needs is a group role of the target: roles = [...]",
        )
    if one.tables not in {"required", "optional", "none"}:
        raise ConfigError(f"{where} tables: expected required, optional or none")
    if one.set_role and one.set_role not in one.roles:
        raise ConfigError(f"{where} set_role: {one.set_role[:63]!r} is not among its roles")
    if one.masked and (set(one.privileges) != {"SELECT"} or one.roles):
        raise ConfigError(
            f"{where}: masked is for reading alone: privileges = ['SELECT'], no roles"
        )
    if one.views and not (one.masked and profile.VIEWS.fullmatch(one.views)):
        raise ConfigError(
            f"{where} views: the name of a set of masking views, at most 20 lower-case letters, "
            "digits and '_', of a profile that is masked"
        )
    if one.log_statement not in {"", "none", "ddl", "mod", "all"}:
        raise ConfigError(f"{where} log_statement: expected none, ddl, mod or all")
    for action in one.actions:
        if not _AWS_ACTION.fullmatch(action):
            raise ConfigError(f"{where} actions: {action[:80]!r} is no action of AWS")
    for role in one.roles:
        _check_identifier(f"{where} roles", role)


def _check_access(where: str, one: BrokerSection, known: dict[str, Profile]) -> None:
    for name in one.profiles:
        if name not in known:
            raise ConfigError(
                f"{where} profiles: there is no profile {name[:80]!r}",
                next_step=f"one of {', '.join(sorted(known))}, or [profiles.{name[:40]}]",
            )
    for text, tags in one.tags.items():
        try:
            profile.table(text)
        except UsageError as error:
            raise ConfigError(f"{where} tags: {error.message}") from error
        if not all(_TAG.fullmatch(tag) for tag in tags):
            raise ConfigError(f"{where} tags of {text[:80]}: lower-case letters, digits, '._-'")
    for name in (*one.schemas, *one.owners):
        _check_identifier(where, name)
    found = _ADDRESS.fullmatch(one.address) if one.address else None
    if one.address and (found is None or not 0 < int(found[2]) < 2**16):
        raise ConfigError(f"{where} address: expected HOST:PORT")
    if one.login not in LOGINS:
        raise ConfigError(f"{where} login: expected one of {', '.join(LOGINS)}")


def check_masking(where: str, section: TargetSection) -> None:
    """Return if what is said of masking can be, but for the files. Raises: ConfigError."""
    one = section.masking
    if one is None:
        return
    if section.access is None:
        raise ConfigError(
            f"{where}.masking]: nothing is leased of this target, so nothing has to be masked",
            next_step=f"{where}.access]; docs/access.md",
        )
    if one.dsn_env and not _ENVIRONMENT.fullmatch(one.dsn_env):
        raise ConfigError(f"{where}.masking] dsn_env names an environment variable, not a DSN")


def _check_identifier(where: str, name: str) -> None:
    if not name or "\0" in name or len(name.encode()) > profile.MAX_IDENTIFIER_BYTES:
        raise ConfigError(f"{where}: {names.identifier(name[:80])} is no name of PostgreSQL")


def _check_webhook(where: str, one: WebhookSection) -> None:
    if sum(map(bool, (one.url, one.url_env, one.url_secret))) != 1:
        raise ConfigError(f"{where}: one of url, url_env and url_secret")
    parts = urlsplit(one.url)
    local = parts.hostname in {"127.0.0.1", "localhost", "::1"}
    if one.url and (
        parts.username
        or not parts.hostname
        or parts.scheme not in ({"https", "http"} if local else {"https"})
    ):
        raise ConfigError(f"{where} url: expected https://, without a user or a password")
    if bool(one.secret_env) == bool(one.secret):
        raise ConfigError(f"{where}: one of secret_env and secret, the key of the signature")
    for name in ("secret_env", "url_env"):
        value = getattr(one, name)
        if value and not _ENVIRONMENT.fullmatch(value):
            raise ConfigError(f"{where} {name} names an environment variable, not what is in it")
    if one.format not in FORMATS:
        raise ConfigError(f"{where} format: expected one of {', '.join(FORMATS)}")
    for kind in one.kinds:
        if not _KIND.fullmatch(kind):
            raise ConfigError(f"{where} kinds: {kind[:80]!r} is no kind of records")
        known = {*state.KINDS, *(told.partition(".")[0] for told in state.KINDS)}
        if kind not in known:
            near = difflib.get_close_matches(kind, sorted(known), 1)
            raise ConfigError(
                f"{where} kinds: {kind[:80]!r} is no kind of records that anybody is told of"
                + (f"; did you mean {near[0]!r}?" if near else ""),
                next_step=f"of {', '.join(sorted(known))}",
            )
