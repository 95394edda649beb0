"""``holdfast rules``: what judges a change, in the order in which it is tried."""

from __future__ import annotations

from typing import Annotated

import typer

from chalicelib import wiring
from chalicelib.cli import table
from chalicelib.cli.app import JsonFlag, app, settings_or_none
from chalicelib.cli.text import emit, say
from chalicelib.drift.rulebook import describe

group = typer.Typer(no_args_is_help=True, help="What judges a change.")
app.add_typer(group, name="rules")


@group.command("ls")
def ls(
    matching: Annotated[
        str, typer.Argument(metavar="[TEXT]", help="Only rules with this in id or title.")
    ] = "",
    as_json: JsonFlag = False,
) -> None:
    """List the rules, yours first; the first one that matches decides."""
    rows = [
        row
        for row in describe(wiring.rules(settings_or_none()))
        if matching.casefold() in f"{row['id']} {row['title']}".casefold()
    ]
    if as_json:
        emit(rows)
        return
    table.grid(
        ["id", "severity", "title", "matches"],
        [[row["id"], row["severity"], row["title"], _matches(row)] for row in rows],
        unbroken=2,
    )
    say(f"{len(rows)} rules")


def _matches(row: dict[str, str]) -> str:
    parts = ("kind", "name", "parameter", "attribute", "operation", "direction", "where", "touches")
    return "; ".join(f"{part} {row[part]}" for part in parts if row.get(part)) or "everything"
