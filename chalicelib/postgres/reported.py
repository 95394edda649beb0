"""What a server reports of its parameters, for whoever compares it with what was declared.

The same question and the same bounds as of a scan: asked before anything of ours is set, so that
nothing of ours hides a value. Needs: LOGIN, CONNECT, membership in pg_read_all_settings.
"""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING, Final

from psycopg import errors

from chalicelib.drift.parameter import Reported
from chalicelib.kernel.errors import NotPermitted
from chalicelib.postgres import parameters, queries
from chalicelib.postgres.connection import (
    CONNECT_TIMEOUT_SECONDS,
    connect,
    deadline,
    describe,
    translated,
)
from chalicelib.postgres.text import tolerate_bytes

if TYPE_CHECKING:
    from collections.abc import Mapping

READ_TIMEOUT_SECONDS: Final = 60.0  # of our own clock, as a scan gives one statement


def read(
    dsn: str,
    *,
    connect_timeout_seconds: int = CONNECT_TIMEOUT_SECONDS,
    read_timeout_seconds: float = READ_TIMEOUT_SECONDS,
) -> Mapping[str, Reported]:
    """Every parameter that the role sees, by its name: what a new session gets, and from where.

    Values may be secrets; they are compared and not kept. Raises: UsageError, Unreachable,
    AuthenticationFailed, NotPermitted, ConnectionLost, Unsupported.
    """
    where = describe(dsn)
    with closing(connect(dsn, timeout_seconds=connect_timeout_seconds)) as connection:
        statement = queries.load("settings", connection.info.server_version // 10_000)
        with (
            deadline(connection, read_timeout_seconds),
            translated(where, f"reading {statement.name}"),
        ):
            connection.read_only = True
            tolerate_bytes(connection)
            try:
                rows = connection.execute(statement.sql.encode()).fetchall()
            except errors.InsufficientPrivilege:
                raise NotPermitted(
                    "the role may not read pg_settings", next_step=f"grant it: {statement.needs}"
                ) from None
    found = (parameters.Parameter(*row) for row in rows)  # type: ignore[arg-type]
    return {row.name: _reported(row) for row in found}


def _reported(row: parameters.Parameter) -> Reported:
    return Reported(
        value=row.reset_val or "",
        unit=row.unit or "",
        source=row.source,
        pending_restart=row.pending_restart,
        kind=row.vartype,
        file=row.sourcefile or "",
    )
