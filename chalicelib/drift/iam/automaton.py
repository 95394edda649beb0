"""Unions of patterns run side by side: a shortest string that some match and others do not.

A union is one automaton whose set of positions is an integer, a bit a position. Breadth first, so
that what is found is as short as can be; within a budget of states, so that hostile patterns end.
"""

from __future__ import annotations

from collections import deque
from functools import lru_cache
from itertools import takewhile
from typing import TYPE_CHECKING, Final

from chalicelib.drift.iam.glob import (
    Budget,
    Exhausted,
    Language,
    Pattern,
    Token,
    Variable,
    Wild,
    relax,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

MAX_TOKENS: Final = 60_000  # of all patterns of one search; AWS's longest policy has 10,240
MAX_SIMPLIFIED: Final = 100  # patterns of one search that are compared with each other first
COST_OF_MACHINES: Final = 20  # steps that making them is worth

_OTHERS = "xyzwvutsrqponmlkjihgfedcba0123456789XYZWVUTSRQPONMLKJIHGFEDCBA-_~"


def includes(outer: Language, inner: Language, *, budget: Budget | None = None) -> bool | None:
    """Whether all that ``inner`` matches, ``outer`` matches too; None: undecided.

    Undecided is what passes the bound, and what only the value of a variable would tell.
    """
    try:
        if find([inner], [outer], budget=budget or Budget()) is None:
            return True
    except Exhausted:
        return None
    return None if any(pattern.variables for pattern in (*inner, *outer)) else False


def meets(one: Language, other: Language, *, budget: Budget | None = None) -> bool | None:
    """Whether some string is matched by both; None: undecided, as in ``includes``."""
    languages = [tuple(map(relax, one)), tuple(map(relax, other))]
    try:
        if find(languages, [], budget=budget or Budget()) is None:
            return False
    except Exhausted:
        return None
    return None if any(pattern.variables for pattern in (*one, *other)) else True


def covers(outer: Pattern, inner: Pattern) -> bool:
    """Whether ``outer`` includes ``inner`` for a reason that is plain to see; quick, never wrong.

    Each wildcard and variable of ``inner`` must be taken by one of ``outer`` that takes all of it.
    """
    if outer.nocase != inner.nocase:
        return False
    machine = _Machine((outer,))
    state = machine.start
    for token in inner.tokens:
        state = machine.absorb(state, token)
        if not state:
            return False
    return bool(state & machine.accepting)


class _Machine:
    """A union of patterns, run by ``step`` from ``start``. A state is an integer of positions."""

    def __init__(self, language: Language) -> None:
        self.letters: dict[str | Variable, int] = {}
        self.start = self.accepting = self.sink = 0
        self._any = self._one = self._span = self._step = 0
        at = 0
        for pattern in language:
            self.start |= 1 << at
            for token in pattern.tokens:
                self._place(token, 1 << at, nocase=pattern.nocase)
                at += 1
            self.accepting |= 1 << at
            if pattern.tokens and pattern.tokens[-1] is Wild.ANY:
                self.sink |= 1 << (at - 1)
            at += 1
        self.size = at
        self.loops = self._any | self._span
        self.careful = self._span | self._step
        self.start = self._close(self.start)

    def _place(self, token: Token, bit: int, *, nocase: bool) -> None:
        match token:
            case Wild.ANY:
                self._any |= bit
            case Wild.ONE:
                self._one |= bit
            case Wild.SPAN:
                self._span |= bit
            case Wild.STEP:
                self._step |= bit
            case _:
                for letter in _cases(token) if nocase else (token,):
                    self.letters[letter] = self.letters.get(letter, 0) | bit

    def _close(self, state: int) -> int:
        while (wider := state | ((state & self.loops) << 1)) != state:
            state = wider
        return state

    def step(self, state: int, letter: str | Variable) -> int:
        """The state after one more letter. A variable is taken by itself and by ``*`` alone."""
        moves, stays = self.letters.get(letter, 0), self._any
        if isinstance(letter, str):
            moves |= self._one
            if letter != ":":
                moves |= self._step
                stays |= self._span
        return self._close(((state & moves) << 1) | (state & stays))

    def absorb(self, state: int, token: Token) -> int:
        """The state after all that one token of another pattern may match."""
        match token:
            case Wild.ANY:
                moves, stays = 0, self._any
            case Wild.SPAN:
                moves, stays = 0, self._any | self._span
            case Wild.ONE:
                moves, stays = self._one, self._any
            case Wild.STEP:
                moves, stays = self._one | self._step, self._any | self._span
            case _:
                return self.step(state, token)
        return self._close(((state & moves) << 1) | (state & stays))


def _cases(token: str | Variable) -> set[str | Variable]:
    if isinstance(token, Variable):  # what differs from its value in case is no value of it
        return {Variable(f"{token.name} without case", token.default)}
    return {
        form
        for form in (token, token.lower(), token.upper())
        if len(form) == 1 and form.lower() == token.lower()
    }


def find(
    inside: Sequence[Language],
    outside: Sequence[Language],
    *,
    budget: Budget,
    alphabet: str = "",
) -> str | None:
    """A shortest string in all languages ``inside`` and in none ``outside``; None: there is none.

    Variables are opaque letters: None is then a proof only where a single language is ``inside``;
    a string that is found has the variables' names in it, and proves nothing. ``alphabet``: the
    characters that strings may have; empty: all. Raises: Exhausted.
    """
    size = sum(len(p.tokens) + 1 for language in (*inside, *outside) for p in language)
    if size > MAX_TOKENS:
        raise Exhausted
    budget.spend(2 + size // 256)
    simpler = _simplified(list(dict.fromkeys(inside)), list(dict.fromkeys(outside)))
    if simpler is None:
        return None
    budget.spend(COST_OF_MACHINES)
    wanted, refused = ([_Machine(language) for language in side] for side in simpler)
    machines = [*wanted, *refused]
    letters, has_rest = _letters(machines, alphabet)
    cost = 1 + sum(machine.size for machine in machines) // 2048
    first = tuple(machine.start for machine in machines)
    came_from: dict[tuple[int, ...], tuple[tuple[int, ...], str | Variable] | None] = {first: None}
    queue = deque([first])
    while queue:
        state = queue.popleft()
        if _accepts(state, wanted, refused):
            return _spelled(state, came_from)
        for letter in _telling(state, machines, letters) if has_rest else letters:
            budget.spend(cost)
            following = tuple(map(_Machine.step, machines, state, [letter] * len(machines)))
            if following not in came_from and not _is_dead(following, wanted, refused):
                came_from[following] = (state, letter)
                queue.append(following)
    return None


def _simplified(
    inside: list[Language], outside: list[Language]
) -> tuple[list[Language], list[Language]] | None:
    """The same question without patterns that make no difference; None: there is plainly nothing.

    What patterns begin with tells many apart, and one pattern often includes another.
    """
    count = sum(map(len, inside)) + sum(map(len, outside))
    if count > MAX_SIMPLIFIED:
        return inside, outside
    inside = [
        tuple(one for one in language if all(_meets(one, other) for other in inside))
        for language in inside
    ]
    outside = [
        tuple(one for one in language if all(_meets(one, other) for other in inside))
        for language in outside
    ]
    if any(not language or _is_covered(language, outside) for language in inside):
        return None
    kept = list(inside)
    for language in inside:
        others = [other for other in kept if other is not language]
        if any(_is_covered(other, [language]) for other in others):
            kept = others
    return kept, [language for language in outside if language]


def _meets(one: Pattern, language: Language) -> bool:
    """Whether some pattern may begin as this one does."""
    prefix = _prefix(one)
    return any(
        prefix.startswith(other := _prefix(pattern)) or other.startswith(prefix)
        for pattern in language
    )


@lru_cache(maxsize=4_096)
def _prefix(pattern: Pattern) -> str:
    """What every match begins with, in lower case."""
    letters = takewhile(lambda token: isinstance(token, str), pattern.tokens)
    return "".join(map(str, letters)).lower()


def _is_covered(language: Language, by: Sequence[Language]) -> bool:
    return all(any(_covers(wide, one) for other in by for wide in other) for one in language)


@lru_cache(maxsize=4_096)
def _covers(outer: Pattern, inner: Pattern) -> bool:
    return outer == inner or covers(outer, inner)


def _letters(machines: Sequence[_Machine], alphabet: str) -> tuple[list[str | Variable], bool]:
    """Every letter that some pattern tells apart; last, one for all others, if there are others."""
    known = {letter for machine in machines for letter in machine.letters}
    if any(machine.careful for machine in machines):
        known.add(":")
    if alphabet:
        known = {letter for letter in known if str(letter) in alphabet}
    others = (c for c in (alphabet or _OTHERS) if c not in known)
    rest = next(others, "" if alphabet else _unused(known))
    return [*sorted(known, key=str), *([rest] if rest else [])], bool(rest)


def _unused(known: set[str | Variable]) -> str:
    return next(chr(c) for c in range(0x4E00, 0x9FFF) if chr(c) not in known)


def _telling(
    state: tuple[int, ...], machines: Sequence[_Machine], letters: Sequence[str | Variable]
) -> Iterator[str | Variable]:
    """The letters that lead to different states: those written next, a colon, and the rest's."""
    for letter in letters[:-1]:
        if (letter == ":" and any(m.careful & s for m, s in zip(machines, state, strict=True))) or (
            any(m.letters.get(letter, 0) & s for m, s in zip(machines, state, strict=True))
        ):
            yield letter
    yield from letters[-1:]


def _accepts(
    state: tuple[int, ...], wanted: Sequence[_Machine], refused: Sequence[_Machine]
) -> bool:
    return all(
        s & machine.accepting for s, machine in zip(state, wanted, strict=False)
    ) and not any(
        s & machine.accepting for s, machine in zip(state[len(wanted) :], refused, strict=True)
    )


def _is_dead(
    state: tuple[int, ...], wanted: Sequence[_Machine], refused: Sequence[_Machine]
) -> bool:
    """Whether nothing that follows can be accepted."""
    return not all(state[: len(wanted)]) or any(
        s & machine.sink for s, machine in zip(state[len(wanted) :], refused, strict=True)
    )


def _spelled(
    state: tuple[int, ...],
    came_from: Mapping[tuple[int, ...], tuple[tuple[int, ...], str | Variable] | None],
) -> str:
    letters: list[str] = []
    while (step := came_from[state]) is not None:
        state, letter = step
        letters.append(letter if isinstance(letter, str) else f"${{{letter.name}}}")
    return "".join(reversed(letters))
