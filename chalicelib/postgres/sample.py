"""Samples of a database's columns, in memory alone, for proposing what each of them holds.

What is read could be made by whoever owns the database, so nothing of theirs may run as us:

1. Of views and foreign tables nothing is read: their functions, and their servers, would be.
2. Columns are selected as they are and come as the server writes them: a cast to text can be a
   function. Read are types whose output is the server's own: of pg_catalog, enums, citext, arrays
   of these and domains over them; a CASE makes a domain its base type, so its checks do not run.
3. A table that becomes a view, or a foreign one, after it was looked at is an error, and so is a
   partition that does: restrict_nonsystem_relation_kind, which views are refused by before they are
   planned. A server without it (CVE-2024-7348 is open there) is judged by names and types.
4. No WHERE and no ORDER BY, no virtual column, and row security is an error and not a filter.
5. Every transaction is READ ONLY, every statement and wait for a lock has a bound, and so have the
   values, the tables and the whole.

Needs: CONNECT, USAGE on the schemas, SELECT on what shall be sampled. What may not be read is told
by its column's ``note``.
"""

from __future__ import annotations

import time
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Any, Final, NamedTuple, cast

import psycopg
from psycopg import errors
from psycopg.rows import dict_row

from chalicelib.access.suggestion.specimen import Column, Table
from chalicelib.kernel.errors import NotFound
from chalicelib.kernel.names import qualified
from chalicelib.postgres import maskable
from chalicelib.postgres.connection import connect, deadline, describe, translated
from chalicelib.postgres.plan import query
from chalicelib.postgres.sampling import (
    CURSOR,
    RESTRICTION,
    Fact,
    fact,
    restricted,
    statement,
    unread,
)
from chalicelib.postgres.text import tolerate_bytes

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Sequence

    from chalicelib.access.masking.column import Relation, Type
    from chalicelib.postgres.broker import Session
    from chalicelib.postgres.connection import Row

ROWS: Final = 200
MAX_VALUE_BYTES: Final = 65_536  # of its text: compressed, many are stored in few bytes
TABLE_BYTES: Final = 8 << 20  # of one table's values; then no more rows of it are read
TOTAL_BYTES: Final = 128 << 20  # of all values; then columns are judged by name and type
AT_ONCE: Final = 50  # columns of one statement: a row of all 1,600 can be large
FETCHED: Final = 10  # rows at a time
TOTAL_SECONDS: Final = 300
STATEMENT_SECONDS: Final = 15
LOCK_SECONDS: Final = 2
LARGE_PAGES: Final = 100  # from here on a sample of blocks, not the first rows: 800 kB
_BLOCKS: Final = 10  # that a sample is expected to be of, at least
_TIMES_ROWS: Final = 2  # rows that it is expected to have, for each that is wanted
_PINS: Final = (
    ("search_path", "pg_catalog, pg_temp"),
    ("role", "none"),
    ("row_security", "off"),
    ("default_transaction_read_only", "on"),
    ("standard_conforming_strings", "on"),
    ("DateStyle", "ISO, YMD"),
    ("TimeZone", "UTC"),
    ("IntervalStyle", "postgres"),
    ("extra_float_digits", "1"),
    ("bytea_output", "hex"),
    ("quote_all_identifiers", "off"),
    ("client_min_messages", "error"),
    ("jit", "off"),
    ("max_parallel_workers_per_gather", "0"),
    ("lock_timeout", f"{LOCK_SECONDS}s"),
    ("statement_timeout", f"{STATEMENT_SECONDS}s"),
    ("idle_in_transaction_session_timeout", "0"),
)
_PINS_SINCE: Final = (("idle_session_timeout", 14), ("transaction_timeout", 17))
_LOST: Final = frozenset({"08", "57"})  # connection exception, operator intervention
_KINDS: Final = {
    "v": "a view is not sampled: its functions would run as the one who samples",
    "f": "a foreign table is not sampled: its server would be asked",
}


class _Sample(NamedTuple):
    values: tuple[str, ...] = ()
    nulls: int = 0
    large: int = 0
    note: str = ""


class _StopError(Exception):
    """Nothing more of a table can be read now; the text says why."""


def read(
    dsn: str,
    schemas: Sequence[str],
    *,
    rows: int = ROWS,
    tables: Collection[tuple[str, str]] = (),
    seconds: float = TOTAL_SECONDS,
    monotonic: Callable[[], float] = time.monotonic,
) -> list[Table]:
    """The relations of some schemas, or those of them in ``tables``, with sampled values.

    ``rows``: of each table at most; 0 samples nothing. ``seconds``: for all tables; what is left
    then is told, and not sampled. Raises: NotFound, where a table is not there; TooLarge;
    Unreachable, AuthenticationFailed, NotPermitted, ConnectionLost, Unsupported.
    """
    connection = connect(dsn)
    with closing(connection), deadline(connection, seconds + STATEMENT_SECONDS + LOCK_SECONDS):
        reader = _Reader(connection, describe(dsn), rows, monotonic() + seconds, monotonic)
        return reader.tables(schemas, frozenset(tables))


class _Reader:
    """One session that reads; ``ends``: when it has to be over."""

    def __init__(
        self,
        connection: psycopg.Connection[Row],
        where: dict[str, str],
        rows: int,
        ends: float,
        monotonic: Callable[[], float],
    ) -> None:
        self._connection = connection
        self._where = where
        self._wanted = rows
        self._ends = ends
        self._monotonic = monotonic
        self._left = TOTAL_BYTES
        self._restricts = False
        self._major = connection.info.server_version // 10_000

    def tables(self, schemas: Sequence[str], only: frozenset[tuple[str, str]]) -> list[Table]:
        with translated(self._where, "starting to read"):
            self._connection.autocommit = True
            self._connection.read_only = True
            limits = [(name, "0") for name, since in _PINS_SINCE if self._major >= since]
            for name, value in (*limits, *_PINS):
                self._connection.execute(
                    "SELECT pg_catalog.set_config(%s, %s, false)", (name, value)
                )
            tolerate_bytes(self._connection)
            self._restricts = restricted(self._connection)
        with translated(self._where, "reading the columns"), self._connection.transaction():
            # maskable needs a session's rows() and nothing else of it
            found = maskable.relations(cast("Session", self), schemas, "")
            facts = {
                (one.pop("oid"), one.pop("column")): fact(one)
                for one in self.rows("sample_columns", schemas=list(schemas))
            }
            sizes = {
                one["oid"]: one for one in self.rows("sample_relations", schemas=list(schemas))
            }
        found = [
            one
            for one in found
            if not one.partition and (not only or (one.schema, one.name) in only)
        ]
        if missing := only - {(one.schema, one.name) for one in found}:
            raise NotFound(
                f"no table {qualified(*min(missing))} in the schemas {', '.join(schemas)}",
                next_step="name tables of the target's schemas; partitions are their root's",
            )
        return [self._table(one, facts, sizes.get(one.oid)) for one in found]

    def rows(self, name: str, **parameters: object) -> list[dict[str, Any]]:
        """The rows of ``access/<name>.sql``."""
        with self._connection.cursor(row_factory=dict_row) as cursor:
            return cursor.execute(query(name), parameters or None).fetchall()

    def _table(
        self, of: Relation, facts: dict[tuple[str, str], Fact], size: dict[str, Any] | None
    ) -> Table:
        known = {
            one.name: facts[of.oid, one.name] for one in of.columns if (of.oid, one.name) in facts
        }
        samples: dict[str, _Sample] = {}
        wanted: list[str] = []
        note = _KINDS.get(of.kind, "") or self._unsampled(size)
        if not note and self._wanted:
            for column in of.columns:
                reason = unread(column.type, known.get(column.name))
                samples[column.name] = _Sample(note=reason or "")
                if reason is None:
                    wanted.append(column.name)
            samples |= self._samples(of, wanted, known, size or {})
        return Table(
            schema=of.schema,
            name=of.name,
            kind=of.kind,
            note=note,
            columns=tuple(
                _column(one.name, one.type, known.get(one.name), samples.get(one.name, _Sample()))
                for one in of.columns
            ),
        )

    def _unsampled(self, size: dict[str, Any] | None) -> str:
        """Why nothing of a relation is sampled, or nothing."""
        if size is None:
            return "not sampled: it went away while it was read"
        if not self._restricts:
            return f"not sampled: the server has no {RESTRICTION}: its minor version is old"
        if size["filtered"]:
            return "not sampled: row security hides rows from the role that samples"
        if size["outside"]:
            return "not sampled: a partition is a foreign table"
        if size["empty"]:
            return "not sampled: it was never filled"
        return ""

    def _samples(
        self, of: Relation, names: list[str], known: dict[str, Fact], size: dict[str, Any]
    ) -> dict[str, _Sample]:
        """Samples by column. A column that cannot be read is told, and does not stop the others."""
        found: dict[str, _Sample] = {}
        for start in range(0, len(names), AT_ONCE):
            chunk = names[start : start + AT_ONCE]
            parts = [chunk]
            while parts:
                part = parts.pop(0)
                try:
                    found |= self._sampled(of, part, known, size)
                except _StopError as stop:
                    return found | {
                        one: _Sample(note=f"not sampled: {stop}")
                        for one in names
                        if one not in found
                    }
                except psycopg.Error as error:
                    if len(part) == 1:
                        found[part[0]] = _Sample(note=f"not sampled: {_reason(error)}")
                    else:
                        parts += [[one] for one in part]
        return found

    def _sampled(
        self, of: Relation, names: list[str], known: dict[str, Fact], size: dict[str, Any]
    ) -> dict[str, _Sample]:
        """One statement's samples; blocks at random of what is large, and the first rows else."""
        pages, rows = size["pages"], size["rows"]
        if rows > 0 and pages >= LARGE_PAGES:
            percent = 100 * max(_TIMES_ROWS * self._wanted / rows, _BLOCKS / pages)
        elif of.kind == "p" and rows > LARGE_PAGES * self._wanted:
            percent = 100 * _TIMES_ROWS * self._wanted / rows
        else:
            percent = 100.0
        if percent < 100:  # noqa: PLR2004 - all of it
            some = self._fetched(of, names, known, f"{percent:.6f}")
            if len(some) * _TIMES_ROWS >= self._wanted:
                return _by_column(names, known, some)
        return _by_column(names, known, self._fetched(of, names, known, ""))

    def _fetched(
        self, of: Relation, names: list[str], known: dict[str, Fact], percent: str
    ) -> list[list[str | None]]:
        """Rows of the columns, each of which that varies in size has a second one: too large."""
        if self._monotonic() > self._ends:
            raise _StopError("the time for all samples was over")
        if self._left <= 0:
            raise _StopError("the samples before had all the memory that is for them")
        text = statement(of, names, known, percent, self._wanted)
        with _bounded(self._where), self._connection.transaction():
            self._connection.execute(text)
            return self._rows_of_cursor()

    def _rows_of_cursor(self) -> list[list[str | None]]:
        found: list[list[str | None]] = []
        budget = min(TABLE_BYTES, self._left)
        while len(found) < self._wanted and budget > 0:
            # The result is read as it came: no loader is asked what a type's text means.
            result = self._connection.execute(f"FETCH {FETCHED} FROM {CURSOR}").pgresult
            if result is None or not result.ntuples:
                break
            for at in range(result.ntuples):
                row = [result.get_value(at, column) for column in range(result.nfields)]
                size = sum(len(one) for one in row if one is not None)
                budget -= size
                self._left -= size
                found.append([None if one is None else _text(one) for one in row])
        return found


@contextmanager
def _bounded(where: dict[str, str]) -> Iterator[None]:
    """A block out of which a limit comes as _StopError, and a lost connection as ConnectionLost."""
    try:
        yield
    except errors.QueryCanceled:
        raise _StopError(f"it took longer than {STATEMENT_SECONDS} seconds") from None
    except errors.LockNotAvailable:
        raise _StopError("another session has it locked") from None
    except psycopg.Error as error:
        if not error.sqlstate or error.sqlstate[:2] in _LOST:
            with translated(where, "sampling"):
                raise
        raise


def _column(name: str, of: Type, fact: Fact | None, sample: _Sample) -> Column:
    known = fact or Fact(
        "", varies=False, permitted=False, made=False, primary=False, unique=False, refers=None
    )
    return Column(
        name=name,
        type=of,
        primary=known.primary,
        unique=known.unique,
        made=known.made,
        refers=known.refers,
        generated=bool(known.generated),
        **sample._asdict(),
    )


def _by_column(
    names: list[str], known: dict[str, Fact], rows: list[list[str | None]]
) -> dict[str, _Sample]:
    found: dict[str, _Sample] = {}
    at = 0
    for name in names:
        values = tuple(one[at] for one in rows)
        at += 1
        large = 0
        if known[name].varies:
            large = sum(one[at] == "t" for one in rows)
            at += 1
        kept = tuple(one for one in values if one is not None)
        note = f"{large} of {len(rows)} values were too large to be sampled" if large else ""
        found[name] = _Sample(kept, len(values) - len(kept) - large, large, note)
    return found


def _reason(error: psycopg.Error) -> str:
    if isinstance(error, errors.InsufficientPrivilege):
        return "permission denied"
    if isinstance(error, errors.UndefinedTable | errors.UndefinedColumn):
        return "it went away while it was read"
    return f"the server answered SQLSTATE {error.sqlstate}"


def _text(data: bytes) -> str:
    """A value's text, bounded; bytes that are no UTF-8 are escaped."""
    return bytes(data[:MAX_VALUE_BYTES]).decode("utf-8", "backslashreplace")
