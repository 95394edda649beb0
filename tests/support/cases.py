"""One-statement drifts: what a statement changes in a snapshot, and nothing else.

The lists are ``CASES`` of each file in ``tests/postgres/cases/``.
"""

import re
import runpy
from pathlib import Path
from typing import NamedTuple

FOLDER = Path(__file__).parents[1] / "postgres" / "cases"


class Case(NamedTuple):
    """``expected`` holds (kind, name, attribute); ``+`` or ``-`` for what came or went.

    ``setup`` and ``change``: statements between semicolons that stand outside quotes, each in a
    transaction of its own. ``since`` and ``until``: major versions in which the case holds.
    """

    setup: str
    change: str
    expected: set[tuple[str, str, str]]
    since: int = 13
    until: int = 99


def one(kind: str, name: str, *attributes: str) -> set[tuple[str, str, str]]:
    """What is expected of one object."""
    return {(kind, name, attribute) for attribute in attributes}


def load() -> list[Case]:
    """Every case of every file."""
    return [
        case for file in sorted(FOLDER.glob("*.py")) for case in runpy.run_path(str(file))["CASES"]
    ]


def statements(text: str) -> list[str]:
    """The parts between semicolons that stand outside string literals."""
    parts = re.findall(r"(?:[^;']|'[^']*')+", text)
    return [part for part in parts if part.strip()]
