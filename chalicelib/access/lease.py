"""Leases: claimed, renewed, ended. What is about to be done is recorded before it is.

1. ``claim``: policies are asked again, and the votes held to what they want now; what the profile
   gives is still what people agreed to.
2. ``lease.issuing`` is recorded with the plan, then the plan is run, then ``lease.issued``; only
   then the credential leaves. Whoever was revoked meanwhile gets nothing.
3. Whatever ends a lease records ``lease.ending`` first: from then on nobody claims it.
4. ``ending`` ends it and proves that it is gone; what fails is tried again by :func:`sweep`.
5. A lease that was never ``issued`` is ended only once nobody can still be issuing it; and what a
   target has that is no lease of ours is recorded and ended too.
"""

from __future__ import annotations

from contextlib import suppress
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Final

import msgspec

from chalicelib.access import ending, obligation, request, state, wish
from chalicelib.access import profile as profiles
from chalicelib.access.desk import insist
from chalicelib.access.ending import BROKER, ISSUE_SECONDS, Outcome, finish
from chalicelib.access.grantor import Terms
from chalicelib.access.held import Phase
from chalicelib.access.obligation import length, span
from chalicelib.access.question import Action, Circumstances
from chalicelib.kernel import ledger
from chalicelib.kernel.clock import parse_timestamp, timestamp
from chalicelib.kernel.errors import (
    Conflict,
    CouldNotTell,
    Forbidden,
    HoldfastError,
    NotAllowed,
    NotFound,
    StoreUnavailable,
    UsageError,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from chalicelib.access.desk import Desk, Leased
    from chalicelib.access.grantor import Credential
    from chalicelib.access.held import Held
    from chalicelib.access.principal import Principal
    from chalicelib.access.state import State

__all__ = ["BROKER", "ISSUE_SECONDS", "Outcome", "claim", "finish", "renew", "revoke", "sweep"]

ROLE_PREFIX: Final = "hf_"
ROLE_CHARACTERS: Final = 26  # of 32: 130 bits
EXPIRED: Final = "expired"
REVOKED: Final = "revoked"
NOT_ISSUED: Final = "not issued"


def claim(desk: Desk, target: Leased, caller: Principal, asked: str) -> Credential:
    """The credential of one's own approved request; of one's own lease, another secret.

    Raises: NotAllowed, where it is not approved (any more); Forbidden, where policies, or what the
    profile gives, are others now; NotFound; Conflict; CouldNotTell, where the target did not make
    it: then it is over, and has to be asked for again.
    """
    now, held = request.find(desk, target, asked)
    request.check_own(held, caller)
    if held.at_moment(desk.now) is Phase.ACTIVE and held.lease is not None:
        return _another(desk, target, caller, now, held)
    _check_approved(desk, held)
    _check_still(desk, target, caller, held)
    wanted = Terms(
        lease=held.id,
        target=target.name,
        role=ROLE_PREFIX + desk.draw(ROLE_CHARACTERS),
        holder=held.principal,
        profile_name=held.ask.profile,
        profile=_watched(held.ask.gives) if held.break_glass else held.ask.gives,
        tables=profiles.scope(held.ask.tables),
        resources=held.ask.resources,
        until=desk.later(held.ask.seconds),
    )
    plan = target.grantor().plan(wanted)
    _check_approved(desk, held)  # a plan takes its time
    body = {
        "request": asked,
        "role": wanted.role,
        "profile": msgspec.to_builtins(wanted.profile),
        "until": wanted.until,
        "plan": msgspec.to_builtins(plan),
        "sha256": plan.sha256,
    }
    desk.record(now, state.ISSUING, caller.actor, body)
    try:
        credential = target.grantor().issue(plan, wanted)
    except Conflict as error:  # not of the log: whoever tries anew what lost has nothing to claim
        _give_up(desk, target, asked)
        raise CouldNotTell(
            f"{asked} was not issued: {error.message}", next_step="ask for it again"
        ) from error
    except Exception:
        _give_up(desk, target, asked)
        raise
    if not insist(lambda: _issued(desk, target, caller, asked, wanted.role)):
        _take_back(desk, target, asked, wanted)
        raise NotAllowed(f"{asked} was revoked, or its time was over, while it was issued")
    return credential


def renew(desk: Desk, target: Leased, caller: Principal, asked: str, seconds: int) -> Held:
    """Let one's own lease last ``seconds`` from now, once as many agree as to a new one.

    In all it lasts no longer than policies allow. Raises: NotAllowed, Forbidden, NotFound; as
    :func:`carry_out`.
    """
    now, held = request.find(desk, target, asked)
    request.check_own(held, caller)
    lease, phase = held.lease, held.at_moment(desk.now)
    if phase is not Phase.ACTIVE or lease is None:
        raise NotAllowed(f"{asked} is {phase.value}; a lease that runs is renewed")
    if held.break_glass:
        raise NotAllowed("what was had by breaking the glass is not renewed", next_step="ask anew")
    most = wish.longest(desk, break_glass=False)
    if not wish.MIN_SECONDS <= seconds <= most:
        raise NotAllowed(
            f"a lease is renewed for {length(wish.MIN_SECONDS)} to {length(most)}, not "
            f"{length(seconds)}"
        )
    until = desk.clock.now() + timedelta(seconds=seconds)
    if timestamp(until) <= lease.until:
        raise NotAllowed(f"{asked} lasts until {lease.until[:19]}Z, which is later")
    whole = round((until - parse_timestamp(lease.at)).total_seconds())
    longer = msgspec.structs.replace(wish.plain(desk, held), seconds=whole)
    found, wanted = wish.permitted(desk, target, caller, longer, break_glass=False)
    most = min(most, wanted.max_seconds or most)
    if whole > most:
        raise NotAllowed(
            f"{', '.join(found.policies)} allows {length(most)} in all, and the lease would last "
            f"{span(whole)}",
            next_step="ask for a new one",
        )
    body = {
        "request": asked,
        "seconds": seconds,
        "obligations": msgspec.to_builtins(wanted),
        "policies": list(found.policies),
        "lapses_at": lease.until,
    }
    desk.record(now, state.RENEWAL, caller.actor, body)
    with suppress(Conflict):  # it is asked for; whoever was faster, or the sweep, carries it out
        return carry_out(desk, target, asked)
    return request.find(desk, target, asked)[1]


def carry_out(desk: Desk, target: Leased, asked: str) -> Held:
    """Extend a lease to whose renewal enough people have agreed; else nothing is done.

    Raises: Conflict; CouldNotTell: then the records have the later end, and the target the earlier
    one, until the holder claims it again. What is open there goes on.
    """
    held = _prolong(desk, target, asked)
    if held is not None and held.lease is not None:
        try:
            target.grantor().extend(ending.terms(target, held, held.lease))
        except (CouldNotTell, NotFound) as error:
            raise CouldNotTell(
                f"{asked} lasts until {held.lease.until[:19]}Z, and its target did not hear of it: "
                f"{error.message}",
                next_step=f"claim it again, which tells the target: holdfast run {asked} -- …",
            ) from error
    return held or request.find(desk, target, asked)[1]


def revoke(desk: Desk, target: Leased, caller: Principal, asked: str, comment: str = "") -> Held:
    """End a lease now; its holder may, and whoever policies let.

    What could not be ended is ``ending``, with its trouble, and is tried again. Raises: NotAllowed,
    Forbidden, NotFound, Conflict.
    """
    now, held = request.find(desk, target, asked)
    if held.principal != caller.id:
        context = Circumstances(desk.clock.now(), comment or None)
        found = desk.policy().decide(caller, Action.LEASE_REVOKE, target.resource, context)
        if not found.allowed:
            raise Forbidden(f"{caller.id} may not revoke {asked}: {found.reason}")
    phase = held.at_moment(desk.now)
    body = {"request": asked, "comment": wish.personal(caller, comment)}
    if phase in {Phase.PENDING, Phase.APPROVED}:
        desk.record(now, state.WITHDRAWN, caller.actor, body)
        return held
    if phase.over:
        return held
    if held.phase is not Phase.ENDING:
        desk.record(now, state.ENDING, caller.actor, {**body, "why": REVOKED})
    return finish(desk, target, asked)


def sweep(desk: Desk, target: Leased, *, orphans: bool = True) -> list[Outcome]:
    """Everything at a target whose time is over, ended; what could not be, is said.

    One that fails holds no other up, and neither does a defect: that is raised when all else is
    done. What has been done is in the records either way. Raises: StoreUnavailable and the like,
    where nothing can be recorded: see ``ending.shutting``; ExceptionGroup, of the defects.
    """
    now, moment = ledger.now(desk, target.stream), desk.now
    work = _Work()
    with ending.shutting(target, now, moment):
        for asked in sorted(one.id for one in now.requests.values() if _is_due(one, moment)):
            work.attempt(partial(_swept, desk, target, asked))
    found: list[Terms] = []
    if orphans:
        work.attempt(partial(_looked, desk, target, found))
    for one in found:
        work.attempt(partial(ending.orphan, desk, target, one))
    if work.defects:
        raise ExceptionGroup(f"sweeping {target.name}", work.defects)
    return work.done


def due(now: State) -> str | None:
    """When the next sweep of a target has something to do, by its state; None: never.

    Orphans are no matter of the state: they are looked for now and then.
    """
    return min(filter(None, map(ending.due, now.requests.values())), default=None)


class _Work:
    """What came of the pieces of a sweep, of which none stops another."""

    def __init__(self) -> None:
        self.done: list[Outcome] = []
        self.defects: list[Exception] = []

    def attempt(self, piece: Callable[[], Iterable[Outcome]]) -> None:
        """Do one piece. Raises: HoldfastError, which is the log's: a target's is an outcome."""
        try:
            self.done.extend(piece())
        except Conflict:
            return  # somebody else is at it: the next sweep sees what came of it
        except HoldfastError:
            raise
        except Exception as error:  # noqa: BLE001 - raised by the sweep, with all others
            self.defects.append(error)


def _looked(desk: Desk, target: Leased, found: list[Terms]) -> Iterable[Outcome]:
    """Put into ``found`` what is no lease of ours; where the target cannot be asked, say so."""
    try:
        found += ending.orphans(desk, target)
    except StoreUnavailable:
        raise
    except (CouldNotTell, UsageError) as error:
        yield Outcome(target.name, "", state.ORPHANED, error)


def _is_due(held: Held, moment: str) -> bool:
    first = ending.due(held)
    return first is not None and first <= moment


def _swept(desk: Desk, target: Leased, asked: str) -> Iterable[Outcome]:
    now, held = request.find(desk, target, asked)
    moment = desk.now
    if not _is_due(held, moment):
        return  # somebody else was faster
    if held.phase in {Phase.PENDING, Phase.APPROVED}:
        body = {"request": asked, "was": held.phase.value}
        desk.record(now, state.LAPSED, BROKER, body)
        yield Outcome(target.name, asked, state.LAPSED)
        return
    if held.at_moment(moment) is Phase.ACTIVE:
        yield from _extended(desk, target, asked)
        return
    if held.phase is not Phase.ENDING:
        why = NOT_ISSUED if held.phase is Phase.ISSUING else EXPIRED
        desk.record(now, state.ENDING, BROKER, {"request": asked, "why": why})
    held = finish(desk, target, asked)
    if held.phase is Phase.ENDED:
        yield Outcome(target.name, asked, state.ENDED)
    elif held.lease is not None and (trouble := held.lease.trouble) is not None:
        step = f"{trouble.step}: " if trouble.step else ""
        error = CouldNotTell(step + trouble.message)
        yield Outcome(target.name, asked, state.UNENDED, error)


def _extended(desk: Desk, target: Leased, asked: str) -> Iterable[Outcome]:
    """A renewal that enough people agreed to, and that nobody has carried out."""
    held = _prolong(desk, target, asked)
    if held is None or held.lease is None:
        return
    try:
        target.grantor().extend(ending.terms(target, held, held.lease))
    except (CouldNotTell, UsageError) as error:
        yield Outcome(target.name, asked, state.EXTENDED, error)
    else:
        yield Outcome(target.name, asked, state.EXTENDED)


def _prolong(desk: Desk, target: Leased, asked: str) -> Held | None:
    """Record the later end that enough people agreed to; None, where there is none."""
    now, held = request.find(desk, target, asked)
    renewal, lease = held.renewal, held.lease
    if renewal is None or lease is None or held.at_moment(desk.now) is not Phase.ACTIVE:
        return None
    if renewal.lacking != (0, ()):
        return None
    most = wish.longest(desk, break_glass=False)
    most = min(most, renewal.obligations.max_seconds or most)
    last = timestamp(parse_timestamp(lease.at) + timedelta(seconds=most))
    asked_for = timestamp(parse_timestamp(renewal.at) + timedelta(seconds=renewal.seconds))
    # No longer than policies were asked about; recorded where it is no later too, or it stays due.
    until = max(lease.until, min(last, asked_for))
    desk.record(now, state.EXTENDED, BROKER, {"request": asked, "until": until})
    return held


def _another(desk: Desk, target: Leased, caller: Principal, now: State, held: Held) -> Credential:
    """Another secret of a lease that runs."""
    if held.lease is None:
        raise NotAllowed(f"{held.id} has no lease")
    desk.record(now, state.REFRESHED, caller.actor, {"request": held.id})
    credential = target.grantor().refresh(ending.terms(target, held, held.lease))
    if request.find(desk, target, held.id)[1].at_moment(desk.now) is not Phase.ACTIVE:
        raise NotAllowed(f"{held.id} ended while another secret was made")
    return credential


def _check_approved(desk: Desk, held: Held) -> None:
    phase = held.at_moment(desk.now)
    if phase is not Phase.APPROVED:
        raise NotAllowed(
            f"{held.id} is {phase.value}, and there is nothing to claim",
            next_step=f"holdfast show {held.id}",
        )


def _check_still(desk: Desk, target: Leased, caller: Principal, held: Held) -> None:
    """Return if it is still what people agreed to, and enough of them. Raises: Forbidden."""
    target.check(profiles.scope(held.ask.tables))
    _, wanted = wish.permitted(
        desk, target, caller, wish.plain(desk, held), break_glass=held.break_glass
    )
    strict = obligation.strictest([wanted, held.obligations])
    most = wish.longest(desk, break_glass=held.break_glass)
    most = min(most, strict.max_seconds or most)
    votes = [one.vote for one in held.approvals]
    if obligation.lacking(strict, votes) != (0, ()) or held.ask.seconds > most:
        raise Forbidden(
            f"policies want more of {held.id} now than when it was approved",
            next_step="ask for it again",
        )
    if target.profile(held.ask.profile) != held.ask.gives:
        raise Forbidden(
            f"{held.ask.profile} at {target.name} gives something else now than when {held.id} was "
            "asked for",
            next_step="ask for it again",
        )


def _issued(desk: Desk, target: Leased, caller: Principal, asked: str, role: str) -> bool:
    """Record that it was issued; whether it still was to be."""
    now, held = request.find(desk, target, asked)
    if held.lease is None or held.lease.role != role or held.lease.until <= desk.now:
        return False
    if held.phase is Phase.ACTIVE:
        return True  # the record is ours, of an append of which nobody could tell whether it was
    if held.phase is not Phase.ISSUING:
        return False
    desk.record(now, state.ISSUED, caller.actor, {"request": asked, "role": role})
    return True


def _give_up(desk: Desk, target: Leased, asked: str) -> None:
    """Record that what failed to be issued is to be ended: it may be there for all we know."""

    def work() -> None:
        now, held = request.find(desk, target, asked)
        if held.phase is Phase.ISSUING:
            desk.record(now, state.ENDING, BROKER, {"request": asked, "why": NOT_ISSUED})

    insist(work)


def _take_back(desk: Desk, target: Leased, asked: str, made: Terms) -> None:
    """End what was made for a lease that was not to be any more, whatever became of it since."""
    _give_up(desk, target, asked)
    if request.find(desk, target, asked)[1].phase is Phase.ENDING:
        finish(desk, target, asked, early=True)
        return
    ending.orphan(desk, target, made)


def _watched(profile: profiles.Profile) -> profiles.Profile:
    """The profile of a broken glass: all of its statements are logged, where the server lets us."""
    return msgspec.structs.replace(profile, log_statement="all")
