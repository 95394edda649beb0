"""The scalar texts inside a structured value: JSON, XML, an array as the server writes it.

Bounded in length, depth and number; what is past a bound is not looked at. Nothing here raises.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_DOCUMENT_CHARACTERS: Final = 65_536  # of a structured value
MAX_LEAVES: Final = 64  # looked at in one value
MAX_DEPTH: Final = 8  # of objects and lists in each other
_MAX_NODES: Final = 1_000  # visited on the way to the leaves

# An element of an array, quoted or plain. Source: PostgreSQL, §8.15.6 "Array Input and Output
# Syntax". Each alternative begins with another character, so none is tried twice at one place.
_ELEMENT = re.compile(r'"((?:[^"\\]|\\.)*)"|([^{},"\s][^{},"]*)', re.DOTALL)
_ARRAY = re.compile(r"(?:\[[0-9:\[\]-]{1,60}\]=)?\{")
_XML_TEXT = re.compile(r">([^<>]+)<|=\"([^\"<>]*)\"")


def leaves(value: str) -> list[str] | None:
    """The texts inside a value, keys of objects among them; None, where it has no structure."""
    text = value.strip()
    if not text or len(text) > MAX_DOCUMENT_CHARACTERS:
        return None
    if text[0] in "{[":
        found = _json(text)
        return _array(text) if found is None else found
    if text[0] == "<" and text[-1] == ">":
        return _first(one[1] or one[2] for one in _XML_TEXT.finditer(text))
    return None


def _json(text: str) -> list[str] | None:
    try:
        value = msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeEncodeError, RecursionError):
        return None
    return _first(_scalars(value))


def _scalars(value: object) -> Iterator[str]:
    """Breadth first, so that one deep or long branch does not hide the others."""
    level, visited = [value], 0
    for _ in range(MAX_DEPTH):
        inner: list[object] = []
        for one in level:
            visited += 1
            if visited > _MAX_NODES:
                return
            if isinstance(one, dict):
                inner += [*one.keys(), *one.values()][:_MAX_NODES]
            elif isinstance(one, list):
                inner += one[:_MAX_NODES]
            elif isinstance(one, (str, int, float)) and not isinstance(one, bool):
                yield str(one)
        level = inner


def _array(text: str) -> list[str] | None:
    start = _ARRAY.match(text)
    if start is None or text[-1] != "}":
        return None
    found = _ELEMENT.finditer(text, start.end(), len(text) - 1)
    return _first(
        re.sub(r"\\(.)", r"\1", one[1], flags=re.DOTALL) if one[2] is None else one[2]
        for one in found
        if one[0] != "NULL"
    )


def _first(texts: Iterator[str]) -> list[str]:
    found = []
    for text in texts:
        if text and not text.isspace():
            found.append(text)
        if len(found) == MAX_LEAVES:
            break
    return found
