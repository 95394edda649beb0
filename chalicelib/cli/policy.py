"""``holdfast policy``: who may do what: checked, tested, explained. Needs settings and no store."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import msgspec
import typer
from rich.text import Text

from chalicelib.access import case as cases
from chalicelib.access import obligation, profile
from chalicelib.access.desk import Leased
from chalicelib.access.question import Action, Circumstances
from chalicelib.cli import explained, table
from chalicelib.cli.app import JsonFlag, app, finish, load_settings
from chalicelib.cli.text import count, emit, out, plain, say
from chalicelib.kernel.errors import UsageError
from chalicelib.local.clock import SystemClock
from chalicelib.settings import access, authority, read_bounded

if TYPE_CHECKING:
    from collections.abc import Iterator

    from chalicelib.access.clause import Clause
    from chalicelib.access.grantor import Grantor
    from chalicelib.access.obligation import Obligations
    from chalicelib.access.policy import Policy
    from chalicelib.access.question import Wish
    from chalicelib.settings import Settings

_COMMA = re.compile(r""",(?=(?:[^"]*"[^"]*")*[^"]*$)""")  # outside of quotation marks
_LEASE = "Of a lease: its profile, e.g. read-masked."

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
                        "obligations": msgspec.to_builtins(_obligations(one)),
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
    for one in policy.clauses:
        wanted = _obligations(one)
        if wanted is not None:
            words = plain(f"{one.id}: {obligation.words(wanted)}")
            out().print(Text.assemble(("lease ", "bold"), words))
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
            _check_profile(loaded, case.context.profile)
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
        differs = "".join(f"; {each}" for each in one.differs)
        out().print(
            Text.assemble(
                ("FAILED ", "bold red"),
                plain(f"{one.name}: expected {wanted}, found {one.found}: {one.reason}{differs}"),
            )
        )
    say(f"{count(len(outcomes), 'case')}, {len(failed)} failed")
    finish(1 if failed else 0)


@group.command("explain")
def explain(
    request: Annotated[
        str, typer.Argument(metavar="[REQUEST]", help="A request for access, by its id; or:")
    ] = "",
    principal: Annotated[str, typer.Option(help="Who, e.g. person:ana or agent:fixer.")] = "",
    action: Annotated[str, typer.Option(help="What, e.g. finding:suppress.")] = "",
    target: Annotated[str, typer.Option(help="Of which target, where it is asked of one.")] = "",
    groups: Annotated[
        list[str] | None, typer.Option("--group", help="A group that the token names; again.")
    ] = None,
    roles: Annotated[
        list[str] | None, typer.Option("--role", help="A role that the token gives; again.")
    ] = None,
    reason: Annotated[str | None, typer.Option(help="Why, as the request would say.")] = None,
    profile_name: Annotated[str | None, typer.Option("--profile", help=_LEASE)] = None,
    length: Annotated[str | None, typer.Option("--for", help="For how long: 30m, 1h.")] = None,
    tables: Annotated[
        list[str] | None, typer.Option(help="Tables, e.g. public.orders,public.customers; again.")
    ] = None,
    tags: Annotated[
        list[str] | None, typer.Option("--tag", help="A tag, beside the settings'; again.")
    ] = None,
    ticket: Annotated[str | None, typer.Option(help="The ticket of the request.")] = None,
    mfa_age: Annotated[
        int | None, typer.Option(help="Seconds since the second factor.", min=0, max=2**31)
    ] = None,
    open_findings: Annotated[
        int | None, typer.Option(help="Findings that are open.", min=0, max=2**31)
    ] = None,
    requester: Annotated[
        str | None, typer.Option(help="Whose request is agreed to, e.g. person:ben.")
    ] = None,
    as_json: JsonFlag = False,
) -> None:
    """Say whether it is allowed, which policies decide, and what would allow it. Exit 0 or 1.

    Of a request: what decided when it was asked for, and what decides now.
    """
    loaded = load_settings()
    policy = authority.load(loaded)
    if request:
        if principal or action or target:
            raise UsageError("a request says itself who asks for what", next_step="leave it alone")
        explained.of_request(policy, request, as_json=as_json)
        return
    if not principal or not action:
        raise UsageError(
            "whose question is it?", next_step="a request's id, or --principal and --action"
        )
    asked = cases.principal(principal, groups or (), roles or (), "asserted")
    who = authority.known(loaded, asked)
    what = _action(action)
    resource = authority.resource(loaded, what, target)
    given = cases.Given(
        profile=profile_name,
        length=length,
        tables=_split(tables),
        tags=tags,
        ticket=ticket,
        mfa_age=mfa_age,
        open_findings=open_findings,
        requester=requester,
    )
    _check_profile(loaded, profile_name)
    wish = _configured(loaded, target, cases.wish(given, what, who))
    circumstances = Circumstances(SystemClock().now(), reason, wish)
    decision = policy.decide(who, what, resource, circumstances)
    wanted = None
    if decision.allowed and what.obliges:
        wanted = obligation.due(policy.obligations(decision), what)
    permits = [] if decision.allowed else policy.permits(what)
    if as_json:
        emit(
            explained.answer(policy, who, decision, permits, wanted)
            | {"wish": wish and wish.record}
        )
    else:
        explained.tell(policy, who, decision, permits)
        if wanted is not None and wish is not None:
            explained.tell_obligations(wanted, wish.seconds if length is not None else 0)
    finish(0 if decision.allowed else 1)


def _obligations(one: Clause) -> Obligations | None:
    """What a policy that permits leases wants first, None for any other."""
    permitted = [action for action in Action if action.obliges and one.can_permit(action)]
    if not permitted:
        return None
    return obligation.due(obligation.read(one.annotations), permitted[0])


def _check_profile(loaded: Settings, name: str | None) -> None:
    """Return if there is such a profile, or none is named. Raises: UsageError."""
    known = access.profiles(loaded.file)
    if name is not None and name not in known:
        raise UsageError(
            f"there is no profile {name[:80]!r}", next_step=f"one of {', '.join(sorted(known))}"
        )


def _configured(loaded: Settings, target: str, wish: Wish | None) -> Wish | None:
    """A wish with the tags that the settings give to its tables, as a request has them."""
    if wish is None:
        return None
    found = loaded.target(target)
    section = loaded.file.targets[found.slug].access
    leased = Leased(
        slug=found.slug,
        kind=found.kind,
        env=found.env,
        profiles=access.profiles(loaded.file),
        grantor=_nobody,
        tags={name: tuple(tags) for name, tags in section.tags.items()} if section else {},
    )
    tables = leased.tagged(profile.scope(one.name for one in wish.tables))
    tags = {tag for one in tables for tag in one.tags} if tables else set(leased.all_tags())
    every = tuple(sorted(tags.union(wish.tags)))
    return msgspec.structs.replace(wish, tables=tables, tags=every)


def _nobody() -> Grantor:
    raise UsageError("an explanation issues nothing")


def _split(given: list[str] | None) -> list[str | cases.GivenTable] | None:
    """The tables of ``public.orders,public."a,b"``, each by itself."""
    if given is None:
        return None
    return [one.strip() for text in given for one in _COMMA.split(text)]


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
