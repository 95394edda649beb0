"""Chains of roles: who comes to whom, by edges from principals to roles, in any number of steps.

Principals and roles are places in one order; sets of them are integers, a bit a place.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from chalicelib.drift.iam.roll import bits, union

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

MAX_THROUGH: Final = 20  # roles that are named


class Edges:
    """From each principal to the roles that it may take: ``rows``, and the other way round."""

    def __init__(self, rows: Sequence[int]) -> None:
        self.rows = rows
        alike: dict[int, int] = {}
        for place, row in enumerate(rows):
            alike[row] = alike.get(row, 0) | 1 << place
        self._into: dict[int, int] = {}
        for row, principals in alike.items():
            for role in bits(row):
                self._into[role] = self._into.get(role, 0) | principals

    def into(self, roles: int) -> int:
        """Who may take one of the roles."""
        return union(self._into.get(role, 0) for role in bits(roles))


class Spread:
    """Who reaches a goal. ``seeds`` do by themselves; each level may take roles of the one before.

    ``first`` are the edges that lead to the seeds, ``later`` those that lead to the others. With
    ``is_in`` false the seeds count only where they lead to other seeds. ``never``: who does not
    count at all.
    """

    def __init__(
        self, seeds: int, first: Edges, later: Edges, *, is_in: bool = True, never: int = 0
    ) -> None:
        self.members = seeds if is_in else 0
        self._levels = [(seeds, is_in)]
        self._behind: dict[int, int] = {}
        edges = first
        while self._levels[-1][0]:
            reached, _ = self._levels[-1]
            found = edges.into(reached) & ~self.members & ~never
            known: dict[int, int] = {}
            for place in bits(found):
                near = edges.rows[place] & reached
                if near not in known:
                    known[near] = self._chain(near, len(self._levels) - 1)
                self._behind[place] = known[near]
            self.members |= found
            self._levels.append((found, True))
            edges = later

    def _chain(self, near: int, level: int) -> int:
        """Roles of one level and those of the shortest chains from them, as ``MAX_THROUGH`` says.

        The roles are followed in order until there are enough.
        """
        found = 0
        for role in bits(near):
            found |= 1 << role | (self._behind.get(role, 0) if level else 0)
            if found.bit_count() >= MAX_THROUGH:
                break
        return _first(found)

    def through(self, place: int) -> int:
        """The roles of a member's shortest chains: at most MAX_THROUGH."""
        return self._behind.get(place, 0)

    def nearest(self, roles: int) -> int:
        """The roles of the shortest chains of somebody else who may take these; 0: none leads."""
        for number, (level, counts) in enumerate(self._levels):
            if counts and roles & level:
                return self._chain(roles & level, number)
        return 0


def _first(mask: int) -> int:
    found = 0
    for count, place in enumerate(bits(mask)):
        if count == MAX_THROUGH:
            break
        found |= 1 << place
    return found


def named(mask: int, names: Mapping[int, str]) -> list[str]:
    """The names of the first MAX_THROUGH of a set, sorted."""
    return sorted(names[place] for place in bits(_first(mask)))
