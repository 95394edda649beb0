"""The function ``overdue``: orders that no worker finished → targets that are unknown.

They come from the dead-letter queue, after every attempt ended without an answer: the function was
killed, ran out of memory, or could not write. A target in that state must not look clean.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from chalicelib.drift import schedule
from chalicelib.functions import orders, runtime
from chalicelib.kernel.errors import NotAllowed

if TYPE_CHECKING:
    from collections.abc import Mapping

    from chalicelib.drift.desk import Target
    from chalicelib.drift.schedule import Done, Order


def overdue(event: Mapping[str, Any], context: runtime.Context) -> Any:
    """Record what the orders of a batch came to; the answer names those that are to come again."""
    return orders.each(event, context, _give_up, dead=True)


def _give_up(target: Target, order: Order) -> Done:
    reason = schedule.overdue(target, order, "every attempt ended without an answer")
    try:
        done = schedule.work(runtime.desk(), target, order, reason, actor=runtime.ACTOR)
    except NotAllowed as error:  # of a time that is yet to come, after every attempt
        runtime.count("NoOrder")
        runtime.logger.error("no order; dropped", extra={"code": error.code, "why": error.message})
        return schedule.Done(target.stream, None, [], repeated=True)
    if not done.repeated:
        runtime.count("Overdue")
    return done
