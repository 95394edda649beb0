"""The application object: options that every command shares, and the verb groups."""

from __future__ import annotations

import os
import pwd
import sys
from pathlib import Path
from typing import Annotated

import typer

from chalicelib import __version__, settings, wiring
from chalicelib.kernel import names
from chalicelib.kernel.errors import NoSettings, NotAllowed
from chalicelib.kernel.record import Actor

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
    "3 could not tell.",
)


class Shared:
    """What the options before the verb say."""

    config: str | None = None
    person: str | None = None


shared = Shared()


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"holdfast {__version__}")
        raise typer.Exit


@app.callback()
def options(
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
    version: Annotated[  # noqa: ARG001 - handled by its callback
        bool,
        typer.Option("--version", help="Print the version.", is_eager=True, callback=_version),
    ] = False,
) -> None:
    """Options that every command shares."""
    shared.config = config or os.environ.get("HOLDFAST_CONFIG")
    shared.person = person or os.environ.get("HOLDFAST_AS")


def load_settings() -> settings.Settings:
    """The settings of this run. Raises: ConfigError."""
    return settings.load(settings.find(Path.cwd(), shared.config))


def settings_or_none() -> settings.Settings | None:
    """The settings, where there are any: some commands need none."""
    try:
        return load_settings()
    except NoSettings:
        return None


def services() -> wiring.Services:
    """The services of this run. Raises: ConfigError, KeyUnusable, StoreUnavailable."""
    return wiring.connect(load_settings())


def actor() -> Actor:
    """Who acts: the operating system's user, or whoever ``--as`` says, marked so.

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
    if shared.person:
        return Actor(names.person(shared.person), "asserted")
    try:
        # Not getpass.getuser(), which believes LOGNAME and USER.
        return Actor(names.person(pwd.getpwuid(os.getuid()).pw_name), "os")
    except KeyError:  # a user id without a name, in a container
        return Actor(f"uid-{os.getuid()}", "os")


def finish(exit_code: int) -> None:
    """End the command with its answer."""
    sys.stdout.flush()
    raise typer.Exit(exit_code)


from chalicelib.cli import (  # noqa: E402 - the groups hang themselves onto ``app``
    aws,
    baseline,
    compare,
    demo,
    drift,
    evidence,
    hold,
    init,
    packet,
    rotate,
    rules,
    scan,
    serve,
    target,
    timestamp,
    trust,
    witness,
)

__all__ = [
    "app",
    "aws",
    "baseline",
    "compare",
    "demo",
    "drift",
    "evidence",
    "hold",
    "init",
    "packet",
    "rotate",
    "rules",
    "scan",
    "serve",
    "target",
    "timestamp",
    "trust",
    "witness",
]
