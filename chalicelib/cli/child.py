"""The program that runs with a lease: its environment, its signals, its end.

1. The password is in a file (0600) in a folder (0700) that only this user can open; never in an
   argument, and for databases not in the environment either.
2. Signals that reach us reach the program. What a terminal sends reaches both already.
3. When the lease ends before the program, the program is told with SIGTERM, once.
4. The folder is removed when the program or the lease has ended. Whoever kills us with SIGKILL
   leaves the folder; what is in it opens nothing once the lease has ended.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from chalicelib.cli import credential
from chalicelib.kernel.clock import parse_timestamp
from chalicelib.kernel.errors import NotFound, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from chalicelib.api.wishes import CredentialView
    from chalicelib.kernel.clock import Clock

NOT_FOUND: Final = 127  # as shells have it
NOT_RUNNABLE: Final = 126
_SIGNALLED: Final = 128  # and the signal's number
_FORWARDED: Final = (
    signal.SIGTERM,
    signal.SIGHUP,
    signal.SIGINT,
    signal.SIGQUIT,
    signal.SIGUSR1,
    signal.SIGUSR2,
)
_OF_A_TERMINAL: Final = frozenset({signal.SIGINT, signal.SIGQUIT})


class Ended(NamedTuple):
    """How it ended. ``code``: the program's, or 128 and its signal. ``early``: its lease before."""

    code: int
    early: bool


class Lookout(NamedTuple):
    """What is watched meanwhile.

    ``until()``: when the lease ends, as it is known now; empty, if it has. ``told()`` is called
    when the program is about to be told. ``look_seconds``: between two looks.
    """

    clock: Clock
    until: Callable[[], str]
    told: Callable[[], None]
    look_seconds: float


def found(program: str) -> str:
    """The program's path. Nothing was claimed yet.

    Raises: NotFound, where there is none; UsageError, where it is there and cannot be run.
    """
    path = shutil.which(program)
    if path is not None:
        return path
    there = shutil.which(program, mode=os.F_OK)
    if there is not None or (os.sep in program and Path(program).exists()):
        raise UsageError(f"{program[:200]!r} cannot be run: it is no program, or not for you")
    raise NotFound(f"there is no program {program[:200]!r}")


def run(
    issued: CredentialView,
    argv: Sequence[str],
    lookout: Lookout,
    without: frozenset[str] = frozenset(),
) -> Ended:
    """Run a program with a credential until it ends. ``without``: variables it does not get."""
    environment = credential.inherited(os.environ, issued.kind, without)
    environment |= credential.environment(issued)
    with _signals() as caught, _folder() as folder:
        if issued.kind != credential.AWS:
            path = folder / "pgpass"
            file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            with os.fdopen(file, "w", encoding="utf-8") as stream:
                stream.write(credential.passfile(issued))
            environment["PGPASSFILE"] = str(path)
        sys.stdout.flush()
        program = subprocess.Popen(list(argv), env=environment)  # noqa: S603 - the user's own
        caught.deliver(program)
        early = _watch(program, lookout, issued.until, folder)
        program.wait()
    code = program.returncode
    return Ended(code if code >= 0 else _SIGNALLED - code, early)


def _watch(program: subprocess.Popen[bytes], lookout: Lookout, until: str, folder: Path) -> bool:
    """Whether the lease ended while the program ran; it is told then."""
    while True:
        left = (parse_timestamp(until) - lookout.clock.now()).total_seconds() if until else 0.0
        if left > 0:
            try:
                program.wait(min(left, lookout.look_seconds))
            except subprocess.TimeoutExpired:
                until = lookout.until()
                continue
            return False
        # It may have been renewed since we looked.
        until = lookout.until() if until else ""
        if not until or parse_timestamp(until) <= lookout.clock.now():
            break
    if program.poll() is not None:
        return False
    shutil.rmtree(folder, ignore_errors=True)
    lookout.told()
    program.terminate()
    return True


class _Caught:
    """Signals on their way to the program."""

    def __init__(self) -> None:
        self._early: list[int] = []
        self._program: subprocess.Popen[bytes] | None = None

    def __call__(self, number: int, _frame: object) -> None:
        if number in _OF_A_TERMINAL and _in_foreground():
            return
        if self._program is None:
            self._early.append(number)
        else:
            self._program.send_signal(number)

    def deliver(self, program: subprocess.Popen[bytes]) -> None:
        """To this program from now on, those that came before it too."""
        self._program = program
        for number in self._early:
            program.send_signal(number)


@contextmanager
def _signals() -> Iterator[_Caught]:
    caught = _Caught()
    before = [signal.signal(number, caught) for number in _FORWARDED]
    try:
        yield caught
    finally:
        for number, handler in zip(_FORWARDED, before, strict=True):
            signal.signal(number, handler)


def _in_foreground() -> bool:
    """Whether the terminal sends the signals of its keys to us and the program alike."""
    try:
        terminal = os.open("/dev/tty", os.O_RDONLY | os.O_NOCTTY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        return os.tcgetpgrp(terminal) == os.getpgrp()
    except OSError:
        return False
    finally:
        os.close(terminal)


@contextmanager
def _folder() -> Iterator[Path]:
    """A folder for this user alone; in memory, where the session has such a place."""
    runtime = os.environ.get("XDG_RUNTIME_DIR", "")
    place = runtime if runtime and os.access(runtime, os.W_OK | os.X_OK) else None
    made = Path(tempfile.mkdtemp(prefix="holdfast-lease-", dir=place))  # 0700
    try:
        yield made
    finally:
        shutil.rmtree(made, ignore_errors=True)
