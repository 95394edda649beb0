"""``holdfast token``: a token for the API of ``holdfast serve``, on one machine."""

from __future__ import annotations

import secrets
import sys
from typing import Annotated

import typer

from chalicelib.access.identity import ASSERTED
from chalicelib.access.principal import Kind
from chalicelib.cli import duration
from chalicelib.cli.app import JsonFlag, actor, app, load_settings, shared
from chalicelib.cli.text import emit, say
from chalicelib.kernel import names
from chalicelib.kernel.clock import timestamp
from chalicelib.kernel.errors import NotAllowed, UsageError

JTI_BYTES = 16


@app.command("token")
def token(
    person: Annotated[
        str | None,
        typer.Option(
            "--as", help="Whom it names, if not you. The token says that it was asserted."
        ),
    ] = None,
    kind: Annotated[Kind, typer.Option(help="What calls with it.")] = Kind.PERSON,
    role: Annotated[
        list[str] | None,
        typer.Option(help="A role; may be repeated. Else engineer, or pipeline for one."),
    ] = None,
    group: Annotated[list[str] | None, typer.Option(help="A group; may be repeated.")] = None,
    lasting: Annotated[
        str, typer.Option("--for", help="How long it is good for, 1m to 24h.")
    ] = "1h",
    as_json: JsonFlag = False,
) -> None:
    """Print a token for the API of this machine. Whoever has it is whom it names, until it ends."""
    ttl = duration.period(lasting, option="--for")
    loaded = load_settings()
    from chalicelib.local.clock import SystemClock  # noqa: PLC0415 - no other command needs these
    from chalicelib.wiring.identity import Door, fetched, local_issuer  # noqa: PLC0415

    issuer = local_issuer(loaded)
    if issuer is None:
        raise NotAllowed(
            "the settings name a stack on AWS, which takes tokens of its own issuers only",
            next_step="sign in with your identity provider; docs/identity.md",
        )
    named = shared.person if person is None else person
    if named is None and kind is not Kind.PERSON:
        raise UsageError(f"--kind {kind.value}: its name is not yours", next_step="--as NAME")
    who = actor() if named is None else None
    clock = SystemClock()
    now = clock.now().replace(microsecond=0)
    made = issuer.issue(
        who.name if who is not None else names.person(named or ""),
        kind=kind,
        via=who.via if who is not None else ASSERTED,
        roles=role or ["pipeline" if kind is Kind.PIPELINE else "engineer"],
        groups=group or [],
        ttl=ttl,
        now=now,
        jti=secrets.token_hex(JTI_BYTES),
    )
    # What the API will say of it, through the API's own way: what it refuses is not printed.
    known = Door(loaded, fetched, clock).bearer(made)
    ends = timestamp(now + ttl)
    say(f"for {known.id} (via {known.via}), roles {', '.join(known.roles)}, until {ends}")
    if sys.stdout.isatty():
        say("whoever reads it here is whom it names; TOKEN=$(holdfast token) shows it to nobody")
    if as_json:
        emit(
            {
                "token": made,
                "principal": known.id,
                "via": known.via,
                "roles": list(known.roles),
                "groups": list(known.groups),
                "expires": ends,
            }
        )
    else:
        typer.echo(made)
