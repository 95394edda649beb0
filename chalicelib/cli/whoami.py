"""``holdfast whoami``: whom records will name, here or over the API."""

from __future__ import annotations

from chalicelib.api.types import Me
from chalicelib.cli import table
from chalicelib.cli.app import JsonFlag, app
from chalicelib.cli.remote import builtins, way
from chalicelib.cli.text import emit


@app.command("whoami")
def whoami(*, as_json: JsonFlag = False) -> None:
    """Show who acts: as records name them, how that is known, and with which roles."""
    me: Me = way().do("me")
    if as_json:
        emit(builtins(me))
        return
    table.pairs(
        [
            ("principal", me.principal),
            ("known by", me.via),
            *([("groups", me.groups)] if me.groups else []),
            *([("roles", me.roles)] if me.roles else []),
        ]
    )
