"""One consistent look at a database: the adapter behind ``drift.source.Source``.

1. Read pg_settings before anything of ours is set. 2. Pin what changes how the server prints.
3. Fingerprint the catalogues, read every kind, map transaction ids to times: one REPEATABLE READ,
READ ONLY transaction. 4. Fingerprint again under a new snapshot: definitions are printed with the
newest catalogue, so where it has changed in between, all of it is read again.

Needs: LOGIN, CONNECT, membership in pg_read_all_settings; see docs/targets/postgres.md.
Nothing is judged here.
"""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import psycopg
from psycopg import errors

from chalicelib.drift.snapshot import Key, Object, unreadable
from chalicelib.drift.source import Query, Reading
from chalicelib.kernel import clock
from chalicelib.kernel.errors import ConnectionLost, CouldNotTell, NotPermitted, Unsupported
from chalicelib.postgres import parameters, queries
from chalicelib.postgres.concealing import Concealer
from chalicelib.postgres.connection import (
    CONNECT_TIMEOUT_SECONDS,
    TIME_LIMITS,
    connect,
    deadline,
    describe,
    translated,
)
from chalicelib.postgres.text import tolerate_bytes

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping
    from datetime import datetime

    from chalicelib.postgres.connection import Row
    from chalicelib.postgres.queries import Item, Statement

ATTEMPTS: Final = 3  # readings of a schema that changes while it is read
STATEMENT_TIMEOUT_SECONDS: Final = 60
LOCK_TIMEOUT_SECONDS: Final = 5
SCAN_TIMEOUT_SECONDS: Final = 900  # of our own clock: a server that stalls keeps no time
_NEEDED: Final = frozenset({"pins", "identity"})

# What a definition's function raises when its object vanished under it. Source: Appendix A.
_TORN: Final = (
    errors.InternalError_,  # cache lookup failed, could not open relation with OID
    errors.UndefinedTable,
    errors.UndefinedObject,
    errors.UndefinedColumn,
    errors.UndefinedFunction,
    errors.InvalidSchemaName,
)


class _TornError(Exception):
    """The catalogue changed while it was read, or looks so; ``state`` is the SQLSTATE, if any."""

    def __init__(self, name: str, state: str = "") -> None:
        super().__init__(name)
        self.name = name
        self.state = state


class _DeniedError(Exception):
    """The role may not run the query ``name``."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name


class _CutShortError(Exception):
    """A time limit of the server's own ended the session before ours were set."""


class PostgresSource:
    """A PostgreSQL database as a target that can be read.

    ``conceal`` turns a secret into what may be stored in its place (a keyed hash shows change
    without the value). Nothing is connected before :meth:`read`. Raises: UsageError, where the
    DSN cannot be parsed.
    """

    def __init__(
        self,
        dsn: str,
        *,
        conceal: Callable[[str], str],
        connect_timeout_seconds: int = CONNECT_TIMEOUT_SECONDS,
        lock_timeout_seconds: float = LOCK_TIMEOUT_SECONDS,
        statement_timeout_seconds: float = STATEMENT_TIMEOUT_SECONDS,
        scan_timeout_seconds: float = SCAN_TIMEOUT_SECONDS,
    ) -> None:
        self._dsn = dsn
        self._scan_timeout_seconds = scan_timeout_seconds
        self.where = describe(dsn)
        self._conceal = Concealer(conceal)
        self._connect_timeout_seconds = connect_timeout_seconds
        self._pins = {
            "lock": f"{round(lock_timeout_seconds * 1000)}ms",
            "statement": f"{round(statement_timeout_seconds * 1000)}ms",
        }

    def read(self, progress: Callable[[str, int, int], None]) -> Reading:
        """Look once, again where the schema changed meanwhile (at most ATTEMPTS times in all).

        A catalogue that the role may not read costs a new start without it and is reported as a
        ``coverage`` object. Raises: Unreachable, AuthenticationFailed, NotPermitted,
        ConnectionLost, Unsupported.
        """
        denied: set[str] = set()
        torn = 0
        unbound = False
        while True:
            connection = connect(self._dsn, timeout_seconds=self._connect_timeout_seconds)
            with closing(connection):
                look = _Look(
                    connection,
                    self.where,
                    self._conceal,
                    self._pins,
                    frozenset(denied),
                    unbound=unbound,
                )
                try:
                    with deadline(connection, self._scan_timeout_seconds):
                        return look.read(progress)
                except _DeniedError as error:
                    denied.add(error.name)
                except _CutShortError:
                    unbound = True
                except _TornError as error:
                    torn += 1
                    if torn == ATTEMPTS:
                        raise _unstable(error) from None


def _unstable(error: _TornError) -> CouldNotTell:
    if error.state:
        return Unsupported(
            f"reading {error.name} failed {ATTEMPTS} times with SQLSTATE {error.state}",
            next_step="look into the server's log: an object in the catalogue may be damaged",
        )
    return ConnectionLost(
        f"the schema changed while it was being read, {ATTEMPTS} times in a row ({error.name})",
        next_step="scan again when migrations have ended",
    )


class _Identity(NamedTuple):
    """The columns of ``identity.sql``."""

    read_at: datetime
    role: str
    database: str
    server_version: str
    in_recovery: bool
    keeps_commit_times: bool
    sees_all_settings: bool
    sees_files: bool


class _Look:
    """One attempt on one fresh connection."""

    def __init__(
        self,
        connection: psycopg.Connection[Row],
        where: Mapping[str, str],
        conceal: Concealer,
        pins: Mapping[str, str],
        denied: frozenset[str],
        *,
        unbound: bool = False,
    ) -> None:
        self._connection = connection
        self._where = dict(where)
        self._conceal = conceal
        self._pins = pins
        self._denied = denied
        self._unbound = unbound
        self._pinned = False
        self._major = connection.info.server_version // 10_000
        self._queries: list[Query] = []
        self._texts: dict[str, str] = {}  # by their digests

    def read(self, progress: Callable[[str, int, int], None]) -> Reading:
        kinds = queries.kinds()
        total = len(kinds) + 1
        progress(parameters.KIND, 0, total)
        with translated(self._where, "starting to read"):
            if self._unbound:
                self._unbind()
            self._connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
            self._connection.read_only = True
            tolerate_bytes(self._connection)
        settings = [parameters.Parameter(*row) for row in self._rows("settings")]
        self._rows("pins", self._pins)
        self._pinned = True
        identity = self._identity()
        objects = self._settings(settings, identity)
        closed = [name for (name,) in self._rows("unreadable")]
        before = self._fingerprint(closed)
        items: list[Item] = []
        for done, name in enumerate(kinds, start=1):
            progress(name, done, total)
            items += self._kind(name)
        with translated(self._where, "ending the transaction"):
            self._connection.commit()
        if self._fingerprint(closed) != before:
            raise _TornError("the catalogue is not what it was at the start")
        times = self._commit_times(items) if identity.keeps_commit_times else {}
        progress(parameters.KIND, total, total)
        return Reading(
            objects=[*objects, *self._gaps(), *(item.object for item in items)],
            identity=f"database {identity.database}",
            system=self._system(identity),
            queries=self._queries,
            texts=self._texts,
            read_at=clock.timestamp(identity.read_at),
            committed=_latest(items, times),
            dropped=_dropped(items, times),
        )

    def _unbind(self) -> None:
        self._connection.autocommit = True
        for one in queries.load("unbound", self._major).sql.split(";"):
            self._connection.execute(one.encode())
        self._connection.autocommit = False

    def _identity(self) -> _Identity:
        return _Identity(*self._rows("identity")[0])

    def _settings(self, rows: list[parameters.Parameter], identity: _Identity) -> list[Object]:
        if not rows:  # denied; _gaps says so
            return []
        files: list[parameters.InFile] = []
        if (parameters.hidden(rows) or parameters.pending(rows)) and identity.sees_files:
            files = [parameters.InFile(*row) for row in self._rows("file_settings")]
        if self._unbound:  # ours now; a line in a file would not be the database's value
            files = [line for line in files if line.name not in TIME_LIMITS]
        return parameters.objects(rows, files, self._conceal, sees_all=identity.sees_all_settings)

    def _kind(self, name: str) -> list[Item]:
        statement = queries.load(name, self._major)
        if self._major < statement.since or name in self._denied:
            return []
        columns, rows = self._execute(statement)
        try:
            return queries.items(statement, columns, rows, self._conceal)
        except queries.IncompleteError:
            raise _TornError(name) from None

    def _gaps(self) -> list[Object]:
        """What the role may not read, one object for each kind."""
        asked = {name: queries.load(name, self._major) for name in (*queries.kinds(), "settings")}
        read = {one.kind for name, one in asked.items() if name not in self._denied}
        gaps: dict[str, Object] = {}
        for name in sorted(self._denied & asked.keys()):
            kind = asked[name].kind
            gaps[kind] = unreadable(
                kind,
                reason="permission denied for a catalogue",
                needs=asked[name].needs,
                partial=kind in read,
            )
        return list(gaps.values())

    def _fingerprint(self, closed: list[str]) -> list[Row]:
        return sorted(self._rows("fingerprint", unreadable=closed), key=repr)

    def _commit_times(self, items: list[Item]) -> dict[str, str]:
        xmins = sorted({xmin for item in items for xmin in (*item.xmins, *item.dropped)})
        try:
            rows = self._rows("commit_times", {"xmins": xmins})
        except Unsupported:  # a standby whose primary has only just begun to keep them
            return {}
        return {str(xmin): clock.timestamp(at) for xmin, at in rows if at is not None}

    def _system(self, identity: _Identity) -> dict[str, Any]:
        info = self._connection.info
        return {
            "host": info.host,
            "port": info.port,
            "system_identifier": "".join(str(one) for (one,) in self._rows("system")),
            "database": identity.database,
            "user": identity.role,
            "server_version": identity.server_version,
            "in_recovery": identity.in_recovery,
        }

    def _rows(
        self,
        name: str,
        values: Mapping[str, Any] | None = None,
        *,
        unreadable: Collection[str] = (),
    ) -> list[Any]:
        if name in self._denied:
            if name in _NEEDED:
                raise NotPermitted(
                    f"the role may not run the query {name!r}, without which nothing can be read",
                    next_step="compare the role with docs/targets/postgres.md",
                )
            return []
        return self._execute(queries.load(name, self._major, unreadable=unreadable), values)[1]

    def _execute(
        self, statement: Statement, values: Mapping[str, Any] | None = None
    ) -> tuple[list[str], list[Row]]:
        """Column names and rows. Raises: _DeniedError, _TornError, and what ``translated`` does."""
        with translated(self._where, f"reading {statement.name}"):
            try:
                cursor = self._connection.execute(statement.sql.encode(), values)
                rows = cursor.fetchall()
            except errors.InsufficientPrivilege:
                raise _DeniedError(statement.name) from None
            except psycopg.Error as error:
                # A limit that struck between two statements is often only seen as a closed line.
                ended = not error.sqlstate or error.sqlstate in TIME_LIMITS.values()
                if ended and not (self._pinned or self._unbound):
                    raise _CutShortError from None
                if isinstance(error, _TORN):
                    raise _TornError(statement.name, error.sqlstate or "") from None
                raise
        self._queries.append(Query(statement.name, statement.sha256, len(rows)))
        self._texts[statement.sha256] = statement.sql
        return [column.name for column in cursor.description or ()], rows


def _latest(items: Iterable[Item], times: Mapping[str, str]) -> dict[Key, str]:
    """When each object's newest row was committed, where that is known."""
    known = {
        item.object.key: [times[xmin] for xmin in item.xmins if xmin in times] for item in items
    }
    return {key: max(several) for key, several in known.items() if several}


def _dropped(items: Iterable[Item], times: Mapping[str, str]) -> dict[Key, list[str]]:
    known = {
        item.object.key: sorted(times[xmin] for xmin in item.dropped if xmin in times)
        for item in items
    }
    return {key: several for key, several in known.items() if several}
