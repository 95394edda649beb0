"""``holdfast evidence``: the log's records, and everything re-verified from the bytes."""

from __future__ import annotations

import functools
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import msgspec
import typer
from rich.text import Text

from chalicelib.api.exhibits import Record, RecordQuery, Records
from chalicelib.cli import table
from chalicelib.cli.app import JsonFlag, actor, app, finish, services
from chalicelib.cli.progress import reading
from chalicelib.cli.reconcile import reconcile_command
from chalicelib.cli.remote import builtins, stream, way
from chalicelib.cli.text import clip, emit, out, plain, say
from chalicelib.drift.finding import SHORT_ID
from chalicelib.evidence import note
from chalicelib.evidence.personal import Visibility
from chalicelib.kernel import personal
from chalicelib.kernel.errors import Malformed, UsageError

if TYPE_CHECKING:
    from chalicelib.evidence.report import Problem, Report

group = typer.Typer(no_args_is_help=True, help="The evidence log.")
app.add_typer(group, name="evidence")

MAX_OTHERS = 49
MAX_CHECKPOINT_BYTES = 64 * 2**10


@group.command("ls")
def ls(
    target: Annotated[str, typer.Option(help="Only this target's records.")] = "",
    kind: Annotated[str, typer.Option(help="Only this kind, e.g. scan or finding.opened.")] = "",
    last: Annotated[
        int, typer.Option(min=1, max=1_000_000, help="At most so many, the newest.")
    ] = 50,
    as_json: JsonFlag = False,
) -> None:
    """List records, oldest first, each verified against the signed checkpoint."""
    chosen, size = _newest(
        RecordQuery(stream=stream(target) if target else "", kind=kind or None, order="desc"), last
    )
    if as_json:
        emit([_encode(one) for one in chosen])
        return
    table.grid(*_listed(chosen))
    say(f"{len(chosen)} of {size} records")


def _newest(asked: RecordQuery, last: int) -> tuple[list[Record], int]:
    """At most ``last`` records, oldest first, and how many the log had when they were asked for."""
    over = way()
    found: list[Record] = []
    size: int | None = None
    while len(found) < last:
        limit = min(last - len(found), over.most)
        page: Records = over.do("records", msgspec.structs.replace(asked, limit=limit))
        found += page.items
        size = page.size if size is None else size
        if page.next is None:
            break
        asked = msgspec.structs.replace(asked, cursor=page.next)
    return found[::-1], size or 0


def _listed(found: list[Record]) -> tuple[list[str], list[list[str]]]:
    """Headings and rows: four columns on a terminal, all fields on one line in a pipe."""
    fields = [
        (
            str(one.record),
            one.at[:19] + "Z",
            f"{one.stream} {one.seq}",
            one.kind,
            f"{one.actor.get('name')} ({one.actor.get('via')})",
            _says(one.body),
        )
        for one in found
    ]
    if not out().is_terminal:
        return ["record", "at", "stream, seq", "kind", "by", "says"], [list(row) for row in fields]
    return ["record", "at, by", "stream, seq, kind", "says"], [
        [index, f"{at}\n{by}", f"{stream}\n{kind}", says]
        for index, at, stream, kind, by, says in fields
    ]


@group.command("show")
def show(
    record: Annotated[int, typer.Argument(min=0, help="Its place in the log, from 0.")],
) -> None:
    """Print one record as JSON, with the hash of its leaf; what is sealed, as far as it opens."""
    found: Record = way().do("record", record=record)
    wrong = [one for one in _sealed(found.body) if one.get("state") == Visibility.WRONG.value]
    emit(_encode(found))
    for one in wrong:
        say(str(one.get("says")), "bold red")
    finish(1 if wrong else 0)


@group.command("checkpoint")
def checkpoint() -> None:
    """Print the newest signed checkpoint: kept elsewhere, it holds the log to what it was."""
    sys.stdout.buffer.write(way().do("checkpoint"))
    sys.stdout.buffer.flush()


@group.command("fsck")
def fsck(
    extends: Annotated[
        Path | None, typer.Option(help="A checkpoint kept elsewhere, which the log must extend.")
    ] = None,
    as_json: JsonFlag = False,
) -> None:
    """Derive everything again from the bytes and name the first bad place. Exit 0, 1, or 3."""
    held = services()
    outside = None
    if extends is not None:
        if not extends.is_file() or extends.stat().st_size > MAX_CHECKPOINT_BYTES:
            raise UsageError(f"{extends} is no checkpoint file")
        outside = extends.read_bytes()
        try:
            note.parse_checkpoint(note.parse(outside).text)
        except Malformed as error:
            raise UsageError(f"{extends} is no checkpoint: {error.message}") from error
    with reading("evidence") as progress:
        report = held.fsck(outside, progress)
    if as_json:
        emit({"ok": report.ok, **msgspec.to_builtins(report)})
    else:
        _show_report(report)
        _say_next(report, state_lost=held.state_lost)
    finish(0 if report.ok else 1)


@group.command("reconcile")
def reconcile(
    start: Annotated[
        str, typer.Option("--from", help="A day, or a moment in UTC; CloudTrail keeps 90 days.")
    ],
    end: Annotated[
        str, typer.Option("--to", help="Likewise, exclusive; else as late as CloudTrail can tell.")
    ] = "",
    as_json: JsonFlag = False,
) -> None:
    """On AWS: each use of the signing key held to what was published; every version and lock."""
    held = services()
    if held.settings.file.aws is None:
        raise UsageError(
            "on one machine nobody else counts the signatures",
            next_step="keep checkpoints elsewhere: holdfast evidence checkpoint, fsck --extends",
        )
    from chalicelib.wiring import cloud  # noqa: PLC0415 - it needs the AWS libraries

    reconcile_command(
        functools.partial(cloud.reconcile, held),
        start=start,
        end=end,
        now=held.desk.clock.now(),
        as_json=as_json,
    )


@group.command("repair")
def repair(
    adopt: Annotated[
        str,
        typer.Option(help="SHA-256 of a last batch without a checkpoint that is really yours."),
    ] = "",
    as_json: JsonFlag = False,
) -> None:
    """Make again what is derived from the log: tiles, latest checkpoint, heads, cached states."""
    size = services().repair(actor(), adopt)
    if as_json:
        emit({"records": size})
    say(f"made again from {size} records; next: holdfast evidence fsck", "bold")


def _show_report(report: Report) -> None:
    console = out()
    first = report.first
    others = [problem for problem in report.problems if problem is not first]
    if first is not None:
        console.print(_line("FIRST BAD PLACE", first))
    for problem in others[:MAX_OTHERS]:
        console.print(_line("and", problem))
    if len(others) > MAX_OTHERS:
        say(f"and {len(others) - MAX_OTHERS} more; --json has all of them")
    if report.unfinished:
        say(f"unfinished: {report.unfinished}", "yellow")
    if not report.complete:
        say("not everything could be checked", "yellow")
    console.print(
        Text.assemble(
            ("VERIFIED", "bold green") if report.ok else ("FAILED", "bold white on red"),
            f"  {report.origin}: {report.records} records in {report.streams} streams, "
            f"{report.checkpoints} checkpoints, {report.bodies} bodies, {report.tiles} tiles, "
            f"size {report.size}, root {report.root or 'none'}",
        )
    )


def _say_next(report: Report, *, state_lost: bool) -> None:
    if state_lost:
        say("the log's state is lost; next: holdfast evidence repair restores it", "bold")
    elif report.tampered:
        say("next: keep the store as it is, and compare it with a copy from elsewhere", "bold")
    elif report.problems:
        say("the log itself is what was signed for; next: holdfast evidence repair", "bold")


def _line(label: str, problem: Problem) -> Text:
    text = Text.assemble((f"{label}  ".rjust(17), "bold red"), (plain(problem.place), "bold"))
    if problem.index is not None:
        text.append(f"  record {problem.index}")
    if problem.stream:
        text.append(f" ({plain(problem.stream)} seq {problem.seq})")
    text.append(f"\n{'':17}{plain(problem.what)}")
    if problem.expected or problem.observed:
        text.append(f"\n{'':17}expected {plain(problem.expected)}")
        text.append(f"\n{'':17}found    {plain(problem.observed)}")
    return text


def _encode(one: Record) -> dict[str, Any]:
    value: dict[str, Any] = builtins(one)
    if one.leaf is None:
        value.pop("leaf")
    return value


def _sealed(value: Any) -> list[dict[str, Any]]:
    """What is told of each sealed value, wherever in a body it stands."""
    if isinstance(value, list):
        return [one for item in value for one in _sealed(item)]
    if not isinstance(value, dict):
        return []
    if personal.MARK in value and "says" in value:
        return [value]
    return [one for item in value.values() for one in _sealed(item)]


_TOLD: Final = (
    *("outcome", "proposal", "id", "severity", "title"),
    *("request", "profile", "role", "why", "until", "reason", "name"),
)


def _says(body: dict[str, Any]) -> str:
    parts = []
    for key in _TOLD:
        value = body.get(key)
        for sealed in _sealed(value) if isinstance(value, dict) else []:
            value = sealed["says"]
        if isinstance(value, str):
            parts.append(value[:SHORT_ID] if key in {"id", "proposal"} else value)
    return clip(plain(" ".join(parts)), 90)
