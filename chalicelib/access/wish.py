"""The wish: what somebody asks for, in the form that records have, and what policies say of it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

import msgspec

from chalicelib.access import profile as profiles
from chalicelib.access import session_policy, state
from chalicelib.access.obligation import length
from chalicelib.access.question import Action, Circumstances, Wish
from chalicelib.kernel import kinds
from chalicelib.kernel.errors import Forbidden, NotAllowed, UsageError
from chalicelib.kernel.personal import Personal

if TYPE_CHECKING:
    from chalicelib.access.desk import Desk, Leased
    from chalicelib.access.held import Held
    from chalicelib.access.obligation import Obligations
    from chalicelib.access.principal import Principal
    from chalicelib.access.question import Decision

MIN_SECONDS: Final = 10
MIN_REASON: Final = 3
MAX_REASON: Final = 2_000
MAX_COMMENT: Final = 500
_TICKET: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ._/#:-]{0,99}", re.ASCII)
# What moves the cursor of whoever reads it, or turns the order of what they see around: controls
# but for tab and line feed, and the explicit formatting characters of Unicode's UAX #9, §2.
_MISLEADING: Final = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]"
)


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """What somebody asks for, as they say it. ``seconds`` None: as policies allow, in short."""

    profile: str
    seconds: int | None = None
    reason: str
    tables: tuple[str, ...] = ()
    resources: tuple[str, ...] = ()
    ticket: str = ""


def body(
    desk: Desk, target: Leased, caller: Principal, asked: Asked, *, break_glass: bool
) -> dict[str, Any]:
    """What a record says of a wish, with what policies want of it.

    Raises: Forbidden, where no policy permits it; NotAllowed, NotFound, UsageError.
    """
    profile = target.profile(asked.profile)
    reason = _text(asked.reason, "a reason", MIN_REASON, MAX_REASON)
    if asked.ticket and not _TICKET.fullmatch(asked.ticket):
        raise UsageError(f"not a ticket: {asked.ticket[:100]!r}; e.g. INC-481")
    tables = _tables(target, profile, asked)
    most = longest(desk, break_glass=break_glass)
    short = min(desk.bounds.break_glass_seconds, most)
    wish = state.Ask(
        profile=asked.profile,
        gives=profile,
        tables=tuple(str(one) for one in tables),
        resources=_resources(target, asked),
        seconds=asked.seconds if asked.seconds is not None else short,
        reason=reason,
        ticket=asked.ticket,
    )
    if not MIN_SECONDS <= wish.seconds <= most:
        raise NotAllowed(
            f"a lease lasts {length(MIN_SECONDS)} to {length(most)}, asked for "
            f"{length(wish.seconds)}",
            next_step="ask for a shorter one" if wish.seconds > most else "ask for a longer one",
        )
    found, wanted = permitted(desk, target, caller, wish, break_glass=break_glass)
    if wanted.max_seconds is not None and wish.seconds > wanted.max_seconds:
        if asked.seconds is not None or wanted.max_seconds < MIN_SECONDS:
            raise NotAllowed(
                f"{', '.join(found.policies)} allows at most {length(wanted.max_seconds)}, asked "
                f"for {length(wish.seconds)}",
                next_step="ask for a shorter one",
            )
        wish = msgspec.structs.replace(wish, seconds=wanted.max_seconds)
    waits = desk.bounds.pending_seconds if wanted.people else desk.bounds.claim_seconds
    return {
        **msgspec.to_builtins(wish),
        "reason": Personal(caller.actor.name, reason),
        "obligations": msgspec.to_builtins(wanted),
        "policies": list(found.policies),
        "policy": desk.policy().sha256,
        "lapses_at": desk.later(waits),
    }


def longest(desk: Desk, *, break_glass: bool) -> int:
    """The seconds that any lease lasts at most, whatever policies say."""
    most = desk.bounds.max_lease_seconds
    return min(desk.bounds.break_glass_seconds, most) if break_glass else most


def decide(
    desk: Desk,
    target: Leased,
    caller: Principal,
    action: Action,
    ask: state.Ask,
    *,
    requester: str,
) -> Decision:
    """What policies say of a wish, now. Its reason is None to them where it was erased."""
    now = desk.clock.now()
    reason = ask.reason if isinstance(ask.reason, str) else None
    tables = profiles.scope(ask.tables)
    tagged = target.tagged(tables)
    tags = {tag for one in tagged for tag in one.tags} if tables else set(target.all_tags())
    proved = caller.mfa_at
    wish = Wish(
        requester=requester,
        profile=ask.profile,
        seconds=ask.seconds,
        tables=tagged,
        tags=tuple(sorted(tags)),
        ticket=ask.ticket,
        mfa_age=None if proved is None else max(0, int(now.timestamp()) - proved),
        open_findings=target.open_findings(),
    )
    return desk.policy().decide(caller, action, target.resource, Circumstances(now, reason, wish))


def permitted(
    desk: Desk,
    target: Leased,
    caller: Principal,
    ask: state.Ask,
    *,
    break_glass: bool,
) -> tuple[Decision, Obligations]:
    """The permits of a wish of the caller's own, and what they want. Raises: Forbidden."""
    action = Action.LEASE_BREAK_GLASS if break_glass else Action.LEASE_REQUEST
    found = decide(desk, target, caller, action, ask, requester=caller.id)
    if not found.allowed:
        raise Forbidden(
            f"{caller.id} may not have {ask.profile} at {target.name}: {found.reason}",
            next_step="docs/policy.md, Leases; holdfast policy explain",
        )
    wanted = desk.policy().obligations(found)
    return found, msgspec.structs.replace(wanted, approvals=0, groups=()) if break_glass else wanted


def plain(desk: Desk, held: Held) -> state.Ask:
    """What is asked for, with its reason as text, where that was not erased."""
    reason = held.ask.reason
    if isinstance(reason, str):
        return held.ask
    kind = state.REQUESTED if held.revision == 1 else state.AMENDED
    text = desk.reveal(reason, kind, kinds.access_stream(held.id.rpartition(".")[0]))
    return held.ask if text is None else msgspec.structs.replace(held.ask, reason=text)


def personal(caller: Principal, comment: str) -> Personal | str:
    """A comment as a record has it, its writer's own. Raises: UsageError, past MAX_COMMENT."""
    found = _text(comment, "a comment", 0, MAX_COMMENT)
    return Personal(caller.actor.name, found) if found else ""


def _tables(target: Leased, profile: profiles.Profile, asked: Asked) -> tuple[profiles.Table, ...]:
    tables = profiles.scope(asked.tables)
    if target.kind == "sts" and tables:
        raise UsageError(f"{target.name} is an AWS role and has no tables")
    if tables and profile.tables == "none":
        raise UsageError(f"{asked.profile} cannot be narrowed to tables")
    if not tables and profile.tables == "required" and target.kind != "sts":
        raise UsageError(f"{asked.profile} needs tables", next_step="--tables public.orders")
    for one in tables:
        if _MISLEADING.search(str(one)):
            raise UsageError(
                f"a table's name has characters that do not show: {str(one)[:80]!r}",
                next_step="name its schema, schema.*",
            )
    target.check(tables)
    return tables


def _resources(target: Leased, asked: Asked) -> tuple[str, ...]:
    found = session_policy.scope(asked.resources)
    if found and target.kind != "sts":
        raise UsageError(f"{target.name} is a database and has no resources; name tables")
    return found


def _text(text: str, what: str, least: int, most: int) -> str:
    found = text.replace("\r\n", "\n").strip()
    if not least <= len(found) <= most:
        raise UsageError(f"{what} has {least} to {most} characters, found {len(found)}")
    if (wrong := _MISLEADING.search(found)) is not None:
        raise UsageError(f"{what} has a character that does not show: {wrong[0]!r}")
    return found
