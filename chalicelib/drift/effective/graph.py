"""The role graph: who has whose privileges, who may become whom. Sets of roles are integers.

A bit a role, so that a set of 5,000 roles is 625 bytes, and a closure of them one OR for each
membership. Cycles, which no server lets anybody make, are one role to what is computed here.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Final, NamedTuple

from chalicelib.drift.effective.privileges import PUBLIC
from chalicelib.kernel.errors import Unsupported

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

MAX_ROLES: Final = 20_000  # a closure takes at most MAX_ROLES² / 16 bytes: 25 MB
EVERYBODY: Final = 0  # the place of PUBLIC


class Edge(NamedTuple):
    """A membership: who is a member of what, and what the server lets him do with it."""

    member: str
    role: str
    inherit: bool
    set: bool
    admin: bool


class Roll:
    """Names of roles, each at a place; PUBLIC at the first. Two sides of a comparison share one."""

    def __init__(self) -> None:
        self.names: list[str] = [PUBLIC]
        self._at = {PUBLIC: EVERYBODY}

    def place(self, name: str) -> int:
        """Where a name is, from now on. Raises: Unsupported, above MAX_ROLES."""
        at = self._at.get(name)
        if at is None:
            if len(self.names) > MAX_ROLES:
                raise Unsupported(f"more than {MAX_ROLES} roles: effective grants are not computed")
            at = self._at[name] = len(self.names)
            self.names.append(name)
        return at

    def find(self, name: str) -> int | None:
        """Where a name is, if it is there."""
        return self._at.get(name)

    @property
    def all(self) -> int:
        """Everybody, PUBLIC included."""
        return (1 << len(self.names)) - 1


class Step(NamedTuple):
    """How a role was come to: from which, and by what."""

    source: int
    how: str


INHERITS: Final = "inherits"
BECOMES: Final = "SET ROLE"


class Graph:
    """Closures over memberships. ``users[g]``: who has the privileges of g, itself included.

    ``setters[g]``: who may ``SET ROLE`` to g. ``reachers[g]``: who may become somebody that has the
    privileges of g. ``members[g]``: who is a member by any options. Building them takes one OR of
    sets for each membership.
    """

    def __init__(self, roll: Roll, edges: Iterable[Edge]) -> None:
        self.roll = roll
        self.edges = list(edges)
        places = [(roll.place(one.member), roll.place(one.role)) for one in self.edges]
        count = len(roll.names)
        inherits: list[list[int]] = [[] for _ in range(count)]
        sets: list[list[int]] = [[] for _ in range(count)]
        either: list[list[int]] = [[] for _ in range(count)]
        self.up: list[list[tuple[int, Edge]]] = [[] for _ in range(count)]
        self.admins: dict[int, int] = {}  # of a role: who is a member WITH ADMIN OPTION
        for (member, role), edge in zip(places, self.edges, strict=True):
            either[role].append(member)
            self.up[member].append((role, edge))
            if edge.inherit:
                inherits[role].append(member)
            if edge.set:
                sets[role].append(member)
            if edge.admin:
                self.admins[role] = self.admins.get(role, 0) | 1 << member
        own = [1 << place for place in range(count)]
        inheriting = components(inherits)
        self.users = spread(inheriting, inherits, own)
        self.setters = spread(components(sets), sets, own)
        self.members = spread(components(either), either, own)
        self.reachers = spread(inheriting, inherits, self.setters)

    def above(self, place: int, *, becoming: bool) -> dict[int, Step | None]:
        """Every role whose privileges one has, with the step on the shortest way to it.

        ``becoming``: whose privileges it has after ``SET ROLE`` to another; keys of these are the
        role's place, or its complement (~place) where it was come to by ``SET ROLE`` alone.
        """
        found: dict[int, Step | None] = {~place if becoming else place: None}
        queue = deque(found)
        while queue:
            at = queue.popleft()
            is_set = at < 0
            for role, edge in self.up[~at if is_set else at]:
                if is_set and edge.set and ~role not in found:
                    found[~role] = Step(at, BECOMES)
                    queue.append(~role)
                if edge.inherit and role not in found:
                    found[role] = Step(at, INHERITS)
                    queue.append(role)
        return found

    def rights(self, place: int) -> int:
        """The roles whose privileges one has, itself included."""
        return _mask(self.above(place, becoming=False))

    def over(self, place: int) -> int:
        """A role, and all that it is a member of, by whatever options."""
        found, queue = 1 << place, [place]
        while queue:
            for role, _ in self.up[queue.pop()]:
                if not found >> role & 1:
                    found |= 1 << role
                    queue.append(role)
        return found

    def becomes(self, place: int) -> int:
        """The roles that one may ``SET ROLE`` to, itself included."""
        return _mask(~one for one in self.above(place, becoming=True) if one < 0)

    def reach(self, place: int) -> int:
        """The roles whose privileges one has after ``SET ROLE`` to any that it may, or has now."""
        return _mask(~one if one < 0 else one for one in self.above(place, becoming=True))


def _mask(places: Iterable[int]) -> int:
    found = 0
    for place in places:
        found |= 1 << place
    return found


def spread(
    order: Sequence[Sequence[int]], rows: Sequence[Sequence[int]], seed: Sequence[int]
) -> list[int]:
    """For each role what it and everybody below it is seeded with, along ``rows`` to its members.

    ``order``: the components of ``rows``, members before their roles.
    """
    found = list(seed)
    for component in order:
        mask = 0
        for one in component:
            mask |= found[one]
            for member in rows[one]:
                mask |= found[member]
        for one in component:
            found[one] = mask
    return found


def components(rows: Sequence[Sequence[int]]) -> list[list[int]]:
    """Strongly connected components, each after those that its rows lead to (Tarjan 1972)."""
    return _Tarjan(rows).found


class _Tarjan:
    """The walk, without recursion: nobody says how deep roles are in roles."""

    def __init__(self, rows: Sequence[Sequence[int]]) -> None:
        self.rows = rows
        self.found: list[list[int]] = []
        self._number = [0] * len(rows)  # in the order in which they are come to, from 1
        self._low = [0] * len(rows)
        self._inside = [False] * len(rows)
        self._stack: list[int] = []
        self._counter = 0
        for root in range(len(rows)):
            if not self._number[root]:
                self._walk(root)

    def _walk(self, root: int) -> None:
        work = [(root, 0)]
        while work:
            at, first = work.pop()
            if first == 0:
                self._enter(at)
            for place in range(first, len(self.rows[at])):
                to = self.rows[at][place]
                if not self._number[to]:
                    work += [(at, place + 1), (to, 0)]
                    break
                if self._inside[to]:
                    self._low[at] = min(self._low[at], self._number[to])
            else:
                self._leave(at)
                if work:
                    above = work[-1][0]
                    self._low[above] = min(self._low[above], self._low[at])

    def _enter(self, at: int) -> None:
        self._counter += 1
        self._number[at] = self._low[at] = self._counter
        self._stack.append(at)
        self._inside[at] = True

    def _leave(self, at: int) -> None:
        if self._low[at] != self._number[at]:
            return
        component: list[int] = []
        while not component or component[-1] != at:
            component.append(self._stack.pop())
            self._inside[component[-1]] = False
        self.found.append(component)
