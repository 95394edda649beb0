"""The snapshot: a target's objects at one moment, as sorted canonical lines under a Merkle root.

Reading the target is not done here: objects in, bytes and digests out.
"""

from __future__ import annotations

import re
import sys
from itertools import pairwise
from operator import attrgetter
from typing import TYPE_CHECKING, Any, TypeAlias

import msgspec

from chalicelib.kernel import canon, merkle
from chalicelib.kernel.errors import DigestMismatch, Malformed

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

Value: TypeAlias = Any
"""An attribute: str, bool, int within 2^53, or a list or dict of them. Absent is null."""

Key: TypeAlias = tuple[str, str]
"""``(kind, name)``."""

_decoder = msgspec.json.Decoder()
_HEAD = re.compile(rb'\["([a-z0-9_]+)","((?:[^"\\]|\\.)*)",')

COVERAGE = "coverage"
"""The kind of the objects that say what could not be read: name = the kind, see ``unreadable``."""


class Object:
    """One thing inside a target. A child names its parent in the attribute ``of``: "kind name".

    It holds its attributes, its canonical line, or both: each is made of the other when it is first
    asked for, so that a line that nobody looks into is never parsed.
    """

    __slots__ = ("_attributes", "_leaf", "_line", "kind", "name")

    def __init__(
        self,
        kind: str,
        name: str,
        attributes: Mapping[str, Value] | None,
        line: bytes = b"",
        leaf: bytes = b"",
    ) -> None:
        self.kind = kind
        self.name = name
        self._attributes = attributes
        self._line = line
        self._leaf = leaf

    @classmethod
    def of_line(cls, kind: str, name: str, line: bytes) -> Object:
        """The object of a line that is canonical and has this kind and name: nothing is checked."""
        return cls(kind, name, None, line)

    @property
    def attributes(self) -> Mapping[str, Value]:
        """What is said of the object."""
        if self._attributes is None:
            self._attributes = dict(_decoder.decode(self._line)[2])
        return self._attributes

    @property
    def line(self) -> bytes:
        """The canonical line, without a newline: ``[kind, name, {attributes}]``."""
        if not self._line:
            given = {key: value for key, value in self.attributes.items() if value is not None}
            self._line = canon.encode([self.kind, self.name, given])
        return self._line

    @property
    def leaf(self) -> bytes:
        """The line's hash (32 bytes) as a leaf of the snapshot's tree."""
        return self._leaf or merkle.leaf_hash(self.line)

    @property
    def key(self) -> Key:
        """What makes the object itself: ``(kind, name)``."""
        return (self.kind, self.name)

    @property
    def parent(self) -> Key | None:
        """The key that the attribute ``of`` names, if it does."""
        return parent_of(self.attributes)

    def having(self, attributes: Mapping[str, Value]) -> Object:
        """The same object with other attributes."""
        return Object(self.kind, self.name, attributes)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Object):
            return NotImplemented
        return self.key == other.key and self.line == other.line

    def __hash__(self) -> int:
        return hash((self.kind, self.name, self.line))

    def __repr__(self) -> str:
        return f"Object({self.kind!r}, {self.name!r}, {self.attributes!r})"


def parent_of(attributes: Mapping[str, Value]) -> Key | None:
    """The key of the parent that an object with these attributes has, if it has one."""
    of = attributes.get("of")
    if not isinstance(of, str):
        return None
    kind, _, name = of.partition(" ")
    return (kind, name)


def unreadable(
    kind: str,
    *,
    reason: str,
    needs: str,
    partial: bool = False,
    attributes: Sequence[str] = (),
    listed: bool = False,
    optional: bool = False,
) -> Object:
    """The object that says that objects of ``kind`` could not be read.

    ``partial``: some of them were, all but ``attributes``. ``listed``: every one of them was, and
    only ``attributes`` are not known. ``needs`` is the privilege or setting that would show the
    rest. ``optional``: people may sign for not seeing it, with a baseline that has this object.
    """
    said: dict[str, Value] = {"reason": reason, "needs": needs, "partial": partial}
    if attributes:
        said["attributes"] = sorted(attributes)
        if listed:
            said["listed"] = True
    if optional:
        said["optional"] = True
    return Object(COVERAGE, kind, said)


class Snapshot:
    """Objects in the order of ``(kind, name)``, and the root over their lines.

    ``root`` is the RFC 9162 tree hash (32 bytes) of the lines without their newlines. Equal objects
    give equal bytes.
    """

    __slots__ = ("objects", "root")

    def __init__(self, objects: Mapping[Key, Object], root: bytes) -> None:
        self.objects = objects
        self.root = root

    @property
    def data(self) -> bytes:
        """The bytes that are stored: each line, ended by a newline."""
        return b"".join(item.line + b"\n" for item in self.objects.values())


def build(objects: Iterable[Object]) -> Snapshot:
    """The snapshot of objects in any order. Raises: ValueError, where two have one key."""
    kinds: dict[str, list[Object]] = {}
    for item in objects:
        kinds.setdefault(item.kind, []).append(item)
    ordered: dict[Key, Object] = {}
    for kind in sorted(kinds):
        several = sorted(kinds[kind], key=attrgetter("name"))
        ordered.update({(kind, item.name): item for item in several})
        if len({item.name for item in several}) < len(several):
            twice = next(one.name for one, two in pairwise(several) if one.name == two.name)
            raise ValueError(f"two objects of kind {kind} are named {twice!r}")
    return Snapshot(ordered, merkle.root_of_hashes(item.leaf for item in ordered.values()))


def line(item: Object) -> bytes:
    """The canonical line of one object, without a newline: ``[kind, name, {attributes}]``."""
    return item.line


def parse(data: bytes) -> Snapshot:
    """The snapshot of stored bytes; the root is computed from the bytes as they are.

    Raises: Malformed, unless every line is canonical, in order, and of the right shape.
    """
    if data and not data.endswith(b"\n"):
        raise Malformed("the snapshot's last line is cut off")
    objects: dict[Key, Object] = {}
    previous: Key = ("", "")
    for number, raw in enumerate(data.split(b"\n")[:-1], start=1):
        match canon.decode(raw):
            case [str(kind), str(name), dict()] if (kind, name) > previous:
                previous = (kind, name)
                objects[previous] = Object.of_line(kind, name, raw)
            case _:
                raise Malformed(
                    f"line {number} of the snapshot is not [kind, name, {{attributes}}] in order"
                )
    return Snapshot(objects, merkle.root_of_hashes(item.leaf for item in objects.values()))


def recall(data: bytes, *, sha256: str, root: str) -> Snapshot:
    """The snapshot of bytes that were stored under this digest when they were made.

    They are hashed and split; since they are what was canonical then, no line is parsed, and the
    root is the one that was recorded with the digest. Raises: DigestMismatch.
    """
    _check(data, sha256)
    objects: dict[Key, Object] = {}
    for raw in data.split(b"\n")[:-1]:
        head = _HEAD.match(raw)
        if head is None:
            raise Malformed("a line of the stored snapshot does not begin with kind and name")
        name = head[2] if b"\\" not in head[2] else _decoder.decode(b'"' + head[2] + b'"').encode()
        key = (sys.intern(head[1].decode()), name.decode())
        objects[key] = Object(*key, None, raw, b"")
    return Snapshot(objects, bytes.fromhex(root))


def verify(data: bytes, *, sha256: str, root: str) -> Snapshot:
    """The snapshot of stored bytes that must have both digests (hexadecimal).

    The bytes are hashed before they are parsed. Raises: DigestMismatch; Malformed.
    """
    _check(data, sha256)
    stored = parse(data)
    if stored.root.hex() != root:
        raise DigestMismatch(
            f"the Merkle root of the stored snapshot is {stored.root.hex()}, expected {root}"
        )
    return stored


def _check(data: bytes, sha256: str) -> None:
    observed = canon.sha256(data)
    if observed != sha256:
        raise DigestMismatch(
            f"the stored snapshot is another one: expected sha256 {sha256}, found {observed}",
            next_step="holdfast evidence fsck names every place that does not hold",
        )
