"""A roll of names, and which of them patterns match: sets as integers, a bit a name.

What many policies say of thousands of names is asked once a pattern.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from chalicelib.drift.iam import glob
from chalicelib.drift.iam.glob import Wild

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from chalicelib.drift.iam.document import Names
    from chalicelib.drift.iam.glob import Pattern, Token

MAX_MASKS: Final = 20_000  # patterns that a roll remembers

_ANY = (Wild.ANY,)


class Roll:
    """Names in order, each once."""

    def __init__(self, names: Sequence[str]) -> None:
        self.names = names
        self.all = (1 << len(names)) - 1
        self._at = {name: index for index, name in enumerate(names)}
        self._masks: dict[Pattern, int] = {}

    def mask(self, pattern: Pattern) -> int:
        """The names that a pattern without variables matches."""
        if pattern.tokens == _ANY:
            return self.all
        if not pattern.nocase and all(isinstance(token, str) for token in pattern.tokens):
            at = self._at.get("".join(map(str, pattern.tokens)))
            return 0 if at is None else 1 << at
        if pattern not in self._masks:
            if len(self._masks) >= MAX_MASKS:
                self._masks.clear()
            self._masks[pattern] = self._matching(pattern)
        return self._masks[pattern]

    def _matching(self, pattern: Pattern) -> int:
        if pattern.nocase:
            return union(1 << i for i, one in enumerate(self.names) if glob.matches(pattern, one))
        fits = expression(pattern).fullmatch
        found = bytearray(len(self.names) // 8 + 1)
        for index, name in enumerate(self.names):
            if fits(name):
                found[index >> 3] |= 1 << (index & 7)
        return int.from_bytes(found, "little")

    def matched(self, patterns: Iterable[Pattern]) -> tuple[int, int]:
        """The names that one of the patterns matches for certain, and those that one may match.

        What has a policy variable may match whatever it matches for some value of it.
        """
        sure = maybe = 0
        for pattern in patterns:
            if pattern.variables:
                maybe |= self.mask(glob.relax(pattern))
            else:
                sure |= self.mask(pattern)
        return sure, maybe | sure

    def meant(self, names: Names) -> tuple[int, int]:
        """As ``matched``, of an element, negated or not."""
        sure, maybe = self.matched(map(glob.parse, names.texts))
        return (self.all & ~maybe, self.all & ~sure) if names.negated else (sure, maybe)


def union(masks: Iterable[int]) -> int:
    """What is in one of the sets."""
    found = 0
    for mask in masks:
        found |= mask
    return found


def bits(mask: int) -> Iterator[int]:
    """The places of the names in a set, in order."""
    while mask:
        low = mask & -mask
        yield low.bit_length() - 1
        mask ^= low


def expression(pattern: Pattern) -> re.Pattern[str]:
    """A regular expression for a pattern that never goes back over a match.

    The pattern is one of ``glob.parse`` or ``glob.arn``, without variables.

    Between two wildcards the first match is as good as any later one: in the whole text, and in
    each of an ARN's first five components, which a run without a colon cannot leave.
    """
    tokens = list(pattern.tokens)
    head: list[str] = []
    while Wild.SPAN in tokens or Wild.STEP in tokens:
        at = tokens.index(":") if ":" in tokens else len(tokens)
        head.append(_spelled(tokens[:at], Wild.SPAN, "[^:]") + (":" if at < len(tokens) else ""))
        tokens = tokens[at + 1 :]
    return re.compile("".join(head) + _spelled(tokens, Wild.ANY, "."), re.DOTALL)


def _spelled(tokens: Sequence[Token], run: Wild, letter: str) -> str:
    parts = [""]
    for token in tokens:
        if token is run:
            parts.append("")
        elif isinstance(token, Wild):
            parts[-1] += "." if token is Wild.ONE else letter
        else:
            parts[-1] += re.escape(str(token))
    first, *rest = parts
    middle = "".join(f"(?>{letter}*?{part})" for part in rest[:-1])
    return first + middle + (f"{letter}*{rest[-1]}" if rest else "")
