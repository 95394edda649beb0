"""Which way a change goes: whether a value became weaker or stronger.

A direction says how the values of an attribute are ordered. Values that the order does not know
give ``NEUTRAL``: nothing is guessed, and the rules decide how much such a change matters.
"""

from __future__ import annotations

import datetime as dt
import enum
import fnmatch
import re
from decimal import Decimal
from typing import TYPE_CHECKING, TypeAlias

import msgspec

from chalicelib.drift import members
from chalicelib.drift.diff import Operation
from chalicelib.drift.match import CompiledMatch, Facts, Match, Matcher, plain

if TYPE_CHECKING:
    from chalicelib.drift.snapshot import Value


class Direction(enum.Enum):
    """Which way a change goes."""

    WIDENS = "widens"  # more people can do more, or less is protected, checked or logged
    NARROWS = "narrows"
    NEUTRAL = "neutral"
    BOTH = "both"  # it widens here and narrows there
    UNDECIDED = "undecided"  # nobody can tell; it may widen

    @property
    def opposite(self) -> Direction:
        """The direction of the same change undone."""
        match self:
            case Direction.WIDENS:
                return Direction.NARROWS
            case Direction.NARROWS:
                return Direction.WIDENS
            case _:
                return self


class Stronger(enum.Enum):
    """Which of two values is the stronger."""

    TRUE = "true"
    FALSE = "false"
    HIGHER = "higher"
    LOWER = "lower"
    EARLIER = "earlier"


class Ordering(Match, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One ``[[direction]]``: what it applies to, and exactly one way to tell the direction.

    ``always``: every alteration, arrival and departure goes this way.
    ``added``, ``removed``: the object's arrival or departure goes this way.
    ``strength``: globs from weakest to strongest, without case; a list holds equals.
    ``stronger``: for booleans, numbers and points in time.
    ``grows``: the value is a set, and more members go this way. A change that both widens and
    narrows widens.

    Refinements. ``absent``: what an absent value is taken for (booleans: false; sets: empty).
    ``override``: the same for a role's or database's missing override, which hides a cluster-wide
    value that is not seen here. ``unit``: of bare numbers, where the object has no unit itself.
    ``weakest``, ``strongest``: values outside the numbers' order, as -1 for "off". ``split``: how a
    text is split into members. ``everyone``: members that include all others. ``protective``:
    globs of members that count the other way around. ``suspect``: globs of other members that widen
    whether they come or go. ``aliases``: members that stand for others.
    ``order_matters``: a mere change of order widens.
    """

    always: Direction | None = None
    added: Direction | None = None
    removed: Direction | None = None
    strength: tuple[str | tuple[str, ...], ...] | None = None
    stronger: Stronger | None = None
    grows: Direction | None = None
    absent: str | None = None
    override: str | None = None
    unit: str = ""
    weakest: tuple[str, ...] = ()
    strongest: tuple[str, ...] = ()
    split: members.Split = members.Split.COMMA
    everyone: tuple[str, ...] = ()
    protective: tuple[str, ...] = ()
    suspect: tuple[str, ...] = ()
    aliases: dict[str, tuple[str, ...]] = msgspec.field(default_factory=dict)
    order_matters: bool = False


_REFINEMENTS = {
    "always": set[str](),
    "added": set[str](),
    "strength": {"absent", "override"},
    "stronger": {"absent", "override", "unit", "weakest", "strongest"},
    "grows": {
        "absent",
        "override",
        "split",
        "everyone",
        "protective",
        "suspect",
        "aliases",
        "order_matters",
    },
}

_TRUE = {"on", "true", "tru", "tr", "t", "yes", "ye", "y", "1"}
_FALSE = {"off", "of", "false", "fals", "fal", "fa", "f", "no", "n", "0"}
# Above: unique prefixes of true, false, yes, no, on, off are booleans. Source: documentation of
# PostgreSQL 18, §19.1.1 "Parameter Names and Values".

_UNITS = {
    # §19.1.1 again: 1 kB is 1,024 B; without case the server knows no unit, so neither does this.
    "us": Decimal(1),
    "ms": Decimal(1_000),
    "s": Decimal(1_000_000),
    "min": Decimal(60_000_000),
    "h": Decimal(3_600_000_000),
    "d": Decimal(86_400_000_000),
    "B": Decimal(1),
    "kB": Decimal(2**10),
    "MB": Decimal(2**20),
    "GB": Decimal(2**30),
    "TB": Decimal(2**40),
}
_NUMBER = re.compile(r"\s*([-+]?[0-9]{1,24}(?:\.[0-9]{0,24})?(?:[eE][-+]?[0-9]{1,2})?)\s*(.*)")
_UNIT = re.compile(r"([0-9]{0,6})([A-Za-z]{1,3})")

Rank: TypeAlias = tuple[int, Decimal]
_LOWEST, _BETWEEN, _HIGHEST = -1, 0, 1


class CompiledOrdering:
    """A direction ready to decide. Raises: ValueError, where it contradicts itself."""

    def __init__(self, ordering: Ordering) -> None:
        self.id = ordering.id
        self.match = CompiledMatch(ordering)
        self.ordering = ordering
        _check(ordering)
        self._strength = [
            [
                re.compile(fnmatch.translate(glob.lower()))
                for glob in ((step,) if isinstance(step, str) else step)
            ]
            for step in ordering.strength or ()
        ]
        self._reader = members.Reader(
            split=ordering.split,
            aliases=ordering.aliases,
            everyone=frozenset(ordering.everyone),
        )
        self._protective = Matcher(ordering.protective) if ordering.protective else None
        self._suspect = Matcher(ordering.suspect) if ordering.suspect else None

    def admits(self, seen: Facts) -> bool:
        """Whether kind, parameter, attribute and operation fit; see ``CompiledMatch``."""
        if not self.match.admits(seen):
            return False
        ordering = self.ordering
        if ordering.added is not None or ordering.removed is not None:
            wanted = {Operation.ADDED: ordering.added, Operation.REMOVED: ordering.removed}
            return wanted.get(seen.operation) is not None
        return ordering.always is not None or seen.attribute != ""

    def decide(self, seen: Facts) -> Direction:
        """The direction of a change that this ordering applies to."""
        ordering = self.ordering
        if ordering.always is not None:
            return ordering.always
        if ordering.added is not None and seen.operation is Operation.ADDED:
            return ordering.added
        if ordering.removed is not None and seen.operation is Operation.REMOVED:
            return ordering.removed
        if ordering.grows is not None:
            return self._compare_members(seen, ordering.grows)
        return self._compare_ranks(seen)

    def _known(self, seen: Facts, value: Value) -> Value:
        """The value, or what its absence is taken for."""
        if value is not None:
            return value
        if seen.kind == "role_setting" and self.ordering.override is not None:
            return self.ordering.override
        return self.ordering.absent

    def _compare_members(self, seen: Facts, grows: Direction) -> Direction:
        old = self._reader.read(self._known(seen, seen.before))
        new = self._reader.read(self._known(seen, seen.after))
        if old.is_everyone or new.is_everyone:
            if old.is_everyone and new.is_everyone:
                return Direction.NEUTRAL
            return grows if new.is_everyone else grows.opposite
        effects = {self._effect(one, grows) for one in new.all - old.all}
        effects |= {self._effect(one, grows.opposite) for one in old.all - new.all}
        if Direction.WIDENS in effects:
            return Direction.WIDENS
        if effects:
            return Direction.NARROWS
        reordered = self.ordering.order_matters and old.in_order != new.in_order
        return Direction.WIDENS if reordered else Direction.NEUTRAL

    def _effect(self, member: str, way: Direction) -> Direction:
        """What a member does that comes or goes, where an ordinary one goes this way."""
        if self._protective and self._protective(member):
            return way.opposite
        return Direction.WIDENS if self._suspect and self._suspect(member) else way

    def _compare_ranks(self, seen: Facts) -> Direction:
        old = self._rank(self._known(seen, seen.before), seen.units[0])
        new = self._rank(self._known(seen, seen.after), seen.units[1])
        if old is None or new is None:
            return Direction.NEUTRAL
        if old == new:
            return self._override(seen, new)
        return Direction.NARROWS if new > old else Direction.WIDENS

    def _override(self, seen: Facts, rank: Rank) -> Direction:
        """The weakest value as an override weakens, whatever the cluster-wide value is."""
        came_or_went = (seen.before is None) != (seen.after is None)
        if seen.kind != "role_setting" or rank[0] != _LOWEST or not came_or_went:
            return Direction.NEUTRAL
        return Direction.WIDENS if seen.before is None else Direction.NARROWS

    def _rank(self, value: Value, unit: str) -> Rank | None:
        """Where the value stands, stronger is greater; None, if the order does not know it."""
        stronger = self.ordering.stronger
        if stronger is None:
            return self._step(value)
        if stronger in {Stronger.TRUE, Stronger.FALSE}:
            return _truth(value, protects=stronger is Stronger.TRUE)
        text = (plain(value) or "").strip()
        if stronger is Stronger.EARLIER:
            return self._special(text) or _moment(text)
        return self._quantity(text, unit or self.ordering.unit, stronger)

    def _special(self, text: str) -> Rank | None:
        if text in self.ordering.weakest:
            return (_LOWEST, Decimal(0))
        return (_HIGHEST, Decimal(0)) if text in self.ordering.strongest else None

    def _step(self, value: Value) -> Rank | None:
        text = plain(value)
        if text is None:
            return None
        for position, globs in enumerate(self._strength):
            if any(glob.match(text.strip().lower()) for glob in globs):
                return (_BETWEEN if position else _LOWEST, Decimal(position))
        return None

    def _quantity(self, text: str, unit: str, stronger: Stronger) -> Rank | None:
        found = _NUMBER.fullmatch(text)
        if found is None:
            return None
        number = Decimal(found[1])
        if (special := self._special(f"{number.normalize():f}")) is not None:
            return special
        factor = _factor(found[2].strip() or unit)
        if factor is None:
            return None
        return (_BETWEEN, number * factor if stronger is Stronger.HIGHER else -number * factor)


def _check(ordering: Ordering) -> None:
    ways = [
        way
        for way in ("always", "strength", "stronger", "grows")
        if getattr(ordering, way) is not None
    ]
    if ordering.added is not None or ordering.removed is not None:
        ways.append("added")
    if len(ways) != 1:
        raise ValueError(
            "expected exactly one of always, strength, stronger, grows, or added and removed"
        )
    for key in set().union(*_REFINEMENTS.values()) - _REFINEMENTS[ways[0]]:
        if getattr(ordering, key) != getattr(Ordering(id=""), key):
            raise ValueError(f"{key} has no meaning together with {ways[0]}")
    if ordering.grows not in {None, Direction.WIDENS, Direction.NARROWS}:
        raise ValueError('expected grows = "widens" or "narrows"')
    if ordering.strength is not None and not ordering.strength:
        raise ValueError("strength is empty")
    if ordering.stronger in {Stronger.HIGHER, Stronger.LOWER} and not all(
        _NUMBER.fullmatch(text) for text in (*ordering.weakest, *ordering.strongest)
    ):
        raise ValueError("expected numbers in weakest and strongest")


def _truth(value: Value, *, protects: bool) -> Rank | None:
    """Where a boolean stands; ``protects``: the stronger of the two. An absent one is false."""
    text = "false" if value is None else (plain(value) or "").strip().lower()
    if text not in _TRUE | _FALSE:
        return None
    return (_HIGHEST if (text in _TRUE) == protects else _LOWEST, Decimal(0))


def _moment(text: str) -> Rank | None:
    """Where a point in time stands: the earlier, the stronger."""
    try:
        moment = dt.datetime.fromisoformat(text)
    except ValueError:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=dt.UTC)
    return (_BETWEEN, -Decimal(str(moment.timestamp())))


def _factor(unit: str) -> Decimal | None:
    if not unit:
        return Decimal(1)
    found = _UNIT.fullmatch(unit)
    if found is None or found[2] not in _UNITS:
        return None
    return Decimal(found[1] or 1) * _UNITS[found[2]]
