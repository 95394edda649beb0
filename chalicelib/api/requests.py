"""Requests for access, and the leases that come of them.

Whoever may neither read the leases of a target nor asked themselves is not told that a request is
there; whoever may not see a target is told the same of it as of one that is not there.

A step that is asked for again, its answer lost, is found by its record and not taken again. A
credential is kept nowhere, so asking again makes another one.
"""

from __future__ import annotations

import base64
from contextlib import suppress
from typing import TYPE_CHECKING

import msgspec

from chalicelib.access import lease as leases
from chalicelib.access import request as wishes
from chalicelib.access import state
from chalicelib.api.call import SEEING
from chalicelib.api.shown import may_agree, version, view
from chalicelib.api.wishes import (
    Agree,
    AskFor,
    CredentialView,
    Look,
    Prolong,
    Refuse,
    RequestQuery,
    Requests,
    RequestView,
    Wished,
)
from chalicelib.drift.desk import Target as TargetOf
from chalicelib.evidence.personal import Reveal
from chalicelib.kernel.clock import parse_timestamp
from chalicelib.kernel.errors import Conflict, Malformed, NotFound, UsageError
from chalicelib.kernel.record import entry_at
from chalicelib.wiring import access

if TYPE_CHECKING:
    from collections.abc import Callable

    from chalicelib.access.desk import Desk, Leased
    from chalicelib.access.state import Held, State
    from chalicelib.api.call import Call
    from chalicelib.api.types import Empty

READING = "lease:read"


def start(call: Call, asked: AskFor) -> RequestView:
    """Ask for access. Raises: Forbidden, NotAllowed, NotFound, UsageError."""
    target, desk = _target(call, asked.target), _desk(call)
    return _told(
        call,
        target,
        lambda: wishes.ask(
            desk,
            target,
            call.caller,
            _wish(asked),
            break_glass=asked.break_glass,
            seed=call.seed,
        ),
    )


def ls(call: Call, asked: RequestQuery) -> Requests:
    """Requests and leases that the caller may see: their own, and where they may read leases."""
    rows: list[tuple[Leased, Held]] = []
    after = _after(asked.cursor) if asked.cursor else None
    desk, moment = _desk(call), call.now
    every = access.every(call.services) if asked.target is None else [_target(call, asked.target)]
    for target in every:
        now = desk.states.get(target.stream)
        all_of_them = not asked.mine and _may_read(call, target)
        rows += [
            (target, one)
            for one in (*now.requests.values(), *now.closed.values())
            if (all_of_them or one.principal == call.caller.id) and _wanted(asked, one, moment)
        ]
    rows.sort(key=lambda row: (row[1].at, row[1].id), reverse=True)
    if after is not None:
        rows = [row for row in rows if (row[1].at, row[1].id) < after]
    page = rows[: asked.limit]
    more = _cursor(page[-1][1]) if len(rows) > len(page) else None
    reveal = Reveal(call.services.subjects, call.services.log)
    return Requests(items=[view(call, target, one, reveal) for target, one in page], next=more)


def show(call: Call, _asked: Empty, request: str) -> RequestView:
    """One of them. Raises: NotFound."""
    target, held = _seen(call, request)
    found = view(call, target, held)
    if found.phase == "pending" or (found.phase == "active" and found.renewal is not None):
        found = msgspec.structs.replace(found, may_agree=may_agree(call.policy()))
    return found


def amend(call: Call, asked: Wished, request: str) -> RequestView:
    """Ask for something else in its place. Raises: as ``access.request.amend``."""
    target, _ = _seen(call, request)
    desk = _desk(call)

    def work() -> Held:
        return wishes.amend(desk, target, call.caller, request, _wish(asked))

    return _once(call, target, request, state.AMENDED, work)


def approve(call: Call, asked: Agree, request: str) -> RequestView:
    """Agree to it; a renewal that enough people agreed to is carried out."""
    target, held = _seen(call, request)
    desk = _desk(call)

    def work() -> Held:
        seen = _looked_at(call, held, asked.seen)
        return wishes.approve(desk, target, call.caller, request, comment=asked.comment, seen=seen)

    _once(call, target, request, state.APPROVED, work)
    return _carried_out(call, target, request)


def deny(call: Call, asked: Refuse, request: str) -> RequestView:
    """Refuse it. Raises: as ``access.request.deny``."""
    target, _ = _seen(call, request)
    desk = _desk(call)

    def work() -> Held:
        return wishes.deny(desk, target, call.caller, request, comment=asked.comment)

    return _once(call, target, request, state.DENIED, work)


def withdraw(call: Call, _asked: Empty, request: str) -> RequestView:
    """Give up one's own. Raises: as ``access.request.withdraw``."""
    target, _ = _seen(call, request)
    desk = _desk(call)

    def work() -> Held:
        return wishes.withdraw(desk, target, call.caller, request)

    return _once(call, target, request, state.WITHDRAWN, work)


def review(call: Call, asked: Look, request: str) -> RequestView:
    """Close the review of a broken glass. Raises: as ``access.request.review``."""
    target, _ = _seen(call, request)
    desk = _desk(call)

    def work() -> Held:
        return wishes.review(desk, target, call.caller, request, asked.comment)

    return _once(call, target, request, state.REVIEWED, work)


def claim(call: Call, _asked: Empty, request: str) -> CredentialView:
    """The credential of one's own. Raises: as ``access.lease.claim``."""
    target, _ = _seen(call, request)
    desk = _desk(call)
    found = call.again(lambda: leases.claim(desk, target, call.caller, request))
    return CredentialView(id=request, kind=found.kind, until=found.until, fields=found.fields)


def renew(call: Call, asked: Prolong, request: str) -> RequestView:
    """Let it last longer. Raises: as ``access.lease.renew``."""
    target, _ = _seen(call, request)
    desk = _desk(call)

    def work() -> Held:
        return leases.renew(desk, target, call.caller, request, asked.seconds)

    _once(call, target, request, state.RENEWAL, work)
    return _carried_out(call, target, request)


def revoke(call: Call, asked: Refuse, request: str) -> RequestView:
    """End it now. Raises: as ``access.lease.revoke``."""
    target, _ = _seen(call, request)
    desk = _desk(call)
    return _told(
        call, target, lambda: leases.revoke(desk, target, call.caller, request, asked.comment)
    )


def _told(call: Call, target: Leased, work: Callable[[], Held]) -> RequestView:
    """What came of it, tried anew where somebody else decided at the same moment."""
    return view(call, target, call.again(work))


def _once(
    call: Call, target: Leased, request: str, kind: str, work: Callable[[], Held]
) -> RequestView:
    """What came of it; of a request that is repeated, and did record it then, how it is now."""
    if call.repeated and _recorded(call, target, request, kind):
        return view(call, target, wishes.find(_desk(call), target, request)[1])
    return _told(call, target, work)


def _recorded(call: Call, target: Leased, request: str, kind: str) -> bool:
    """Whether the caller has recorded that since they first asked for what they ask."""
    journal = call.services.desk.journal
    held = wishes.find(_desk(call), target, request)[1]
    start, near = 1, 0
    if held.revision == 1:  # else the record of what was asked first is somewhere before
        start, near = entry_at(journal, held.index).record.seq, held.index
    since = call.since
    return any(
        one.record.kind == kind
        and one.record.at >= since
        and one.record.actor == call.actor
        and one.body["request"] == request
        for one in journal.stream(target.stream, start, near)
    )


def _carried_out(call: Call, target: Leased, request: str) -> RequestView:
    """How it is now; a renewal that enough people agreed to is carried out before."""
    desk = _desk(call)
    with suppress(Conflict):  # somebody else carries it out, or the next sweep does
        return view(call, target, leases.carry_out(desk, target, request))
    return view(call, target, wishes.find(desk, target, request)[1])


def _looked_at(call: Call, held: Held, seen: str) -> str:
    """The version that the approver looked at; empty, where they do not say.

    Raises: PreconditionFailed, where ``If-Match`` says another.
    """
    if not call.expect or "*" in call.expect:
        return seen
    looked = seen or version(held)
    call.match(looked)
    return looked


def _wanted(asked: RequestQuery, held: Held, moment: str) -> bool:
    """Whether it is of the phase that is asked for, at that moment; without one: not over."""
    phase = held.at_moment(moment)
    if asked.phase is not None:
        return phase.value == asked.phase
    return asked.closed or not phase.over or held.review == "open"


def _wish(asked: Wished) -> wishes.Asked:
    return wishes.Asked(
        profile=asked.profile,
        seconds=asked.seconds,
        reason=asked.reason,
        tables=asked.tables,
        resources=asked.resources,
        ticket=asked.ticket,
    )


def state_of(call: Call, target: Leased) -> State:
    """What the records of a target's requests and leases add up to."""
    return _desk(call).states.get(target.stream)


def _desk(call: Call) -> Desk:
    return access.desk(call.services, call.policy)


def _target(call: Call, text: str) -> Leased:
    """A target to ask for. Whoever may not see it learns nothing. Raises: NotFound, Forbidden."""
    name = call.services.settings.named(text)
    for one in call.services.settings.leased():
        if text in {one.slug, one.stream} and all(call.guard.may(SEEING, [one])):
            return access.leased(call.services, one)
    call.guard.check(SEEING, TargetOf(name.slug, name.kind, configured=False))
    raise NotFound(
        f"no target {text} has anything to lease",
        next_step=f"[targets.{name.slug}.access] in the settings; docs/access.md",
    )


def _seen(call: Call, text: str) -> tuple[Leased, Held]:
    """A request of the caller's own, or one that they may read. Raises: NotFound."""
    slug = text.rpartition(".")[0]
    for one in call.services.settings.leased():
        if one.slug == slug:
            target = access.leased(call.services, one)
            held = _desk(call).states.get(target.stream).find(text)
            if held is None:
                break
            if held.principal == call.caller.id:
                return target, held
            if _may_read(call, target):
                call.guard.check(READING, _as_seen(target))  # again, where it is answered again
                return target, held
    raise NotFound(
        f"no request {text[:80]}",
        next_step="holdfast ls; what was closed long ago: holdfast evidence ls",
    )


def _may_read(call: Call, target: Leased) -> bool:
    return all(call.guard.may(READING, [_as_seen(target)]))


def _as_seen(target: Leased) -> TargetOf:
    return TargetOf(target.slug, target.kind, target.env)


def _cursor(held: Held) -> str:
    return _encoded(f"{held.at} {held.id}")


def _encoded(text: str) -> str:
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def _after(cursor: str) -> tuple[str, str]:
    """The moment and the id after which a page begins. Raises: UsageError."""
    with suppress(ValueError, Malformed):
        text = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode()
        at, _, request = text.partition(" ")
        parse_timestamp(at)
        if wishes.ID.fullmatch(request) and _encoded(text) == cursor:
            return at, request
    raise UsageError("that is no cursor of this list", next_step="begin without one")
