"""A database host is read by a bounded number of scans at a time, over all processes."""

from __future__ import annotations

from contextlib import ExitStack

import pytest
from support.desk import HandClock

from chalicelib.functions.host import WAIT_ATTEMPTS, place
from chalicelib.kernel.errors import Busy
from chalicelib.local.lock import FileLocks

HOST = "db.example.com:5432"


@pytest.fixture
def process(tmp_path):
    """The locks of one more process."""
    return lambda: FileLocks(tmp_path, clock=HandClock())


def test_a_host_has_so_many_places_and_no_more(process):
    pauses = []
    with ExitStack() as stack:
        for _ in range(2):
            stack.enter_context(place(process(), HOST, 2, pauses.append))
        assert pauses == []
        with pytest.raises(Busy, match="2 scans of targets at db"):
            stack.enter_context(place(process(), HOST, 2, pauses.append))
        assert pauses == list(range(WAIT_ATTEMPTS))
        stack.enter_context(place(process(), "other.example.com:5432", 2, pauses.append))
    with place(process(), HOST, 1, pauses.append):
        pass


def test_a_place_that_comes_free_is_taken(process):
    held = ExitStack()
    held.enter_context(place(process(), HOST, 1, lambda _: None))
    pauses = []

    def pause(attempt):
        pauses.append(attempt)
        if attempt == 3:
            held.close()

    with place(process(), HOST, 1, pause):
        assert pauses == [0, 1, 2, 3]


def test_a_place_is_free_after_a_scan_that_failed(process):
    with pytest.raises(ZeroDivisionError), place(process(), HOST, 1, lambda _: None):
        raise ZeroDivisionError
    with place(process(), HOST, 1, lambda _: None):
        pass
