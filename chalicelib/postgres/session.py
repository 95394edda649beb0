"""One session of a scan: catalogue queries on one connection, and what their failures mean.

Needs: what ``snapshot`` needs. Which queries are asked, and of which session, is not decided here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import psycopg
from psycopg import errors, sql

from chalicelib.drift.source import Query
from chalicelib.postgres import queries
from chalicelib.postgres.connection import TIME_LIMITS, translated
from chalicelib.postgres.text import tolerant, tolerate_bytes

if TYPE_CHECKING:
    from collections.abc import Mapping

    from chalicelib.postgres.connection import Row
    from chalicelib.postgres.queries import Statement

# What a definition's function raises when its object vanished under it. Source: Appendix A.
TORN: Final = (
    errors.InternalError_,  # cache lookup failed, could not open relation with OID
    errors.UndefinedTable,
    errors.UndefinedObject,
    errors.UndefinedColumn,
    errors.UndefinedFunction,
    errors.InvalidSchemaName,
)


class TornError(Exception):
    """The catalogue changed while it was read, or looks so; ``state`` is the SQLSTATE, if any."""

    def __init__(self, name: str, state: str = "") -> None:
        super().__init__(name)
        self.name = name
        self.state = state


class DeniedError(Exception):
    """The role may not run the query ``name``."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name


class CutShortError(Exception):
    """A time limit of the server's own ended the session before ours were set."""


class Asked:
    """What was asked in one look, by all of its sessions: ``texts`` are kept by their digests."""

    def __init__(self) -> None:
        self.queries: list[Query] = []
        self.texts: dict[str, str] = {}

    def add(self, statement: Statement, rows: int) -> None:
        """Note a query that was answered."""
        self.queries.append(Query(statement.name, statement.sha256, rows))
        self.texts[statement.sha256] = statement.sql


class Session:
    """A REPEATABLE READ, READ ONLY transaction after the other on one fresh connection.

    ``patient``: the server's time limits are lifted first, since they ended another attempt.
    """

    def __init__(
        self,
        connection: psycopg.Connection[Row],
        where: Mapping[str, str],
        asked: Asked,
        *,
        patient: bool = False,
    ) -> None:
        self.connection = connection
        self.major = connection.info.server_version // 10_000
        self.pinned = False
        self._where = dict(where)
        self._asked = asked
        self._patient = patient

    def begin(self, snapshot: str = "") -> None:
        """Prepare the session; with ``snapshot``, see what the one that exported it sees."""
        with translated(self._where, "starting to read"):
            if self._patient:
                self.connection.autocommit = True
                for one in queries.load("unbound", self.major).sql.split(";"):
                    self.connection.execute(one.encode())
                self.connection.autocommit = False
            self.connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
            self.connection.read_only = True
            if snapshot:
                self.connection.execute(
                    sql.SQL("SET TRANSACTION SNAPSHOT {}").format(sql.Literal(snapshot))
                )
            tolerate_bytes(self.connection)

    def pin(self, values: Mapping[str, str]) -> None:
        """Set what changes how the server prints, and what bounds the session."""
        self.rows("pins", values)
        self.pinned = True

    def commit(self) -> None:
        """End the transaction; the next query sees what has been committed since."""
        with translated(self._where, "ending the transaction"):
            self.connection.commit()

    def rows(self, name: str, values: Mapping[str, Any] | None = None) -> list[Any]:
        """The rows of a query by its file's name. Raises: as :meth:`run`."""
        return self.run(queries.load(name, self.major), values)[1]

    def run(
        self, statement: Statement, values: Mapping[str, Any] | None = None
    ) -> tuple[list[str], list[Row]]:
        """Column names and rows. Raises: DeniedError, TornError, and what ``translated`` does."""
        with translated(self._where, f"reading {statement.name}"):
            try:
                cursor = self.connection.execute(statement.sql.encode(), values)
                try:
                    rows = cursor.fetchall()
                except UnicodeDecodeError:
                    cursor = tolerant(self.connection).execute(statement.sql.encode(), values)
                    rows = cursor.fetchall()
            except errors.InsufficientPrivilege:
                raise DeniedError(statement.name) from None
            except psycopg.Error as error:
                # A limit that struck between two statements is often only seen as a closed line.
                ended = not error.sqlstate or error.sqlstate in TIME_LIMITS.values()
                if ended and not (self.pinned or self._patient):
                    raise CutShortError from None
                if isinstance(error, TORN):
                    raise TornError(statement.name, error.sqlstate or "") from None
                raise
        self._asked.add(statement, len(rows))
        return [column.name for column in cursor.description or ()], rows
