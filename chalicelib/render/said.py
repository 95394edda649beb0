"""What values of records say, in words: bounded, and what is sealed stays sealed."""

from __future__ import annotations

from typing import Any, Final

from chalicelib.kernel import canon
from chalicelib.kernel.personal import MARK

SEALED: Final = "(sealed: personal)"


def text(value: Any) -> str:
    """A value as text; JSON, where it is none. A personal value, which is sealed, is not told."""
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    if isinstance(value, dict) and value.keys() == {MARK}:
        return SEALED
    return canon.encode(value).decode()


def listed(values: Any) -> str:
    """A list's values in a row. Raises: TypeError, for what is no list."""
    if not isinstance(values, list):
        raise TypeError("no list")
    return ", ".join(map(text, values))
