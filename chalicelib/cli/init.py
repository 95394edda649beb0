"""``holdfast init``: settings, a signing key, a local store. Never overwrites."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from chalicelib import settings, wiring
from chalicelib.cli.app import JsonFlag, actor, app
from chalicelib.cli.text import emit, say
from chalicelib.kernel.errors import ConfigError, UsageError
from chalicelib.settings import edit


@app.command()
def init(
    folder: Annotated[Path, typer.Argument(help="Where; made if it is not there.")] = Path(),
    origin: Annotated[
        str, typer.Option(help="The log's name, e.g. example.com/holdfast; else one is drawn.")
    ] = "",
    aws_region: Annotated[
        str,
        typer.Option(help="Keep evidence on AWS, in this region; creates nothing there."),
    ] = "",
    stage: Annotated[
        str, typer.Option(help="With --aws-region: the stack's stage; else prod.")
    ] = "",
    as_json: JsonFlag = False,
) -> None:
    """Write settings, a signing key and an empty log. Overwrites nothing."""
    path = folder / settings.FILE_NAME
    if path.exists():
        raise UsageError(
            f"{path} is there already; nothing was changed",
            next_step=f"holdfast target add NAME {_way(path)}",
        )
    if stage and not aws_region:
        raise UsageError(
            "--stage is of a stack on AWS, and no region is given",
            next_step=f"holdfast init {folder} --aws-region REGION --stage STAGE",
        )
    if aws_region:
        if origin:
            raise UsageError("--origin is for one machine; on AWS the log is named by its bucket")
        folder.mkdir(parents=True, exist_ok=True)
        section = settings.AwsSection(region=aws_region, stage=stage or "prod")
        edit.create(path, edit.initial_aws(section))
        say(f"{path}  settings; no secret in it")
        say("next: holdfast target add NAME --secret SECRET, then holdfast aws check", "bold")
        if as_json:
            emit({"settings": str(path), "region": aws_region, "stage": section.stage})
        return
    vkey = wiring.create(folder, origin, actor())
    say(f"{path}  settings; no secret in it")
    say(f"{folder / '.holdfast'}  evidence log, and the signing key (0600): keep both")
    say("the log's public key, to be pinned by whoever verifies:")
    if as_json:
        emit({"settings": str(path), "key": vkey})
    else:
        typer.echo(vkey)
    say("next: holdfast target add orders-prod --dsn-env ORDERS_DSN --env prod", "bold")


def _way(path: Path) -> str:
    """How targets of the settings that are there are reached."""
    try:
        on_aws = settings.load(path).file.aws is not None
    except ConfigError:
        on_aws = False
    return "--secret SECRET" if on_aws else "--dsn-env VARIABLE"
