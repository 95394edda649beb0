"""Trust policies: which principals of the account a role lets in, and who from outside.

1. Who is named by ARN, and everybody, needs no permission of his own inside the account.
2. Where the account is named, its principals need one: the trust is delegated.
3. A Deny counts for whom it names. Conditions on aws:PrincipalArn and aws:PrincipalAccount are
   known for principals of the account; all others only the context decides.

Source: AWS IAM User Guide, "AWS JSON policy elements: Principal", "Policy evaluation for requests
within a single account", "How IAM roles differ from resource-based policies".
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import msgspec

from chalicelib.drift.iam import condition, glob
from chalicelib.drift.iam import document as documents
from chalicelib.drift.iam.condition import Atom, Scope
from chalicelib.drift.iam.document import Effect, Entries, Statement
from chalicelib.drift.iam.principal import EVERYONE, Entry, Principal, is_named, is_spared
from chalicelib.drift.iam.roll import Roll, union
from chalicelib.kernel.errors import Malformed

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from chalicelib.drift.iam.document import Document

ASSUME: Final = "sts:assumerole"
_BY_KIND: Final = {"Federated": ("sts:assumerolewithsaml", "sts:assumerolewithwebidentity")}
_WAYS: Final = Roll((ASSUME, *_BY_KIND["Federated"]))
_SESSION: Final = re.compile(r"arn:[a-z-]+:sts::([0-9]{12}):assumed-role/([^/]+)/.+")
_ARN: Final = re.compile(r"arn:[a-z-]+:(?:iam|sts)::([0-9]{12}):.+")
_PATTERNED: Final = {"StringEquals", "StringLike", "StringEqualsIgnoreCase", "ArnLike"}


class Pair(NamedTuple):
    """Sets of principals: for certain, and maybe."""

    sure: int = 0
    maybe: int = 0

    def __or__(self, other: Any) -> Pair:
        return Pair(self.sure | other.sure, self.maybe | other.maybe)

    def __and__(self, other: Any) -> Pair:
        return Pair(self.sure & other.sure, self.maybe & other.maybe)

    def without(self, other: Pair) -> Pair:
        """What is in it, and not in the other."""
        return Pair(self.sure & ~other.maybe, self.maybe & ~other.sure)


class Trust(NamedTuple):
    """Whom a role lets in. ``direct``: needs no permission; ``delegated``: needs one.

    ``outside``: by name, whether for certain.
    """

    direct: Pair
    delegated: Pair
    outside: Mapping[str, bool]

    @property
    def serves(self) -> bool:
        """Whether a service may take the role."""
        return any(one == EVERYBODY or one.startswith("service ") for one in self.outside)


EVERYBODY: Final = "everybody"


class Trusts:
    """Trust policies of an account's roles, each different one read once."""

    def __init__(self, account: str, arns: Sequence[str], plain: Sequence[str]) -> None:
        """``arns``: of the principals; ``plain``: the same without the paths of roles."""
        self._account = account
        self._rolls = (Roll(arns), Roll(plain))
        self._all = self._rolls[0].all
        self._own = {Entry("AWS", arn): 1 << index for index, arn in enumerate(arns)}
        self._sessions: dict[str, int] = {}
        for index, arn in enumerate(arns):
            if ":role/" in arn:
                self._sessions[arn.rpartition("/")[2]] = 1 << index
        self._read: dict[bytes, Trust] = {}

    def trust(self, value: Any) -> Trust:
        """Whom the trust policy lets in, of JSON; None: of one that is not there to be read."""
        key = msgspec.json.encode(value, order="deterministic")
        if key not in self._read:
            try:
                document = None if value is None else documents.parse(value)
            except Malformed:
                document = None
            if document is None or document.unknown:
                everybody = Pair(0, self._all)
                self._read[key] = Trust(everybody, everybody, {EVERYBODY: False})
            else:
                self._read[key] = self._trust(document)
        return self._read[key]

    def _trust(self, document: Document) -> Trust:
        direct = delegated = denied = Pair()
        for one in document.statements:
            if not _is_way(one, ASSUME):
                continue
            held = self._held(one)
            if one.effect is Effect.DENY:
                denied |= self._denied(one) & held
                continue
            open_to, sent_on = self._admitted(one)
            direct |= open_to & held
            delegated |= sent_on & held
        return Trust(direct.without(denied), delegated.without(denied), self._outside(document))

    def _held(self, one: Statement) -> Pair:
        """The principals for which the conditions hold."""
        found = Pair(0 if _is_odd(one) else self._all, self._all)
        for atom in one.atoms:
            found &= self._condition(atom)
        return found

    def _condition(self, atom: Atom) -> Pair:
        unknown = Pair(0, self._all)
        if atom.unknown or atom.scope is not Scope.SINGLE or atom.operator not in _PATTERNED:
            return unknown
        if any(pattern.variables for pattern in atom.language):
            return unknown
        if atom.key == "aws:principalaccount":
            held = condition.holds(atom, {atom.key: (self._account,)})
            return Pair(self._all, self._all) if held else Pair()
        if atom.key != "aws:principalarn":
            return unknown
        # Whether a role's path is in the value, AWS does not say.
        first, second = (union(map(roll.mask, atom.language)) for roll in self._rolls)
        if atom.negated:
            first, second = self._all & ~first, self._all & ~second
        return Pair(first & second, first | second)

    def _admitted(self, one: Statement) -> tuple[Pair, Pair]:
        """Who is let in by an Allow without a permission of his own, and who with one."""
        if one.principals is None or _is_odd(one):
            return Pair(0, self._all), Pair(0, self._all)
        if one.principals.negated:
            return self._unlisted(one.principals), Pair()
        entries = one.principals.entries
        if EVERYONE in entries:
            return Pair(self._all, self._all), Pair()
        named, sessions = self._named(entries)
        whole = self._all if Entry("AWS", self._account) in entries else 0
        return Pair(named, named | sessions), Pair(whole, whole)

    def _named(self, entries: Iterable[Entry]) -> tuple[int, int]:
        """The principals whose ARNs are there, and the roles of which some session is."""
        named = sessions = 0
        for one in entries:
            named |= self._own.get(one, 0)
            found = _SESSION.fullmatch(one.value)
            if found is not None and one.kind == "AWS" and found[1] == self._account:
                sessions |= self._sessions.get(found[2], 0)
        return named, sessions

    def _denied(self, one: Statement) -> Pair:
        if one.principals is None or _is_odd(one):
            return Pair(0, self._all)
        if one.principals.negated:
            return self._unlisted(one.principals)
        entries = one.principals.entries
        if EVERYONE in entries or Entry("AWS", self._account) in entries:
            return Pair(self._all, self._all)
        named, sessions = self._named(entries)
        return Pair(named, named | sessions)

    def _unlisted(self, principals: Entries) -> Pair:
        """Whom NotPrincipal does not leave out; see ``principal.is_spared``."""
        entries = principals.entries
        if EVERYONE in entries:
            return Pair()
        named, sessions = self._named(entries)
        if Entry("AWS", self._account) in entries:
            return Pair(0, self._all & ~named)
        return Pair(self._all & ~named & ~sessions, self._all)

    def _outside(self, document: Document) -> dict[str, bool]:
        """Who from outside is let in, by name: whether for certain."""
        allows = [one for one in document.statements if one.effect is Effect.ALLOW]
        found: dict[str, bool] = {}
        for who in sorted(self._strangers(document, allows)):
            for way in _BY_KIND.get(who.kind, (ASSUME,) if who != EVERYONE else _WAYS.names):
                answer = self._enters(document, who, way)
                if answer is not False:
                    name = _spoken(who)
                    found[name] = found.get(name, False) or answer is True
        return found

    def _strangers(self, document: Document, allows: Sequence[Statement]) -> set[Entry]:
        found: set[Entry] = set()
        for one in allows:
            if one.principals is None or one.principals.negated or one.unknown:
                found.add(EVERYONE)
            else:
                found |= set(one.principals.entries)
        own = {Entry("AWS", self._account), *self._own}
        if EVERYONE in found:
            said = {e for s in document.statements if s.principals for e in s.principals.entries}
            found |= {e for e in said if _account(e) != self._account}
        return {e for e in found if e not in own and not self._is_session(e)}

    def _is_session(self, one: Entry) -> bool:
        found = _SESSION.fullmatch(one.value)
        return found is not None and found[1] == self._account and found[2] in self._sessions

    def _enters(self, document: Document, who: Entry, way: str) -> bool | None:
        """Whether somebody from outside is let in; None: the context decides."""
        account = _account(who)
        names = {who} - {EVERYONE} | ({Entry("AWS", account)} if account else set())
        stranger = Principal(_spoken(who), frozenset(names))
        known = {"aws:principalaccount": (account,)} if account else {}
        if ":role/" in who.value or ":user/" in who.value:
            known["aws:principalarn"] = (who.value,)
        answers = [
            (one.effect, _applies(one, stranger, known))
            for one in document.statements
            if _is_way(one, way)
        ]
        if (Effect.DENY, True) in answers:
            return False
        if not {(Effect.ALLOW, True), (Effect.ALLOW, None)} & set(answers):
            return False
        if (Effect.ALLOW, True) not in answers or (Effect.DENY, None) in answers:
            return None
        # AWS shows an id where the principal was deleted: nobody may be behind it any more.
        return None if who.kind == "AWS" and not account else True


def _is_way(one: Statement, way: str) -> bool:
    if one.unknown:
        return True
    matching = union(_WAYS.mask(glob.parse(text, variables=False)) for text in one.actions.texts)
    matching = _WAYS.all & ~matching if one.actions.negated else matching
    return bool(matching >> _WAYS.names.index(way) & 1)


def _is_odd(one: Statement) -> bool:
    """Whether a statement has what a trust policy must not, or what is not understood."""
    return bool(one.unknown) or one.resources is not None


def _applies(one: Statement, who: Principal, known: Mapping[str, Sequence[str]]) -> bool | None:
    """Whether a statement is about somebody from outside; None: the context decides."""
    if one.principals is None or _is_odd(one):
        return None
    meant: bool | None
    if one.principals.negated:
        spared = is_spared(who, one.principals.entries)
        meant = None if spared is None else not spared
    else:
        meant = is_named(who, one.principals.entries)
    answers = [meant]
    for atom in one.atoms:
        is_plain = not atom.unknown and not any(pattern.variables for pattern in atom.language)
        answers.append(condition.holds(atom, known) if is_plain and atom.key in known else None)
    if False in answers:
        return False
    return None if None in answers else True


def _account(one: Entry) -> str:
    if one.kind != "AWS":
        return ""
    found = _ARN.fullmatch(one.value)
    if found is not None:
        return found[1]
    return one.value if re.fullmatch(r"[0-9]{12}", one.value) else ""


def _spoken(one: Entry) -> str:
    if one == EVERYONE:
        return EVERYBODY
    if one.kind != "AWS":
        kind = {"CanonicalUser": "canonical user"}.get(one.kind, one.kind.lower())
        return f"{kind} {one.value}"
    return f"{'account' if one.value == _account(one) else 'principal'} {one.value}"
