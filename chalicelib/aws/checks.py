"""Checks: what was looked at, what was found, and whether that is right. Calls nothing."""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING

import msgspec

from chalicelib.kernel.errors import CouldNotTell, HoldfastError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


class Verdict(enum.Enum):
    """What a check says."""

    OK = "ok"
    WRONG = "wrong"
    UNKNOWN = "could not tell"


class Check(msgspec.Struct, frozen=True):
    """One line: what was looked at, what was found there, and what to do if it is not right."""

    what: str
    verdict: Verdict
    found: str
    next_step: str = ""


class Wrong(Exception):
    """A check found something that is not as it must be."""

    def __init__(self, found: str, next_step: str) -> None:
        super().__init__(found)
        self.found = found
        self.next_step = next_step


def asked(what: str, ask: Callable[[], str]) -> Check:
    """What ``ask`` found, or why it could not; a wrong question to us is wrong, not unknown."""
    try:
        return Check(what, Verdict.OK, ask())
    except Wrong as answer:
        return wrong(what, answer.found, answer.next_step)
    except HoldfastError as error:
        return unanswered(what, error)


def unanswered(what: str, error: HoldfastError) -> Check:
    """What could not be told; or wrong, where the error is of another kind than that."""
    verdict = Verdict.UNKNOWN if isinstance(error, CouldNotTell) else Verdict.WRONG
    return Check(what, verdict, error.message, error.next_step)


def wrong(what: str, found: str, next_step: str) -> Check:
    """A line that says what is not right, and what to do."""
    return Check(what, Verdict.WRONG, found, next_step)


def exit_code(checks: Sequence[Check]) -> int:
    """0 all is right, 1 something is wrong, 3 something could not be told."""
    verdicts = {one.verdict for one in checks}
    return 1 if Verdict.WRONG in verdicts else 3 if Verdict.UNKNOWN in verdicts else 0
