"""The meaning of a change of an AWS account: do its policies allow more afterwards, or less.

Of a database, who may do what is told by ``effective.changes``.

1. A change comes to pairs of policy documents: the one that changed; all of a group that somebody
   came into; the trust of a role. They are those of the two snapshots, at either side.
2. Every pair is compared (``iam.compare``) as what it is: an identity's policy, a role's trust, or
   a permissions boundary. A policy that is two of these is compared as both; a trust also as what
   it is for who has no policy that lets them assume the role (``iam.footing``).
3. Where a second opinion is asked and finds new access that ours does not: undecided, never less.

Each change is judged by itself, as if no other had been made: whatever comes up in all, comes up in
one of them. What limits a policy elsewhere (a boundary, an organisation's policies) is not counted.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, ClassVar, Final, NamedTuple

import msgspec

from chalicelib.drift.diff import Operation
from chalicelib.drift.effective.changes import concerns, effects
from chalicelib.drift.iam import reference as references
from chalicelib.drift.iam.compare import MAX_STEPS, Comparison, Reason, Widening, compare
from chalicelib.drift.iam.document import VERSIONS
from chalicelib.drift.iam.footing import footings
from chalicelib.drift.iam.principal import ANONYMOUS
from chalicelib.drift.iam.region import Kind
from chalicelib.drift.iam.words import NOTHING
from chalicelib.drift.opinion import NEW_ACCESS, Asking
from chalicelib.drift.policies import Policies, Policy, Unknown, Uses, held
from chalicelib.drift.verdict import MAX_REASON_CHARACTERS, MAX_REASONS, Meaning, bounded
from chalicelib.kernel import canon

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from chalicelib.drift.diff import Change
    from chalicelib.drift.iam.actions import Index
    from chalicelib.drift.opinion import SecondOpinion
    from chalicelib.drift.snapshot import Snapshot

__all__ = ["MAX_REASONS", "MAX_REASON_CHARACTERS", "Meaning", "Meanings"]

MAX_ALL_STEPS: Final = 5 * MAX_STEPS  # of all comparisons of one pair of snapshots, a minute or two
STEPS_A_COMPARISON: Final = 100  # that each is charged beside those that it takes
SHARE: Final = 50  # a comparison may take this part of the steps that are left, or as follows
LEAST_STEPS: Final = 2_000  # what half of AWS's own policies take
MAX_HOLDERS: Final = 3  # that a reason names

ATTACHED: Final = "attached"
ADMINISTRATOR: Final = "administrator"
EVERYONE: Final = "everyone"
OUTSIDE: Final = "outside"

_WAYS: Final = (Widening.WIDENED, Widening.UNDECIDED, Widening.NARROWED)
_AS: Final = {Kind.CEILING: "as a permissions boundary: "}
_EVERYTHING: Final[Policy] = {
    "Version": VERSIONS[1],
    "Statement": [{"Effect": "Allow", "Action": ["*"], "Resource": ["*"]}],
}
_TRUSTED: Final[Policy] = {
    "Version": VERSIONS[1],
    "Statement": [{"Effect": "Allow", "Action": ["sts:assumerole"], "Principal": "*"}],
}


class _Case(NamedTuple):
    """What a change comes to. ``alone``: see ``compare``; ``notes``: reasons beside those of it."""

    kinds: tuple[Kind, ...]
    old: Policy | None
    new: Policy | None
    facts: dict[str, bool]
    notes: tuple[str, ...] = ()
    alone: bool = False


class _Found(NamedTuple):
    """A comparison, as what kind of policy, and what to say before its reasons."""

    kind: Kind
    words: str
    comparison: Comparison


def _settled(_of: Meanings, change: Change) -> None:
    """A version in force is said of its document, where that is known on either side."""
    _documents(change)


def _parsed(_of: Meanings, _change: Change) -> None:
    raise Unknown("one of the documents cannot be understood")


class Meanings:
    """The meanings of the changes from one snapshot to another.

    ``reference``: the packaged list, unless given; it is read when first needed. ``steps``: what
    all comparisons together may take: what is over it is undecided. ``identity``: of a database,
    as its reading has it.
    """

    def __init__(
        self,
        before: Snapshot,
        after: Snapshot,
        reference: Index | None = None,
        second: SecondOpinion | None = None,
        *,
        steps: int = MAX_ALL_STEPS,
        identity: str = "",
    ) -> None:
        self._snapshots = (before, after)
        self._reference = reference
        self._asking = Asking(second)
        self._left = steps
        self._identity = identity
        self._known: dict[tuple[str, bool, str], Comparison] = {}

    def of(self, change: Change) -> Meaning | None:
        """The meaning of a change; None, where it is not one of policies, nor of who may what."""
        if change.operation is Operation.UNREADABLE:
            return None
        if concerns(change):
            return self._effects(change)
        try:
            case = self._case(change)
        except Unknown as error:
            return Meaning(
                Widening.UNDECIDED, [bounded(str(error))], facts=self._unknown_facts(change)
            )
        return None if case is None else self._meaning(case)

    @cached_property
    def _effects(self) -> Callable[[Change], Meaning | None]:
        return effects(*self._snapshots, self._identity)

    @cached_property
    def _sides(self) -> tuple[Policies, Policies]:
        before, after = self._snapshots
        return (Policies(before), Policies(after))

    def _case(self, change: Change) -> _Case | None:
        """What the change comes to. Raises: Unknown."""
        find = self._cases.get((change.kind, change.attribute))
        return None if find is None else find(self, change)

    def _inline(self, change: Change) -> _Case:
        return _Case((Kind.IDENTITY,), *_documents(change), {ATTACHED: True})

    def _trust(self, change: Change) -> _Case | None:
        """Nobody can assume a role that is gone; a new one, whoever its trust alone lets in."""
        if change.operation is Operation.REMOVED:
            return None
        alone = change.operation is Operation.ADDED
        return _Case((Kind.RESOURCE,), *_documents(change, "trust"), {}, alone=alone)

    def _managed(self, change: Change) -> _Case:
        before, after = (side.uses(change.name) for side in self._sides)
        if change.operation is Operation.ADDED and _is_used(before):
            raise Unknown(f"{_holders(before)} had it before, and what it said is not known")
        if change.operation is Operation.REMOVED and _is_used(after):
            raise Unknown(f"{_holders(after)} still has it, and what it says is not known")
        uses = before | after
        is_attached = bool(uses.attached) or uses.maybe_attached
        is_ceiling = bool(uses.ceiling) or uses.maybe_ceiling
        facts = {ATTACHED: is_attached or is_ceiling}
        old, new = _documents(change)
        notes = (_holders(uses),)
        if change.operation is not Operation.ALTERED:
            # A boundary that comes or goes is a change of whose it is.
            return _Case((Kind.IDENTITY,) if is_attached else (), old, new, facts, notes)
        ceiling = (Kind.CEILING,) if is_ceiling else ()
        identity = (Kind.IDENTITY,) if is_attached or not is_ceiling else ()
        return _Case((*identity, *ceiling), old, new, facts, notes)

    def _boundary(self, change: Change) -> _Case:
        names = (change.before, change.after)
        old, new = (side.ceiling(name) for side, name in zip(self._sides, names, strict=True))
        return _Case((Kind.CEILING,), old, new, {ATTACHED: True})

    def _given(self, change: Change) -> _Case:
        """What somebody has now, or has no more: a ``policy``, or all those of a ``group``."""
        attribute = "policy" if change.kind == "iam_attachment" else "group"
        documents: list[Policy | None] = []
        for side, attributes in zip(self._sides, (change.old, change.new), strict=True):
            name = None if attributes is None else attributes.get(attribute)
            if attributes is not None and not isinstance(name, str):
                raise Unknown(f"it does not say of which {attribute} it is")
            if name is None:
                documents.append(None)
            else:
                documents.append(
                    side.managed(name) if attribute == "policy" else side.of_group(name)
                )
        return _Case((Kind.IDENTITY,), documents[0], documents[1], {ATTACHED: True})

    def _disbanded(self, change: Change) -> _Case | None:
        if change.operation is not Operation.REMOVED:
            return None
        side = self._sides[0]
        if not side.is_populated(change.name):
            return _Case((), None, None, {ATTACHED: False}, ("nobody was a member of it",))
        return _Case((Kind.IDENTITY,), side.of_group(change.name), None, {ATTACHED: True})

    # By kind, and attribute where the object stayed: what the change comes to.
    _cases: ClassVar[dict[tuple[str, str], Callable[[Meanings, Change], _Case | None]]] = {
        ("iam_policy", ""): _managed,
        ("iam_policy", "document"): _managed,
        ("iam_policy", "default_version"): _settled,
        ("iam_policy", "unparsed"): _parsed,
        ("iam_inline_policy", ""): _inline,
        ("iam_inline_policy", "document"): _inline,
        ("iam_inline_policy", "unparsed"): _parsed,
        ("iam_role", ""): _trust,
        ("iam_role", "trust"): _trust,
        ("iam_role", "unparsed"): _parsed,
        ("iam_role", "boundary"): _boundary,
        ("iam_user", "boundary"): _boundary,
        ("iam_attachment", ""): _given,
        ("iam_attachment", "policy"): _given,
        ("iam_membership", ""): _given,
        ("iam_membership", "group"): _given,
        ("iam_group", ""): _disbanded,
    }

    def _unknown_facts(self, change: Change) -> dict[str, bool]:
        """Facts of what nobody can tell the meaning of."""
        if change.kind != "iam_policy":
            return {ATTACHED: True}
        before, after = (side.uses(change.name) for side in self._sides)
        return {ATTACHED: _is_used(before | after)}

    def _meaning(self, case: _Case) -> Meaning:
        found = list(self._comparisons(case))
        widens, narrows = (
            _any(getattr(one.comparison, way) for one in found) for way in ("widens", "narrows")
        )
        verdict = _verdict(widens=widens, narrows=narrows)
        facts = {**case.facts, **self._facts(case, verdict, found)}
        analyzer = ""
        if found:
            analyzer = self._asking.ask(
                case.old,
                case.new,
                resource=case.kinds == (Kind.RESOURCE,),
                widens=widens,
                narrows=narrows,
            )
        said = _said(found)
        if analyzer == NEW_ACCESS and verdict in {Widening.NARROWED, Widening.NEUTRAL}:
            said.insert(0, f"compared here it is {verdict.value}; Access Analyzer finds {analyzer}")
            verdict = Widening.UNDECIDED
        if verdict is Widening.NEUTRAL and (case.old is None or case.new is None):
            said += [NOTHING[one.kind] for one in found]
        notes = list(case.notes)
        return Meaning(
            verdict,
            [bounded(one) for one in (*said[: MAX_REASONS - len(notes)], *notes)],
            max((one.comparison.reference_date for one in found), default=""),
            analyzer,
            facts,
        )

    def _comparisons(self, case: _Case) -> Iterator[_Found]:
        for kind in case.kinds:
            found = self._compare(case.old, case.new, kind, alone=case.alone)
            yield _Found(kind, _AS.get(kind, ""), found)
            if kind is Kind.RESOURCE and case.old is not None and case.new is not None:
                for one in footings(case.old, case.new, self._account):
                    yield _Found(kind, one.words, self._compare(one.old, one.new, kind))

    def _compare(
        self, old: Policy | None, new: Policy | None, kind: Kind, *, alone: bool = False
    ) -> Comparison:
        """The comparison of two documents, once; undecided, where there are no steps left."""
        key = (kind.value, alone, canon.sha256(msgspec.json.encode([old, new], order="sorted")))
        if key not in self._known:
            if self._left <= 0:
                return _over()
            if self._reference is None:
                self._reference = references.packaged()
            # The largest policies of an account leave something for all others.
            most = min(self._left, max(self._left // SHARE, LEAST_STEPS))
            found = compare(old, new, self._reference, kind=kind, alone=alone, steps=most)
            self._left -= found.steps + STEPS_A_COMPARISON
            self._known[key] = found
        return self._known[key]

    def _facts(self, case: _Case, verdict: Widening, found: Sequence[_Found]) -> dict[str, bool]:
        """What else rules are told, where something may have come up."""
        if case.new is None or verdict in {Widening.NARROWED, Widening.NEUTRAL}:
            return {}
        facts: dict[str, bool] = {}
        for kind, _, one in found:
            if kind is Kind.IDENTITY:
                facts[ADMINISTRATOR] = self._includes(case.new, _EVERYTHING, kind)
            elif kind is Kind.RESOURCE:
                facts[EVERYONE] = self._includes(case.new, _TRUSTED, kind)
                facts[OUTSIDE] = facts.get(OUTSIDE, False) or any(
                    map(self._is_outside, one.reasons)
                )
        return {name: True for name, value in facts.items() if value}

    def _includes(self, wide: Policy, narrow: Policy, kind: Kind) -> bool:
        """Whether everything that one allows by itself, the other allows by itself."""
        return self._compare(wide, narrow, kind, alone=True).widens is False

    @cached_property
    def _account(self) -> str:
        """The account's id; empty, where the snapshot does not tell."""
        after = self._snapshots[1]
        return next((name for kind, name in after.objects if kind == "iam_account"), "")

    def _is_outside(self, reason: Reason) -> bool:
        """Whether a reason shows somebody of another account, or nobody knows who, let in."""
        if reason.way is not Widening.WIDENED or reason.request is None:
            return False
        who = reason.request.principal
        accounts = {one.value for one in who.names if one.kind == "AWS" and one.value.isdigit()}
        return who == ANONYMOUS or bool(accounts - {self._account})


def _documents(change: Change, attribute: str = "document") -> tuple[Policy | None, Policy | None]:
    """The document on either side; None: the object is not there. Raises: Unknown."""
    old, new = (None if one is None else held(one, attribute) for one in (change.old, change.new))
    return old, new


def _is_used(uses: Uses) -> bool:
    return any(uses)


def _holders(uses: Uses) -> str:
    """Whose a policy is, in words."""
    said = [
        f"{how} {', '.join(who[:MAX_HOLDERS])}"
        + (f" and {len(who) - MAX_HOLDERS} more" if len(who) > MAX_HOLDERS else "")
        for how, who in (("attached to", uses.attached), ("the boundary of", uses.ceiling))
        if who
    ]
    if uses.maybe_attached or uses.maybe_ceiling:
        said.append("whose it is could not be read in full")
    return "; ".join(said) or "attached to nobody, and nobody's boundary"


def _any(answers: Iterable[bool | None]) -> bool | None:
    """True, where one is; else None, where one is."""
    given = set(answers)
    return True if True in given else (None if None in given else False)


def _verdict(*, widens: bool | None, narrows: bool | None) -> Widening:
    if widens:
        return Widening.BOTH if narrows else Widening.WIDENED
    if widens is None or narrows is None:
        return Widening.UNDECIDED
    return Widening.NARROWED if narrows else Widening.NEUTRAL


def _over() -> Comparison:
    words = "not compared: all policies of this look together take more steps than the bound"
    return Comparison(Widening.UNDECIDED, None, None, (Reason(Widening.UNDECIDED, words),))


def _said(found: Iterable[_Found]) -> list[str]:
    """Reasons in words: the first of each way before the others, what came up before the rest."""
    by_way: dict[Widening, list[str]] = {way: [] for way in _WAYS}
    for kind, words, one in found:
        for reason in one.reasons:
            who = reason.request.principal.label if reason.request and kind is Kind.RESOURCE else ""
            by_way[reason.way].append(f"{words}{reason.words}{f', by {who}' if who else ''}")
    said = [words[0] for words in by_way.values() if words]
    return [*said, *(one for words in by_way.values() for one in words[1:])]
