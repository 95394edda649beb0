"""The second opinion about a change of a policy: what somebody else finds, beside what we do.

It may make a verdict undecided, and never a better one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

if TYPE_CHECKING:
    from chalicelib.drift.policies import Policy

MAX_ASKED: Final = 200  # policies of one pair of snapshots: each is two calls that cost money
MAX_WHY_CHARACTERS: Final = 300

AGREES: Final = "agrees"
NEW_ACCESS: Final = "new access in the new policy"
NO_NEW_ACCESS: Final = "no new access in the new policy"
OLD_ACCESS: Final = "access in the old policy that the new one does not give"
NO_OLD_ACCESS: Final = "no access in the old policy that the new one does not give"


class Opinion(NamedTuple):
    """Whether a policy gives access that another does not; None: it cannot tell, and ``why``."""

    finds: bool | None
    why: str = ""


class SecondOpinion(Protocol):
    """Somebody else who compares policies, as AWS's Access Analyzer does."""

    def new_access(self, existing: Policy, new: Policy, *, resource: bool) -> Opinion:
        """Whether ``new`` gives access that ``existing`` does not. Never raises for a refusal.

        ``resource``: they are policies of a resource, as a role's trust.
        """
        ...


class Asking:
    """Questions to a second opinion, in both directions, at most MAX_ASKED times."""

    def __init__(self, second: SecondOpinion | None) -> None:
        self._second = second
        self._asked = 0

    def ask(
        self,
        old: Policy | None,
        new: Policy | None,
        *,
        resource: bool,
        widens: bool | None,
        narrows: bool | None,
    ) -> str:
        """What it says of our answers; empty, where there is nobody to ask, or no two policies."""
        if self._second is None or old is None or new is None:
            return ""
        if self._asked >= MAX_ASKED:
            return f"cannot tell: not asked, after {MAX_ASKED} policies"
        self._asked += 1
        said = _said(
            self._second.new_access(old, new, resource=resource),
            widens is True,
            (NEW_ACCESS, NO_NEW_ACCESS),
        )
        return said or (
            _said(
                self._second.new_access(new, old, resource=resource),
                narrows is True,
                (OLD_ACCESS, NO_OLD_ACCESS),
            )
            or AGREES
        )


def _said(opinion: Opinion, ours: bool, words: tuple[str, str]) -> str:  # noqa: FBT001 - an answer
    """What an opinion is that is not ours; empty, where it is the same."""
    if opinion.finds is None:
        return f"cannot tell: {opinion.why[:MAX_WHY_CHARACTERS]}"
    if opinion.finds is ours:
        return ""
    return words[0] if opinion.finds else words[1]
