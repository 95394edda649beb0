"""``holdfast scan``: read targets, compare with their signed baselines, record the outcome."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.text import Text

from chalicelib.cli import table
from chalicelib.cli.app import JsonFlag, actor, app, finish, services
from chalicelib.cli.progress import reading
from chalicelib.cli.text import complain, emit, out, plain, say
from chalicelib.drift import finding
from chalicelib.drift.finding import SHORT_ID, Disposition
from chalicelib.drift.scan import Outcome, Result, scan
from chalicelib.kernel.errors import Busy, HoldfastError, UsageError
from chalicelib.postgres.connection import carries_password

if TYPE_CHECKING:
    from chalicelib.drift.desk import Target
    from chalicelib.wiring import Services

SEVERITIES = ("critical", "high", "medium", "low", "info")


@app.command("scan")
def scan_command(
    targets: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="TARGET…|DSN",
            help="Targets by name, or one DSN; without any, every configured target.",
        ),
    ] = None,
    as_json: JsonFlag = False,
) -> None:
    """Snapshot, verify the baseline, diff, judge, record. Exit 0 clean, 1 findings, 3 unknown."""
    held = services()
    chosen = _chosen(held, targets or [])
    results: list[Result] = []
    failures: list[tuple[str, HoldfastError]] = []
    for target, dsn in chosen:
        try:
            source = held.source(dsn or held.dsn(target))
            with reading(target.stream) as progress:
                results.append(scan(held.desk, target, source, actor=actor(), progress=progress))
        except (Busy, UsageError) as error:
            failures.append((target.stream, error))
            complain(f"{target.stream}: {error.message}", error.next_step)
            continue
        if not as_json:
            _show(results[-1])
    code = exit_code(results, failures)
    if as_json:
        emit(
            {
                "exit_code": code,
                "results": [encode(one) for one in results],
                "failures": [
                    {"target": name, "code": error.code, "message": error.message}
                    for name, error in failures
                ],
            }
        )
    finish(code)


def _chosen(held: Services, names: list[str]) -> list[tuple[Target, str]]:
    """The targets to scan, each with a DSN if it was given instead of a name."""
    dsns = [name for name in names if is_dsn(name)]
    if dsns:
        if len(names) > 1:
            raise UsageError("give target names, or one DSN, not both")
        return [(held.unnamed(dsns[0]), dsns[0])]
    chosen = [held.settings.target(name) for name in names or sorted(held.settings.file.targets)]
    if not chosen:
        raise UsageError(
            "no targets are configured",
            next_step="holdfast target add NAME --dsn-env VARIABLE, or: holdfast scan DSN",
        )
    return [(target, "") for target in dict.fromkeys(chosen)]


def is_dsn(text: str) -> bool:
    """Whether it is a connection string and not a target's name; warns of a password in it."""
    if not ("://" in text or "=" in text or "@" in text):
        return False
    if carries_password(text):
        say(
            "the password in this DSN is visible in the process list and the shell's history; "
            "better: PGPASSWORD or ~/.pgpass",
            "yellow",
        )
    return True


def exit_code(results: list[Result], failures: list[tuple[str, HoldfastError]]) -> int:
    """One answer for all targets: findings weigh most, then a wrong question, then not knowing."""
    codes = [one.outcome.exit_code for one in results] + [one.exit_code for _, one in failures]
    return next((code for code in (1, 2, 3) if code in codes), 0)


def encode(one: Result) -> dict[str, Any]:
    """A result as JSON values."""
    value: dict[str, Any] = {
        "target": one.target,
        "outcome": one.outcome.value,
        "at": one.at,
        "record": one.index,
        "baseline": one.baseline or None,
        "snapshot": {"root": one.root, "objects": one.objects} if one.root else None,
        "findings": [
            {**finding.encode(found), "disposition": disposition.value}
            for found, disposition in one.findings
        ],
        "closed": one.closed,
    }
    if one.failure is not None:
        value["failure"] = {
            "code": one.failure.code,
            "message": one.failure.message,
            "next_step": one.failure.next_step,
        }
    return value


def _show(one: Result) -> None:
    console = out()
    counts = {
        severity: sum(
            found.severity.value == severity and disposition is Disposition.OPEN
            for found, disposition in one.findings
        )
        for severity in SEVERITIES
    }
    words = ", ".join(f"{number} {severity}" for severity, number in counts.items() if number)
    nothing = "nothing was compared" if one.outcome is Outcome.UNKNOWN else "no open findings"
    settled = sum(disposition is not Disposition.OPEN for _, disposition in one.findings)
    line = Text.assemble(
        (plain(one.target), "bold"),
        "  ",
        (one.outcome.value.upper(), table.OUTCOME_STYLES[one.outcome.value]),
        f"  {words or nothing}",
    )
    if settled:
        line.append(f", {settled} suppressed")
    if one.closed:
        line.append(f", {len(one.closed)} closed")
    if one.root:
        line.append(f"  {one.objects} objects, root {one.root[:16]}…", "dim")
    line.append(f"  record {one.index}", "dim")
    console.print(line)
    if one.findings:
        table.findings(one.findings)
    if one.failure is not None:
        complain(one.failure.message, one.failure.next_step)
    elif one.outcome is Outcome.DRIFT:
        worst = max(
            (found for found, at in one.findings if at is Disposition.OPEN),
            key=lambda found: found.severity.rank,
        )
        say(f"next: holdfast drift show {worst.id[:SHORT_ID]}", "bold")
