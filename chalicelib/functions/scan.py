"""The function ``scan``: orders from the queue → scans, recorded and told.

A target is read until its deadline, or until shortly before the function is stopped, whichever is
first: then it is unknown, which is recorded. One database host is read by a bounded number of scans
at a time, over all functions.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

from chalicelib.aws import session
from chalicelib.drift import schedule
from chalicelib.functions import host, orders, runtime
from chalicelib.kernel.errors import (
    AuthenticationFailed,
    CouldNotTell,
    Overdue,
    Unreachable,
    UsageError,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from chalicelib.drift.desk import Target
    from chalicelib.drift.schedule import Done, Order
    from chalicelib.drift.source import Known, Reading, Source

RESERVED_SECONDS = 40.0  # of the function's time: to diff, judge, record and tell


def scan(event: Mapping[str, Any], context: runtime.Context) -> Any:
    """Scan the targets of a batch; the answer names the messages that are to come again."""
    return orders.each(event, context, functools.partial(_scan, context))


def _scan(context: runtime.Context, target: Target, order: Order) -> Done:
    seconds = schedule.seconds_left(runtime.desk(), order)
    if seconds <= 0:
        return _work(target, order, schedule.overdue(target, order, "it waited too long"))
    try:
        where = runtime.services().host(target)
    except CouldNotTell as error:
        return _work(target, order, error)
    except UsageError as error:
        return _work(target, order, Unreachable(error.message, next_step=error.next_step))
    places = runtime.loaded().file.postgres.scans_per_host
    with host.place(runtime.desk().locks, where, places, session.pause):
        left = context.get_remaining_time_in_millis() / 1_000 - RESERVED_SECONDS
        seconds = min(schedule.seconds_left(runtime.desk(), order), left)
        if seconds <= 0:
            raise Overdue("no time is left to read it in this run", next_step="it comes again")
        try:
            source = runtime.services().reader(target, seconds)
        except CouldNotTell as error:
            return _work(target, order, error)
        except UsageError as error:
            return _work(target, order, Unreachable(error.message, next_step=error.next_step))
        return _work(target, order, _Source(target, source))


def _work(target: Target, order: Order, source: Source | CouldNotTell) -> Done:
    return schedule.work(runtime.desk(), target, order, source, actor=runtime.ACTOR)


class _Source:
    """A source whose secret is asked for anew after the target refused it: it may be rotated."""

    def __init__(self, target: Target, inner: Source) -> None:
        self._target = target
        self._inner = inner

    def read(
        self, progress: Callable[[str, int, int], None], known: Known | None = None
    ) -> Reading:
        try:
            return self._inner.read(progress, known)
        except AuthenticationFailed:
            services = runtime.services()
            if services.vault is not None:
                services.vault.refused(services.settings.file.targets[self._target.slug])
            raise
