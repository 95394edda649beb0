"""Arrivals: what later versions of PostgreSQL tell of objects that were there before.

Each is explained where it says what could not have been otherwise on the older server. Pure.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from chalicelib.drift.diff import Change, Operation
from chalicelib.drift.snapshot import parent_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from chalicelib.drift.snapshot import Snapshot, Value

MULTIRANGES: Final = 14  # since when a range type has one
_WHOLE: Final = 50  # characters of a name with which the server makes another, and cuts nothing


def reason(change: Change, sides: tuple[Snapshot, Snapshot], majors: tuple[int, int]) -> str:
    """Why a change comes with a later version; empty, where it may be somebody's doing.

    ``sides`` and ``majors``: the snapshots before and after, and their servers' major versions.
    """
    old, new = majors
    if change.operation is Operation.ADDED:
        came = old < MULTIRANGES <= new and _is_cast_of_multirange(change, sides)
        return (
            f"from {MULTIRANGES} on the server makes this cast with the range type" if came else ""
        )
    since, expected = _ARRIVED.get((change.kind, change.attribute), (0, None))
    if (
        expected is None
        or change.operation is not Operation.ALTERED
        or change.before is not None
        or change.after is None
        or not old < since <= new
        or change.after != expected(change, *sides)
    ):
        return ""
    return f"PostgreSQL {since} and later tell this, and before it could be nothing else"


def _is_cast_of_multirange(change: Change, sides: tuple[Snapshot, Snapshot]) -> bool:
    """Whether it is the cast that comes with a multirange that came with the version."""
    name, _, multirange = change.name.partition(" as ")
    before, after = (taken.objects.get(("type", name)) for taken in sides)
    return (
        change.kind == "cast"
        and before is not None
        and after is not None
        and before.attributes.get("form") == after.attributes.get("form") == "range"
        and "multirange" not in before.attributes
        and after.attributes.get("multirange") == multirange
        and not change.parts
        and change.new
        == {"context": "explicit", "function": f"{multirange}({name})", "method": "function"}
    )


def _inherits(change: Change, before: Snapshot, after: Snapshot) -> Value:
    """Before 16 a membership was inherited where its member inherits. Source: GRANT, release 16."""
    member = parent_of(change.new or {})
    sides = [taken.objects.get(member) for taken in (before, after) if member is not None]
    said = {item.attributes.get("inherit") if item is not None else None for item in sides}
    return said.pop() if len(said) == 1 else None


def _multirange(change: Change, _before: Snapshot, _after: Snapshot) -> Value:
    """The name that the server gives. Source: typecmds.c, makeMultirangeTypeName."""
    schema, _, name = change.name.rpartition(".")
    if '"' in change.name or len(name) > _WHOLE:
        return None
    made = name.replace("range", "multirange", 1) if "range" in name else f"{name}_multirange"
    return f"{schema}.{made}"


# Since when the server tells an attribute, and what it is where nobody did anything.
_ARRIVED: Final[
    dict[tuple[str, str], tuple[int, Callable[[Change, Snapshot, Snapshot], Value]]]
] = {
    ("type", "multirange"): (MULTIRANGES, _multirange),
    ("database", "locale_provider"): (15, lambda *_: "libc"),  # before, there was no other
    ("membership", "set"): (16, lambda *_: True),  # before, every member could
    ("membership", "inherit"): (16, _inherits),
    ("publication", "generated_columns"): (18, lambda *_: "none"),  # before, none could be
}
