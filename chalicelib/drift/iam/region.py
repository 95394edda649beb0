"""Statements as regions of requests: boxes of predicates, each over one dimension of a request.

Dimensions are who asks, the action, the resource, and every condition key. They are taken for
independent of each other: what is proven of all requests of this kind holds for real ones, which
are fewer. A literal is a predicate that must hold, or must not.
"""

from __future__ import annotations

import enum
from functools import lru_cache
from typing import TYPE_CHECKING, Final, TypeAlias

import msgspec

from chalicelib.drift.iam import glob, key
from chalicelib.drift.iam.actions import Expansion, Index
from chalicelib.drift.iam.condition import Atom, Family
from chalicelib.drift.iam.document import Document, Entries, Names, Statement, plain
from chalicelib.drift.iam.glob import SOMETHING, Budget, Language, Wild
from chalicelib.drift.iam.key import IMPOSSIBLE, UNDECIDED, Answer
from chalicelib.drift.iam.principal import EVERYONE, Entry, Principal, is_spared, people
from chalicelib.kernel import canon

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


class Kind(enum.Enum):
    """What a policy is of, and so what its absence means and what its denials are worth.

    ``CEILING``: a permissions boundary, a service or resource control policy, a session policy.
    It grants nothing, and what it does not allow is denied; without one all is allowed.
    """

    IDENTITY = "identity"
    RESOURCE = "resource"
    CEILING = "ceiling"


class Who(msgspec.Struct, frozen=True):
    """The principals."""

    entries: Entries


class What(msgspec.Struct, frozen=True):
    """The actions."""

    names: Names


class Which(msgspec.Struct, frozen=True):
    """The resources."""

    names: Names


class Opaque(msgspec.Struct, frozen=True):
    """A statement that is not understood: equal ones apply to the same requests, whichever."""

    text: str


Predicate: TypeAlias = Who | What | Which | Atom | Opaque
Literal: TypeAlias = tuple[bool, Predicate]
Box: TypeAlias = tuple[Predicate, ...]
Dimension: TypeAlias = tuple[str, str]
Literals: TypeAlias = dict[Dimension, frozenset[Literal]]
"""A region: every literal of every dimension must be true."""

WHO: Final = ("who", "")
WHAT: Final = ("what", "")
WHICH: Final = ("which", "")

_COMMON_ARN: Final = (
    glob.Pattern((*"arn:aws:", Wild.STEP, Wild.SPAN, ":", Wild.SPAN, ":", Wild.SPAN, ":",
                  Wild.ONE, Wild.ANY)),
)  # fmt: skip


def dimension(predicate: Predicate) -> Dimension:
    """What part of a request the predicate speaks of."""
    match predicate:
        case Who():
            return WHO
        case What():
            return WHAT
        case Which():
            return WHICH
        case Atom(key=name):
            return ("if", name)
        case Opaque(text=said):
            return ("opaque", said)


def box(one: Statement, kind: Kind) -> Box:
    """The region of a statement: all predicates must hold.

    Those that are cheap to decide come first. A statement that has, or lacks, an element that such
    policies must not is opaque.
    """
    unfit = (kind is Kind.RESOURCE and one.principals is None) or (
        kind is Kind.IDENTITY and (one.principals is not None or one.resources is None)
    )
    if one.unknown or unfit:
        return (Opaque(canon.encode(plain(one.meaning)).decode()),)
    found: list[Predicate] = [What(one.actions)]
    if one.resources is not None:
        found.append(Which(one.resources))
    if one.principals is not None:
        found.append(Who(one.principals))
    return (*found, *one.atoms)


def region(*boxes: Box, more: Iterable[Literal] = ()) -> Literals:
    """The requests that are in all of the boxes."""
    found: Literals = {WHAT: frozenset(), WHICH: frozenset()}
    for one in boxes:
        for predicate in one:
            found = within(found, (True, predicate))
    for literal in more:
        found = within(found, literal)
    return found


def within(literals: Literals, literal: Literal) -> Literals:
    """The region with one more literal."""
    of = dimension(literal[1])
    return {**literals, of: literals.get(of, frozenset()) | {literal}}


class Space:
    """All requests that two documents can tell apart, one dimension at a time.

    Raises: Exhausted, where the documents name too many principals.
    """

    def __init__(self, documents: Sequence[Document], index: Index | None, budget: Budget) -> None:
        statements = [one for document in documents for one in document.statements]
        self.budget = budget
        self._expansion = Expansion(
            index, (text for one in statements for text in one.actions.texts)
        )
        self.people: list[Principal] = people(
            entry
            for one in statements
            if one.principals is not None
            for entry in one.principals.entries
        )
        self._peers: dict[str, list[Atom]] = {}
        for atom in (atom for one in statements for atom in one.atoms):
            self._peers.setdefault(atom.key, []).append(atom)
        self._bearers: dict[Entry, int] = {}
        for number, one in enumerate(self.people):
            for name in (*one.names, *{Entry(name.kind, "*") for name in one.names}):
                self._bearers[name] = self._bearers.get(name, 0) | 1 << number
        self._crowds: dict[Who, tuple[int, int]] = {}
        self._answers: dict[tuple[Dimension, frozenset[Literal]], Answer] = {}

    def solve(self, of: Dimension, literals: frozenset[Literal]) -> Answer:
        """Whether something in one dimension makes all literals true. Raises: Exhausted."""
        self.budget.spend()
        if (of, literals) not in self._answers:
            self._answers[of, literals] = self._solve(of, literals)
        return self._answers[of, literals]

    def _solve(self, of: Dimension, literals: frozenset[Literal]) -> Answer:
        if any((not wanted, predicate) in literals for wanted, predicate in literals):
            return IMPOSSIBLE
        if of == WHAT:
            return self._what(literals)
        if of == WHICH:
            return self._which(literals)
        if of == WHO:
            return self._who(literals)
        atoms = frozenset((wanted, one) for wanted, one in literals if isinstance(one, Atom))
        if len(atoms) < len(literals):
            return UNDECIDED
        return key.solve(atoms, self.budget, peers=self._peers.get(of[1], ()))

    def _what(self, literals: frozenset[Literal]) -> Answer:
        inside, outside = _sides((w, p.names) for w, p in literals if isinstance(p, What))
        found = self._expansion.find(
            [names.texts for names in inside], [names.texts for names in outside], self.budget
        )
        return IMPOSSIBLE if found is None else Answer((found,))

    def _which(self, literals: frozenset[Literal]) -> Answer:
        inside, outside = _sides((w, p.names) for w, p in literals if isinstance(p, Which))
        refused = [_patterns(names) for names in outside]
        # NotResource with a variable that has no value: AWS does not say what it is.
        wanted = [
            _patterns(names) for names in inside if not (names.negated and _has_variables(names))
        ]
        common = key.text([*wanted, _COMMON_ARN], refused, self.budget)
        if common.values is None:
            common = key.text([*wanted, (SOMETHING,)], refused, self.budget)
        return UNDECIDED if len(wanted) < len(inside) and not common.is_impossible else common

    def _who(self, literals: frozenset[Literal]) -> Answer:
        if _is_monotone_contradiction(literals):
            return IMPOSSIBLE
        certain = possible = (1 << len(self.people)) - 1
        for wanted, predicate in literals:
            if isinstance(predicate, Who):
                surely, maybe = self._crowd(predicate)
                certain &= surely if wanted else ~maybe
                possible &= maybe if wanted else ~surely
        if certain:
            return Answer((str((certain & -certain).bit_length() - 1),))
        return UNDECIDED if possible else IMPOSSIBLE

    def _crowd(self, who: Who) -> tuple[int, int]:
        """Who is meant for certain, and who may be: sets of ``people`` as integers, a bit each."""
        if who not in self._crowds:
            everybody = (1 << len(self.people)) - 1
            entries = who.entries.entries
            named = everybody if EVERYONE in entries else 0
            for one in entries:
                named |= self._bearers.get(one, 0)
            if not who.entries.negated:
                self._crowds[who] = (named, named)
            else:
                self.budget.spend(named.bit_count())
                spared = sum(
                    1 << index
                    for index, one in enumerate(self.people)
                    if named >> index & 1 and is_spared(one, frozenset(entries))
                )
                self._crowds[who] = (everybody & ~named, everybody & ~spared)
        return self._crowds[who]


def _is_monotone_contradiction(literals: Iterable[Literal]) -> bool:
    """Whether someone is meant by NotPrincipal, and not by one that leaves fewer out.

    However AWS reads an entry, one more leaves nobody in who was out.
    """
    nots = [
        (w, set(p.entries.entries)) for w, p in literals if isinstance(p, Who) and p.entries.negated
    ]
    return any(few <= many for wanted, many in nots if wanted for other, few in nots if not other)


def _sides(literals: Iterable[tuple[bool, Names]]) -> tuple[list[Names], list[Names]]:
    """What the text must match, and what it must not."""
    inside: list[Names] = []
    outside: list[Names] = []
    for wanted, names in sorted(literals, key=lambda one: (one[1].texts, one[0])):
        (inside if wanted != names.negated else outside).append(names)
    return inside, outside


@lru_cache(maxsize=4_096)
def _patterns(names: Names) -> Language:
    return tuple(glob.parse(text) for text in names.texts)


def _has_variables(names: Names) -> bool:
    return any(pattern.variables for pattern in _patterns(names))


def variables(document: Document) -> frozenset[str]:
    """The condition keys whose values the document's texts have in them."""
    found = {
        variable.name
        for one in document.statements
        if one.resources is not None
        for pattern in _patterns(one.resources)
        for variable in pattern.variables
    }
    found |= {
        variable.name
        for one in document.statements
        for atom in one.atoms
        if not atom.unknown and atom.family is Family.TEXT
        for pattern in atom.language
        for variable in pattern.variables
    }
    return frozenset(found)
