"""Masks: what a change means for masking views, which the changed object alone does not tell.

A relation S.T is masked by a view ``S_masked.T``, or ``S_masked_<set>.T``, that is in the snapshot
with it. What is said of a change stands in its ``context``, where rules see it among attributes:

- ``unclassified``: a new column of a relation that is masked, and none of its views has it;
- ``past_masks``: a grant that leads past the masks. Who reads masking views is given a relation
  that is none; or everybody, or every lease, is given one that is masked.

Names alone decide. A schema of that name that is not ours is judged in the same way.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from chalicelib.kernel.names import identifier

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from chalicelib.drift.snapshot import Key, Snapshot, Value

UNCLASSIFIED: Final = "unclassified"
PAST_MASKS: Final = "past_masks"

SUFFIX: Final = "_masked"
EVERYBODY: Final = ("PUBLIC", "holdfast_lease")
GRANTOR: Final = "holdfast_grantor"  # hands out both, and nobody is a member of it
MASKER: Final = "holdfast_mask_"  # the beginning of the role that owns the views
RELATIONS: Final = ("table", "view")

_NAME: Final = re.compile(r'("(?:[^"]|"")+"|[^".]+)\.("(?:[^"]|"")+"|[^".]+)')


class Masks:
    """What two snapshots have of masking views."""

    __slots__ = ("_after", "_masked", "_masks", "_readers", "_views")

    def __init__(self, before: Snapshot, after: Snapshot) -> None:
        self._after = after
        self._masks: set[str] = set()  # the views that mask, on either side
        self._masked: set[Key] = set()  # what they mask
        self._views: dict[Key, list[str]] = {}  # of what there is after the change
        for taken in (before, after):
            for name, base in _found(taken):
                self._masks.add(name)
                self._masked.add(base)
                if taken is after:
                    self._views.setdefault(base, []).append(name)
        self._readers = self._reading(before) | self._reading(after) if self._masks else set()

    def context(
        self, kind: str, name: str, attributes: Mapping[str, Value], *, added: bool
    ) -> dict[str, bool]:
        """What rules are told of a change beside its object; empty, where masks are no matter.

        ``attributes``: of the object after the change; ``added``: whether it is a new one.
        """
        if not self._masks:
            return {}
        of = attributes.get("of")
        if kind == "column" and added and isinstance(of, str) and self._unclassified(name, of):
            return {UNCLASSIFIED: True}
        if kind == "grant" and isinstance(of, str) and self._past(name, of):
            return {PAST_MASKS: True}
        if kind == "default_privilege" and self._past_by_default(name):
            return {PAST_MASKS: True}
        return {}

    def _unclassified(self, name: str, of: str) -> bool:
        kind, _, relation = of.partition(" ")
        views = self._views.get((kind, relation), [])
        column = name[len(relation) + 1 :]
        return bool(views) and not any(
            ("column", f"{view}.{column}") in self._after.objects for view in views
        )

    def _past(self, name: str, of: str) -> bool:
        kind, _, thing = of.partition(" ")
        if kind not in {"column", *RELATIONS}:
            return False
        base = {thing} if kind != "column" else {thing, _relation(thing)}
        if base & self._masks:
            return False
        grantee = name[len(of) + len(" to ") :]
        if grantee in EVERYBODY:
            return any((one, what) in self._masked for one in RELATIONS for what in base)
        return grantee in self._readers

    def _past_by_default(self, name: str) -> bool:
        """Whether who reads masks is given tables still to come, of another schema than theirs."""
        if not name.startswith("tables of "):
            return False
        for one in self._readers:
            if name.endswith(f" to {one}"):
                schema = name.removesuffix(f" to {one}").rpartition(" in ")[2]
                return not any(_splits(_plain(schema)))
        return False

    def _reading(self, taken: Snapshot) -> set[str]:
        """Who is granted a masking view, or a column of one; not everybody, nor who hands out."""
        found = set()
        for (kind, name), item in taken.objects.items():
            of = item.attributes.get("of")
            if kind != "grant" or not isinstance(of, str):
                continue
            sort, _, thing = of.partition(" ")
            if thing in self._masks or (sort == "column" and _relation(thing) in self._masks):
                found.add(name[len(of) + len(" to ") :])
        return {one for one in found if one not in {*EVERYBODY, GRANTOR} and MASKER not in one}


def _found(taken: Snapshot) -> Iterator[tuple[str, Key]]:
    """Each view of a snapshot that masks, and the relation there that it masks."""
    for kind, name in taken.objects:
        parts = _NAME.fullmatch(name) if kind == "view" and SUFFIX in name else None
        if parts is None:
            continue
        for schema in _splits(_plain(parts[1])):
            masked = f"{identifier(schema)}.{parts[2]}"
            for one in RELATIONS:
                if (one, masked) in taken.objects:
                    yield name, (one, masked)


def _splits(schema: str) -> Iterator[str]:
    """The schemas whose masking views a schema of this name may hold."""
    at = schema.find(SUFFIX, 1)
    while at > 0:
        if schema[at + len(SUFFIX) :][:1] in {"", "_"}:
            yield schema[:at]
        at = schema.find(SUFFIX, at + 1)


def _relation(column: str) -> str:
    """The relation of a column's whole name."""
    found = _NAME.match(column)
    return found[0] if found else ""


def _plain(part: str) -> str:
    """An identifier without its quotes."""
    return part[1:-1].replace('""', '"') if part.startswith('"') else part
