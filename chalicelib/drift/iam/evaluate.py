"""What one policy document says to one request: explicit deny, allow, or nothing.

1. Every statement whose principal, action, resource and conditions all fit applies.
2. A Deny that applies decides. 3. Else an Allow that applies. 4. Else nothing is allowed.

Source: AWS IAM User Guide, "Policy evaluation logic". Other documents have their say elsewhere.
"""

from __future__ import annotations

import enum
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

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
    answers: list[bool | None] = [_acts(one.actions, request.action)]
    if one.resources is not None and False not in answers:
        answers.append(_touches(one.resources, request.resource, request.context))
    if False not in answers:
        answers.append(is_met(one, request))
    if False in answers:
        return False
    return None if None in answers else True


def is_met(one: Statement, request: Request) -> bool | None:
    """Whether it speaks of who asks and its conditions hold; None: nobody can tell.

    Whatever the action and the resource.
    """
    answers = [_is_by(one, request), *(holds(atom, request.context) for atom in one.atoms)]
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
    return names.negated != any(_quick(one).takes(text) for one in names.texts)


def _touches(names: Names, resource: str, context: Context) -> bool | None:
    known = {key: values[0] for key, values in context.items() if len(values) == 1}
    is_unsure = False
    for text in names.texts:
        found = _quick(text)
        if found.is_open:
            pattern = glob.substitute(found.pattern, known)
            is_unsure = is_unsure or pattern is None
            is_of = pattern is not None and glob.matches(pattern, resource)
        else:
            is_of = found.takes(resource)
        if is_of:
            return not names.negated
    # A variable without a value matches nothing; what that means for NotResource is not said.
    return None if names.negated and is_unsure else names.negated


class _Quick(NamedTuple):
    """A pattern, and how all that it matches begins and ends.

    ``is_whole``: the one wildcard is a star, so that nothing else matters. ``is_open``: it has
    variables.
    """

    pattern: glob.Pattern
    head: str
    tail: str
    wilds: int
    is_whole: bool
    is_open: bool

    def takes(self, text: str) -> bool:
        """Whether a pattern without variables matches the text."""
        if not (text.startswith(self.head) and text.endswith(self.tail)):
            return False
        if not self.wilds:
            return text == self.head
        if self.is_whole:
            return len(text) >= len(self.head) + len(self.tail)
        return glob.matches(self.pattern, text)


@lru_cache(maxsize=4_096)
def _quick(text: str) -> _Quick:
    pattern = glob.parse(text)
    wilds = [at for at, token in enumerate(pattern.tokens) if not isinstance(token, str)]
    first, last = (wilds[0], wilds[-1] + 1) if wilds else (len(pattern.tokens), 0)
    return _Quick(
        pattern,
        "".join(map(str, pattern.tokens[:first])),
        "".join(map(str, pattern.tokens[last:])),
        len(wilds),
        len(wilds) == 1 and pattern.tokens[first] is glob.Wild.ANY,
        bool(pattern.variables),
    )
