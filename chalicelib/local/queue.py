"""The scan queue on one machine: a FIFO queue in SQLite that survives kills and power cuts.

It does what SQS FIFO does, so that the schedule cannot tell them apart:

- Of one group at most one message is in flight, the oldest; while it is in flight, or waits to be
  delivered again, the others of its group wait. Among groups the oldest message is served first.
- A delivery that is not finished within the visibility timeout is delivered again, with another
  handle: whoever held it may have been killed.
- What was delivered MAX_RECEIVES times and never finished goes to the dead letters:
  a queue of their own, delivered in the same way, and as often as it takes.
- A message is dropped where one with its ``dedup`` is in the queue, dead letters included, or was
  sent within the last five minutes.
"""

from __future__ import annotations

import json
import secrets
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

import msgspec

from chalicelib.drift.schedule import Message
from chalicelib.kernel.errors import StoreUnavailable, UsageError
from chalicelib.local.sqlite import BUSY_SECONDS, SqliteFile

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Collection, Sequence
    from pathlib import Path

    from chalicelib.kernel.clock import Clock

VISIBILITY_SECONDS: Final = 1_200.0
MAX_RECEIVES: Final = 5
DEDUP_SECONDS: Final = 300.0  # SQS, "Exactly-once processing": the deduplication interval
MAX_MESSAGES: Final = 500_000  # in the queue: fifty ticks of 10,000 targets that nobody worked on
MAX_NAME_CHARACTERS: Final = 128  # of a group or dedup; SQS, SendMessage
MAX_BODY_BYTES: Final = 256 * 1024
MAX_DELAY_SECONDS: Final = 43_200.0  # SQS, ChangeMessageVisibility: 12 hours
MAX_LIMIT: Final = 1_000  # deliveries of one receive

_WAITING, _DEAD = 0, 1
# The write-ahead log goes along: beside a new database SQLite would take it for that one's.
_REMEDY: Final = (
    "move it and its -wal and -shm away: mv {path}* ELSEWHERE; the queue is no evidence, a new one "
    "is made, and the orders that were in it show as targets without a record"
)

# Times are milliseconds since 1970, UTC. ``handle``: of the delivery that is in flight, if one is.
_SCHEMA: Final = (
    """
CREATE TABLE message (
    id INTEGER NOT NULL PRIMARY KEY,
    lane INTEGER NOT NULL CHECK (lane IN (0, 1)),
    grp TEXT NOT NULL,
    dedup TEXT NOT NULL UNIQUE,
    body BLOB NOT NULL,
    visible_at INTEGER NOT NULL,
    receives INTEGER NOT NULL,
    handle TEXT
) STRICT
""",
    """
CREATE TABLE sent (
    dedup TEXT NOT NULL PRIMARY KEY,
    until INTEGER NOT NULL
) STRICT, WITHOUT ROWID
""",
    """
CREATE INDEX message_group ON message (lane, grp, id)
""",
    """
CREATE UNIQUE INDEX message_handle ON message (handle) WHERE handle IS NOT NULL
""",
    """
CREATE INDEX message_receives ON message (lane, receives, visible_at)
""",
    """
CREATE INDEX sent_until ON sent (until)
""",
)

_HEAD = """NOT EXISTS (
    SELECT 1 FROM message AS older
    WHERE older.lane = message.lane AND older.grp = message.grp AND older.id < message.id
)"""
# In the order of ids, until there are enough: no index, and so no sorting of all that wait.
_NEXT = f"""
SELECT id FROM message NOT INDEXED
WHERE lane = ? AND visible_at <= ? AND {_HEAD}
    AND grp NOT IN (SELECT value FROM json_each(?))
ORDER BY id LIMIT ?
"""  # noqa: S608 - a constant
_DUE = f"SELECT min(visible_at) FROM message WHERE lane = ? AND {_HEAD}"  # noqa: S608 - a constant
_TAKE = """
UPDATE message SET handle = ?, visible_at = ?, receives = receives + 1 WHERE id = ?
RETURNING grp, dedup, body, receives
"""
_BURY = """
UPDATE message SET lane = 1, receives = 0, handle = NULL, visible_at = ?
WHERE lane = 0 AND receives >= ? AND visible_at <= ?
"""


class Delivery(msgspec.Struct, frozen=True):
    """A message that somebody works on. ``attempt`` counts its deliveries from 1."""

    message: Message
    handle: str
    attempt: int


class Lane:
    """Messages that are delivered: those that wait, or the dead letters."""

    def __init__(
        self,
        file: SqliteFile,
        clock: Clock,
        lane: int,
        *,
        visibility_seconds: float,
        max_receives: int,
    ) -> None:
        self._file = file
        self._clock = clock
        self._lane = lane
        self._visibility = round(visibility_seconds * 1_000)
        self._max_receives = max_receives

    def receive(self, limit: int, *, without: Collection[str] = ()) -> list[Delivery]:
        """At most ``limit`` (1 to 1,000) deliveries, the oldest first, each of another group.

        ``without``: groups that are left where they are. Raises: StoreUnavailable.
        """
        if not 0 < limit <= MAX_LIMIT:
            raise ValueError(f"one receive has 1 to {MAX_LIMIT} deliveries")
        left_out = json.dumps(list(without))
        with self._file.transaction() as connection:
            now = self._now()
            if self._lane == _WAITING:
                connection.execute(_BURY, (now, self._max_receives, now))
            found = connection.execute(_NEXT, (self._lane, now, left_out, limit)).fetchall()
            return [self._take(connection, number, now) for (number,) in found]

    def _take(self, connection: sqlite3.Connection, number: int, now: int) -> Delivery:
        handle = secrets.token_hex(16)
        row = connection.execute(_TAKE, (handle, now + self._visibility, number)).fetchone()
        group, dedup, body, receives = row
        return Delivery(Message(group, dedup, body), handle, receives)

    def delete(self, handle: str) -> bool:
        """The delivered message is done with, if it was not delivered again since; whether it was.

        Raises: StoreUnavailable.
        """
        with self._file.transaction() as connection:
            return self._changed(connection, "DELETE FROM message WHERE handle = ?", handle)

    def release(self, handle: str, delay_seconds: float, *, counted: bool = True) -> bool:
        """Deliver the message again after a delay, if it was not delivered again since.

        ``counted``: whether this attempt is one of those that a message has. Raises: ValueError,
        for a delay that is not 0 to 12 hours; StoreUnavailable.
        """
        if not 0 <= delay_seconds <= MAX_DELAY_SECONDS:
            raise ValueError(f"a delay is 0 to {MAX_DELAY_SECONDS} seconds")
        statement = (
            "UPDATE message SET handle = NULL, visible_at = ?, receives = receives - ? "
            "WHERE handle = ?"
        )
        with self._file.transaction() as connection:
            at = self._now() + round(delay_seconds * 1_000)
            return self._changed(connection, statement, at, 0 if counted else 1, handle)

    def size(self) -> int:
        """How many messages there are, those in flight included. Raises: StoreUnavailable."""
        with self._file.session() as connection:
            row = connection.execute("SELECT count(*) FROM message WHERE lane = ?", (self._lane,))
            return int(row.fetchone()[0])

    def due_at(self) -> datetime | None:
        """When the next delivery can be received, if nobody finishes one; None: there is none."""
        with self._file.session() as connection:
            (found,) = connection.execute(_DUE, (self._lane,)).fetchone()
        return None if found is None else datetime.fromtimestamp(found / 1_000, tz=UTC)

    @staticmethod
    def _changed(connection: sqlite3.Connection, statement: str, *values: object) -> bool:
        return connection.execute(statement, values).rowcount == 1

    def _now(self) -> int:
        return int(self._clock.now().timestamp() * 1_000)


class SqliteQueue(Lane):
    """Implements ``drift.schedule.Queue`` in the database at ``path``, created with mode 0600.

    The messages that wait are received here; what nobody could finish, from ``dead``.
    """

    def __init__(
        self,
        path: Path,
        clock: Clock,
        *,
        visibility_seconds: float = VISIBILITY_SECONDS,
        max_receives: int = MAX_RECEIVES,
        busy_seconds: float = BUSY_SECONDS,
        durable: bool = True,
    ) -> None:
        file = SqliteFile(path, _SCHEMA, busy_seconds=busy_seconds, durable=durable, remedy=_REMEDY)
        super().__init__(
            file,
            clock,
            _WAITING,
            visibility_seconds=visibility_seconds,
            max_receives=max_receives,
        )
        self.dead = Lane(
            file, clock, _DEAD, visibility_seconds=visibility_seconds, max_receives=max_receives
        )

    def send(self, messages: Sequence[Message]) -> None:
        """All of the messages, durably, or none; those that were sent before are dropped.

        Raises: UsageError, for a message past a bound; StoreUnavailable, also where there would be
        more than MAX_MESSAGES.
        """
        for message in messages:
            _check(message)
        with self._file.transaction() as connection:
            now = self._now()
            connection.execute("DELETE FROM sent WHERE until <= ?", (now,))
            until = now + round(DEDUP_SECONDS * 1_000)
            for message in messages:
                if not self._changed(
                    connection, "INSERT OR IGNORE INTO sent VALUES (?, ?)", message.dedup, until
                ):
                    continue
                connection.execute(
                    "INSERT OR IGNORE INTO message (lane, grp, dedup, body, visible_at, receives) "
                    "VALUES (0, ?, ?, ?, ?, 0)",
                    (message.group, message.dedup, message.body, now),
                )
            (count,) = connection.execute("SELECT count(*) FROM message").fetchone()
            if count > MAX_MESSAGES:
                raise StoreUnavailable(
                    f"the queue would hold {count} messages; at most {MAX_MESSAGES} are taken",
                    next_step="let the workers catch up: more of them, or a longer period",
                )

    def reclaim(self) -> int:
        """Deliver again, now, whatever is in flight; how many that is.

        For whoever knows that all workers of this queue are gone. Raises: StoreUnavailable.
        """
        with self._file.transaction() as connection:
            return connection.execute(
                "UPDATE message SET handle = NULL, visible_at = ? WHERE handle IS NOT NULL",
                (self._now(),),
            ).rowcount

    def close(self) -> None:
        """Close the database. It opens again when it is needed."""
        self._file.close()


def _check(message: Message) -> None:
    for name in (message.group, message.dedup):
        if not 0 < len(name) <= MAX_NAME_CHARACTERS or not name.isprintable():
            raise UsageError(
                f"a message's group and dedup have 1 to {MAX_NAME_CHARACTERS} printable "
                f"characters; found {name[:40]!r}"
            )
    if not 0 < len(message.body) <= MAX_BODY_BYTES:
        raise UsageError(f"a message of {len(message.body)} bytes; expected 1 to {MAX_BODY_BYTES}")
