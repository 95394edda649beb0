"""Notices of requests and leases to SNS, for people, and to EventBridge, for programs.

``SNS_ACTIONS`` and ``EVENTS_ACTIONS`` are the IAM actions that each needs, on the topic and on the
bus. A topic that is encrypted with a key of its own needs that key's ``kms:GenerateDataKey`` and
``kms:Decrypt`` besides (Source: SNS Developer Guide, "Key management").
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from botocore.exceptions import ClientError

from chalicelib.access import notice
from chalicelib.aws import failures
from chalicelib.aws.events import EventBridgeEvents
from chalicelib.aws.failures import translated
from chalicelib.drift.schedule import Event
from chalicelib.kernel.errors import CouldNotTell, NotAllowed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from mypy_boto3_events import EventBridgeClient
    from mypy_boto3_sns import SNSClient

    from chalicelib.access.notice import Notice

SNS_ACTIONS: Final = ("sns:Publish",)
EVENTS_ACTIONS: Final = ("events:PutEvents",)
ACTIONS: Final = (*EVENTS_ACTIONS, *SNS_ACTIONS)

# Source: SNS, Publish, Errors: what the message itself is at fault for.
_REFUSED: Final = frozenset({"InvalidParameter", "InvalidParameterValue"})


class SnsReceiver:
    """Implements ``access.receiver.Receiver`` with a topic: plain text, and what to filter by.

    ``kinds``: of records, none: all.
    """

    def __init__(self, client: SNSClient, topic: str, *, kinds: Iterable[str] = ()) -> None:
        self._client = client
        self._topic = topic
        self.kinds = frozenset(kinds)

    @property
    def name(self) -> str:
        """The topic."""
        return self._topic

    def tell(self, one: Notice) -> None:
        """It is in the topic. Raises: CouldNotTell; NotAllowed: the topic never takes it."""
        said: dict[str, Any] = {"kind": one.kind, "target": one.target, "id": one.id}
        attributes: Any = {
            name: {"DataType": "String", "StringValue": value} for name, value in said.items()
        }
        with translated("publish a notice", CouldNotTell):
            try:
                self._client.publish(
                    TopicArn=self._topic,
                    Subject=notice.subject(one),
                    Message=notice.text(one),
                    MessageAttributes=attributes,
                )
            except ClientError as error:
                if failures.code(error) not in _REFUSED:
                    raise
                raise NotAllowed(f"the topic refuses the notice of {one.id}") from None


class EventBridgeReceiver:
    """Implements ``access.receiver.Receiver`` with a bus, by its name or ARN.

    The type of an event is its record's kind in words: ``access requested``, ``lease ended``.
    """

    def __init__(
        self,
        client: EventBridgeClient,
        bus: str,
        *,
        pause: Callable[[int], None],
        kinds: Iterable[str] = (),
    ) -> None:
        self._events = EventBridgeEvents(client, bus, pause=pause)
        self._bus = bus
        self.kinds = frozenset(kinds)

    @property
    def name(self) -> str:
        """The bus."""
        return self._bus

    def tell(self, one: Notice) -> None:
        """It is on the bus. Raises: StoreUnavailable."""
        kind = one.kind.replace(".", " ").replace("_", " ")
        self._events.publish([Event(one.id, kind, one.at, notice.event(one))])
