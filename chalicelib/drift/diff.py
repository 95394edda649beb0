"""The diff: what is different between two snapshots, object by object and attribute by attribute.

Generic over every kind of target. What either snapshot could not read is never called removed or
added; it is the coverage that changed.
"""

from __future__ import annotations

import enum
from collections import Counter
from typing import TYPE_CHECKING

import msgspec

from chalicelib.drift.masks import Masks
from chalicelib.drift.snapshot import (
    COVERAGE,
    Key,
    Object,
    Snapshot,
    Value,
    build,
    line,
    parent_of,
)
from chalicelib.kernel import canon, merkle

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

SPEAKS_FOR_ITSELF = frozenset({
    "grant", "membership", "role_setting", "default_privilege",
    "iam_access_key", "iam_attachment", "iam_inline_policy", "iam_membership",
    "security_group_rule",
})  # fmt: skip
"""Kinds that stay findings of their own when they arrive with their parent: who may do what."""

LEADS = {("extension", "schema"): "extension_member", ("extension", "version"): "extension_member"}
"""Attributes of a parent that change its children too, which are then parts of that change."""
MOVES = frozenset({("extension", "schema")})
"""Those of ``LEADS`` that give children other names and leave them as they are."""


class Operation(enum.Enum):
    """What happened to an object."""

    ADDED = "added"
    REMOVED = "removed"
    ALTERED = "altered"
    UNREADABLE = "unreadable"  # objects of this kind could not be read: nobody can tell


class Change(msgspec.Struct, frozen=True):
    """One object added or removed, or one attribute of it altered.

    For ``ALTERED``, ``attribute`` is named, ``before`` and ``after`` are its values (None: absent).
    For the others ``attribute`` is empty, ``before`` and ``after`` all attributes, or None.
    ``old`` and ``new`` are the whole object's attributes on either side, for rules that look there.
    ``parts`` are the children that came or went with it (a table's columns), or followed it
    (``LEADS``), ``parts_root`` the Merkle root over their lines, hexadecimal. ``context``: what
    only other objects of the snapshots tell of it, as rules see it among attributes (``masks``).
    """

    operation: Operation
    kind: str
    name: str
    attribute: str
    before: Value
    after: Value
    old: dict[str, Value] | None
    new: dict[str, Value] | None
    parts: tuple[Key, ...] = ()
    parts_root: str = ""
    context: dict[str, bool] = {}

    @property
    def key(self) -> Key:
        """The object that changed."""
        return (self.kind, self.name)


def diff(before: Snapshot, after: Snapshot) -> list[Change]:
    """Every change from ``before`` to ``after``, in the order of ``(kind, name, attribute)``.

    Children that came or went together with their parent are ``parts`` of the parent's change.
    """
    hidden_before = _unlisted_kinds(before)
    hidden_after = _unlisted_kinds(after)
    added = {
        key: item
        for key, item in after.objects.items()
        if key not in before.objects and item.kind != COVERAGE and item.kind not in hidden_before
    }
    removed = {
        key: item
        for key, item in before.objects.items()
        if key not in after.objects and item.kind != COVERAGE and item.kind not in hidden_after
    }
    changes = [
        *_arrivals(Operation.ADDED, added),
        *_arrivals(Operation.REMOVED, removed),
        *_alterations(before, after),
        *_unreadable(before, after),
    ]
    masks = Masks(before, after)
    told = (_told(change, masks) for change in _led(changes))
    return sorted(told, key=lambda change: (change.kind, change.name, change.attribute))


def _told(change: Change, masks: Masks) -> Change:
    """The change with its context."""
    added = change.operation is Operation.ADDED
    if change.operation is Operation.REMOVED:
        return change
    context = masks.context(change.kind, change.name, change.new or {}, added=added)
    return msgspec.structs.replace(change, context=context) if context else change


def _unreadable_kinds(snapshot: Snapshot) -> set[str]:
    return {name for kind, name in snapshot.objects if kind == COVERAGE}


def _unlisted_kinds(snapshot: Snapshot) -> set[str]:
    """Kinds of which objects may be there that were not seen."""
    return {
        name
        for (kind, name), item in snapshot.objects.items()
        if kind == COVERAGE and item.attributes.get("listed") is not True
    }


def _arrivals(operation: Operation, items: dict[Key, Object]) -> Iterator[Change]:
    """Objects added or removed; those whose parent came or went with them become its parts."""
    parts: dict[Key, list[Object]] = {}
    for item in items.values():
        if _follows_parent(operation, item) and item.parent in items:
            parts.setdefault(_eldest(operation, item, items), []).append(item)
    folded = {child.key for children in parts.values() for child in children}
    for key, item in items.items():
        if key in folded:
            continue
        attributes = dict(item.attributes)
        children = parts.get(key, [])
        yield Change(
            operation=operation,
            kind=item.kind,
            name=item.name,
            attribute="",
            before=None if operation is Operation.ADDED else attributes,
            after=attributes if operation is Operation.ADDED else None,
            old=None if operation is Operation.ADDED else attributes,
            new=attributes if operation is Operation.ADDED else None,
            parts=tuple(child.key for child in children),
            parts_root=merkle.root(map(line, children)).hex() if children else "",
        )


def _follows_parent(operation: Operation, item: Object) -> bool:
    if operation is Operation.REMOVED:
        return True
    return item.kind not in SPEAKS_FOR_ITSELF or item.attributes.get("built_in") is True


def _eldest(operation: Operation, item: Object, items: dict[Key, Object]) -> Key:
    """The topmost ancestor that came or went too; a cycle of parents ends where it began."""
    seen = {item.key}
    while (
        _follows_parent(operation, item)
        and (parent := item.parent) is not None
        and parent in items
        and parent not in seen
    ):
        seen.add(parent)
        item = items[parent]
    return item.key


def _led(changes: list[Change]) -> list[Change]:
    """The changes; those of children that follow a change of their parent's are its parts."""
    leaders = {
        change.key: change
        for change in sorted(changes, key=lambda change: change.attribute)  # the version decides
        if change.operation is Operation.ALTERED and (change.kind, change.attribute) in LEADS
    }
    following: dict[Key, list[Change]] = {}
    rest: list[Change] = []
    for change in changes:
        leader = leaders.get(parent_of(change.new or change.old or {}) or change.key)
        if leader is not None and LEADS[leader.kind, leader.attribute] == change.kind:
            following.setdefault(leader.key, []).append(change)
        else:
            rest.append(change)
    for key, children in list(following.items()):
        if (key[0], leaders[key].attribute) in MOVES and not _moved(children):
            rest += following.pop(key)
    return [
        _leading(one, following[one.key])
        if one.key in following and leaders[one.key] is one
        else one
        for one in rest
    ]


def _moved(children: list[Change]) -> bool:
    """Whether exactly those came that went, by what is said of them."""
    went = Counter(canon.encode(one.before) for one in children if one.after is None)
    came = Counter(canon.encode(one.after) for one in children if one.before is None)
    return went == came and went.total() + came.total() == len(children)


def _leading(leader: Change, children: list[Change]) -> Change:
    items = {one.key: Object(*one.key, one.new or one.old) for one in children}
    return msgspec.structs.replace(
        leader,
        parts=tuple(sorted(items)),
        parts_root=merkle.root(items[key].line for key in sorted(items)).hex(),
    )


def hidden(snapshot: Snapshot, kind: str, name: str, attribute: str) -> bool:
    """Whether the snapshot cannot tell: of an object it could not read, or of its attribute."""
    gap = snapshot.objects.get((COVERAGE, kind))
    if gap is None:
        return False
    if attribute in gap.attributes.get("attributes", []):
        return True
    return (kind, name) not in snapshot.objects and gap.attributes.get("listed") is not True


def _alterations(before: Snapshot, after: Snapshot) -> Iterator[Change]:
    for key, new in after.objects.items():
        old = before.objects.get(key)
        if old is None or new.kind == COVERAGE or old.line == new.line:
            continue
        for attribute in sorted(old.attributes.keys() | new.attributes.keys()):
            if hidden(before, *key, attribute) or hidden(after, *key, attribute):
                continue
            was, now = old.attributes.get(attribute), new.attributes.get(attribute)
            if canon.encode(was) != canon.encode(now):
                yield Change(
                    operation=Operation.ALTERED,
                    kind=new.kind,
                    name=new.name,
                    attribute=attribute,
                    before=was,
                    after=now,
                    old=dict(old.attributes),
                    new=dict(new.attributes),
                )


def signed_gaps(before: Snapshot, after: Snapshot) -> list[Object]:
    """What is not visible now, and people signed for not seeing: the very same gaps, by kind."""
    return [
        item
        for key, item in after.objects.items()
        if item.kind == COVERAGE
        and item.attributes.get("optional") is True
        and before.objects.get(key) == item
    ]


def _unreadable(before: Snapshot, after: Snapshot) -> Iterator[Change]:
    """What nobody can tell: kinds that the scan, or the baseline, could not read in full."""
    signed = {item.name for item in signed_gaps(before, after)}
    for kind in sorted((_unreadable_kinds(before) | _unreadable_kinds(after)) - signed):
        now = after.objects.get((COVERAGE, kind))
        attributes: dict[str, Value] = (
            dict(now.attributes)
            if now is not None
            else {"reason": "the baseline was taken without it", "needs": "a new baseline"}
        )
        yield unreadable(kind, attributes)


def unreadable(name: str, attributes: dict[str, Value]) -> Change:
    """The change that says that nobody can tell about ``name``, and why (``attributes``)."""
    return Change(
        operation=Operation.UNREADABLE,
        kind=COVERAGE,
        name=name,
        attribute="",
        before=None,
        after=attributes,
        old=None,
        new=attributes,
    )


def merge(before: Snapshot, after: Snapshot, accepted: Iterable[Change]) -> Snapshot:
    """``before`` with the accepted changes taken over from ``after``, and nothing else."""
    objects = dict(before.objects)
    for change in accepted:
        match change.operation:
            case Operation.ADDED:
                for key in (change.key, *change.parts):
                    objects[key] = after.objects[key]
            case Operation.REMOVED:
                for key in (change.key, *change.parts):
                    objects.pop(key, None)
            case Operation.ALTERED:
                for key in change.parts:
                    if key in after.objects:
                        objects[key] = after.objects[key]
                    else:
                        objects.pop(key, None)
                item = objects[change.key]
                attributes = {**item.attributes, change.attribute: change.after}
                objects[change.key] = item.having(
                    {k: v for k, v in attributes.items() if v is not None}
                )
            case Operation.UNREADABLE:
                continue
    return build(objects.values())
