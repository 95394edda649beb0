"""The policy: Cedar texts in, decisions out. The only module that speaks to Cedar.

1. Texts, the shipped ones before the user's own, are bounded, parsed and validated against the
   schema, strictly and once (:func:`load`). Anything that is not exactly right is an error.
2. Roles and groups of a principal are worked out here, so that Cedar sees them as its parents.
3. What no policy permits is denied; a ``forbid`` wins over every ``permit``. A ``permit`` of every
   action is none of those that have to be named (``Action.by_name``).
4. Cedar leaves out a policy whose evaluation fails, a ``forbid`` too. So any failure denies.

Source: Cedar, "Authorization" and "Validation" of its reference.
"""

from __future__ import annotations

import difflib
import functools
import json
import re
from importlib import resources
from typing import TYPE_CHECKING, Final, NamedTuple

import cedarpy
import msgspec

from chalicelib.access import clause, obligation, texts
from chalicelib.access.clause import Clause
from chalicelib.access.question import Action, Circumstances, Decision, Resource
from chalicelib.access.roles import Membership
from chalicelib.kernel import canon, names
from chalicelib.kernel.errors import ConfigError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from chalicelib.access.obligation import Obligations
    from chalicelib.access.principal import Principal

__all__ = ["Action", "Circumstances", "Clause", "Decision", "Policy", "Resource", "load", "schema"]

MAX_FILES: Final = 100
MAX_REMEMBERED: Final = 128  # principals whose roles are kept worked out
MAX_SAID: Final = 300  # characters of what Cedar says, which may repeat all of a text

_NEXT_STEP: Final = "docs/policy.md; holdfast policy check"
_POSITION = re.compile(r"\bpolicy(\d+)\b")
_COULD_NOT_TELL = "could not tell"


class _Subject(NamedTuple):
    """A principal as Cedar sees it."""

    uid: dict[str, str]
    entity: bytes


class Policy:
    """Policies, roles and groups, ready to decide; immutable. Made by :func:`load`.

    ``clauses``: every policy, the shipped ones first. ``sha256``: over everything that decides.
    """

    __slots__ = ("_by_id", "_named", "_set", "_subject", "clauses", "membership", "sha256")

    def __init__(self, clauses: Sequence[Clause], text: str, membership: Membership) -> None:
        self.clauses = tuple(clauses)
        self.membership = membership
        self._by_id = {one.id: one for one in clauses}
        self._named = {entity for one in clauses for entity in one.entities}
        self._set = cedarpy.PolicySet.from_str(text)
        decides = [[one.id, one.text] for one in clauses]
        self.sha256 = canon.sha256(
            canon.encode([schema(), decides, membership.roles, membership.groups])
        )
        # Kept by all of a principal that it is worked out from, so that nobody is ever taken for
        # somebody else; what every sign-in has anew is no part of that.
        self._subject = functools.lru_cache(MAX_REMEMBERED)(self._worked_out)

    def decide(
        self, principal: Principal, action: Action, resource: Resource, context: Circumstances
    ) -> Decision:
        """Whether the principal may do it, and which policies say so."""
        return self.decide_all(principal, action, [resource], context)[0]

    def decide_all(
        self,
        principal: Principal,
        action: Action,
        resources: Sequence[Resource],
        context: Circumstances,
    ) -> list[Decision]:
        """A decision for each of the resources, each as :meth:`decide` gives it."""
        try:
            subject = self._subject(msgspec.structs.replace(principal, session="", mfa_at=None))
            parts = [subject.entity]
            parts += (msgspec.json.encode(one.entity) for one in dict.fromkeys(resources))
            found = b"[" + b",".join(parts) + b"]"
            entities = cedarpy.Entities.from_json_str(found.decode(), _schema())
            record = msgspec.json.encode(context.record).decode()
        except (UsageError, UnicodeError, ValueError) as error:
            said = clipped(str(error))
            return [_denied(f"{_COULD_NOT_TELL}: {said}", errors=(said,)) for _ in resources]
        requests = [
            {
                "principal": subject.uid,
                "action": {"type": "Action", "id": action.value},
                "resource": {"type": one.kind, "id": one.id},
                "context": record,
            }
            for one in resources
        ]
        answers = cedarpy.is_authorized_batch(requests, self._set, entities, _schema())
        return [
            self._decision(answer, action, one)
            for answer, one in zip(answers, resources, strict=True)
        ]

    def roles(self, principal: Principal) -> dict[str, list[str]]:
        """The roles of a principal, each with why: the members by which it has them."""
        return self.membership.of(principal)[1]

    def groups(self, principal: Principal) -> list[str]:
        """The groups of a principal, those of the settings too, in the one form of their names."""
        return self.membership.of(principal)[0]

    def obligations(self, decision: Decision) -> Obligations:
        """What all policies that permitted it want done first. Raises: ValueError, for a denial."""
        if not decision.allowed:
            raise ValueError("what is denied has no obligations")
        return obligation.strictest(
            obligation.read(self._by_id[one].annotations) for one in decision.policies
        )

    def clause(self, policy: str) -> Clause:
        """One policy by its id. Raises: KeyError."""
        return self._by_id[policy]

    def permits(self, action: Action) -> list[Clause]:
        """The policies that can permit an action."""
        return [one for one in self.clauses if one.can_permit(action)]

    def _worked_out(self, principal: Principal) -> _Subject:
        groups, roles = self.membership.of(principal)
        member = clause.TYPES[principal.kind]
        # Policies know a group by its name alone, so others change nothing and are left out.
        parents = [("Group", one) for one in groups] + [("Role", one) for one in roles]
        uid = {"type": member, "id": names.person(principal.name)}
        entity = {
            "uid": uid,
            "attrs": {"name": uid["id"], "via": principal.via},
            "parents": [
                {"type": kind, "id": name} for kind, name in parents if (kind, name) in self._named
            ],
        }
        return _Subject(uid, msgspec.json.encode(entity))

    def _decision(
        self, answer: cedarpy.AuthzResult, action: Action, resource: Resource
    ) -> Decision:
        said = answer.diagnostics
        places = sorted(map(_place, said.reasons))
        policies = tuple(self.clauses[place].id for place in places)
        errors = tuple(self._named_in(one) for one in said.errors)
        if errors or answer.decision is cedarpy.Decision.NoDecision:
            what = errors[0] if errors else "Cedar gave no decision"
            return _denied(f"{_COULD_NOT_TELL}: {what}", policies, errors or (what,))
        ids = clipped(", ".join(policies))
        if answer.allowed:
            counting = tuple(one for one in policies if self._by_id[one].can_permit(action))
            if not counting:
                return _denied(f"only a policy that names {action.value} permits it, not {ids}")
            return Decision(
                allowed=True,
                policies=counting,
                reason=f"permitted by {clipped(', '.join(counting))}",
            )
        if policies:
            return _denied(f"forbidden by {ids}", policies)
        return _denied(f"no policy permits {action.value} on {resource.id}")

    def _named_in(self, said: str) -> str:
        return clipped(_renamed(said, self.clauses))


def load(
    own: Sequence[tuple[str, str]],
    roles: Mapping[str, Sequence[str]],
    groups: Mapping[str, Sequence[str]],
) -> Policy:
    """The shipped policies and ``own``, pairs of name and text, with who has which role.

    ``roles`` and ``groups``: see ``roles.Membership``. Raises: ConfigError naming the file, the
    policy and the reason, where anything of it cannot be used exactly as written.
    """
    if len(own) > MAX_FILES:
        raise ConfigError(f"[policy] files: at most {MAX_FILES}, found {len(own)}")
    membership = Membership(roles, groups)
    shipped = _shipped()
    clauses = [one for name, text in shipped for one in _clauses(name, text)]
    count = len(clauses)
    for name, text in own:
        clauses += _clauses(name, text)
    text = "\n".join(text for _, text in [*shipped, *own])
    _check_ids(clauses)
    for one in clauses[count:]:
        clause.check_names(one)
    for one in clauses:
        obligation.check(one)
    _validate(clauses, text)
    _check_roles(membership, clauses)
    return Policy(clauses, text, membership)


@functools.cache
def schema() -> str:
    """The text of the schema, as shipped."""
    folder = resources.files("chalicelib.access").joinpath("policies")
    return folder.joinpath("schema.cedarschema").read_text("utf-8")


@functools.cache
def _schema() -> cedarpy.Schema:
    return cedarpy.Schema.from_str(schema())


@functools.cache
def _shipped() -> list[tuple[str, str]]:
    folder = resources.files("chalicelib.access").joinpath("policies")
    files = {one.name: one for one in folder.iterdir() if one.name.endswith(".cedar")}
    return [(name, files[name].read_text("utf-8")) for name in sorted(files)]


def _clauses(name: str, text: str) -> list[Clause]:
    """The policies of one text. Raises: ConfigError."""
    pieces = texts.split(name, text)
    try:
        parsed = json.loads(cedarpy.policies_to_json_str(text))
    except (ValueError, RecursionError) as error:
        raise _unparsable(name, text, pieces, error) from error
    if parsed["templates"]:
        raise ConfigError(
            f"{name}: a template, with ?principal or ?resource, decides nothing by itself",
            next_step="name the role or the group in its place",
        )
    policies = sorted(parsed["staticPolicies"].items(), key=lambda item: _place(item[0]))
    if len(policies) != len(pieces):  # what is shown must be what decides
        raise ConfigError(f"{name}: {len(pieces)} policies were found, and Cedar {len(policies)}")
    base = name.replace("\\", "/").rpartition("/")[2]
    return [
        clause.read(base, place, piece, found)
        for place, (piece, (_, found)) in enumerate(zip(pieces, policies, strict=True), 1)
    ]


def _unparsable(
    name: str, text: str, pieces: Iterable[texts.Piece], error: Exception
) -> ConfigError:
    """What is wrong with a text, with the line of the policy that cannot be parsed."""
    for one in pieces:
        try:
            cedarpy.PolicySet.from_str(one.text)
        except ValueError as cause:
            return ConfigError(
                f"{name}, the policy of line {one.line}: {clipped(str(cause))}",
                next_step=_NEXT_STEP,
            )
    last = text.rpartition(";")[0].count("\n") + 1
    return ConfigError(f"{name}, after line {last}: {clipped(str(error))}", next_step=_NEXT_STEP)


def _check_ids(clauses: Sequence[Clause]) -> None:
    """Return if every policy has an id of its own. Raises: ConfigError."""
    taken: dict[str, Clause] = {}
    for one in clauses:
        other = taken.setdefault(one.id, one)
        if other is not one:
            raise ConfigError(
                f"{one.file}, line {one.line}: the id {one.id!r} is taken by a policy of "
                f"{other.file}, line {other.line}",
                next_step='@id("another.name") before the policy',
            )


def _validate(clauses: Sequence[Clause], text: str) -> None:
    """Return if Cedar finds nothing that the schema does not know. Raises: ConfigError."""
    result = cedarpy.validate_policies(text, _schema())
    if result.validation_passed:
        return
    lines = []
    for error in result.errors:
        place = _POSITION.fullmatch(error.policy_id)
        one = clauses[int(place[1])] if place else None
        where = f"{one.file}, line {one.line}, policy {one.id}: " if one else ""
        lines.append(where + clipped(_renamed(error.error, clauses)))
    raise ConfigError("; ".join(lines[:3]) or "Cedar refuses the policies", next_step=_NEXT_STEP)


def _check_roles(membership: Membership, clauses: Sequence[Clause]) -> None:
    """Return if each role that has members is one that a policy names. Raises: ConfigError."""
    known = {name for one in clauses for kind, name in one.entities if kind == "Role"}
    for role in membership.roles:
        if role not in known:
            near = difflib.get_close_matches(role, known, 1)
            raise ConfigError(
                f"[policy.roles] {role!r}: no policy names this role"
                + (f"; did you mean {near[0]!r}?" if near else ""),
                next_step=f"the roles that policies name: {', '.join(sorted(known))}",
            )


def _denied(reason: str, policies: tuple[str, ...] = (), errors: tuple[str, ...] = ()) -> Decision:
    return Decision(allowed=False, policies=policies, reason=reason, errors=errors)


def _place(position: str) -> int:
    """Which policy it is of all of them, as Cedar counts in a text: ``policy0`` is the first."""
    return int(position.removeprefix("policy"))


def _renamed(said: str, clauses: Sequence[Clause]) -> str:
    """What Cedar says, with ids in place of its positions."""

    def named(match: re.Match[str]) -> str:
        place = int(match[1])
        return clauses[place].id if place < len(clauses) else match[0]

    return _POSITION.sub(named, said)


def clipped(said: str) -> str:
    """One line of at most MAX_SAID characters."""
    line = " ".join(said.split())
    return line if len(line) <= MAX_SAID else line[: MAX_SAID - 1] + "…"
