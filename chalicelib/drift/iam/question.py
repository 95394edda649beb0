"""The questions that a comparison comes to: is there a request in these regions, outside of those.

A request comes up from the low document to the high one where the high one allows it and the low
one does not, or where the low one denies it explicitly and the high one does not.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from chalicelib.drift.iam.document import Document, Effect, Statement
from chalicelib.drift.iam.region import Box, Kind, box

if TYPE_CHECKING:
    from collections.abc import Iterator


class Question(NamedTuple):
    """Regions to be in (all of them) and regions to be outside of (any of them).

    ``statement``: the number, from 1 on, of the statement that it is about; ``is_high``: it is the
    high document's.
    """

    inside: tuple[Box, ...]
    outside: tuple[Box, ...]
    statement: int
    sid: str
    is_high: bool


def questions(low: Document, high: Document, kind: Kind, *, alone: bool) -> Iterator[Question]:
    """Every way for a request to come up. It does, where one of the questions has an answer.

    1. A statement of the high document allows it, none denies it, and none of the low one allows
       it: what the low one denies is then denied no more, or was not allowed.
    2. A statement of the low document denies it, and none of the high one does. Where nothing but
       this document allows anything (``alone``), that matters only where the high one allows it.
    """
    granted = _boxes(high, Effect.ALLOW, kind)
    refused = _boxes(high, Effect.DENY, kind)
    had = tuple(found for _, _, found in _boxes(low, Effect.ALLOW, kind))
    outside = tuple(found for _, _, found in refused)
    for number, one, found in granted:
        yield Question((found,), (*outside, *had), number, one.sid, is_high=True)
    for number, one, denied in _boxes(low, Effect.DENY, kind):
        if not alone:
            yield Question((denied,), outside, number, one.sid, is_high=False)
            continue
        for _, _, found in granted:
            yield Question((denied, found), outside, number, one.sid, is_high=False)


def _boxes(document: Document, effect: Effect, kind: Kind) -> list[tuple[int, Statement, Box]]:
    return [
        (number, one, box(one, kind))
        for number, one in enumerate(document.statements, 1)
        if one.effect is effect
    ]
