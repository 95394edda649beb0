"""Documents that pass away, in SQLite: durable, safe between threads and processes.

What has ended is removed by later writes, a bounded number each.
"""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Final

from chalicelib.kernel import passing
from chalicelib.kernel.errors import Conflict
from chalicelib.kernel.store import Document
from chalicelib.local.sqlite import BUSY_SECONDS, SqliteFile

if TYPE_CHECKING:
    from pathlib import Path

    from chalicelib.kernel.clock import Clock

REMOVED: Final = 100  # at most so many that have ended go with one write
# The write-ahead log goes along: beside a new database SQLite would take it for that one's.
_REMEDY: Final = (
    "move it and its -wal and -shm away: mv {path}* ELSEWHERE; it is no evidence, and a new one is "
    "made; what was asked for and had no answer yet has to be asked for again"
)

_SCHEMA: Final = (
    """
CREATE TABLE passing (
    key TEXT NOT NULL PRIMARY KEY,
    version INTEGER NOT NULL CHECK (version >= 1),
    gone_at INTEGER NOT NULL,
    value BLOB NOT NULL
) STRICT
""",
    """
CREATE INDEX passing_gone_at ON passing (gone_at)
""",
)
_REMOVE = """
DELETE FROM passing WHERE rowid IN (
    SELECT rowid FROM passing WHERE gone_at <= ? ORDER BY gone_at LIMIT ?
)
"""
_PUT = """
INSERT INTO passing (key, version, gone_at, value) VALUES (?, ?, ?, ?)
ON CONFLICT (key) DO UPDATE SET
    version = excluded.version, gone_at = excluded.gone_at, value = excluded.value
"""
_LIST = """
SELECT key, version, value FROM passing
WHERE key >= ? AND key > ? AND gone_at > ? ORDER BY key LIMIT ?
"""


class SqlitePassing(SqliteFile):
    """Implements ``kernel.passing.Passing`` in the database at ``path``, created with mode 0600."""

    def __init__(
        self,
        path: Path,
        clock: Clock,
        *,
        busy_seconds: float = BUSY_SECONDS,
        durable: bool = True,
    ) -> None:
        super().__init__(path, _SCHEMA, busy_seconds=busy_seconds, durable=durable, remedy=_REMEDY)
        self._clock = clock

    def get(self, key: str) -> Document | None:
        """The document, or None: there is none, or it has ended. Raises: StoreUnavailable."""
        if not passing.is_key(key):
            return None
        with self.session() as connection:
            row = connection.execute(
                "SELECT version, value FROM passing WHERE key = ? AND gone_at > ?",
                (key, self._second()),
            ).fetchone()
        return None if row is None else Document(*row)

    def swap(self, key: str, expected: int, value: bytes, *, lasts_seconds: int) -> int:
        """Write where ``expected`` is the version; the new one.

        Raises: Conflict; StoreUnavailable; ValueError, past the port's bounds.
        """
        passing.check_swap(key, expected, value, lasts_seconds)
        version = 1 + secrets.randbelow(passing.MAX_VERSION)
        with self.transaction() as connection:
            now = self._clock.now()
            connection.execute(_REMOVE, (passing.second(now), REMOVED))
            row = connection.execute(
                "SELECT version FROM passing WHERE key = ? AND gone_at > ?",
                (key, passing.second(now)),
            ).fetchone()
            if (0 if row is None else row[0]) != expected:
                raise Conflict(f"{key} is no longer at version {expected}")
            connection.execute(_PUT, (key, version, passing.gone_at(now, lasts_seconds), value))
        return version

    def list(self, prefix: str, *, after: str = "", limit: int) -> list[tuple[str, Document]]:
        """The first ``limit`` documents under ``prefix`` and above ``after``, ascending.

        Raises: StoreUnavailable; ValueError, past the port's bounds.
        """
        passing.check_list(prefix, after, limit)
        with self.session() as connection:
            rows = connection.execute(_LIST, (prefix, after, self._second(), limit)).fetchall()
        found = []
        for key, version, value in rows:
            if not key.startswith(prefix):
                break
            found.append((key, Document(version, value)))
        return found

    def _second(self) -> int:
        return passing.second(self._clock.now())
