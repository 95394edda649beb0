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
        count = len(roll.names)
        inherits: list[list[int]] = [[] for _ in range(count)]
        sets: list[list[int]] = [[] for _ in range(count)]
        either: list[list[int]] = [[] for _ in range(count)]
        self.up: list[list[tuple[int, Edge]]] = [[] for _ in range(count)]
        self.admins: dict[int, int] = {}
        for edge in self.edges:
            member, role = roll.place(edge.member), roll.place(edge.role)
            either[role].append(member)
            self.up[member].append((role, edge))
            if edge.inherit:
                inherits[role].append(member)
            if edge.set:
                sets[role].append(member)
            if edge.admin:
                self.admins[role] = self.admins.get(role, 0) | 1 << member
        order = components(either)
        own = [1 << place for place in range(count)]
        self.users = spread(order, inherits, own)
        self.setters = spread(order, sets, own)
        self.members = spread(order, either, own)
        self.reachers = spread(order, inherits, self.setters)

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

    def reach(self, place: int) -> int:
        """The roles whose privileges one has after ``SET ROLE`` to any that it may, or has now."""
        return _mask(~one if one < 0 else one for one in self.above(place, becoming=True))


def _mask(places: Iterable[int]) -> int:
    found = 0
    for place in places:
        found |= 1 << place
    return found


def spread(order: Sequence[Sequence[int]], rows: Sequence[Sequence[int]], seed: Sequence[int]) -> list[int]:
    """For each role what it and everybody below it is seeded with, along ``rows`` to its members.

    ``order``: components of a graph that has all of these rows, members before their roles.
    """
    found = list(seed)
    for component in order:
        if len(component) == 1:
            [one] = component
            mask = found[one]
            for member in rows[one]:
                mask |= found[member]
            found[one] = mask
            continue
        changed = True
        while changed:  # a cycle: as often as its longest way
            changed = False
            for one in component:
                mask = found[one]
                for member in rows[one]:
                    mask |= found[member]
                changed |= mask != found[one]
                found[one] = mask
    return found


def components(rows: Sequence[Sequence[int]]) -> list[list[int]]:
    """Strongly connected components, each after those that its rows lead to (Tarjan 1972)."""
    count = len(rows)
    number = [0] * count
    low = [0] * count
    inside = [False] * count
    stack: list[int] = []
    found: list[list[int]] = []
    counter = 0
    for root in range(count):
        if number[root]:
            continue
        work = [(root, 0)]
        while work:
            at, next_row = work.pop()
            if next_row == 0:
                counter += 1
                number[at] = low[at] = counter
                stack.append(at)
                inside[at] = True
            for place in range(next_row, len(rows[at])):
                to = rows[at][place]
                if not number[to]:
                    work += [(at, place + 1), (to, 0)]
                    break
                if inside[to]:
                    low[at] = min(low[at], number[to])
            else:
                _close(at, number, low, stack, inside, found)
                if work:
                    above = work[-1][0]
                    low[above] = min(low[above], low[at])
    return found


def _close(
    at: int, number: list[int], low: list[int], stack: list[int], inside: list[bool], found: list[list[int]]
) -> None:
    """Take a component off the stack, where ``at`` is its first."""
    if low[at] != number[at]:
        return
    component: list[int] = []
    while not component or component[-1] != at:
        component.append(stack.pop())
        inside[component[-1]] = False
    found.append(component)
