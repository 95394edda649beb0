from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from datetime import UTC, datetime

import pytest

from chalicelib.kernel.errors import Busy, StoreUnavailable, UsageError
from chalicelib.local.clock import SystemClock
from chalicelib.local.lock import FileLocks


class FixedClock:
    def now(self):
        return datetime(2026, 10, 1, 2, 0, tzinfo=UTC)


@pytest.fixture
def locks(tmp_path):
    return FileLocks(tmp_path / "lock", clock=FixedClock())


HOLDER = """
import sys
from pathlib import Path
from chalicelib.local.clock import SystemClock
from chalicelib.local.lock import FileLocks
with FileLocks(Path(sys.argv[1]), clock=SystemClock()).hold("scan"):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def holder(tmp_path):
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(tmp_path / "lock")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as child:
        assert child.stdout.readline() == b"held\n"
        yield child
        child.kill()


def test_a_held_lock_is_refused_at_once_naming_its_holder(locks, holder):
    with pytest.raises(Busy, match=f"process {holder.pid} since 20") as error, locks.hold("scan"):
        pytest.fail("two holders")
    assert error.value.next_step


def test_a_killed_holder_s_lock_is_free(locks, holder):
    os.kill(holder.pid, signal.SIGKILL)
    holder.wait(timeout=10)
    with locks.hold("scan"):
        pass


def test_a_lock_is_free_after_its_block_also_after_an_error(locks):
    with pytest.raises(ZeroDivisionError), locks.hold("scan"):
        _ = 1 / 0
    with locks.hold("scan"), locks.hold("other"):
        pass


def test_threads_of_one_process_exclude_each_other_too(locks):
    refused = []

    def try_it():
        try:
            with locks.hold("scan"):
                refused.append(False)
        except Busy as error:
            refused.append(f"process {os.getpid()} since 2026-10-01T02:00:00.000000Z" in str(error))

    with locks.hold("scan"):
        thread = threading.Thread(target=try_it)
        thread.start()
        thread.join()
    assert refused == [True]


@pytest.mark.parametrize("said", [b"", b"{", b"[]", b"{}", b'{"pid": "x", "since": 1}', b"\xff"])
def test_a_holder_that_has_not_said_who_it_is_is_still_refused(locks, tmp_path, said):
    with locks.hold("scan"):
        (tmp_path / "lock" / "scan.lock").write_bytes(said)
        with pytest.raises(Busy, match="another process"), locks.hold("scan"):
            pytest.fail("two holders")


def test_what_is_no_name_is_refused(locks):
    for name in ("", "../scan", ".scan"):
        with pytest.raises(UsageError), locks.hold(name):
            pytest.fail("held")


def test_a_link_is_not_followed(locks, tmp_path):
    with locks.hold("scan"):
        pass
    (tmp_path / "lock" / "linked.lock").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(StoreUnavailable, match="ELOOP"), locks.hold("linked"):
        pytest.fail("held")
    assert not (tmp_path / "elsewhere").exists()


def test_the_system_clock_is_in_utc_and_goes_forward():
    one, two = SystemClock().now(), SystemClock().now()
    assert one.tzinfo is UTC
    assert one <= two
