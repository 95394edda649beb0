"""The audit: whether the records of requests and leases are what the broker may have written.

It needs the log alone, so that whoever could write records without the broker is found: an approval
of one's own, a lease without enough approvals, an end without a beginning.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from chalicelib.access import obligation, state
from chalicelib.access.state import Phase
from chalicelib.kernel import masking, names
from chalicelib.kernel.errors import Malformed
from chalicelib.kernel.kinds import ACCESS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from chalicelib.access.state import Held
    from chalicelib.kernel.record import Entry

# What a request has to be for such a record of it.
_BEFORE: Final = {
    state.ISSUING: {Phase.APPROVED},
    state.ISSUED: {Phase.ISSUING},
    state.REFRESHED: {Phase.ACTIVE},
    state.RENEWAL: {Phase.ACTIVE},
    state.EXTENDED: {Phase.ACTIVE},
    state.ENDING: {Phase.ISSUING, Phase.ACTIVE},
    state.UNENDED: {Phase.ENDING},
    state.ENDED: {Phase.ENDING},
    state.AMENDED: {Phase.PENDING, Phase.APPROVED},
    state.APPROVED: {Phase.PENDING, Phase.ACTIVE},
    state.DENIED: {Phase.PENDING, Phase.APPROVED, Phase.ACTIVE},
    state.WITHDRAWN: {Phase.PENDING, Phase.APPROVED},
    state.LAPSED: {Phase.PENDING, Phase.APPROVED},
}


class Audit:
    """Walks the log once; ``states`` are then what each access stream's records add up to."""

    def __init__(self) -> None:
        self.states: dict[str, state.State] = {}

    def check(self, entry: Entry) -> Iterator[tuple[str, str]]:
        """``(place, what is wrong)`` with this record. Records come in log order."""
        stream, kind = entry.record.stream, entry.record.kind
        if not stream.startswith(f"{ACCESS}:"):
            if kind in state.KINDS | state.MASKING:
                yield f"record {entry.index}", f"a {kind} in the stream {stream}"
            return
        now = self.states.setdefault(stream, state.State(stream))
        try:
            wrong = list(_wrong(now, entry))
            state.SHAPE.grow(now, [entry])
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            yield f"record {entry.index}", f"its body is not that of a {kind}: {error!r}"
            return
        for what in wrong:
            yield f"record {entry.index}", what


def _wrong(now: state.State, entry: Entry) -> Iterator[str]:
    kind, body = entry.record.kind, entry.body
    if kind in state.MASKING:
        try:
            masking.check(kind, body)
        except Malformed as error:
            yield f"its body is not that of a {kind}: {error.message}"
        return
    if kind not in state.KINDS:
        yield f"a {kind} among requests and leases"
        return
    request = body["request"]
    held = now.find(request)
    if kind == state.REQUESTED:
        if held is not None:
            yield f"{request} is asked for twice"
        return
    if kind == state.ORPHANED or (kind in {state.ENDED, state.UNENDED} and not request):
        return
    if held is None:
        yield f"a {kind} of {request}, which nobody asked for"
        return
    if held.phase not in _BEFORE.get(kind, set(Phase)):
        yield f"a {kind} of {request}, which is {held.phase.value}"
    yield from _votes(held, entry)


def _votes(held: Held, entry: Entry) -> Iterator[str]:
    kind = entry.record.kind
    own = names.person(held.by.name)
    if kind in {state.APPROVED, state.REVIEWED} and names.person(entry.record.actor.name) == own:
        yield f"{own} decides on {held.id}, which is their own"
    if kind == state.APPROVED:
        leaf = held.leaf if held.renewal is None else held.renewal.leaf
        if entry.body["leaf"] != leaf:
            yield f"an approval of something else than what {held.id} asks for"
    renewal = held.renewal
    if kind == state.EXTENDED and (
        renewal is None
        or obligation.lacking(renewal.obligations, [one.vote for one in renewal.approvals])
        != (0, ())
    ):
        yield f"{held.id} is extended without enough approvals"
