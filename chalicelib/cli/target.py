"""``holdfast target``: what is watched."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from chalicelib import settings, wiring
from chalicelib.api.types import Target
from chalicelib.cli import table
from chalicelib.cli.app import JsonFlag, actor, app, load_settings, services
from chalicelib.cli.remote import builtins, way
from chalicelib.cli.text import count, emit, plain, say
from chalicelib.drift.desk import Target as TargetOf
from chalicelib.kernel import names
from chalicelib.kernel.errors import CouldNotTell, UsageError
from chalicelib.settings import edit

group = typer.Typer(no_args_is_help=True, help="What is watched.")
app.add_typer(group, name="target")

PROD_APPROVALS = 2
KINDS = (settings.POSTGRES, *settings.AWS_KINDS)


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
    kind: Annotated[
        str,
        typer.Option(help="postgres; iam: an AWS account; rds: an instance or a cluster of RDS."),
    ] = "",
    account: Annotated[
        str, typer.Option(help="iam: the account's 12 digits; rds: too, if told.")
    ] = "",
    instance: Annotated[str, typer.Option(help="rds: the instance.")] = "",
    cluster: Annotated[str, typer.Option(help="rds: the cluster, with its instances.")] = "",
    database_target: Annotated[
        str, typer.Option(help="rds: the target in it, whose parameters are compared with RDS's.")
    ] = "",
    region: Annotated[str, typer.Option(help="rds: its region, if it is another.")] = "",
    role_arn: Annotated[str, typer.Option(help="iam, rds: the role to assume for reading.")] = "",
    endpoint: Annotated[str, typer.Option(help="iam, rds: a URL in place of AWS's own.")] = "",
    access_analyzer: Annotated[
        bool, typer.Option(help="iam: ask IAM Access Analyzer for a second opinion on policies.")
    ] = False,
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
    """Add a database, an AWS account, or an instance of RDS to holdfast.toml."""
    called = names.target(name, kind=kind or settings.POSTGRES)
    if called.kind not in KINDS or (kind and called.kind != kind):
        raise UsageError(f"kind {kind or called.kind!r}; expected one of {', '.join(KINDS)}")
    in_aws = called.kind in settings.AWS_KINDS
    if not in_aws and (account or instance or cluster):
        raise UsageError(
            "an account is of the kind iam, an instance or a cluster of the kind rds",
            next_step=f"holdfast target add {called.slug} --kind {'iam' if account else 'rds'} …",
        )
    if not (dsn_env or secret or auth or in_aws):
        raise UsageError("give --dsn-env VARIABLE, --secret NAME, or --dsn DSN with --auth rds-iam")
    wanted = approvals if approvals is not None else (PROD_APPROVALS if env == "prod" else 1)
    section = settings.TargetSection(
        dsn_env=dsn_env,
        secret=secret,
        dsn=dsn,
        auth=auth,
        kind=called.kind,
        env=env,
        approvals=wanted,
        approvers=approver or [],
        account=account,
        instance=instance,
        cluster=cluster,
        region=region,
        role_arn=role_arn,
        endpoint=endpoint,
        database_target=database_target,
        access_analyzer=access_analyzer,
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
    say(f"{called}: {_way(section)}, {count(wanted, 'approval')} for a baseline")
    after = "aws deploy" if deployed else f"baseline propose {called.slug}"
    say(f"next: holdfast {after}", "bold")


def _way(section: settings.TargetSection) -> str:
    """How a target is read, in words."""
    if section.kind == settings.IAM:
        return f"AWS account {section.account}"
    if section.kind == settings.RDS:
        return f"RDS {section.instance or 'cluster ' + section.cluster}"
    if section.dsn_env:
        return f"DSN from ${section.dsn_env}"
    return f"DSN from {section.secret or 'its settings, with a token of RDS'}"


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


@group.command("install")
def install(
    target: Annotated[str, typer.Argument(metavar="TARGET", help="e.g. orders-prod")],
    dsn_env: Annotated[
        str,
        typer.Option(help="The variable with the DSN of a superuser, or of RDS's master user."),
    ],
    print_only: Annotated[
        bool, typer.Option("--print", help="Only print the SQL, to be reviewed, or run by others.")
    ] = False,
    as_json: JsonFlag = False,
) -> None:
    """Make the roles and grants that leases need at a target. Again, it changes nothing."""
    from chalicelib.wiring import installation  # noqa: PLC0415 - no other command needs it

    done = installation.install(services(), target, dsn_env, print_only=print_only)
    if as_json:
        emit(done._asdict())
    elif print_only:
        sys.stdout.write("".join(f"{plain(one, lines=True)}\n" for one in done.statements))
    slug = names.target(done.target).slug
    statements = count(len(done.statements), "statement")
    if not done.ran:
        say(f"{done.target}: {statements}, to be run in one transaction; nothing was run")
        say(f"then, without --print: holdfast target install {slug} --dsn-env {dsn_env}", "bold")
        return
    secret = "its password was set" if done.password else "its password was left as it is"
    say(f"{done.target}: {statements} run in one transaction; broker {done.broker}: {secret}")
    say(f"next: holdfast request {slug} --profile PROFILE --reason '…'", "bold")


@group.command("remove")
def remove(
    target: Annotated[str, typer.Argument(metavar="TARGET", help="e.g. orders-prod")],
    as_json: JsonFlag = False,
) -> None:
    """Take a target out of the settings, once all leases at it are ended and proven gone.

    Its records stay. Exit 3 where a lease could not be ended: nothing is removed then.
    """
    called = load_settings().target(target)
    held = services()
    ended = 0
    with held.desk.locks.hold("settings"):
        edit.without_target(load_settings(), called.slug)  # before anything is ended or recorded
        if held.settings.file.targets[called.slug].access is not None:
            ended = _end_all(held, called)
        held.removed(called, actor(), {"requests": ended})
        edit.remove_target(load_settings(), called.slug)
    if as_json:
        emit({"target": called.stream, "requests": ended})
    say(f"{called.stream}: removed; {count(ended, 'request')} ended")


def _end_all(held: wiring.Services, called: TargetOf) -> int:
    """End all requests and leases at a target; how many there were. Raises: CouldNotTell."""
    from chalicelib.access import removal  # noqa: PLC0415 - no other command needs it
    from chalicelib.settings import authority  # noqa: PLC0415 - likewise
    from chalicelib.wiring import access  # noqa: PLC0415 - likewise

    desk = access.desk(held, lambda: authority.load(held.settings))
    leased = access.leased(held, called)
    before = len(desk.states.get(leased.stream).requests)
    left = removal.remove(desk, leased, actor())
    if left:
        names_of = ", ".join(one.id for one in left[:5])
        raise CouldNotTell(
            f"{count(len(left), 'lease')} at {called.stream} could not be ended yet: {names_of}; "
            f"{count(before - len(left), 'request')} ended or withdrawn, and the target stays",
            next_step=f"holdfast show {left[0].id}; then the same command again",
        )
    return before


def _signed(row: Target) -> str:
    held = [row.baseline] if row.baseline else []
    held += [f"{row.proposal} proposed"] if row.proposal else []
    return ", ".join(held) or "none"
