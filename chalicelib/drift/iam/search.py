"""The search for a request that lies in one region and outside of some boxes.

1. A box that the region lies in ends it; a box that the region does not touch is left out.
2. Else one of the box's predicates does not hold of the request: one branch for each that may not,
   together with those before it, which then hold. The box with the fewest branches goes first.
3. Where no box is left, every dimension gives a part of the request.

No branch left is a proof, as long as each that was cut off was impossible for certain.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from chalicelib.drift.iam.document import Names
from chalicelib.drift.iam.glob import Exhausted
from chalicelib.drift.iam.region import (
    WHAT,
    WHICH,
    WHO,
    Box,
    Dimension,
    Literals,
    Predicate,
    Space,
    Which,
    dimension,
    within,
)
from chalicelib.drift.iam.request import Request

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence


class Outcome(NamedTuple):
    """A request that was found and confirmed, or why nobody can tell; neither: there is none."""

    request: Request | None = None
    doubt: str = ""


def search(
    space: Space, start: Literals, avoid: Sequence[Box], confirm: Callable[[Request], bool]
) -> Outcome:
    """A request in ``start`` and in none of ``avoid`` that ``confirm`` says yes to."""
    stack: list[tuple[Literals, Sequence[Box]]] = [(start, avoid)]
    doubt = ""
    try:
        if _is_impossible(space, start):
            return Outcome()
        while stack:
            literals, boxes = stack.pop()
            open_boxes = _open(space, literals, boxes)
            if open_boxes is None:
                continue
            if open_boxes:
                stack.extend(_branches(space, literals, open_boxes))
                continue
            request, why = _request(space, literals)
            if request is not None and confirm(request):
                return Outcome(request)
            if request is not None:
                why = "a request was found that the evaluation does not confirm"
            doubt = doubt or why
    except Exhausted:
        return Outcome(doubt="it takes more steps than the bound")
    return Outcome(doubt=doubt)


def _is_impossible(space: Space, literals: Literals) -> bool:
    return any(space.solve(of, found).is_impossible for of, found in literals.items())


def _open(
    space: Space, literals: Literals, boxes: Sequence[Box]
) -> list[tuple[list[Predicate], Box]] | None:
    """The boxes that the region touches, each with what may not hold; None: it lies in one."""
    found: list[tuple[list[Predicate], Box]] = []
    for one in boxes:
        missing = [
            predicate
            for predicate in one
            if (True, predicate) not in literals.get(dimension(predicate), ())
        ]
        if not missing:
            return None
        if any(_is_cut(space, literals, predicate, wanted=True) for predicate in missing):
            continue
        may_fail = [
            predicate
            for predicate in missing
            if not _is_cut(space, literals, predicate, wanted=False)
        ]
        if not may_fail:
            return None
        found.append((may_fail, one))
    return found


def _is_cut(space: Space, literals: Literals, predicate: Predicate, *, wanted: bool) -> bool:
    """Whether the literal is impossible in the region."""
    of = dimension(predicate)
    return space.solve(of, literals.get(of, frozenset()) | {(wanted, predicate)}).is_impossible


def _branches(
    space: Space, literals: Literals, boxes: list[tuple[list[Predicate], Box]]
) -> Iterator[tuple[Literals, list[Box]]]:
    """The region without one of the boxes, in pieces; the last is the next to be looked at."""
    may_fail, chosen = min(boxes, key=lambda one: len(one[0]))
    rest = [one for _, one in boxes if one is not chosen]
    pieces: list[tuple[Literals, list[Box]]] = []
    for predicate in sorted(
        may_fail, key=lambda one: (_ORDER.get(dimension(one)[0], 9), repr(one))
    ):
        piece = within(literals, (False, predicate))
        if not space.solve(dimension(predicate), piece[dimension(predicate)]).is_impossible:
            pieces.append((piece, rest))
        literals = within(literals, (True, predicate))
        if space.solve(dimension(predicate), literals[dimension(predicate)]).is_impossible:
            break
    yield from reversed(pieces)


_ORDER = {WHAT[0]: 0, WHICH[0]: 1, WHO[0]: 2, "if": 3}


def _request(space: Space, literals: Literals) -> tuple[Request | None, str]:
    """The request that has a part from every dimension, or why there is none for certain."""
    parts: dict[Dimension, tuple[str, ...]] = {}
    for of, found in literals.items():
        answer = space.solve(of, found)
        if answer.values is None:
            return None, "" if answer.is_impossible else _doubt(of)
        parts[of] = answer.values
    who = parts.get(WHO)
    request = Request(
        parts[WHAT][0],
        _like(space, literals, parts[WHAT][0]) or parts[WHICH][0],
        context={of[1]: values for of, values in parts.items() if of[0] == "if" and values},
    )
    if who is None:
        return request, ""
    return Request(request.action, request.resource, space.people[int(who[0])], request.context), ""


def _like(space: Space, literals: Literals, action: str) -> str:
    """A resource of the action's own service, where that is one of the region; else empty."""
    service = action.partition(":")[0]
    own = Which(Names((f"arn:aws:{service}:*:?*",)))
    found = space.solve(WHICH, literals[WHICH] | {(True, own)}).values
    return found[0] if found else ""


def _doubt(of: Dimension) -> str:
    match of[0]:
        case "if":
            return f"the conditions on {of[1]} cannot be decided"
        case "opaque":
            return "a statement has what is not understood"
        case "who":
            return (
                "AWS does not say whom NotPrincipal leaves out, if only one of their names is there"
            )
        case _:
            return "it depends on the value of a policy variable"
