"""A target's requests and leases: what the records of its access stream add up to.

A request is ``pending`` until enough people agree, then ``approved`` until its requester claims it;
``issuing`` while the credential is made, ``active`` while somebody holds it, ``ending`` until it is
proven gone, then ``ended``. It is over too where it was ``denied``, ``withdrawn``, or ``lapsed``.
docs/access.md draws it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

from chalicelib.access.held import (
    Agreed,
    Ask,
    Denial,
    Held,
    Lease,
    Orphan,
    Phase,
    Renewal,
    Renewed,
    Reviewed,
    Trouble,
)
from chalicelib.access.obligation import Obligations
from chalicelib.access.profile import Profile
from chalicelib.kernel import folded, masking, merkle
from chalicelib.kernel.folded import Shape
from chalicelib.kernel.personal import text_or_sealed

if TYPE_CHECKING:
    from collections.abc import Callable

    from chalicelib.kernel.record import Entry, Journal
    from chalicelib.kernel.store import Derived

__all__ = [
    "Agreed",
    "Ask",
    "Held",
    "Lease",
    "Orphan",
    "Phase",
    "Renewal",
    "Renewed",
    "State",
    "States",
]

REQUESTED: Final = "access.requested"
AMENDED: Final = "access.amended"
APPROVED: Final = "access.approved"
DENIED: Final = "access.denied"
WITHDRAWN: Final = "access.withdrawn"
LAPSED: Final = "access.lapsed"
REVIEWED: Final = "access.reviewed"
ISSUING: Final = "lease.issuing"
ISSUED: Final = "lease.issued"
REFRESHED: Final = "lease.refreshed"
RENEWAL: Final = "lease.renewal"
EXTENDED: Final = "lease.extended"
ENDING: Final = "lease.ending"
UNENDED: Final = "lease.unended"
ENDED: Final = "lease.ended"
ORPHANED: Final = "lease.orphaned"

MAX_CLOSED: Final = 100  # requests that are over and still told without reading the log
MAX_ORPHANS: Final = 100
_FORMAT: Final = 3


class State(msgspec.Struct):
    """What the records of an access stream up to its ``seq``-th add up to.

    ``closed``: what is over, at most MAX_CLOSED of it. ``orphans``: by role, those that were found
    and are not proven gone, at most MAX_ORPHANS.
    """

    target: str
    seq: int = 0
    leaf: str = ""
    index: int = 0
    requests: dict[str, Held] = {}
    closed: dict[str, Held] = {}
    orphans: dict[str, Orphan] = {}

    def about(self, request: str, principal: str = "") -> list[object]:
        """What a decision about a request is decided on; of a new one, what else they have asked.

        Other requests are nothing to it.
        """
        theirs = [one for one in self.requests.values() if principal and one.principal == principal]
        orphan = None if request else self.orphans
        return [self.find(request), sorted(one.id for one in theirs), orphan]

    def find(self, request: str) -> Held | None:
        """A request that is open, or was closed not long ago."""
        return self.requests.get(request) or self.closed.get(request)


def _requested(state: State, entry: Entry) -> None:
    body = entry.body
    held = Held(
        id=body["request"],
        principal=body["principal"],
        by=entry.record.actor,
        at=entry.record.at,
        ask=_ask(body),
        leaf=_leaf(entry),
        index=entry.index,
        revision=1,
        obligations=msgspec.convert(body["obligations"], Obligations),
        policies=tuple(body["policies"]),
        lapses_at=body["lapses_at"],
        break_glass=body["break_glass"],
        review="open" if body["break_glass"] else "",
        seed=body["seed"],
    )
    if held.lacking == (0, ()):
        held.phase = Phase.APPROVED
    state.requests[held.id] = held


def _amended(held: Held, entry: Entry) -> None:
    """Another wish is another record, and nobody has agreed to it yet."""
    body = entry.body
    held.ask, held.leaf, held.index = _ask(body), _leaf(entry), entry.index
    held.revision += 1
    held.obligations = msgspec.convert(body["obligations"], Obligations)
    held.policies = tuple(body["policies"])
    held.lapses_at = body["lapses_at"]
    held.approvals = []
    held.phase = Phase.APPROVED if held.lacking == (0, ()) else Phase.PENDING


def _approved(held: Held, entry: Entry) -> None:
    body, record = entry.body, entry.record
    agreed = Agreed(record.actor, record.at, entry.index, body["leaf"], tuple(body["groups"]))
    if held.renewal is not None and agreed.leaf == held.renewal.leaf:
        held.renewal.approvals.append(agreed)
    elif agreed.leaf == held.leaf:
        held.approvals.append(agreed)
        if held.phase is Phase.PENDING and held.lacking == (0, ()):
            held.phase, held.lapses_at = Phase.APPROVED, body["lapses_at"]


def _denied(held: Held, entry: Entry) -> None:
    if entry.body["renewal"]:
        held.denied = Denial(
            by=entry.record.actor.name,
            at=entry.record.at,
            seconds=0 if held.renewal is None else held.renewal.seconds,
            comment=text_or_sealed(entry.body.get("comment", "")),
        )
        held.renewal = None
    else:
        _close(held, entry, Phase.DENIED)


def _close(held: Held, entry: Entry, phase: Phase) -> None:
    held.phase = phase
    held.closed_by, held.closed_at = entry.record.actor.name, entry.record.at
    held.comment = text_or_sealed(entry.body.get("comment", ""))
    held.comment_kind = entry.record.kind
    if phase is not Phase.ENDING:
        held.review = ""  # where nothing was issued there is nothing to look at


def _issuing(held: Held, entry: Entry) -> None:
    body = entry.body
    held.phase = Phase.ISSUING
    held.lease = Lease(
        role=body["role"],
        profile=msgspec.convert(body["profile"], Profile),
        plan=body["sha256"],
        at=entry.record.at,
        until=body["until"],
        record=entry.index,
        scope=body["plan"]["assumes"].get("scope", ""),
    )


def _issued(held: Held, entry: Entry) -> None:
    if held.lease is not None:
        held.phase = Phase.ACTIVE
        held.lease.issued_at = entry.record.at
        _refreshed(held, entry)


def _refreshed(held: Held, entry: Entry) -> None:
    if held.lease is not None:
        held.lease.claims += 1
        held.lease.claimed_at = entry.record.at


def _renewal(held: Held, entry: Entry) -> None:
    body = entry.body
    held.denied = None
    held.renewal = Renewal(
        seconds=body["seconds"],
        at=entry.record.at,
        leaf=_leaf(entry),
        lapses_at=body["lapses_at"],
        obligations=msgspec.convert(body["obligations"], Obligations),
        approvals=[],
    )


def _extended(held: Held, entry: Entry) -> None:
    if held.lease is not None:
        held.lease.until = entry.body["until"]
    if (asked := held.renewal) is not None:
        held.renewed = Renewed(asked.seconds, entry.record.at, asked.approvals)
    held.renewal = None


def _ending(held: Held, entry: Entry) -> None:
    _close(held, entry, Phase.ENDING)
    held.renewal = None
    if held.lease is not None:
        held.lease.why = entry.body["why"]


def _unended(held: Held, entry: Entry) -> None:
    if held.lease is not None:
        held.lease.trouble = _trouble(entry)


def _ended(held: Held, entry: Entry) -> None:
    held.phase = Phase.ENDED
    if held.lease is not None:
        held.lease.ended_at, held.lease.trouble = entry.record.at, None
        held.lease.sessions = entry.body["proof"].get("sessions_ended")


def _reviewed(held: Held, entry: Entry) -> None:
    held.review = "closed"
    comment = text_or_sealed(entry.body.get("comment", ""))
    held.reviewed = Reviewed(entry.record.actor.name, entry.record.at, comment)


def _orphan(state: State, entry: Entry) -> None:
    """A record of what is no lease: found, not to be ended yet, or gone."""
    role, kind = entry.body["role"], entry.record.kind
    found = state.orphans.get(role)
    if kind == ORPHANED and found is None:
        state.orphans[role] = Orphan(role, entry.body["request"], entry.record.at)
        if len(state.orphans) > MAX_ORPHANS:
            del state.orphans[min(state.orphans, key=lambda one: (state.orphans[one].at, one))]
    elif kind == UNENDED and found is not None:
        found.trouble = _trouble(entry)
    elif kind == ENDED:
        state.orphans.pop(role, None)


def _trouble(entry: Entry) -> Trouble:
    body = entry.body
    return Trouble(
        step=body["step"],
        code=body["code"],
        message=body["message"],
        at=entry.record.at,
        next_at=body["next_at"],
        attempts=body["attempts"],
    )


def _ask(body: dict[str, Any]) -> Ask:
    return Ask(
        profile=body["profile"],
        gives=msgspec.convert(body["gives"], Profile),
        tables=tuple(body["tables"]),
        resources=tuple(body["resources"]),
        seconds=body["seconds"],
        reason=text_or_sealed(body["reason"]),
        ticket=body["ticket"],
    )


def _leaf(entry: Entry) -> str:
    return merkle.leaf_hash(entry.leaf).hex()


_STEPS: Final[dict[str, Callable[[Held, Entry], None]]] = {
    AMENDED: _amended,
    APPROVED: _approved,
    DENIED: _denied,
    WITHDRAWN: lambda held, entry: _close(held, entry, Phase.WITHDRAWN),
    LAPSED: lambda held, entry: _close(held, entry, Phase.LAPSED),
    ISSUING: _issuing,
    ISSUED: _issued,
    REFRESHED: _refreshed,
    RENEWAL: _renewal,
    EXTENDED: _extended,
    ENDING: _ending,
    UNENDED: _unended,
    ENDED: _ended,
    REVIEWED: _reviewed,
}
KINDS: Final = frozenset({REQUESTED, ORPHANED, *_STEPS})
MASKING: Final = masking.KINDS  # of the same stream, and no requests: they change no state


def _take(state: State, entry: Entry) -> None:
    request = entry.body.get("request", "")
    if entry.record.kind == REQUESTED:
        _requested(state, entry)
    elif entry.record.kind == ORPHANED or (not request and entry.record.kind in KINDS):
        _orphan(state, entry)
    held = state.requests.get(request)
    step = _STEPS.get(entry.record.kind)
    if held is None or step is None:
        return
    step(held, entry)
    if held.over:
        del state.requests[request]
        state.closed[request] = held
        if len(state.closed) > MAX_CLOSED:  # the cache has them in another order: by their ends
            del state.closed[min(state.closed, key=lambda one: (state.closed[one].closed_at, one))]


SHAPE: Final = Shape(State, State, _take, _FORMAT, "access-state")


class States(folded.States[State]):
    """Targets' requests and leases, folded from the journal."""

    def __init__(self, journal: Journal, cache: Derived, secret: bytes | None) -> None:
        super().__init__(SHAPE, journal, cache, secret)
