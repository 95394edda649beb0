"""Populations: everything that a packet tells of a kind of thing, one row each; and samples of it.

A sample can be drawn again with any other tool, from the population's CSV: of each row, take the
SHA-256, in hexadecimal, of

    seed ‖ LF ‖ name of the population ‖ LF ‖ the row's key

as UTF-8. The key is the row's ``key`` columns, joined by LF: mostly ``leaf``, the index of its
record. The rows with the smallest digests are the sample; they are shown in the population's
order. Where nobody names a seed, it is the packet's SHA-256. Whoever does not want to rely on how
the packet came to be names a seed of their own.
"""

from __future__ import annotations

import hashlib
from heapq import nsmallest
from typing import TYPE_CHECKING, Any, Final

import msgspec

from chalicelib.render.population_sql import SQL

if TYPE_CHECKING:
    from collections.abc import Iterator

    from chalicelib.render.book import Book

    Row = tuple[Any, ...]

SIZE: Final = 25  # rows of a sample
MAX_SIZE: Final = 10_000  # they are held in memory


class Population(msgspec.Struct, frozen=True, kw_only=True):
    """One population. ``name``: also its file's; ``says``: what is in it, and what is not.

    ``sql`` begins with the columns ``leaf`` and ``leaf_hash``: the record that says the row; both
    are empty in a row that no single record says. Times are UTC (RFC 3339) where a column ends in
    ``_at``. ``key``: the columns that tell its rows apart. ``is_sampled``: a report shows a sample.
    """

    name: str
    title: str
    says: str
    key: tuple[str, ...] = ("leaf",)
    is_sampled: bool = False

    @property
    def sql(self) -> str:
        """The question whose rows it is, in their order."""
        return SQL[self.name]


def walk(book: Book, population: Population) -> Iterator[Row]:
    """The rows, one by one. Raises: StoreUnavailable."""
    return book.walk(population.sql)


def count(book: Book, population: Population) -> int:
    """How many rows there are. Raises: StoreUnavailable."""
    found: int = book.one(f"SELECT count(*) FROM ({population.sql})")  # noqa: S608 - of this package
    return found


def sample(book: Book, population: Population, seed: str = "", size: int = SIZE) -> list[Row]:
    """``size`` rows, or all if there are fewer, in the population's order.

    ``seed``: any text; empty: the packet's SHA-256. Raises: StoreUnavailable; ValueError, for a
    size below 0 or above MAX_SIZE.
    """
    if not 0 <= size <= MAX_SIZE:
        raise ValueError(f"a sample of {size} rows; expected 0 to {MAX_SIZE}")
    columns = book.columns(population.sql)
    places = [columns.index(name) for name in population.key]
    begins = f"{seed or book.verified.verdict.packet}\n{population.name}\n"

    def drawn() -> Iterator[tuple[bytes, int, Row]]:
        for number, row in enumerate(walk(book, population)):
            yield digest(begins, [row[place] for place in places]), number, row

    # No two rows have one key, so that a row is never compared beyond its digest and number.
    chosen = nsmallest(size, drawn(), key=lambda one: one[:2])
    return [row for _, _, row in sorted(chosen, key=lambda one: one[1])]


def digest(begins: str, key: list[Any]) -> bytes:
    """By what rows are drawn: the smallest first. An empty column of the key is an empty text."""
    text = "\n".join("" if part is None else str(part) for part in key)
    return hashlib.sha256((begins + text).encode(errors="backslashreplace")).digest()


POPULATIONS: Final = (
    Population(
        name="records",
        title="Records",
        says="Every record in the packet, with its kind, its place and who wrote it; not the "
        "records that the packet's filter leaves out. Outside the period are those that others "
        "rest on.",
    ),
    Population(
        name="targets",
        title="Targets",
        key=("target",),
        says="Every system that was due for a scan, was scanned, or was configured, with how often "
        "it was due and looked at; not systems that nobody told the program of.",
    ),
    Population(
        name="target_changes",
        title="Changes of targets",
        says="Every time a target was configured or removed; not targets that stayed as they were.",
    ),
    Population(
        name="ticks",
        title="Times of the schedule",
        says="Every time at which the schedule ordered scans, in the period and just before it; "
        "not scans that somebody asked for beside it.",
    ),
    Population(
        name="scans",
        title="Scans",
        is_sampled=True,
        says="Every scan, with the system it read, as whom and when, what was asked, how many rows "
        "came, and its outcome; a missed one is a row too. A time without a scan and without a "
        "record of that is no row here, but one of the gaps.",
    ),
    Population(
        name="queries",
        title="Questions of scans",
        key=("leaf", "number"),
        says="Every question of every scan, with the SHA-256 of its exact text, which is in the "
        "packet, and its rows; nothing of scans that failed before they asked.",
    ),
    Population(
        name="gaps",
        title="Gaps in coverage",
        key=("target", "start_at", "end_at", "why"),
        says="Every stretch of the period in which a target was UNOBSERVED; it follows from what "
        "was due and is no record. Targets that were never due have no gaps.",
    ),
    Population(
        name="findings",
        title="Findings",
        is_sampled=True,
        says="Every finding that was opened, with what it is at the period's end; not those that "
        "were opened before these records, which are in carried_findings.",
    ),
    Population(
        name="finding_events",
        title="What became of findings",
        says="Every time a finding was opened, attributed, suppressed or closed; acceptance into a "
        "baseline shows as the closing that follows it.",
    ),
    Population(
        name="carried_findings",
        title="Findings from before",
        key=("target", "finding_id"),
        says="Every finding that a scan still lists and that was opened before these records; what "
        "it is about is in an earlier packet.",
    ),
    Population(
        name="baselines",
        title="Baselines",
        is_sampled=True,
        says="Every proposed baseline, with who proposed it, who agreed and when, and whether it "
        "was signed; not baselines proposed before these records, unless a scan rests on them.",
    ),
    Population(
        name="baseline_approvals",
        title="Approvals of baselines",
        says="Every agreement to a baseline, each person's own; not the signature that followed.",
    ),
    Population(
        name="requests_and_leases",
        title="Requests and leases",
        is_sampled=True,
        says="Every request for access and the lease that came of it, with who asked, who agreed, "
        "both times, and the proof of its end; not access that went past the broker.",
    ),
    Population(
        name="access_events",
        title="What became of requests and leases",
        says="Every record of a request or a lease, also of those that were asked for before these "
        "records; not the statements that somebody ran.",
    ),
    Population(
        name="masking",
        title="Masking",
        says="Every time masks were applied at a target or attacked to test them; no values.",
    ),
    Population(
        name="custody",
        title="Who took evidence",
        says="Every packet that was made and every reading of evidence over the API; not copies of "
        "a packet made elsewhere.",
    ),
    Population(
        name="keeping",
        title="What became of the log",
        says="Every time the log was opened, its key changed, it was restored or a period closed, "
        "and every hold and erasure; not its backups.",
    ),
    Population(
        name="odd",
        title="Records that cannot be read",
        says="Every record whose body has not the form of its kind: it is proven, and nothing else "
        "here tells what it says.",
    ),
)
