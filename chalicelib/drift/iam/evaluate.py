"""What one policy document says to one request: explicit deny, allow, or nothing.

1. Every statement whose principal, action, resource and conditions all fit applies.
2. A Deny that applies decides. 3. Else an Allow that applies. 4. Else nothing is allowed.

Source: AWS IAM User Guide, "Policy evaluation logic". Other documents have their say elsewhere.
"""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING

from chalicelib.drift.iam import glob, principal
from chalicelib.drift.iam.condition import holds
from chalicelib.drift.iam.document import Document, Effect, Names, Statement

if TYPE_CHECKING:
    from chalicelib.drift.iam.condition import Context
    from chalicelib.drift.iam.request import Request


class Decision(enum.Enum):
    """What a document says; in the order of how much it lets through."""

    DENIED = "explicitly denied"
    SILENT = "not allowed"
    ALLOWED = "allowed"

    @property
    def rank(self) -> int:
        """More for what lets more through."""
        return list(Decision).index(self)


def evaluate(document: Document, request: Request) -> Decision | None:
    """The document's decision; None: nobody can tell, as for elements that are not understood."""
    if document.unknown:
        return None
    answers = [(one.effect, applies(one, request)) for one in document.statements]
    if (Effect.DENY, True) in answers:
        return Decision.DENIED
    if (Effect.DENY, None) in answers:
        return None
    if (Effect.ALLOW, True) in answers:
        return Decision.ALLOWED
    return None if (Effect.ALLOW, None) in answers else Decision.SILENT


def applies(one: Statement, request: Request) -> bool | None:
    """Whether a statement applies to a request; None: nobody can tell."""
    if one.unknown:
        return None
    answers = [_is_by(one, request), _acts(one.actions, request.action)]
    if one.resources is not None:
        answers.append(_touches(one.resources, request.resource, request.context))
    answers += [holds(atom, request.context) for atom in one.atoms]
    if False in answers:
        return False
    return None if None in answers else True


def _is_by(one: Statement, request: Request) -> bool | None:
    if one.principals is None:
        return True
    if not one.principals.negated:
        return principal.is_named(request.principal, one.principals.entries)
    spared = principal.is_spared(request.principal, one.principals.entries)
    return None if spared is None else not spared


def _acts(names: Names, action: str) -> bool:
    text = action.lower()
    return names.negated != any(
        glob.matches(glob.parse(one, variables=False), text) for one in names.texts
    )


def _touches(names: Names, resource: str, context: Context) -> bool | None:
    known = {key: values[0] for key, values in context.items() if len(values) == 1}
    patterns = [glob.substitute(glob.parse(one), known) for one in names.texts]
    if any(one is not None and glob.matches(one, resource) for one in patterns):
        return not names.negated
    # A variable without a value matches nothing; what that means for NotResource is not said.
    return None if names.negated and None in patterns else names.negated
