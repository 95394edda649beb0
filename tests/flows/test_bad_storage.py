"""A disk that is full or read-only: an error and the right exit code, and nothing half-written.

Each runs on a file system of its own, mounted in a mount namespace of its own.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

DRIVER = Path(__file__).with_name("storage_driver.py")


def can_mount():
    done = subprocess.run(["unshare", "-m", "true"], capture_output=True, check=False)
    return done.returncode == 0


needs_mount = pytest.mark.skipif(
    os.geteuid() != 0 or not can_mount(),
    reason="mounting a small file system needs root and mount namespaces, which are not here",
)


def drive(tmp_path, dsn, story):
    """Run a story of the driver on a mounted file system; its notes, one a command."""
    answer = subprocess.run(
        ["unshare", "-m", sys.executable, str(DRIVER), str(tmp_path / "disk"), story],
        env={**os.environ, "ORDERS_DSN": dsn, "PYTHONPATH": str(DRIVER.parents[2])},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert answer.returncode == 0, answer.stderr[-3000:]
    return [json.loads(line) for line in answer.stdout.splitlines()]


@needs_mount
def test_a_full_disk_stops_the_scan_and_loses_nothing(tmp_path, database):
    database.run("CREATE TABLE orders (id int)")
    notes = drive(tmp_path, database.dsn, "full")
    scans = [note for note in notes if note["what"] == "scan on a full disk"]
    assert len(scans) >= 10
    assert {note["code"] for note in scans} == {0, 3}, "some fit and some do not"
    for note in scans:
        assert note["code"] == 0 or "full" in note["err"] or "space" in note["err"], note
        assert "defect" not in note["err"]
    after = [note for note in notes if note["what"] in {"fsck", "scan with room again"}]
    assert {note["code"] for note in after} == {0}, after


@needs_mount
def test_a_read_only_disk_can_be_read_and_not_written(tmp_path, database):
    database.run("CREATE TABLE orders (id int)")
    notes = {note["what"]: note for note in drive(tmp_path, database.dsn, "read-only")}
    assert notes["scan"]["code"] == 3
    assert "read-only" in notes["scan"]["err"].lower()
    assert "defect" not in notes["scan"]["err"]
    assert notes["target add"]["code"] == 3
    assert notes["init"]["code"] == 3
    for reading in ("evidence ls", "fsck", "drift ls", "baseline verify"):
        assert notes[reading]["code"] == 0, notes[reading]
    assert notes["scan with room again"]["code"] == 0
