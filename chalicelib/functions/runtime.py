"""What every function shares: the services of this process, its log, its metrics, its actor.

The services are connected once in the life of a process, by the first event: an import does no
input or output, so that packaging and tests can import a function without AWS.
"""

from __future__ import annotations

import dataclasses
import functools
import os
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit

from chalicelib import settings, wiring
from chalicelib.drift import schedule
from chalicelib.evidence.group import GroupJournal
from chalicelib.kernel.errors import ConfigError, NotFound
from chalicelib.kernel.record import Actor

if TYPE_CHECKING:
    from collections.abc import Iterator

    from chalicelib.drift.desk import Desk, Target
    from chalicelib.drift.schedule import Done, Order
    from chalicelib.settings import Settings
    from chalicelib.wiring import Services

GATHER_SECONDS = 5.0  # one append for a batch is worth so much of a function's time
ACTOR = Actor("holdfast", "schedule")

logger = Logger(service="holdfast")
metrics = Metrics(namespace="Holdfast", service="holdfast")


class Context(Protocol):
    """What is used of Lambda's context object."""

    aws_request_id: str

    def get_remaining_time_in_millis(self) -> int:
        """Until the function is stopped."""
        ...


@functools.cache
def loaded() -> Settings:
    """The settings that the function was deployed with. Raises: ConfigError."""
    root = Path(os.environ.get("LAMBDA_TASK_ROOT", "."))
    found = settings.load_compiled(root / settings.COMPILED_NAME)
    if found.file.aws is None:
        raise ConfigError(f"{found.path} has no [aws] section", next_step="deploy again")
    return found


@functools.cache
def services() -> Services:
    """The services of this process. Raises: ConfigError, KeyUnusable, StoreUnavailable."""
    return wiring.connect(loaded())


@functools.cache
def desk() -> Desk:
    """The desk, whose journal puts the appends of threads together."""
    return dataclasses.replace(services().desk, journal=journal())


@functools.cache
def journal() -> GroupJournal:
    """The journal of this process."""
    return GroupJournal(services().desk.journal, gather_seconds=GATHER_SECONDS)


def target_of(order: Order) -> Target | None:
    """The target of an order; None where it is not configured any more."""
    try:
        return loaded().target(order.target)
    except NotFound:
        logger.warning("not configured any more", extra={"target": order.target})
        return None


def tell(done: Done, order: Order) -> None:
    """What came of an order: to the log, to the metrics, and to the world.

    Raises: StoreUnavailable, when the world was not told: then the order is to come again.
    """
    outcome = done.outcome.value if done.outcome else "missed"
    said: dict[str, Any] = {
        "target": done.target,
        "scheduled_at": order.scheduled_at,
        "outcome": outcome,
        "repeated": done.repeated,
        "record": done.entries[-1].index if done.entries else None,
    }
    if done.entries and "failure" in done.entries[-1].body:
        said["failure"] = done.entries[-1].body["failure"]["code"]
    events = schedule.events(done, services().verifier.name)
    publish(events)
    if not done.repeated:
        count("Scans")
        if outcome != "clean":
            count(outcome.capitalize())
    logger.info("scanned", extra=said | {"events": len(events)})


def publish(events: list[schedule.Event]) -> None:
    """Tell the world. Raises: StoreUnavailable, when it was not told."""
    _bus().publish(events)


@contextmanager
def measured() -> Iterator[None]:
    """A block whose metrics are written when it ends, however it ends."""
    try:
        yield
    finally:
        if metrics.metric_set:
            metrics.flush_metrics()


def count(name: str) -> None:
    """One more of a metric."""
    metrics.add_metric(name=name, unit=MetricUnit.Count, value=1)


@functools.cache
def _bus() -> schedule.Events:
    from chalicelib.aws import session  # noqa: PLC0415 - not every function tells the world
    from chalicelib.aws.events import EventBridgeEvents  # noqa: PLC0415
    from chalicelib.wiring import cloud  # noqa: PLC0415

    section = cloud.section(loaded())
    found = cloud.where(section)
    return EventBridgeEvents(
        cloud.of(section).client("events"), found.event_bus, pause=session.pause
    )
