"""An entry: a table of a rules text as a rule or a direction, or in words what is wrong with it."""

from __future__ import annotations

import difflib
import enum
import re
from typing import Any, TypeVar, get_args

import msgspec

from chalicelib.drift.match import Match

_AT = re.compile(r"(.*) - at `(?:key in )?\$\.?(.*)`", re.DOTALL)  # how msgspec says where

M = TypeVar("M", bound=Match)


def converted(entry: Any, into: type[M]) -> M:
    """The table as a rule or a direction. Raises: ValueError, in words for who wrote it."""
    try:
        return msgspec.convert(entry, into)
    except msgspec.ValidationError as error:
        raise ValueError(_explained(entry, into, str(error))) from None


def _explained(entry: Any, into: type[Match], said: str) -> str:
    """What is wrong with a table, and what was expected; else what the parser said."""
    if not isinstance(entry, dict):
        return f"expected a table, got `{type(entry).__name__}`"
    fields = {field.name: field for field in msgspec.structs.fields(into)}
    for key in entry:
        if key not in fields:
            near = difflib.get_close_matches(key, fields, 1)
            meant = f", perhaps {near[0]!r}" if near else ""
            return f"unknown key {shown(key)}{meant}; expected one of {', '.join(sorted(fields))}"
    for name, field in fields.items():
        if field.required and name not in entry:
            return f"{name!r} is missing"
    for name, value in entry.items():
        known = [one.value for one in _choices(fields[name].type)]
        if known and value not in known:
            return f"{name} is {shown(value)}; expected one of {', '.join(known)}"
    found = _AT.fullmatch(said)
    return f"{found[2]}: {found[1]}" if found and found[2] else said


def _choices(kind: Any) -> list[enum.Enum]:
    """The values of a field that is an enumeration, or may be left out and else is one."""
    kinds = [one for one in (kind, *get_args(kind)) if isinstance(one, type)]
    return [value for one in kinds if issubclass(one, enum.Enum) for value in one]


def shown(value: object) -> str:
    """The beginning of a value, for a message."""
    return repr(value)[:80]
