"""Documents in SQLite: compare-and-set that is durable and safe between threads and processes.

Write-ahead log, ``synchronous=FULL``: a committed swap survives a power cut (Source:
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

from chalicelib.kernel.errors import Conflict, StoreUnavailable
from chalicelib.kernel.store import Document
from chalicelib.local import faults

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from chalicelib.kernel.store import Write

MAX_VALUE_BYTES = 350_000  # kernel.store
MAX_WRITES = 100  # kernel.store
BUSY_SECONDS = 30.0  # how long a statement waits for another process's transaction
_PAGE = 500  # documents listed at a time

_SCHEMA = """
CREATE TABLE document (
    key TEXT NOT NULL PRIMARY KEY,
    version INTEGER NOT NULL CHECK (version >= 1),
    value BLOB NOT NULL
) STRICT, WITHOUT ROWID
"""

_NEXT_STEPS = {
    sqlite3.SQLITE_FULL: "free space on the file system of {path}, then try again",
    sqlite3.SQLITE_READONLY: "give this user write access to {path} and its directory",
    sqlite3.SQLITE_CANTOPEN: "give this user read and write access to {path} and its directory",
    sqlite3.SQLITE_IOERR: "check the file system of {path}: it fails to read or write",
    sqlite3.SQLITE_BUSY: "another process holds it; end that process, or try again",
    sqlite3.SQLITE_CORRUPT: "keep {path} for inspection, and restore it from a copy",
    sqlite3.SQLITE_NOTADB: "keep {path} for inspection, and restore it from a copy",
}


class SqliteDocuments:
    """Implements ``kernel.store.Documents`` in the database at ``path``, created with mode 0600."""

    def __init__(self, path: Path, *, busy_seconds: float = BUSY_SECONDS) -> None:
        self._path = path
        self._busy_seconds = busy_seconds
        self._lock = threading.RLock()
        self._connection: sqlite3.Connection | None = None
        self._pid = 0

    def get(self, key: str) -> Document | None:
        """The current value, or None. Raises: StoreUnavailable."""
        with self._session() as connection:
            row = connection.execute(
                "SELECT version, value FROM document WHERE key = ?", (key,)
            ).fetchone()
        return None if row is None else Document(*row)

    def swap(self, writes: Sequence[Write]) -> None:
        """All of the writes, durably, or none of them.

        Raises: Conflict; StoreUnavailable; ValueError, past the port's bounds.
        """
        if len(writes) > MAX_WRITES or len({write.key for write in writes}) != len(writes):
            raise ValueError(f"a swap writes at most {MAX_WRITES} documents, each once")
        if any(len(write.value) > MAX_VALUE_BYTES or write.expected < 0 for write in writes):
            raise ValueError(f"a document has at most {MAX_VALUE_BYTES} bytes and a version from 1")
        with self._session() as connection:
            connection.execute("BEGIN IMMEDIATE")
            try:
                for write in writes:
                    _replace(connection, write)
                connection.execute("COMMIT")
            except BaseException:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise

    def list(self, prefix: str) -> Iterator[tuple[str, Document]]:
        """Documents whose key starts with ``prefix``, ascending; each page as of one moment."""
        after, inclusive = prefix, True
        while True:
            comparison = ">=" if inclusive else ">"
            with self._session() as connection:
                rows = connection.execute(
                    f"SELECT key, version, value FROM document WHERE key {comparison} ? "  # noqa: S608 - one of two constants
                    "ORDER BY key LIMIT ?",
                    (after, _PAGE),
                ).fetchall()
            for key, version, value in rows:
                if not key.startswith(prefix):
                    return
                yield key, Document(version, value)
            if len(rows) < _PAGE:
                return
            after, inclusive = rows[-1][0], False

    def close(self) -> None:
        """Close the database. It opens again when it is needed."""
        with self._lock:
            if self._connection is not None and self._pid == os.getpid():
                self._connection.close()
            self._connection = None

    @contextmanager
    def _session(self) -> Iterator[sqlite3.Connection]:
        """The connection, for one thread at a time; SQLite's errors become StoreUnavailable."""
        with self._lock, faults.translated("cannot open", self._path):
            try:
                yield self._open()
            except sqlite3.Error as error:
                raise self._unavailable(error) from error

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
        found = connection.execute("SELECT type, name, sql FROM sqlite_master").fetchall()
        if found != [("table", "document", _SCHEMA.lstrip())]:
            raise StoreUnavailable(
                f"the database {self._path} holds other things than its one table",
                next_step=f"keep {self._path} for inspection, and restore it from a copy",
            )

    def _connect(self, path: Path) -> sqlite3.Connection:
        connection = sqlite3.connect(
            path, timeout=self._busy_seconds, isolation_level=None, check_same_thread=False
        )
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA trusted_schema = OFF")
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
                connection.execute(_SCHEMA)
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
        step = _NEXT_STEPS.get(code, "keep {path} for inspection, and restore it from a copy")
        return StoreUnavailable(
            f"the database {self._path} cannot be used: {error}",
            next_step=step.format(path=self._path),
        )


def _replace(connection: sqlite3.Connection, write: Write) -> None:
    """One write, if the version is the expected one. Raises: Conflict."""
    if write.expected:
        changed = connection.execute(
            "UPDATE document SET version = version + 1, value = ? WHERE key = ? AND version = ?",
            (write.value, write.key, write.expected),
        ).rowcount
    else:
        changed = connection.execute(
            "INSERT INTO document (key, version, value) VALUES (?, 1, ?) ON CONFLICT DO NOTHING",
            (write.key, write.value),
        ).rowcount
    if changed != 1:
        raise Conflict(f"{write.key} is no longer at version {write.expected}")
