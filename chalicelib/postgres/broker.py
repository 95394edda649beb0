"""A session of the broker's at a server: its own settings, its queries, what it ran.

The broker holds ADMIN on the groups and leases (16 on; before that CREATEROLE is enough) and is a
member of none of them. Where a statement needs the rights of one, it becomes a member for that
transaction: nobody else ever sees that membership.

Needs: CREATEROLE and what docs/targets/postgres-access.md says; never superuser.
"""

from __future__ import annotations

from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Any, Final

import psycopg
from psycopg import errors, sql
from psycopg.conninfo import make_conninfo
from psycopg.rows import dict_row

from chalicelib.access import issue
from chalicelib.access.plan import Step
from chalicelib.kernel.errors import (
    ConnectionLost,
    CouldNotTell,
    HoldfastError,
    NotPermitted,
    Unsupported,
)
from chalicelib.postgres.connection import connect, deadline, describe, translated
from chalicelib.postgres.plan import composed, query

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from chalicelib.postgres.connection import Row

LOCK_TIMEOUT_SECONDS: Final = 10
STATEMENT_TIMEOUT_SECONDS: Final = 120
SESSION_SECONDS: Final = 300  # of our own clock: a server that stalls keeps no time
AGAIN: Final = "it is tried again; who is in the way shows in pg_locks and pg_stat_activity"
PAGE: Final = "docs/targets/postgres-access.md"
MEMBERSHIP_OPTIONS: Final = 16  # GRANT … WITH INHERIT, SET; ADMIN OPTION is needed to grant
# The search path keeps what others made out of our queries. SET ROLE NONE undoes ALTER DATABASE …
# SET role, and the last two what it may say of transactions. All are set before any query of ours.
_PINS: Final = (
    "SET search_path TO pg_catalog, pg_temp",
    "SET ROLE NONE",
    "SET client_min_messages TO error",
    "SET default_transaction_read_only TO off",
    "SET default_transaction_isolation TO 'read committed'",
    "SET standard_conforming_strings TO on",
)
# Each with the first version that has it: whoever owns a database sets them for all its sessions,
# and a lease can be a member of its owner. Ours have bounds of our own.
TIME_LIMITS: Final = (("idle_session_timeout", 14), ("transaction_timeout", 17))


class Session:
    """One connection as the broker. Statements run in transactions of :meth:`transaction` alone.

    ``ran``: the steps that changed something, in order. ``server``: the columns of ``server.sql``.
    """

    def __init__(self, connection: psycopg.Connection[Row], where: dict[str, str]) -> None:
        self.connection = connection
        self.where = where
        self.ran: list[Step] = []
        self.major = connection.info.server_version // 10_000
        with self.doing("starting a session of the broker"):
            for name, since in TIME_LIMITS:
                if self.major >= since:
                    connection.execute("SELECT set_config(%s, '0', false)", (name,))
            for pin in _PINS:
                connection.execute(sql.SQL(pin))
            self.limit(LOCK_TIMEOUT_SECONDS)
            self.server = self.row("server")
        if self.server["in_recovery"]:
            raise Unsupported(
                "the server is a standby: roles are made and ended at the primary",
                next_step="name the primary in the target's DSN",
            )

    def limit(self, lock_seconds: float) -> None:
        """How long a statement of this session may wait for a lock, and take at all."""
        for name, seconds in (
            ("lock_timeout", lock_seconds),
            ("statement_timeout", STATEMENT_TIMEOUT_SECONDS),
            ("idle_in_transaction_session_timeout", SESSION_SECONDS),
        ):
            self.connection.execute(
                "SELECT set_config(%s, %s, false)", (name, f"{round(seconds * 1000)}ms")
            )

    @contextmanager
    def doing(self, what: str) -> Iterator[None]:
        """Errors of the driver, raised inside, leave as the kernel's."""
        try:
            yield
        except psycopg.Error as error:
            raise self._failure(error, what) from None

    def _failure(self, error: psycopg.Error, what: str) -> HoldfastError:
        try:
            with translated(self.where, what):
                raise error
        except NotPermitted as known:
            return NotPermitted(known.message, next_step=f"compare the broker with {PAGE}")
        except ConnectionLost as known:
            return ConnectionLost(known.message, next_step=AGAIN)
        except HoldfastError as known:
            return known

    @contextmanager
    def transaction(self, what: str) -> Iterator[None]:
        """One transaction, with the kernel's errors."""
        with self.doing(what), self.atomic():
            yield

    @contextmanager
    def atomic(self) -> Iterator[None]:
        """One transaction, or a part of one, with the driver's errors: to be tried again."""
        before = len(self.ran)
        try:
            with self.connection.transaction():
                yield
        except BaseException:
            del self.ran[before:]
            raise

    def rows(self, name: str, **parameters: object) -> list[dict[str, Any]]:
        """The rows of ``access/<name>.sql``."""
        with self.connection.cursor(row_factory=dict_row) as cursor:
            return cursor.execute(query(name), parameters or None).fetchall()

    def row(self, name: str, **parameters: object) -> dict[str, Any]:
        """Its one row. Raises: CouldNotTell, where there is none."""
        rows = self.rows(name, **parameters)
        if len(rows) != 1:
            raise CouldNotTell(f"the query {name} gave {len(rows)} rows, expected one")
        return rows[0]

    def role(self, name: str) -> dict[str, Any] | None:
        """The columns of ``role.sql``, or None where there is no such role."""
        rows = self.rows("role", role=name, marker=issue.MARKER)
        return rows[0] if rows else None

    def run(self, step: Step, secrets: Mapping[str, str] | None = None) -> None:
        """Run one step, and remember it without its secrets."""
        self.connection.execute(composed(step, secrets or {}))
        self.ran.append(step)

    @contextmanager
    def member_of(self, *roles: str) -> Iterator[None]:
        """A block within a transaction in which the broker has the rights of these roles too.

        Raises: NotPermitted, from 16 on, where the broker has no ADMIN OPTION on one of them.
        """
        joined = [one for one in dict.fromkeys(roles) if not self.has(one)]
        for one in joined:
            self.run(self._membership("GRANT", "TO", one, self.server["role"]))
        yield
        for one in reversed(joined):
            self.run(self._membership("REVOKE", "FROM", one, self.server["role"]))

    def join(self, role: str, to: str) -> None:
        """Make ``to`` a member that inherits, and may SET ROLE, until :meth:`leave`."""
        self.run(self._membership("GRANT", "TO", role, to))

    def leave(self, role: str, of: str) -> None:
        """Undo :meth:`join`."""
        self.run(self._membership("REVOKE", "FROM", role, of))

    def has(self, role: str) -> bool:
        """Whether the broker has the rights of a role without becoming a member."""
        found = self.connection.execute(
            "SELECT pg_has_role(oid, 'USAGE') FROM pg_roles WHERE rolname::text = %s", (role,)
        ).fetchone()
        return bool(found and found[0])

    def _membership(self, verb: str, word: str, role: str, of: str) -> Step:
        options = ""
        if verb == "GRANT" and self.major >= MEMBERSHIP_OPTIONS:
            options = " WITH INHERIT TRUE, SET TRUE"
        return Step(
            sql=f"{verb} {{group}} {word} {{role}}{options}",
            identifiers={"group": role, "role": of},
        )


@contextmanager
def opened(dsn: str, dbname: str = "", *, seconds: float = SESSION_SECONDS) -> Iterator[Session]:
    """A session at the DSN's database or another one of its cluster, in autocommit.

    ``seconds``: by our own clock, then the connection is cut.
    Raises: Unreachable, AuthenticationFailed, NotPermitted, ConnectionLost, Unsupported.
    """
    if dbname:
        dsn = make_conninfo(dsn, dbname=dbname)
    connection = connect(dsn)
    with closing(connection), deadline(connection, seconds):
        connection.autocommit = True
        yield Session(connection, describe(dsn))


def contended(error: BaseException) -> bool:
    """Whether another transaction was in the way, so that the same may work in a moment.

    A changed catalogue row has no SQLSTATE of its own. Source: heapam.c, simple_heap_update.
    """
    return isinstance(
        error,
        (
            errors.LockNotAvailable,
            errors.SerializationFailure,
            errors.DeadlockDetected,
            errors.UniqueViolation,
            errors.DuplicateObject,
        ),
    ) or (
        isinstance(error, errors.InternalError_)
        and "tuple concurrently" in (error.diag.message_primary or "")
    )
