"""A database file of SQLite: durable, its owner's alone, safe between threads and processes.

Write-ahead log, ``synchronous=FULL``: a committed transaction survives a power cut (Source:
sqlite.org/pragma.html#pragma_synchronous). The file must be on a local file system (Source:
sqlite.org/wal.html).
"""

from __future__ import annotations

import os
import secrets
import shutil
import sqlite3
import tempfile
import threading
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from chalicelib.kernel.errors import StoreUnavailable
from chalicelib.local import faults

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

BUSY_SECONDS = 30.0  # how long a statement waits for another process's transaction

_NEXT_STEPS = {
    sqlite3.SQLITE_FULL: "free space on the file system of {path}, then try again",
    sqlite3.SQLITE_READONLY: "give this user write access to {path} and its directory",
    sqlite3.SQLITE_CANTOPEN: "give this user read and write access to {path} and its directory",
    sqlite3.SQLITE_IOERR: "check the file system of {path}: it fails to read or write",
    sqlite3.SQLITE_BUSY: "another process holds it; end that process, or try again",
}
RESTORE = "keep {path} for inspection, and restore it from a copy"


class SqliteFile:
    """The database at ``path`` with exactly the tables of ``schema``, created with mode 0600.

    ``durable``: whether what was committed survives a power cut; a kill it survives in any case.
    ``remedy``: the next step where the file is damaged, with ``{path}`` for its place.
    """

    def __init__(
        self,
        path: Path,
        schema: Sequence[str],
        *,
        busy_seconds: float = BUSY_SECONDS,
        durable: bool = True,
        remedy: str = RESTORE,
    ) -> None:
        self._path = path
        self._schema = schema
        self._busy_seconds = busy_seconds
        self._remedy = remedy
        self._synchronous = "FULL" if durable else "OFF"
        self._lock = threading.RLock()
        self._connection: sqlite3.Connection | None = None
        self._pid = 0

    def close(self) -> None:
        """Close the database. It opens again when it is needed."""
        with self._lock:
            if self._connection is not None and self._pid == os.getpid():
                self._connection.close()
            self._connection = None

    @contextmanager
    def session(self) -> Iterator[sqlite3.Connection]:
        """The connection, for one thread at a time; SQLite's errors become StoreUnavailable."""
        with self._lock, faults.translated("cannot open", self._path):
            try:
                yield self._open()
            except sqlite3.Error as error:
                raise self._unavailable(error) from error

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """The connection in the one transaction that writes: all of it is kept, or nothing."""
        with self.session() as connection:
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
                connection.execute("COMMIT")
            except BaseException:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise

    def _open(self) -> sqlite3.Connection:
        if self._connection is not None and self._pid == os.getpid():
            return self._connection
        # A connection must not cross a fork (sqlite.org/howtocorrupt.html §2.6): the parent's is
        # dropped without closing it.
        if not self._path.exists():
            self._create()
        connection = self._read_only() or self._connect(self._path)
        try:
            self._check_schema(connection)
        except sqlite3.Error:
            connection.close()
            raise
        self._connection, self._pid = connection, os.getpid()
        return connection

    def _check_schema(self, connection: sqlite3.Connection) -> None:
        """A trigger or a view that somebody put there would decide what is read and written."""
        found = connection.execute("SELECT sql FROM sqlite_master WHERE sql IS NOT NULL").fetchall()
        if sorted(sql for (sql,) in found) != sorted(one.lstrip() for one in self._schema):
            own = "one table" if len(self._schema) == 1 else "own tables"
            raise StoreUnavailable(
                f"the database {self._path} holds other things than its {own}",
                next_step=self._remedy.format(path=self._path),
            )

    def _connect(self, path: Path) -> sqlite3.Connection:
        connection = sqlite3.connect(
            path, timeout=self._busy_seconds, isolation_level=None, check_same_thread=False
        )
        connection.execute(f"PRAGMA synchronous = {self._synchronous}")
        connection.execute("PRAGMA trusted_schema = OFF")
        # What is replaced is overwritten, so that purge() leaves no old value in a free corner.
        connection.execute("PRAGMA secure_delete = ON")
        return connection

    def _read_only(self) -> sqlite3.Connection | None:
        """A copy in memory where the file system is read-only; None elsewhere.

        SQLite reads a write-ahead log only where it can write beside it. Nobody else can write
        there either, so the copy is of one moment.
        """
        if not os.statvfs(self._path).f_flag & os.ST_RDONLY:
            return None
        memory = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
        with tempfile.TemporaryDirectory(prefix="holdfast-") as name:
            copy = Path(name) / self._path.name
            for suffix in ("", "-wal"):
                source = self._path.with_name(self._path.name + suffix)
                if source.exists():
                    shutil.copyfile(source, copy.with_name(copy.name + suffix))
            stored = self._connect(copy)
            try:
                stored.backup(memory)
            finally:
                stored.close()
        memory.execute("PRAGMA query_only = ON")
        return memory

    def _create(self) -> None:
        """Make the database whole under another name, then give it its own."""
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        made = self._path.with_name(f".{self._path.name}-{os.getpid()}-{secrets.token_hex(8)}")
        os.close(os.open(made, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600))
        try:
            connection = self._connect(made)
            try:
                connection.execute("PRAGMA journal_mode = WAL")
                for statement in self._schema:
                    connection.execute(statement)
            finally:
                connection.close()
            try:
                os.link(made, self._path)
            except FileExistsError:
                return
            directory = os.open(self._path.parent, os.O_RDONLY | os.O_DIRECTORY)
            try:
                os.fsync(directory)
            finally:
                os.close(directory)
        finally:
            made.unlink(missing_ok=True)

    def _unavailable(self, error: sqlite3.Error) -> StoreUnavailable:
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF  # the primary result code
        step = _NEXT_STEPS.get(code, self._remedy)
        return StoreUnavailable(
            f"the database {self._path} cannot be used: {error}",
            next_step=step.format(path=self._path),
        )
