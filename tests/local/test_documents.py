from __future__ import annotations

import os
import sqlite3
import stat
import subprocess
import sys

import pytest

from chalicelib.kernel.errors import Busy, StoreUnavailable
from chalicelib.kernel.store import Document, Write
from chalicelib.local.documents import SqliteDocuments


@pytest.fixture
def path(tmp_path):
    return tmp_path / "folder" / "state.db"


@pytest.fixture
def documents(path):
    made = SqliteDocuments(path)
    yield made
    made.close()


def test_the_database_is_its_owner_s_alone_and_synchronous(documents, path):
    documents.swap([Write("a", 0, b"x")])
    for file in path.parent.glob("state.db*"):
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
    connection = documents._open()
    assert connection.execute("PRAGMA synchronous").fetchone() == (2,)
    assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    assert not list(path.parent.glob(".*"))


@pytest.mark.parametrize("content", [b"no database at all" * 100, b"x", b"SQLite format 3\0" * 50])
def test_a_file_that_is_no_database_is_an_error_that_says_what_to_do(path, content):
    path.parent.mkdir()
    path.write_bytes(content)
    with pytest.raises(StoreUnavailable, match=r"cannot be used|its one table") as error:
        SqliteDocuments(path).get("a")
    assert "restore it from a copy" in error.value.next_step
    assert path.read_bytes() == content


def test_a_damaged_database_is_an_error_that_says_what_to_do(documents, path):
    documents.swap([Write(f"k{n}", 0, bytes(5_000)) for n in range(100)])
    documents.close()
    data = bytearray(path.read_bytes())
    data[4_096 : 4_096 * 20] = os.urandom(4_096 * 19)
    path.write_bytes(data)
    with pytest.raises(StoreUnavailable, match="malformed") as error:
        list(documents.list(""))
    assert "restore it from a copy" in error.value.next_step


def test_another_database_is_not_taken_for_ours(path):
    path.parent.mkdir()
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE other (x)")
    connection.close()
    with pytest.raises(StoreUnavailable, match="its one table"):
        SqliteDocuments(path).get("a")


def test_a_database_held_by_another_is_an_error_after_the_bound(documents, path):
    documents.swap([Write("a", 0, b"x")])
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    hasty = SqliteDocuments(path, busy_seconds=0.01)
    try:
        assert hasty.get("a") == Document(1, b"x")
        with pytest.raises(StoreUnavailable, match="locked") as error:
            hasty.swap([Write("a", 1, b"y")])
        assert "another process holds it" in error.value.next_step
        other.execute("ROLLBACK")
        hasty.swap([Write("a", 1, b"y")])
    finally:
        hasty.close()
        other.close()


def test_a_full_disk_is_an_error_and_nothing_is_half_written(small_disk):
    documents = SqliteDocuments(small_disk / "state.db")
    documents.swap([Write("a", 0, b"x")])

    def fill():
        for number in range(10):
            documents.swap([Write(f"k{number}", 0, bytes(300_000)), Write(f"j{number}", 0, b"")])

    with pytest.raises(StoreUnavailable) as error:
        fill()
    assert "free space" in error.value.next_step or "file system" in error.value.next_step
    found = [key for key, _ in documents.list("")]
    pairs = [key[1:] for key in found if key[0] == "k"]
    assert pairs == [key[1:] for key in found if key[0] == "j"]
    assert documents.get("a") == Document(1, b"x")
    documents.close()


def test_a_folder_that_cannot_be_made_is_an_error(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(StoreUnavailable, match="cannot open"):
        SqliteDocuments(tmp_path / "file" / "state.db").get("a")


def test_it_opens_again_after_it_was_closed(documents):
    documents.swap([Write("a", 0, b"x")])
    documents.close()
    documents.close()
    assert documents.get("a") == Document(1, b"x")


def test_a_forked_child_opens_a_connection_of_its_own(documents):
    documents.swap([Write("parent", 0, b"x")])
    program = (
        "import os, sys\n"
        "from pathlib import Path\n"
        "from chalicelib.kernel.store import Write\n"
        "from chalicelib.local.documents import SqliteDocuments\n"
        "documents = SqliteDocuments(Path(sys.argv[1]))\n"
        "assert documents.get('parent').value == b'x'\n"
        "inherited = documents._open()\n"
        "if os.fork() == 0:\n"
        "    if documents._open() is inherited:\n"
        "        os._exit(1)\n"
        "    documents.swap([Write('child', 0, b'x')])\n"
        "    documents.close()\n"
        "    os._exit(0)\n"
        "assert os.wait()[1] == 0\n"
        "documents.swap([Write('parent', 1, documents.get('child').value)])\n"
    )
    subprocess.run([sys.executable, "-c", program, str(documents._path)], check=True)
    assert documents.get("parent") == Document(2, b"x")


def test_a_lost_race_to_create_it_is_no_error(documents, path):
    documents._create()
    documents.swap([Write("a", 0, b"x")])
    documents._create()
    assert documents.get("a") == Document(1, b"x")


def test_a_killed_process_leaves_all_of_a_swap_or_nothing(documents, path):
    """Killed between the statements of a transaction."""
    documents.swap([Write("a", 0, b"1"), Write("b", 0, b"1")])
    program = (
        "import os, signal, sqlite3, sys\n"
        "connection = sqlite3.connect(sys.argv[1], isolation_level=None)\n"
        "connection.execute('BEGIN IMMEDIATE')\n"
        "connection.execute(\"UPDATE document SET version = 9 WHERE key = 'a'\")\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    subprocess.run([sys.executable, "-c", program, str(path)], check=False)
    documents.swap([Write("a", 1, b"2"), Write("b", 1, b"2")])
    assert documents.get("a") == documents.get("b") == Document(2, b"2")


def test_what_was_replaced_is_left_in_no_file_of_the_database(tmp_path):
    documents = SqliteDocuments(tmp_path / "state.db")
    secret, large = b"the wrapped key \x00\xff" * 2, b"a larger value " * 2_000
    documents.swap([Write("a", 0, secret), Write("b", 0, large), Write("c", 0, b"other")])
    documents.swap([Write("c", 1, b"other again")])
    documents.swap([Write("a", 1, b"gone"), Write("b", 1, b"gone too")])
    held = b"".join(path.read_bytes() for path in sorted(tmp_path.glob("state.db*")))
    assert secret in held  # the write-ahead log has it yet
    documents.purge()
    for path in sorted(tmp_path.glob("state.db*")):
        data = path.read_bytes()
        assert secret not in data
        assert large[:1_000] not in data
    assert documents.get("a").value == b"gone"
    documents.close()


def test_a_reader_of_an_older_state_keeps_a_purge_from_being_claimed(tmp_path):
    documents = SqliteDocuments(tmp_path / "state.db", busy_seconds=0.05)
    documents.swap([Write("a", 0, b"the wrapped key")])
    reader = sqlite3.connect(tmp_path / "state.db", isolation_level=None)
    reader.execute("BEGIN")
    reader.execute("SELECT * FROM document").fetchall()
    documents.swap([Write("a", 1, b"gone")])
    with pytest.raises(Busy, match="write-ahead log"):
        documents.purge()
    reader.close()
    documents.purge()
    documents.close()
