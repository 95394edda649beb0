"""Requests: asked for, changed, agreed to, denied. Each step is one record, and nothing else.

1. What is asked for is a record; a change is another, and what was agreed to before is void.
2. Policies decide on it, and say what has to be done first (``obligation``).
3. Approvers are people, each counted once, and never the requester; they agree to a record by its
   hash. Any of them can deny.
4. Each record is appended only after the one that it was decided on: whoever decides at the same
   moment gets a Conflict, and looks again.
"""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING, Final

import msgspec

from chalicelib.access import identity, state, wish
from chalicelib.access import profile as profiles
from chalicelib.access.held import Phase
from chalicelib.access.principal import Kind
from chalicelib.access.question import Action
from chalicelib.access.wish import Asked
from chalicelib.kernel import ledger, names
from chalicelib.kernel.clock import parse_timestamp
from chalicelib.kernel.errors import (
    Conflict,
    Forbidden,
    NotAllowed,
    NotFound,
    PreconditionFailed,
    UsageError,
)

if TYPE_CHECKING:
    from chalicelib.access.desk import Desk, Leased
    from chalicelib.access.held import Held
    from chalicelib.access.obligation import Obligations
    from chalicelib.access.principal import Principal
    from chalicelib.access.state import State

__all__ = [
    "ALPHABET",
    "ID",
    "Asked",
    "amend",
    "approve",
    "ask",
    "deny",
    "find",
    "review",
    "withdraw",
]

MAX_OPEN: Final = 20  # requests and leases of one requester at one target
ID_CHARACTERS: Final = 12
ID: Final = re.compile(r"[a-z0-9][a-z0-9._-]{0,62}\.[a-z2-9]{12}")
ALPHABET: Final = "abcdefghijkmnpqrstuvwxyz23456789"  # 32, without what looks alike: l, o, 0, 1


def ask(
    desk: Desk,
    target: Leased,
    caller: Principal,
    asked: Asked,
    *,
    break_glass: bool = False,
    seed: str = "",
) -> Held:
    """Record a request; at once ``approved`` where nobody has to agree.

    ``seed``: the same from the same caller is the same request, and is recorded once, for as long
    as the state remembers it. Raises: Forbidden, where no policy permits it; NotAllowed, NotFound,
    UsageError; PreconditionFailed, where the seed was another request's.
    """
    now = ledger.now(desk, target.stream)
    request = f"{target.slug}.{_id(desk, caller, seed)}"
    known = now.find(request)
    if known is not None:
        _check_same(known, caller, asked, break_glass=break_glass, seed=seed)
        return known
    mine = [one for one in now.requests.values() if one.principal == caller.id]
    if len(mine) >= MAX_OPEN:
        raise NotAllowed(
            f"{caller.id} has {len(mine)} requests and leases at {target.name}; at most {MAX_OPEN}",
            next_step="withdraw or revoke one: holdfast ls",
        )
    body = {
        "request": request,
        "principal": caller.id,
        "break_glass": break_glass,
        "seed": seed,
        **wish.body(desk, target, caller, asked, break_glass=break_glass),
    }
    desk.record(now, state.REQUESTED, caller.actor, body)
    return now.requests[request]


def amend(desk: Desk, target: Leased, caller: Principal, request: str, asked: Asked) -> Held:
    """Ask for something else in its place; approvals of what was asked before are void.

    Raises: NotFound; NotAllowed, where it is somebody else's or was claimed; as :func:`ask`.
    """
    now, held = _open(desk, target, request)
    check_own(held, caller)
    if held.break_glass:
        raise NotAllowed(f"{request} broke the glass, and cannot be changed", next_step="ask anew")
    _check_waiting(desk, held, "changed")
    body = {"request": request, **wish.body(desk, target, caller, asked, break_glass=False)}
    desk.record(now, state.AMENDED, caller.actor, body)
    return held


def approve(
    desk: Desk,
    target: Leased,
    caller: Principal,
    request: str,
    *,
    comment: str = "",
    seen: str = "",
) -> Held:
    """Agree to a request, or to the renewal that is asked for.

    ``seen``: the hash of what the approver looked at, if they say. Raises: NotAllowed, for their
    own request, a second time, or too late; Forbidden; PreconditionFailed; NotFound.
    """
    now, held = _open(desk, target, request)
    leaf, wanted = _to_agree_to(desk, held)
    _check_other(desk, target, held, caller, review=False)
    if seen and seen != leaf:
        raise PreconditionFailed(
            f"{request} was changed after you looked at it", next_step=f"holdfast show {request}"
        )
    votes = held.approvals if held.renewal is None else held.renewal.approvals
    name = names.person(caller.name)
    if any(one.vote.name == name for one in votes):
        raise NotAllowed(f"{name} has approved {request} already; one person counts once")
    own = set(desk.policy().groups(caller))
    body = {
        "request": request,
        "leaf": leaf,
        "groups": [one for one in wanted.groups if one in own],
        "lapses_at": desk.later(desk.bounds.claim_seconds),
        "comment": wish.personal(caller, comment),
    }
    desk.record(now, state.APPROVED, caller.actor, body)
    return held


def deny(desk: Desk, target: Leased, caller: Principal, request: str, *, comment: str = "") -> Held:
    """End a request that was not claimed, or the renewal that is asked for.

    Raises: as :func:`approve`, but for those who approved before.
    """
    now, held = _open(desk, target, request)
    _to_agree_to(desk, held, also=Phase.APPROVED)
    _check_other(desk, target, held, caller, review=False)
    body = {
        "request": request,
        "renewal": held.renewal is not None,
        "comment": wish.personal(caller, comment),
    }
    desk.record(now, state.DENIED, caller.actor, body)
    return held


def withdraw(desk: Desk, target: Leased, caller: Principal, request: str) -> Held:
    """Give up one's own request that was not claimed. Raises: NotAllowed, NotFound."""
    now, held = _open(desk, target, request)
    check_own(held, caller)
    _check_waiting(desk, held, "withdrawn")
    desk.record(now, state.WITHDRAWN, caller.actor, {"request": request})
    return held


def review(desk: Desk, target: Leased, caller: Principal, request: str, comment: str) -> Held:
    """Close the review that a broken glass leaves open. Raises: NotAllowed, Forbidden, NotFound."""
    now, held = _open(desk, target, request)
    if held.review != "open":
        raise NotAllowed(f"{request} has no review that is open")
    if not held.phase.over:
        raise NotAllowed(
            f"{request} is {held.phase.value}; it is looked at when it is over",
            next_step=f"holdfast revoke {request}",
        )
    if not comment.strip():
        raise UsageError("a review says what was found", next_step="--comment '…'")
    _check_other(desk, target, held, caller, review=True)
    body = {"request": request, "comment": wish.personal(caller, comment)}
    desk.record(now, state.REVIEWED, caller.actor, body)
    return held


def _check_same(
    known: Held, caller: Principal, asked: Asked, *, break_glass: bool, seed: str
) -> None:
    """Return if a request with the id that was drawn is the same one, asked for again.

    Raises: Conflict, where an id was drawn that is taken; PreconditionFailed, where the seed is
    that of another request.
    """
    if not seed or known.principal != caller.id or known.seed != seed:
        raise Conflict(f"the id {known.id} is taken", next_step="ask again")
    tables = tuple(str(one) for one in profiles.scope(asked.tables))
    ask, resources = known.ask, tuple(sorted(set(asked.resources)))
    same = (ask.profile, ask.tables, ask.resources, ask.ticket, known.break_glass)
    if known.revision == 1 and same != (
        *(asked.profile, tables, resources, asked.ticket, break_glass),
    ):
        raise PreconditionFailed(
            f"{known.id} was asked for under the same key, and is something else",
            next_step=f"another key for another request; holdfast show {known.id}",
        )


def _check_waiting(desk: Desk, held: Held, done: str) -> None:
    """Return if a request waits to be agreed to or claimed. Raises: NotAllowed."""
    phase = held.at_moment(desk.now)
    if phase not in {Phase.PENDING, Phase.APPROVED}:
        raise NotAllowed(f"{held.id} is {phase.value}, and cannot be {done}")


def check_own(held: Held, caller: Principal) -> None:
    """Return if it is the caller's own. Raises: NotAllowed."""
    if held.principal != caller.id:
        raise NotAllowed(f"{held.id} is {held.principal}'s and not {caller.id}'s")


def find(desk: Desk, target: Leased, request: str) -> tuple[State, Held]:
    """The target's state and a request in it, also one that was closed. Raises: NotFound."""
    now = ledger.now(desk, target.stream)
    held = now.find(request)
    if held is None:
        raise NotFound(
            f"no request {request[:80]!r} at {target.name}",
            next_step="holdfast ls; what was closed long ago: holdfast evidence ls",
        )
    return now, held


def _open(desk: Desk, target: Leased, request: str) -> tuple[State, Held]:
    now, held = find(desk, target, request)
    if held.over:
        raise NotAllowed(f"{request} is over: {held.phase.value}")
    return now, held


def _to_agree_to(desk: Desk, held: Held, also: Phase | None = None) -> tuple[str, Obligations]:
    """What is waiting for people: the hash of its record, and what it wants. Raises: NotAllowed."""
    now = desk.now
    if held.renewal is not None and held.at_moment(now) is Phase.ACTIVE:
        if held.renewal.lapses_at <= now:
            raise NotAllowed(f"the renewal of {held.id} has lapsed")
        return held.renewal.leaf, held.renewal.obligations
    phase = held.at_moment(now)
    if phase not in {Phase.PENDING, also}:
        raise NotAllowed(f"{held.id} is {phase.value}, and waits for nobody")
    return held.leaf, held.obligations


def _check_other(
    desk: Desk, target: Leased, held: Held, caller: Principal, *, review: bool
) -> None:
    """Return if the caller is a person, another than the requester, who may. Raises: NotAllowed."""
    verb = "review" if review else "approve"
    action = Action.LEASE_REVIEW if review else Action.LEASE_APPROVE
    if caller.kind is not Kind.PERSON:
        raise NotAllowed(f"{caller.id} is no person, and only people {verb}")
    if identity.reserved(names.person(caller.name)):  # its record would look like another kind's
        raise NotAllowed(f"{caller.id} is called like what is no person, and only people {verb}")
    if names.person(caller.name) == names.person(held.by.name):
        raise NotAllowed(
            f"{held.id} is your own: somebody else has to {verb} it",
            next_step=f"holdfast show {held.id} says who can",
        )
    ask, renewal, lease = wish.plain(desk, held), held.renewal, held.lease
    if renewal is not None and lease is not None:  # what they agree to is the whole, made longer
        extra = parse_timestamp(renewal.at) - parse_timestamp(lease.at)
        whole = round(extra.total_seconds()) + renewal.seconds
        ask = msgspec.structs.replace(ask, seconds=whole)
    found = wish.decide(desk, target, caller, action, ask, requester=held.principal)
    if not found.allowed:
        raise Forbidden(
            f"{caller.id} may not {verb} {held.id}: {found.reason}", next_step="docs/policy.md"
        )


def _id(desk: Desk, caller: Principal, seed: str) -> str:
    """12 characters of 32; with a seed always the same, for one caller and no other."""
    if not seed:
        return desk.draw(ID_CHARACTERS)
    digest = hashlib.sha256(f"request\n{caller.id}\n{seed}".encode()).digest()
    return "".join(ALPHABET[byte % len(ALPHABET)] for byte in digest[:ID_CHARACTERS])
