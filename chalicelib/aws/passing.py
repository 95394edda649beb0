"""Documents that pass away, in a DynamoDB table whose time to live removes them.

An item is ``p`` = the kind of its key, ``k`` = the key, ``v`` = the version, ``d`` = the bytes,
``gone_at`` = its end in seconds since 1970. DynamoDB removes what has ended within days (Source:
DynamoDB, "Using time to live"); until then it is left out here, by the clock that is passed in.

The table is its own. That of the documents has a recovery to any point of 35 days and is protected
from deletion, which what passes away does not want, and nothing in it may ever expire; that of the
locks has no sort key, and so no order to list in.

A version is random, and so says who wrote: where a put whose answer was lost is made again and
refused, the item that refused it is the put's own if it has its version. ``ACTIONS`` are the IAM
actions this needs, on the table.
"""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Any, Final

from botocore.exceptions import ClientError

from chalicelib.aws import failures
from chalicelib.aws.failures import translated
from chalicelib.kernel import passing
from chalicelib.kernel.errors import Conflict
from chalicelib.kernel.store import Document

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_dynamodb.type_defs import AttributeValueTypeDef

    from chalicelib.kernel.clock import Clock

ACTIONS: Final = ("dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:Query")

_REFUSED: Final = "ConditionalCheckFailedException"
_NONE: Final = "attribute_not_exists(k) OR gone_at <= :now"
_THIS: Final = "v = :v AND gone_at > :now"


class DynamoPassing:
    """Implements ``kernel.passing.Passing`` in ``table``: partition key ``p``, sort key ``k``."""

    def __init__(self, client: DynamoDBClient, table: str, clock: Clock) -> None:
        self._client = client
        self._table = table
        self._clock = clock

    def get(self, key: str) -> Document | None:
        """The document, or None: there is none, or it has ended. Raises: StoreUnavailable."""
        if not passing.is_key(key):
            return None
        with translated(f"read from {self._table}"):
            answer = self._client.get_item(
                TableName=self._table,
                Key={"p": {"S": passing.kind(key)}, "k": {"S": key}},
                ConsistentRead=True,
            )
        return _document(answer.get("Item", {}), self._second())

    def swap(self, key: str, expected: int, value: bytes, *, lasts_seconds: int) -> int:
        """Write where ``expected`` is the version; the new one.

        Raises: Conflict; StoreUnavailable: whether it was made is not known; ValueError, past the
        port's bounds.
        """
        passing.check_swap(key, expected, value, lasts_seconds)
        now = self._clock.now()
        version = 1 + secrets.randbelow(passing.MAX_VERSION)
        expectation: dict[str, AttributeValueTypeDef] = {":now": {"N": str(passing.second(now))}}
        if expected:
            expectation[":v"] = {"N": str(expected)}
        with translated(f"write to {self._table}"):
            try:
                self._client.put_item(
                    TableName=self._table,
                    Item={
                        "p": {"S": passing.kind(key)},
                        "k": {"S": key},
                        "v": {"N": str(version)},
                        "d": {"B": value},
                        "gone_at": {"N": str(passing.gone_at(now, lasts_seconds))},
                    },
                    ConditionExpression=_THIS if expected else _NONE,
                    ExpressionAttributeValues=expectation,
                    ReturnValuesOnConditionCheckFailure="ALL_OLD",
                )
            except ClientError as error:
                if failures.code(error) != _REFUSED:
                    raise
                if _version(error.response) != str(version):
                    raise Conflict(f"{key} is no longer at version {expected}") from None
        return version

    def list(self, prefix: str, *, after: str = "", limit: int) -> list[tuple[str, Document]]:
        """The first ``limit`` documents under ``prefix`` and above ``after``, ascending.

        Raises: StoreUnavailable; ValueError, past the port's bounds.
        """
        passing.check_list(prefix, after, limit)
        if not passing.can_follow(prefix, after):
            return []
        kind, now = passing.kind(prefix), self._second()
        question: dict[str, Any] = {
            "TableName": self._table,
            "KeyConditionExpression": "p = :p AND begins_with(k, :k)",
            "FilterExpression": "gone_at > :now",
            "ExpressionAttributeValues": {
                ":p": {"S": kind},
                ":k": {"S": prefix},
                ":now": {"N": str(now)},
            },
            "ConsistentRead": True,
            "Limit": limit,
        }
        if after.startswith(prefix):  # an earlier one would be outside of what is asked for
            question["ExclusiveStartKey"] = {"p": {"S": kind}, "k": {"S": after}}
        found: list[tuple[str, Document]] = []
        while True:
            with translated(f"list {self._table}"):
                answer = self._client.query(**question)
            for item in answer["Items"]:
                document = _document(item, now)
                if document is not None:
                    found.append((item["k"]["S"], document))
            question["ExclusiveStartKey"] = answer.get("LastEvaluatedKey")
            if not question["ExclusiveStartKey"] or len(found) >= limit:
                return found[:limit]

    def close(self) -> None:
        """Nothing: the client is its owner's."""

    def _second(self) -> int:
        return passing.second(self._clock.now())


def _document(item: Mapping[str, Any], now: int) -> Document | None:
    """The document of an item that lasts; None also for what nobody of ours wrote."""
    try:
        lasts = now < int(item["gone_at"]["N"])
        found = Document(int(item["v"]["N"]), bytes(item["d"]["B"]))
    except (KeyError, ValueError, TypeError):
        return None
    return found if lasts and 0 < found.version <= passing.MAX_VERSION else None


def _version(answer: Mapping[str, Any]) -> str:
    """The version of the item that refused a put; empty, where none is told."""
    return str(answer.get("Item", {}).get("v", {}).get("N", ""))
