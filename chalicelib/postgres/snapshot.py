"""A PostgreSQL database as a target: the adapter behind ``drift.source.Source``.

It looks until a look (``look``) is one: where a catalogue is closed, without it; where the schema
changed meanwhile, again. Nothing is judged here.

Needs: LOGIN, CONNECT, membership in pg_read_all_settings; see docs/targets/postgres.md.
"""

from __future__ import annotations

from contextlib import ExitStack, closing
from typing import TYPE_CHECKING, Final

from chalicelib.kernel.errors import ConnectionLost, CouldNotTell, Unsupported
from chalicelib.postgres.concealing import Concealer
from chalicelib.postgres.connection import (
    CONNECT_TIMEOUT_SECONDS,
    connect,
    deadline,
    describe,
)
from chalicelib.postgres.look import LARGE_BYTES, Look
from chalicelib.postgres.session import CutShortError, DeniedError, TornError

if TYPE_CHECKING:
    from collections.abc import Callable

    import psycopg

    from chalicelib.drift.source import Known, Reading
    from chalicelib.postgres.connection import Row

ATTEMPTS: Final = 3  # readings of a schema that changes while it is read
STATEMENT_TIMEOUT_SECONDS: Final = 60
LOCK_TIMEOUT_SECONDS: Final = 5
SCAN_TIMEOUT_SECONDS: Final = 900  # of our own clock: a server that stalls keeps no time


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
        large_bytes: int = LARGE_BYTES,
    ) -> None:
        self._large_bytes = large_bytes
        self._dsn = dsn
        self._scan_timeout_seconds = scan_timeout_seconds
        self.where = describe(dsn)
        self._conceal = Concealer(conceal)
        self._connect_timeout_seconds = connect_timeout_seconds
        self._pins = {
            "lock": f"{round(lock_timeout_seconds * 1000)}ms",
            "statement": f"{round(statement_timeout_seconds * 1000)}ms",
        }

    def read(
        self, progress: Callable[[str, int, int], None], known: Known | None = None
    ) -> Reading:
        """Look once, again where the schema changed meanwhile (at most ATTEMPTS times in all).

        Where ``known`` has a mark that still holds, only what does not stand in catalogues is read.
        A catalogue that the role may not read costs a new start without it and is reported as a
        ``coverage`` object. Raises: Unreachable, AuthenticationFailed, NotPermitted,
        ConnectionLost, Unsupported.
        """
        denied: set[str] = set()
        torn = 0
        unbound = False
        while True:
            try:
                # What is caught below has passed the deadlines, which say so where they struck.
                with ExitStack() as sessions:
                    return self._look(sessions, frozenset(denied), unbound=unbound).read(
                        progress, known
                    )
            except DeniedError as error:
                denied.add(error.name)
            except CutShortError:
                unbound = True
            except TornError as error:
                torn += 1
                if torn == ATTEMPTS:
                    raise _unstable(error) from None

    def _look(self, sessions: ExitStack, denied: frozenset[str], *, unbound: bool) -> Look:
        return Look(
            lambda: self._open(sessions),
            self.where,
            self._conceal,
            self._pins,
            denied,
            unbound=unbound,
            large_bytes=self._large_bytes,
        )

    def _open(self, sessions: ExitStack) -> psycopg.Connection[Row]:
        """A new connection that ends with ``sessions``, or when a scan may take no longer."""
        connection = connect(self._dsn, timeout_seconds=self._connect_timeout_seconds)
        sessions.enter_context(closing(connection))
        sessions.enter_context(deadline(connection, self._scan_timeout_seconds))
        return connection


def _unstable(error: TornError) -> CouldNotTell:
    if error.state:
        return Unsupported(
            f"reading {error.name} failed {ATTEMPTS} times with SQLSTATE {error.state}",
            next_step="look into the server's log: an object in the catalogue may be damaged",
        )
    return ConnectionLost(
        f"the schema changed while it was being read, {ATTEMPTS} times in a row ({error.name})",
        next_step="scan again when migrations have ended",
    )
