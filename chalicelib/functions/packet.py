"""The function ``packet``: a job from the queue → a packet that waits to be fetched."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from chalicelib.functions import jobs, orders, runtime
from chalicelib.kernel.errors import Malformed

if TYPE_CHECKING:
    from collections.abc import Mapping


def packet(event: Mapping[str, Any], context: runtime.Context) -> Any:
    """Build what the messages of a batch ask for; the answer names those that come again."""
    jobs.bench()  # connected once, and not by a thread
    with runtime.measured():
        return orders.work_off(event, context, _build)


def _build(body: str) -> None:
    try:
        known = jobs.done(body)
    except Malformed:
        known = False
    if not known:  # it will be about no job at the next delivery either
        runtime.count("NoOrder")
        runtime.logger.error("no job; dropped", extra={"body": body[:300]})
