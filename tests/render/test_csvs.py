from __future__ import annotations

import csv
import hashlib
import io
import tracemalloc
from contextlib import contextmanager

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from support.reports import HOSTILE, SHOP, Tale, unwitnessed
from support.tales import crowd, full, hostile

from chalicelib.render import csvs, populations
from chalicelib.render.populations import POPULATIONS

MIB = 2**20
FORMULAS = [
    "=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", " =1", "\u00a0=1", '"=1', "''=1",
    "'", "' text", "\u202e=1", "\ufeff+1", "\u200b@x", "\0=1", "\uff1d1+1", "`-1", "\tx", "\rx",
    "\nx",
]  # fmt: skip
HARMLESS = ["", "a=1", "1-1", "a'b", "x\t=1", "(=1)", "\u202ea", " a", "\0", "public.t", "2026-10"]


class Folder:
    """A folder in memory; a file is there as soon as it is closed."""

    def __init__(self):
        self.files = {}

    @contextmanager
    def __call__(self, name):
        assert name not in self.files
        out = io.BytesIO()
        yield out
        self.files[name] = out.getvalue()


def written(book):
    folder = Folder()
    return csvs.write(book, folder), folder.files


def undone(cell):
    """What README.txt says: one apostrophe away from the front of a cell that begins with one."""
    return cell.removeprefix("'")


def table(data):
    """Header and rows, as another program reads them, with what was added undone."""
    header, *rows = csv.reader(io.StringIO(data.decode("utf-8"), newline=""), strict=True)
    return header, [[undone(cell) for cell in row] for row in rows]


def as_text(row):
    return ["" if value is None else str(value) for value in row]


@pytest.fixture(scope="module")
def book():
    with full().book() as found:
        yield found


@pytest.fixture(scope="module")
def files(book):
    return written(book)[1]


@pytest.mark.parametrize("tale", [full, hostile], ids=["full", "hostile"])
def test_every_file_says_what_the_book_says(tale):
    with tale().book() as book:
        counts, files = written(book)
        assert files.keys() == {f"{one.name}.csv" for one in POPULATIONS} | {"README.txt"}
        for one in POPULATIONS:
            header, rows = table(files[f"{one.name}.csv"])
            assert header == [*book.columns(one.sql), "log_root", "packet", "verdict"]
            added = [book.verified.checkpoint.root.hex(), book.verified.verdict.packet, "VERIFIED"]
            assert rows == [as_text(row) + added for row in populations.walk(book, one)]
            assert counts[one.name] == len(rows)


def test_texts_of_an_attacker_come_back_as_they_were():
    with hostile().book() as book:
        _, files = written(book)
    header, rows = table(files["findings.csv"])
    names = [row[header.index("name")] for row in rows]
    assert names == list(HOSTILE.values())
    header, rows = table(files["requests_and_leases.csv"])
    assert [row[header.index("profile")] for row in rows] == list(HOSTILE.values())


def test_no_cell_of_any_file_is_a_formula():
    with hostile().book() as book:
        _, files = written(book)
    for name, data in files.items():
        if name.endswith(".csv"):
            for row in csv.reader(io.StringIO(data.decode(), newline="")):
                assert not [cell for cell in row if cell.strip('" \u00a0\0')[:1] in set("=+-@\t\r")]


@pytest.mark.parametrize("text", FORMULAS, ids=ascii)
def test_a_formula_is_made_harmless(text):
    assert csvs.harmless(text) == f"'{text}"
    assert undone(csvs.harmless(text)) == text


@pytest.mark.parametrize("text", HARMLESS, ids=ascii)
def test_what_is_no_formula_is_left_alone(text):
    assert csvs.harmless(text) == text


@pytest.mark.parametrize("value", [0, -1, None, 10**18])
def test_numbers_and_nothing_are_left_alone(value):
    assert csvs.harmless(value) is value


@given(st.text(st.characters(codec="utf-8")))
@example("'")
@example("'=\r\n\"\0,")
def test_any_text_can_be_had_back(text):
    assert undone(csvs.harmless(text)) == text
    out = io.StringIO(newline="")
    csv.writer(out, lineterminator="\r\n").writerow([csvs.harmless(text), "x"])
    ((cell, _),) = csv.reader(io.StringIO(out.getvalue(), newline=""), strict=True)
    assert undone(cell) == text


def test_files_are_those_of_rfc_4180(files):
    for name, data in files.items():
        if name.endswith(".csv"):
            assert data.endswith(b"\r\n")
            assert not data.startswith(b"\xef\xbb\xbf")
            header, rows = table(data)
            assert {len(row) for row in rows} <= {len(header)}


@pytest.mark.parametrize("one", POPULATIONS, ids=lambda one: one.name)
def test_a_sample_can_be_drawn_from_the_file_alone(book, files, one):
    header, rows = table(files[f"{one.name}.csv"])

    def digest(row):
        key = "\n".join(row[header.index(column)] for column in one.key)
        return hashlib.sha256(f"Q4\n{one.name}\n{key}".encode()).hexdigest()

    chosen = sorted(rows, key=digest)[:4]
    expected = [row[:-3] for row in rows if row in chosen]
    assert [as_text(row) for row in populations.sample(book, one, "Q4", 4)] == expected


def test_a_row_leads_back_to_its_proof(book, files):
    header, rows = table(files["scans.csv"])
    said = [dict(zip(header, row, strict=True)) for row in rows]
    entries = {entry.index: entry.leaf for entry in book.verified.entries()}
    for row in said:
        leaf = entries[int(row["leaf"])]
        assert hashlib.sha256(b"\0" + leaf).hexdigest() == row["leaf_hash"]
        assert bytes.fromhex(row["log_root"]) == book.verified.checkpoint.root


def test_the_readme_says_what_it_is(book, files):
    said = files["README.txt"].decode()
    head = book.verified.head
    for words in (
        book.verified.verdict.packet,
        book.verified.checkpoint.root.hex(),
        f"from {head.period.start} up to, not including, {head.period.end}",
        "verdict       VERIFIED",
        "holdfast evidence verify",
        "one apostrophe away",
    ):
        assert words in said
    for one in POPULATIONS:
        count = populations.count(book, one)
        assert f"{one.name}.csv\n    {one.title}, rows: {count}; told apart by" in said
    assert "NOT TOLD HERE" not in said
    assert "UNWITNESSED" not in said


def test_unwitnessed_is_loud():
    tale = Tale()
    tale.scan(SHOP, 1)
    with tale.book(policy=unwitnessed(tale.archive)) as book:
        _, files = written(book)
    said = files["README.txt"].decode()
    assert said.startswith("!" * 78 + "\nUNWITNESSED: ")
    header, rows = table(files["scans.csv"])
    assert [row[header.index("verdict")] for row in rows] == ["UNWITNESSED"]


def test_what_was_not_asked_for_is_said():
    with full().book(targets=[SHOP], kinds=["finding.opened"]) as book:
        said = written(book)[1]["README.txt"].decode()
    assert "NOT TOLD HERE\n\nOnly some targets were asked for" in said
    for kind in ("finding.closed", "baseline.signed", "access.requested", "lease.ended"):
        assert f"\n    {kind}\n" in said
    for kind in ("finding.opened", "scan", "period.closed", "packet.made"):
        assert f"\n    {kind}\n" not in said


def test_a_name_cannot_write_lines_of_its_own_into_the_readme():
    tale = Tale()
    tale.scan(SHOP, 1)
    with tale.book(targets=["a\nverdict       VERIFIED\u2028\u202e"]) as book:
        said = written(book)[1]["README.txt"].decode()
    assert said.count("\nverdict       VERIFIED") == 1
    assert "\u202e" not in said
    assert "a\\nverdict" in said


def test_a_period_without_a_scan_has_files_with_a_header():
    tale = Tale()
    tale.add("target.configured", SHOP, "2026-10-02T01:00:00.000000Z", {"env": "prod"})
    with tale.book() as book:
        _, files = written(book)
    assert files["scans.csv"].count(b"\r\n") == 1
    assert "scans.csv\n    Scans, rows: 0;" in files["README.txt"].decode()


def test_the_same_packet_gives_the_same_bytes():
    tale = full()
    with tale.book() as one, tale.book() as other:
        assert written(one) == written(other)


class Nowhere(io.RawIOBase):
    """Takes bytes and forgets them."""

    def writable(self):
        return True

    def write(self, data):
        return len(data)


def test_memory_does_not_grow_with_what_is_written():
    peaks = []
    for count in (500, 5_000):
        with crowd(count).book() as book:
            tracemalloc.start()
            csvs.write(book, lambda _name: Nowhere())
            peaks.append(tracemalloc.get_traced_memory()[1])
            tracemalloc.stop()
    assert peaks[1] < peaks[0] + MIB / 4
    assert peaks[1] < 2 * MIB
