"""A batch of orders from a queue: each by itself, those of one target in order, failures alone.

Powertools answers Lambda with the messages that failed, which come again; the others are done.
Orders of different targets run at once, so that a slow one delays no other, and share the appends
to the log. When one fails, later ones of its target fail too, so that they keep their order.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, cast

from aws_lambda_powertools.utilities.batch import (
    AsyncBatchProcessor,
    EventType,
    async_process_partial_response,
)

from chalicelib.drift import schedule
from chalicelib.functions import runtime
from chalicelib.kernel.errors import Busy, Conflict, HoldfastError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord
    from aws_lambda_powertools.utilities.typing import LambdaContext

    from chalicelib.drift.desk import Target
    from chalicelib.drift.schedule import Done, Order

MAX_AT_ONCE = 10  # what Lambda takes from a FIFO queue at a time


def work_off(
    event: Mapping[str, Any],
    context: runtime.Context,
    work: Callable[[Target, Order], Done],
) -> Any:
    """The answer to Lambda: the messages whose orders are to come again."""
    runtime.desk()  # connected once, and not by ten threads
    turns: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
    failed: set[str] = set()
    with ThreadPoolExecutor(MAX_AT_ONCE) as pool, runtime.measured():

        async def handle(record: SQSRecord) -> None:
            group = record.attributes.message_group_id or ""
            async with turns[group]:
                if group in failed:
                    raise Busy(f"an earlier order of {group} is to come again first")
                failed.add(group)
                loop = asyncio.get_running_loop()
                await loop.run_in_executor(pool, _run, record.body, work)
                failed.discard(group)

        return async_process_partial_response(
            event=dict(event),
            record_handler=handle,
            processor=AsyncBatchProcessor(event_type=EventType.SQS),
            context=cast("LambdaContext", context),
        )


def _run(body: str, work: Callable[[Target, Order], Done]) -> None:
    try:
        order = schedule.decode(body.encode())
        target = runtime.target_of(order)
        if target is not None:
            with runtime.journal().expected():
                done = work(target, order)
            runtime.tell(done, order)
    except HoldfastError as error:
        if isinstance(error, Conflict):
            runtime.count("AppendConflicts")
        runtime.logger.warning(
            "to come again",
            extra={"order": body[:300], "code": error.code, "reason": error.message},
        )
        raise
