"""``holdfast drift``: findings, and what people decide about them."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

import typer
from rich.text import Text

from chalicelib.api.types import (
    Accept,
    Acceptances,
    FindingQuery,
    FindingView,
    Suppress,
    Suppressions,
)
from chalicelib.cli import reach as reaching
from chalicelib.cli import table
from chalicelib.cli.app import JsonFlag, app
from chalicelib.cli.remote import builtins, pages, stream, way
from chalicelib.cli.text import emit, out, plain, say, spread
from chalicelib.drift.finding import Disposition, Finding
from chalicelib.drift.verdict import Meaning
from chalicelib.drift.who import Attribution, words
from chalicelib.kernel import names

group = typer.Typer(no_args_is_help=True, help="Findings, and what people decide about them.")
app.add_typer(group, name="drift")

FRAMEWORKS = {
    "nist_800_53": "NIST 800-53 r5",
    "soc2": "SOC 2",
    "iso_27001": "ISO 27001:2022",
    "pci_dss": "PCI DSS 4.0.1",
    "fedramp_ksi": "FedRAMP KSI",
}
Ids = Annotated[list[str], typer.Argument(metavar="FINDING…", help="e.g. F-0123456789ab")]
Replace = Annotated[bool, typer.Option(help="Give up the proposal that is open.")]
Reason = Annotated[str, typer.Option(help="Why; it is recorded.")]


@group.command("ls")
def ls(
    targets: Annotated[list[str] | None, typer.Argument(metavar="[TARGET…]")] = None,
    reach: Annotated[
        bool, typer.Option("--reach", help="Only those about who in AWS can reach databases.")
    ] = False,
    as_json: JsonFlag = False,
) -> None:
    """List the findings of the last scans, the worst first."""
    over = way()
    rows: list[FindingView] = []
    for name in dict.fromkeys(map(stream, targets or [])) or [None]:
        found = pages(over, FindingQuery(target=name, limit=over.most))
        rows += sorted(found, key=lambda one: (one.target, one.id))
    if reach:
        rows = reaching.narrowed(rows)
    rows.sort(key=lambda one: -one.severity.rank)
    if as_json:
        emit(builtins(rows))
        return
    table.findings([(one, one.disposition) for one in rows])
    if not rows:
        say("no findings; the last scan of each target says whether that means clean", "dim")


@group.command("show")
def show(
    finding: Annotated[str, typer.Argument(metavar="FINDING")], as_json: JsonFlag = False
) -> None:
    """Show one finding: all of before and after, when, the rule, the controls it bears on."""
    found: FindingView = way().do("finding", finding=finding)
    if as_json:
        emit(builtins(found))
        return
    rows: list[tuple[str, Any]] = [
        ("finding", found.id),
        ("target", found.target),
        ("what", found.title),
        ("object", f"{found.kind} {found.name}"),
        ("severity", Text(found.severity.value, table.SEVERITY_STYLES[found.severity.value])),
        ("direction", Text(found.direction.value, table.DIRECTION_STYLES[found.direction.value])),
        ("disposition", _disposition(found)),
        ("rule", found.rule),
    ]
    rows += _meaning(found.meaning)
    rows += _when(found)
    rows += _who(found.who)
    rows.append(("recorded", f"record {found.record} of the evidence log, at {found.opened_at}"))
    rows += [
        (f"supports {FRAMEWORKS.get(name, name)}", values)
        for name, values in found.controls.items()
    ]
    table.pairs(rows)
    _show_change(found)


def _meaning(meaning: Meaning | None) -> list[tuple[str, Any]]:
    """What a change of policies means, and the requests that show it."""
    if meaning is None:
        return []
    said: list[tuple[str, Any]] = [("meaning", meaning.verdict.value)]
    if meaning.reasons:
        said.append(("because", "\n".join(meaning.reasons)))
    if meaning.reference_date:
        said.append(("actions", f"those that AWS had on {meaning.reference_date}"))
    if meaning.analyzer:
        said.append(("Access Analyzer", meaning.analyzer))
    return said


def _when(found: Finding) -> list[tuple[str, Any]]:
    when = found.when
    if when.committed:
        return [("committed", f"{when.committed} ({when.source})")]
    return [("between", f"{when.not_before or 'the beginning'} and {when.not_after}")]


def _who(who: Attribution | None) -> list[tuple[str, Any]]:
    """Whoever may have made it, the likeliest first; how certain that is, and why."""
    if who is None:
        return []
    said: list[tuple[str, Any]] = [("who", f"{who.certainty.value}: {who.why}")]
    for one in who.candidates:
        lines = [
            words(one.principal),
            f"{one.event} at {one.at}, from {one.address or 'an address that is not told'}",
            f"request {one.request_id}" + (f", by {one.agent}" if one.agent else ""),
        ]
        said.append(("", "\n".join(map(plain, lines))))  # no text of theirs makes a line
    if who.pending_until:
        said.append(("", f"CloudTrail may still deliver more, until {who.pending_until}"))
    return said


def _disposition(found: FindingView) -> str:
    if found.disposition is Disposition.SUPPRESSED:
        return f"suppressed until {found.suppressed_until} by {found.by}: {found.reason or ''}"
    return str(found.disposition.value)


def _show_change(found: Finding) -> None:
    console = out()
    operation = found.operation.value
    if operation == "altered":
        console.print(Text(f"\n{plain(found.attribute)}", "bold"))
        console.print(table.difference(spread(found.before), spread(found.after), most=100_000))
        return
    console.print(Text(f"\n{operation}", "bold"))
    attributes = found.after if found.before is None else found.before
    if attributes:
        table.pairs([(f"  {plain(key)}", spread(value)) for key, value in attributes.items()])
    for kind, name in found.parts:
        console.print(Text(plain(f"  with {kind} {name}")))


@group.command("suppress")
def suppress(
    findings: Ids,
    until: Annotated[
        datetime,
        typer.Option(formats=["%Y-%m-%d"], help="The last day (UTC) on which it does not count."),
    ],
    reason: Reason,
    as_json: JsonFlag = False,
) -> None:
    """Let findings not count until a date. The reason and the date are recorded."""
    asked = Suppress(findings=findings, until=until.date().isoformat(), reason=reason)
    done: Suppressions = way().do("suppress", asked)
    for one in done.items:
        say(f"{one.target}: {', '.join(one.findings)} suppressed through {until.date()} (UTC)")
    if as_json:
        emit(builtins(done.items))


@group.command("accept")
def accept(
    findings: Ids, reason: Reason, replace: Replace = False, as_json: JsonFlag = False
) -> None:
    """Propose a baseline that takes over these findings, and no others; people then approve it."""
    asked = Accept(findings=findings, reason=reason, replace=replace)
    done: Acceptances = way().do("accept", asked)
    for one in done.items:
        if one.proposal is None:
            say(f"{one.target}: accepted into the baseline, which is signed and in force")
            continue
        say(f"{one.target}: {one.proposal} proposed with {', '.join(one.findings)}")
        say(
            f"next, somebody else: holdfast baseline approve {names.target(one.target).slug} "
            f"--proposal {one.proposal}",
            "bold",
        )
    if as_json:
        emit(builtins(done.items))
