"""Connections to PostgreSQL, and the one place where psycopg's errors become the kernel's.

No query of Holdfast's own is written here. Messages name host, port, database and user, never a
password, and never libpq's text: of a DSN that it misread, that text may quote a password.
"""

from __future__ import annotations

import os
import socket
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final, TypeAlias

import psycopg
from psycopg import pq
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from chalicelib.kernel.errors import (
    AuthenticationFailed,
    ConnectionLost,
    CouldNotTell,
    NotPermitted,
    Unreachable,
    Unsupported,
    UsageError,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

Row: TypeAlias = tuple[object, ...]

OLDEST_MAJOR: Final = 13  # the oldest server whose catalogues the queries know
CONNECT_TIMEOUT_SECONDS: Final = 10  # for each host of a DSN
# A peer that vanished is noticed after 30 + 3 x 10 seconds. Source: PostgreSQL, libpq-connect.
KEEPALIVE: Final = {
    "keepalives": 1,
    "keepalives_idle": 30,
    "keepalives_interval": 10,
    "keepalives_count": 3,
    "tcp_user_timeout": 60_000,
}
# What ends a session or statement that takes too long, and how it says so. Source: Appendix A.
TIME_LIMITS: Final = {
    "statement_timeout": "57014",
    "idle_in_transaction_session_timeout": "25P03",
    "transaction_timeout": "25P04",
    "idle_session_timeout": "57P05",
}
_DSN_FORMS: Final = "expected postgresql://user@host:5432/database or host=… dbname=… user=…"

# Before a session exists, libpq reports text only, no SQLSTATE; the texts are the server's (English
# unless lc_messages says otherwise) and libpq's own. Sources: auth.c, postinit.c, fe-connect.c.
_ROOTS: Final = "name a file of trusted roots in the DSN: sslrootcert=…"
_REFUSED: Final[tuple[tuple[str, type[CouldNotTell], str, str], ...]] = (
    (
        "root certificate file",
        Unreachable,
        "the file of trusted root certificates is not there, or cannot be read",
        _ROOTS,
    ),
    (
        "certificate verify failed",
        Unreachable,
        "the server's certificate is signed by none of the trusted roots",
        _ROOTS,
    ),
    (
        "does not match host name",
        Unreachable,
        "the server's certificate is for another host name",
        "name the host in the DSN as its certificate does",
    ),
    (
        "does not support SSL",
        Unreachable,
        "the DSN wants TLS, and the server has none",
        "set ssl = on at the server, or check that it is the right one",
    ),
    (
        "password authentication failed",
        AuthenticationFailed,
        "the password was refused",
        "check the password in the DSN, PGPASSWORD or ~/.pgpass",
    ),
    (
        "no password supplied",
        AuthenticationFailed,
        "the server wants a password and none was given",
        "put it into the DSN, PGPASSWORD or ~/.pgpass",
    ),
    (
        "pg_hba.conf",
        AuthenticationFailed,
        "pg_hba.conf has no entry that lets this user in from here",
        "add an entry to pg_hba.conf, or connect with the encryption that it asks for (sslmode)",
    ),
    (
        "not permitted to log in",
        AuthenticationFailed,
        "the role may not log in",
        "give it the attribute LOGIN, or name another role",
    ),
    (
        "authentication failed",
        AuthenticationFailed,
        "the server refused the credential",
        "check user and authentication method",
    ),
    (
        "permission denied for database",
        NotPermitted,
        "the role has no CONNECT privilege",
        "GRANT CONNECT on the database to it",
    ),
    (
        "starting up",
        Unreachable,
        "the server is starting or stopping",
        "try again in a moment",
    ),
    ("shutting down", Unreachable, "the server is starting or stopping", "try again in a moment"),
    ("recovery mode", Unreachable, "the server is starting or stopping", "try again in a moment"),
    ("too many", Unreachable, "all connections are taken", "raise the limit or try again later"),
    ("connection slots", Unreachable, "all connections are taken", "try again later"),
    ("refused", Unreachable, "nothing listens there", "check host, port, and that it runs"),
    ("No such file", Unreachable, "there is no such socket", "check host, port, and that it runs"),
    ("timeout", Unreachable, "no answer in time", "check host, port, and the network between"),
    ("timed out", Unreachable, "no answer in time", "check host, port, and the network between"),
    ("resolve", Unreachable, "the host's name is unknown", "check the host name and DNS"),
    ("translate host name", Unreachable, "the host's name is unknown", "check the name and DNS"),
)


def describe(dsn: str) -> dict[str, str]:
    """``host``, ``port``, ``dbname`` and ``user`` that a DSN leads to, as text; nothing secret.

    What the DSN leaves out comes from libpq's environment and defaults. Of several hosts, all are
    given, with commas. Raises: UsageError, without the DSN's text, when it cannot be parsed.
    """
    given = _parse(dsn)
    defaults = {
        option.keyword.decode(): option.val.decode()
        for option in pq.Conninfo.get_defaults()
        if option.val is not None
    }
    host = given.get("host") or given.get("hostaddr") or defaults.get("host") or "local socket"
    port = given.get("port") or defaults.get("port") or "5432"
    user = given.get("user") or defaults.get("user") or ""
    dbname = given.get("dbname") or defaults.get("dbname") or user
    # A password in the wrong place would be shown as a host, a database or a user.
    misread = (
        any(set(one) & set("@=; \t\n") for one in host.split(",") if not one.startswith("/"))
        or bool(set(given.get("dbname", "")) & set("@=:;"))
        or bool(set(user) & set(":;=/ \t\n"))
    )
    if misread or not all(one.isdigit() for one in port.split(",") if one):
        raise UsageError(
            "the DSN does not split into user, password, host and port",
            next_step="percent-encode the characters @ : / ? # in the password of a URI",
        )
    return {"host": host, "port": port, "dbname": dbname, "user": user}


def carries_password(dsn: str) -> bool:
    """Whether the password stands in the DSN itself. Raises: UsageError, as :func:`describe`."""
    return bool(_parse(dsn).get("password"))


def _parse(dsn: str) -> dict[str, str]:
    try:
        return {key: str(value) for key, value in conninfo_to_dict(dsn).items()}
    except (psycopg.Error, UnicodeError):
        pass
    # Raised outside the handler: libpq's text quotes the DSN, and would be kept as the context.
    raise UsageError("the DSN cannot be parsed", next_step=_DSN_FORMS)


def connect(dsn: str, *, timeout_seconds: int = CONNECT_TIMEOUT_SECONDS) -> psycopg.Connection[Row]:
    """A session as ``holdfast``, in UTF-8, with keepalives; not autocommit.

    ``timeout_seconds`` bounds each host's attempt. Needs: CONNECT on the database. Raises:
    UsageError, Unreachable, AuthenticationFailed, NotPermitted, Unsupported (older than 13).
    """
    where = describe(dsn)
    own = _parse(dsn).get("connect_timeout", "")
    if own.isdigit() and int(own) > 0:
        timeout_seconds = min(timeout_seconds, int(own))
    conninfo = make_conninfo(
        dsn,
        **KEEPALIVE,
        connect_timeout=timeout_seconds,
        application_name="holdfast",
        client_encoding="UTF8",
    )
    try:
        connection = psycopg.connect(conninfo, prepare_threshold=None)
    except psycopg.Error as error:
        raise _refusal(error, where) from None
    major = connection.info.server_version // 10_000
    if major < OLDEST_MAJOR:
        connection.close()
        raise Unsupported(
            f"{_at(where)} runs PostgreSQL {major}; expected {OLDEST_MAJOR} or newer",
            next_step="upgrade the server",
        )
    return connection


@contextmanager
def deadline(connection: psycopg.Connection[Row], seconds: float) -> Iterator[None]:
    """A block that ends the connection when it takes longer. Raises: ConnectionLost, then.

    The server's own timeouts bind an honest server; one that has stalled, or a network that lets
    keepalives through and nothing else, is bound by this.
    """
    expired = threading.Event()

    def cut() -> None:
        expired.set()
        with socket.socket(fileno=os.dup(connection.fileno())) as wire:
            wire.shutdown(socket.SHUT_RDWR)

    timer = threading.Timer(seconds, cut)
    timer.daemon = True
    timer.start()
    try:
        yield
    except Exception as error:  # whatever a connection that was cut looks like
        if expired.is_set():
            raise ConnectionLost(
                f"the target was not read within {seconds:g} seconds",
                next_step="look at the server and the network, or raise scan_timeout_seconds",
            ) from error
        raise
    finally:
        timer.cancel()


def _at(where: dict[str, str]) -> str:
    return (
        f"host {where['host']}, port {where['port']}, "
        f"database {where['dbname']!r}, user {where['user']!r}"
    )


def _refusal(error: psycopg.Error, where: dict[str, str]) -> CouldNotTell:
    """What a failed connection attempt means."""
    text = str(error)
    if "does not exist" in text and "database" in text:
        # A dropped database is no wrong question: a scheduled scan must say that it cannot tell.
        return Unreachable(
            f"cannot connect to {_at(where)}: there is no such database",
            next_step="check the database's name",
        )
    for sign, kind, reason, next_step in _REFUSED:
        if sign in text:
            return kind(f"cannot connect to {_at(where)}: {reason}", next_step=next_step)
    if "role" in text and "does not exist" in text:
        return AuthenticationFailed(
            f"cannot connect to {_at(where)}: there is no such role",
            next_step="create the scanning role, see docs/targets/postgres.md",
        )
    return Unreachable(
        f"cannot connect to {_at(where)}",
        next_step="check host, port, sslmode and the server's log",
    )


@contextmanager
def translated(where: dict[str, str], doing: str) -> Iterator[None]:
    """Errors of psycopg, raised inside, leave as the kernel's, by SQLSTATE.

    Source: PostgreSQL, Appendix A. Raises: NotPermitted, ConnectionLost, Unsupported.
    """
    try:
        yield
    except psycopg.Error as error:
        raise _failure(error, where, doing) from None


def _failure(error: psycopg.Error, where: dict[str, str], doing: str) -> CouldNotTell:
    state = error.sqlstate or ""
    at = f"while {doing} ({_at(where)})"
    if state == "42501":
        return NotPermitted(
            f"permission denied {at}",
            next_step="compare the role with docs/targets/postgres.md",
        )
    if state == "57014":
        return ConnectionLost(
            f"the statement took longer than its bound, statement_timeout, {at}",
            next_step="raise statement_timeout, or scan when the server is less busy",
        )
    for name, sign in TIME_LIMITS.items():
        if state == sign:
            return ConnectionLost(
                f"the server's {name} ended the session {at}",
                next_step=f"raise {name} for the database and for the scanning role",
            )
    if state == "55P03":
        return ConnectionLost(
            f"another session held a lock for longer than the bound {at}",
            next_step="scan again when its transaction has ended",
        )
    if not state or state[:2] in {"08", "53", "57", "58"}:
        return ConnectionLost(
            f"the server went away {at}" + (f": SQLSTATE {state}" if state else ""),
            next_step="check that it runs, then scan again",
        )
    return Unsupported(
        f"the server answered SQLSTATE {state} {at}",
        next_step="look into the server's log for the statement",
    )
