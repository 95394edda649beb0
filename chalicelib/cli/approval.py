"""``holdfast approve``, ``deny`` and ``review``: what others say to a request for access."""

from __future__ import annotations

import re
import sys
from typing import TYPE_CHECKING, Annotated, Final

import typer

from chalicelib.api.wishes import Agree, Look, Refuse
from chalicelib.cli import access, phase, table
from chalicelib.cli.app import JsonFlag, app, finish
from chalicelib.cli.remote import builtins, way
from chalicelib.cli.text import emit, err, say
from chalicelib.cli.wish import Id
from chalicelib.kernel.errors import UsageError

if TYPE_CHECKING:
    from chalicelib.api.wishes import RequestView

_VERSION: Final = re.compile(r"[0-9a-f]{64}")
Comment = Annotated[str, typer.Option(help="Why; it is recorded.")]


@app.command("approve")
def approve(
    asked: Id,
    comment: Comment = "",
    seen: Annotated[
        str | None,
        typer.Option(metavar="VERSION", help="Refuse if another version than this is asked."),
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask, on a terminal.")] = False,
    as_json: JsonFlag = False,
) -> None:
    """Agree to a request, or to the renewal of a lease. What is agreed to is shown first."""
    if seen is not None and not _VERSION.fullmatch(seen):
        raise UsageError(
            f"--seen {seen[:80]!r} is no version: 64 hexadecimal digits",
            next_step=f"holdfast show {asked}",
        )
    over = way()
    before: RequestView = over.do("request_show", request=asked)
    table.pairs(access.rows(before), to=err())
    asks = sys.stdin.isatty() and sys.stderr.isatty() and not (yes or seen)
    if asks and not typer.confirm("Agree to this?", err=True):
        say("nothing was agreed to")
        finish(phase.PENDING)
    # What was shown is agreed to, and nothing that it was changed to since.
    agreed = Agree(comment=comment, seen=seen or before.version)
    _tell(over.do("request_approve", agreed, request=asked), as_json=as_json)


@app.command("deny")
def deny(asked: Id, comment: Comment = "", as_json: JsonFlag = False) -> None:
    """Refuse a request that was not claimed, or the renewal of a lease."""
    found: RequestView = way().do("request_deny", Refuse(comment=comment), request=asked)
    if found.phase == "active":
        say(f"the renewal of {found.id} is denied", "bold red")
    _tell(found, as_json=as_json)


@app.command("review")
def review(
    asked: Id,
    comment: Annotated[str, typer.Option(help="What was found; it is recorded.")],
    as_json: JsonFlag = False,
) -> None:
    """Close the review that a broken glass leaves open."""
    found: RequestView = way().do("request_review", Look(comment=comment), request=asked)
    if as_json:
        emit(builtins(found))
    say(f"{found.id}: reviewed")


def _tell(found: RequestView, *, as_json: bool) -> None:
    if as_json:
        emit(builtins(found))
    phase.tell(found, theirs=True)
