"""Whether two patterns match some string both: exactly, in time of their lengths multiplied.

Quicker than the search of ``automaton``, which answers for unions and what is outside of them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from chalicelib.drift.iam.glob import Wild

if TYPE_CHECKING:
    from collections.abc import Callable

    from chalicelib.drift.iam.glob import Pattern, Token


class Overlap:
    """One pattern without variables, with letter case, to be held against others.

    A state is an integer of the places that a beginning of a string may have led to.
    """

    def __init__(self, pattern: Pattern) -> None:
        self._letters: dict[Token, int] = {}
        wild = dict.fromkeys(Wild, 0)
        for place, token in enumerate(pattern.tokens):
            if isinstance(token, Wild):
                wild[token] |= 1 << place
            else:
                self._letters[token] = self._letters.get(token, 0) | 1 << place
        self._wild = wild
        self._loops = wild[Wild.ANY] | wild[Wild.SPAN]
        self._end = 1 << len(pattern.tokens)
        self._colons = self._letters.get(":", 0)
        self._written = (self._end - 1) & ~self._loops

    def meets(self, other: Pattern) -> bool:
        """Whether some string is matched by both."""
        state = self._close(1)
        for token in other.tokens:
            match token:
                case Wild.ANY:
                    state = self._often(state, self._any)
                case Wild.SPAN:
                    state = self._often(state, self._no_colon)
                case Wild.ONE:
                    state = self._any(state)
                case Wild.STEP:
                    state = self._no_colon(state)
                case _:
                    state = self._letter(state, token)
            if not state:
                return False
        return bool(state & self._end)

    def _close(self, state: int) -> int:
        while (wider := state | ((state & self._loops) << 1)) != state:
            state = wider
        return state

    def _moved(self, state: int, moves: int, stays: int) -> int:
        return self._close(((state & moves) << 1) | (state & stays))

    def _any(self, state: int) -> int:
        return self._moved(state, self._written, self._loops)

    def _no_colon(self, state: int) -> int:
        return self._moved(state, self._written & ~self._colons, self._loops)

    def _letter(self, state: int, letter: Token) -> int:
        moves = self._letters.get(letter, 0) | self._wild[Wild.ONE]
        stays = self._wild[Wild.ANY]
        if letter != ":":
            moves |= self._wild[Wild.STEP]
            stays |= self._wild[Wild.SPAN]
        return self._moved(state, moves, stays)

    def _often(self, state: int, step: Callable[[int], int]) -> int:
        """The state after any number of letters."""
        while (wider := state | step(state)) != state:
            state = wider
        return state
