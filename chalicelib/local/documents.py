"""Documents in SQLite: compare-and-set that is durable and safe between threads and processes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chalicelib.kernel.errors import Busy, Conflict
from chalicelib.kernel.store import Document, check_writes
from chalicelib.local.sqlite import BUSY_SECONDS, SqliteFile

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from chalicelib.kernel.store import Write

_PAGE = 500  # documents listed at a time

_SCHEMA = """
CREATE TABLE document (
    key TEXT NOT NULL PRIMARY KEY,
    version INTEGER NOT NULL CHECK (version >= 1),
    value BLOB NOT NULL
) STRICT, WITHOUT ROWID
"""


class SqliteDocuments(SqliteFile):
    """Implements ``kernel.store.Documents`` in the database at ``path``, created with mode 0600."""

    def __init__(self, path: Path, *, busy_seconds: float = BUSY_SECONDS) -> None:
        super().__init__(path, (_SCHEMA,), busy_seconds=busy_seconds)

    def get(self, key: str) -> Document | None:
        """The current value, or None. Raises: StoreUnavailable."""
        with self.session() as connection:
            row = connection.execute(
                "SELECT version, value FROM document WHERE key = ?", (key,)
            ).fetchone()
        return None if row is None else Document(*row)

    def swap(self, writes: Sequence[Write]) -> None:
        """All of the writes, durably, or none of them.

        Raises: Conflict; StoreUnavailable; ValueError, past the port's bounds.
        """
        check_writes(writes)
        with self.transaction() as connection:
            for write in writes:
                _replace(connection, write)

    def list(self, prefix: str) -> Iterator[tuple[str, Document]]:
        """Documents whose key starts with ``prefix``, ascending; each page as of one moment."""
        after, inclusive = prefix, True
        while True:
            comparison = ">=" if inclusive else ">"
            with self.session() as connection:
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

    def purge(self) -> None:
        """Leave nothing of the values that were replaced in the database's files.

        Replaced values are overwritten where they stood (``secure_delete``), and the write-ahead
        log, which has them too, is emptied. Not reached: what the file system freed, and copies.
        Raises: Busy, where another connection still reads an older state; StoreUnavailable.
        Source: sqlite.org/pragma.html#pragma_wal_checkpoint.
        """
        with self.session() as connection:
            busy, frames, moved = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        if busy or frames != moved:
            raise Busy(
                "the documents that were replaced are still in the database's write-ahead log, "
                "which another process reads",
                next_step="try again when it has ended",
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
