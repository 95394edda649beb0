"""The footing on which a role's trust lets somebody of its own account in.

Whoever a trust names in person needs no policy of their own; whoever it names by the account needs
one that allows it. A session, or a user, is not even held back by what a permissions boundary is
silent about; a role is. Who is of another account needs a policy there, however they are named. So
a trust says more than one thing of a request, and each is a policy of its own.

Source: AWS STS API Reference, "AssumeRole"; AWS IAM User Guide, "Policy evaluation for requests
within a single account".
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import msgspec

from chalicelib.drift.iam import document as documents
from chalicelib.drift.iam.document import Effect, Entries
from chalicelib.kernel.errors import Malformed

if TYPE_CHECKING:
    from collections.abc import Iterator

    from chalicelib.drift.iam.document import Statement

Policy = dict[str, Any]

_ACCOUNT: Final = re.compile(r"([0-9]{12})")
_ROLE: Final = re.compile(r"arn:[a-z-]+:iam::([0-9]{12}):role/.+|AROA[A-Z0-9]+")
_LESSER: Final = (
    ("for who has no policy that allows it: ", _ACCOUNT),
    ("for who has a boundary that does not allow it: ", _ROLE),
)


class Footing(NamedTuple):
    """Who has less than others to go by, in words, and the trusts as they are for these."""

    words: str
    old: Policy
    new: Policy


def footings(old: Policy, new: Policy, account: str) -> Iterator[Footing]:
    """What two trusts of a role of the account say beside what they say to who has all it takes.

    ``account``: its id; empty: nobody knows it, and each may be it. A trust that is no policy has
    none.
    """
    try:
        sides = [documents.parse(one) for one in (old, new)]
    except Malformed:
        return
    if any(one.unknown for one in sides):
        return
    statements = [list(one.statements) for one in sides]
    for words, lesser in _LESSER:
        fewer = [_without(some, lesser, account) for some in statements]
        if fewer != statements:
            yield Footing(words, *map(_policy, fewer))
        statements = fewer


def _without(statements: list[Statement], lesser: re.Pattern[str], account: str) -> list[Statement]:
    """The statements without what they allow to such principals of the account."""
    found: list[Statement] = []
    for one in statements:
        people = one.principals
        if one.effect is Effect.ALLOW and people is not None and not people.negated:
            kept = tuple(
                entry
                for entry in people.entries
                if not (entry.kind == "AWS" and _is_own(lesser.fullmatch(entry.value), account))
            )
            if not kept and people.entries:
                continue
            one = msgspec.structs.replace(one, principals=Entries(kept))  # noqa: PLW2901
        found.append(one)
    return found


def _is_own(found: re.Match[str] | None, account: str) -> bool:
    """Whether an entry is such a principal, and of the account for all that is known."""
    return found is not None and (not account or found[1] in {None, account})


def _policy(statements: list[Statement]) -> Policy:
    return {
        "Version": documents.VERSIONS[1],
        "Statement": [documents.plain(one) for one in statements],
    }
