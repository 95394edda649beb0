"""Requests and leases in front of a terminal: it asks before it agrees, and warns of a secret."""

from __future__ import annotations

import os
import pty
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

HOLDFAST = (sys.executable, "-m", "chalicelib.cli")
ENVIRONMENT = {"PYTHONPATH": str(Path(__file__).parents[2]), "TERM": "dumb", "COLUMNS": "140"}


def at_terminal(leased, *words, typed=""):
    """The exit code and all that was on the screen."""
    ours, its = pty.openpty()
    process = subprocess.Popen(
        [*HOLDFAST, *words],
        cwd=leased.home,
        stdin=its,
        stdout=its,
        stderr=its,
        env={**os.environ, **ENVIRONMENT},
        start_new_session=True,
    )
    os.close(its)
    os.write(ours, typed.encode())
    screen = read(ours)
    os.close(ours)
    return process.wait(), screen


def words(screen):
    return re.sub(r"\x1b\[[0-9;]*m", "", screen).split()


def read(terminal):
    """All that is shown until nobody is in front of it."""
    screen = b""
    try:
        while piece := os.read(terminal, 4096):
            screen += piece
    except OSError:  # the other end is closed. Source: pty(7), EIO
        pass
    return screen.decode()


@pytest.mark.parametrize(
    ("typed", "code", "phase"), [("n\n", 4, "pending"), ("y\n", 0, "approved")]
)
def test_agreeing_asks_after_showing(leased, ask, typed, code, phase):
    asked = ask()
    words = ("--as", "ben", "approve", asked)
    found, screen = at_terminal(leased, *words, typed=typed)
    assert (found, "Agree to this?" in screen) == (code, True)
    assert screen.index("INC-481 refund bug") < screen.index("Agree to this?")
    assert leased("--as", "ana", "show", asked, "--json").json["phase"] == phase


@pytest.mark.parametrize("more", [("--yes",), ("--seen",)])
def test_whoever_said_so_before_is_not_asked(leased, ask, more):
    asked = ask()
    if more == ("--seen",):
        more = ("--seen", leased("--as", "ben", "show", asked, "--json").json["version"])
    code, screen = at_terminal(leased, "--as", "ben", "approve", asked, *more)
    assert (code, "Agree to this?" in screen) == (0, False)


def test_a_secret_on_a_screen_is_warned_of_first(leased, ask):
    code, screen = at_terminal(leased, "--as", "ana", "creds", ask(approved=True))
    assert code == 0
    assert screen.index("a secret follows") < screen.index("PGPASSWORD")


def test_what_a_terminal_sends_to_both_is_not_sent_on(leased, ask):
    # Its keys reach all in front of it, the program too: here run alone is sent the signal.
    code = (
        "import os, select, signal\n"
        "signal.signal(signal.SIGINT, lambda *_: os.write(1, b'REACHED'))\n"
        "os.kill(os.getppid(), signal.SIGINT)\n"
        "select.select([], [], [], 0.5)\n"  # for it to come
        "os.write(1, b'OVER')\n"
        "os._exit(41)\n"
    )
    words = ("--as", "ana", "run", ask(approved=True), "--", sys.executable, "-c", code)
    found, screen = attached(leased, words)
    assert (found, "REACHED" in screen, "OVER" in screen) == (41, False, True)


def attached(leased, words):
    """The exit code and the screen of a command that is in front of a terminal of its own."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(leased.home)
        os.execve(sys.executable, [*HOLDFAST, *words], {**os.environ, **ENVIRONMENT})  # noqa: S606
    screen = read(terminal)
    _, status = os.waitpid(pid, 0)
    os.close(terminal)
    assert not os.WIFSIGNALED(status), signal.Signals(os.WTERMSIG(status))
    return os.WEXITSTATUS(status), screen


@pytest.mark.parametrize("columns", ["40", "80", "100", "140", "240"])
def test_no_id_time_or_table_is_cut_however_narrow_it_is(leased, ask, monkeypatch, columns):
    monkeypatch.setitem(ENVIRONMENT, "COLUMNS", columns)
    monkeypatch.setitem(ENVIRONMENT, "TERM", "xterm")  # one that is dumb has always 80
    tables = "public.orders,public.customers"
    asked = ask("--profile", "read-clear", "--tables", tables, approved=True)
    leased("--as", "ana", "creds", asked)
    waiting = ask()
    until = leased("show", asked, "--json").json["lease"]["until"][:19] + "Z"
    _, screen = at_terminal(leased, "ls")
    for whole in (asked, waiting, until, "public.customers,", "public.orders,", "person:ana"):
        assert whole in words(screen)
    _, screen = at_terminal(leased, "access", "review", "orders")
    for whole in (asked, until, "public.customers,", "person:ana", "ben"):
        assert whole in words(screen)
    assert "no standing roles" not in screen
