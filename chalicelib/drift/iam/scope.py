"""Statements and how far they go: whatever the context, over everything, or wider than written."""

from __future__ import annotations

from typing import Final

import msgspec

from chalicelib.drift.iam import glob
from chalicelib.drift.iam.document import Names, Statement
from chalicelib.drift.iam.glob import Variable, relax

_OWN: Final = Variable("aws:username")
_ANYTHING: Final = Names(("*",))


def is_clear(one: Statement) -> bool:
    """Whether a statement applies whatever the context of a request is."""
    if one.unknown or one.atoms or one.resources is None or one.principals is not None:
        return False
    return not any(glob.parse(text).variables for text in one.resources.texts)


def is_all(one: Statement) -> bool:
    """Whether a statement applies to every request."""
    return is_clear(one) and one.actions == _ANYTHING and covers(one)


def covers(one: Statement) -> bool:
    """Whether a statement is on every resource."""
    return not one.unknown and one.principals is None and one.resources == _ANYTHING


def widened(one: Statement) -> Statement:
    """The statement on everything, under the same conditions."""
    return msgspec.structs.replace(one, actions=_ANYTHING, resources=_ANYTHING)


def broadened(one: Statement) -> Statement:
    """The statement that applies wherever this one may, for some context."""
    names = one.resources
    if names is not None:
        patterns = [glob.parse(text) for text in names.texts]
        if names.negated:
            patterns = [pattern for pattern in patterns if not pattern.variables]
        texts = tuple(glob.render(relax(pattern)) for pattern in patterns)
        names = Names(texts, names.negated)
    return msgspec.structs.replace(one, resources=names, atoms=())


def is_own(text: str) -> bool:
    """Whether the last part of an ARN is the name of the user who asks, and nothing else."""
    tokens = glob.parse(text).tokens
    return tokens[-1:] == (_OWN,) and tokens[-2:-1] == ("/",)
