"""What a rule or a direction applies to: globs over a change, and conditions on its object.

Globs are those of a shell (``*``, ``?``, ``[abc]``), case-sensitive, over the whole text.
"""

from __future__ import annotations

import fnmatch
import re
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

import msgspec

from chalicelib.drift.diff import Operation

if TYPE_CHECKING:
    from collections.abc import Mapping

    from chalicelib.drift.diff import Change
    from chalicelib.drift.snapshot import Value

PARAMETERS = frozenset({"setting", "role_setting", "rds_parameter"})
"""Kinds that hold a configuration parameter: they come and go as their attribute ``value``."""

PENDING = "pending_value"
"""The attribute that holds what a parameter will be after the server's next restart."""

MAX_GLOB_CHARACTERS = 1_000
MAX_EXACT_INTEGER = 2**63  # past every integer of PostgreSQL; str() of far larger ones fails

_SPECIAL = re.compile(r"[*?\[]")

Globs: TypeAlias = str | tuple[str, ...]
Condition: TypeAlias = bool | int | str | tuple[str, ...]


class Facts(NamedTuple):
    """What rules see of a change. ``parameter`` is empty unless the kind is in ``PARAMETERS``."""

    kind: str
    name: str
    parameter: str
    attribute: str
    operation: Operation
    before: Value
    after: Value
    units: tuple[str, str]
    attributes: Mapping[str, Value]


def facts(change: Change, told: Mapping[str, Value] | None = None) -> Facts:
    """What rules see of a change.

    A parameter that appears or disappears is seen as its ``value``, from or to None: a parameter
    is no more than its value. What it will be after a restart, its ``pending_value``, is seen as a
    ``value`` too, from the one that it has now. ``attributes`` are those after the change, or
    before a removal, and the change's context, which is more than an object of that name may say.
    ``told``: what its meaning tells beside, above all of these.
    """
    old, new = change.old or {}, change.new or {}
    object_is = old if change.operation is Operation.REMOVED else new
    attributes = {**object_is, **change.context, **(told or {})}
    if change.kind not in PARAMETERS:
        return Facts(
            change.kind,
            change.name,
            "",
            change.attribute,
            change.operation,
            change.before,
            change.after,
            ("", ""),
            attributes,
        )
    if change.attribute == PENDING and change.after is not None:
        unit = _text(new.get("unit"))
        return Facts(
            change.kind,
            change.name,
            parameter(change.kind, change.name),
            "value",
            change.operation,
            new.get("value"),
            change.after,
            (unit, unit),
            attributes,
        )
    whole = change.attribute == ""
    return Facts(
        change.kind,
        change.name,
        parameter(change.kind, change.name),
        "value" if whole else change.attribute,
        change.operation,
        old.get("value") if whole else change.before,
        new.get("value") if whole else change.after,
        (_text(old.get("unit")), _text(new.get("unit"))),
        attributes,
    )


def parameter(kind: str, name: str) -> str:
    """The parameter's name: ``search_path`` of ``search_path for role alice``; lower case.

    Or ``rds.force_ssl`` of ``rds.force_ssl of orders-pg16``, a parameter of a group of RDS's.

    The server compares the names of parameters without case, and a parameter's name has no spaces.
    """
    end = {"role_setting": " for ", "rds_parameter": " of "}.get(kind)
    return (name if end is None else name.partition(end)[0]).lower()


class Matcher:
    """Whether one of the globs matches. If negatable, one that begins with ``!`` must not match."""

    __slots__ = ("globs", "literals", "refuse")

    def __init__(self, globs: Globs, *, negatable: bool = False) -> None:
        texts = (globs,) if isinstance(globs, str) else globs
        if not texts or not all(texts) or "!" in texts:
            raise ValueError("a glob is empty")
        if any(len(text) > MAX_GLOB_CHARACTERS for text in texts):
            raise ValueError(f"a glob is longer than {MAX_GLOB_CHARACTERS} characters")
        refused = tuple(text[1:] for text in texts if negatable and text.startswith("!"))
        wanted = [text for text in texts if not (negatable and text.startswith("!"))]
        self.literals = frozenset(text for text in wanted if not _SPECIAL.search(text))
        self.globs = [_compile(text) for text in wanted if _SPECIAL.search(text)]
        self.refuse = Matcher(refused) if refused else None

    def __call__(self, text: str) -> bool:
        """Whether the text is matched."""
        return self.any([text])

    def any(self, texts: list[str]) -> bool:
        """Whether one of the texts is matched, and none of them by a negated glob."""
        if self.refuse is not None:
            if self.refuse.any(texts):
                return False
            if not self.literals and not self.globs:
                return True
        return any(
            text in self.literals or any(glob.match(text) for glob in self.globs) for text in texts
        )


def _compile(glob: str) -> re.Pattern[str]:
    return re.compile(fnmatch.translate(glob))


class Match(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a rule applies to; what is left out applies to everything. All must hold.

    ``parameter``: the name of a configuration parameter, cluster-wide or of a role or database. It
    implies the kinds in ``PARAMETERS`` and the attribute ``value``.
    ``where``: conditions on the object's attributes, by glob on the attribute's name; a list's
    elements each count. A condition that begins with ``!`` also holds where there is no attribute.
    ``touches``: globs over what came or went: elements of a list, or the whole value before or
    after.
    """

    id: str
    kind: Globs | None = None
    name: Globs | None = None
    parameter: Globs | None = None
    attribute: Globs | None = None
    operation: Operation | None = None
    where: dict[str, Condition] = msgspec.field(default_factory=dict)
    touches: Globs | None = None


class CompiledMatch:
    """A match whose globs are ready. Raises: ValueError, on empty and overlong globs."""

    __slots__ = ("_attribute", "_kind", "_name", "_operation", "_parameter", "_touches", "_where")

    def __init__(self, match: Match) -> None:
        attribute = match.attribute
        if match.parameter is not None and attribute is None:
            attribute = "value"
        self._kind = _optional(match.kind)
        self._name = _optional(match.name)
        self._parameter = _optional(match.parameter)
        self._attribute = _optional(attribute)
        self._operation = match.operation
        self._touches = None if match.touches is None else Matcher(match.touches, negatable=True)
        self._where = [
            (key, Matcher(key), Matcher(_patterns(condition), negatable=True))
            for key, condition in match.where.items()
        ]

    def admits(self, seen: Facts) -> bool:
        """The part of the answer that depends on kind, parameter, attribute and operation alone."""
        return (
            (self._operation is None or self._operation is seen.operation)
            and (self._kind is None or self._kind(seen.kind))
            and (self._attribute is None or self._attribute(seen.attribute))
            and (
                self._parameter is None
                or (seen.kind in PARAMETERS and self._parameter(seen.parameter))
            )
        )

    @property
    def is_settled(self) -> bool:
        """Whether ``admits`` is the whole answer."""
        return self._name is None and self._touches is None and not self._where

    def holds(self, seen: Facts) -> bool:
        """The rest of the answer: name, conditions, and what came or went."""
        return (
            (self._name is None or self._name(seen.name))
            and all(
                condition.any(_values(seen.attributes, key, keys))
                for key, keys, condition in self._where
            )
            and (self._touches is None or self._touches.any(_came_or_went(seen)))
        )


def _optional(globs: Globs | None) -> Matcher | None:
    return None if globs is None else Matcher(globs)


def _patterns(condition: Condition) -> Globs:
    return condition if isinstance(condition, str | tuple) else _text(condition)


def _values(attributes: Mapping[str, Value], key: str, keys: Matcher) -> list[str]:
    """The texts of the attributes that a condition speaks of."""
    if _SPECIAL.search(key):
        named = [value for name, value in attributes.items() if keys(name)]
    else:
        named = [attributes.get(key)]
    return [text for value in named for text in _elements(value)]


def _came_or_went(seen: Facts) -> list[str]:
    """The texts that stand on one side of the change only."""
    return list(set(_elements(seen.before)) ^ set(_elements(seen.after)))


def _elements(value: Value) -> list[str]:
    elements = value if isinstance(value, list | tuple) else [value]
    return [_text(element) for element in elements if element is not None]


def _text(value: Value) -> str:
    """An attribute as rules write it: ``true``, ``5``, the text itself; else the empty text."""
    return plain(value) or ""


def plain(value: Value) -> str | None:
    """A text, boolean or integer as text; None for all other values."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int) and abs(value) <= MAX_EXACT_INTEGER:
        return str(value)
    return None
