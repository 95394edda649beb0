from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from contract.adapters import LOCKS

from chalicelib.kernel.errors import Busy, UsageError

pytestmark = pytest.mark.parametrize("adapter", LOCKS)

TESTS = Path(__file__).parent.parent
AT = datetime(2026, 10, 1, 2, 0, tzinfo=UTC)

HOLDER = """
import sys
from datetime import datetime
from pathlib import Path
from contract.adapters import LOCKS
class Clock:
    def now(self):
        return datetime.fromisoformat(sys.argv[3])
with LOCKS[sys.argv[1]](Path(sys.argv[2]), Clock()).hold("scan/a"):
    print("held", flush=True)
    sys.stdin.read()
"""


class Clock:
    def __init__(self):
        self.at = AT

    def now(self):
        return self.at


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def locks(adapter, tmp_path, clock):
    return LOCKS[adapter](tmp_path, clock)


@pytest.fixture
def holder(adapter, tmp_path):
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, adapter, str(tmp_path), AT.isoformat()],
        env={**os.environ, "PYTHONPATH": str(TESTS)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as child:
        assert child.stdout.readline() == b"held\n"
        yield child
        child.kill()


def is_held(locks, name="scan/a"):
    try:
        with locks.hold(name):
            return False
    except Busy:
        return True


def test_another_process_is_refused_at_once_naming_the_holder(locks, holder):
    expected = rf"scan/a is held by .*process {holder.pid}.* since 2026-10-01T02:00:00\.000000Z"
    with pytest.raises(Busy, match=expected) as error, locks.hold("scan/a"):
        pytest.fail("two holders")
    assert error.value.next_step
    assert not is_held(locks, "scan/b")


def test_it_is_free_after_the_holder_s_block(locks, holder):
    assert is_held(locks)
    holder.stdin.close()
    assert holder.wait(timeout=30) == 0
    assert not is_held(locks)


def test_it_is_free_after_the_holder_was_killed(locks, holder, clock):
    """At once, or as soon as the lease of the dead has ended."""
    holder.send_signal(signal.SIGKILL)
    holder.wait(timeout=30)
    clock.at += timedelta(seconds=61)
    assert not is_held(locks)


def test_it_is_free_after_an_error_and_held_again(locks):
    def fail():
        with locks.hold("scan/a"):
            assert is_held(locks)
            raise ZeroDivisionError

    for _ in range(2):
        with pytest.raises(ZeroDivisionError):
            fail()
    assert not is_held(locks)


def test_of_threads_at_once_one_holds_it(locks):
    told, start, stop = [], threading.Barrier(4), threading.Barrier(4)

    def work():
        start.wait(30)
        try:
            with locks.hold("scan/a"):
                told.append(True)
                stop.wait(30)
        except Busy:
            told.append(False)
            stop.wait(30)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sorted(told) == [False, False, False, True]


def test_what_is_no_name_is_refused(locks):
    for name in ("", "../scan", ".scan", "a b"):
        with pytest.raises(UsageError), locks.hold(name):
            pytest.fail("held")
