"""``holdfast witness``: a witness that an auditor runs, without a store or settings of ours."""

from __future__ import annotations

import base64
import json
import re
import sys
import threading
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from chalicelib.cli import table
from chalicelib.cli.app import JsonFlag, app
from chalicelib.cli.signals import stopped_by_signals
from chalicelib.cli.text import emit, plain, say
from chalicelib.evidence import note, trust
from chalicelib.evidence.keys import LogKey
from chalicelib.evidence.trust import Policy
from chalicelib.kernel.errors import Malformed, UsageError
from chalicelib.settings import read_bounded
from chalicelib.wiring import witness as wiring

if TYPE_CHECKING:
    from collections.abc import Callable

    from chalicelib.evidence.witness import Seen

group = typer.Typer(no_args_is_help=True, help="A witness of logs, run by whoever audits them.")
app.add_typer(group, name="witness")

_ADDRESS = re.compile(r"(\[[0-9a-f:.]+\]|[0-9A-Za-z.-]+):([0-9]{1,5})")
_MAX_PORT = 65_535

FolderOption = Annotated[
    Path, typer.Option(help="Where the witness's key and memory are; back it up as one.")
]
FOLDER = Path("holdfast-witness")


@group.command("init")
def init(
    name: Annotated[
        str, typer.Option(help="Its name, like a URL without scheme: witness.example.com/w1.")
    ],
    log: Annotated[
        list[str], typer.Option(help="A log to watch: its verifier key, or a tlog-policy file.")
    ],
    folder: FolderOption = FOLDER,
    as_json: JsonFlag = False,
) -> None:
    """Make a witness: a new key, an empty memory, and the logs that it watches."""
    own = wiring.create(folder, name, Policy(logs=tuple(one for x in log for one in _logs(x))))
    if as_json:
        emit({"key": str(own), "folder": str(folder)})
    else:
        sys.stdout.write(plain(str(own)) + "\n")
    say(f"made in {folder}; give this key to the log's operator", "bold")
    say(f"next: holdfast witness serve --folder {folder}")


@group.command("key")
def key(folder: FolderOption = FOLDER, as_json: JsonFlag = False) -> None:
    """Print the verifier key that others pin."""
    own = wiring.verifier(folder)
    if as_json:
        emit({"name": own.name, "key": str(own)})
    else:
        sys.stdout.write(plain(str(own)) + "\n")


@group.command("ls")
def ls(folder: FolderOption = FOLDER, as_json: JsonFlag = False) -> None:
    """List the logs with the checkpoint cosigned last, and the requests that contradicted one."""
    held = wiring.witness(folder, say)
    found = [_listed(held.latest(origin), origin) for origin in held.origins]
    for one in found:
        one["refused"] = [
            {
                "kind": kept.kind,
                "request": base64.b64encode(kept.request).decode(),
                "contradicts": kept.latest.decode(),
            }
            for kept in held.refused(one["origin"])
        ]
    if as_json:
        emit(found)
        return
    headings = ["log", "size", "root", "cosigned at", "refused"]
    cells = [
        [one["origin"], str(one["size"]), one["root"], one["at"], str(len(one["refused"]))]
        for one in found
    ]
    table.grid(headings, cells)
    for one in found:
        if one["refused"]:
            say(f"{one['origin']}: --json shows what was refused; docs/witness.md", "bold yellow")


@group.command("serve")
def serve(
    listen: Annotated[str, typer.Option(help="Address and port; port 0 takes a free one.")] = (
        "127.0.0.1:8080"
    ),
    folder: FolderOption = FOLDER,
    as_json: Annotated[
        bool, typer.Option("--json", help="One JSON document a line on stdout.")
    ] = False,
) -> None:
    """Answer add-checkpoint (C2SP tlog-witness) until SIGTERM or SIGINT."""
    lines = _Lines(as_json=as_json)
    server = wiring.server(folder, _address(listen), lines.tell)
    host, port = server.server_address[0], server.server_port
    where = f"http://[{host!s}]:{port}" if ":" in str(host) else f"http://{host!s}:{port}"
    lines(
        {"event": "listening", "url": where, "key": str(server.witness.verifier)},
        f"{server.witness.verifier} at {where} for {', '.join(server.witness.origins)}",
    )
    with stopped_by_signals(lambda: _aside(server.shutdown)):
        server.serve_forever()
    server.server_close()
    lines({"event": "stopped"}, "stopped")


class _Lines:
    """What the service says: words on stderr, or a JSON document a line on stdout."""

    def __init__(self, *, as_json: bool) -> None:
        self._json = as_json
        self._lock = threading.Lock()

    def __call__(self, line: dict[str, Any], words: str) -> None:
        with self._lock:
            if not self._json:
                say(words)
                return
            sys.stdout.write(json.dumps(line).replace("\x7f", "\\u007f") + "\n")
            sys.stdout.flush()

    def tell(self, words: str) -> None:
        self({"event": "said", "line": words}, words)


def _aside(stop: Callable[[], None]) -> None:
    """Stop from another thread: the loop, which handles signals, would wait for itself."""
    threading.Thread(target=stop, daemon=True).start()


def _logs(text: str) -> tuple[LogKey, ...]:
    """The logs of a verifier key or of a policy file. Raises: UsageError."""
    path = Path(text)
    try:
        if "+" in text and not path.is_file():
            return (LogKey(note.parse_vkey(text)),)
        return trust.parse(read_bounded(path)).logs
    except Malformed as error:
        raise UsageError(f"--log {text[:80]!r}: {error.message}") from error


def _listed(seen: Seen | None, origin: str) -> dict[str, Any]:
    if seen is None:
        return {"origin": origin, "size": 0, "root": "", "at": "", "note": ""}
    return {
        "origin": origin,
        "size": seen.checkpoint.size,
        "root": seen.checkpoint.root.hex(),
        "at": moment(seen.at),
        "note": seen.note.decode(),
    }


def moment(at: int) -> str:
    """Seconds since 1970 as people read them; as they are, where no calendar has them."""
    try:
        return datetime.fromtimestamp(at, tz=UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    except (ValueError, OverflowError, OSError):
        return f"{at} s"


def _address(text: str) -> tuple[str, int]:
    found = _ADDRESS.fullmatch(text)
    if found is None or int(found[2]) > _MAX_PORT:
        raise UsageError(
            f"--listen: expected HOST:PORT, found {text[:80]!r}", next_step="e.g. 127.0.0.1:8080"
        )
    return found[1].strip("[]"), int(found[2])
