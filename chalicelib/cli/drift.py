"""``holdfast drift``: findings, and what people decide about them."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import typer
from rich.text import Text

from chalicelib.cli import table
from chalicelib.cli.app import JsonFlag, actor, app, services
from chalicelib.cli.text import emit, out, plain, say, whole
from chalicelib.drift import decide, state
from chalicelib.drift.finding import Disposition, Finding
from chalicelib.evidence.personal import Reveal
from chalicelib.kernel.clock import timestamp
from chalicelib.kernel.errors import NotFound, UsageError
from chalicelib.kernel.record import entry_at

if TYPE_CHECKING:
    from chalicelib.drift.desk import Target
    from chalicelib.drift.state import Note
    from chalicelib.wiring import Services

group = typer.Typer(no_args_is_help=True, help="Findings, and what people decide about them.")
app.add_typer(group, name="drift")

READ_AHEAD = 500  # records that are read to save another search for a place
MIN_PREFIX = 4  # of a finding's id, "F-" counted
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
    as_json: JsonFlag = False,
) -> None:
    """List the findings of the last scans, the worst first."""
    held = services()
    rows: list[tuple[Finding, Disposition, Note]] = []
    for one in _targets(held, targets or []):
        notes = held.desk.states.get(one.stream).findings.values()
        recorded = _recorded(held, [note.index for note in notes])
        rows += [(recorded[note.index], note.at(_now(held)), note) for note in notes]
    rows.sort(key=lambda row: -row[0].severity.rank)
    if as_json:
        reveal = Reveal(held.subjects, held.log)
        emit([_encode(found, now, note, _reason(reveal, found, note)) for found, now, note in rows])
        return
    table.findings([(found, disposition) for found, disposition, _ in rows])
    if not rows:
        say("no findings; the last scan of each target says whether that means clean", "dim")


@group.command("show")
def show(
    finding: Annotated[str, typer.Argument(metavar="FINDING")], as_json: JsonFlag = False
) -> None:
    """Show one finding: all of before and after, when, the rule, the controls it bears on."""
    held = services()
    target, _, note = _locate(_present(held), finding)
    found = msgspec.convert(entry_at(held.desk.journal, note.index).body, Finding)
    disposition = note.at(_now(held))
    reason = _reason(Reveal(held.subjects, held.log), found, note)
    if as_json:
        emit(_encode(found, disposition, note, reason))
        return
    rows: list[tuple[str, Any]] = [
        ("finding", found.id),
        ("target", target.stream),
        ("what", found.title),
        ("object", f"{found.kind} {found.name}"),
        ("severity", Text(found.severity.value, table.SEVERITY_STYLES[found.severity.value])),
        ("direction", Text(found.direction.value, table.DIRECTION_STYLES[found.direction.value])),
        ("disposition", _disposition(note, disposition, reason)),
        ("rule", found.rule),
    ]
    rows += _when(found)
    rows.append(("recorded", f"record {note.index} of the evidence log, at {note.opened_at}"))
    rows += [
        (f"supports {FRAMEWORKS.get(name, name)}", values)
        for name, values in found.controls.items()
    ]
    table.pairs(rows)
    _show_change(found)


def _when(found: Finding) -> list[tuple[str, Any]]:
    when = found.when
    if when.committed:
        return [("committed", f"{when.committed} ({when.source})")]
    return [("between", f"{when.not_before or 'the beginning'} and {when.not_after}")]


def _reason(reveal: Reveal, found: Finding, note: Note) -> str:
    """Why a finding was suppressed, or since when that cannot be read."""
    return reveal.text(note.reason, state.SUPPRESSED, found.target)


def _disposition(note: Note, disposition: Disposition, reason: str) -> str:
    if disposition is Disposition.SUPPRESSED:
        return f"suppressed until {note.suppressed_until} by {note.by}: {reason}"
    return str(disposition.value)


def _show_change(found: Finding) -> None:
    console = out()
    operation = found.operation.value
    if operation == "altered":
        console.print(Text(f"\n{plain(found.attribute)}", "bold"))
        console.print(table.difference(whole(found.before), whole(found.after), most=100_000))
        return
    console.print(Text(f"\n{operation}", "bold"))
    attributes = found.after if found.before is None else found.before
    if attributes:
        table.pairs([(f"  {plain(key)}", value) for key, value in attributes.items()])
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
    held = services()
    done = []
    for target, ids in _by_target(held, findings).items():
        end = decide.suppress(
            held.desk, target, ids, until=until.date(), reason=reason, actor=actor()
        )
        done.append({"target": target.stream, "findings": ids, "until": end})
        say(f"{target.stream}: {', '.join(ids)} suppressed through {until.date()} (UTC)")
    if as_json:
        emit(done)


@group.command("accept")
def accept(
    findings: Ids, reason: Reason, replace: Replace = False, as_json: JsonFlag = False
) -> None:
    """Propose a baseline that takes over these findings, and no others; people then approve it."""
    held = services()
    done = []
    for target, ids in _by_target(held, findings).items():
        now = decide.accept(held.desk, target, ids, reason=reason, actor=actor(), replace=replace)
        proposal = now.proposal.id if now.proposal else None
        done.append({"target": target.stream, "findings": ids, "proposal": proposal})
        if now.proposal is None:
            say(f"{target.stream}: accepted into the baseline, which is signed and in force")
            continue
        say(f"{target.stream}: {now.proposal.id} proposed with {', '.join(ids)}")
        say(
            f"next, somebody else: holdfast baseline approve {target.slug} "
            f"--proposal {now.proposal.id}",
            "bold",
        )
    if as_json:
        emit(done)


def _now(held: Services) -> str:
    return timestamp(held.desk.clock.now())


def _targets(held: Services, names: list[str]) -> list[Target]:
    return [held.settings.target(name) for name in names or sorted(held.settings.file.targets)]


def _present(held: Services) -> list[tuple[Target, str, Note]]:
    """Every finding that is there now, with its target and id."""
    return [
        (target, key, note)
        for target in _targets(held, [])
        for key, note in held.desk.states.get(target.stream).findings.items()
    ]


def _locate(present: list[tuple[Target, str, Note]], finding: str) -> tuple[Target, str, Note]:
    """The one finding whose id is this, or begins so."""
    found = [one for one in present if one[1].startswith(finding) and len(finding) >= MIN_PREFIX]
    if len(found) == 1:
        return found[0]
    if found:
        raise NotFound(f"{plain(finding)} is the beginning of {len(found)} findings")
    raise NotFound(f"no finding {plain(finding)} now", next_step="holdfast drift ls")


def _by_target(held: Services, findings: list[str]) -> dict[Target, list[str]]:
    if not findings:
        raise UsageError("name at least one finding", next_step="holdfast drift ls")
    grouped: dict[Target, list[str]] = {}
    present = _present(held)
    for finding in dict.fromkeys(findings):
        target, key, _ = _locate(present, finding)
        grouped.setdefault(target, []).append(key)
    return grouped


def _recorded(held: Services, indexes: list[int]) -> dict[int, Finding]:
    """The findings of records, by index; neighbours are read in one pass."""
    wanted = sorted(indexes)
    found: dict[int, Finding] = {}
    while wanted:
        start = wanted[0]
        near = {index for index in wanted if index < start + READ_AHEAD}
        for entry in held.desk.journal.read(start, max(near) + 1):
            if entry.index in near:
                found[entry.index] = msgspec.convert(entry.body, Finding)
        wanted = wanted[len(near) :]
    return found


def _encode(found: Finding, disposition: Disposition, note: Note, reason: str) -> dict[str, Any]:
    return {
        **msgspec.to_builtins(found),
        "disposition": disposition.value,
        "suppressed_until": note.suppressed_until or None,
        "reason": reason or None,
        "by": note.by or None,
        "record": note.index,
        "opened_at": note.opened_at,
    }
