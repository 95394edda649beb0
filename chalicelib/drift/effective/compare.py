"""What became effective, and what no longer is: rectangles of roles and privileges.

1. Only what changed is looked at: objects whose owner or entries did, and those that are named by a
   role above one whose members, or who may become it, did.
2. Of each privilege there, who has it is a set on either side; the differences are sets too.
3. Privileges that came or went for the same roles are one rectangle.

A membership that gives a group of 2,500 a role with 10,000 tables is one rectangle. Cost: one OR of
sets for each membership (both sides), one look at every object's key, and for each object that is
looked at one remembered closure a privilege; nothing is ever listed by role and object.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias

from chalicelib.drift.effective.answer import WHOLE
from chalicelib.drift.effective.closure import Effective, Sets
from chalicelib.drift.effective.graph import Roll
from chalicelib.drift.effective.inputs import Inputs
from chalicelib.drift.effective.privileges import PREDEFINED, PRIVILEGES, ROLE

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from chalicelib.drift.snapshot import Key, Snapshot

USE: Final = "use"
BECOME: Final = "become"  # somebody who may use it
GRANT: Final = "grant"  # it on to others
HOW: Final = (USE, BECOME, GRANT)


Cell: TypeAlias = tuple[str, int, "Key", str]
"""How, for which roles, on what, which privilege."""


class Rectangle(NamedTuple):
    """Every one of ``roles`` (a set, as places of the roll) and every privilege on each thing."""

    how: str
    roles: int
    things: Mapping[Key, tuple[str, ...]]


class Comparison(NamedTuple):
    """What came, and what went. ``sides``: for names of roles, and for questions."""

    gained: list[Rectangle]
    lost: list[Rectangle]
    sides: tuple[Effective, Effective]


def sides(before: Snapshot, after: Snapshot, database: str = "") -> tuple[Effective, Effective]:
    """Both sides of a comparison, with one roll of names. Raises: Unsupported, as ``Roll``."""
    inputs = [Inputs(one, database) for one in (before, after)]
    roll = Roll()
    for one in inputs:
        for name in one.names():
            roll.place(name)
        for edge in one.edges:
            roll.place(edge.member)
            roll.place(edge.role)
    for name in PREDEFINED:
        roll.place(name)
    old, new = (Effective(one, roll) for one in inputs)
    new.share(old, frozenset(_touched(old, new)))
    return old, new


def compare(before: Snapshot, after: Snapshot, database: str = "") -> Comparison:
    """What is effective in one and not in the other. Raises: Unsupported, as ``sides``.

    Superusers count on the cluster alone (``superuser``), not once more on every object.
    """
    old, new = sides(before, after, database)
    gained: list[Cell] = []
    lost: list[Cell] = []
    alike: dict[tuple[int, ...], tuple[list[Cell], list[Cell]]] = {}
    for thing in _changed(old, new):
        for privilege in sorted({*old.offered(thing), *new.offered(thing)}):
            key = _masks(old, new, thing, privilege)
            if key not in alike or not key:
                was, now = (known(one, thing, privilege, old, new) for one in (old, new))
                alike[key] = (
                    list(cells(thing, privilege, differing(now, was), (old, new))),
                    list(cells(thing, privilege, differing(was, now), (old, new))),
                )
            for found, template in zip((gained, lost), alike[key], strict=True):
                found.extend((how, roles, thing, privilege) for how, roles, *_ in template)
    return Comparison(rectangles(gained), rectangles(lost), (old, new))


def _masks(old: Effective, new: Effective, thing: Key, privilege: str) -> tuple[int, ...]:
    """What decides who may, where that is its entries alone; else nothing."""
    if not (old.is_whole(thing) and new.is_whole(thing)):
        return ()
    sides = (old.acl(thing), new.acl(thing))
    return tuple(
        mask for one in sides for mask in (one.held.get(privilege, 0), one.option.get(privilege, 0))
    )


def cells(
    thing: Key, privilege: str, found: Iterable[tuple[str, int]], both: tuple[Effective, Effective]
) -> Iterator[Cell]:
    """What differs, without superusers and who may become one: these may everything already."""
    old, new = both
    supers = old.supers | new.supers
    setters = supers | old.super_setters | new.super_setters
    for how, mask in found:
        left = mask if thing == WHOLE else mask & ~(setters if how == BECOME else supers)
        if left:
            yield how, left, thing, privilege


def differing(more: Sets, less: Sets) -> Iterator[tuple[str, int]]:
    """Who has what one side gives and the other does not, by how."""
    use = more.use & ~less.use
    yield USE, use
    yield BECOME, more.reach & ~less.reach & ~more.use
    yield GRANT, more.option & ~less.option


def known(side: Effective, thing: Key, privilege: str, old: Effective, new: Effective) -> Sets:
    """Who may, on one side; of an object of the server, with what the other side says was lost.

    A snapshot has what differs from how these came. What either side says a grantee lacks, it came
    with, and the other side has it unless it says so too.
    """
    found = side.sets(thing, privilege)
    if thing in side.inputs.owners or thing[0] not in PRIVILEGES:
        return found
    lacking = side.inputs.lacks(thing)
    came = {
        grantee
        for one in (old, new)
        for grantee, lost in one.inputs.lacks(thing).items()
        if privilege in lost and privilege not in lacking.get(grantee, ())
    }
    mask = 0
    for name in came:
        mask |= 1 << side.roll.place(name)
    return found._replace(use=found.use | side.users(mask), reach=found.reach | side.reachers(mask))


def rectangles(several: Iterable[Cell]) -> list[Rectangle]:
    """Cells with the same roles as one, the largest first."""
    grouped: dict[tuple[str, int], dict[Key, list[str]]] = {}
    for how, roles, thing, privilege in several:
        grouped.setdefault((how, roles), {}).setdefault(thing, []).append(privilege)
    found = [
        Rectangle(how, roles, {thing: tuple(sorted(some)) for thing, some in things.items()})
        for (how, roles), things in grouped.items()
    ]
    found.sort(key=lambda one: (HOW.index(one.how), -one.roles.bit_count(), -len(one.things)))
    return found


def _changed(old: Effective, new: Effective) -> list[Key]:
    """What may be effective otherwise: 1 of the module's docstring."""
    found = set(_touched(old, new)) | {WHOLE}
    moved = 0
    for place, name in enumerate(old.roll.names):
        closures = [
            (
                one.graph.users[place],
                one.graph.reachers[place],
                one.graph.setters[place],
            )
            for one in (old, new)
        ]
        if closures[0] != closures[1]:
            moved |= 1 << place
            found.add((ROLE, name))
    for place in old.graph.admins.keys() | new.graph.admins.keys():
        found.add((ROLE, old.roll.names[place]))
    found |= old.near(moved) | new.near(moved)
    return sorted(found)


def _touched(old: Effective, new: Effective) -> Iterator[Key]:
    """Objects whose owner, or an entry on which, is another one."""
    before, after = old.inputs, new.inputs
    for thing in before.owners.keys() | after.owners.keys():
        if before.owners.get(thing) != after.owners.get(thing):
            yield thing
    for thing in before.entries.keys() | after.entries.keys():
        was, now = before.entries.get(thing, {}), after.entries.get(thing, {})
        if was.keys() != now.keys() or any(
            before.snapshot.objects[key].line != after.snapshot.objects[key].line
            for key in was.values()
        ):
            yield thing
    for column, table in _columns(old, new):
        if before.owners.get(table) != after.owners.get(table):
            yield column


def _columns(old: Effective, new: Effective) -> Iterator[tuple[Key, Key]]:
    """Columns with entries of their own, each with its table."""
    for thing in old.inputs.entries.keys() | new.inputs.entries.keys():
        if thing[0] == "column":
            table = old.relation(thing[1]) or new.relation(thing[1])
            if table is not None:
                yield thing, table
