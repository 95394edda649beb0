from __future__ import annotations

import os
import signal
import sqlite3
import stat
import subprocess
import sys
from datetime import UTC, datetime, timedelta

import pytest

from chalicelib.kernel.errors import Conflict, StoreUnavailable
from chalicelib.local.clock import SystemClock
from chalicelib.local.passing import REMOVED, SqlitePassing


class Clock:
    def __init__(self):
        self.at = datetime(2026, 10, 1, 2, 0, tzinfo=UTC)

    def now(self):
        return self.at


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def path(tmp_path):
    return tmp_path / "folder" / "passing.db"


@pytest.fixture
def passing(path, clock):
    made = SqlitePassing(path, clock)
    yield made
    made.close()


def count(passing):
    with passing.session() as connection:
        return connection.execute("SELECT count(*) FROM passing").fetchone()[0]


def test_the_database_is_its_owner_s_alone_and_synchronous(passing, path):
    passing.swap("a/b", 0, b"x", lasts_seconds=60)
    for file in path.parent.glob("passing.db*"):
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
    with passing.session() as connection:
        assert connection.execute("PRAGMA synchronous").fetchone() == (2,)
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)


def test_what_has_ended_is_removed_by_later_writes_a_bounded_number_each(passing, clock):
    for number in range(REMOVED + 10):
        passing.swap(f"a/{number}", 0, b"x", lasts_seconds=60)
    passing.swap("a/longer", 0, b"x", lasts_seconds=61)
    clock.at += timedelta(seconds=60)
    assert count(passing) == REMOVED + 11
    passing.swap("b/1", 0, b"x", lasts_seconds=60)
    assert count(passing) == 12
    passing.swap("b/2", 0, b"x", lasts_seconds=60)
    assert count(passing) == 3
    assert [key for key, _ in passing.list("a/", limit=9)] == ["a/longer"]


def test_what_has_ended_and_is_not_removed_yet_is_not_there(passing, clock):
    for number in range(REMOVED * 2):
        passing.swap(f"a/{number:03d}", 0, b"x", lasts_seconds=60 + number)
    last = f"a/{REMOVED * 2 - 1}"
    held = passing.get(last).version
    clock.at += timedelta(days=1)
    assert passing.get(last) is None
    assert passing.list("a/", limit=9) == []
    with pytest.raises(Conflict):
        passing.swap(last, held, b"y", lasts_seconds=60)
    assert count(passing) == REMOVED * 2, "what is refused changes nothing"
    passing.swap(last, 0, b"y", lasts_seconds=60)
    assert count(passing) == REMOVED


def test_removal_and_lists_use_an_index(passing):
    from chalicelib.local import passing as module

    with passing.session() as connection:
        for statement, values, index in (
            (module._REMOVE, (1, 1), "passing_gone_at (gone_at<?)"),
            (module._LIST, ("a/", "", 1, 1), "(key>?"),
        ):
            plan = connection.execute(f"EXPLAIN QUERY PLAN {statement}", values).fetchall()
            assert index in str(plan)
            assert "TEMP B-TREE" not in str(plan)


def test_an_error_of_the_file_says_what_to_do(path, clock):
    path.parent.mkdir()
    path.write_bytes(b"no database at all" * 100)
    with pytest.raises(StoreUnavailable, match="cannot be used") as error:
        SqlitePassing(path, clock).get("a/b")
    assert f"mv {path}* ELSEWHERE" in error.value.next_step
    path.unlink()
    assert SqlitePassing(path, clock).get("a/b") is None


def test_a_trigger_that_somebody_put_there_is_refused(passing, path):
    passing.swap("a/b", 0, b"x", lasts_seconds=60)
    passing.close()
    connection = sqlite3.connect(path)
    connection.execute("CREATE TRIGGER t AFTER INSERT ON passing BEGIN DELETE FROM passing; END")
    connection.close()
    with pytest.raises(StoreUnavailable, match="its own tables"):
        passing.get("a/b")


def test_a_full_disk_is_an_error_and_what_was_there_stays(small_disk, clock):
    passing = SqlitePassing(small_disk / "passing.db", clock)
    version = passing.swap("a/b", 0, b"x", lasts_seconds=60)

    def fill():
        for number in range(10):
            passing.swap(f"a/{number}", 0, bytes(300_000), lasts_seconds=60)

    with pytest.raises(StoreUnavailable):
        fill()
    assert passing.get("a/b").version == version
    passing.close()


WRITER = """
import sys
from pathlib import Path
from chalicelib.local.clock import SystemClock
from chalicelib.local.passing import SqlitePassing
passing = SqlitePassing(Path(sys.argv[1]), SystemClock())
found = passing.get("a/shared")
version, number = (found.version, int(found.value[:9])) if found else (0, 0)
while True:
    number += 1
    version = passing.swap("a/shared", version, b"%09d" % number * 5_000, lasts_seconds=3_600)
    print(version, number, flush=True)
"""


def test_what_was_acknowledged_outlives_a_kill_at_any_moment(path):
    passing = SqlitePassing(path, SystemClock())
    before = 0
    for lines in (1, 2, 5, 9, 3, 1, 7, 4):
        with subprocess.Popen(
            [sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE, text=True
        ) as child:
            for _ in range(lines):
                child.stdout.readline()
            os.kill(child.pid, signal.SIGKILL)
            said = child.stdout.read().splitlines()  # what it could still say
            child.wait(timeout=30)
        found = passing.get("a/shared")
        number = int(found.value[:9])
        assert found.value == b"%09d" % number * 5_000
        assert number >= before + lines
        whole = [line.split() for line in said if len(line.split()) == 2 and line[-1:].isdigit()]
        assert all(number >= int(told) for _, told in whole[:-1])
        before = number
    passing.close()
