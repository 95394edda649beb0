"""Documents in a DynamoDB table: compare-and-set over several items in one transaction.

An item is ``p`` = "documents", ``k`` = the key, ``v`` = the version, ``d`` = the bytes. All are in
one partition, so that they can be listed in order, with strongly consistent reads: a partition
takes 1,000 write units a second, of which a swap uses two for each kilobyte of each item (Source:
DynamoDB, "Partition quotas", "Transactions: capacity").

A swap whose answer is lost is made again under the same ClientRequestToken, with which DynamoDB
does not make it twice within 10 minutes. ``ACTIONS`` are the IAM actions this needs, on the table:
a transaction needs those of its parts.
"""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Any, Final

from botocore.exceptions import ClientError

from chalicelib.aws import failures, session
from chalicelib.aws.failures import translated
from chalicelib.kernel.errors import Conflict, Malformed, StoreUnavailable
from chalicelib.kernel.store import MAX_DOCUMENT_KEY_BYTES, Document, check_writes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_dynamodb.type_defs import AttributeValueTypeDef, TransactWriteItemTypeDef

    from chalicelib.kernel.store import Write

ACTIONS: Final = ("dynamodb:GetItem", "dynamodb:Query", "dynamodb:PutItem")

PARTITION: Final = "documents"
ATTEMPTS: Final = 5  # transactions that DynamoDB cancelled for want of capacity
TOKEN_BYTES: Final = 16  # in hexadecimal 32 characters; a token has at most 36
_LOST: Final = frozenset({"ConditionalCheckFailed", "TransactionConflict"})
_THROTTLED: Final = frozenset({"ProvisionedThroughputExceeded", "ThrottlingError"})


class DynamoDocuments:
    """Implements ``kernel.store.Documents`` in ``table``: partition key ``p``, sort key ``k``.

    ``pause(attempt)`` waits a little before a cancelled transaction is made again.
    """

    def __init__(
        self, client: DynamoDBClient, table: str, *, pause: Callable[[int], None] = session.pause
    ) -> None:
        self._client = client
        self._table = table
        self._pause = pause

    def get(self, key: str) -> Document | None:
        """The current value, or None. Raises: StoreUnavailable."""
        if not 0 < len(key.encode()) <= MAX_DOCUMENT_KEY_BYTES:
            return None  # no document can have it
        with translated(f"read a document of {self._table}"):
            answer = self._client.get_item(
                TableName=self._table,
                Key={"p": {"S": PARTITION}, "k": {"S": key}},
                ConsistentRead=True,
            )
        item = answer.get("Item")
        return None if item is None else self._document(item)

    def swap(self, writes: Sequence[Write]) -> None:
        """All of the writes, durably, or none of them.

        Raises: Conflict; StoreUnavailable: whether they were made is not known; ValueError, past
        the port's bounds.
        """
        check_writes(writes)
        if not writes:
            return
        items = [self._put(write) for write in writes]
        token = secrets.token_hex(TOKEN_BYTES)
        for attempt in range(ATTEMPTS):
            if attempt:
                self._pause(attempt)
            with translated(f"write documents of {self._table}"):
                try:
                    self._client.transact_write_items(TransactItems=items, ClientRequestToken=token)
                except ClientError as error:
                    if failures.code(error) != "TransactionCanceledException":
                        raise
                    reasons = _reasons(error)
                else:
                    return
            if _LOST & set(reasons):
                raise Conflict(_lost(writes, reasons))
            if not _THROTTLED & set(reasons):
                raise StoreUnavailable(
                    f"{self._table} refuses a swap: {', '.join(sorted({*reasons} - {'None'}))}",
                    next_step="check that the table has partition key p and sort key k, of text",
                )
        raise failures.throttled(f"write documents of {self._table}")

    def purge(self) -> None:
        """Nothing is left in the table; its point-in-time recovery has it for up to 35 days."""

    def list(self, prefix: str) -> Iterator[tuple[str, Document]]:
        """Documents whose key starts with ``prefix``, ascending. Raises: StoreUnavailable."""
        condition, values = "p = :p", {":p": {"S": PARTITION}}
        if prefix:
            condition, values[":k"] = "p = :p AND begins_with(k, :k)", {"S": prefix}
        with translated(f"list documents of {self._table}"):
            pages = self._client.get_paginator("query").paginate(
                TableName=self._table,
                KeyConditionExpression=condition,
                ExpressionAttributeValues=values,
                ConsistentRead=True,
            )
            for page in pages:
                for item in page["Items"]:
                    yield item["k"]["S"], self._document(item)

    def close(self) -> None:
        """Nothing: the client is its owner's."""

    def _put(self, write: Write) -> TransactWriteItemTypeDef:
        item: dict[str, AttributeValueTypeDef] = {
            "p": {"S": PARTITION},
            "k": {"S": write.key},
            "v": {"N": str(write.expected + 1)},
            "d": {"B": write.value},
        }
        if not write.expected:
            return {
                "Put": {
                    "TableName": self._table,
                    "Item": item,
                    "ConditionExpression": "attribute_not_exists(k)",
                }
            }
        return {
            "Put": {
                "TableName": self._table,
                "Item": item,
                "ConditionExpression": "v = :v",
                "ExpressionAttributeValues": {":v": {"N": str(write.expected)}},
            }
        }

    def _document(self, item: Mapping[str, Any]) -> Document:
        try:
            found = Document(int(item["v"]["N"]), bytes(item["d"]["B"]))
        except (KeyError, ValueError, TypeError):
            found = None
        if found is None or found.version < 1:
            raise Malformed(
                f"an item of {self._table} is no document",
                next_step="find out in CloudTrail who wrote it, and restore the table",
            )
        return found


def _reasons(error: ClientError) -> Sequence[str]:
    """Why a transaction was cancelled, a word for each write; ``None`` where it was not at fault.

    Source: DynamoDB, TransactWriteItems, "TransactionCanceledException".
    """
    told: Any = error.response.get("CancellationReasons", [])
    return [str(reason.get("Code", "None")) for reason in told]


def _lost(writes: Sequence[Write], reasons: Sequence[str]) -> str:
    for write, reason in zip(writes, reasons, strict=False):
        if reason == "ConditionalCheckFailed":
            return f"{write.key} is no longer at version {write.expected}"
    return "another swap of the same documents was under way"
