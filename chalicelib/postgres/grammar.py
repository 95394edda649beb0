"""PostgreSQL's own grammar: SQL text in, plain dictionaries or a refusal out.

The one module that imports pglast (libpg_query, GPL-3.0-or-later), and of it only what survives any
input: ``parse_sql`` kills the process on a deep expression, which ``parse_sql_json`` refuses and
``scan`` does not mind. Whoever wrote the text may have meant harm, so all of it
is bounded, and what is not understood for sure is refused. Nothing is executed here.

The grammar is PostgreSQL 18's, with standard_conforming_strings on. Locations are offsets in bytes
of UTF-8, in trees as in tokens.
"""

from __future__ import annotations

import re
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import msgspec
from pglast import keywords, parser

if TYPE_CHECKING:
    from collections.abc import Callable

MAX_BYTES: Final = 256 * 1024  # of one text; the scanner takes half a second and 60 MB for it
MAX_DEPTH: Final = 600  # of the tree as JSON, two an operator; Python's limit is 1,000 with callers

# The keywords that the server's quote_identifier puts into quotes: any but the unreserved.
# Source: src/backend/utils/adt/ruleutils.c.
_QUOTED: Final = frozenset(
    keywords.RESERVED_KEYWORDS | keywords.TYPE_FUNC_NAME_KEYWORDS | keywords.COL_NAME_KEYWORDS
)
_PLAIN: Final = re.compile(r"[a-z_][a-z0-9_]*")
_STRING: Final = re.compile(rb'"(?:[^"\\]|\\.)*"')


class Reason(StrEnum):
    """Why a text was refused."""

    TOO_LONG = "longer than is read"
    TOO_DEEP = "nested deeper than is read"
    NUL = "holds a NUL character, which ends the text for the parser but not for a reader"
    NOT_UTF8 = "not UTF-8"
    NOT_SQL = "the grammar does not accept it"


class Refused(msgspec.Struct, frozen=True):
    """No tree: ``reason``, and what the parser said, if it was asked."""

    reason: Reason
    detail: str = ""


class Parsed(msgspec.Struct, frozen=True):
    """``source``: the bytes that were parsed. ``statements``: a tree each, of dictionaries."""

    source: bytes
    statements: list[dict[str, Any]]


class Token(NamedTuple):
    """One token: its bytes are ``source[start:end]``; ``name`` is the grammar's."""

    name: str
    start: int
    end: int


class _Statement(msgspec.Struct):
    stmt: dict[str, Any] = {}


class _Answer(msgspec.Struct):
    stmts: list[_Statement] = []


def parse(
    text: str | bytes, *, parser: Callable[[str], str] = parser.parse_sql_json
) -> Parsed | Refused:
    """The statements of ``text``, or why there are none. Never raises for what is in ``text``.

    ``parser`` gives libpg_query's JSON; any exception of its own is a refusal.
    """
    checked = _checked(text)
    if isinstance(checked, Refused):
        return checked
    decoded, source = checked
    try:
        answer = parser(decoded)
    except Exception as error:  # noqa: BLE001 - a parser that fails in a new way has not understood
        return Refused(Reason.NOT_SQL, str(error)[:200])
    if _too_deep(answer):
        return Refused(Reason.TOO_DEEP)
    try:
        statements = msgspec.json.decode(answer, type=_Answer).stmts
    except RecursionError:
        return Refused(Reason.TOO_DEEP)
    except (msgspec.DecodeError, UnicodeError) as error:
        return Refused(Reason.NOT_SQL, str(error)[:200])
    return Parsed(source, [one.stmt for one in statements])


def tokens(
    text: str | bytes, *, scanner: Callable[[str], Any] = parser.scan
) -> list[Token] | Refused:
    """The tokens of ``text`` in order, comments among them, or why there are none."""
    checked = _checked(text)
    if isinstance(checked, Refused):
        return checked
    decoded, source = checked
    try:
        found = scanner(decoded)
    except Exception as error:  # noqa: BLE001 - as for the parser
        return Refused(Reason.NOT_SQL, str(error)[:200])
    if len(decoded) == len(source):
        return [Token(one.name, one.start, one.end + 1) for one in found]
    offsets = [0]  # the scanner counts characters
    for character in decoded:
        offsets.append(offsets[-1] + len(character.encode()))
    return [Token(one.name, offsets[one.start], offsets[one.end + 1]) for one in found]


def identifier(name: str) -> str:
    """``name`` as the server prints it: in quotes where it is a keyword or not plain."""
    if _PLAIN.fullmatch(name) and name not in _QUOTED:
        return name
    return '"' + name.replace('"', '""') + '"'


def _checked(text: str | bytes) -> tuple[str, bytes] | Refused:
    if len(text) > MAX_BYTES:
        return Refused(Reason.TOO_LONG)
    try:
        decoded, source = (
            (text, text.encode()) if isinstance(text, str) else (text.decode(), bytes(text))
        )
    except UnicodeError:
        return Refused(Reason.NOT_UTF8)
    if len(source) > MAX_BYTES:
        return Refused(Reason.TOO_LONG)
    if b"\0" in source:
        return Refused(Reason.NUL)
    return decoded, source


def _too_deep(answer: str) -> bool:
    """Whether the JSON nests deeper than MAX_DEPTH: the same for every caller's stack."""
    if answer.count("{") + answer.count("[") <= MAX_DEPTH:
        return False
    depth = 0
    for bracket in re.finditer(rb"[][{}]", _STRING.sub(b"", answer.encode())):
        depth += 1 if bracket[0] in b"[{" else -1
        if depth > MAX_DEPTH:
            return True
    return False
