"""What identity policies and boundaries allow of some goals and of taking roles: maybe, and surely.

1. Of every document, once: its statements that touch a goal, and the principals' ARNs that it
   allows or denies each of a few actions on.
2. Of an Allow that touches a goal, once for the Denies and the boundary that touch it too: whether
   a request is left (``search``). Without them it is.

``surely`` needs no condition to hold and no Deny's condition to fail. ``maybe`` is never missing
where a request is allowed; it is said wherever nobody can tell.
Source: AWS IAM User Guide, "Policy evaluation logic", "Permissions boundaries for IAM entities".
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

import msgspec

from chalicelib.drift.iam import document as documents
from chalicelib.drift.iam import glob, key
from chalicelib.drift.iam.automaton import find
from chalicelib.drift.iam.document import Document, Effect, Names, Statement
from chalicelib.drift.iam.evaluate import Decision, evaluate
from chalicelib.drift.iam.glob import Budget, Exhausted, relax
from chalicelib.drift.iam.overlap import Overlap
from chalicelib.drift.iam.region import Kind, Space, Which, box, region
from chalicelib.drift.iam.roll import Roll, union
from chalicelib.drift.iam.scope import broadened, covers, is_all, is_clear, is_own, widened
from chalicelib.drift.iam.search import search
from chalicelib.kernel.errors import Malformed

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from chalicelib.drift.iam.actions import Index
    from chalicelib.drift.iam.glob import Language
    from chalicelib.drift.iam.goal import Goal
    from chalicelib.drift.iam.key import Answer
    from chalicelib.drift.iam.region import Literal
    from chalicelib.drift.iam.request import Request

MAX_STEPS: Final = 20_000  # of one search, some half a second; what takes more is not decided


class Allowed(NamedTuple):
    """Whether something may be, and whether it is for certain."""

    maybe: bool
    surely: bool


class Reach(NamedTuple):
    """The principals on whose ARNs an action is allowed, and explicitly denied."""

    sure: int = 0
    maybe: int = 0
    denied: int = 0
    may_be_denied: int = 0


class Paper(NamedTuple):
    """What matters of a document. ``opaque``: nobody can tell what it says.

    ``allows``, ``denies``: by goal, the numbers of statements; ``reaches``: by action.
    """

    opaque: bool
    allows: Mapping[int, tuple[int, ...]]
    denies: Mapping[int, tuple[int, ...]]
    reaches: Mapping[str, Reach]


NOTHING: Final = Paper(opaque=False, allows={}, denies={}, reaches={})
UNKNOWN: Final = Paper(opaque=True, allows={}, denies={}, reaches={})


class _Real(Space):
    """Requests for resources that there can be."""

    def __init__(
        self, documents: Sequence[Document], index: Index, budget: Budget, real: Language
    ) -> None:
        super().__init__(documents, index, budget)
        self._resources = real

    def _which(self, literals: frozenset[Literal]) -> Answer:
        said = super()._which(literals)
        if said.is_impossible:
            return said
        inside: list[Language] = [self._resources]
        outside: list[Language] = []
        for wanted, one in literals:
            if isinstance(one, Which):
                patterns = tuple(map(glob.parse, one.names.texts))
                if wanted == one.names.negated:
                    outside.append(patterns)
                elif not (one.names.negated and any(each.variables for each in patterns)):
                    inside.append(patterns)  # else AWS does not say what it is
        found = key.text(inside, outside, self.budget)
        return key.UNDECIDED if said.values is None and found.values is not None else found


class Grants:
    """What documents allow of ``goals``, and of ``actions`` on the ARNs of ``principals``."""

    def __init__(
        self, goals: Sequence[Goal], actions: Sequence[str], principals: Roll, index: Index
    ) -> None:
        self.goals = goals
        self.actions = actions
        self._principals = principals
        self._index = index
        names = sorted({*actions, *(one for goal in goals for one in goal.actions)})
        self._acts = Roll(names)
        self._wanted = {one: self._acts.mask(glob.parse(one, variables=False)) for one in names}
        self._goal_acts = [union(self._wanted[one] for one in goal.actions) for goal in goals]
        self._languages = [goal.language for goal in goals]
        self._spared = [tuple(map(glob.parse, goal.spared)) for goal in goals]
        self._papers: dict[bytes, Paper] = {}
        self._numbers: dict[Statement, int] = {}
        self._statements: list[Statement] = []
        self._acting: dict[Names, int] = {}
        self._touching: dict[tuple[Names, int], bool] = {}
        self._answers: dict[tuple[Any, ...], Allowed] = {}
        self._contexts: dict[tuple[Any, ...], bool | None] = {}

    def paper(self, value: Any) -> Paper:
        """What matters of a document, in JSON; None: of one that is not there to be read."""
        if value is None:
            return UNKNOWN
        if isinstance(value, dict) and not any(map(self._matters, _statements(value))):
            return NOTHING
        data = msgspec.json.encode(value, order="deterministic")
        if data not in self._papers:
            self._papers[data] = self._paper(value)
        return self._papers[data]

    def _matters(self, statement: Any) -> bool:
        """Whether a statement, as JSON, may be about anything here: quick, and true in doubt."""
        texts = statement.get("Action") if isinstance(statement, dict) else None
        texts = [texts] if isinstance(texts, str) else texts
        if not isinstance(texts, list) or "NotAction" in statement:
            return True
        return any(not isinstance(one, str) or self._mask(one.lower()) for one in texts)

    def _mask(self, text: str) -> int:
        return self._acts.mask(glob.parse(text, variables=False))

    def _paper(self, value: Any) -> Paper:
        try:
            document = documents.parse(value)
        except Malformed:
            return UNKNOWN
        if document.unknown:
            return UNKNOWN
        allows: dict[int, list[int]] = {}
        denies: dict[int, list[int]] = {}
        reaches: dict[str, Reach] = {}
        for one in document.statements:
            acts = self._act(one)
            if not acts:
                continue
            side = allows if one.effect is Effect.ALLOW else denies
            for number in range(len(self.goals)):
                if acts & self._goal_acts[number]:
                    touching = self._touch(one, number)
                    if touching is not None:
                        side.setdefault(number, []).append(self._number(touching))
            for action in self.actions:
                if acts & self._wanted[action]:
                    known = reaches.get(action, Reach())
                    reaches[action] = self._added(known, one)
        return Paper(
            opaque=False,
            allows={goal: tuple(found) for goal, found in allows.items()},
            denies={goal: tuple(found) for goal, found in denies.items()},
            reaches=reaches,
        )

    def _act(self, one: Statement) -> int:
        """The actions of a statement that matter here; all of one that is not understood."""
        if one.unknown:
            return self._acts.all
        if one.actions not in self._acting:
            found = union(map(self._mask, one.actions.texts))
            self._acting[one.actions] = self._acts.all & ~found if one.actions.negated else found
        return self._acting[one.actions]

    def _number(self, one: Statement) -> int:
        one = one.meaning
        if one not in self._numbers:
            self._numbers[one] = len(self._statements)
            self._statements.append(one)
        return self._numbers[one]

    def _touch(self, one: Statement, number: int) -> Statement | None:
        """The statement, if its resources may be some of the goal; without one's own user."""
        names = one.resources
        if one.unknown or names is None:
            return one
        if self.goals[number].others and one.effect is Effect.ALLOW and not names.negated:
            names = Names(tuple(text for text in names.texts if not is_own(text)))
            one = msgspec.structs.replace(one, resources=names)
        if (names, number) not in self._touching:
            self._touching[names, number] = self._meets(names, number)
        return one if self._touching[names, number] else None

    def _meets(self, names: Names, number: int) -> bool:
        if "*" in names.texts:
            return not names.negated
        patterns = [glob.parse(text) for text in names.texts]
        language, spared = self._languages[number], self._spared[number]
        if not names.negated:
            patterns = list(map(relax, patterns))
            machines = list(map(Overlap, patterns))
            if not any(one.meets(each) for one in machines for each in language):
                return False
            if not spared:
                return True
        inside = [language]
        outside = [spared] if spared else []
        if names.negated:
            outside.append(tuple(one for one in patterns if not one.variables))
        else:
            inside.append(tuple(patterns))
        try:
            return find(inside, outside, budget=Budget(MAX_STEPS)) is not None
        except Exhausted:
            return True

    def _added(self, known: Reach, one: Statement) -> Reach:
        """What an action reaches, with one more statement."""
        names = one.resources
        if one.unknown or names is None or one.principals is not None:
            sure, maybe = 0, self._principals.all
        else:
            sure, maybe = self._principals.meant(names)
            if names.negated and any(glob.parse(text).variables for text in names.texts):
                sure = 0  # what NotResource means where a variable has no value, AWS does not say
        sure = 0 if one.atoms else sure
        if one.effect is Effect.ALLOW:
            return known._replace(sure=known.sure | sure, maybe=known.maybe | maybe)
        return known._replace(denied=known.denied | sure, may_be_denied=known.may_be_denied | maybe)

    def reach(self, papers: Sequence[Paper], boundary: Paper | None, action: str) -> Reach:
        """The principals on whose ARNs somebody with these documents may do the action.

        What is allowed is without what is denied, and inside the boundary.
        """
        unsure = any(one.opaque for one in papers)
        found = _joined(papers, action)
        if unsure:
            found = found._replace(maybe=self._principals.all, may_be_denied=self._principals.all)
        if boundary is not None:
            ceiling = _joined([boundary], action)
            if boundary.opaque:
                ceiling = Reach(maybe=self._principals.all, may_be_denied=self._principals.all)
            found = Reach(
                found.sure & ceiling.sure,
                found.maybe & ceiling.maybe,
                found.denied | ceiling.denied,
                found.may_be_denied | ceiling.may_be_denied,
            )
        return found._replace(
            sure=found.sure & ~found.may_be_denied, maybe=found.maybe & ~found.denied
        )

    def allows(self, papers: Sequence[Paper], boundary: Paper | None, goal: int) -> Allowed:
        """Whether some request of the goal is allowed by these documents inside the boundary."""
        allows = sorted({number for one in papers for number in one.allows.get(goal, ())})
        denies = {number for one in papers for number in one.denies.get(goal, ())}
        unsure = any(one.opaque for one in papers)
        if not allows and not unsure:
            return Allowed(maybe=False, surely=False)
        ceilings: tuple[int, ...] | None = None
        if boundary is not None and not boundary.opaque:
            ceilings = boundary.allows.get(goal, ())
            denies |= set(boundary.denies.get(goal, ()))
            if not ceilings:
                return Allowed(maybe=False, surely=False)
        asked = (goal, tuple(allows), frozenset(denies), ceilings)
        if asked not in self._answers:
            self._answers[asked] = self._any(allows, sorted(denies), ceilings, goal)
        found = self._answers[asked]
        opaque = unsure or (boundary is not None and boundary.opaque)
        return Allowed(found.maybe or unsure, found.surely and not opaque)

    def _any(
        self,
        allows: Iterable[int],
        denies: Sequence[int],
        ceilings: Sequence[int] | None,
        goal: int,
    ) -> Allowed:
        found = Allowed(maybe=False, surely=False)
        for allow in allows:
            for ceiling in [None] if ceilings is None else ceilings:
                one = self._pair(allow, ceiling, denies, goal)
                found = Allowed(found.maybe or one.maybe, found.surely or one.surely)
                if found.surely:
                    return found
        return found

    def _pair(self, allow: int, ceiling: int | None, denies: Sequence[int], goal: int) -> Allowed:
        """Whether a request of the goal is allowed by one statement, in one of the boundary's."""
        inside = [self._statements[allow]]
        if ceiling is not None and not is_all(self._statements[ceiling]):
            inside.append(self._statements[ceiling])
        acts = self._goal_acts[goal]
        for one in inside:
            acts &= self._act(one)
        against = [n for n in denies if self._act(self._statements[n]) & acts]
        asked = (goal, allow, ceiling, tuple(against))
        if asked not in self._answers:
            refused = [self._statements[number] for number in against]
            self._answers[asked] = self._decided(inside, refused, goal)
        return self._answers[asked]

    def _decided(
        self, inside: Sequence[Statement], refused: Sequence[Statement], goal: int
    ) -> Allowed:
        clear = all(is_clear(one) for one in inside)
        if len(inside) == 1 and not refused:
            return Allowed(maybe=True, surely=clear)
        acts = self._goal_acts[goal]
        for one in inside:
            acts &= self._act(one)
        whole = [one for one in refused if covers(one) and not acts & ~self._act(one)]
        if any(is_clear(one) for one in whole):
            return Allowed(maybe=False, surely=False)
        if len(inside) == 1 and whole and self._escapes(inside, refused, goal):
            return Allowed(maybe=True, surely=False)
        found = self._search(inside, refused, goal)
        if found is False:
            return Allowed(maybe=False, surely=False)
        broad = list(map(broadened, refused))
        surely = clear and not whole and not any(one.unknown for one in refused)
        if surely and (found is None or broad != refused):
            surely = self._search(inside, broad, goal) is True
        return Allowed(maybe=True, surely=surely)

    def _escapes(
        self, inside: Sequence[Statement], refused: Sequence[Statement], goal: int
    ) -> bool:
        """Whether some context is one of the Allow and of none of the Denies, whatever they are on.

        Asked once for conditions that many policies have.
        """
        asked = (*(one.atoms for one in inside), *(one.atoms for one in refused))
        if any(one.unknown or not one.atoms for one in refused):
            return False
        if asked not in self._contexts:
            self._contexts[asked] = self._search(
                list(map(widened, inside)), list(map(widened, refused)), goal
            )
        return self._contexts[asked] is True

    def _search(
        self, inside: Sequence[Statement], refused: Sequence[Statement], goal: int
    ) -> bool | None:
        """Whether there is a request of the goal inside all of these, and in none of those."""
        aim = self.goals[goal]
        outside = [*refused, *([aim.exception] if aim.exception else [])]
        every = Document((*inside, aim.statement, *outside))
        space = _Real([every], self._index, Budget(MAX_STEPS), self._languages[goal])
        each = [Document((one, *outside)) for one in inside]

        def confirms(request: Request) -> bool:
            return all(evaluate(one, request) is Decision.ALLOWED for one in each)

        boxes = [box(one, Kind.IDENTITY) for one in outside]
        start = region(*(box(one, Kind.IDENTITY) for one in (aim.statement, *inside)))
        outcome = search(space, start, boxes, confirms)
        if outcome.request is not None:
            return True
        return None if outcome.doubt else False


def _statements(value: Mapping[str, Any]) -> list[Any]:
    found = value.get("Statement")
    return found if isinstance(found, list) else [found]


def _joined(papers: Iterable[Paper], action: str) -> Reach:
    found = Reach()
    for one in papers:
        if action in one.reaches:
            found = Reach(*(a | b for a, b in zip(found, one.reaches[action], strict=True)))
    return found
