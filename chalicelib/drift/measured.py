"""What servers of each major version are like when nobody has touched them, as it was measured.

One file for each beside this module, ``upgrades/<major>.jsonl``, made by ``make upgrades``. A line
is one fact::

    ["version", 170010]                             the server that was measured
    ["parameter", name, value, unit, source, sort]  as it is built; see Parameter
    ["object", kind, name, {attributes}]            what a new server shows of itself
    ["extension", name, {attributes}, digest]       one that comes with it, and of its members
"""

from __future__ import annotations

import functools
from importlib import resources
from typing import TYPE_CHECKING, Final, NamedTuple

from chalicelib.kernel import canon
from chalicelib.kernel.errors import Malformed

if TYPE_CHECKING:
    from collections.abc import Mapping

    from chalicelib.drift.snapshot import Key, Snapshot, Value

MEMBER: Final = "extension_member"
"""The kind of what belongs to an extension."""

DIGITS: Final = 32  # of a digest, hexadecimal
MAJORS: Final = (13, 14, 15, 16, 17, 18)
UNTOUCHED: Final = frozenset({"default", "override", "environment variable"})
"""Sources of values that nobody set. Source: guc.c, GucSource_Names."""


class Parameter(NamedTuple):
    """A parameter as the server is built: ``value`` in ``unit``, and where it says it comes from.

    ``sort``: ``computed``, where the server works another value out at its start, from other
    parameters; ``internal``, where it is of the program or the data folder, and nobody sets it.
    """

    value: str
    unit: str
    source: str
    sort: str


class Facts(NamedTuple):
    """One major version. ``version``: the server that was measured, as ``server_version_num``."""

    version: int
    parameters: Mapping[str, Parameter]
    objects: Mapping[Key, Mapping[str, Value]]
    extensions: Mapping[str, Mapping[str, Value]]
    members: Mapping[str, str]


@functools.cache
def of(major: int) -> Facts | None:
    """What is known of a major version, read once; None of one that was not measured."""
    if major not in MAJORS:
        return None
    file = resources.files("chalicelib.drift").joinpath("upgrades", f"{major}.jsonl")
    return parse(file.read_bytes())


def members(taken: Snapshot) -> dict[str, str]:
    """A digest of all that belongs to each extension; in which schema it is makes no difference."""
    lines: dict[str, list[bytes]] = {}
    for kind, name in taken.objects:
        if kind != MEMBER:
            continue
        item = taken.objects[kind, name]
        extension = taken.objects.get(item.parent or ("", ""))
        if extension is not None:
            own = f"{extension.attributes.get('schema')}."
            said = canon.encode([name.replace(own, "@."), dict(item.attributes)])
            lines.setdefault(extension.name, []).append(said)
    return {name: canon.sha256(b"\n".join(sorted(said)))[:DIGITS] for name, said in lines.items()}


def parse(data: bytes) -> Facts:
    """The facts of a file's bytes. Raises: Malformed, where a line is none."""
    version = 0
    parameters: dict[str, Parameter] = {}
    objects: dict[Key, Mapping[str, Value]] = {}
    extensions: dict[str, Mapping[str, Value]] = {}
    digests: dict[str, str] = {}
    for number, line in enumerate(data.splitlines(), start=1):
        match canon.decode(line):
            case ["version", int(version)]:
                pass
            case ["parameter", str(name), str(value), str(unit), str(source), str(sort)]:
                parameters[name] = Parameter(value, unit, source, sort)
            case ["object", str(kind), str(name), dict(attributes)]:
                objects[kind, name] = attributes
            case ["extension", str(name), dict(attributes), str(digest)]:
                extensions[name], digests[name] = attributes, digest
            case _:
                raise Malformed(f"line {number} of what was measured is no fact")
    return Facts(version, parameters, objects, extensions, digests)
