"""The lookup: CloudTrail's event history, asked for the events of one resource or one name.

Event history needs no trail, cannot be turned off, and keeps 90 days of the calls that write
("management events") of one account and region. Those of IAM are in one region of each partition.
What callers chose (user agents, session names) is text of theirs: cut, and otherwise as it is.
``ACTIONS`` are the IAM actions this needs, on ``*``.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from chalicelib.aws.failures import translated, understood
from chalicelib.drift.who import Event, Principal, Told
from chalicelib.kernel import canon
from chalicelib.kernel.errors import ConfigError, Malformed, NotPermitted, Overdue

if TYPE_CHECKING:
    from collections.abc import Callable

    from chalicelib.drift.causes import Lookup

ACTIONS: Final = ("cloudtrail:LookupEvents",)

MAX_EVENT_BYTES: Final = 2**20  # CloudTrail, "Quotas": an event has at most 1 MB
MAX_CALLS: Final = 100  # of one scan; at two a second
MAX_PAGES: Final = 20  # of one question, 50 events each
_PAGE: Final = 50  # LookupEvents, MaxResults
_MAX_TEXT: Final = 512  # characters that are kept of what a caller chose

# IAM User Guide, "Logging IAM and AWS STS API calls": global services log in one region.
_GLOBAL: Final = {"aws": "us-east-1", "aws-cn": "cn-north-1", "aws-us-gov": "us-gov-west-1"}


def region(kind: str, own: str, partition: str) -> str:
    """The region whose CloudTrail has the events of a target.

    ``kind``: of the target; ``own``: the region where it is. Raises: ConfigError, for IAM in a
    partition where that is not known.
    """
    if kind != "iam":
        return own
    if partition not in _GLOBAL:
        raise ConfigError(
            f"in which region of the partition {partition[:40]!r} CloudTrail has IAM's events is "
            f"not known; it is for {', '.join(_GLOBAL)}"
        )
    return _GLOBAL[partition]


class CloudTrail:
    """``drift.who.Trail`` for one scan of one target.

    ``client``: CloudTrail's, of the region that :func:`region` says. ``pace()`` waits so long that
    no two calls come within half a second (CloudTrail, "Quotas": two LookupEvents a second, an
    account and region). ``seconds``: for all calls, by ``monotonic``. ``calls``: of all questions,
    ``pages``: of one, at most.
    """

    def __init__(
        self,
        client: Any,
        *,
        pace: Callable[[], None],
        monotonic: Callable[[], float],
        seconds: float,
        calls: int = MAX_CALLS,
        pages: int = MAX_PAGES,
    ) -> None:
        self._client = client
        self._pace = pace
        self._monotonic = monotonic
        self._seconds = seconds
        self._end = monotonic() + seconds
        self._most = calls
        self._pages = pages
        self.calls = 0

    def events(self, asked: Lookup, start: datetime, end: datetime) -> Told:
        """Events from ``start`` to ``end``, the latest pages of them.

        Raises: NotPermitted; Overdue, where the calls or the time of the scan are used up;
        StoreUnavailable, where CloudTrail throttles or does not answer.
        """
        found: list[Event] = []
        unread, more = 0, ""
        for _ in range(self._pages):
            answer = self._page(asked, start, end, more)
            for told in answer.get("Events") or []:
                try:
                    found.append(event(told))
                except Malformed:
                    unread += 1
            more = answer.get("NextToken") or ""
            if not more:
                break
        if more:
            return Told(
                found, f"more than {self._pages * _PAGE} events of {asked.by} {asked.value}"
            )
        return Told(found, f"{unread} events could not be read" if unread else "")

    def _page(self, asked: Lookup, start: datetime, end: datetime, more: str) -> dict[str, Any]:
        if self.calls >= self._most or self._monotonic() > self._end:
            raise Overdue(
                f"one scan asks CloudTrail {self._most} times, for {self._seconds:g} seconds at "
                "most; the rest is asked by the next scans"
            )
        if self.calls:
            self._pace()
        self.calls += 1
        question: dict[str, Any] = {
            "LookupAttributes": [{"AttributeKey": asked.by, "AttributeValue": asked.value}],
            "StartTime": start,
            "EndTime": end,
            "MaxResults": _PAGE,
            **({"NextToken": more} if more else {}),
        }
        action = "look up events in CloudTrail"
        with translated(action, NotPermitted), understood(action):
            answer: dict[str, Any] = self._client.lookup_events(**question)
        return answer


def event(told: dict[str, Any]) -> Event:
    """One event of an answer. Raises: Malformed, without a time, an id, or CloudTrail's record.

    Source: CloudTrail User Guide, "CloudTrail record contents".
    """
    data = str(told.get("CloudTrailEvent", "")).encode(errors="replace")
    if len(data) > MAX_EVENT_BYTES:
        raise Malformed(f"an event of {len(data)} bytes; at most {MAX_EVENT_BYTES}")
    said = canon.parse(data)
    at, name = told.get("EventTime"), told.get("EventId")
    if not isinstance(said, dict) or not isinstance(at, datetime) or not isinstance(name, str):
        raise Malformed("an event without its record, its time or its id")
    return Event(
        id=_text(name),
        name=_text(said.get("eventName")),
        source=_text(said.get("eventSource")),
        at=at.astimezone(UTC),
        principal=_principal(said.get("userIdentity")),
        address=_text(said.get("sourceIPAddress")),
        request_id=_text(said.get("requestID")),
        agent=_text(said.get("userAgent")),
        error=_text(said.get("errorCode")) or ("failed" if said.get("errorMessage") else ""),
        read_only=str(said.get("readOnly")).lower() == "true",
        request=said.get("requestParameters"),
        response=said.get("responseElements"),
    )


def _principal(identity: Any) -> Principal:
    """Who called. Source: CloudTrail User Guide, "CloudTrail userIdentity element"."""
    who = identity if isinstance(identity, dict) else {}
    context = _inner(who, "sessionContext")
    names = (who.get(key) for key in ("arn", "invokedBy", "principalId", "type"))
    return Principal(
        name=next((text for one in names if (text := _text(one))), "not told"),
        kind=_text(who.get("type")),
        account=_text(who.get("accountId")),
        user=_text(who.get("userName")),
        issuer=_text(_inner(context, "sessionIssuer").get("arn")),
        source_identity=_text(context.get("sourceIdentity")),
        invoked_by=_text(who.get("invokedBy")),
    )


def _inner(value: dict[str, Any], key: str) -> dict[str, Any]:
    inner = value.get(key)
    return inner if isinstance(inner, dict) else {}


def _text(value: Any) -> str:
    """Text as a record can hold it, without lone surrogates, cut; empty for what is none."""
    if not isinstance(value, str):
        return ""
    return value[:_MAX_TEXT].encode("utf-8", "replace").decode()
