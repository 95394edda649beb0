"""The scan queue: SQS FIFO, a group a target, so that no target is scanned twice at once.

Messages reach the queue at least once. The queue drops the second of two with one ``dedup`` within
five minutes; after that, whoever receives them must (Source: SQS, "Exactly-once processing").
``ACTIONS`` are the IAM actions this needs, on the queue.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Final

from chalicelib.aws.failures import translated
from chalicelib.kernel.errors import StoreUnavailable, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from mypy_boto3_sqs import SQSClient
    from mypy_boto3_sqs.type_defs import SendMessageBatchRequestEntryTypeDef as Entry

    from chalicelib.drift.schedule import Message

ACTIONS: Final = ("sqs:SendMessage",)  # SendMessageBatch is allowed by it

MAX_BATCH: Final = 10  # messages a call; SQS, "Message quotas"
MAX_BATCH_BYTES: Final = 256 * 1024  # of all bodies of a call, below every value SQS ever had
MAX_ATTEMPTS: Final = 6  # calls for one message
WORKERS: Final = 8  # calls in flight; botocore keeps ten connections

# Alphanumerics and punctuation, at most 128. Source: SQS, SendMessageBatchRequestEntry.
_LEGAL: Final = re.compile(r"(?!sha256:)[!-~]{1,128}")


class SqsQueue:
    """Implements ``drift.schedule.Queue`` with the queue at ``url``.

    ``pause(attempt)`` waits a little, longer for higher attempts and not the same for everyone; it
    is called from several threads.
    """

    def __init__(self, client: SQSClient, url: str, *, pause: Callable[[int], None]) -> None:
        self._client = client
        self._url = url
        self._pause = pause

    def send(self, messages: Sequence[Message]) -> None:
        """Every message is in the queue when this returns.

        Raises: UsageError, for a message that no queue can hold, before any is sent;
        StoreUnavailable, when one could not be sent: then others may have been, and sending all
        of them again is harmless.
        """
        rounds = [list(_batches(one)) for one in _rounds(messages)]
        with ThreadPoolExecutor(WORKERS) as pool:
            for batches in rounds:
                sent = [pool.submit(self._send, batch) for batch in batches]
                try:
                    for one in sent:
                        one.result()
                except BaseException:
                    # What has not started is not tried: a queue that fails would fail for each.
                    pool.shutdown(wait=False, cancel_futures=True)
                    raise

    def _send(self, batch: dict[str, Entry]) -> None:
        left, codes = batch, ""
        for attempt in range(MAX_ATTEMPTS):
            if attempt:
                self._pause(attempt)
            with translated("send to the scan queue"):
                answer = self._client.send_message_batch(
                    QueueUrl=self._url, Entries=list(left.values())
                )
            failed = answer.get("Failed", [])
            codes = ", ".join(sorted({one["Code"][:80] for one in failed}))
            # What is named in neither list was not acknowledged.
            done = {one["Id"] for one in answer.get("Successful", [])}
            left = {name: entry for name, entry in left.items() if name not in done}
            if not left:
                return
            if any(one["SenderFault"] for one in failed):
                break  # the same again would fail again
        raise StoreUnavailable(
            f"{len(left)} of {len(batch)} messages could not be sent to the scan queue"
            + (f": {codes}" if codes else ""),
            next_step="send all of them again; the queue drops what it has already",
        )


def legal(text: str) -> str:
    """The text as a group or deduplication id: itself where SQS takes it, else its digest.

    Distinct texts have distinct ids.
    """
    if _LEGAL.fullmatch(text):
        return text
    return f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"


def _rounds(messages: Sequence[Message]) -> list[list[Message]]:
    """The messages, a group at most once a round: rounds that follow each other keep its order."""
    rounds: list[list[Message]] = []
    seen: Counter[str] = Counter()
    for message in messages:
        if seen[message.group] == len(rounds):
            rounds.append([])
        rounds[seen[message.group]].append(message)
        seen[message.group] += 1
    return rounds


def _batches(messages: Sequence[Message]) -> Iterator[dict[str, Entry]]:
    """Entries by their ids, in the order given, cut where a call would pass a bound."""
    batch: dict[str, Entry] = {}
    size_bytes = 0
    for message in messages:
        length = len(message.body)
        if not 0 < length <= MAX_BATCH_BYTES:
            raise UsageError(f"a message of {length} bytes; expected 1 to {MAX_BATCH_BYTES}")
        if len(batch) == MAX_BATCH or size_bytes + length > MAX_BATCH_BYTES:
            yield batch
            batch, size_bytes = {}, 0
        batch[str(len(batch))] = {
            "Id": str(len(batch)),
            "MessageBody": message.body.decode(),
            "MessageGroupId": legal(message.group),
            "MessageDeduplicationId": legal(message.dedup),
        }
        size_bytes += length
    if batch:
        yield batch
