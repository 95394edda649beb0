"""``holdfast scan``: read targets, compare with their signed baselines, record the outcome."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.text import Text

from chalicelib.api import jobs
from chalicelib.api.client import There, failed, of_failure
from chalicelib.api.types import FindingQuery, StartScan, Targets
from chalicelib.api.types import Scan as Told
from chalicelib.cli import table
from chalicelib.cli.app import JsonFlag, actor, app, finish, services
from chalicelib.cli.progress import reading
from chalicelib.cli.remote import ended, of, pages, remote, stream
from chalicelib.cli.text import complain, emit, out, plain, say
from chalicelib.drift import finding
from chalicelib.drift.finding import SHORT_ID, Disposition, Finding
from chalicelib.drift.outcome import Outcome
from chalicelib.drift.scan import Result, scan
from chalicelib.kernel import names
from chalicelib.kernel.errors import Busy, HoldfastError, UsageError
from chalicelib.postgres.connection import carries_password

if TYPE_CHECKING:
    from collections.abc import Callable

    from chalicelib.drift.desk import Target

    Work = Callable[[], Result | HoldfastError]

OF_UPGRADE = "upgrade"  # rules of what an upgrade of a server explains
OF_SERVER = "upgrade.server"
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
    """Snapshot, verify the baseline, diff, judge, record. Exit 0 clean, 1 findings, 3 unknown.

    Over the API a worker does it; whoever stops waiting does not stop the scan.
    """
    there = remote()
    chosen = _chosen_there(there, targets or []) if there else _chosen_here(targets or [])
    results: list[Result] = []
    failures: list[tuple[str, HoldfastError]] = []
    for target, work in chosen:
        try:
            found = work()
        except (Busy, UsageError) as error:
            found = error
        if isinstance(found, HoldfastError):
            failures.append((target, found))
            complain(f"{target}: {found.message}", found.next_step)
            continue
        results.append(found)
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


def _chosen_here(given: list[str]) -> list[tuple[str, Work]]:
    """The targets to scan, each with what scans it."""
    held = services()

    def work(target: Target, dsn: str) -> Result:
        source = held.source(dsn) if dsn else held.reader(target)
        with reading(target.stream) as progress:
            return scan(held.desk, target, source, actor=actor(), progress=progress)

    dsns = [name for name in given if is_dsn(name)]
    if dsns:
        if len(given) > 1:
            raise UsageError("give target names, or one DSN, not both")
        unnamed = held.unnamed(dsns[0])
        return [(unnamed.stream, functools.partial(work, unnamed, dsns[0]))]
    chosen = [held.settings.target(name) for name in given] or held.settings.targets()
    if not chosen:
        raise UsageError(
            "no targets are configured",
            next_step="holdfast target add NAME --dsn-env VARIABLE, or: holdfast scan DSN",
        )
    return [(one.stream, functools.partial(work, one, "")) for one in dict.fromkeys(chosen)]


def _chosen_there(there: There, given: list[str]) -> list[tuple[str, Work]]:
    """Likewise over the API: all of them are there before any is scanned."""
    if any(is_dsn(name) for name in given):
        raise UsageError(
            "a DSN is scanned from here, and not over the API",
            next_step="a target's name; holdfast target ls",
        )
    checked = [stream(name) for name in given]
    seen: Targets = there.do("targets")
    known = [one.target for one in seen.items]
    for name in checked:
        if name not in known:
            there.do("target", target=name)  # it says why not
    if not known:
        raise UsageError("there are no targets that you may see", next_step="holdfast whoami")
    chosen = dict.fromkeys(checked or known)
    return [(name, functools.partial(_scan_there, there, name)) for name in chosen]


def _scan_there(there: There, target: str) -> Result | HoldfastError:
    """What a scan found that is asked for and waited for, or why nobody did it."""
    slug = names.target(target).slug
    asked = there.do("scan_start", StartScan(target=target))
    told: Told = ended(there, "scan", asked, target, f"holdfast drift ls {slug}")
    if told.state != jobs.DONE:
        return of_failure(told.failure)
    present = {}
    if told.found:
        page = FindingQuery(target=target, limit=there.most)
        present = {one.id: one for one in pages(there, page)}
    fields = Finding.__struct_fields__
    findings = [
        (Finding(*(getattr(present[key], name) for name in fields)), now)
        for key, now in told.found
        if key in present
    ]
    if len(findings) < len(told.found):
        say(f"{target}: {len(told.found) - len(findings)} of its findings are gone since", "dim")
    return Result(
        target=told.target,
        outcome=of(told.outcome, Outcome),
        findings=findings,
        closed=told.closed,
        objects=told.snapshot.objects if told.snapshot else 0,
        root=told.snapshot.root if told.snapshot else "",
        baseline=told.baseline or "",
        at=told.scanned_at or "",
        index=told.record or 0,
        entries=[],
        failure=failed(told.failure.code, told.failure.message) if told.failure else None,
        explained=told.explained,
        not_visible=told.not_visible,
    )


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
        "explained": one.explained,
        "not_visible": one.not_visible,
    }
    if one.failure is not None:
        value["failure"] = {
            "code": one.failure.code,
            "message": one.failure.message,
            "next_step": one.failure.next_step,
        }
    return value


def _leases(explained: dict[str, int]) -> str:
    """``3 changes are those of 1 open lease``."""
    changes, leases = sum(explained.values()), len(explained)
    return (
        f"{changes} {'change is that' if changes == 1 else 'changes are those'} of {leases} open "
        f"lease{'' if leases == 1 else 's'}"
    )


def _unseen(not_visible: dict[str, list[str]]) -> str:
    """``not visible, as signed for: hba_rule, role (password)``."""
    kinds = (
        f"{kind} ({', '.join(attributes)})" if attributes else kind
        for kind, attributes in sorted(not_visible.items())
    )
    return f"not visible, as signed for: {', '.join(kinds)}"


def _upgraded(one: Result) -> None:
    """That the server is another version's than the baseline's, where it is, and what to do."""
    version = next((found for found, _ in one.findings if found.rule == OF_SERVER), None)
    if version is None:
        return
    number = sum(found.rule in {OF_SERVER, OF_UPGRADE} for found, _ in one.findings)
    slug = names.target(one.target).slug
    say(
        f"{plain(one.target)}: {number} of {len(one.findings)} findings come from the server's "
        f"upgrade; to tell them apart: holdfast baseline rebase {slug}",
        "bold",
    )


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
    nothing = "no open findings"
    if one.outcome is Outcome.UNKNOWN:
        nothing = "an open finding cannot be seen" if one.not_visible else "nothing was compared"
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
    if one.explained:
        line.append(f", {_leases(one.explained)}")
    if one.root:
        line.append(f"  {one.objects} objects, root {one.root[:16]}…", "dim")
    line.append(f"  record {one.index}", "dim")
    console.print(line)
    if one.not_visible:
        console.print(plain(_unseen(one.not_visible)), style="dim")
    if one.findings:
        table.findings(one.findings)
    _upgraded(one)
    if one.failure is not None:
        complain(one.failure.message, one.failure.next_step)
    elif one.outcome is Outcome.DRIFT:
        worst = max(
            (found for found, at in one.findings if at is Disposition.OPEN),
            key=lambda found: found.severity.rank,
        )
        say(f"next: holdfast drift show {worst.id[:SHORT_ID]}", "bold")
