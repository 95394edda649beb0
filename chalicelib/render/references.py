"""References: what in an OSCAL document refers to nothing, is there twice, or is out of order.

What OSCAL asks for beyond its JSON schema, of the parts that this program writes.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, Final

from chalicelib.kernel.clock import parse_timestamp
from chalicelib.kernel.errors import Malformed

if TYPE_CHECKING:
    from collections.abc import Iterator

# Members that hold the UUID of something else in the document.
_REFERENCES: Final = frozenset(
    {"actor-uuid", "subject-uuid", "observation-uuid", "component-uuid", "party-uuids"}
)
_TIMES: Final = frozenset({"start", "end", "collected", "last-modified"})


def check(document: dict[str, Any]) -> list[str]:
    """What is wrong, a sentence each; nothing, where every reference leads somewhere.

    ``document``: of ``oscal.write``, decoded.
    """
    pairs = list(_members(document))
    known = Counter(value for name, value in pairs if name == "uuid")
    roles = {value for name, value in pairs if name == "id"}
    found = [f"{one} is the UUID of {times} things" for one, times in known.items() if times > 1]
    for name, value in pairs:
        if name in _REFERENCES and value not in known:
            found.append(f"{name} {value} refers to nothing")
        elif name == "href" and value.startswith("#") and value[1:] not in known:
            found.append(f"href {value} refers to nothing")
        elif name == "role-id" and value not in roles:
            found.append(f"role-id {value} refers to nothing")
    return found + list(_disordered(document, pairs))


def _members(value: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    """Every member of a document that is no object, with its name; those of arrays one by one."""
    if isinstance(value, dict):
        for key, one in value.items():
            yield from _members(one, key)
    elif isinstance(value, list):
        for one in value:
            yield from _members(one, name)
    else:
        yield name, value


def _disordered(document: dict[str, Any], pairs: list[tuple[str, Any]]) -> Iterator[str]:
    for name, value in pairs:
        if name in _TIMES:
            try:
                parse_timestamp(value)
            except Malformed as error:
                yield f"{name}: {error.message}"
    told = document["assessment-results"]
    modified = told["metadata"]["last-modified"]
    for result in told["results"]:
        if not result["start"] < result["end"] <= modified:
            yield f"a result from {result['start']} to {result['end']}, written at {modified}"
        for one in result.get("observations", ()):
            if one["collected"] > modified:
                yield f"observation {one['uuid']} is of {one['collected']}, after {modified}"
