"""A session of a holder's that hears everything that a server sends, and keeps nothing there.

Statements go as one simple query in a transaction that is rolled back. What comes back is read at
the level of the protocol: rows, COPY data, every field of errors and notices, notifications.
"""

from __future__ import annotations

import select
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Final, Self

import psycopg
from psycopg import pq
from psycopg.conninfo import make_conninfo

from chalicelib.access.attack.judgement import Heard
from chalicelib.kernel.errors import CouldNotTell
from chalicelib.postgres.connection import connect

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import TracebackType

    from psycopg.pq.abc import PGresult

STATEMENT_SECONDS: Final = 5
LOCK_MILLISECONDS: Final = 500
MAX_HEARD: Final = 1_000_000  # characters of one answer; what comes after is not asked for
MAX_ROWS: Final = 2_000
_SOURCES: Final = frozenset(
    {
        pq.DiagnosticField.SOURCE_FILE,
        pq.DiagnosticField.SOURCE_LINE,
        pq.DiagnosticField.SOURCE_FUNCTION,
    }
)  # of the server's own code
_PINS: Final = (  # with numbers of this module alone
    f"SET statement_timeout = {STATEMENT_SECONDS * 1000}; SET lock_timeout = {LOCK_MILLISECONDS};"  # noqa: S608
    " SET idle_in_transaction_session_timeout = '60s'; SET client_min_messages = notice;"
    " SET search_path = pg_catalog; SET synchronize_seqscans = off; SET TimeZone = 'UTC';"
    " SET DateStyle = 'ISO, YMD'; SET IntervalStyle = 'postgres'; SET bytea_output = 'hex';"
    " SET extra_float_digits = 1; SELECT set_config(name, '0', false) FROM pg_settings"
    " WHERE name IN ('idle_session_timeout', 'transaction_timeout')"
)
_BEGIN: Final = "BEGIN READ WRITE; "


class Ear:
    """One session with a lease's credential. Usable as a context manager; opened when needed."""

    def __init__(self, fields: Mapping[str, str]) -> None:
        self._conninfo = make_conninfo(**fields)
        self._connection: psycopg.Connection[tuple[object, ...]] | None = None
        self._parts: list[str] = []
        self._size = 0
        self._was_cut = False
        self.notified: list[str] = []

    def __enter__(self) -> Self:
        self.open()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def open(self) -> None:
        """Connect, if there is no session. Raises: CouldNotTell."""
        if self._connection is None or self._pg.status != pq.ConnStatus.OK:
            self.close()
            self._connection = connect(self._conninfo)
            self._pg.notice_handler = self._notice
            heard = self._ask(_PINS)
            if heard.lost or heard.state:
                why = heard.lost or f"the server answered SQLSTATE {heard.state}"
                raise CouldNotTell(f"a session of the lease could not be set up: {why}")

    def close(self) -> None:
        """End the session."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    @property
    def major(self) -> int:
        """The server's major version."""
        return self._pg.server_version // 10_000

    @property
    def version(self) -> int:
        """The server's version as libpq has it, e.g. 150018."""
        return self._pg.server_version

    @property
    def _pg(self) -> pq.abc.PGconn:
        if self._connection is None:
            raise CouldNotTell("there is no session with the target")
        return self._connection.pgconn

    def say(self, text: str, *, begin: str = _BEGIN) -> Heard:
        """Everything that comes back of the statements, which are rolled back. Raises nothing."""
        try:
            self.open()
        except CouldNotTell as error:
            return Heard("", [], "", lost=error.message)
        heard = self._ask(begin + text)
        if not heard.lost:
            self._ask("ROLLBACK")
        return heard

    def keep(self, text: str) -> Heard:
        """The same without a transaction: for LISTEN, which is the session's alone."""
        return self.say(text, begin="")

    def wire(self) -> psycopg.Connection[tuple[object, ...]]:
        """The connection, for composing statements. Raises: CouldNotTell."""
        self.open()
        if self._connection is None:
            raise CouldNotTell("there is no session with the target")
        return self._connection

    def _ask(self, text: str) -> Heard:
        self._parts, self._size, self._was_cut = [], 0, False
        rows: list[list[str | None]] = []
        state = ""
        try:
            self._pg.send_query(text.encode("utf-8", "surrogateescape"))
            until = time.monotonic() + 3 * STATEMENT_SECONDS
            while True:
                result = self._result(until)
                if result is None:
                    break
                found, rows = self._take(result, rows, until)
                state = state or found
        except (psycopg.Error, OSError):
            self.close()
            why = "the session was lost, or took longer than its bound"
            return Heard(state, rows, "\n".join(self._parts), lost=why)
        lost = ""
        if self._pg.status != pq.ConnStatus.OK:
            self.close()
            lost = "the server ended the session"
        return Heard(state, rows, "\n".join(self._parts), lost=lost, cut=self._was_cut)

    def _cut(self) -> None:
        """Ask the server to stop, once there is more than is read."""
        if self._size >= MAX_HEARD and not self._was_cut:
            self._was_cut = True
            with suppress(psycopg.Error):
                self._pg.get_cancel().cancel()

    def _result(self, until: float) -> PGresult | None:
        while self._pg.is_busy():
            self._wait(until)
            self._cut()
        while (note := self._pg.notifies()) is not None:
            self.notified.append(note.relname.decode("utf-8", "replace"))
            self.notified.append(note.extra.decode("utf-8", "replace"))
        return self._pg.get_result()

    def _wait(self, until: float) -> None:
        left = until - time.monotonic()
        if left <= 0 or not select.select([self._pg.socket], [], [], left)[0]:
            raise psycopg.OperationalError("no answer in time")
        self._pg.consume_input()

    def _take(
        self, result: PGresult, rows: list[list[str | None]], until: float
    ) -> tuple[str, list[list[str | None]]]:
        """The SQLSTATE of an error, and the rows of a result that has some."""
        if result.status == pq.ExecStatus.FATAL_ERROR:
            self._notice(result)
            return _field(result, pq.DiagnosticField.SQLSTATE) or "XX000", rows
        if result.status == pq.ExecStatus.COPY_OUT:
            self._copy(until)
        elif result.status == pq.ExecStatus.COPY_IN:
            self._pg.put_copy_end(b"nothing to send")
        elif result.status == pq.ExecStatus.TUPLES_OK:
            return "", self._rows(result)
        return "", rows

    def _rows(self, result: PGresult) -> list[list[str | None]]:
        for column in range(result.nfields):
            self._hear((result.fname(column) or b"").decode("utf-8", "replace"))
        rows: list[list[str | None]] = []
        for at in range(min(result.ntuples, MAX_ROWS)):
            row: list[str | None] = []
            for column in range(result.nfields):
                value = result.get_value(at, column)
                row.append(None if value is None else value.decode("utf-8", "backslashreplace"))
                self._hear(row[-1] or "")
            rows.append(row)
        return rows

    def _copy(self, until: float) -> None:
        while True:
            size, data = self._pg.get_copy_data(1)
            if size == -1:
                return
            if size == 0:
                self._wait(until)
            else:
                self._hear(bytes(data).decode("utf-8", "backslashreplace"))
                self._cut()

    def _notice(self, result: PGresult) -> None:
        for field in pq.DiagnosticField:
            if field not in _SOURCES:
                self._hear(_field(result, field))

    def _hear(self, text: str) -> None:
        if self._size < MAX_HEARD:
            self._parts.append(text)
            self._size += len(text) + 1


def _field(result: PGresult, field: pq.DiagnosticField) -> str:
    return (result.error_field(field) or b"").decode("utf-8", "backslashreplace")
