"""What policies decided, and why: for ``holdfast policy explain``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
from rich.text import Text

from chalicelib.access import obligation
from chalicelib.access import request as requests
from chalicelib.access import wish as wishes
from chalicelib.access.principal import Kind, Principal
from chalicelib.access.question import Action
from chalicelib.cli.app import finish, services
from chalicelib.cli.text import emit, out, plain
from chalicelib.kernel.errors import UsageError
from chalicelib.kernel.record import entry_at
from chalicelib.settings import authority
from chalicelib.wiring import access as broker

if TYPE_CHECKING:
    from chalicelib.access.clause import Clause
    from chalicelib.access.obligation import Obligations
    from chalicelib.access.policy import Policy
    from chalicelib.access.question import Decision

MAX_SHOWN_LINES = 12  # of a policy's text


def of_request(policy: Policy, request: str, *, as_json: bool) -> None:
    """What decided about a request when it was asked for, and what decides now."""
    held = services()
    slug = request.rpartition(".")[0]
    if not slug:
        raise UsageError("a request is called orders-prod.k3v9x2m7q4hd", next_step="holdfast ls")
    leased = broker.find(held, slug)
    desk = broker.desk(held, lambda: policy)
    _, found = requests.find(desk, leased, request)
    then = entry_at(held.desk.journal, found.index)
    kind, _, name = found.principal.partition(":")
    who = authority.known(held.settings, Principal(Kind(kind), name, "asserted"))
    what = Action.LEASE_BREAK_GLASS if found.break_glass else Action.LEASE_REQUEST
    ask = wishes.plain(desk, found)
    decision = wishes.decide(desk, leased, who, what, ask, requester=found.principal)
    wanted = obligation.due(policy.obligations(decision), what) if decision.allowed else None
    permits = [] if decision.allowed else policy.permits(what)
    same = then.body["policy"] == policy.sha256
    if as_json:
        before = {
            "at": then.record.at,
            "record": then.index,
            "policies": list(found.policies),
            "obligations": msgspec.to_builtins(found.obligations),
            "sha256": then.body["policy"],
            "same": same,
        }
        emit(answer(policy, who, decision, permits, wanted) | {"then": before})
    else:
        console = out()
        console.print(Text(f"when it was asked for, {then.record.at}, record {then.index}", "bold"))
        console.print(plain(f"permitted by {', '.join(found.policies)}"))
        console.print(plain(obligation.words(found.obligations)))
        console.print("the policies are the same now" if same else "the policies are others now")
        console.print(Text("\nnow, with the groups of the settings", "bold"))
        tell(policy, who, decision, permits)
        if wanted is not None:
            tell_obligations(wanted, found.ask.seconds)
    finish(0 if decision.allowed else 1)


def answer(
    policy: Policy,
    who: Principal,
    decision: Decision,
    permits: list[Clause],
    wanted: Obligations | None,
) -> dict[str, Any]:
    """A decision as JSON values."""
    return {
        "allowed": decision.allowed,
        "reason": decision.reason,
        "policies": [described(policy.clause(one)) for one in decision.policies],
        "groups": policy.groups(who),
        "roles": policy.roles(who),
        "permits": [described(one) for one in permits],
        "errors": list(decision.errors),
        "obligations": msgspec.to_builtins(wanted),
    }


def tell(policy: Policy, who: Principal, decision: Decision, permits: list[Clause]) -> None:
    """The explanation in words."""
    console = out()
    word, style = ("ALLOWED", "bold green") if decision.allowed else ("DENIED", "bold red")
    console.print(Text.assemble((word, style), "  ", plain(decision.reason)))
    roles = policy.roles(who)
    for role, why in roles.items():
        console.print(plain(f"role {role}: {', '.join(why)}"))
    if not roles:
        console.print(plain(f"{who.id} has no role"))
    for one in map(policy.clause, decision.policies):
        console.print(Text(f"\n{plain(one.id)}  {plain(one.file)}:{one.line}", "bold"))
        console.print(Text(_excerpt(one)))
    if permits:
        but = ", but for what forbids it" if decision.policies else ""
        console.print(Text(f"\npermitted to{but}", "bold"))
    for one in permits:
        limits = [f"on {one.where}"] * (one.where != "anything")
        limits += ["under its conditions"] * one.conditional
        console.print(plain("  ".join([f"  {one.whom}", *limits, f"({one.id})"])))


def tell_obligations(wanted: Obligations, asked: int) -> None:
    """What is due first, in words. ``asked``: for how many seconds, 0 if nothing was said."""
    out().print(Text.assemble(("\nobligations  ", "bold"), plain(obligation.words(wanted))))
    if wanted.max_seconds is not None and asked > wanted.max_seconds:
        said = f"{obligation.length(asked)} is longer than that: such a request is refused"
        out().print(Text(said, "yellow"))


def _excerpt(one: Clause) -> str:
    """The beginning of a policy's text."""
    lines = one.text.splitlines()
    rest = [f"  … {len(lines) - MAX_SHOWN_LINES} more lines"] * (len(lines) > MAX_SHOWN_LINES)
    return "\n".join([f"  {plain(line)}" for line in lines[:MAX_SHOWN_LINES]] + rest)


def described(one: Clause) -> dict[str, Any]:
    """A policy as JSON values."""
    return {
        "id": one.id,
        "effect": one.effect,
        "file": one.file,
        "line": one.line,
        "whom": one.whom,
        "where": one.where,
        "conditional": one.conditional,
        "annotations": one.annotations,
        "text": one.text,
    }
