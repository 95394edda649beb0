"""Rectangles in words: ``alice and 11 more gain select, insert on 3 tables: public.orders, …``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from chalicelib.drift.effective.compare import BECOME, GRANT, HOW
from chalicelib.drift.effective.graph import EVERYBODY
from chalicelib.drift.effective.privileges import (
    ADMIN,
    ATTRIBUTES,
    CLUSTER,
    PREDEFINED,
    ROLE,
    words,
)
from chalicelib.drift.iam.roll import bits

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from chalicelib.drift.effective.compare import Rectangle
    from chalicelib.drift.snapshot import Key

OWNERSHIP: Final = "ownership"  # what an owner may beside privileges: alter, drop, grant
MAX_NAMED: Final = 3  # objects that a sentence names
MAX_ALIKE: Final = 3  # sentences of the same privileges, for other roles

_ORDER: Final = (
    CLUSTER,
    "table",
    "view",
    "column",
    "function",
    "large_object",
    "sequence",
    "server",
)
_POWERS: Final = (*ATTRIBUTES, *PREDEFINED)  # superuser first, so that no cut leaves it out
_KINDS: Final = {"foreign_data_wrapper": "foreign data wrapper", "large_object": "large object"}


def sentences(several: Iterable[Rectangle], names: Sequence[str], *, came: bool) -> list[str]:
    """A sentence for each kind of each rectangle, what matters most first. ``came``: or lost."""
    grouped: dict[tuple[str, str, tuple[str, ...]], list[tuple[int, list[Key]]]] = {}
    for one in several:
        parts: dict[tuple[str, tuple[str, ...]], list[Key]] = {}
        for thing, privileges in one.things.items():
            parts.setdefault((thing[0], privileges), []).append(thing)
        for (kind, privileges), things in parts.items():
            grouped.setdefault((one.how, kind, privileges), []).append((one.roles, things))
    found: list[tuple[tuple[bool, int, int, int], str]] = []
    for (how, kind, privileges), parts_of in grouped.items():
        for roles, things, each in _merged(parts_of):
            who, many = people(roles, names)
            rank = _ORDER.index(kind) if kind in _ORDER else len(_ORDER)
            place = (kind != CLUSTER, HOW.index(how), rank, -roles.bit_count() * len(things))
            verb = _verb(how, kind, many=many, came=came)
            found.append((place, f"{who} {verb}{_what(kind, privileges, things)}{each}"))
    return [text for _, text in sorted(found)]


def fitting(several: Sequence[str], most: int) -> list[str]:
    """At most ``most`` sentences; the last one says how many are left out."""
    if len(several) <= most:
        return list(several)
    left = len(several) - most + 1
    return [*several[: most - 1], f"and {left} more: holdfast drift effective lists everything"]


def _merged(parts: Sequence[tuple[int, list[Key]]]) -> list[tuple[int, list[Key], str]]:
    """A few rectangles as they are; many as one, which not everybody has all of."""
    if len(parts) <= MAX_ALIKE:
        return [(roles, things, "") for roles, things in parts]
    everybody = 0
    for roles, _ in parts:
        everybody |= roles
    things = sorted({thing for _, some in parts for thing in some})
    return [(everybody, things, ", each of them on some or all")]


def people(roles: int, names: Sequence[str]) -> tuple[str, bool]:
    """A set of roles in words, and whether they are many."""
    if roles >> EVERYBODY & 1:
        return "everybody", False
    count = roles.bit_count()
    first = [names[place] for place, _ in zip(bits(roles), range(2), strict=False)]
    if count > 2:  # noqa: PLR2004 - two are both named
        first = [first[0], f"{count - 1} more"]
    return " and ".join(first), count > 1


def _verb(how: str, kind: str, *, many: bool, came: bool) -> str:
    no_longer = "" if came else "no longer "
    if how == BECOME:
        with_it = "that may " if kind in {CLUSTER, ROLE} else "with "
        return f"may {no_longer}become a role {with_it}"
    if how == GRANT:
        return f"may {no_longer}hand on "
    if kind in {CLUSTER, ROLE}:
        return f"may {no_longer}"
    return ("gain" if came else "lose") + ("" if many else "s") + " "


def _what(kind: str, privileges: tuple[str, ...], things: Sequence[Key]) -> str:
    if kind == CLUSTER:
        several = sorted(privileges, key=lambda one: _POWERS.index(one) if one in _POWERS else -1)
        return "; ".join(ATTRIBUTES.get(one) or PREDEFINED.get(one, one) for one in several)
    if kind == ROLE:
        named = _named([name for _, name in things])
        done = "grant" if privileges == (ADMIN,) else "act as"
        return f"{done} {'role' if len(things) == 1 else 'roles'} {named}"
    said = ", ".join(words(one) for one in privileges)
    kind = _KINDS.get(kind, kind)
    if len(things) == 1:
        return f"{said} on {kind} {things[0][1]}"
    return f"{said} on {len(things)} {kind}s: {_named([name for _, name in things])}"


def _named(names: Sequence[str]) -> str:
    shown = sorted(names)
    return ", ".join([*shown[:MAX_NAMED], *(["…"] if len(shown) > MAX_NAMED else [])])
