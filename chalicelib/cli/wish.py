"""``holdfast request``, ``amend``, ``withdraw``, ``break-glass``: what somebody asks for."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated, Final

import typer

from chalicelib.access import obligation
from chalicelib.api.wishes import AskFor, Wished
from chalicelib.cli import phase
from chalicelib.cli.app import JsonFlag, app, finish
from chalicelib.cli.remote import builtins, way
from chalicelib.cli.text import emit, say
from chalicelib.kernel.errors import UsageError

if TYPE_CHECKING:
    from chalicelib.api.here import Way
    from chalicelib.api.wishes import RequestView

_COMMA: Final = re.compile(r',(?=(?:[^"]*"[^"]*")*[^"]*$)')  # outside of quotation marks
EMERGENCY: Final = "write"  # the profile of whoever has no time to choose one
_ARNS: Final = re.compile(r",(?=arn:)")
_EMPTY: Final = "leave the option out for all that the profile gives; is a variable not set?"

Id = Annotated[str, typer.Argument(metavar="ID", help="e.g. orders-prod.k3v9x2m7q4hd")]
TargetName = Annotated[str, typer.Argument(metavar="TARGET", help="e.g. orders-prod")]
Profile = Annotated[str, typer.Option(help="What it may do there, e.g. read-masked.")]
Tables = Annotated[
    str | None,
    typer.Option(help="Narrowed to these: public.orders,public.customers, or public.*"),
]
Resources = Annotated[str | None, typer.Option(help="Of an AWS role: narrowed to these ARNs.")]
For = Annotated[str, typer.Option("--for", help="For how long: 90s, 30m, 8h.")]
Reason = Annotated[str, typer.Option(help="Why; approvers see it, and it is recorded.")]
Ticket = Annotated[str, typer.Option(help="The ticket that it is for, e.g. INC-481.")]
Wait = Annotated[bool, typer.Option("--wait", help="Until enough people agreed, or one denied.")]
Timeout = Annotated[str, typer.Option(help="Wait no longer than that, e.g. 10m. Then exit 4.")]


@app.command("request")
def request(
    target: TargetName,
    profile: Profile,
    reason: Reason,
    tables: Tables = None,
    resources: Resources = None,
    length: For = "",
    ticket: Ticket = "",
    wait: Wait = False,
    timeout: Timeout = "",
    as_json: JsonFlag = False,
) -> None:
    """Ask for access. Prints the request's id, and who has to agree."""
    most = phase.patience(timeout, waits=wait)
    asked = AskFor(
        target=target,
        profile=profile,
        reason=reason,
        tables=named_tables(tables),
        resources=_arns(resources),
        seconds=obligation.seconds(length) if length else None,
        ticket=ticket,
    )
    over = way()
    _asked(over, over.do("request", asked), wait=wait, most=most, as_json=as_json)


@app.command("break-glass")
def break_glass(
    target: TargetName,
    reason: Reason,
    profile: Annotated[str, typer.Option(help="What it may do there.")] = EMERGENCY,
    tables: Tables = None,
    resources: Resources = None,
    length: For = "",
    ticket: Ticket = "",
    as_json: JsonFlag = False,
) -> None:
    """Have access at once in an emergency. Everybody hears of it, and somebody else reviews it."""
    asked = AskFor(
        target=target,
        profile=profile,
        reason=reason,
        tables=named_tables(tables),
        resources=_arns(resources),
        seconds=obligation.seconds(length) if length else None,
        ticket=ticket,
        break_glass=True,
    )
    over = way()
    found = over.do("request", asked)
    say("the glass is broken: it is recorded, and stays open until somebody else reviews it", "red")
    _asked(over, found, wait=False, most=None, as_json=as_json)


@app.command("amend")
def amend(
    asked: Id,
    profile: Annotated[str | None, typer.Option(help="In place of the profile asked for.")] = None,
    reason: Annotated[str | None, typer.Option(help="In place of the reason.")] = None,
    tables: Annotated[str | None, typer.Option(help="In place of the tables; '': none.")] = None,
    resources: Annotated[str | None, typer.Option(help="In place of the ARNs; '': none.")] = None,
    length: Annotated[str | None, typer.Option("--for", help="In place of the time.")] = None,
    ticket: Annotated[str | None, typer.Option(help="In place of the ticket; '': none.")] = None,
    as_json: JsonFlag = False,
) -> None:
    """Ask for something else in its place; what was agreed to before is void."""
    given = (profile, reason, tables, resources, length, ticket)
    if all(one is None for one in given):
        raise UsageError("nothing is changed", next_step="for example --for 30m")
    over = way()
    before: RequestView = over.do("request_show", request=asked)
    wish = Wished(
        profile=before.profile if profile is None else profile,
        reason=before.reason if reason is None else reason,
        tables=tuple(before.tables) if tables is None else named_tables(tables or None),
        resources=tuple(before.resources) if resources is None else _arns(resources or None),
        seconds=before.seconds if length is None else obligation.seconds(length),
        ticket=before.ticket if ticket is None else ticket,
    )
    found = over.do("request_amend", wish, request=asked)
    _asked(over, found, wait=False, most=None, as_json=as_json)


@app.command("withdraw")
def withdraw(asked: Id, as_json: JsonFlag = False) -> None:
    """Give up one's own request that was not claimed."""
    found: RequestView = way().do("request_withdraw", request=asked)
    if as_json:
        emit(builtins(found))
    say(f"{found.id}: {phase.words(found)}")


def _asked(over: Way, found: RequestView, *, wait: bool, most: int | None, as_json: bool) -> None:
    """Print the id of what was asked for, and end with how far it is."""
    code = phase.DONE
    if wait:
        if not as_json:
            emit_id(found)
        found, code = phase.wait(over, found, most=most, as_json=as_json)
    elif as_json:
        emit(builtins(found))
    else:
        emit_id(found)
    phase.tell(found, said=wait and not as_json)
    finish(code)


def emit_id(found: RequestView) -> None:
    """Its id on stdout, for ``ID=$(holdfast request …)``."""
    typer.echo(found.id)


def named_tables(text: str | None) -> tuple[str, ...]:
    """The tables of ``public.orders,public."a,b"``; none without. Raises: UsageError."""
    return _named("--tables", _COMMA, text)


def _arns(text: str | None) -> tuple[str, ...]:
    """The ARNs of a list; one may hold a comma itself. Raises: UsageError."""
    return _named("--resources", _ARNS, text)


def _named(option: str, between: re.Pattern[str], text: str | None) -> tuple[str, ...]:
    """The names of an option. None of them is empty: a name that is lost would give more."""
    if text is None:
        return ()
    found = tuple(one.strip() for one in between.split(text))
    if not all(found):
        raise UsageError(f"{option} has an empty name: {text[:80]!r}", next_step=_EMPTY)
    return found
