"""``holdfast snapshot`` and ``holdfast diff``: look and compare, without recording anything."""

from __future__ import annotations

import os
import secrets
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from chalicelib import settings, wiring
from chalicelib.cli import table
from chalicelib.cli.app import JsonFlag, app, finish, services, settings_or_none
from chalicelib.cli.progress import reading
from chalicelib.cli.scan import is_dsn
from chalicelib.cli.text import emit, plain, say
from chalicelib.drift import finding, snapshot
from chalicelib.drift.approval import verified
from chalicelib.drift.diff import Operation, diff
from chalicelib.drift.finding import Disposition, When, find
from chalicelib.drift.judge import judge
from chalicelib.drift.look import look
from chalicelib.drift.meaning import Meanings
from chalicelib.drift.snapshot import Snapshot
from chalicelib.drift.source import Source
from chalicelib.kernel.errors import Malformed, StoreUnavailable, UsageError

MAX_SNAPSHOT_BYTES = 4 * 2**30
_PROCESS_SECRET = secrets.token_bytes(32)
Side = Annotated[
    str, typer.Argument(help="A DSN, a snapshot file, or a target's name (its baseline).")
]


@app.command("snapshot")
def snapshot_command(
    target: Annotated[str, typer.Argument(metavar="TARGET|DSN")],
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="The file; else standard output.")
    ] = None,
) -> None:
    """Print a snapshot, one canonical JSON line an object. Records nothing."""
    if is_dsn(target):
        source: Source = wiring.source(target, settings.PostgresSection(), _conceal(None))
    else:
        held = services()
        source = held.reader(held.settings.target(target))
    with reading("snapshot") as progress:
        taken, _ = look(source, progress)
    if output is None and sys.stdout.isatty():
        for one in taken.objects.values():
            sys.stdout.write(plain(one.line.decode()) + "\n")
    elif output is None:
        sys.stdout.buffer.write(taken.data)
        sys.stdout.buffer.flush()
    else:
        _write_new(output, taken.data)
    say(f"{len(taken.objects)} objects, root {taken.root.hex()}")


def _write_new(path: Path, data: bytes) -> None:
    try:
        with path.open("xb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
    except FileExistsError:
        raise UsageError(f"{path} is there already; nothing was written") from None
    except OSError as error:
        path.unlink(missing_ok=True)
        raise StoreUnavailable(f"cannot write {path}: {error.strerror}") from error


@app.command("diff")
def diff_command(before: Side, after: Side, as_json: JsonFlag = False) -> None:
    """Compare two states and judge the difference. Records nothing. Exit 0 equal, 1 not."""
    # One key for both sides: secrets that differ look different, and stay unknown. A file was
    # written without it.
    key = _PROCESS_SECRET if is_dsn(before) and is_dsn(after) else None
    old, new = _side(before, key), _side(after, key)
    rules = _rules()
    meanings = Meanings(old, new)
    found = []
    for change in diff(old, new):
        meaning = meanings.of(change)
        judgement = judge(change, rules, meaning)
        found.append(find("diff", change, judgement, When(not_after=""), meaning))
    unknown = any(one.operation is Operation.UNREADABLE for one in found)
    code = 1 if any(one.certain for one in found) else (3 if unknown else 0)
    if as_json:
        emit(
            {
                "exit_code": code,
                "before": old.root.hex(),
                "after": new.root.hex(),
                "findings": [finding.encode(one) for one in found],
            }
        )
    else:
        table.findings([(one, Disposition.OPEN) for one in found])
        say(f"{len(found)} differences; roots {old.root.hex()} and {new.root.hex()}")
    finish(code)


def _side(text: str, key: bytes | None) -> Snapshot:
    if is_dsn(text):
        with reading("snapshot") as progress:
            source = wiring.source(text, settings.PostgresSection(), _conceal(key))
            return look(source, progress)[0]
    path = Path(text)
    if path.is_file():
        if path.stat().st_size > MAX_SNAPSHOT_BYTES:
            raise UsageError(f"{path} is larger than {MAX_SNAPSHOT_BYTES} bytes")
        try:
            return snapshot.parse(path.read_bytes())
        except Malformed as error:
            raise UsageError(f"{path} is no snapshot: {error.message}") from error
    if "/" in text or settings_or_none() is None:
        raise UsageError(
            f"no such file: {text}", next_step="give a DSN, a snapshot file, or a target's name"
        )
    held = services()
    target = held.settings.target(text)
    return verified(held.desk, target, held.desk.states.get(target.stream)).snapshot


def _rules() -> wiring.Rules:
    """The user's rules where there are settings, else the shipped ones."""
    return wiring.rules(settings_or_none())


def _conceal(otherwise: bytes | None) -> Callable[[str], str]:
    """The installation's keyed digests where there is one; else those of another key, or none."""
    found = settings_or_none()
    return wiring.concealed(otherwise if found is None else wiring.connect(found).secret)
