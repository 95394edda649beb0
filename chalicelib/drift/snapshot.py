"""The snapshot: a target's objects at one moment, as sorted canonical lines under a Merkle root.

Reading the target is not done here: objects in, bytes and digests out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from chalicelib.kernel import canon, merkle
from chalicelib.kernel.errors import DigestMismatch, Malformed

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

Value: TypeAlias = Any
"""An attribute: str, bool, int within 2^53, or a list or dict of them. Absent is null."""

Key: TypeAlias = tuple[str, str]
"""``(kind, name)``."""

COVERAGE = "coverage"
"""The kind of the objects that say what could not be read: name = the kind, see ``unreadable``."""


class Object(NamedTuple):
    """One thing inside a target. A child names its parent in the attribute ``of``: "kind name"."""

    kind: str
    name: str
    attributes: Mapping[str, Value]

    @property
    def key(self) -> Key:
        """What makes the object itself: ``(kind, name)``."""
        return (self.kind, self.name)

    @property
    def parent(self) -> Key | None:
        """The key that the attribute ``of`` names, if it does."""
        return parent_of(self.attributes)


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
) -> Object:
    """The object that says that objects of ``kind`` could not be read.

    ``partial``: some of them were, all but ``attributes``. ``listed``: every one of them was, and
    only ``attributes`` are not known. ``needs`` is the privilege or setting that would show the
    rest.
    """
    said: dict[str, Value] = {"reason": reason, "needs": needs, "partial": partial}
    if attributes:
        said["attributes"] = sorted(attributes)
        if listed:
            said["listed"] = True
    return Object(COVERAGE, kind, said)


class Snapshot:
    """Objects in the order of ``(kind, name)``, their canonical lines, and the root over the lines.

    ``root`` is the RFC 9162 tree hash (32 bytes) of the lines without their newlines. Equal objects
    give equal bytes.
    """

    __slots__ = ("lines", "objects", "root")

    def __init__(
        self, objects: Mapping[Key, Object], lines: Mapping[Key, bytes], root: bytes
    ) -> None:
        self.objects = objects
        self.lines = lines
        self.root = root

    @property
    def data(self) -> bytes:
        """The bytes that are stored: each line, ended by a newline."""
        return b"".join(one + b"\n" for one in self.lines.values())


def build(objects: Iterable[Object]) -> Snapshot:
    """The snapshot of objects in any order. Raises: ValueError, where two have one key."""
    ordered: dict[Key, Object] = {}
    for item in sorted(objects, key=lambda o: (o.kind, o.name)):
        if item.key in ordered:
            raise ValueError(f"two objects of kind {item.kind} are named {item.name!r}")
        ordered[item.key] = item
    lines = {key: line(item) for key, item in ordered.items()}
    return Snapshot(ordered, lines, merkle.root(lines.values()))


def line(item: Object) -> bytes:
    """The canonical line of one object, without a newline: ``[kind, name, {attributes}]``."""
    attributes = {key: value for key, value in item.attributes.items() if value is not None}
    return canon.encode([item.kind, item.name, attributes])


def parse(data: bytes) -> Snapshot:
    """The snapshot of stored bytes; the root is computed from the bytes as they are.

    Raises: Malformed, unless every line is canonical, in order, and of the right shape.
    """
    if data and not data.endswith(b"\n"):
        raise Malformed("the snapshot's last line is cut off")
    objects: dict[Key, Object] = {}
    lines: dict[Key, bytes] = {}
    previous: Key = ("", "")
    for number, raw in enumerate(data.split(b"\n")[:-1], start=1):
        match canon.decode(raw):
            case [str(kind), str(name), dict(attributes)] if (kind, name) > previous:
                previous = (kind, name)
                objects[previous] = Object(kind, name, attributes)
                lines[previous] = raw
            case _:
                raise Malformed(
                    f"line {number} of the snapshot is not [kind, name, {{attributes}}] in order"
                )
    return Snapshot(objects, lines, merkle.root(lines.values()))


def verify(data: bytes, *, sha256: str, root: str) -> Snapshot:
    """The snapshot of stored bytes that must have both digests (hexadecimal).

    The bytes are hashed before they are parsed. Raises: DigestMismatch; Malformed.
    """
    observed = canon.sha256(data)
    if observed != sha256:
        raise DigestMismatch(
            f"the stored snapshot is another one: expected sha256 {sha256}, found {observed}",
            next_step="holdfast evidence fsck names every place that does not hold",
        )
    stored = parse(data)
    if stored.root.hex() != root:
        raise DigestMismatch(
            f"the Merkle root of the stored snapshot is {stored.root.hex()}, expected {root}"
        )
    return stored
