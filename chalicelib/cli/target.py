"""``holdfast target``: what is watched."""

from __future__ import annotations

from typing import Annotated

import typer

from chalicelib import settings, wiring
from chalicelib.api.types import Target
from chalicelib.cli import table
from chalicelib.cli.app import JsonFlag, actor, app, load_settings, services
from chalicelib.cli.remote import builtins, way
from chalicelib.cli.text import count, emit, say
from chalicelib.kernel import names
from chalicelib.kernel.errors import UsageError
from chalicelib.settings import edit

group = typer.Typer(no_args_is_help=True, help="What is watched.")
app.add_typer(group, name="target")

PROD_APPROVALS = 2


@group.command("add")
def add(
    name: Annotated[str, typer.Argument(help="e.g. orders-prod")],
    dsn_env: Annotated[
        str,
        typer.Option(
            help="The environment variable that holds the DSN; the DSN itself is never stored."
        ),
    ] = "",
    secret: Annotated[
        str, typer.Option(help="Instead: the secret in Secrets Manager that holds the DSN.")
    ] = "",
    dsn: Annotated[
        str, typer.Option(help="Instead: a DSN without a password, with --auth rds-iam.")
    ] = "",
    auth: Annotated[str, typer.Option(help="rds-iam: a token of RDS in place of a password.")] = "",
    env: Annotated[
        str, typer.Option(help="prod, staging, …; prod wants two approvals, and at least one.")
    ] = "",
    approvals: Annotated[
        int | None,
        typer.Option(help="How many people must approve a baseline; prod: 2, else 1."),
    ] = None,
    approver: Annotated[
        list[str] | None,
        typer.Option(help="Who may approve; repeatable. Else anybody but the proposer."),
    ] = None,
    as_json: JsonFlag = False,
) -> None:
    """Add a PostgreSQL database to holdfast.toml."""
    called = names.target(name)
    if called.kind != "postgres":
        raise UsageError(f"targets of kind {called.kind!r} are not known; expected postgres")
    if not (dsn_env or secret or auth):
        raise UsageError("give --dsn-env VARIABLE, --secret NAME, or --dsn DSN with --auth rds-iam")
    wanted = approvals if approvals is not None else (PROD_APPROVALS if env == "prod" else 1)
    section = settings.TargetSection(
        dsn_env=dsn_env,
        secret=secret,
        dsn=dsn,
        auth=auth,
        env=env,
        approvals=wanted,
        approvers=approver or [],
    )
    current = load_settings()
    deployed = current.file.aws is not None
    if deployed and dsn_env:
        raise UsageError(
            "a function on AWS has no environment variable of yours",
            next_step="--secret NAME, or --dsn DSN --auth rds-iam",
        )
    if secret and not deployed:
        raise UsageError(
            "a secret is read from Secrets Manager, and the settings name no region: they have no "
            "[aws] section",
            next_step="--dsn-env VARIABLE; on AWS: holdfast init FOLDER --aws-region REGION",
        )
    if deployed and not current.file.log.key:
        edit.check_new_target(current, called.slug, section)
        edit.add_target(current, called.slug, section)  # the first deployment comes first
    else:
        with services().desk.locks.hold("settings"):
            current = load_settings()  # as it is now that nobody else changes it
            wiring.connect(current).configured(called, section, actor())
            edit.add_target(current, called.slug, section)
    if as_json:
        emit({"target": str(called), "dsn_env": dsn_env, "env": env, "approvals": wanted})
    way = f"${dsn_env}" if dsn_env else secret or "its settings, with a token of RDS"
    say(f"{called}: DSN from {way}, {count(wanted, 'approval')} for a baseline")
    after = "aws deploy" if deployed else f"baseline propose {called.slug}"
    say(f"next: holdfast {after}", "bold")


@group.command("ls")
def ls(*, as_json: JsonFlag = False) -> None:
    """List targets: their baseline, their last scan, their open findings."""
    rows: list[Target] = way().do("targets").items
    if as_json:
        emit(builtins(rows))
        return
    table.grid(
        ["target", "baseline", "last scan", "findings"],
        [
            [
                f"{row.target} ({row.env})" if row.env else row.target,
                _signed(row),
                f"{row.last_scan[:19]}Z {row.outcome}" if row.last_scan else "never",
                str(row.findings),
            ]
            for row in rows
        ],
        empty="no targets yet; next: holdfast target add NAME --dsn-env VARIABLE",
    )


def _signed(row: Target) -> str:
    held = [row.baseline] if row.baseline else []
    held += [f"{row.proposal} proposed"] if row.proposal else []
    return ", ".join(held) or "none"
