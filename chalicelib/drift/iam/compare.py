"""What a change of a policy means: widened, narrowed, both, neutral, or undecided.

A document says of every request: explicitly denied, not allowed, or allowed; see ``evaluate``. It
is widened where some request comes up in that order, narrowed where one goes down. An explicit
denial that goes widens even where the document allows nothing: another one's Allow now counts. So
it does for a ceiling (``Kind.CEILING``): what a resource's policy gives to a user or a session in
person, a boundary's silence does not take. Both denials are one with ``alone``.

Widened is said with a request that shows it; narrowed and neutral only where it is proven that no
request comes up. Elements are taken for independent of each other (``region``), and actions are
those of the reference (``actions``).
"""

from __future__ import annotations

import enum
from itertools import product
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import msgspec

from chalicelib.drift.iam import document as documents
from chalicelib.drift.iam import glob, witness, words
from chalicelib.drift.iam.actions import Index
from chalicelib.drift.iam.condition import Atom, Family
from chalicelib.drift.iam.document import Document, Effect, Names, Statement
from chalicelib.drift.iam.evaluate import Decision, evaluate
from chalicelib.drift.iam.glob import Budget, Exhausted
from chalicelib.drift.iam.question import Question, questions
from chalicelib.drift.iam.region import Kind, Opaque, Space, box, region, variables
from chalicelib.drift.iam.request import Request
from chalicelib.drift.iam.search import Outcome, search
from chalicelib.kernel.errors import Malformed

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from chalicelib.drift.iam.actions import Reference
    from chalicelib.drift.iam.region import Literal

MAX_STEPS: Final = 400_000  # of one comparison, some ten seconds; people's policies take thousands
MAX_STEPS_A_QUESTION: Final = 100_000
MAX_REASONS: Final = 20  # each way
MAX_VALUATIONS: Final = 6  # of policy variables, when a request is looked for

Policy: TypeAlias = "Document | str | bytes | Mapping[str, Any] | None"
"""A policy document, as it is or yet to be parsed; None: there is no policy."""


_NO_STEPS = "it takes more steps than the bound"
_NO_LIMIT: Final = Document((Statement(Effect.ALLOW, witness.ALL, witness.ALL),))


class Widening(enum.Enum):
    """Which way a policy's meaning goes."""

    WIDENED = "widened"
    NARROWED = "narrowed"
    BOTH = "both"
    NEUTRAL = "neutral"
    UNDECIDED = "undecided"


class Reason(msgspec.Struct, frozen=True):
    """One statement's part in the verdict.

    ``way``: widened or narrowed, shown by ``request`` (and in ``words``, perhaps by all that are
    alike), on which the documents decide ``before`` and
    ``after``; or undecided, and ``words`` say why. ``statement``: its number in the canonical form
    of the old or the new policy, from 1 on; 0: of none. ``is_new``: whether it is the new one's.
    """

    way: Widening
    words: str
    statement: int = 0
    sid: str = ""
    is_new: bool = True
    request: Request | None = None
    before: Decision | None = None
    after: Decision | None = None


class Comparison(msgspec.Struct, frozen=True):
    """The verdict, and why.

    ``widens``, ``narrows``: whether some request comes up, or goes down; None: undecided. Where a
    request comes up and nobody can tell whether one goes down, the verdict is widened.
    ``by_reference``: that none does is so for the actions that AWS had on ``reference_date`` only.
    ``steps``: how many it took.
    """

    verdict: Widening
    widens: bool | None
    narrows: bool | None
    reasons: tuple[Reason, ...] = ()
    by_reference: bool = False
    reference_date: str = ""
    steps: int = 0


def compare(
    before: Policy,
    after: Policy,
    reference: Reference | None = None,
    *,
    kind: Kind = Kind.IDENTITY,
    alone: bool = False,
    steps: int = MAX_STEPS,
) -> Comparison:
    """What the change from one policy to the other means; undecided for what is not a policy.

    ``reference``: AWS's actions; None: patterns of actions are compared as texts; to
    compare many policies, make it an ``Index`` once. ``alone``: as if
    no other document allowed anything, so that an explicit denial is worth no more than silence.
    ``steps``: how many it may take, up to MAX_STEPS.
    """
    try:
        old, new = (_document(before, kind, "old"), _document(after, kind, "new"))
    except Malformed as error:
        if before == after:
            return Comparison(Widening.NEUTRAL, widens=False, narrows=False)
        return _undecided(str(error))
    if old.meaning == new.meaning:
        return Comparison(Widening.NEUTRAL, widens=False, narrows=False)
    if old.unknown or new.unknown:
        return _undecided("the policy has elements that are not understood")
    most = min(steps, MAX_STEPS)
    judge = _Judge(old, new, kind, reference, alone=alone, steps=most)
    try:
        ways = [judge.rises(upward=upward) for upward in (True, False)]
    except Exhausted:
        return _undecided("the policies name too many principals")
    (widens, up), (narrows, down) = ways
    return Comparison(
        _verdict(widens=widens, narrows=narrows),
        widens,
        narrows,
        (*up, *down),
        judge.by_reference,
        reference.date if reference is not None else "",
        most - judge.left,
    )


def _undecided(words: str) -> Comparison:
    return Comparison(Widening.UNDECIDED, None, None, (Reason(Widening.UNDECIDED, words),))


def _verdict(*, widens: bool | None, narrows: bool | None) -> Widening:
    match widens, narrows:
        case True, True:
            return Widening.BOTH
        case True, _:
            return Widening.WIDENED
        case False, True:
            return Widening.NARROWED
        case False, False:
            return Widening.NEUTRAL
        case _:
            return Widening.UNDECIDED


def _document(policy: Policy, kind: Kind, name: str) -> Document:
    if isinstance(policy, Document):
        return policy
    if policy is not None:
        try:
            return documents.parse(policy)
        except Malformed as error:
            raise Malformed(f"the {name} policy cannot be read: {error}") from error
    return _NO_LIMIT if kind is Kind.CEILING else Document(())


class _Judge:
    """One comparison: its documents, its budget, and what it found out on the way."""

    def __init__(
        self,
        old: Document,
        new: Document,
        kind: Kind,
        reference: Reference | None,
        *,
        alone: bool,
        steps: int,
    ) -> None:
        self.old, self.new, self.kind = old, new, kind
        self.index = reference if isinstance(reference, Index | None) else Index(reference)
        self.alone = alone
        self.left = steps
        self.by_reference = False
        self.variables = variables(old) | variables(new)
        self.is_plain = not any(
            isinstance(one, Opaque)
            for statement in (*old.statements, *new.statements)
            for one in box(statement, kind)
        )
        self._spaces: dict[tuple[bool, int], Space] = {}
        self._fixed = [
            (values, _fixed(old, values), _fixed(new, values))
            for values in _valuations(self.variables, old, new)
        ]

    def rises(self, *, upward: bool) -> tuple[bool | None, list[Reason]]:
        """Whether some request comes up from old to new, or (not ``upward``) from new to old."""
        reasons: list[Reason] = []
        doubts: list[Reason] = []
        asked = [self._asked(old, new, upward=upward) for _, old, new in self._fixed]
        for number, question in enumerate(self._asked(self.old, self.new, upward=upward)):
            if len(reasons) == MAX_REASONS or self.left <= 0:
                doubts += [] if reasons else [_doubted(question, _NO_STEPS, upward=upward)]
                break
            outcome = self._decide(question, upward=upward)
            if outcome.request is None and outcome.doubt and self._fixed:
                outcome = self._show([one[number] for one in asked], outcome, upward=upward)
            if outcome.request is not None:
                reasons.append(self._reason(question, outcome.request, upward=upward))
            elif outcome.doubt:
                doubts.append(_doubted(question, outcome.doubt, upward=upward))
        if reasons:
            return True, reasons
        return (None, doubts[:MAX_REASONS]) if doubts else (False, [])

    def _asked(self, old: Document, new: Document, *, upward: bool) -> list[Question]:
        low, high = (old, new) if upward else (new, old)
        return list(questions(low, high, self.kind, alone=self.alone))

    def _decide(self, question: Question, *, upward: bool) -> Outcome:
        """Whether there is such a request, by the reference first; a proof holds for both."""
        outcome = self._search(question, 0, {}, upward=upward)
        if outcome == Outcome() and self.index is not None:
            timeless = self._search(question, 0, {}, upward=upward, timeless=True)
            self.by_reference = self.by_reference or timeless != Outcome()
        return outcome

    def _show(self, same: list[Question], outcome: Outcome, *, upward: bool) -> Outcome:
        """A request for one of the valuations of policy variables; else the outcome as it was."""
        for number, (question, (values, _, _)) in enumerate(zip(same, self._fixed, strict=True), 1):
            shown = self._search(question, number, values, upward=upward)
            if shown.request is not None:
                return shown
        return outcome

    def _search(
        self,
        question: Question,
        number: int,
        values: Mapping[str, str],
        *,
        upward: bool,
        timeless: bool = False,
    ) -> Outcome:
        """The outcome for the documents as they are (0), or with the values of a valuation."""
        space = self._space(number, timeless=timeless)
        steps = min(self.left, MAX_STEPS_A_QUESTION)
        space.budget.left = steps
        given: list[Literal] = [
            (
                True,
                Atom(name, "StringEquals", (glob.render(glob.Pattern(tuple(value)), wild=False),)),
            )
            for name, value in sorted(values.items())
        ]
        found = search(
            space,
            region(*question.inside, more=given),
            question.outside,
            lambda request: self._confirms(request, upward=upward),
        )
        self.left -= steps - max(space.budget.left, 0)
        return found

    def _space(self, number: int, *, timeless: bool) -> Space:
        if (timeless, number) not in self._spaces:
            pair = self._fixed[number - 1][1:] if number else (self.old, self.new)
            self._spaces[timeless, number] = Space(pair, None if timeless else self.index, Budget())
        return self._spaces[timeless, number]

    def _confirms(self, request: Request, *, upward: bool) -> bool:
        """Whether the evaluation of both documents shows the request to come up."""
        low, high = (self.old, self.new) if upward else (self.new, self.old)
        first, second = evaluate(low, request), evaluate(high, request)
        if first is None or second is None:
            return False
        if self.alone:
            return second is Decision.ALLOWED and first is not Decision.ALLOWED
        return second.rank > first.rank

    def _reason(self, question: Question, request: Request, *, upward: bool) -> Reason:
        whose = self.new if question.is_high is upward else self.old
        shown, said = self._said(question, whose, request, upward=upward)
        return Reason(
            Widening.WIDENED if upward else Widening.NARROWED,
            said,
            0 if whose is _NO_LIMIT else question.statement,
            question.sid,
            question.is_high is upward,
            shown,
            evaluate(self.old, shown),
            evaluate(self.new, shown),
        )

    def _said(
        self, question: Question, whose: Document, request: Request, *, upward: bool
    ) -> tuple[Request, str]:
        """The request to show, and the words for it."""
        of = whose.statements[question.statement - 1]
        named = "" if whose is _NO_LIMIT else words.named(question, upward=upward)
        if self.is_plain:
            request = witness.plausible(self.old, self.new, of, request, self.index)
        if words.is_everything(whose, of):
            return request, words.everything(named, upward=upward)
        sides = self.old, self.new
        view = witness.view(*sides, of, request) if self.is_plain else witness.exact(request)
        shown = words.shown(request, view, words.absent(sides, request, view))
        return request, words.difference(named, shown, is_high=question.is_high, upward=upward)


def _doubted(question: Question, doubt: str, *, upward: bool) -> Reason:
    said = f"{words.named(question, upward=upward)}: {doubt}"
    return Reason(
        Widening.UNDECIDED, said, question.statement, question.sid, question.is_high is upward
    )


def _valuations(names: frozenset[str], old: Document, new: Document) -> list[dict[str, str]]:
    """Values for the variables, to look for a request with: new ones, and those of conditions."""
    if not names:
        return []
    options = [
        [f"some-{name.rpartition(':')[2].rpartition('/')[2]}", *_constants(name, old, new)]
        for name in sorted(names)
    ]
    found: list[dict[str, str]] = []
    for values in product(*options):
        found.append(dict(zip(sorted(names), values, strict=True)))
        if len(found) == MAX_VALUATIONS:
            break
    return found


def _constants(name: str, old: Document, new: Document) -> Iterator[str]:
    """The values that conditions compare the key with, and that it may have."""
    for one in (*old.statements, *new.statements):
        for atom in one.atoms:
            if atom.key == name and not atom.unknown:
                for value in atom.values:
                    if not set(value) & set("*?$"):
                        yield value


def _fixed(document: Document, values: Mapping[str, str]) -> Document:
    """The document with the values of the variables in its texts."""
    statements = []
    for one in document.statements:
        resources = one.resources
        if resources is not None:
            texts = tuple(_filled(glob.parse(text), values) for text in resources.texts)
            resources = Names(texts, resources.negated)
        atoms = tuple(
            msgspec.structs.replace(
                atom,
                values=tuple(
                    _filled(glob.parse(text, wild=_is_wild(atom)), values, wild=_is_wild(atom))
                    for text in atom.values
                ),
            )
            if not atom.unknown and atom.family is Family.TEXT and atom.operator != "BinaryEquals"
            else atom
            for atom in one.atoms
        )
        statements.append(msgspec.structs.replace(one, resources=resources, atoms=atoms))
    return Document(tuple(statements))


def _is_wild(atom: Atom) -> bool:
    return atom.operator in {"StringLike", "ArnLike"}


def _filled(pattern: glob.Pattern, values: Mapping[str, str], *, wild: bool = True) -> str:
    filled = glob.substitute(pattern, values)
    return glob.render(filled if filled is not None else pattern, wild=wild)
