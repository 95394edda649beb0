"""``holdfast evidence packet`` and ``verify``: a period proven to whoever has a pinned key."""

from __future__ import annotations

import contextlib
import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import typer
from rich.text import Text

from chalicelib.api import packets as parts
from chalicelib.api.client import There
from chalicelib.api.exhibits import MakePacket, Packet
from chalicelib.cli import timestamp as stamping
from chalicelib.cli import trust as trusting
from chalicelib.cli.app import JsonFlag, actor, finish, services, settings_or_none
from chalicelib.cli.evidence import group
from chalicelib.cli.progress import reading
from chalicelib.cli.remote import done, of, remote, stream
from chalicelib.cli.text import count, emit, out, plain, say
from chalicelib.evidence import trust
from chalicelib.evidence.verdict import Answer
from chalicelib.kernel.errors import CouldNotTell, Fork, Malformed, UsageError
from chalicelib.local import faults
from chalicelib.settings import read_bounded

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime
    from typing import BinaryIO

    from chalicelib.evidence.manifest import Filter, Period
    from chalicelib.evidence.trust import Policy
    from chalicelib.evidence.verdict import Verdict
    from chalicelib.wiring import Services

MAX_GAPS = 20  # shown; --json has all of them
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
    once it is written, also where it is UNWITNESSED. Over the API a worker builds it, and asks
    nobody.
    """
    there = remote()
    if there is not None:
        if offline:
            raise UsageError(
                "whoever builds a packet for the API asks nobody", next_step="leave --offline out"
            )
        asked = MakePacket(start=start, end=end, targets=target or [], kinds=kind or [])
        _fetch(there, asked, file, as_json=as_json)
        return
    _write(
        start,
        end,
        file,
        parts.select([stream(one) for one in target or []], kind or []),
        offline=offline,
        as_json=as_json,
    )


def _write(
    start: str, end: str, file: Path, asked: Filter, *, offline: bool, as_json: bool
) -> None:
    """Build the packet here."""
    from chalicelib.wiring import packets  # noqa: PLC0415 - other commands do without it

    held = services()
    period = _period(start, end, held.desk.clock.now())
    who = actor()
    with written(file) as stream, reading("packet") as progress:
        size = held.log.size()
        closed = packets.close(held, period, who, progress)
        asked = parts.whole(held, asked, closed)
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


def _fetch(there: There, asked: MakePacket, file: Path, *, as_json: bool) -> None:
    """Have the packet built there, and fetch it; it is written only if it is what was built."""
    with written(file) as stream:
        job = there.do("packet_make", asked)
        told: Packet = done(there, "packet", job, "packet", f"GET /v1/packets/{job.id}")
        there.fetch(told, stream)
    if as_json:
        emit(
            {
                "file": str(file),
                "verdict": told.verdict,
                "packet": told.sha256,
                "file_sha256": told.file_sha256,
                "size_bytes": told.size_bytes,
                "records": told.records,
            }
        )
        return
    words = f"  {told.start} up to {told.end}, {told.records} records shown, says the API"
    verdict = of(told.verdict, Answer)
    out().print(Text.assemble((verdict.value, _STYLES[verdict]), plain(words)))
    say(f"written to {file}, {told.size_bytes} bytes, packet {told.sha256}", "bold")
    say(
        f"next: holdfast evidence verify {file} --trust FILE, with the log's key or trust policy "
        "from its operator"
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

    trust_policy = policy(trusted)
    with opened(file) as stream, reading("packet") as progress:
        verdict = packets.check(
            stream, trust_policy, authorities=authorities(tsa), progress=progress
        )
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
    found, cut = parts.period(start, end, now)
    if cut:
        say(f"the period ends now, at {found.end}: what is yet to come is not in it")
    return found


def policy(path: Path | None) -> Policy:
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


def authorities(path: Path | None) -> tuple[bytes, ...]:
    """The trusted certificates (DER) of a file, else of this installation. Raises: UsageError."""
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
def opened(path: Path) -> Iterator[BinaryIO]:
    """A file to be read. Raises: UsageError."""
    if not path.is_file():  # a pipe would keep us waiting
        raise UsageError(f"{path} is no file")
    try:
        stream = path.open("rb")
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror}") from error
    with stream:  # what goes wrong with it open may be another file's fault
        yield stream


@contextlib.contextmanager
def written(path: Path) -> Iterator[BinaryIO]:
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
