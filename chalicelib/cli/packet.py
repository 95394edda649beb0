"""``holdfast evidence packet`` and ``verify``: a period proven to whoever has a pinned key."""

from __future__ import annotations

import contextlib
import os
import tempfile
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import typer
from rich.text import Text

from chalicelib.cli import timestamp as stamping
from chalicelib.cli import trust as trusting
from chalicelib.cli.app import JsonFlag, actor, finish, services, settings_or_none
from chalicelib.cli.evidence import group
from chalicelib.cli.progress import reading
from chalicelib.cli.reconcile import moment
from chalicelib.cli.text import count, emit, out, plain, say
from chalicelib.evidence import trust
from chalicelib.evidence.manifest import Filter, Period
from chalicelib.evidence.verdict import Answer
from chalicelib.kernel import names
from chalicelib.kernel.clock import timestamp
from chalicelib.kernel.errors import CouldNotTell, Fork, Malformed, NotFound, UsageError
from chalicelib.kernel.kinds import KINDS
from chalicelib.local import faults
from chalicelib.settings import read_bounded

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime
    from typing import BinaryIO

    from chalicelib.evidence.closing import Closed
    from chalicelib.evidence.trust import Policy
    from chalicelib.evidence.verdict import Verdict
    from chalicelib.wiring import Services

MAX_GAPS = 20  # shown; --json has all of them
_DAY_CHARACTERS = len("2026-10-01")
_YEARS = (1970, 9_998)
_STYLES = {
    Answer.VERIFIED: "bold green",
    Answer.UNWITNESSED: "bold yellow",
    Answer.FAILED: "bold white on red",
}


@group.command("packet")
def packet(
    start: Annotated[str, typer.Option("--from", help="A day, or a moment in UTC.")],
    end: Annotated[
        str, typer.Option("--to", help="A day, which is included, or a moment, which is not.")
    ],
    file: Annotated[
        Path, typer.Option("--output", "-o", help="The file to write, e.g. october.zip.")
    ],
    target: Annotated[
        list[str] | None, typer.Option(help="Only this target's records; may be repeated.")
    ] = None,
    kind: Annotated[
        list[str] | None, typer.Option(help="Only this kind, e.g. finding; may be repeated.")
    ] = None,
    offline: Annotated[
        bool, typer.Option("--offline", help="Ask no witness and no time-stamping authority.")
    ] = False,
    as_json: JsonFlag = False,
) -> None:
    """Write a packet that proves a period offline. Closes the period, and records who took it.

    When it closes the period, the configured witnesses and the authority are asked about it. Exit 0
    once it is written, also where it is UNWITNESSED.
    """
    from chalicelib.wiring import packets  # noqa: PLC0415 - other commands do without it

    held = services()
    period = _period(start, end, held.desk.clock.now())
    asked = Filter(
        tuple(sorted({str(names.target(one)) for one in target or ()})),
        tuple(sorted({_kind(one) for one in kind or ()})),
    )
    who = actor()
    with _written(file) as stream, reading("packet") as progress:
        size = held.log.size()
        closed = packets.close(held, period, who, progress)
        _check_targets(held, asked, closed)
        if closed.at >= size and not offline:
            _anchor(held)
        built = packets.make(held, period, asked, closed, out=stream, progress=progress)
        verdict = packets.check(stream, held.settings.policy, progress=progress)
        if verdict.fault is not None:  # what cannot be verified must not be handed out
            raise Malformed(
                f"the packet does not verify: {verdict.fault.file}: {verdict.fault.reason}",
                next_step="holdfast evidence fsck",
            )
        packets.record(held, built, who)  # before it can be taken
    if as_json:
        emit({"file": str(file), **_encode(verdict)})
        return
    _show(verdict)
    say(f"written to {file}", "bold")
    if verdict.answer is Answer.UNWITNESSED:
        say("next: holdfast evidence witness, then make the packet again", "bold")
    else:
        say(
            f"next: holdfast evidence verify {file}; others need --trust (evidence trust prints it)"
        )


@group.command("verify")
def verify(
    file: Annotated[Path, typer.Argument(help="The packet.")],
    trusted: Annotated[
        Path | None,
        typer.Option("--trust", help="A C2SP tlog-policy, or a file with the log's key alone."),
    ] = None,
    tsa: Annotated[
        Path | None, typer.Option(help="Root certificates (PEM) of time-stamping authorities.")
    ] = None,
    as_json: JsonFlag = False,
) -> None:
    """Verify a packet offline. VERIFIED: exit 0; FAILED: 1; UNWITNESSED, no quorum: 3."""
    from chalicelib.wiring import packets  # noqa: PLC0415 - as above

    policy = _policy(trusted)
    with _opened(file) as stream, reading("packet") as progress:
        verdict = packets.check(stream, policy, authorities=_authorities(tsa), progress=progress)
    if trusted is None and verdict.sealed:
        verdict = packets.erased_since(services(), verdict)
    if as_json:
        emit(_encode(verdict))
    else:
        _show(verdict)
        if trusted is None:
            say("trusted: what this installation's settings pin; its log: later erasures")
    finish(verdict.answer.exit_code)


def _anchor(held: Services) -> None:
    """Have the checkpoint that closes a period seen by others, as far as they can be reached.

    Raises: Fork, where a witness saw another history: nothing is to be handed out then.
    """
    try:
        if held.settings.policy.witnesses:
            said = trusting.ask(held, held.settings.policy.witnesses)
            for one in said.asked:
                if isinstance(one.error, Fork):
                    raise one.error
                if one.error is not None:
                    say(f"{one.witness.name}: {one.error.message}", "yellow")
        if held.settings.file.timestamp.url:
            stamping.ask(held, *stamping.authority(held.settings, "", None))
    except CouldNotTell as error:
        say(f"{error.message}; the packet is made without it", "yellow")


def _period(start: str, end: str, now: datetime) -> Period:
    """From the texts of the command line; what is left of today is not in it."""
    since, until = moment(start), moment(end)
    if not _YEARS[0] <= since.year <= until.year <= _YEARS[1]:
        raise UsageError(f"--from and --to lie in the years {_YEARS[0]} to {_YEARS[1]}, in order")
    if len(end) == _DAY_CHARACTERS:
        until += timedelta(days=1)
    if since >= now:
        raise UsageError(f"--from {start} is yet to come")
    if until > now:
        say(f"the period ends now, at {timestamp(now)}: what is yet to come is not in it")
        until = now
    if since >= until:
        raise UsageError(f"--from {start} does not come before --to {end}")
    return Period(timestamp(since), timestamp(until))


def _kind(text: str) -> str:
    """A kind of records, or the beginning of some up to a dot. Raises: UsageError."""
    if not any(f"{one}.".startswith(f"{text}.") for one in KINDS):
        raise UsageError(
            f"no kind of record {text[:80]!r}; known: {', '.join(sorted(KINDS))}",
            next_step="one of them, or what stands before its dot, e.g. finding",
        )
    return text


def _check_targets(held: Services, asked: Filter, closed: Closed) -> None:
    """Return if each target is known. Raises: NotFound: a misspelt name would look clean."""
    known = {one.name for one in closed.census.streams}
    known |= {one.stream for one in held.settings.targets()}
    for name in asked.targets:
        if name not in known:
            raise NotFound(
                f"no target {name} is configured, or has a record in the period",
                next_step="holdfast target ls",
            )


def _policy(path: Path | None) -> Policy:
    """Who is trusted: what the file says, else what this installation pins. Raises: UsageError."""
    if path is not None:
        try:
            return trust.parse(read_bounded(path))
        except Malformed as error:
            raise UsageError(f"{path}: {error.message}", next_step=error.next_step) from error
    loaded = settings_or_none()
    if loaded is None or not loaded.file.log.key:
        raise UsageError(
            "whom to trust is not known: a packet cannot vouch for its own key",
            next_step="--trust FILE, with the log's key or trust policy, from its operator "
            "and not from the packet",
        )
    return loaded.policy


def _authorities(path: Path | None) -> tuple[bytes, ...]:
    if path is None:
        loaded = settings_or_none()
        named = loaded.file.timestamp.roots if loaded is not None else ""
        if loaded is None or not named:
            return ()
        path = loaded.path.parent / named
    from chalicelib.evidence import timestamp as stamps  # noqa: PLC0415 - it loads OpenSSL

    try:
        return stamps.roots(read_bounded(path))
    except Malformed as error:
        raise UsageError(f"{path}: {error.message}", next_step=error.next_step) from error


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[BinaryIO]:
    if not path.is_file():  # a pipe would keep us waiting
        raise UsageError(f"{path} is no file")
    try:
        with path.open("rb") as stream:
            yield stream
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror}") from error


@contextlib.contextmanager
def _written(path: Path) -> Iterator[BinaryIO]:
    """A file that appears under its name when it is whole. Raises: UsageError, if it is there."""
    if path.exists() or path.is_symlink():
        raise UsageError(f"{path} is there already", next_step="another name, or remove it")
    folder = path.parent
    if not folder.is_dir():
        raise UsageError(f"{folder} is no folder")
    with (
        faults.translated("cannot write", path),
        tempfile.NamedTemporaryFile("w+b", dir=folder, prefix=f".{path.name}.") as stream,
    ):
        yield stream  # type: ignore[misc]  # the wrapper has the methods of what it wraps
        stream.flush()
        os.fsync(stream.fileno())
        Path(stream.name).chmod(0o644)
        try:
            path.hardlink_to(stream.name)
        except FileExistsError:
            raise UsageError(f"{path} came to be meanwhile; it was left as it is") from None


def _encode(verdict: Verdict) -> dict[str, Any]:
    head = verdict.manifest
    value: dict[str, Any] = {
        "verdict": verdict.answer.value,
        "packet": verdict.packet,
        "fault": msgspec.to_builtins(verdict.fault),
        "gaps": verdict.gaps,
        "targets": verdict.targets,
        "witnesses": {plain(name): at for name, at in verdict.witnesses.items()},
        "timestamps": [
            {"size": size, **msgspec.to_builtins(stamp)}
            for size, stamps in sorted(verdict.timestamps.items())
            for stamp in stamps
        ],
        "sealed": sum(verdict.sealed.values()),
        "erased": msgspec.to_builtins(verdict.erased),
        "unchecked": verdict.unchecked,
    }
    if head is not None:
        value["manifest"] = {**msgspec.to_builtins(head), "files": len(head.files)}
    if verdict.fork is not None:
        value["fork"] = {
            "ours": verdict.fork.ours.decode(),
            "theirs": verdict.fork.theirs.decode(),
            "proof": verdict.fork.proof.decode(),
        }
    return value


def _show(verdict: Verdict) -> None:
    """The answer on the first line, why, and what it rests on."""
    console, head, fault = out(), verdict.manifest, verdict.fault
    line = Text.assemble((verdict.answer.value, _STYLES[verdict.answer]))
    if head is not None:
        line.append(
            f"  {plain(head.origin)}: {head.period.start} up to {head.period.end}, "
            f"records {head.range.first} to {head.range.last - 1}, {head.records} shown"
        )
    console.print(line)
    if fault is not None:
        at = "" if fault.leaf is None else f", leaf {fault.leaf}"
        console.print(Text(f"  step {fault.step}: {plain(fault.file)}{at}: {plain(fault.reason)}"))
    if verdict.fork is not None:
        parts = (verdict.fork.ours, verdict.fork.theirs, verdict.fork.proof)
        for what, data in zip(("one note", "another note", "failed proof"), parts, strict=True):
            console.print(Text(f"{what}:\n{plain(data.decode(errors='replace'), lines=True)}"))
    for words, style in _rests_on(verdict):
        console.print(Text(f"  {plain(words)}", style))
    if len(verdict.gaps) > MAX_GAPS:
        say(f"and {len(verdict.gaps) - MAX_GAPS} more gaps; --json has all of them")
    for words in verdict.unchecked:
        say(f"not checked: {words}", "yellow")
    if verdict.answer is Answer.UNWITNESSED:
        say("it holds, but too few of your witnesses saw it: somebody else may see another log")


def _rests_on(verdict: Verdict) -> Iterator[tuple[str, str]]:
    """Lines, each with its style: coverage, gaps, erased persons, witnesses, timestamps."""
    for row in verdict.targets:
        yield _covered(row), ""
    for target, start, end, why in verdict.gaps[:MAX_GAPS]:
        yield f"UNOBSERVED  {target}  {start} to {end}: {why}", "yellow"
    for one in verdict.erased:
        values = count(one.values, "personal value")
        yield f"{values} of {one.subject}: erased on {one.at[:10]} by {one.by}", ""
    if verdict.sealed:
        yield f"{count(sum(verdict.sealed.values()), 'personal value')}, sealed", ""
    for name in verdict.witnesses:
        yield f"cosigned by {name}", ""
    for size, stamps in sorted(verdict.timestamps.items()):
        for stamp in stamps:
            yield f"size {size} was there by {stamp.at}, says {stamp.authority}", ""


def _covered(row: dict[str, Any]) -> str:
    outcomes = ", ".join(f"{number} {name}" for name, number in sorted(row["outcomes"].items()))
    return (
        f"{row['target']}: {row['expected']} expected, {row['observed']} observed"
        + (f" ({outcomes})" if outcomes else "")
        + (f", {row['pending']} pending" if row["pending"] else "")
        + f", {row['unobserved']} unobserved, {row['unscheduled']} unscheduled"
    )
