"""``holdfast evidence timestamp``: an outside authority's word for when a checkpoint was there."""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import msgspec
import typer
from rich.text import Text

from chalicelib.anchors import http
from chalicelib.cli.app import JsonFlag, load_settings, services
from chalicelib.cli.evidence import group
from chalicelib.cli.text import emit, out, plain, say
from chalicelib.kernel.errors import ConfigError, Malformed, NotFound
from chalicelib.settings import read_bounded

if TYPE_CHECKING:
    from chalicelib.evidence.note import SignedCheckpoint
    from chalicelib.evidence.timestamp import Stamp
    from chalicelib.settings import Settings
    from chalicelib.wiring import Services


@group.command("timestamp")
def timestamp(
    url: Annotated[
        str, typer.Option(help="The authority (RFC 3161 over HTTP); else [timestamp] url.")
    ] = "",
    roots: Annotated[
        Path | None, typer.Option(help="Its root certificates (PEM); else [timestamp] roots.")
    ] = None,
    as_json: JsonFlag = False,
) -> None:
    """Have the newest checkpoint dated, and lock the answer once it verifies. Exit 0, 1 or 3."""
    loaded = load_settings()
    url, path = authority(loaded, url, roots)
    head, key, stamp = ask(services(), url, path)
    if as_json:
        emit({"size": head.size, "root": head.root.hex(), "url": url, "key": key, **encode(stamp)})
    else:
        out().print(
            Text.assemble(("STAMPED", "bold green"), f"  size {head.size}: {plain(says(stamp))}")
        )
        say(f"kept as {key}")


def ask(held: Services, url: str, path: Path) -> tuple[SignedCheckpoint, str, Stamp]:
    """The newest checkpoint, where the authority's answer to it is locked, and what it says.

    ``path``: of the authority's root certificates. Raises: ConfigError, NotFound; Unreachable;
    VerificationFailed, for an answer that does not hold.
    """
    from chalicelib.evidence import timestamp as stamps  # noqa: PLC0415 - its library loads OpenSSL

    try:
        pinned = stamps.roots(read_bounded(path))
    except Malformed as error:
        raise ConfigError(f"{path}: {error.message}", next_step=error.next_step) from error
    head = held.log.head()
    if head is None:
        raise NotFound("the log is empty and has no checkpoint yet")
    response, stamp = stamps.fetch(
        http.post,
        url,
        head.note,
        nonce=1 + secrets.randbelow(2**stamps.NONCE_BITS - 1),
        roots=pinned,
        at=held.desk.clock.now(),
    )
    return head, stamps.keep(held.desk.objects, head.size, response), stamp


def encode(stamp: Stamp) -> dict[str, object]:
    """A timestamp as JSON."""
    return dict(msgspec.to_builtins(stamp))


def says(stamp: Stamp) -> str:
    """A timestamp in words."""
    if stamp.accuracy_microseconds is None:
        accuracy = "no accuracy stated"
    else:
        accuracy = f"to within {stamp.accuracy_microseconds / 1_000_000:g} s"
    return (
        f"there by {stamp.at}, {accuracy}, says {stamp.authority} "
        f"(serial {stamp.serial}, policy {stamp.policy})"
    )


def authority(loaded: Settings, url: str, roots: Path | None) -> tuple[str, Path]:
    """Whom to ask, and the file of its roots. Raises: ConfigError, where that is not said."""
    section = loaded.file.timestamp
    url = url or section.url
    if roots is None and section.roots:
        roots = loaded.path.parent / section.roots
    if not url or roots is None:
        raise ConfigError(
            "no time-stamping authority is configured",
            next_step="[timestamp] url and roots in the settings, or --url URL --roots FILE",
        )
    return url, roots
