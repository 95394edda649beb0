"""Credentials for programs: as an environment, a password file, a URL.

What is made here is secret, and goes where the caller says: never into a message or an argument.
"""

from __future__ import annotations

import re
import shlex
import urllib.parse
from typing import TYPE_CHECKING, Final

from chalicelib.kernel.errors import Unsupported, UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from chalicelib.api.wishes import CredentialView

FORMATS: Final = ("env", "pgpass", "url", "json")
AWS: Final = "aws"
LOCAL_SOCKET: Final = "local socket"  # as ``postgres.connection.describe`` calls libpq's default
PASSWORD: Final = "PGPASSWORD"  # noqa: S105 - the variable's name
# Source: PostgreSQL, §34.15 "Environment Variables".
_VARIABLES: Final = {
    "host": "PGHOST",
    "port": "PGPORT",
    "dbname": "PGDATABASE",
    "user": "PGUSER",
    "sslmode": "PGSSLMODE",
}
_NAME: Final = re.compile(r"[A-Z_][A-Z0-9_]{0,63}")
# What would lead a program elsewhere, or let it in as somebody else. PGSERVICE wins over PGHOST.
_LIBPQ: Final = frozenset({*_VARIABLES.values(), PASSWORD} | {"PGPASSFILE", "PGHOSTADDR"}) | {
    "PGSERVICE",
    "PGSERVICEFILE",
}
# Source: AWS SDKs and Tools, "Understand credential provider chain".
_AWS: Final = frozenset(
    {
        "AWS_ACCESS_KEY_ID",
        "AWS_SECRET_ACCESS_KEY",
        "AWS_SESSION_TOKEN",
        "AWS_SECURITY_TOKEN",
        "AWS_PROFILE",
        "AWS_DEFAULT_PROFILE",
        "AWS_ROLE_ARN",
        "AWS_WEB_IDENTITY_TOKEN_FILE",
        "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
        "AWS_CONTAINER_CREDENTIALS_FULL_URI",
        "AWS_CONTAINER_AUTHORIZATION_TOKEN",
        "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
    }
)


def check_form(form: str, target: str) -> None:
    """Return if a target's credentials can be had so. Raises: UsageError, before one is claimed."""
    if form not in FORMATS:
        raise UsageError(f"no format {form[:40]!r}", next_step=f"one of {', '.join(FORMATS)}")
    if target.startswith("sts:") and form in {"pgpass", "url"}:
        raise UsageError(f"{target} is an AWS role: --format env or json")


def formed(found: CredentialView, form: str) -> str:
    """The credential as text, with a newline at its end; ``form`` is not ``json``."""
    match form:
        case "pgpass":
            return passfile(found)
        case "url":
            return url(found) + "\n"
    lines = {**environment(found)}
    if found.kind != AWS:
        lines[PASSWORD] = found.fields["password"]
    return "".join(f"export {name}={shlex.quote(value)}\n" for name, value in lines.items())


def environment(found: CredentialView) -> dict[str, str]:
    """The variables that lead a program to the target; for databases without the password.

    Raises: Unsupported, for a name that is no variable's.
    """
    if found.kind == AWS:
        if not all(_NAME.fullmatch(name) for name in found.fields):
            raise Unsupported("the credential names variables that cannot be set")
        return dict(found.fields)
    return {
        variable: found.fields[name]
        for name, variable in _VARIABLES.items()
        if found.fields.get(name) not in {None, "", LOCAL_SOCKET}
    }


def inherited(environ: Mapping[str, str], kind: str, without: frozenset[str]) -> dict[str, str]:
    """A program's own environment, but for what leads elsewhere and what is not the program's."""
    removed = (_AWS if kind == AWS else _LIBPQ) | without
    return {name: value for name, value in environ.items() if name not in removed}


def passfile(found: CredentialView) -> str:
    """Lines of a password file, one a host. Source: PostgreSQL, §34.16 "The Password File"."""
    fields = found.fields
    hosts = fields["host"].split(",")
    ports = fields["port"].split(",")
    ports = ports * len(hosts) if len(ports) == 1 else ports
    lines = []
    for host, port in zip(hosts, ports, strict=True):
        # libpq looks a socket in its default folder up as localhost, and any other by its folder.
        names = ["localhost"] if host in {"", LOCAL_SOCKET} else [host]
        names += ["localhost"] if host.startswith(("/", "@")) else []
        parts = (port or "*", fields["dbname"], fields["user"], fields["password"])
        lines += [":".join(map(_escaped, (name, *parts))) for name in names]
    return "".join(f"{line}\n" for line in lines)


def _escaped(part: str) -> str:
    return part if part == "*" else part.replace("\\", "\\\\").replace(":", "\\:")


def url(found: CredentialView) -> str:
    """A connection URI. Source: PostgreSQL, §34.1.1.2 "Connection URIs"."""
    quote = {one: urllib.parse.quote(value, safe="") for one, value in found.fields.items()}
    host, port, extra = found.fields["host"], found.fields["port"], []
    if host.startswith(("/", "@")) or "," in host or host == LOCAL_SOCKET:
        extra = [f"port={quote['port']}"]
        extra += [] if host == LOCAL_SOCKET else [f"host={quote['host']}"]
        place = ""
    else:
        place = f"[{host}]:{port}" if ":" in host else f"{quote['host']}:{port}"
    query = "&".join([*extra, f"sslmode={quote['sslmode']}"])
    return f"postgresql://{quote['user']}:{quote['password']}@{place}/{quote['dbname']}?{query}"
