"""Who: the calls of AWS's API that may have made a change, ranked, and how certain that is.

CloudTrail's event history is asked for events that name the object (``causes``), inside the window
between the last look without the change and the end of the first with it. A call that failed, or
only reads, makes nothing. What could not be asked, or may still be delivered, is never taken for
"nobody": then it is ``unknown``.
"""

from __future__ import annotations

import enum
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol

import msgspec

from chalicelib.drift.causes import Call, Fit, causes, fallbacks, fit, lookups
from chalicelib.kernel.clock import parse_timestamp, timestamp
from chalicelib.kernel.errors import HoldfastError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from chalicelib.drift.causes import Lookup
    from chalicelib.drift.desk import Target
    from chalicelib.drift.diff import Change

MAX_CANDIDATES: Final = 5
HISTORY: Final = timedelta(days=90)  # CloudTrail User Guide, "Working with event history"
LATE: Final = timedelta(minutes=15)  # "within 5 minutes on average"; not guaranteed, so thrice that
_SECOND: Final = timedelta(seconds=1)  # events' times are whole seconds, cut off
ROOT: Final = "Root"  # userIdentity.type
SERVICE: Final = "AWSService"


class Certainty(enum.Enum):
    """How sure it is that the first candidate made the change."""

    CERTAIN = "certain"
    LIKELY = "likely"
    POSSIBLE = "possible"
    NONE = "none"  # CloudTrail shows no call that can have made it
    UNKNOWN = "unknown"  # nobody can tell, or nobody can tell yet


class Principal(msgspec.Struct, frozen=True, omit_defaults=True):
    """Who called, as CloudTrail's ``userIdentity`` says; what it does not say is empty.

    ``name``: the ARN, which for an assumed role has the session's name; for a service of AWS, which
    one. ``issuer``: the ARN of the role that was assumed. ``invoked_by``: the service of AWS that
    called on somebody's behalf.
    """

    name: str
    kind: str = ""
    account: str = ""
    user: str = ""
    issuer: str = ""
    source_identity: str = ""
    invoked_by: str = ""


class Event(NamedTuple):
    """One event of CloudTrail. ``error``: AWS's code, where the call failed."""

    id: str
    name: str
    source: str
    at: datetime
    principal: Principal
    address: str
    request_id: str
    agent: str
    error: str
    read_only: bool
    request: Any
    response: Any


class Candidate(msgspec.Struct, frozen=True, omit_defaults=True):
    """One call that may have made a change. ``fit``: what it says of it, as of ``causes.Fit``."""

    principal: Principal
    event: str
    source: str
    at: str
    fit: str
    request_id: str
    event_id: str
    address: str = ""
    agent: str = ""


class Attribution(msgspec.Struct, frozen=True, omit_defaults=True):
    """Who made a change: candidates, the best first, and ``why`` it is that certain.

    ``since``, ``until``: the window that was asked for (as ``kernel.clock``). ``pending_until``:
    before then more may still be delivered; empty, where it is over.
    """

    certainty: Certainty
    why: str
    until: str
    since: str = ""
    candidates: list[Candidate] = []
    pending_until: str = ""

    def again(self, now: datetime) -> bool:
        """Whether asking again may tell more."""
        if self.pending_until:
            return True
        late = parse_timestamp(self.until) + HISTORY <= now
        return self.certainty is Certainty.UNKNOWN and not late

    @property
    def culprit(self) -> Principal | None:
        """Who it was, where that is certain."""
        return self.candidates[0].principal if self.certainty is Certainty.CERTAIN else None


class Told(NamedTuple):
    """What CloudTrail gave for one question. ``missing``: why that may not be all; else empty."""

    events: list[Event]
    missing: str = ""


class Trail(Protocol):
    """CloudTrail's event history, of the account and the region of one target."""

    def events(self, asked: Lookup, start: datetime, end: datetime) -> Told:
        """Events from ``start`` to ``end``.

        Raises: CouldNotTell, where CloudTrail refuses, throttles, or was asked enough: then it is
        not asked any more.
        """
        ...


class Sought(NamedTuple):
    """A finding's change whose maker is sought, and its window (as ``kernel.clock``)."""

    id: str
    change: Change
    since: str
    until: str


class Attributed(Protocol):
    """Who attributes changes."""

    def __call__(
        self, target: Target, sought: Sequence[Sought], now: datetime, /
    ) -> dict[str, Attribution]:
        """Attributions by the findings' ids; none, where that does not apply. Raises nothing."""
        ...


def nobody(_target: Target, _sought: Sequence[Sought], _now: datetime, /) -> dict[str, Attribution]:
    """Nothing is attributed."""
    return {}


def attributed(trail_for: Callable[[Target], Trail | None]) -> Attributed:
    """Attribution by a target's trail; of a target without one nothing is attributed."""

    def attribute(
        target: Target, sought: Sequence[Sought], now: datetime, /
    ) -> dict[str, Attribution]:
        wanted = [one for one in sought if causes(one.change)]
        if not wanted:
            return {}
        try:
            trail = trail_for(target)
        except HoldfastError as error:
            return {one.id: _unasked(one, _why(error), now) for one in wanted}
        return {} if trail is None else _Search(trail, now).of(wanted)

    return attribute


def _why(error: HoldfastError) -> str:
    return error.message.partition(" (HTTP")[0]  # equal for equal causes, whenever asked


def _unasked(one: Sought, why: str, now: datetime) -> Attribution:
    return judged([], one.since, one.until, now=now, missing=why)


class _Search:
    """Questions to a trail, each asked once for all changes that want it."""

    def __init__(self, trail: Trail, now: datetime) -> None:
        self._trail = trail
        self._now = now
        self._told: dict[Lookup, Told] = {}
        self._refused = ""

    def of(self, wanted: Sequence[Sought]) -> dict[str, Attribution]:
        """Resources by their names; then, for what that does not show, events by theirs."""
        self._ask(wanted, lookups)
        unseen = [one for one in wanted if not self._seen(one, lookups(one.change))]
        self._ask(unseen, fallbacks)
        rest = {one.id for one in unseen}
        return {
            one.id: self._attribution(
                one, [*lookups(one.change), *(fallbacks(one.change) if one.id in rest else ())]
            )
            for one in wanted
        }

    def _ask(self, wanted: Sequence[Sought], how: Callable[[Change], list[Lookup]]) -> None:
        windows: dict[Lookup, tuple[str, str]] = {}
        for one in wanted:
            for lookup in how(one.change):
                since, until = windows.get(lookup, (one.since, one.until))
                windows[lookup] = min(since, one.since), max(until, one.until)
        for lookup, (since, until) in windows.items():
            self._told[lookup] = self._answer(lookup, since, until)

    def _answer(self, lookup: Lookup, since: str, until: str) -> Told:
        if self._refused:
            return Told([], self._refused)
        start, end = _bounds(since, until, self._now)
        if start >= end:
            return Told([])
        try:
            return self._trail.events(lookup, start, end)
        except HoldfastError as error:
            self._refused = _why(error)
            return Told([], self._refused)

    def _seen(self, one: Sought, asked: Iterable[Lookup]) -> bool:
        found, missing = self._events(asked)
        best = max((how for how, _ in _ranked(one, found)), default=Fit.ANOTHER_VALUE)
        return best >= Fit.VALUE and not missing

    def _events(self, asked: Iterable[Lookup]) -> tuple[list[Event], str]:
        told = [self._told[lookup] for lookup in asked]
        events = {event.id: event for one in told for event in one.events}
        return list(events.values()), next((one.missing for one in told if one.missing), "")

    def _attribution(self, one: Sought, asked: list[Lookup]) -> Attribution:
        events, missing = self._events(asked)
        return rank(one, events, now=self._now, missing=missing)


def _bounds(since: str, until: str, now: datetime) -> tuple[datetime, datetime]:
    """The part of a window that CloudTrail still has, as its whole seconds."""
    end = parse_timestamp(until)
    start = parse_timestamp(since) if since else now - HISTORY
    return max(start.replace(microsecond=0), now - HISTORY), end.replace(microsecond=0) + _SECOND


def rank(one: Sought, events: Iterable[Event], *, now: datetime, missing: str = "") -> Attribution:
    """Who made a change, of these events.

    The better an event fits and the nearer it is to the window's end, the further ahead it comes.
    ``missing``: why there may be more events; else empty.
    """
    if not one.since or parse_timestamp(one.since) < now - HISTORY:
        missing = missing or f"the window begins before the {HISTORY.days} days of its history"
    return judged(_ranked(one, events), one.since, one.until, now=now, missing=missing)


def _ranked(one: Sought, events: Iterable[Event]) -> list[tuple[Fit, Event]]:
    since = parse_timestamp(one.since).replace(microsecond=0) if one.since else None
    until = parse_timestamp(one.until)
    found = []
    for event in events:
        if event.error or event.read_only or event.at > until or (since and event.at < since):
            continue
        root = event.principal.kind == ROOT
        call = Call(event.source, event.name, event.request, event.response, root)
        how = fit(one.change, call)
        if how is not None:
            found.append((how, event))
    return sorted(found, key=lambda row: (row[0], row[1].at, row[1].id), reverse=True)


def judged(
    found: Sequence[tuple[Fit, Event]], since: str, until: str, *, now: datetime, missing: str
) -> Attribution:
    """The attribution of ranked events; :func:`rank` makes them."""
    ends = parse_timestamp(until) + LATE
    pending = timestamp(ends) if now < ends else ""
    certainty, why = _certainty([how for how, _ in found], pending=bool(pending), missing=missing)
    return Attribution(
        certainty=certainty,
        why=why,
        since=since,
        until=until,
        candidates=[_candidate(how, event) for how, event in found[:MAX_CANDIDATES]],
        pending_until=pending,
    )


def _certainty(fits: Sequence[Fit], *, pending: bool, missing: str) -> tuple[Certainty, str]:
    """By the fits, best first: what may still come, or was not asked, is never told away."""
    if not fits:
        return _nothing(pending=pending, missing=missing)
    lacking = f"; not all was asked: {missing}" if missing else ""
    lacking += "; more may still be delivered" if pending else ""
    best, equal = fits[0], fits.count(fits[0])
    if best is Fit.ITSELF and equal == 1:
        return Certainty.CERTAIN, "the call names the object by an id that is given once"
    if equal > 1 and best >= Fit.OBJECT:
        return Certainty.POSSIBLE, f"{equal} calls fit equally{lacking}"
    if best is Fit.VALUE:
        if not lacking and all(other < Fit.KIND for other in fits[1:]):
            return Certainty.CERTAIN, _WORDS[best]
        return Certainty.LIKELY, _WORDS[best] + (lacking or "; others may have made it too")
    certainty = Certainty.LIKELY if best is Fit.OBJECT and not missing else Certainty.POSSIBLE
    return certainty, _WORDS[best] + lacking


_WORDS: Final = {
    Fit.VALUE: "one call names the object and the very value",
    Fit.OBJECT: "the call names the object, and does not say the value",
    Fit.KIND: "the call may be about the object, and does not name it",
    Fit.ANOTHER_VALUE: "the call gives the object another value than it has",
}


def _nothing(*, pending: bool, missing: str) -> tuple[Certainty, str]:
    if missing:
        return Certainty.UNKNOWN, f"CloudTrail could not be asked in full: {missing}"
    if pending:
        return Certainty.UNKNOWN, "CloudTrail shows no call yet, and may still deliver one"
    return Certainty.NONE, "CloudTrail shows no call in the window that can have made it"


def _candidate(how: Fit, event: Event) -> Candidate:
    return Candidate(
        principal=event.principal,
        event=event.name,
        source=event.source,
        at=timestamp(event.at),
        fit=how.name.lower().replace("_", " "),
        request_id=event.request_id,
        event_id=event.id,
        address=event.address,
        agent=event.agent,
    )


def words(principal: Principal) -> str:
    """A principal as people read it: root as root, a service as one, a session with its issuer."""
    if principal.kind == ROOT:
        text = f"root of account {principal.account or principal.name}"
    elif principal.kind == SERVICE:
        text = f"the AWS service {principal.name}"
    else:
        text = principal.name
    if principal.source_identity:
        text += f", source identity {principal.source_identity}"
    if principal.invoked_by and principal.kind != SERVICE:
        text += f", through {principal.invoked_by}"
    return text
