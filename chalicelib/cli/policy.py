"""``holdfast policy``: who may do what: checked, tested, explained. Needs settings and no store."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import typer
from rich.text import Text

from chalicelib.access import case as cases
from chalicelib.access.question import Action, Circumstances
from chalicelib.cli import table
from chalicelib.cli.app import JsonFlag, app, finish, load_settings
from chalicelib.cli.text import count, emit, out, plain, say
from chalicelib.kernel.errors import UsageError
from chalicelib.local.clock import SystemClock
from chalicelib.settings import authority, read_bounded

if TYPE_CHECKING:
    from collections.abc import Iterator

    from chalicelib.access.clause import Clause
    from chalicelib.access.policy import Policy
    from chalicelib.access.principal import Principal
    from chalicelib.access.question import Decision
    from chalicelib.settings import Settings

MAX_SHOWN_LINES = 12  # of a policy's text

group = typer.Typer(no_args_is_help=True, help="Who may do what: check, test, explain.")
app.add_typer(group, name="policy")


@group.command("check")
def check(as_json: JsonFlag = False) -> None:
    """Load and validate the policies, and list them with the roles. Exit 0, or 2 if unusable."""
    loaded = load_settings()
    policy = authority.load(loaded)
    warnings = list(_warnings(loaded, policy))
    membership = policy.membership
    if as_json:
        emit(
            {
                "policies": [
                    {
                        "id": one.id,
                        "effect": one.effect,
                        "file": one.file,
                        "line": one.line,
                        "annotations": one.annotations,
                    }
                    for one in policy.clauses
                ],
                "roles": membership.roles,
                "groups": membership.groups,
                "warnings": warnings,
                "sha256": policy.sha256,
            }
        )
        return
    table.grid(
        ["id", "effect", "whom", "file"],
        [[one.id, one.effect, one.whom, f"{one.file}:{one.line}"] for one in policy.clauses],
        unbroken=2,
    )
    for role in _roles(policy):
        members = ", ".join(membership.roles.get(role, ())) or "nobody"
        out().print(Text.assemble(("role ", "bold"), plain(f"{role}: {members}")))
    out().print(Text.assemble(("sha256 ", "bold"), policy.sha256))
    for warning in warnings:
        say(f"warning: {warning}", "yellow")
    say(f"{len(policy.clauses)} policies, valid")


@group.command("test")
def run_cases(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A table of cases (TOML).")],
    as_json: JsonFlag = False,
) -> None:
    """Decide every case of a table, and say which are not as expected. Exit 0, or 1."""
    loaded = load_settings()
    policy = authority.load(loaded)
    now = SystemClock().now()
    outcomes = []
    for case in cases.parse(read_bounded(file), policy):
        try:
            resource = authority.resource(loaded, case.action, case.target)
            who = authority.known(loaded, case.who())
            outcomes.append(cases.run(case, who, policy, resource, now))
        except UsageError as error:
            raise UsageError(
                f"{file}, case {case.name[:80]!r}: {error.message}", next_step=error.next_step
            ) from error
    failed = [one for one in outcomes if not one.passed]
    if as_json:
        emit(
            {
                "cases": msgspec.to_builtins(outcomes),
                "failed": len(failed),
                "sha256": policy.sha256,
            }
        )
    for one in [] if as_json else failed:
        wanted = f"{one.expected} by {one.by}" if one.by else one.expected
        out().print(
            Text.assemble(
                ("FAILED ", "bold red"),
                plain(f"{one.name}: expected {wanted}, found {one.found}: {one.reason}"),
            )
        )
    say(f"{count(len(outcomes), 'case')}, {len(failed)} failed")
    finish(1 if failed else 0)


@group.command("explain")
def explain(
    principal: Annotated[str, typer.Option(help="Who, e.g. person:ana or agent:fixer.")],
    action: Annotated[str, typer.Option(help="What, e.g. finding:suppress.")],
    target: Annotated[str, typer.Option(help="Of which target, where it is asked of one.")] = "",
    groups: Annotated[
        list[str] | None, typer.Option("--group", help="A group that the token names; again.")
    ] = None,
    roles: Annotated[
        list[str] | None, typer.Option("--role", help="A role that the token gives; again.")
    ] = None,
    reason: Annotated[str | None, typer.Option(help="Why, as the request would say.")] = None,
    as_json: JsonFlag = False,
) -> None:
    """Say whether it is allowed, which policies decide, and what would allow it. Exit 0 or 1."""
    loaded = load_settings()
    policy = authority.load(loaded)
    asked = cases.principal(principal, groups or (), roles or (), "asserted")
    who = authority.known(loaded, asked)
    what = _action(action)
    resource = authority.resource(loaded, what, target)
    circumstances = Circumstances(SystemClock().now(), reason)
    decision = policy.decide(who, what, resource, circumstances)
    permits = [] if decision.allowed else policy.permits(what)
    if as_json:
        emit(
            {
                "allowed": decision.allowed,
                "reason": decision.reason,
                "policies": [_described(policy.clause(one)) for one in decision.policies],
                "groups": policy.groups(who),
                "roles": policy.roles(who),
                "permits": [_described(one) for one in permits],
                "errors": list(decision.errors),
            }
        )
    else:
        _tell(policy, who, decision, permits)
    finish(0 if decision.allowed else 1)


def _tell(policy: Policy, who: Principal, decision: Decision, permits: list[Clause]) -> None:
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


def _excerpt(one: Clause) -> str:
    """The beginning of a policy's text."""
    lines = one.text.splitlines()
    rest = [f"  … {len(lines) - MAX_SHOWN_LINES} more lines"] * (len(lines) > MAX_SHOWN_LINES)
    return "\n".join([f"  {plain(line)}" for line in lines[:MAX_SHOWN_LINES]] + rest)


def _described(one: Clause) -> dict[str, Any]:
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


def _action(text: str) -> Action:
    """The action of a value. Raises: UsageError."""
    try:
        return Action(text)
    except ValueError:
        known = ", ".join(one.value for one in Action)
        raise UsageError(f"no action {text[:80]!r}; expected one of {known}") from None


def _roles(policy: Policy) -> list[str]:
    """Every role that a policy names."""
    return sorted({name for one in policy.clauses for kind, name in one.entities if kind == "Role"})


def _warnings(loaded: Settings, policy: Policy) -> Iterator[str]:
    """What is valid, and perhaps not what was meant: policies that can match nobody or nothing."""
    targets = {one.stream for one in loaded.targets()}
    own = {Path(one.name).name for one in loaded.policies}
    for one in policy.clauses:
        for kind, name in sorted(one.entities) if one.file in own else ():
            if kind == "Role" and name not in policy.membership.roles:
                yield f"{one.file}, policy {one.id}: nobody has the role {name!r}"
            if kind == "Target" and name not in targets:
                yield f"{one.file}, policy {one.id}: no target {name} is configured"
