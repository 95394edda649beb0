"""``holdfast access``: what people hold at a target, for whoever certifies it anew."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer
from rich.text import Text

from chalicelib.access import obligation
from chalicelib.cli import phase, table
from chalicelib.cli.app import JsonFlag, app
from chalicelib.cli.remote import builtins, way
from chalicelib.cli.text import count, emit, plain, say
from chalicelib.cli.wish import TargetName
from chalicelib.kernel.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from chalicelib.api.wishes import RequestView, Review, Standing

group = typer.Typer(no_args_is_help=True, help="What people hold at a target.")
app.add_typer(group, name="access")

_LEASES = ["holder", "what", "phase", "since", "until", "used", "agreed by", "why", "id"]
_STANDING = ["role", "may", "member of", "since", "baseline"]


@group.command("review")
def review(
    target: TargetName,
    markdown: Annotated[
        bool, typer.Option("--markdown", help="A page in Markdown, to sign off and to keep.")
    ] = False,
    as_json: JsonFlag = False,
) -> None:
    """Show who holds what at a target, since when, and used when; with a lease and without."""
    if markdown and as_json:
        raise UsageError("one of --markdown and --json")
    found: Review = way().do("access_review", target=target)
    if as_json:
        emit(builtins(found))
        return
    leases = [_lease(one) for one in found.leases]
    standing = [_standing(one) for one in found.standing or []]
    if markdown:
        typer.echo(_page(found, leases, standing))
    else:
        table.grid(_LEASES, leases, empty="no leases", whole_words=True)
        if found.standing is not None:  # else it is not known whether there are any
            table.grid(_STANDING, standing, empty="no standing roles", whole_words=True)
    _say(found)


def _lease(one: RequestView) -> list[str | Text]:
    lease = one.lease
    glass = f"; glass broken, review {one.review or 'not needed'}" if one.break_glass else ""
    ended = None if lease is None else lease.ended_at
    return [
        one.requester,
        f"{one.profile}: {phase.scope(one)}, {obligation.length(one.seconds)}",
        Text(one.phase, phase.STYLES[one.phase]),
        phase.moment(lease.issued_at if lease else None),
        phase.moment(ended or (lease.until if lease else None)),
        _used(one),
        ", ".join(vote.by for vote in one.approvals) or "nobody had to",
        f"{one.reason}{f' ({one.ticket})' if one.ticket else ''}{glass}",
        one.id,
    ]


def _used(one: RequestView) -> str:
    lease = one.lease
    if lease is None or not lease.claims:
        return "never claimed"
    used = f"claimed {count(lease.claims, 'time')}, last {phase.moment(lease.claimed_at)}"
    if lease.sessions_ended:
        used += f"; {count(lease.sessions_ended, 'session')} open at its end"
    return used


def _standing(one: Standing) -> list[str | Text]:
    signed = {True: "signed for", False: "NOT SIGNED FOR", None: "none"}[one.signed]
    if one.lease is not None:
        signed += f"; a lease of {one.lease} that is not known"
    return [
        one.role,
        ", ".join(one.attributes).replace("_", " ") or "log in",
        ", ".join(one.member_of) or "none",
        phase.moment(one.since) if one.since else "the baseline" if one.signed else "not known",
        Text(plain(signed), "bold red" if one.signed is False or one.superuser else ""),
    ]


def _say(found: Review) -> None:
    for one in found.leases:
        phase.trouble(one)
    if found.requests:
        say(f"{count(len(found.requests), 'request')} that may still become a lease: holdfast ls")
    if not found.complete:
        say("leases that ended longer ago are in the log: holdfast evidence ls", "bold yellow")
    if found.standing is None:
        say(
            "standing roles: no scan has read them, or you may not see scans; next: holdfast scan "
            f"{found.target.partition(':')[2]}",
            "bold yellow",
        )
    else:
        say(f"standing roles as of the scan at {phase.moment(found.scanned_at)}", "dim")


def _page(
    found: Review, leases: Sequence[list[str | Text]], standing: Sequence[list[str | Text]]
) -> str:
    """The review as a page: what is certified, and room to say by whom."""
    lines = [
        f"# Access to {found.target}",
        "",
        f"As of {phase.moment(found.at)}, by the evidence log.",
        "",
        f"## Leases ({len(leases)})",
        "",
        *_rows(_LEASES, leases),
        "",
        "## Standing roles"
        + (f", as scanned at {phase.moment(found.scanned_at)}" if found.scanned_at else ""),
        "",
        *(
            ["Not known: no scan has read them."]
            if found.standing is None
            else _rows(_STANDING, standing)
        ),
        "",
        "Reviewed by: ____________________  on: ____________________",
    ]
    return "\n".join(lines)


def _rows(headings: Sequence[str], rows: Sequence[list[str | Text]]) -> list[str]:
    """A table of Markdown. What is from a database or a person forms no cell and no markup."""
    if not rows:
        return ["None."]
    lines = [headings, ["---"] * len(headings)]
    lines += [[_cell(str(one)) for one in row] for row in rows]
    return [f"| {' | '.join(line)} |" for line in lines]


def _cell(text: str) -> str:
    return "".join(f"\\{char}" if char in _MARKUP else char for char in plain(text))


_MARKUP = frozenset("\\`*_{}[]<>()#+!|~&")
