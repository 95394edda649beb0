"""The sweeper of ``serve``: whatever fails in one look, or at one target, ends no other."""

from __future__ import annotations

import sqlite3
import threading

import pytest

from chalicelib import settings, wiring
from chalicelib.cli.sweeper import Sweeper
from chalicelib.kernel.errors import CouldNotTell

ANOTHER = """
[targets.zebra]
dsn_env = "ORDERS_DSN"

[targets.zebra.access]
dsn_env = "BROKER_DSN"
"""


@pytest.fixture
def sweeper(leased):
    """What makes a sweeper over two targets, and what it emits."""
    path = leased.home / "holdfast.toml"
    path.write_text(path.read_text() + ANOTHER)
    services = wiring.connect(settings.load(path))
    lines = []

    def make(held=lambda: services, emit=lines.append):
        return Sweeper(held, services.log, emit, lambda: 1_000.0)

    make.services = services
    return make, lines


class Stopping:
    """Stands for the wait between looks: so many of them, and then the end."""

    def __init__(self, looks):
        self._left = looks

    def wait(self, _seconds):
        self._left -= 1
        return self._left < 0

    def is_set(self):
        return False


@pytest.mark.parametrize(
    "error", [CouldNotTell("away"), sqlite3.OperationalError("disk"), OSError(28, "full")]
)
@pytest.mark.parametrize("deaf", [False, True])
def test_a_look_that_fails_is_followed_by_the_next(sweeper, error, deaf):
    make, lines = sweeper
    looks = []

    def held():
        looks.append(1)
        raise error

    def emit(line):
        lines.append(line)
        if deaf:
            raise BrokenPipeError

    one = make(held, emit)
    one._stopped = Stopping(3)
    one._run()
    assert (len(looks), len(lines)) == (3, 3)
    assert all(line["event"] == "failed" and "disk" not in line["message"] for line in lines)


def test_a_target_whose_state_cannot_be_read_keeps_no_other_from_being_swept(sweeper, monkeypatch):
    make, lines = sweeper
    one = make()
    for thread in one.look():
        thread.join(60)
    lines.clear()
    monkeypatch.setattr(
        Sweeper, "_due", lambda _self, _desk, target: target.slug == "zebra" or 1 / 0
    )
    begun = one.look()
    assert [thread.name for thread in begun] == ["postgres:zebra"]
    for thread in begun:
        thread.join(60)
    assert [(line["name"], line["message"]) for line in lines] == [
        ("postgres:orders", "a defect: ZeroDivisionError")
    ]


def test_where_there_is_no_room_for_a_thread_the_next_look_tries_again(sweeper, monkeypatch):
    make, lines = sweeper
    one = make()

    def full(_self):
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", full)
        assert one.look() == []
    assert [line["name"] for line in lines] == ["postgres:orders", "postgres:zebra"]
    begun = one.look()
    assert len(begun) == 2
    for thread in begun:
        thread.join(60)
