"""Causes: which calls of AWS's API can make a change, and how well a call fits one.

A table: for each kind of object the events of CloudTrail that make, remove or alter it, by what
their parameters name it, and which parameter holds the value. Names of parameters are compared
without their case: CloudTrail writes them as each service does (``dBInstanceIdentifier``). Sources:
the services' API references; CloudTrail User Guide, "CloudTrail record contents".

What no call makes has no rows: the age of a key, what follows from other objects
(``iam_database_access``, ``rds_disagreement``), what nobody can tell.
"""

from __future__ import annotations

import enum
import re
from collections import deque
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from chalicelib.drift import causes_iam, causes_rds
from chalicelib.drift.diff import Operation
from chalicelib.drift.iam import document
from chalicelib.kernel.errors import Malformed

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from chalicelib.drift.cause_row import Row
    from chalicelib.drift.diff import Change
    from chalicelib.drift.snapshot import Value

MAX_NAME: Final = 2_000  # LookupEvents, AttributeValue: characters
NAMES: Final = causes_iam.NAMES | causes_rds.NAMES
RESOURCES: Final = causes_iam.RESOURCES | causes_rds.RESOURCES
ROWS: Final = causes_iam.ROWS | causes_rds.ROWS
_CONCEALED: Final = "(concealed"  # values that may hold secrets; wiring.services.concealed
_WAYS: Final = {"in": "Ingress", "out": "Egress"}
MAX_PLACES: Final = 5_000  # objects that are looked at in the parameters of one event


class Fit(enum.IntEnum):
    """How well a call fits a change; the greater, the better."""

    ANOTHER_VALUE = 1  # it names the object, and gives it another value
    KIND = 2  # it does not name the object, and may be about it
    OBJECT = 3  # it names the object, and does not say the value
    VALUE = 4  # it names the object and the very value
    ITSELF = 5  # it names the object by an id that is given once


class Lookup(NamedTuple):
    """One question to CloudTrail: ``by`` is ``ResourceName`` or ``EventName``."""

    by: str
    value: str


class Call(NamedTuple):
    """What is looked at of an event. ``service``: its source, e.g. ``iam.amazonaws.com``.

    ``root``: whether an account's root user called.
    """

    service: str
    event: str
    request: Any
    response: Any
    root: bool = False


class Cause(NamedTuple):
    """One event that can make a change: what it must name, and which value it may state.

    As a row of the table, with this change's names and values in it. ``value``: the parameter, and
    what it must be; an empty name: doing it is the change. ``rule``: protocol, ports, peer.
    """

    service: str
    event: str
    names: tuple[tuple[str, str], ...]
    value: tuple[str, Value] = ("", None)
    must: bool = False
    most: Fit = Fit.VALUE
    rule: tuple[str, ...] = ()
    root: bool = False


def causes(change: Change) -> list[Cause]:
    """The events that can have made a change; none, where no call makes it."""
    kind = _kind(change)
    if kind not in ROWS or change.operation is Operation.UNREADABLE:
        return []
    parts = _parts(change.name, NAMES[kind])
    named = {**(change.old or {}), **(change.new or {}), **parts}
    return [_cause(row, change, named) for row in ROWS[kind] if parts and _about(row.what, change)]


def _kind(change: Change) -> str:
    """The table's: AWS's own policies, which have ARNs for names, are not made by callers."""
    of_aws = change.kind == "iam_policy" and change.name.startswith("arn:")
    return "aws_policy" if of_aws else change.kind


def _parts(name: str, pattern: str) -> dict[str, str]:
    """Parts of an object's name, in words that events have too; none, where it has another form."""
    found = re.fullmatch(pattern, name)
    parts = {key: value or "" for key, value in found.groupdict().items()} if found else {}
    if "holder" in parts:
        parts |= {"key": parts["holder"], "holder": parts["holder"].capitalize()}
    if "way" in parts:
        parts["way"] = _WAYS[parts["way"]]
    if "cluster" in parts:
        parts["of"] = "Cluster" if parts["cluster"] else ""
    if "account" in parts:
        parts["shared"] = "all" if parts["account"] == "everybody" else parts["account"]
    return parts


def _about(what: tuple[str, ...], change: Change) -> bool:
    if change.operation is Operation.ADDED:
        return "+" in what
    if change.operation is Operation.REMOVED:
        return "-" in what
    name = change.attribute
    if f"!{name}" in what:
        return False
    return bool({name, name + ("+" if change.after else "-"), "*"}.intersection(what))


def _cause(row: Row, change: Change, named: Mapping[str, Value]) -> Cause:
    parameter, _, attribute = row.value.partition("=")
    texts = {key: value for key, value in named.items() if isinstance(value, str)}
    return Cause(
        service=f"{row.service}.amazonaws.com",
        event=row.event.format_map(texts),
        names=tuple((key.format_map(texts), _part(name, texts)) for key, name in row.names),
        value=(parameter, named.get(attribute) if attribute else change.after),
        must=row.must,
        most=Fit[row.most.upper()],
        rule=(texts["protocol"], texts["ports"], texts["peer"]) if row.rule else (),
        root=row.root,
    )


def _part(name: str, texts: Mapping[str, str]) -> str:
    """``=text`` as it is; else a part of the object's name, or an attribute of it."""
    return name if name.startswith("=") else texts.get(name, "")


def lookups(change: Change) -> list[Lookup]:
    """What to ask CloudTrail for first: events by the names of resources of a change."""
    if not causes(change):
        return []
    named = {**(change.old or {}), **(change.new or {})}
    named |= _parts(change.name, NAMES[_kind(change)])
    names = (named.get(name) for name in RESOURCES.get(_kind(change), ()))
    texts = [one for one in names if isinstance(one, str) and 0 < len(one) <= MAX_NAME]
    return [Lookup("ResourceName", name) for name in dict.fromkeys(texts)]


def fallbacks(change: Change) -> list[Lookup]:
    """What to ask for where that shows nothing: all events of the names that can make it.

    Under which name CloudTrail files a resource (a name, an ARN, in which case) is documented for
    few of them.
    """
    return [
        Lookup("EventName", name) for name in dict.fromkeys(one.event for one in causes(change))
    ]


def fit(change: Change, call: Call) -> Fit | None:
    """How well a call fits a change; None: it cannot have made it."""
    fits = [
        found
        for cause in causes(change)
        if (cause.service, cause.event) == (call.service, call.event)
        if (found := _fit(cause, call)) is not None
    ]
    return max(fits, default=None)


def _fit(cause: Cause, call: Call) -> Fit | None:
    if cause.root and not call.root:
        return None
    place = next(_places(call.request), {})
    for key, name in cause.names:
        found = _named(call, key, name)
        if found is None:
            return None
        place = found
    if cause.rule:
        return _rule(cause.rule, call)
    return _valued(cause, call, place) if cause.value[0] else cause.most


def _valued(cause: Cause, call: Call, place: dict[str, Any]) -> Fit | None:
    """How a call that names the object fits by the value that it states."""
    key, expected = cause.value
    stated = _first(call.response, key[1:]) if key.startswith("^") else place.get(key.lower())
    if stated is None:
        return None if cause.must else Fit.OBJECT
    same = _same_value(expected, stated)
    if not same and isinstance(expected, str) and key.lower().endswith("document"):
        return Fit.OBJECT  # a document that nobody can parse, in other words perhaps
    return Fit.OBJECT if same is None else cause.most if same else Fit.ANOTHER_VALUE


def _places(value: Any) -> Iterator[dict[str, Any]]:
    """The objects inside a JSON value, itself included, the outer ones first; keys in lower case.

    At most MAX_PLACES; a value that came through ``kernel.canon`` is not deep.
    """
    waiting, count = deque([value]), 0
    while waiting and count < MAX_PLACES:
        here = waiting.popleft()
        count += 1
        if isinstance(here, dict):
            yield {key.lower(): inner for key, inner in here.items()}
            waiting += [inner for inner in here.values() if isinstance(inner, (dict, list))]
        elif isinstance(here, list):
            waiting += [inner for inner in here if isinstance(inner, (dict, list))]


def _named(call: Call, key: str, name: str) -> dict[str, Any] | None:
    """The object in which a parameter has this name; None, where none has."""
    where = call.response if key.startswith("^") else call.request
    key = key.removeprefix("^").lower()
    if name == "=!":
        return {} if _first(where, key) is None else None
    for place in _places(where):
        stated = place.get(key)
        for one in stated if isinstance(stated, list) else [stated]:
            text = _scalar(one)
            if text is not None and (name == "=*" or _same_name(name.removeprefix("="), text)):
                return place
    return None


def _first(where: Any, key: str) -> Any:
    """The first value that a parameter has anywhere."""
    key = key.lower()
    return next((place[key] for place in _places(where) if place.get(key) is not None), None)


def _scalar(value: Any) -> str | None:
    """A value as text, as IAM and RDS write it; None for lists, objects and null."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if isinstance(value, (str, int, float)) else None


def _same_name(name: str, stated: str) -> bool:
    """Whether a parameter names the object: by its name, or by an ARN that ends with it.

    AWS's own policies are named by their ARNs, so that nobody's policy of the same name is one.
    """
    name, stated = name.casefold(), stated.casefold()
    if name == stated:
        return True
    if not stated.startswith("arn:") or name.startswith("arn:"):
        return False
    return ":iam::aws:" not in stated and re.split("[:/]", stated)[-1] == name


def _same_value(expected: Value, stated: Any) -> bool | None:
    """Whether a call states this value; None, where they cannot be compared."""
    if isinstance(expected, dict):
        try:
            return bool(document.canonical(stated) == expected)
        except (Malformed, TypeError):
            return None
    if isinstance(expected, list):
        return _same_list(expected, stated)
    text = _scalar(stated)
    if expected is None or text is None or str(expected).startswith(_CONCEALED):
        return None
    return _same_name(str(_scalar(expected)), text)


def _same_list(expected: list[Value], stated: Any) -> bool | None:
    if isinstance(stated, str):
        return expected == [stated]
    if not isinstance(stated, list) or not all(isinstance(one, str) for one in stated):
        return None
    return sorted(map(str, expected)) == sorted(stated)


def _rule(rule: tuple[str, ...], call: Call) -> Fit | None:
    """How well a call that names a security group fits a rule of it.

    Where it names rules by their ids alone, what they say is not told.
    """
    stated = [
        one
        for where in (call.request, call.response)
        for one in _places(where)
        if "ipprotocol" in one
    ]
    if not stated:
        return Fit.OBJECT
    return Fit.VALUE if any(_says(one, *rule) for one in stated) else None


def _says(stated: dict[str, Any], protocol: str, ports: str, peer: str) -> bool:
    said = str(stated["ipprotocol"])
    numbers = {_scalar(stated.get("fromport")), _scalar(stated.get("toport"))} - {None, "-1"}
    peers = {
        text.casefold()
        for place in _places(stated)
        for key in ("cidrip", "cidripv6", "groupid", "prefixlistid", "cidripv4")
        if (text := _scalar(place.get(key))) is not None
    }
    return (
        (protocol == "all" if said == "-1" else protocol == said)
        and (set(re.findall(r"[0-9]+", ports)) == numbers or protocol == "all")
        and any(one == peer.casefold() or one in peer.casefold().split() for one in peers)
    )
