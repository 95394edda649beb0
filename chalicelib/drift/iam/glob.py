"""Patterns of IAM policies as languages: inclusion and intersection, exactly, within a bound.

``*`` is any run of characters, ``?`` any one character. A policy variable ``${aws:username}`` is
one string a request, the same everywhere in it; ``${*}``, ``${?}`` and ``${$}`` are the characters
themselves. Source: AWS IAM User Guide, "IAM JSON policy elements: Resource", "Variables and tags".

Inclusion and intersection are decided by a search (``automaton``).
"""

from __future__ import annotations

import enum
import re
from itertools import zip_longest
from typing import TYPE_CHECKING, Final, TypeAlias

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

MAX_STEPS: Final = 100_000  # of one search; a pair of patterns as people write them takes hundreds

_VARIABLE = re.compile(r"([^\s{}$,'\"*?]+)(?:\s*,\s*'([^'{}$]*)')?")


class Exhausted(Exception):  # noqa: N818, RUF100 - an error's name is the fact
    """A bound was passed: nobody can tell."""


class Budget:
    """How many steps may still be taken. Raises: Exhausted, when there are none left."""

    __slots__ = ("left",)

    def __init__(self, steps: int = MAX_STEPS) -> None:
        self.left = steps

    def spend(self, steps: int = 1) -> None:
        """Take steps off."""
        self.left -= steps
        if self.left < 0:
            raise Exhausted


class Wild(enum.Enum):
    """What stands for characters that are not written."""

    ANY = "*"
    ONE = "?"
    SPAN = "*:"  # a run without a colon: inside one component of an ARN
    STEP = "?:"  # one character that is no colon


class Variable(msgspec.Struct, frozen=True):
    """A policy variable: the name of a context key, lower case, and what stands for its absence."""

    name: str
    default: str | None = None


Token: TypeAlias = str | Wild | Variable
"""A string is one character."""


class Pattern(msgspec.Struct, frozen=True):
    """The strings that the tokens in a row match. ``nocase``: letters match without case."""

    tokens: tuple[Token, ...]
    nocase: bool = False

    @property
    def variables(self) -> frozenset[Variable]:
        """The variables in it."""
        return frozenset(token for token in self.tokens if isinstance(token, Variable))


Language: TypeAlias = tuple[Pattern, ...]
"""The strings that one of the patterns matches."""

SOMETHING: Final = Pattern((Wild.ONE, Wild.ANY))


def parse(text: str, *, variables: bool = True, wild: bool = True, nocase: bool = False) -> Pattern:
    """The pattern of a text of a policy. ``wild``: ``*`` and ``?`` are wildcards.

    Raises: ValueError, where ``${`` begins no variable.
    """
    tokens: list[Token] = []
    position = 0
    while position < len(text):
        if variables and text.startswith("${", position):
            end = text.find("}", position)
            tokens.append(_variable(text[position + 2 : max(end, 0)]))
            position = end
        elif wild and text[position] in "*?":
            tokens.append(Wild(text[position]))
        else:
            tokens.append(text[position])
        position += 1
    return Pattern(tuple(_settled(tokens)), nocase)


def _variable(inner: str) -> Token:
    if inner in {"*", "?", "$"}:
        return inner
    found = _VARIABLE.fullmatch(inner.strip())
    if found is None:
        raise ValueError("a policy variable is not ${key} or ${key, 'default'}")
    return Variable(found[1].lower(), found[2])


def _settled(tokens: Iterable[Token]) -> Iterator[Token]:
    """The tokens with each run of ``*`` and ``?`` in one order: as many ``?``, then one ``*``."""
    run = False
    for token in tokens:
        if token is Wild.ANY:
            run = True
            continue
        if run and token is not Wild.ONE:
            yield Wild.ANY
            run = False
        yield token
    if run:
        yield Wild.ANY


def render(pattern: Pattern, *, wild: bool = True) -> str:
    """A text that ``parse`` (with variables) gives the pattern for; equal patterns, equal texts."""
    parts: list[str] = []
    for token, following in zip_longest(pattern.tokens, pattern.tokens[1:]):
        if isinstance(token, Variable):
            default = "" if token.default is None else f", '{token.default}'"
            parts.append(f"${{{token.name}{default}}}")
        elif isinstance(token, Wild):
            parts.append(token.value)
        elif (wild and token in "*?") or (token == "$" and following == "{"):  # noqa: S105
            parts.append(f"${{{token}}}")
        else:
            parts.append(token)
    return "".join(parts)


def arn(text: str) -> Pattern:
    """The pattern of ArnLike: five components matched one by one, and the rest.

    Raises: ValueError, for fewer than six components, or a bad variable.
    Source: AWS IAM User Guide, "Amazon Resource Name (ARN) condition operators".
    """
    tokens: list[Token] = []
    colons = 0
    for token in parse(text).tokens:
        if token == ":":  # noqa: S105
            colons += 1
        if colons < 5 and isinstance(token, Wild):  # noqa: PLR2004
            tokens.append(Wild.SPAN if token is Wild.ANY else Wild.STEP)
        else:
            tokens.append(token)
    if colons < 5:  # noqa: PLR2004
        raise ValueError("an ARN has six components, arn:partition:service:region:account:resource")
    return Pattern(tuple(tokens))


def substitute(pattern: Pattern, values: Mapping[str, str]) -> Pattern | None:
    """The pattern with the values of its variables; None, where one has neither value nor default.

    A ``*`` in a value is the character.
    """
    tokens: list[Token] = []
    for token in pattern.tokens:
        if isinstance(token, Variable):
            value = values.get(token.name, token.default)
            if value is None:
                return None
            tokens.extend(value)
        else:
            tokens.append(token)
    return Pattern(tuple(tokens), pattern.nocase)


def relax(pattern: Pattern) -> Pattern:
    """The pattern with ``*`` for every variable: it matches all that the pattern may match."""
    return Pattern(
        tuple(Wild.ANY if isinstance(token, Variable) else token for token in pattern.tokens),
        pattern.nocase,
    )


def matches(pattern: Pattern, text: str) -> bool:
    """Whether the text is matched by a pattern without variables, in len(text) x len(pattern)."""
    reached = {0}
    tokens = pattern.tokens
    for character in text:
        following: set[int] = set()
        for at in _closed(reached, tokens):
            if at < len(tokens) and _takes(tokens[at], character, nocase=pattern.nocase):
                stays = tokens[at] in {Wild.ANY, Wild.SPAN}
                following.add(at if stays else at + 1)
        reached = following
    return len(tokens) in _closed(reached, tokens)


def _closed(reached: set[int], tokens: Sequence[Token]) -> set[int]:
    """The positions, and those after a run that may be empty."""
    closed: set[int] = set()
    for start in reached:
        at = start
        closed.add(at)
        while at < len(tokens) and tokens[at] in {Wild.ANY, Wild.SPAN}:
            at += 1
            closed.add(at)
    return closed


def _takes(token: Token, character: str, *, nocase: bool) -> bool:
    if isinstance(token, Wild):
        return token in {Wild.ANY, Wild.ONE} or character != ":"
    if isinstance(token, Variable):
        return False
    return token == character or (nocase and token.lower() == character.lower())
