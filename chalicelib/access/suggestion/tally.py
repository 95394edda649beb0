"""How many of a column's sampled values look like what: counts, and never a value."""

from __future__ import annotations

import math
from collections import Counter
from typing import TYPE_CHECKING, Final

import msgspec

from chalicelib.access.suggestion.detect import (
    KINDS,
    LIKELY,
    NEVER,
    POSSIBLE,
    SURE,
    WEAK,
    looks,
    prose,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

# Odds against coincidence from which on a number of values is one: among the thousands of columns
# of a database none or one is then found that is something else.
_ODDS: Final = math.log(10_000)
_RANKS: Final = {SURE: 3, LIKELY: 2, POSSIBLE: 1, NEVER: 0}


class Group(msgspec.Struct, frozen=True):
    """Kinds that are counted together: those of a class, but national numbers each by itself.

    ``whole``: values that are one; ``within``: that have one in them, and are none. ``alone``: how
    sure most of them are by themselves, as ``detect.Kind``. ``kinds``: those seen, the most first.
    """

    klass: str
    whole: int
    within: int
    chance: float
    alone: str
    kinds: tuple[str, ...]

    @property
    def count(self) -> int:
        """Values that are one or have one in them."""
        return self.whole + self.within


class Tally(msgspec.Struct, frozen=True):
    """The counts of one column. ``number``: the values looked at, blank ones apart.

    ``support``: for each class, the values that can be of it, also if only the name can say so.
    ``words``: values that are texts; ``distinct``: different values; ``short``: values that are
    one short word.
    """

    number: int
    groups: tuple[Group, ...] = ()
    support: dict[str, int] = {}
    words: int = 0
    distinct: int = 0
    short: int = 0


def tally(values: Iterable[str], *, arrays: bool = False) -> Tally:
    """The counts over values. ``arrays``: what is inside a value stands for the value."""
    kept = [value for value in values if value and not value.isspace()]
    whole: Counter[str] = Counter()
    within: Counter[str] = Counter()
    kinds: dict[str, Counter[str]] = {}
    ranks: dict[str, Counter[str]] = {}
    support: Counter[str] = Counter()
    for value in kept:
        signs = looks(value)
        entire: dict[str, str] = {}
        inside: set[str] = set()
        for sign in signs:
            kind = KINDS[sign.kind]
            group = sign.kind if kind.klass == "national-id" else kind.klass
            kinds.setdefault(group, Counter())[sign.kind] += 1
            if kind.alone == NEVER:
                continue
            if sign.within and not arrays:
                inside.add(group)
            elif _RANKS[kind.alone] > _RANKS[entire.get(group, NEVER)]:
                entire[group] = kind.alone
        whole.update(entire.keys())
        within.update(inside - set(entire))
        for group, rank in (*entire.items(), *((one, SURE) for one in inside - set(entire))):
            ranks.setdefault(group, Counter())[rank] += 1
        support.update({KINDS[sign.kind].klass for sign in signs})
    return Tally(
        number=len(kept),
        groups=tuple(
            _group(whole[group], within[group], kinds[group], ranks[group])
            for group in sorted(ranks)
        ),
        support=dict(support),
        words=sum(map(prose, kept)),
        distinct=len(set(kept)),
        short=sum(len(value) <= _SHORT and len(value.split()) <= 2 for value in kept),  # noqa: PLR2004
    )


_SHORT: Final = 24  # characters of a status and the like: the longest of them are two words


def _group(whole: int, within: int, kinds: Counter[str], ranks: Counter[str]) -> Group:
    seen = [kind for kind, _ in kinds.most_common() if KINDS[kind].alone != NEVER]
    klass = KINDS[seen[0]].klass
    half = sum(ranks.values()) / 2
    alone = next(
        rank
        for rank in (SURE, LIKELY, POSSIBLE)
        if sum(ranks[one] for one in ranks if _RANKS[one] >= _RANKS[rank]) >= half
    )
    return Group(klass, whole, within, max(KINDS[kind].chance for kind in seen), alone, tuple(seen))


def beyond_chance(count: int, number: int, chance: float) -> bool:
    """Whether so many of so many are more than coincidence.

    Chernoff's bound on the odds of at least ``count`` of ``number`` where each has ``chance``.
    Source: Hoeffding 1963, theorem 1.
    """
    share = count / number if number else 0.0
    if share <= chance:
        return False
    divergence = share * math.log(share / chance)
    if share < 1:
        divergence += (1 - share) * math.log((1 - share) / (1 - chance))
    return number * divergence > _ODDS


def is_weak(group: Group) -> bool:
    """Whether one check digit is all there is: it says nothing but of nearly all the values."""
    return group.chance >= WEAK
