"""Actions: their patterns, and what a list of AWS's actions knows of them.

An action that a reference does not list stays what it is written as: a pattern that matches no
known action, and every action of a service that is not known, counts by its text alone. A pattern
that does match known actions stands for these, and for no action that AWS may add later.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, Protocol

from chalicelib.drift.iam import glob
from chalicelib.drift.iam.automaton import find
from chalicelib.drift.iam.glob import Budget, Language, Pattern, Wild

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

MAX_MASKS: Final = 4_000  # patterns that an index remembers, some 3 kB each

ALPHABET: Final = "abcdefghijklmnopqrstuvwxyz0123456789-_:"

_ACTION: Final = Pattern((Wild.STEP, Wild.SPAN, ":", Wild.STEP, Wild.SPAN))


class Reference(Protocol):
    """The actions that AWS has, and when: ``service:Name``, each once, sorted without case."""

    @property
    def actions(self) -> Sequence[str]:
        """All of them."""
        ...

    @property
    def date(self) -> str:
        """The day that the list is of, ISO 8601."""
        ...


def text(value: str) -> str:
    """The canonical text of an action or a pattern of actions: lower case; ``*:*`` is ``*``.

    Raises: ValueError, for what can be no action.
    """
    settled = glob.render(glob.parse(value.lower(), variables=False))
    if settled in {"*", "*:*"}:
        return "*"
    service, colon, name = settled.partition(":")
    if not colon or not service or not name or set(settled) - set(ALPHABET) - set("*?"):
        raise ValueError("an action is *, or service:Name, with wildcards at most")
    return settled


def language(patterns: Iterable[str]) -> Language:
    """The patterns of canonical texts."""
    return tuple(glob.parse(one, variables=False) for one in patterns)


class Index:
    """A reference ready for look-ups, and itself one: make it once, compare many policies.

    Sets of known actions are integers, a bit an action.
    """

    def __init__(self, reference: Reference) -> None:
        self.actions: Sequence[str] = sorted(reference.actions, key=str.lower)
        self.date = reference.date
        self._lower = [action.lower() for action in self.actions]
        self._spans: dict[str, tuple[int, int]] = {}
        for index, action in enumerate(self._lower):
            service = action.partition(":")[0]
            first, _ = self._spans.get(service, (index, index))
            self._spans[service] = (first, index + 1)
        self._masks: dict[str, int] = {}
        self.all = (1 << len(self.actions)) - 1

    @property
    def services(self) -> Iterable[str]:
        """The services that have actions, lower case."""
        return self._spans.keys()

    def mask(self, pattern: str) -> int:
        """The known actions that a canonical text matches."""
        if pattern not in self._masks:
            if len(self._masks) >= MAX_MASKS:
                self._masks.clear()
            self._masks[pattern] = self._expand(pattern)
        return self._masks[pattern]

    def _expand(self, pattern: str) -> int:
        if pattern == "*":
            return self.all
        service = pattern.partition(":")[0]
        is_wild = "*" in service or "?" in service
        first, end = (0, len(self._lower)) if is_wild else self._spans.get(service, (0, 0))
        fits = _expression(pattern).fullmatch
        found = bytearray(len(self._lower) // 8 + 1)
        for index in range(first, end):
            if fits(self._lower[index]):
                found[index >> 3] |= 1 << (index & 7)
        return int.from_bytes(found, "little")


def _expression(pattern: str) -> re.Pattern[str]:
    """A regular expression for a canonical text that never goes back over what it matched.

    Between two ``*`` the first match is as good as any later one.
    """
    first, *rest = [re.escape(part).replace(r"\?", ".") for part in pattern.split("*")]
    middle = "".join(f"(?>.*?{part})" for part in rest[:-1])
    return re.compile(first + middle + (f".*{rest[-1]}" if rest else ""))


class Expansion:
    """What the patterns of two documents mean by a reference.

    ``patterns`` are all canonical texts of both. Without a reference nothing is known, and all is
    decided by the patterns alone.
    """

    def __init__(self, index: Index | None, patterns: Iterable[str]) -> None:
        self._index = index
        self._alien = tuple(
            pattern
            for pattern in sorted(set(patterns))
            if index is not None and not index.mask(pattern)
        )

    def _mask(self, index: Index, patterns: Iterable[str]) -> int:
        found = 0
        for pattern in patterns:
            found |= index.mask(pattern)
        return found

    def find(
        self, inside: Sequence[Sequence[str]], outside: Sequence[Sequence[str]], budget: Budget
    ) -> str | None:
        """An action that all of ``inside`` match and none of ``outside`` does; a known one first.

        Raises: Exhausted.
        """
        wanted = [(_ACTION,), *map(language, inside)]
        refused = [language(patterns) for patterns in outside]
        index = self._index
        if index is None:
            return find(wanted, refused, budget=budget, alphabet=ALPHABET)
        bits = index.all
        for patterns in inside:
            bits &= self._mask(index, patterns)
        for patterns in outside:
            bits &= ~self._mask(index, patterns)
        if bits:
            return index.actions[(bits & -bits).bit_length() - 1]
        if self._alien:
            alien = language(self._alien)
            found = find([*wanted, alien], refused, budget=budget, alphabet=ALPHABET)
            if found is not None:
                return found
        if _are_of(index.services, inside):
            return None
        known = language(f"{service}:*" for service in index.services)
        return find(wanted, [*refused, known], budget=budget, alphabet=ALPHABET)


def _are_of(services: Iterable[str], inside: Sequence[Sequence[str]]) -> bool:
    """Whether one of ``inside`` has patterns of these services only."""
    known = set(services)
    return any(
        all(pattern.partition(":")[0] in known for pattern in patterns) for patterns in inside
    )
