"""One condition key: is there a value, or a lack of one, that some conditions admit and others not.

A literal is a condition that must hold or must not. Values of a key are of the type that its
operators compare; a key without set operator in front of it has one value at most, as AWS
documents. Exact where the operators on a key are of one family; else a contradiction within one
family is a proof, and a value is only taken where it satisfies all.
"""

from __future__ import annotations

import ipaddress
from itertools import pairwise
from typing import TYPE_CHECKING, TypeAlias

from chalicelib.drift.iam import condition
from chalicelib.drift.iam.automaton import find
from chalicelib.drift.iam.condition import Atom, Family, Scope
from chalicelib.drift.iam.glob import SOMETHING, Budget, Language, relax

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from decimal import Decimal

Literal: TypeAlias = tuple[bool, Atom]
"""Whether it must hold, and the condition."""

Demand: TypeAlias = tuple[bool, Atom]
"""Whether a value must be admitted by the positive operator, and the operator."""

Values: TypeAlias = tuple[str, ...]
"""Values of the key; none: it is absent."""


class Answer:
    """Whether there are such values: ``values``, or else whether it is proven that there are none.

    Neither: nobody can tell.
    """

    __slots__ = ("is_impossible", "values")

    def __init__(self, values: Values | None = None, *, is_impossible: bool = False) -> None:
        self.values = values
        self.is_impossible = is_impossible


IMPOSSIBLE = Answer(is_impossible=True)
UNDECIDED = Answer()
_ANY_VALUE = Answer(("",))  # a better one is put in its place


def solve(literals: frozenset[Literal], budget: Budget, *, peers: Iterable[Atom] = ()) -> Answer:
    """Values for which all literals are true. Raises: Exhausted.

    ``peers``: conditions on the key elsewhere, which tell what its values are like.
    """
    if any((not wanted, atom) in literals for wanted, atom in literals):
        return IMPOSSIBLE
    known = sorted((one for one in literals if not one[1].unknown), key=repr)  # for equal witnesses
    answers = [_present(known, budget), _absent(known)]
    if answers[0] is _ANY_VALUE:
        answers[0] = Answer((_sample(peers, budget),))
    if all(answer.is_impossible for answer in answers):
        return IMPOSSIBLE
    if len(known) < len(literals):
        return UNDECIDED
    return next((answer for answer in answers if answer.values is not None), UNDECIDED)


def _sample(peers: Iterable[Atom], budget: Budget) -> str:
    """A value like those that conditions compare the key with, where any value will do."""
    for atom in peers:
        if not atom.unknown and atom.family not in {Family.TEXT, Family.PRESENCE}:
            return _candidates(atom.family, [(True, atom)], budget)[0]
        if atom.operator == "ArnLike":
            return "arn:aws:iam::000000000000:user/someone"
    return "x"


def _absent(literals: Iterable[Literal]) -> Answer:
    """Whether all is true for a key that is not there: always exact."""
    true = all(condition.holds(atom, {}) is wanted for wanted, atom in literals)
    return Answer(()) if true else IMPOSSIBLE


def _present(literals: Sequence[Literal], budget: Budget) -> Answer:
    """Values, at least one."""
    presence = [one for one in literals if one[1].family is Family.PRESENCE]
    if any(("false" in atom.values) is not wanted for wanted, atom in presence):
        return IMPOSSIBLE
    single = [one for one in literals if one not in presence and one[1].scope is Scope.SINGLE]
    sets = [one for one in literals if one[1].scope is not Scope.SINGLE]
    if not sets:
        return _one([_demand(one) for one in single], budget)
    if not single:
        return _several(sets, budget)
    # Whether AWS sees one value or more is not known here: only what holds for both is proven.
    answer = _one([_demand(one) for one in (*single, *sets)], budget)
    if answer.values is not None:
        return answer
    return IMPOSSIBLE if _several(sets, budget).is_impossible else UNDECIDED


def _demand(literal: Literal) -> Demand:
    """What a literal demands of a value, if there is but one."""
    wanted, atom = literal
    return (wanted != atom.negated, atom)


def _several(literals: Iterable[Literal], budget: Budget) -> Answer:
    """Values for set operators: what each value must satisfy, and what one of them must."""
    all_of_them: list[Demand] = []
    one_of_them: list[Demand] = []
    for wanted, atom in literals:
        is_every = wanted == (atom.scope is Scope.EVERY)
        (all_of_them if is_every else one_of_them).append(_demand((wanted, atom)))
    answers = [_one([*all_of_them, demand], budget) for demand in one_of_them]
    answers = answers or [_one(all_of_them, budget)]
    if any(answer.is_impossible for answer in answers):
        return IMPOSSIBLE
    values: list[str] = []
    for answer in answers:
        if answer.values is None:
            return UNDECIDED
        values.extend(answer.values)
    return Answer(tuple(dict.fromkeys(values)))


def _one(demands: Sequence[Demand], budget: Budget) -> Answer:
    """One value that satisfies all demands."""
    families = {atom.family for _, atom in demands}
    candidates: list[str] = []
    if not demands:
        return _ANY_VALUE
    for family in sorted(families, key=lambda one: one.value):
        ours = [demand for demand in demands if demand[1].family is family]
        budget.spend(1 + len(ours))
        if family is Family.TEXT:
            answer = _text(ours, budget)
            if answer.is_impossible or len(families) <= 1:
                return answer
            candidates += answer.values or ()
            continue
        found = _candidates(family, ours, budget)
        fitting = [value for value in found if _fits(value, ours)]
        if not fitting:
            return IMPOSSIBLE
        if len(families) == 1:
            return Answer((fitting[0],))
        candidates += fitting
    if any(pattern.variables for _, atom in demands for pattern in _language(atom)):
        return UNDECIDED
    whole = next((value for value in candidates if _fits(value, demands)), None)
    return UNDECIDED if whole is None else Answer((whole,))


def _fits(value: str, demands: Iterable[Demand]) -> bool:
    return all(condition.admits(atom, value) is wanted for wanted, atom in demands)


def _language(atom: Atom) -> Language:
    return atom.language if atom.family is Family.TEXT else ()


def _text(demands: Sequence[Demand], budget: Budget) -> Answer:
    wanted = [atom for admitted, atom in demands if admitted]
    refused = [atom.language for admitted, atom in demands if not admitted]
    # What a negated operator is, where a variable has no value, AWS does not say: it may hold or
    # not, and so its contrary proves nothing of the value.
    sure = [
        atom.language
        for atom in wanted
        if not atom.negated or not any(one.variables for one in atom.language)
    ]
    answer = text(sure, refused, budget)
    return UNDECIDED if len(sure) < len(wanted) and not answer.is_impossible else answer


def text(wanted: Sequence[Language], refused: Sequence[Language], budget: Budget) -> Answer:
    """A text in all wanted languages and no refused one; with variables, a proof or nothing.

    Refused languages may have variables without a value: these match nothing.
    """
    if not any(pattern.variables for language in (*wanted, *refused) for pattern in language):
        found = find([*wanted, (SOMETHING,)], refused, budget=budget)
        found = find(wanted, refused, budget=budget) if found is None else found
        return IMPOSSIBLE if found is None else Answer((found,))
    wide = [tuple(map(relax, language)) for language in wanted]
    certain = [
        tuple(pattern for pattern in language if not pattern.variables) for language in refused
    ]
    if find(wide, certain, budget=budget) is None:
        return IMPOSSIBLE
    for language in wanted:
        if find([language], refused, budget=budget) is None:
            return IMPOSSIBLE
    return UNDECIDED


def _candidates(family: Family, demands: Sequence[Demand], budget: Budget) -> list[str]:
    """A value of every set of values that the operators can tell apart."""
    bounds = {value for _, atom in demands for value in atom.values}
    budget.spend(len(bounds) * (1 + len(demands)))
    match family:
        case Family.BOOLEAN:
            return ["true", "false"]
        case Family.ADDRESS:
            return _addresses(map(condition.network, bounds))
        case Family.DATE:
            return _dates(sorted(map(condition.moment, bounds)))
        case _:
            return _numbers(sorted(map(condition.number, bounds)))


def _numbers(bounds: Sequence[Decimal]) -> list[str]:
    """Whole numbers first: the bounds, next to them, then between."""
    near = [value for bound in bounds for value in (bound, bound + 1, bound - 1)]
    between = [(low + high) / 2 for low, high in pairwise(bounds)]
    return list(dict.fromkeys(condition.plain(value) for value in (*near, *between)))


def _dates(bounds: Sequence[int]) -> list[str]:
    second = 1_000_000
    near = [value for bound in bounds for value in (bound, bound + second, bound - second)]
    between = [(low + high) // 2 for low, high in pairwise(bounds)]
    found: list[str] = []
    for value in (*near, *between):
        try:
            found.append(condition.timestamp(value))
        except ValueError:
            continue  # before the year 1 or after 9999: no date that a request can have
    return found


def _addresses(blocks: Iterable[condition.Network]) -> list[str]:
    starts: set[tuple[int, int]] = {(4, 0x0A000000), (4, 0), (6, 0), (6, 1)}
    for block in blocks:
        first = int(block.network_address)
        starts.add((block.version, first))
        if (after := first + block.num_addresses) < 1 << block.max_prefixlen:
            starts.add((block.version, after))
    makers = {4: ipaddress.IPv4Address, 6: ipaddress.IPv6Address}
    return [str(makers[version](value)) for version, value in sorted(starts, reverse=True)]
