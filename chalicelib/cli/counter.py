"""The counter: the API of ``serve``, in threads of its own, over the same queue and journal."""

from __future__ import annotations

import importlib.util
import threading
from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

from chalicelib.api import jobs
from chalicelib.api.work import Bench, give_up, work
from chalicelib.cli import ticks
from chalicelib.kernel.errors import ConfigError, UsageError
from chalicelib.wiring import backend as backends
from chalicelib.wiring.local import pause

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from chalicelib.cli.bell import Bell
    from chalicelib.drift.desk import Desk
    from chalicelib.drift.schedule import Message
    from chalicelib.http.gate import Office
    from chalicelib.kernel.record import Journal
    from chalicelib.local.parcels import DirectoryParcels
    from chalicelib.local.queue import SqliteQueue
    from chalicelib.wiring import Services

MAX_PORT = 65_535


def address(text: str) -> tuple[str, int]:
    """The host and port of ``127.0.0.1:8420``. Raises: UsageError."""
    host, _, port = text.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not host or not port.isdecimal() or len(port) > len(str(MAX_PORT)) or int(port) > MAX_PORT:
        raise UsageError(f"--listen takes HOST:PORT, e.g. 127.0.0.1:8420; found {text[:80]!r}")
    return host, int(port)


def served_here() -> bool:
    """Whether the libraries that the API needs are installed."""
    return all(importlib.util.find_spec(name) is not None for name in ("chalice", "waitress"))


class _Ringing:
    """The queue, which wakes the service when something was sent."""

    def __init__(self, inner: SqliteQueue, bell: Bell) -> None:
        self._inner = inner
        self._bell = bell

    def send(self, messages: Sequence[Message]) -> None:
        """All of them, durably; then the bell."""
        self._inner.send(messages)
        self._bell.ring()


class Counter:
    """Everything of the API in this process. ``held`` gives the services as they are configured."""

    def __init__(
        self, held: Callable[[], Services], queue: SqliteQueue, bell: Bell, journal: Journal
    ) -> None:
        self._held = held
        self._queue = _Ringing(queue, bell)
        self._journal = journal
        self._lock = threading.Lock()
        self._office: tuple[Services, Office] | None = None

    def office(self) -> Office:
        """What requests are answered with now: another, when the settings are others."""
        from chalicelib.http.office import office  # noqa: PLC0415 - only where it is served

        held = self._held()
        with self._lock:
            if self._office is None or self._office[0] is not held:
                ours = replace(held, desk=replace(held.desk, journal=self._journal))
                made = office(ours, backends.local(ours, self._queue), pause)
                self._office = (held, made)
            return self._office[1]

    def other(self, message: Message, desk: Desk, dead: bool) -> list[dict[str, Any]] | None:
        """Do a job's message; None for one that is about none. Raises: as ``api.work.work``."""
        job = jobs.decode(message.body)
        if job is None:
            return None
        office = self.office()
        services = office.services

        def open_source(target: Any) -> Any:
            return services.reader(target)

        bench = Bench(services, desk, office.backend, open_source)
        done = give_up(bench, job) if dead else work(bench, job)
        line: dict[str, Any] = {"event": "job", "job": job, "state": "gone"}
        if done is None:
            return [line]
        one, told = done.job, done.events(services.verifier.name)
        line |= {"kind": one.kind, "target": one.target, "by": one.principal, "state": one.state}
        if one.failure is not None:
            line["error"] = one.failure.code
        return [line, *ticks.told(told, {})]

    def open(self, listen: tuple[str, int], tell: Callable[[dict[str, Any]], None]) -> Any:
        """A server that listens; its thread ends with the process.

        Raises: ConfigError, without the extra; StoreUnavailable, where it cannot listen.
        """
        if not served_here():
            raise ConfigError(
                "the API needs libraries that are not installed",
                next_step="pip install 'holdfast[api]', or serve without it: --no-api",
            )
        from chalicelib.http import server  # noqa: PLC0415 - only where it is served
        from chalicelib.http.gate import Gate  # noqa: PLC0415 - likewise
        from chalicelib.http.office import application  # noqa: PLC0415 - likewise

        office = self.office()  # what is wrong with the settings is said before anybody connects
        gate = Gate(self.office, tell)
        served = server.Application(
            application(lambda: gate),
            lambda: cast("DirectoryParcels", self.office().backend.parcels),
            office.services.settings.file.api.hosts,
        )
        made = server.serve(served, listen)
        threading.Thread(target=made.run, daemon=True).start()
        return made
