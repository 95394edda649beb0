"""A batch of orders from a queue: each by itself, those of one target in order, failures alone.

Powertools answers Lambda with the messages that failed, which come again; the others are done.
Orders of different targets run at once, so that a slow one delays no other, and share the appends
to the log. When one fails, later ones of its target fail too, so that they keep their order.

A batch that was delivered before may hold a target that ends the whole process, by the memory that
it takes. So it is worked off one by one, forwards at one delivery and backwards at the next: of two
such deliveries every other target comes before that one in one, and is recorded.
"""

from __future__ import annotations

import asyncio
import functools
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
from chalicelib.kernel.errors import (
    Busy,
    Conflict,
    HoldfastError,
    Malformed,
    VerificationFailed,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord
    from aws_lambda_powertools.utilities.typing import LambdaContext

    from chalicelib.drift.desk import Target
    from chalicelib.drift.schedule import Done, Order

MAX_AT_ONCE = 10  # what Lambda takes from a FIFO queue at a time


def work_off(event: Mapping[str, Any], context: runtime.Context, run: Callable[[str], None]) -> Any:
    """The answer to Lambda: the messages for whose bodies ``run`` failed, which come again."""
    records = list(event.get("Records", []))
    again = max(map(_deliveries, records), default=1)
    if again > 1:
        records = _turned(records, backwards=again % 2 == 1)
    alone = asyncio.Lock()
    turns: defaultdict[str, asyncio.Lock] = defaultdict(
        lambda: alone if again > 1 else asyncio.Lock()
    )
    failed: set[str] = set()
    with ThreadPoolExecutor(MAX_AT_ONCE) as pool, asyncio.Runner() as runner:
        runner.get_loop()  # makes the loop that Powertools takes in Lambda; it ends with the batch

        async def handle(record: SQSRecord) -> None:
            group = record.attributes.message_group_id or ""
            async with turns[group]:
                if group in failed:
                    raise Busy(f"an earlier order of {group} is to come again first")
                failed.add(group)
                loop = asyncio.get_running_loop()
                await loop.run_in_executor(pool, run, record.body)
                failed.discard(group)

        return async_process_partial_response(
            event={"Records": records},
            record_handler=handle,
            processor=AsyncBatchProcessor(event_type=EventType.SQS),
            context=cast("LambdaContext", context),
        )


def _deliveries(record: Mapping[str, Any]) -> int:
    return int(record["attributes"]["ApproximateReceiveCount"])


def _turned(records: list[dict[str, Any]], *, backwards: bool) -> list[dict[str, Any]]:
    """The records by groups, those of one group in the order in which they came."""
    groups: defaultdict[str, list[dict[str, Any]]] = defaultdict(list)
    for one in records:
        groups[one["attributes"].get("MessageGroupId", "")].append(one)
    return [one for name in sorted(groups, reverse=backwards) for one in groups[name]]


def each(
    event: Mapping[str, Any],
    context: runtime.Context,
    work: Callable[[Target, Order], Done],
    *,
    dead: bool = False,
) -> Any:
    """The same for orders: ``work`` does one, and what came of it is told.

    A message that is about a job is done too; where it is ``dead``, the job has failed.
    """
    runtime.desk()  # connected once, and not by ten threads
    with runtime.measured():
        return work_off(event, context, functools.partial(_order, work, dead))


def _order(work: Callable[[Target, Order], Done], dead: bool, body: str) -> None:  # noqa: FBT001
    try:
        if _about_a_job(body, dead=dead):
            return
        order = schedule.decode(body.encode())
    except Malformed as error:
        # It will not be an order at the next delivery either, and holds up those behind it.
        runtime.count("NoOrder")
        runtime.logger.error("no order; dropped", extra={"body": body[:300], "code": error.code})
        return
    try:
        target = runtime.target_of(order)
        if target is not None:
            with runtime.journal().expected():
                done = work(target, order)
            runtime.tell(done, order)
    except HoldfastError as error:
        if isinstance(error, Conflict):
            runtime.count("AppendConflicts")
        elif isinstance(error, VerificationFailed):
            runtime.count("Forks")
        runtime.logger.warning(
            "to come again",
            extra={"order": body[:300], "code": error.code, "reason": error.message},
        )
        raise


def _about_a_job(body: str, *, dead: bool) -> bool:
    """Whether the message was about a job, and is done. Raises: as ``jobs.done``."""
    if '"job"' not in body:
        return False
    from chalicelib.functions import jobs  # noqa: PLC0415 - few messages are, and it loads the API

    return jobs.done(body, dead=dead)
