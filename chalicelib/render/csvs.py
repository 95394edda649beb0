"""CSV: every population in a file of its own, each row with what leads back to its proof.

RFC 4180: UTF-8, a header row, CR LF, cells in quotes where they need them. Nothing and an empty
text are both an empty cell. Rows are written as they are read: memory is bounded.

A spreadsheet takes a cell for a formula that begins with ``=``, ``+``, ``-``, ``@``, TAB, CR or LF
(as OWASP's "CSV Injection" lists them), some also where quotes, blanks or invisible characters come
first. Such a text gets one apostrophe in front; so does a text that begins with an apostrophe
itself. To undo it, take one apostrophe away from the front of every cell that begins with one.
"""

from __future__ import annotations

import csv
import io
import re
from typing import TYPE_CHECKING, Any, BinaryIO, Final

from chalicelib.evidence.verdict import Answer
from chalicelib.render.populations import POPULATIONS, Population, walk

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from chalicelib.evidence.manifest import Manifest
    from chalicelib.render.book import Book

    Open = Callable[[str], AbstractContextManager[BinaryIO]]

README: Final = "README.txt"
ADDED: Final = ("log_root", "packet", "verdict")  # columns of every row, at its end

# What a spreadsheet may skip before it looks for a formula: white space, controls, quotes, and the
# invisible characters that are met in text. Full-width signs count as signs: some input methods
# and spreadsheets take them for each other.
_SKIPPED: Final = (
    "[\\s\"'`\u0000-\u0020\u007f-\u00a0\u00ad\u061c\u180e"
    "\u200b-\u200f\u2028-\u202f\u2060-\u206f\ufeff]"
)
_FORMULA: Final = re.compile(f"['\t\r\n]|{_SKIPPED}*[=+\\-@\uff1d\uff0b\uff0d\uff20]")


def write(book: Book, folder: Open) -> dict[str, int]:
    """Write the files; how many rows each population has, by its name.

    ``folder`` opens a new file of a name for bytes. Raises: StoreUnavailable; OSError, of a file.
    """
    rows = {one.name: _write(book, one, folder) for one in POPULATIONS}
    with folder(README) as out:
        out.write(readme(book, rows).encode(errors="backslashreplace"))
    return rows


def _write(book: Book, population: Population, folder: Open) -> int:
    held = book.verified
    added = (held.checkpoint.root.hex(), held.verdict.packet, held.verdict.answer.value)
    rows = 0
    with folder(file_name(population)) as out:
        text = io.TextIOWrapper(out, encoding="utf-8", newline="")
        writer = csv.writer(text, lineterminator="\r\n")
        writer.writerow([*book.columns(population.sql), *ADDED])
        for row in walk(book, population):
            writer.writerow([*map(harmless, row), *added])
            rows += 1
        text.detach()
    return rows


def file_name(population: Population) -> str:
    """The file that a population is in."""
    return f"{population.name}.csv"


def harmless(value: Any) -> Any:
    """A cell that no spreadsheet takes for a formula. Numbers are as they are."""
    if isinstance(value, str) and _FORMULA.match(value):
        return f"'{value}"
    return value


def readme(book: Book, rows: dict[str, int]) -> str:
    """What the files are, in words. ``rows``: how many each population has."""
    files = "\n".join(
        f"{file_name(one)}\n    {one.title}, rows: {rows[one.name]}; told apart by "
        f"{', '.join(one.key)}.\n{_folded(one.says)}"
        for one in POPULATIONS
    )
    return (
        "\n\n".join(
            part
            for part in (
                _loud(book),
                _head(book),
                _partial(book),
                f"FILES\n\n{files}",
                _ROWS,
                _SAMPLE,
            )
            if part
        )
        + "\n"
    )


def _loud(book: Book) -> str:
    """What has to be read first; empty, where there is nothing of that kind."""
    if book.verified.verdict.answer is Answer.VERIFIED:
        return ""
    bar = "!" * 78
    return (
        f"{bar}\n"
        f"{book.verified.verdict.answer.value}: everything in the packet holds together, but the "
        "quorum of witnesses\nthat the trust policy asks for did not see its checkpoint. Whoever "
        "holds the log's\nkey could have shown others another log. Every row says so in its "
        "column verdict.\n"
        f"{bar}"
    )


def _head(book: Book) -> str:
    held = book.verified
    head = held.head
    rows = [
        ("packet", f"SHA-256 {held.verdict.packet}"),
        ("verdict", held.verdict.answer.value),
        ("log", _line(head.origin)),
        ("period", f"from {head.period.start} up to, not including, {head.period.end}"),
        ("records", f"{head.records} are here; the period's are {_range(head)} of the log"),
        ("log_root", f"{held.checkpoint.root.hex()} over {held.checkpoint.size} records"),
        ("closing root", f"{held.closing.root.hex()} over {held.closing.size} records"),
        ("key", _line(str(held.signer))),
        ("targets", ", ".join(map(_line, head.filter.targets)) or "all"),
        ("kinds", ", ".join(map(_line, head.filter.kinds)) or "all"),
    ]
    return "EVIDENCE AS CSV\n\n" + "\n".join(f"{name:<14}{said}" for name, said in rows)


def _range(head: Manifest) -> str:
    return f"{head.range.first} to {head.range.last - 1}"


def _partial(book: Book) -> str:
    said = []
    if book.verified.head.filter.targets:
        said.append(
            "Only some targets were asked for: nothing is told of others, and of who read evidence"
            "\nonly where that was asked for."
        )
    kinds = [kind for (kind,) in book.ask("SELECT kind FROM untold ORDER BY kind")]
    if kinds:
        said.append(
            "These kinds of records were not asked for, and nothing follows from their absence:"
        )
        said.extend(f"    {kind}" for kind in kinds)
        said.append('Where they would have to tell something, a cell says "untold", or is empty.')
    return "NOT TOLD HERE\n\n" + "\n".join(said) if said else ""


def _line(text: str) -> str:
    """A name on one line: what cannot be printed is escaped."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def _folded(text: str, width: int = 74) -> str:
    rows = [""]
    for word in text.split():
        if len(rows[-1]) + len(word) >= width:
            rows.append("")
        rows[-1] += f" {word}" if rows[-1] else word
    return "\n".join(f"    {row}" for row in rows)


_ROWS: Final = """\
ROWS, AND THEIR PROOF

RFC 4180, UTF-8, with a header. Nothing and an empty text are both an empty cell. Times are
UTC (RFC 3339); what ends in _seconds is in seconds. A text that a spreadsheet would take for
a formula has an apostrophe in front, and so has a text that begins with one: to undo it, take
one apostrophe away from the front of every cell that begins with one. Import every column as
text.

leaf is the index, from 0, of the log's record that says a row, and leaf_hash the hash of its
leaf. Other columns that end in _leaf name further records that it rests on. To prove a row:

1. Verify the packet: holdfast evidence verify FILE --trust TRUST, or python3 verify.py, which
   is in it. Its SHA-256 of manifest.json has to be the column packet.
2. proofs.jsonl has a line [leaf, ...] for every record; the record itself is the line of
   the same number in leaves.jsonl (without its line feed). SHA-256 of a zero byte and that
   line is leaf_hash.
3. That line's proof, with what it keeps of the line before, leads from leaf_hash to log_root,
   the root of the packet's last checkpoint, which is signed (RFC 9162, section 2.1.3.2;
   docs/formats/packet.md).

The exact text of a query is in the packet's file question/sha256/<questions_sha256>: a JSON
object of texts by their SHA-256, which is the column query_sha256.

Rows without a leaf follow from several records: gaps from the times of the schedule and the
scans that are there, targets from what is told of each."""

_SAMPLE: Final = """\
SAMPLES

A sample can be drawn by anybody. Choose a seed (a report's default is the packet's SHA-256).
For every row take the SHA-256, in hexadecimal, of the UTF-8 text

    seed, line feed, name of the population, line feed, key

where the name is the file's without .csv, and the key is the row's columns that tell rows
apart (above), joined by line feeds, after apostrophes are undone. The sample of n rows is
the n rows with the smallest digests, in the order in which the file has them."""
