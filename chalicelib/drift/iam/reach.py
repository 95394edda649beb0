"""Who can reach databases: of an account's objects, one more for each way of everybody who can.

1. What everybody's identity policies allow of the goals (``goal``), inside the boundary.
2. Which roles everybody may take: by the trust policies, and by his own where these delegate.
3. Whoever may take a role that reaches, reaches (``chain``); who may pass one to a service, maybe.

Nobody is left out who can, by the policies of this account: what cannot be decided is there, and is
not ``certain``. Policies of organizations, of sessions and on secrets and keys only take away or
are not read here; nor is code looked at that others can change, as of a function.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from chalicelib.drift.iam.chain import Edges, Spread, named
from chalicelib.drift.iam.goal import ESCALATE, HAND_OVER, Databases, goals
from chalicelib.drift.iam.grants import Grants
from chalicelib.drift.iam.people import Somebody, principals
from chalicelib.drift.iam.roll import Roll, bits
from chalicelib.drift.iam.trust import ASSUME, Trusts
from chalicelib.drift.snapshot import Object
from chalicelib.kernel import canon

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from chalicelib.drift.iam.actions import Index
    from chalicelib.drift.iam.grants import Paper, Reach
    from chalicelib.drift.iam.trust import Trust

__all__ = ["KIND", "Databases", "reach"]

KIND: Final = "iam_database_access"
MAX_LABEL: Final = 512  # characters of who it is, in a name: those of this account have fewer

_HAND_OVER: Final = "iam:passrole"
_SELF: Final = {
    "role": ("iam:attachrolepolicy", "iam:putrolepolicy"),
    "user": ("iam:attachuserpolicy", "iam:putuserpolicy"),
}
_ACTIONS: Final = (ASSUME, _HAND_OVER, *_SELF["role"], *_SELF["user"])


def reach(objects: Iterable[Object], databases: Databases, reference: Index) -> list[Object]:
    """An object for each way of each who can reach the databases, in order of their names.

    ``who``: "role app", or the name of somebody outside; ``by``: the class (``goal.MEANINGS``);
    ``certain``: it is theirs whatever the context of a request is; ``through``: the roles of the
    shortest chains to it, of those that are certain where it is: the first ``chain.MAX_THROUGH``,
    and none where they have it by themselves. Of who may give himself access for certain, only what
    he has by himself is said: he needs no chain.
    """
    people = principals(objects, databases.account, databases.partition)
    return _Account(people, databases, reference).objects()


class _Account:
    """The principals of an account, and what they can."""

    def __init__(self, people: Sequence[Somebody], databases: Databases, reference: Index) -> None:
        self.people = people
        arns = [one.arn for one in people]
        self.goals = goals(databases, reference)
        self.grants = Grants(self.goals, _ACTIONS, Roll(arns), reference)
        self.roles = sum(1 << place for place, one in enumerate(people) if one.kind == "role")
        trusts = Trusts(databases.account, arns, [one.plain for one in people])
        self.trusts: dict[int, Trust] = {
            place: trusts.trust(one.trust) for place, one in enumerate(people) if one.kind == "role"
        }
        # By class: who has it by himself, maybe and surely. An account may have nobody.
        self.own: dict[str, list[int]] = {goal.label: [0, 0] for goal in self.goals}
        self._take: list[Reach] = []
        self._pass: list[Reach] = []
        self._blocked: list[Reach] = []
        for place, one in enumerate(people):
            self._read(place, one)
        self.maybe, self.sure = self._edges()
        self.spreads = self._spreads()

    def _read(self, place: int, one: Somebody) -> None:
        papers = [self.grants.paper(value) for value in one.documents]
        boundary: Paper | None = None
        if one.is_bound:
            boundary = self.grants.paper(one.boundary)
        for number, goal in enumerate(self.goals):
            answer = self.grants.allows(papers, boundary, number)
            maybe, sure = answer
            if goal.label == ESCALATE and maybe:
                sure = any(
                    self.grants.reach(papers, boundary, action).sure >> place & 1
                    for action in _SELF[one.kind]
                )
            found = self.own[goal.label]
            found[0] |= int(maybe) << place
            found[1] |= int(sure) << place
        self._take.append(self.grants.reach(papers, boundary, ASSUME))
        self._pass.append(self.grants.reach(papers, boundary, _HAND_OVER))
        unbound = self.grants.reach(papers, None, ASSUME)
        ceiling = self.grants.reach([boundary], None, ASSUME) if boundary else None
        self._blocked.append(_ceiled(one.kind, unbound, ceiling, self.roles))

    def _edges(self) -> tuple[Edges, Edges]:
        """Which roles everybody may take, maybe and surely."""
        count = len(self.people)
        direct, delegated = ([[0, 0] for _ in range(count)] for _ in range(2))
        for rows, kind in ((direct, "direct"), (delegated, "delegated")):
            for way in (0, 1):
                alike: dict[int, int] = {}
                for role, trust in self.trusts.items():
                    mask = getattr(trust, kind)[way]
                    alike[mask] = alike.get(mask, 0) | 1 << role
                for mask, roles in alike.items():
                    for place in bits(mask):
                        rows[place][way] |= roles
        sure, maybe = [], []
        for place in range(count):
            take, blocked = self._take[place], self._blocked[place]
            alone, sent = direct[place], delegated[place]
            sure.append(alone[0] & ~blocked.may_be_denied | sent[0] & take.sure)
            maybe.append(alone[1] & ~blocked.denied | sent[1] & take.maybe)
        return Edges(maybe), Edges(sure)

    def _spreads(self) -> dict[str, tuple[Spread, Spread]]:
        """By class: who reaches it, and who does for certain."""
        found: dict[str, tuple[Spread, Spread]] = {}
        for label, (maybe, sure) in self.own.items():
            certain = Spread(sure, self.sure, self.sure)
            found[label] = (Spread(maybe, self.maybe, self.maybe), certain)
        self.own[HAND_OVER] = [0, 0]
        served = sum(1 << role for role, trust in self.trusts.items() if trust.serves)
        reached = 0
        for spread, _ in found.values():
            reached |= spread.members
        rows = [one.maybe & served & ~(1 << place) for place, one in enumerate(self._pass)]
        either = [a | b for a, b in zip(rows, self.maybe.rows, strict=True)]
        passing = Spread(
            reached & self.roles,
            Edges(rows),
            Edges(either),
            is_in=False,
            never=self.own[ESCALATE][1],
        )
        found[HAND_OVER] = (passing, Spread(0, self.sure, self.sure))
        return found

    def objects(self) -> list[Object]:
        """What is found, of the principals and of those outside."""
        names = {place: one.label.partition(" ")[2] for place, one in enumerate(self.people)}
        found: list[Object] = []
        for place, one in enumerate(self.people):
            for label, (through, certain) in self._ways(place).items():
                found.append(_object(one.label, label, named(through, names), certain=certain))
        found += self._strangers(names)
        return sorted(found, key=lambda one: one.name)

    def _ways(self, place: int) -> dict[str, tuple[int, bool]]:
        """By class that somebody has: through which roles, and whether for certain."""
        if self.own[ESCALATE][1] >> place & 1:
            return {
                label: (0, bool(sure >> place & 1))
                for label, (maybe, sure) in self.own.items()
                if maybe >> place & 1
            }
        found: dict[str, tuple[int, bool]] = {}
        for label, (maybe, sure) in self.spreads.items():
            if sure.members >> place & 1:
                found[label] = (sure.through(place), True)
            elif maybe.members >> place & 1:
                found[label] = (maybe.through(place), False)
        return found

    def _strangers(self, names: Mapping[int, str]) -> list[Object]:
        entered: dict[str, list[int]] = {}
        for role, trust in self.trusts.items():
            for name, certain in trust.outside.items():
                roles = entered.setdefault(name, [0, 0])
                roles[0] |= 1 << role
                roles[1] |= int(certain) << role
        found: list[Object] = []
        for name, (into, surely) in entered.items():
            for label, (maybe, sure) in self.spreads.items():
                chain = sure.nearest(surely)
                if through := chain or maybe.nearest(into):
                    found.append(_object(name, label, named(through, names), certain=chain != 0))
        return found


def _object(who: str, by: str, through: list[str], *, certain: bool) -> Object:
    said = {"who": who, "by": by, "through": through, "certain": certain}
    return Object(KIND, f"{_short(who)}: {by}", said)


def _short(who: str) -> str:
    """A label of at most MAX_LABEL characters as it is; a longer one's beginning, and its digest.

    These are longer than any that is whole, so that no two have one name, whatever a trust policy
    names.
    """
    if len(who) <= MAX_LABEL:
        return who
    return f"{who[:MAX_LABEL]}… sha256 {canon.sha256(who.encode('utf-8', 'surrogatepass'))}"


def _ceiled(kind: str, own: Reach, ceiling: Reach | None, roles: int) -> Reach:
    """The roles that somebody may not take though they name him.

    What a boundary does not allow limits a role that is named, and no user; for a role it is said
    to be uncertain here. Source: AWS IAM User Guide, "Permissions boundaries for IAM entities".
    """
    if ceiling is None:
        return own
    denied = own.denied | ceiling.denied
    may_be = own.may_be_denied | ceiling.may_be_denied
    if kind == "role":
        may_be |= roles & ~ceiling.sure
    return own._replace(denied=denied, may_be_denied=may_be)
