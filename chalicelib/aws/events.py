"""Events of scans on an EventBridge bus, for whoever wants to be told.

An entry's detail is the event's own, with its ``id`` and ``at``. Events are published at least
once: who must not act twice compares ids. ``ACTIONS`` are the IAM actions this needs, on the bus.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from chalicelib.aws.failures import translated
from chalicelib.kernel import canon, clock
from chalicelib.kernel.errors import StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from mypy_boto3_events import EventBridgeClient
    from mypy_boto3_events.type_defs import PutEventsRequestEntryTypeDef as Entry

    from chalicelib.drift.schedule import Event

ACTIONS: Final = ("events:PutEvents",)

SOURCE: Final = "holdfast"
MAX_BATCH: Final = 10  # entries a call; EventBridge, PutEvents
MAX_BATCH_BYTES: Final = 256 * 1024 - 1  # of all entries of a call; PutEvents, "less than 256 KB"
MAX_ATTEMPTS: Final = 6  # calls for one event
CUTS: Final = (
    4_000,
    400,
    40,
)  # characters and items that are left of long texts and lists, in turn

_TIME_BYTES: Final = 14  # that an entry's Time counts; EventBridge, "Calculating event entry size"


class EventBridgeEvents:
    """Implements ``drift.schedule.Events`` with ``bus``.

    ``pause(attempt)`` waits a little, longer for higher attempts and not the same for everyone.
    """

    def __init__(
        self, client: EventBridgeClient, bus: str, *, pause: Callable[[int], None]
    ) -> None:
        self._client = client
        self._bus = bus
        self._pause = pause

    def publish(self, events: Sequence[Event]) -> None:
        """Every event is on the bus when this returns; of one too large, the long parts are cut.

        Raises: StoreUnavailable, when one could not be published; others may have been.
        """
        for batch in _batches([self._entry(event) for event in events]):
            self._put(batch)

    def _put(self, batch: list[Entry]) -> None:
        left, codes = batch, ""
        for attempt in range(MAX_ATTEMPTS):
            if attempt:
                self._pause(attempt)
            with translated("publish events"):
                answers = self._client.put_events(Entries=left)["Entries"]
            if len(answers) != len(left):
                continue  # which of them are on the bus is not known
            # An entry that is on the bus has an id and no error. Source: PutEventsResultEntry.
            codes = ", ".join(sorted({one.get("ErrorCode", "")[:80] for one in answers} - {""}))
            left = [
                entry
                for entry, answer in zip(left, answers, strict=True)
                if answer.get("ErrorCode") or not answer.get("EventId")
            ]
            if not left:
                return
        raise StoreUnavailable(
            f"{len(left)} of {len(batch)} events could not be published on the bus"
            + (f": {codes}" if codes else ""),
            next_step="look at the bus and its policy; what was scanned is in the evidence log",
        )

    def _entry(self, event: Event) -> Entry:
        names = {"id": event.id, "at": event.at}
        cut = {**names, "cut": True}
        bound = MAX_BATCH_BYTES - len(SOURCE) - len(event.type.encode()) - _TIME_BYTES
        detail = canon.encode({**event.detail, **names})
        for limit in CUTS:
            if len(detail) <= bound:
                break
            detail = canon.encode({**_cut(event.detail, limit), **cut})
        if len(detail) > bound:
            detail = canon.encode(cut)
        return {
            "Source": SOURCE,
            "DetailType": event.type,
            "Detail": detail.decode(),
            "EventBusName": self._bus,
            "Time": clock.parse_timestamp(event.at),
        }


def _cut(value: Any, limit: int) -> Any:
    """The value with at most ``limit`` characters of each text and items of each collection."""
    match value:
        case str():
            return value if len(value) <= limit else value[: limit - 1] + "…"
        case list() | tuple():
            return [_cut(item, limit) for item in value[:limit]]
        case dict():
            return {key: _cut(item, limit) for key, item in list(value.items())[:limit]}
        case _:
            return value


def _batches(entries: Sequence[Entry]) -> Iterator[list[Entry]]:
    """Entries in the order given, cut where a call would pass a bound."""
    batch: list[Entry] = []
    size_bytes = 0
    for entry in entries:
        length = _TIME_BYTES + sum(
            len(entry[field].encode()) for field in ("Source", "DetailType", "Detail")
        )
        if len(batch) == MAX_BATCH or (batch and size_bytes + length > MAX_BATCH_BYTES):
            yield batch
            batch, size_bytes = [], 0
        batch.append(entry)
        size_bytes += length
    if batch:
        yield batch
