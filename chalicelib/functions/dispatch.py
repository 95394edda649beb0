"""The function ``dispatch``: a tick of the schedule → an order for every target.

EventBridge delivers a tick at least once, and Lambda tries again what fails: the same tick sends
the same orders, and is recorded once.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from chalicelib.aws import session
from chalicelib.aws.queue import SqsQueue
from chalicelib.drift import schedule
from chalicelib.functions import runtime
from chalicelib.kernel.errors import Malformed, VerificationFailed
from chalicelib.wiring import cloud

if TYPE_CHECKING:
    from collections.abc import Mapping


def dispatch(event: Mapping[str, Any], context: runtime.Context) -> dict[str, Any]:
    """Send and record the orders of a tick. Raises: Malformed, for another event; CouldNotTell."""
    scheduled_at = _time(event)
    section = cloud.section(runtime.loaded())
    found = cloud.where(section)
    with runtime.measured():
        try:
            sent = schedule.dispatch(
                runtime.desk(),
                runtime.loaded().targets(),
                SqsQueue(cloud.of(section).client("sqs"), found.scan_queue, pause=session.pause),
                scheduled_at=scheduled_at,
                period=timedelta(minutes=found.period_minutes),
                actor=runtime.ACTOR,
                settings_sha256=runtime.loaded().sha256,
            )
        except VerificationFailed:
            runtime.count("Forks")
            raise
        runtime.count("Dispatched")
    said = {"scheduled_at": scheduled_at.isoformat(), "targets": sent}
    runtime.logger.info("dispatched", extra={**said, "request": context.aws_request_id})
    return said


def _time(event: Mapping[str, Any]) -> datetime:
    """The moment that the schedule meant. Source: EventBridge, "Events", ``time``."""
    text = event.get("time")
    try:
        return datetime.strptime(str(text), "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
    except ValueError:
        raise Malformed(f"not an event of a schedule: its time is {text!r:.80}") from None
