"""Named locks in a DynamoDB table, for processes anywhere: leases that their holder renews.

A lock only saves work: that nothing is recorded twice or out of order is ensured by the log's
compare-and-set, whose loser reads again. So a lease need not fence, and trusts the clocks:

- A holder that dies is waited for until its lease ends: at most ``lease_seconds``.
- A machine whose clock is ahead by more than what is left of a lease takes it over too early, and
  two hold the lock; one whose clock is behind waits longer. With renewal at a third of the lease,
  clocks may differ by two thirds of it.
- A holder that was overtaken, or could not renew in time, gets Conflict at the end of its block.
  What it did in it stands, as far as the log took it.

An item is ``k`` = the name, ``owner``, ``token``, ``since``, ``expires_at`` (milliseconds since
1970), ``gone_at`` (seconds since 1970; DynamoDB's time to live removes what nobody released).
``ACTIONS`` are the IAM actions this needs, on the table.
"""

from __future__ import annotations

import secrets
import threading
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from botocore.exceptions import ClientError

from chalicelib.aws import failures
from chalicelib.aws.failures import translated
from chalicelib.kernel.clock import timestamp
from chalicelib.kernel.errors import Busy, Conflict, StoreUnavailable
from chalicelib.kernel.store import check_key

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from mypy_boto3_dynamodb import DynamoDBClient

    from chalicelib.kernel.clock import Clock

ACTIONS: Final = ("dynamodb:PutItem", "dynamodb:UpdateItem", "dynamodb:DeleteItem")

LEASE_SECONDS: Final = 60
MAX_SKEW_SECONDS: Final = 3_600  # between the clocks of two holders
KEPT_SECONDS: Final = 86_400  # how long an expired lease can still be looked at
_SHOWN_CHARACTERS: Final = 128
_REFUSED: Final = "ConditionalCheckFailedException"
_NAMES: Final = {"#token": "token", "#expires": "expires_at"}


class DynamoLocks:
    """Implements ``drift.desk.Locks`` in ``table``, whose partition key is ``k``.

    ``owner`` says to people who holds a lock, e.g. a request id; at most 128 characters are kept.
    ``wait(event, seconds)`` is true as soon as the event is set, false after that time.
    """

    def __init__(
        self,
        client: DynamoDBClient,
        table: str,
        clock: Clock,
        owner: str,
        lease_seconds: int = LEASE_SECONDS,
        *,
        wait: Callable[[threading.Event, float], bool] = threading.Event.wait,
    ) -> None:
        self._client = client
        self._table = table
        self._clock = clock
        self._owner = owner[:_SHOWN_CHARACTERS]
        self._lease_seconds = lease_seconds
        self._wait = wait

    @contextmanager
    def hold(self, name: str) -> Iterator[None]:
        """A block that no two are in at once, as far as their clocks agree.

        Raises: Busy, at once, naming the holder and since when; StoreUnavailable; Conflict, at the
        end of a block that did not hold the lock to its end.
        """
        check_key(name)
        token = secrets.token_hex(16)
        lease = _Lease(self._take(name, token))
        stop = threading.Event()
        renewing = threading.Thread(
            target=self._renew_until, args=(stop, name, token, lease), daemon=True
        )
        renewing.start()
        try:
            yield
        except BaseException:
            stop.set()
            renewing.join()
            with suppress(StoreUnavailable):  # what failed in the block is what is told
                self._release(name, token)
            raise
        stop.set()
        renewing.join()
        kept = self._release(name, token)
        if not kept or lease.lost or lease.until_ms < self._now_ms():
            raise Conflict(
                f"{name} was not held to the end of the work: its lease of {self._lease_seconds} s "
                "ran out, or a clock is wrong; what was recorded until then stands",
                next_step="look at the log for what another process recorded at the same time",
            )

    def _take(self, name: str, token: str) -> int:
        """Put the lease, and give its end. Raises: Busy; StoreUnavailable."""
        now = self._now_ms()
        until = now + self._lease_seconds * 1_000
        with translated(f"lock {name} in {self._table}"):
            try:
                self._client.put_item(
                    TableName=self._table,
                    Item={
                        "k": {"S": name},
                        "owner": {"S": self._owner},
                        "token": {"S": token},
                        "since": {"S": timestamp(self._clock.now())},
                        "expires_at": {"N": str(until)},
                        "gone_at": {"N": str(until // 1_000 + KEPT_SECONDS)},
                    },
                    # The last is for a put whose answer was lost, and that is made again.
                    ConditionExpression=(
                        "attribute_not_exists(k) OR #expires < :now OR #expires > :never "
                        "OR #token = :token"
                    ),
                    ExpressionAttributeNames=_NAMES,
                    ExpressionAttributeValues={
                        ":now": {"N": str(now)},
                        # Nobody of ours takes so long a lease: it was not one.
                        ":never": {"N": str(until + MAX_SKEW_SECONDS * 1_000)},
                        ":token": {"S": token},
                    },
                    ReturnValuesOnConditionCheckFailure="ALL_OLD",
                )
            except ClientError as error:
                if failures.code(error) != _REFUSED:
                    raise
                raise _busy(name, error.response) from None
        return until

    def _renew_until(self, stop: threading.Event, name: str, token: str, lease: _Lease) -> None:
        """Renew at every third of the lease until ``stop``, or until somebody else holds it."""
        while not self._wait(stop, self._lease_seconds / 3):
            try:
                until = self._renewed(name, token)
            except StoreUnavailable:
                continue  # the next third may do; whether the lease lasted is judged at its end
            if until is None:
                lease.lost = True
                return
            lease.until_ms = until

    def _renewed(self, name: str, token: str) -> int | None:
        """The new end of the lease; None, if it is another's now. Raises: StoreUnavailable."""
        until = self._now_ms() + self._lease_seconds * 1_000
        with translated(f"renew the lock {name} in {self._table}"):
            try:
                self._client.update_item(
                    TableName=self._table,
                    Key={"k": {"S": name}},
                    UpdateExpression="SET #expires = :until, gone_at = :gone",
                    ConditionExpression="#token = :token",
                    ExpressionAttributeNames=_NAMES,
                    ExpressionAttributeValues={
                        ":until": {"N": str(until)},
                        ":gone": {"N": str(until // 1_000 + KEPT_SECONDS)},
                        ":token": {"S": token},
                    },
                )
            except ClientError as error:
                if failures.code(error) != _REFUSED:
                    raise
                return None
        return until

    def _release(self, name: str, token: str) -> bool:
        """Remove the lease; false, if it is another's now. Raises: StoreUnavailable."""
        with translated(f"release the lock {name} in {self._table}"):
            try:
                self._client.delete_item(
                    TableName=self._table,
                    Key={"k": {"S": name}},
                    # The first is for a removal whose answer was lost, and that is made again.
                    ConditionExpression="attribute_not_exists(k) OR #token = :token",
                    ExpressionAttributeNames={"#token": "token"},
                    ExpressionAttributeValues={":token": {"S": token}},
                )
            except ClientError as error:
                if failures.code(error) != _REFUSED:
                    raise
                return False
        return True

    def _now_ms(self) -> int:
        return int(self._clock.now().timestamp() * 1_000)


@dataclass(slots=True)
class _Lease:
    """What the renewing thread tells the holder."""

    until_ms: int
    lost: bool = False


def _busy(name: str, answer: Mapping[str, Any]) -> Busy:
    item = answer.get("Item", {})
    owner = str(item.get("owner", {}).get("S", "another process"))[:_SHOWN_CHARACTERS]
    since = str(item.get("since", {}).get("S", "just now"))[:_SHOWN_CHARACTERS]
    return Busy(
        f"{name} is held by {owner!r} since {since}",
        next_step="wait until it ends; where it has died, its lease ends by itself",
    )
