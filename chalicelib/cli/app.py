"""The application object: options that every command shares, and the verb groups."""

from __future__ import annotations

import os
import pwd
import sys
import time
from pathlib import Path
from typing import Annotated

import typer

from chalicelib import __version__, settings, wiring
from chalicelib.kernel.errors import NoSettings, NotAllowed, UsageError
from chalicelib.kernel.record import Actor
from chalicelib.settings import IdentitySection, identity

JsonFlag = Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")]

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Holds databases to the state people signed for: scan, diff against signed baselines, "
    "and an evidence log that verifies from its bytes.",
    epilog="Exit codes: 0 clean or done; 1 findings, or verification failed; 2 usage; "
    "3 could not tell. Of a request for access also: 4 still pending; 5 denied or withdrawn; "
    "6 lapsed, expired, ended or revoked.",
)


class Shared:
    """What the options before the verb say."""

    config: str | None = None
    person: str | None = None
    api: str | None = None
    token_file: Path | None = None
    pause = staticmethod(time.sleep)  # between two attempts, or two looks at a job
    moment = staticmethod(time.monotonic)  # by which waiting is bounded
    look_seconds = 30.0  # between two looks at whether a lease is still there


shared = Shared()
# Groups and verbs of which at least one works over the API.
REMOTE = frozenset(
    {"baseline", "drift", "evidence", "scan", "target", "whoami"}
    | {"request", "ls", "show", "wait", "amend", "withdraw", "approve", "deny", "break-glass"}
    | {"run", "creds", "renew", "revoke", "review", "access"}
)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"holdfast {__version__}")
        raise typer.Exit


@app.callback()
def options(
    context: typer.Context,
    config: Annotated[
        str | None,
        typer.Option(
            help="The settings file; else HOLDFAST_CONFIG, else holdfast.toml here or above."
        ),
    ] = None,
    person: Annotated[
        str | None,
        typer.Option(
            "--as", help="Who acts, if not the operating-system user. Recorded as asserted."
        ),
    ] = None,
    api: Annotated[
        str | None,
        typer.Option(
            help="The address of an API, in place of a store here; else HOLDFAST_API. With the "
            "token in HOLDFAST_TOKEN; with AWS credentials where it ends with /iam."
        ),
    ] = None,
    token_file: Annotated[
        Path | None,
        typer.Option(help="The file with the token for the API, read again for each request."),
    ] = None,
    version: Annotated[  # noqa: ARG001 - handled by its callback
        bool,
        typer.Option("--version", help="Print the version.", is_eager=True, callback=_version),
    ] = False,
) -> None:
    """Options that every command shares."""
    shared.config = config or os.environ.get("HOLDFAST_CONFIG")
    shared.person = person or os.environ.get("HOLDFAST_AS")
    shared.api = api or os.environ.get("HOLDFAST_API") or None
    shared.token_file = token_file
    if shared.api is None:
        if token_file is not None:
            raise UsageError("--token-file goes with --api", next_step="--api URL")
    elif shared.person:
        raise NotAllowed(
            "over the API you are who your token or credentials say; --as and HOLDFAST_AS are "
            "refused",
            next_step="leave --as out, or use that person's token",
        )
    elif context.invoked_subcommand not in REMOTE:
        refuse_remote()


def refuse_remote() -> None:
    """Return unless this run speaks to an API. Raises: UsageError."""
    if shared.api is not None:
        raise UsageError(
            "this works where the store is, and not over the API",
            next_step="on the machine with holdfast.toml, without --api and HOLDFAST_API",
        )


def load_settings() -> settings.Settings:
    """The settings of this run. Raises: ConfigError; UsageError, where it speaks to an API."""
    refuse_remote()
    return settings.load(settings.find(Path.cwd(), shared.config))


def settings_or_none() -> settings.Settings | None:
    """The settings, where there are any: some commands need none; one over the API has none."""
    try:
        return None if shared.api is not None else load_settings()
    except NoSettings:
        return None


def services() -> wiring.Services:
    """The services of this run. Raises: ConfigError, KeyUnusable, StoreUnavailable."""
    return wiring.connect(load_settings())


def actor() -> Actor:
    """Who acts: the operating system's user, or whoever ``--as`` says, marked so.

    By the name that counts, where ``[identity.people]`` has another one of theirs.
    On AWS it is the person behind the credentials, and nobody says otherwise. Raises: NotAllowed;
    CouldNotTell, when AWS does not say who that is.
    """
    found = settings_or_none()
    if found is not None and found.file.aws is not None:
        if shared.person:
            raise NotAllowed(
                "on AWS you are who your credentials say; --as and HOLDFAST_AS are refused",
                next_step="leave --as out, or use that person's credentials",
            )
        return Actor(wiring.caller(found), "iam")
    known = IdentitySection() if found is None else found.file.identity
    if shared.person:
        return Actor(identity.person(known, shared.person), "asserted")
    try:
        # Not getpass.getuser(), which believes LOGNAME and USER.
        return Actor(identity.person(known, pwd.getpwuid(os.getuid()).pw_name), "os")
    except KeyError:  # a user id without a name, in a container
        return Actor(f"uid-{os.getuid()}", "os")


def finish(exit_code: int) -> None:
    """End the command with its answer."""
    sys.stdout.flush()
    raise typer.Exit(exit_code)


from chalicelib.cli import (  # noqa: E402 - the groups hang themselves onto ``app``
    access,
    approval,
    aws,
    baseline,
    compare,
    demo,
    drift,
    effective,
    evidence,
    hold,
    init,
    lease,
    mask,
    packet,
    policy,
    reach,
    report,
    review,
    rotate,
    rules,
    scan,
    serve,
    target,
    timestamp,
    token,
    trust,
    whoami,
    wish,
    witness,
)

__all__ = [
    "access",
    "app",
    "approval",
    "aws",
    "baseline",
    "compare",
    "demo",
    "drift",
    "effective",
    "evidence",
    "hold",
    "init",
    "lease",
    "mask",
    "packet",
    "policy",
    "reach",
    "report",
    "review",
    "rotate",
    "rules",
    "scan",
    "serve",
    "target",
    "timestamp",
    "token",
    "trust",
    "whoami",
    "wish",
    "witness",
]
