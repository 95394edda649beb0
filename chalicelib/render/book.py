"""The book: what the records of one verified packet say, as tables in a file of its own.

It is made by one walk over the records, and asked in SQL afterwards: whatever a packet holds,
memory is bounded, and every row names the record that says it. The file is temporary and has no
name. ``tables.sql`` has the tables.
"""

from __future__ import annotations

import sqlite3
from contextlib import contextmanager
from importlib import resources
from typing import TYPE_CHECKING, Any, Final

from chalicelib.evidence import census, coverage
from chalicelib.kernel import canon
from chalicelib.kernel.errors import Malformed, StoreUnavailable, UsageError
from chalicelib.render import rows_access, rows_drift, rows_log

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from chalicelib.evidence.verified import Verified
    from chalicelib.kernel.record import Entry

    Progress = Callable[[str, int, int], None]

_TAKES: Final = {**rows_drift.TAKES, **rows_access.TAKES, **rows_log.TAKES}
# Records of which every one is in every packet, whatever its filter says.
_ALWAYS: Final = census.HEARTBEATS | {coverage.DISPATCHED} | rows_log.WHOLE
# What taking a body raises that has not its kind's form; SQLite does, for what no column takes.
_NOT_ITS_FORM: Final = (
    KeyError,
    TypeError,
    AttributeError,
    ValueError,
    IndexError,
    OverflowError,
    Malformed,
    UsageError,  # who agreed bears what is no person's name
    sqlite3.InterfaceError,
    sqlite3.ProgrammingError,
)
_STEP: Final = 1_000  # records between two words of progress


class Book:
    """The tables of one packet. ``verified``: where they come from."""

    def __init__(self, verified: Verified, connection: sqlite3.Connection) -> None:
        self.verified = verified
        self._connection = connection
        self._inserts: dict[str, str] = {}
        # By target and id: the record that opened what is open now, and what was open before.
        self.open: dict[tuple[str, str], int] = {}
        self.carried: set[tuple[str, str]] = set()
        self.requests: dict[tuple[str, str], int] = {}

    def ask(self, sql: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """All rows of a question. Raises: StoreUnavailable."""
        with _translated():
            return self._connection.execute(sql, values).fetchall()

    def walk(self, sql: str, values: Sequence[Any] = ()) -> Iterator[tuple[Any, ...]]:
        """The rows of a question, one by one. Raises: StoreUnavailable."""
        with _translated():
            for row in self._connection.execute(sql, values):  # noqa: UP028 - it would close what
                yield row  # is closed, where the book is and this was not read to its end

    def columns(self, sql: str) -> list[str]:
        """The names of a question's columns."""
        with _translated():
            found = self._connection.execute(f"SELECT * FROM ({sql}) LIMIT 0").description  # noqa: S608 - of this package
        return [one[0] for one in found]

    def one(self, sql: str, values: Sequence[Any] = ()) -> Any:
        """The first value of the first row; None, where there is no row."""
        found = self.ask(sql, values)
        return found[0][0] if found else None

    def put(self, table: str, **values: Any) -> None:
        """Another row. ``table`` and the names of ``values`` are of this package."""
        key = f"{table} {' '.join(values)}"
        if key not in self._inserts:
            names = ", ".join(values)
            marks = ", ".join("?" * len(values))
            self._inserts[key] = f"INSERT INTO {table} ({names}) VALUES ({marks})"  # noqa: S608
        self._connection.execute(self._inserts[key], list(values.values()))

    def run(self, sql: str, values: Sequence[Any] = ()) -> None:
        """A change of rows."""
        self._connection.execute(sql, values)

    def tells(self, *kinds: str) -> bool:
        """Whether all records of these kinds are here, as far as the packet's filter goes."""
        return all(map(self.verified.head.filter.takes, kinds))

    def fill(self, progress: Progress) -> None:
        """Take all records. Raises: DigestMismatch, StoreUnavailable, OSError."""
        head = self.verified.head
        covered = coverage.Coverage(head)
        with _translated():
            for kind in sorted(_TAKES.keys() - _ALWAYS):
                if not self.tells(kind):
                    self.put("untold", kind=kind)
            for number, entry in enumerate(self.verified.entries()):
                covered.add(entry)
                self._take(entry, in_range=head.range.first <= entry.index < head.range.last)
                if not number % _STEP:
                    progress("report", number, head.records)
            self._cover(canon.decode(covered.coverage()))
            rows_drift.settle(self)
            self._connection.commit()

    def _take(self, entry: Entry, *, in_range: bool) -> None:
        record = entry.record
        self.put(
            "record",
            leaf=entry.index,
            hash=self.verified.hash_of(entry.index),
            at=record.at,
            kind=record.kind,
            stream=record.stream,
            seq=record.seq,
            actor=record.actor.name,
            via=record.actor.via,
            tool=record.tool,
            in_range=in_range,
        )
        take = _TAKES.get(record.kind)
        if take is None:
            return
        self._connection.execute("SAVEPOINT one")
        try:
            take(self, entry)
        except _NOT_ITS_FORM as error:
            self._connection.execute("ROLLBACK TO one")
            self.put(
                "odd",
                leaf=entry.index,
                kind=record.kind,
                stream=record.stream,
                why=f"its body is not that of a {record.kind}: {type(error).__name__}",
            )
        self._connection.execute("RELEASE one")

    def _cover(self, found: dict[str, Any]) -> None:
        for row in found["targets"]:
            told = {**row, "outcomes": canon.encode(row["outcomes"]).decode()}
            self.put("covered", **told)
        for target, start, stop, why in found["unobserved"]:
            self.put("gap", target=target, start=start, stop=stop, why=why)


@contextmanager
def opened(
    verified: Verified, progress: Progress = lambda _what, _done, _total: None
) -> Iterator[Book]:
    """The book of a packet, filled. Raises: as ``Book.fill``."""
    with _translated():
        connection = sqlite3.connect("", isolation_level=None)
    try:
        with _translated():
            connection.execute("PRAGMA journal_mode = MEMORY")  # OFF cannot roll back
            connection.execute("PRAGMA cache_size = -32768")  # KiB
            connection.executescript(
                (resources.files("chalicelib.render") / "tables.sql").read_text(encoding="utf-8")
            )
            connection.execute("BEGIN")
        book = Book(verified, connection)
        book.fill(progress)
        yield book
    finally:
        connection.close()


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        raise StoreUnavailable(
            f"the report's temporary tables cannot be kept: {error}",
            next_step="look whether the disk of the folder for temporary files is full",
        ) from error
