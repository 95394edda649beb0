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

from chalicelib.access import roles
from chalicelib.access.principal import Kind, Principal
from chalicelib.access.question import Action, Circumstances
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


class Given(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``context`` of a case. ``at``: with an offset; else when the table is run."""

    at: Annotated[datetime, msgspec.Meta(tz=True)] | None = None
    reason: str | None = None


class Case(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``[[case]]``. ``target`` is empty for what is asked of the log.

    ``by``: the id of a policy that has to be among those that decide.
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

    def who(self) -> Principal:
        """The principal that asks. Raises: UsageError."""
        return principal(self.principal, self.groups, self.roles, self.via)


class _Table(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    case: list[Case]


class Outcome(msgspec.Struct, frozen=True):
    """What became of a case. ``found``: ``allow``, ``deny`` or ``could not tell``."""

    name: str
    passed: bool
    expected: str
    found: str
    by: str
    policies: tuple[str, ...]
    reason: str


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
    return cases


def run(case: Case, who: Principal, policy: Policy, resource: Resource, now: datetime) -> Outcome:
    """What a policy decides of a case. To expect ``deny`` is not to expect a failure to tell."""
    circumstances = Circumstances(case.context.at or now, case.context.reason)
    decision = policy.decide(who, case.action, resource, circumstances)
    found = ALLOW if decision.allowed else DENY
    if decision.errors:
        found = "could not tell"
    return Outcome(
        name=case.name,
        passed=found == case.expect and (not case.by or case.by in decision.policies),
        expected=case.expect,
        found=found,
        by=case.by,
        policies=decision.policies,
        reason=decision.reason,
    )
