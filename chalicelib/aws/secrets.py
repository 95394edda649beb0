"""Secrets of targets and of the installation, from Secrets Manager; and RDS's own tokens.

A target whose secret cannot be read or used is a target that cannot be read: AuthenticationFailed,
or StoreUnavailable where the service does not answer. Both are CouldNotTell, so that a scan records
``unknown``. No message, repr or traceback shows a secret, nor libpq's text, which may quote one.
``ACTIONS`` are the IAM actions this needs, on the secrets; ``rds-db:connect`` on the database user,
for a token.
"""

from __future__ import annotations

import re
import threading
from collections import OrderedDict
from typing import TYPE_CHECKING, Any, Final, Protocol

from chalicelib.aws.failures import translated
from chalicelib.kernel import canon
from chalicelib.kernel.errors import (
    AuthenticationFailed,
    ConfigError,
    KeyUnusable,
    Malformed,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from mypy_boto3_secretsmanager import SecretsManagerClient

ACTIONS: Final = ("secretsmanager:GetSecretValue", "rds-db:connect")

MAX_SECRET_BYTES: Final = 65_536  # Secrets Manager, "Quotas": a secret value
MIN_SEAL_CHARACTERS: Final = 32
MAX_AGE_SECONDS: Final = 300.0  # a rotated secret is used at the latest after that
MAX_KEPT: Final = 1_000  # secrets in memory
ENCRYPTED: Final = ("require", "verify-ca", "verify-full")  # libpq, "sslmode"

# What RDS writes into its secrets' JSON. Source: Secrets Manager, "JSON structure of secrets".
_ENGINES: Final = ("postgres", "postgresql", "aurora-postgresql")
_MAX_PORT: Final = 65_535
# Source: Secrets Manager, CreateSecret, Name; its ARNs end in the name and six more characters.
_NAME: Final = re.compile(
    r"(?:arn:aws[a-z-]{0,20}:secretsmanager:[a-z0-9-]{1,32}:[0-9]{12}:secret:)?"
    r"[A-Za-z0-9/_+=.@-]{1,519}"
)
_DSN_FORMS: Final = "expected postgresql://user@host:5432/database or host=… dbname=… user=…"


class TokenClient(Protocol):
    """What a botocore client of RDS can do without the network."""

    def generate_db_auth_token(
        self,
        *,
        DBHostname: str,  # noqa: N803 - botocore's spelling, here and below
        Port: int,  # noqa: N803
        DBUsername: str,  # noqa: N803
        Region: str,  # noqa: N803
    ) -> str:
        """A password for one user of one database, for 15 minutes."""
        ...


class Secrets:
    """Secrets by name or ARN, read again when they are ``max_age_seconds`` old.

    ``monotonic`` gives seconds that only grow. Safe to use from several threads.
    """

    def __init__(
        self,
        client: SecretsManagerClient,
        *,
        monotonic: Callable[[], float],
        max_age_seconds: float = MAX_AGE_SECONDS,
    ) -> None:
        self._client = client
        self._monotonic = monotonic
        self._max_age_seconds = max_age_seconds
        self._kept: OrderedDict[str, tuple[str, float]] = OrderedDict()
        self._lock = threading.Lock()

    def dsn(self, name: str, base: str = "") -> str:
        """The conninfo of a target: keywords and values, quoted as libpq wants them.

        The secret is a DSN, or RDS's JSON. Of ``base`` everything counts, but for user and password
        where the secret has them. Raises: AuthenticationFailed, for a secret that is not there, is
        not readable, or leads nowhere; ConfigError, for a base that cannot be parsed;
        StoreUnavailable, KeyUnusable: the service does not tell.
        """
        given = _parse(base) if base else {}
        if given is None:
            raise ConfigError("the DSN beside the secret cannot be parsed", next_step=_DSN_FORMS)
        secret = _read(self._text(name))
        if secret is None:
            raise _unusable(name, "is neither a DSN nor JSON as RDS writes it")
        if "host" in given or "hostaddr" in given:
            secret = {key: one for key, one in secret.items() if key not in {"host", "hostaddr"}}
        whole = secret | given
        whole |= {key: secret[key] for key in ("user", "password") if key in secret}
        for key, word in (("user", "user"), ("host", "host")):
            if not whole.get(key) and not (key == "host" and whole.get("hostaddr")):
                raise _unusable(name, f"names no {word}, and neither does the DSN beside it")
        made = _conninfo(whole)
        if made is None:
            raise _unusable(name, "has parts of which no DSN can be made")
        return made

    def seal(self, name: str) -> bytes:
        """The installation's HMAC secret. Raises: KeyUnusable; as :meth:`dsn`, the service's."""
        try:
            text = self._text(name)
        except AuthenticationFailed as error:
            raise KeyUnusable(error.message, next_step=error.next_step) from None
        if len(text) < MIN_SEAL_CHARACTERS:
            raise KeyUnusable(
                f"the secret {name!r} is too short to seal with; expected {MIN_SEAL_CHARACTERS} "
                "characters or more",
                next_step="give it the value of: openssl rand -hex 32",
            )
        return text.encode()

    def forget(self, name: str) -> None:
        """Read the secret anew the next time: the target has refused it, perhaps it was rotated."""
        with self._lock:
            self._kept.pop(name, None)

    def _text(self, name: str) -> str:
        now = self._monotonic()
        with self._lock:
            text, read_at = self._kept.get(name, ("", float("-inf")))
        if now - read_at < self._max_age_seconds:
            return text
        text = self._get(name)
        with self._lock:
            self._kept[name] = (text, now)
            self._kept.move_to_end(name)
            while len(self._kept) > MAX_KEPT:
                self._kept.popitem(last=False)
        return text

    def _get(self, name: str) -> str:
        if not _NAME.fullmatch(name):
            # What is no name may be the secret itself, and is not repeated.
            raise ConfigError(
                "not the name or ARN of a secret", next_step="name the secret in Secrets Manager"
            )
        errors = self._client.exceptions
        with translated(f"read the secret {name!r}", AuthenticationFailed):
            try:
                answer = self._client.get_secret_value(SecretId=name)
            except errors.ResourceNotFoundException:
                answer, reason = None, "is not there"
            except errors.InvalidRequestException:
                answer, reason = None, "is scheduled for deletion, or has no current value"
            except errors.DecryptionFailure:
                answer, reason = None, "cannot be decrypted with its key"
        if answer is None:
            raise _unusable(name, reason)
        text = answer.get("SecretString", "")
        if not text or len(text.encode()) > MAX_SECRET_BYTES or "\0" in text:
            raise _unusable(name, f"is no text of 1 to {MAX_SECRET_BYTES} bytes")
        return text


def rds_token(client: TokenClient, dsn: str, region: str) -> str:
    """The conninfo of ``dsn`` with an RDS IAM token for a password; for one connection.

    The token is signed here, without the network, and lets in for 15 minutes; it is not kept.
    Raises: ConfigError, where the DSN names no single host and user, or lets the connection be
    unencrypted: a token sent in the clear can be used by whoever reads it. CouldNotTell, when there
    are no credentials to sign with.
    """
    given = _parse(dsn)
    if given is None:
        raise ConfigError("the DSN for an RDS token cannot be parsed", next_step=_DSN_FORMS)
    host, user, port = given.get("host", ""), given.get("user", ""), given.get("port", "5432")
    if not user or not host or host.startswith(("/", "@")) or "," in host:
        raise ConfigError(
            "an RDS token needs a DSN with one host name and a user", next_step=_DSN_FORMS
        )
    if not port.isdecimal() or not 0 < int(port) <= _MAX_PORT:
        raise ConfigError(f"an RDS token needs one port; expected 1 to {_MAX_PORT}")
    if given.get("sslmode") not in ENCRYPTED:
        raise ConfigError(
            f"an RDS token is sent over TLS only; expected sslmode={' or '.join(ENCRYPTED)}",
            next_step="sslmode=verify-full sslrootcert=… with Amazon's certificate bundle",
        )
    with translated("sign an RDS token"):
        token = client.generate_db_auth_token(
            DBHostname=host, Port=int(port), DBUsername=user, Region=region
        )
    made = _conninfo(given | {"password": token})
    if made is None:
        raise ConfigError("the DSN for an RDS token cannot be used", next_step=_DSN_FORMS)
    return made


def _read(text: str) -> dict[str, str] | None:
    """The conninfo parameters of a secret, or None where it is of neither form."""
    if not text.lstrip().startswith("{"):
        return _parse(text)
    try:
        value = canon.parse(text.encode())
    except Malformed:
        return None
    return _of_rds(value)


def _of_rds(value: Mapping[str, Any]) -> dict[str, str] | None:
    """The parameters in RDS's JSON; of its other fields nothing is used."""
    port = value.get("port")
    if isinstance(port, int) and not isinstance(port, bool):
        port = str(port)
    databases = [value[key] for key in ("dbname", "database") if value.get(key) is not None]
    fields = {
        "user": value.get("username"),
        "password": value.get("password"),
        "host": value.get("host"),
        "port": port,
        "dbname": databases[0] if databases else None,
    }
    found: dict[str, Any] = {key: one for key, one in fields.items() if one is not None}
    if (
        not {"user", "password"} <= found.keys()
        or not all(isinstance(one, str) and one and "\0" not in one for one in found.values())
        or any(one != databases[0] for one in databases)
        or ("port" in found and not _is_port(found["port"]))
        or value.get("engine", "postgres") not in _ENGINES
    ):
        return None
    return found


def _is_port(text: str) -> bool:
    return text.isascii() and text.isdecimal() and 0 < int(text[:6]) <= _MAX_PORT


def _parse(dsn: str) -> dict[str, str] | None:
    """The parameters of a DSN, or None. Never libpq's own error: it quotes what it misread."""
    import psycopg  # noqa: PLC0415 - 60 ms that a function without targets does not need
    from psycopg.conninfo import conninfo_to_dict  # noqa: PLC0415

    if "\0" in dsn:
        return None  # libpq would read what stands before it
    try:
        return {key: str(one) for key, one in conninfo_to_dict(dsn).items() if one is not None}
    except (psycopg.Error, UnicodeError):
        return None


def _conninfo(parameters: Mapping[str, str]) -> str | None:
    import psycopg  # noqa: PLC0415 - as above
    from psycopg.conninfo import make_conninfo  # noqa: PLC0415

    try:
        return make_conninfo(**parameters)
    except (psycopg.Error, UnicodeError):
        return None


def _unusable(name: str, reason: str) -> AuthenticationFailed:
    return AuthenticationFailed(
        f"no credential: the secret {name!r} {reason}",
        next_step="look at it in Secrets Manager; expected a DSN, or JSON as RDS writes it",
    )
