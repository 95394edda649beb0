"""``holdfast evidence rotate``: another key signs the log from now on."""

from __future__ import annotations

from typing import Annotated

import typer

from chalicelib.cli.app import JsonFlag, actor, services
from chalicelib.cli.evidence import group
from chalicelib.cli.text import emit, say
from chalicelib.kernel.errors import UsageError

MIN_REASON_CHARACTERS = 3
MAX_REASON_CHARACTERS = 2_000


@group.command("rotate")
def rotate(
    reason: Annotated[str, typer.Option(help="Why; it is recorded.")],
    key: Annotated[
        str, typer.Option(help="On AWS: the ARN of the KMS key that is to sign from now on.")
    ] = "",
    as_json: JsonFlag = False,
) -> None:
    """Change the log's key: a record and a checkpoint say so under both keys. Finishes a crash."""
    if not MIN_REASON_CHARACTERS <= len(reason.strip()) <= MAX_REASON_CHARACTERS:
        raise UsageError(
            f"--reason has {MIN_REASON_CHARACTERS} to {MAX_REASON_CHARACTERS} characters"
        )
    from chalicelib.wiring import rotation  # noqa: PLC0415 - no other command needs it

    held = services()
    done = rotation.change(held, actor(), reason=reason.strip(), signing_key=key)
    say(f"the key {done.former.key_id.hex()} signed the first {done.size} records, and no more")
    say(f"{held.settings.path} pins both; whoever verifies needs both, with that size")
    say("give what holdfast evidence trust prints to whoever verifies and to every witness:")
    say("until they have the new key, packets are FAILED or UNWITNESSED for them")
    say("the log's public key from now on:")
    if as_json:
        emit(
            {
                "size": done.size,
                "former": str(done.former),
                "key": str(done.key),
                "settings": str(held.settings.path),
            }
        )
    else:
        typer.echo(str(done.key))
    if held.settings.file.aws is not None:
        say("next: holdfast aws deploy, so that the functions sign with it", "bold")
    else:
        say("next: holdfast evidence fsck; docs/operate.md, Change the log's key", "bold")
