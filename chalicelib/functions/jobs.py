"""Jobs in a function: those that the API put into a queue, done and told."""

from __future__ import annotations

import functools
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from chalicelib.api import jobs
from chalicelib.api.work import Bench, give_up, work
from chalicelib.aws import session
from chalicelib.functions import host, runtime
from chalicelib.kernel.errors import HoldfastError
from chalicelib.wiring import backend

if TYPE_CHECKING:
    from collections.abc import Callable

    from chalicelib.drift.desk import Target
    from chalicelib.drift.source import Known, Reading, Source
    from chalicelib.wiring import Services

READ_SECONDS: Final = 240.0  # of a target, for somebody who waits; a batch has more time


def done(body: str, *, dead: bool = False) -> bool:
    """Whether the message was about a job; then it is done, or was over; ``dead``: it has failed.

    Raises: Malformed; Busy, Conflict, StoreUnavailable, Fork: then it is to come again.
    """
    job = jobs.decode(body.encode())
    if job is None:
        return False
    try:
        found = give_up(bench(), job) if dead else work(bench(), job)
    except HoldfastError as error:
        said = {"job": job, "code": error.code, "reason": error.message}
        runtime.logger.warning("to come again", extra=said)
        raise
    if found is not None:
        runtime.publish(found.events(runtime.services().verifier.name))
        runtime.count("Jobs")
    said = {"job": job, "state": "over" if found is None else found.job.state}
    runtime.logger.info("worked off", extra=said)
    return True


class _Placed:
    """A source that is read in one of its host's places."""

    def __init__(self, services: Services, where: str, inner: Source) -> None:
        self._services = services
        self._where = where
        self._inner = inner

    def read(
        self, progress: Callable[[str, int, int], None], known: Known | None = None
    ) -> Reading:
        places = self._services.settings.file.postgres.scans_per_host
        with host.place(self._services.desk.locks, self._where, places, session.pause):
            return self._inner.read(progress, known)


@functools.cache
def bench() -> Bench:
    """What jobs are done with in this process."""
    services = replace(runtime.services(), desk=runtime.desk())

    def open_source(target: Target) -> Source:
        return _Placed(services, services.host(target), services.reader(target, READ_SECONDS))

    return Bench(services, runtime.desk(), backend.on_aws(services), open_source)
