"""Values that are sets: how a text or a list becomes members that can be compared."""

from __future__ import annotations

import enum
import re
from typing import TYPE_CHECKING, NamedTuple

from chalicelib.drift.match import plain
from chalicelib.kernel import canon

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from chalicelib.drift.snapshot import Value


class Split(enum.Enum):
    """How a text is split. A list's elements are taken as they are."""

    COMMA = "comma"  # outside double quotes
    COLON = "colon"
    IDENTIFIERS = "identifiers"  # as comma; what is not quoted is folded to lower case
    WORDS = "words"  # as comma, without case; "-word" takes the word out again
    ESCAPES = "escapes"  # the %-escapes of log_line_prefix
    OCTAL = "octal"  # the permission bits of a file mode
    GRANTS = "grants"  # "by x with grant option" holds "by x"


class Members(NamedTuple):
    """``all`` as a set, ``in_order`` as written; ``is_everyone``: nobody is left to be added."""

    all: frozenset[str]
    in_order: tuple[str, ...]
    is_everyone: bool


_GRANT_OPTION = " with grant option"

_ESCAPES = re.compile(r"%-?[0-9]{0,4}([A-Za-z])")
_MODE = re.compile(r"[0-7]{1,6}")


class Reader:
    """Reads values as members, with aliases replaced by what they stand for."""

    def __init__(
        self, *, split: Split, aliases: Mapping[str, Sequence[str]], everyone: frozenset[str]
    ) -> None:
        self._split = split
        self._aliases = aliases
        self._everyone = everyone

    def read(self, value: Value) -> Members:
        """The members of a value; None has none."""
        found: dict[str, None] = {}
        for token in self._tokens(value):
            if self._split is Split.WORDS and token.startswith("-"):
                for one in self._expand(token[1:].strip()):
                    found.pop(one, None)
            else:
                found.update(dict.fromkeys(self._expand(token)))
        return Members(
            frozenset(found), tuple(found), is_everyone=not self._everyone.isdisjoint(found)
        )

    def _expand(self, token: str) -> Sequence[str]:
        if self._split is Split.GRANTS and token.endswith(_GRANT_OPTION):
            return [token.removesuffix(_GRANT_OPTION), token]
        return self._aliases.get(token, [token])

    def _tokens(self, value: Value) -> list[str]:
        if value is None:
            return []
        if isinstance(value, list | tuple):
            texts = [_element(one) for one in value]
        elif (text := plain(value)) is None:
            texts = [_element(value)]
        else:
            texts = self._parts(text)
        return [text.lower() for text in texts] if self._split is Split.WORDS else texts

    def _parts(self, text: str) -> list[str]:
        match self._split:
            case Split.COLON:
                parts = [part.strip() for part in text.split(":")]
            case Split.ESCAPES:
                parts = _ESCAPES.findall(text)
            case Split.OCTAL if _MODE.fullmatch(text):
                mode = int(text, 8)
                parts = [str(bit) for bit in range(mode.bit_length()) if mode >> bit & 1]
            case Split.IDENTIFIERS:
                parts = [_identifier(part.strip()) for part in _between_commas(text)]
            case Split.OCTAL | Split.GRANTS:
                parts = [text]
            case Split.COMMA | Split.WORDS:
                parts = [_unquoted(part.strip()) for part in _between_commas(text)]
        return [part for part in parts if part]


def _between_commas(text: str) -> list[str]:
    """The parts between commas that stand outside quotation marks; a lone mark does not count."""
    quotes = text.count('"')
    parts = [""]
    inside, seen = False, 0
    for char in text:
        if char == '"':
            seen += 1
            if seen == quotes and not inside:  # no mark is left to end it
                continue
            inside = not inside
        if char == "," and not inside:
            parts.append("")
        else:
            parts[-1] += char
    return parts


def _identifier(text: str) -> str:
    return _unquoted(text) if text.startswith('"') else text.lower()


def _unquoted(text: str) -> str:
    if len(text) > 1 and text.startswith('"') and text.endswith('"'):
        return text[1:-1].replace('""', '"')
    return text


def _element(value: Value) -> str:
    """An element as a text that is equal for equal elements."""
    if (text := plain(value)) is not None:
        return text
    try:
        return canon.encode(value).decode()
    except (ValueError, RecursionError):
        return f"<{type(value).__name__}>"
