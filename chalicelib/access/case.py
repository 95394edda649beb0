"""The case: one line of a table that says what a policy is to decide, and whether it does.

A table is TOML text, ``[[case]]`` each; nothing in it is optional to understand: an unknown key is
an error, and so is a table without cases.
"""

from __future__ import annotations

import tomllib
from collections import Counter
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Final, Literal

import msgspec

from chalicelib.access import obligation, profile, roles
from chalicelib.access.obligation import MAX_APPROVALS, MAX_SECONDS, Obligations
from chalicelib.access.principal import Kind, Principal
from chalicelib.access.question import Action, Circumstances, Tagged, Wish
from chalicelib.kernel import names
from chalicelib.kernel.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from chalicelib.access.policy import Policy
    from chalicelib.access.question import Resource

MAX_CASES: Final = 10_000
MAX_TEXT_BYTES: Final = 2**20

ALLOW: Final = "allow"
DENY: Final = "deny"

DEFAULT_PROFILE: Final = "read-masked"
DEFAULT_SECONDS: Final = 900
SOMEBODY_ELSE: Final = "person:somebody-else"  # whose request it is that is agreed to

_EXPECTED: Final = ("approvals", "approvers", "max")
_Count = Annotated[int, msgspec.Meta(ge=0, le=2**31)]


class GivenTable(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A table of a wish, in place of its bare name."""

    name: str
    tags: list[str] = []


class Given(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``context`` of a case. ``at``: with an offset; else when the table is run.

    All but ``at`` and ``reason`` is the wish, for the actions that are about one. ``for``: its
    length, e.g. ``30m``, in place of ``seconds``. ``tags``: beside those of the tables.
    """

    at: Annotated[datetime, msgspec.Meta(tz=True)] | None = None
    reason: str | None = None
    profile: str | None = None
    seconds: Annotated[int, msgspec.Meta(ge=1, le=MAX_SECONDS)] | None = None
    length: str | None = msgspec.field(name="for", default=None)
    tables: list[str | GivenTable] | None = None
    tags: list[str] | None = None
    ticket: str | None = None
    mfa_age: _Count | None = None
    open_findings: _Count | None = None
    requester: str | None = None

    @property
    def wished(self) -> str:
        """A field of the wish that is given; empty, if there is none."""
        fields = msgspec.structs.fields(self)
        given = (one for one in fields if getattr(self, one.name) is not None)
        return next((one.encode_name for one in given if one.name not in {"at", "reason"}), "")


class Case(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``[[case]]``. ``target`` is empty for what is asked of the log.

    ``by``: the id of a policy that has to be among those that decide. ``approvals``, ``approvers``
    and ``max``: what the policies that permit a lease have to want, each as its annotation.
    """

    name: str
    principal: str
    action: Action
    expect: Literal["allow", "deny"]
    target: str = ""
    groups: list[str] = []
    roles: list[str] = []
    via: str = "oidc"
    context: Given = Given()
    by: str = ""
    approvals: Annotated[int, msgspec.Meta(ge=0, le=MAX_APPROVALS)] | None = None
    approvers: list[str] | None = None
    max: str | None = None

    def who(self) -> Principal:
        """The principal that asks. Raises: UsageError."""
        return principal(self.principal, self.groups, self.roles, self.via)

    def differs(self, found: Obligations) -> list[str]:
        """How obligations are not as expected, in words. Raises: UsageError."""
        said = []
        if self.approvals not in {None, found.approvals}:
            said.append(f"approvals: expected {self.approvals}, found {found.approvals}")
        if self.approvers is not None:
            groups = tuple(sorted({names.person(one) for one in self.approvers}))
            if groups != found.groups:
                of = [", ".join(one) or "no group" for one in (groups, found.groups)]
                said.append(f"approvers: expected {of[0]}, found {of[1]}")
        if self.max is not None and obligation.seconds(self.max) != found.max_seconds:
            longest = obligation.length(found.max_seconds) if found.max_seconds else "none"
            said.append(f"max: expected {self.max}, found {longest}")
        return said


class _Table(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    case: list[Case]


class Outcome(msgspec.Struct, frozen=True):
    """What became of a case. ``found``: ``allow``, ``deny`` or ``could not tell``.

    ``obligations``: where a lease is permitted. ``differs``: how they are not as expected.
    """

    name: str
    passed: bool
    expected: str
    found: str
    by: str
    policies: tuple[str, ...]
    reason: str
    obligations: Obligations | None = None
    differs: tuple[str, ...] = ()


def principal(text: str, groups: Sequence[str], given: Sequence[str], via: str) -> Principal:
    """The principal of ``person:ana``, with these groups and roles. Raises: UsageError."""
    kind, _, name = roles.member(text).partition(":")
    return Principal(
        kind=Kind(kind),
        name=name,
        via=via,
        groups=tuple(map(names.person, groups)),
        roles=tuple(map(names.person, given)),
    )


def parse(text: bytes, policy: Policy) -> list[Case]:
    """The cases of a table. Raises: UsageError, for what cannot be used exactly as written."""
    if len(text) > MAX_TEXT_BYTES:
        raise UsageError(f"a table of cases has at most {MAX_TEXT_BYTES} bytes")
    try:
        cases = msgspec.convert(tomllib.loads(text.decode()), _Table).case
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, msgspec.ValidationError) as error:
        raise UsageError(
            f"the table cannot be read: {error}", next_step="docs/policy.md, Test them"
        ) from error
    except RecursionError as error:
        raise UsageError("the table nests too deep") from error
    if not 0 < len(cases) <= MAX_CASES:
        raise UsageError(f"a table has 1 to {MAX_CASES} cases, found {len(cases)}")
    name, times = Counter(one.name for one in cases).most_common(1)[0]
    if times > 1:
        raise UsageError(f"{times} cases are called {name[:80]!r}; each has a name of its own")
    known = {one.id for one in policy.clauses}
    for one in cases:
        if one.by and one.by not in known:
            raise UsageError(f"case {one.name[:80]!r}: no policy is called {one.by[:100]!r}")
        expected = next((name for name in _EXPECTED if getattr(one, name) is not None), "")
        if expected and not (one.action.obliges and one.expect == ALLOW):
            raise UsageError(
                f"case {one.name[:80]!r}: {expected} is expected of what is allowed, and of "
                + " or ".join(action.value for action in Action if action.obliges)
            )
    return cases


def wish(given: Given, action: Action, who: Principal) -> Wish | None:
    """The wish of a context, with what is not given as most wishes have it; None, for no such one.

    Raises: UsageError, where the action is about no wish, or it cannot be one.
    """
    if not action.on_wish:
        if given.wished:
            raise UsageError(f"{given.wished}: {action.value} is about no lease")
        return None
    if given.seconds is not None and given.length is not None:
        raise UsageError("one of seconds and for, which say the same")
    requester = who.id if action.obliges else SOMEBODY_ELSE
    if given.requester is not None:
        requester = roles.member(given.requester)
    if action.obliges and requester != who.id:
        raise UsageError(f"requester: whoever asks for {action.value} asks for themselves")
    tables = tuple(
        Tagged(str(profile.table(one.name)), tuple(sorted(set(one.tags))))
        for one in (GivenTable(one) if isinstance(one, str) else one for one in given.tables or ())
    )
    tags = {tag for one in tables for tag in one.tags} | set(given.tags or ())
    asked = given.seconds if given.length is None else obligation.seconds(given.length)
    return Wish(
        requester=requester,
        profile=DEFAULT_PROFILE if given.profile is None else given.profile,
        seconds=asked or DEFAULT_SECONDS,
        tables=tables,
        tags=tuple(sorted(tags)),
        ticket=given.ticket or "",
        mfa_age=given.mfa_age,
        open_findings=given.open_findings or 0,
    )


def run(case: Case, who: Principal, policy: Policy, resource: Resource, now: datetime) -> Outcome:
    """What a policy decides of a case. To expect ``deny`` is not to expect a failure to tell.

    Raises: UsageError, where what it is about cannot be.
    """
    about = wish(case.context, case.action, who)
    circumstances = Circumstances(case.context.at or now, case.context.reason, about)
    decision = policy.decide(who, case.action, resource, circumstances)
    found = ALLOW if decision.allowed else DENY
    if decision.errors:
        found = "could not tell"
    obliges = decision.allowed and case.action.obliges
    obligations = obligation.due(policy.obligations(decision), case.action) if obliges else None
    differs = tuple(case.differs(obligations)) if obligations else ()
    return Outcome(
        name=case.name,
        passed=found == case.expect
        and (not case.by or case.by in decision.policies)
        and not differs,
        expected=case.expect,
        found=found,
        by=case.by,
        policies=decision.policies,
        reason=decision.reason,
        obligations=obligations,
        differs=differs,
    )
