"""What servers of each major version are like when nobody has touched them, as it was measured.

One file for each beside this module, ``upgrades/<major>.jsonl``, made by ``make upgrades``. A line
is one fact::

    ["version", 170010]                             the server that was measured
    ["parameter", name, value, unit, source, sort]  as it is built; see Parameter
    ["object", kind, name, {attributes}]            what a new server shows of itself
    ["extension", name, {attributes}]               one that comes with it, as it installs it
"""

from __future__ import annotations

import functools
from importlib import resources
from typing import TYPE_CHECKING, Final, NamedTuple

from chalicelib.kernel import canon
from chalicelib.kernel.errors import Malformed

if TYPE_CHECKING:
    from collections.abc import Mapping

    from chalicelib.drift.snapshot import Key, Value

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


@functools.cache
def of(major: int) -> Facts | None:
    """What is known of a major version, read once; None of one that was not measured."""
    if major not in MAJORS:
        return None
    file = resources.files("chalicelib.drift").joinpath("upgrades", f"{major}.jsonl")
    return parse(file.read_bytes())


def parse(data: bytes) -> Facts:
    """The facts of a file's bytes. Raises: Malformed, where a line is none."""
    version = 0
    parameters: dict[str, Parameter] = {}
    objects: dict[Key, Mapping[str, Value]] = {}
    extensions: dict[str, Mapping[str, Value]] = {}
    for number, line in enumerate(data.splitlines(), start=1):
        match canon.decode(line):
            case ["version", int(version)]:
                pass
            case ["parameter", str(name), str(value), str(unit), str(source), str(sort)]:
                parameters[name] = Parameter(value, unit, source, sort)
            case ["object", str(kind), str(name), dict(attributes)]:
                objects[kind, name] = attributes
            case ["extension", str(name), dict(attributes)]:
                extensions[name] = attributes
            case _:
                raise Malformed(f"line {number} of what was measured is no fact")
    return Facts(version, parameters, objects, extensions)
