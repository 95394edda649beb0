"""``holdfast serve``: the schedule, the queue and the workers on one machine, without AWS."""

from __future__ import annotations

import contextlib
import json
import secrets
import sys
import threading
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any

import typer

from chalicelib.cli import duration
from chalicelib.cli.app import actor, app, finish, load_settings, services
from chalicelib.cli.bell import ThreadBell
from chalicelib.cli.counter import Counter, address, served_here
from chalicelib.cli.installation import Installation
from chalicelib.cli.service import GRACE_SECONDS, Service
from chalicelib.cli.signals import stopped_by_signals
from chalicelib.cli.spoken import ADD_ONE, NO_TARGETS, Words
from chalicelib.cli.sweeper import Sweeper
from chalicelib.cli.teller import Teller
from chalicelib.cli.text import say
from chalicelib.evidence.group import GroupJournal
from chalicelib.kernel.errors import ConfigError, UsageError
from chalicelib.local.queue import SqliteQueue

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from chalicelib.drift.desk import Desk, Target
    from chalicelib.drift.schedule import Message
    from chalicelib.drift.source import Source
    from chalicelib.wiring import Services

LOCK = "serve"
QUEUE_FILE = "queue.db"
MAX_WORKERS = 64  # threads of one interpreter; more of them scan no faster


@app.command("serve")
def serve_command(
    every: Annotated[
        str, typer.Option(help="The period of the schedule, 1m to 24h; ticks are multiples of it.")
    ] = "15m",
    workers: Annotated[
        int, typer.Option(min=1, max=MAX_WORKERS, help="Scans at once, at most.")
    ] = 4,
    once: Annotated[
        bool, typer.Option("--once", help="One tick, and what the queue has left; then exit.")
    ] = False,
    listen: Annotated[
        str, typer.Option(help="Where the API is, HOST:PORT; TLS beyond this machine is a proxy's.")
    ] = "127.0.0.1:8420",
    api: Annotated[
        bool | None,
        typer.Option("--api/--no-api", help="The API; by default, where its extra is installed."),
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="One JSON document a line on stdout.")
    ] = False,
) -> None:
    """Scan every target on a schedule, and serve the API, until SIGTERM or SIGINT.

    A second one ends at once. Exit 0 when stopped. With --once there is no API, and what is
    recorded for the tick decides: 0 clean, 1 findings, 3 unknown.
    """
    period, where = duration.period(every), address(listen)
    held = services()
    if held.settings.file.aws is not None:
        raise UsageError(
            "the settings name a stack on AWS, which has a schedule of its own",
            next_step="holdfast scan scans now; serve runs on a store in a folder",
        )
    if once and not held.settings.file.targets:
        raise UsageError(NO_TARGETS, next_step=ADD_ONE)
    bounds = held.settings.file.postgres
    scan_seconds = bounds.scan_timeout_seconds + bounds.connect_timeout_seconds
    with held.desk.locks.hold(LOCK):
        orders = SqliteQueue(
            held.settings.store_path / QUEUE_FILE,
            held.desk.clock,
            visibility_seconds=2.0 * scan_seconds + GRACE_SECONDS,
        )
        bell, journal = ThreadBell(), GroupJournal(held.desk.journal)
        configured = _Configured(held)
        counter = Counter(configured.services, orders, bell, journal)
        configured.other = counter.other
        emit = _Lines() if as_json else Words(held.desk.clock)
        service = Service(
            installation=configured,
            orders=orders,
            clock=held.desk.clock,
            bell=bell,
            emit=emit,
            journal=journal,
            jitter=lambda: secrets.randbelow(1_000) / 1_000,
            actor=actor(),
            period=period,
            workers=workers,
            per_place=bounds.scans_per_host,
            once=once,
        )
        sweeper = Sweeper(configured.services, journal, emit, time.monotonic)
        teller = Teller(configured.services, journal, emit)
        if once:
            for one in sweeper.look():
                one.join()
            teller.once()
        else:
            sweeper.start()
            teller.start()
        if api is None and not once and not served_here():
            say("without the API, whose extra is not there: pip install 'holdfast[api]'", "dim")
        elif api is not False and not once:
            made = counter.open(where, emit)  # ends with the process: what was answered is durable
            at = listen if where[1] else f"{listen.rpartition(':')[0]}:{made.effective_port}"
            emit({"event": "listening", "url": f"http://{at}"})
        with stopped_by_signals(service.stop):
            code = service.run()
        sweeper.stop()
        teller.stop()
    finish(code)


class _Configured:
    """What is configured now: the settings are read again at every tick, and kept if unchanged.

    For the API they are read again as soon as one of their files is another.
    """

    def __init__(self, held: Services) -> None:
        self._lock = threading.Lock()
        self._held = held
        self._found = _installation(held)
        self._files = _files(held)
        self.other: Callable[[Message, Desk, bool], list[dict[str, Any]] | None] | None = None

    def services(self) -> Services:
        """The services of the settings as they are; as they were, where they cannot be read."""
        with self._lock:
            files = _files(self._held)
            if files != self._files:
                self._files = files
                with contextlib.suppress(ConfigError):  # the next tick says what is wrong
                    self._reload()
            return self._held

    def __call__(self) -> Installation:
        with self._lock:
            self._reload()
            if self._found.other is not self.other:
                self._found = replace(self._found, other=self.other)
            return self._found

    def _reload(self) -> None:
        loaded = load_settings()
        if loaded.sha256 == self._found.settings_sha256:
            return
        old, new = self._held.settings.file, loaded.file
        if (old.store, old.log, old.aws) != (new.store, new.log, new.aws):
            raise ConfigError(
                f"{loaded.path}: another store or log key than the service runs on",
                next_step="stop the service and start it again",
            )
        held = services()
        self._found = _installation(held)
        self._held, self._files = held, _files(held)


def _files(held: Services) -> list[tuple[int, ...]]:
    """What tells each file of the settings from the same file when it was another."""
    loaded = held.settings
    named = [*loaded.file.rules.files, *loaded.file.policy.files, loaded.file.log.witnesses]
    found: list[tuple[int, ...]] = []
    for path in [loaded.path, *(loaded.path.parent / one for one in named if one)]:
        try:
            state = path.stat()
        except OSError:
            found.append(())
        else:
            found.append((state.st_ino, state.st_size, state.st_mtime_ns))
    return found


def _installation(held: Services) -> Installation:
    targets = {target.stream: target for target in held.settings.targets()}

    def open_source(target: Target, seconds: float) -> Source:
        return held.reader(target, seconds)

    return Installation(
        desk=held.desk,
        targets=targets,
        places=_places(held, targets),
        open_source=open_source,
        settings_sha256=held.settings.sha256,
    )


def _places(held: Services, targets: Mapping[str, Target]) -> dict[str, str]:
    """The targets' database hosts. One whose DSN is no DSN has none, and its scan says why."""
    places = {}
    for name, target in targets.items():
        try:
            places[name] = held.host(target)
        except UsageError:
            continue
    return places


class _Lines:
    """Every line of the service as one line of JSON on stdout, whole and at once."""

    def __init__(self) -> None:
        self._lock = threading.Lock()

    def __call__(self, line: dict[str, Any]) -> None:
        text = json.dumps(line).replace("\x7f", "\\u007f")
        with self._lock:
            sys.stdout.write(text + "\n")
            sys.stdout.flush()
