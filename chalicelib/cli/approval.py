"""``holdfast approve``, ``deny`` and ``review``: what others say to a request for access."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from chalicelib.api.wishes import Agree, Look, Refuse
from chalicelib.cli import access, phase, table
from chalicelib.cli.app import JsonFlag, app, finish
from chalicelib.cli.remote import builtins, way
from chalicelib.cli.text import emit, err, say
from chalicelib.cli.wish import Id

if TYPE_CHECKING:
    from chalicelib.api.wishes import RequestView

Comment = Annotated[str, typer.Option(help="Why; it is recorded.")]


@app.command("approve")
def approve(
    asked: Id,
    comment: Comment = "",
    seen: Annotated[
        str, typer.Option(metavar="VERSION", help="Refuse if another version than this is asked.")
    ] = "",
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask, on a terminal.")] = False,
    as_json: JsonFlag = False,
) -> None:
    """Agree to a request, or to the renewal of a lease. What is agreed to is shown first."""
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
    _tell(way().do("request_deny", Refuse(comment=comment), request=asked), as_json=as_json)


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
    phase.tell(found)
