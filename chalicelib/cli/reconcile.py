"""``holdfast evidence reconcile``: each use of the signing key, held to what was published."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
from rich.text import Text

from chalicelib.cli.app import finish
from chalicelib.cli.progress import reading
from chalicelib.cli.text import count, emit, out, plain, say
from chalicelib.evidence.account import DELAY, Severity
from chalicelib.kernel.clock import moment

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from chalicelib.evidence.account import Problem, Report

MAX_PROBLEMS = 50  # that are shown; --json has all
MAX_REPEATS = 10

_STYLES = {
    Severity.WRONG: "bold red",
    Severity.PENDING: "yellow",
    Severity.UNKNOWN: "bold yellow",
}


def reconcile_command(
    run: Callable[[datetime, datetime, Callable[[str, int, int], None]], Report],
    *,
    start: str,
    end: str,
    now: datetime,
    as_json: bool,
) -> None:
    """Run a reconciliation from ``start`` to ``end``, texts of the command line; say its answer.

    ``end`` is by default the newest moment of which CloudTrail surely tells. Raises: UsageError.
    """
    since = moment(start)
    until = moment(end) if end else now - DELAY
    with reading("signatures") as progress:
        report = run(since, until, progress)
    if as_json:
        emit(encode(report))
    else:
        show(report)
    finish(report.exit_code)


def encode(report: Report) -> dict[str, Any]:
    """The report as JSON, with its answer."""
    return {
        "ok": report.ok,
        "exit_code": report.exit_code,
        **msgspec.to_builtins(report),
    }


def show(report: Report) -> None:
    """Problems, the worst first, then the counts; words and next steps on stderr."""
    console = out()
    order = list(Severity)
    ranked = sorted(report.problems, key=lambda one: order.index(one.severity))
    for problem in ranked[:MAX_PROBLEMS]:
        console.print(_line(problem))
    if len(ranked) > MAX_PROBLEMS:
        say(f"and {len(ranked) - MAX_PROBLEMS} more; --json has all of them")
    for repeat in report.repeats[:MAX_REPEATS]:
        say(f"{repeat.place} was signed {repeat.times} times: {', '.join(repeat.request_ids)}")
    if len(report.repeats) > MAX_REPEATS:
        say(f"and {len(report.repeats) - MAX_REPEATS} more messages that were signed again")
    console.print(Text.assemble(_answer(report), f"  {plain(_counts(report))}"))
    _say_next(report)


def _answer(report: Report) -> tuple[str, str]:
    return {
        0: ("ACCOUNTED FOR", "bold green"),
        1: ("NOT ACCOUNTED FOR", "bold white on red"),
        3: ("COULD NOT TELL", "bold yellow"),
    }[report.exit_code]


def _counts(report: Report) -> str:
    again = sum(one.times - 1 for one in report.repeats)
    return (
        f"{report.start} to {report.end}: {count(report.sign_events, 'signature')} in CloudTrail, "
        f"{count(report.receipts, 'receipt')}, {count(report.checkpoints, 'checkpoint')}, "
        f"{count(report.envelopes, 'envelope')}, {count(report.packets, 'packet')}, "
        f"{again} signed again, {report.refused} refused; "
        f"{count(report.objects, 'object')} looked at for later versions, "
        f"{count(report.locks, 'lock')} checked; "
        f"{'keys' if report.former else 'key'} {', '.join((*report.former, report.key))}"
    )


def _say_next(report: Report) -> None:
    if report.exit_code == 1:
        say(
            "next: find out who signed or wrote (docs/operate.md, Reconcile); keep the bucket as "
            "it is, and run holdfast evidence fsck with a checkpoint kept elsewhere",
            "bold",
        )
    elif any(one.severity is Severity.UNKNOWN for one in report.problems):
        say("next: make readable what could not be read, then reconcile the same period", "bold")
    elif report.problems:
        minutes = int(DELAY.total_seconds() // 60)
        say(f"next: reconcile the same period in {minutes} minutes", "bold")


def _line(problem: Problem) -> Text:
    label = problem.severity.value
    text = Text.assemble(
        (f"{label}  ".rjust(17), _STYLES[problem.severity]), (plain(problem.place), "bold")
    )
    text.append(f"\n{'':17}{plain(problem.what)}")
    if problem.at:
        who = problem.principal or "a principal that is not known"
        by = f" by {who}" if problem.principal or problem.source else ""
        source = f" from {problem.source}" if problem.source else ""
        text.append(f"\n{'':17}at {plain(problem.at + by + source)}")
    if problem.expected or problem.observed:
        text.append(f"\n{'':17}expected {plain(problem.expected)}")
        text.append(f"\n{'':17}found    {plain(problem.observed)}")
    return text
