"""CloudTrail's account of a KMS key: each Sign call, as the service itself wrote it down.

Event history needs no trail, cannot be turned off, and keeps 90 days. It shows a call within some
15 minutes, and knows who signed and from where, but not what. ``ACTIONS`` are the IAM actions this
needs, on ``*``.
"""

from __future__ import annotations

import re
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

import msgspec

from chalicelib.aws.failures import translated
from chalicelib.evidence.account import Use
from chalicelib.kernel import canon
from chalicelib.kernel.errors import ConfigError, Malformed, NotPermitted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import datetime

    from mypy_boto3_cloudtrail import CloudTrailClient
    from mypy_boto3_cloudtrail.type_defs import EventTypeDef

ACTIONS: Final = ("cloudtrail:LookupEvents",)

HISTORY: Final = timedelta(days=90)  # CloudTrail, "Event history"
MAX_EVENT_BYTES: Final = 2**20  # CloudTrail, "Quotas": an event has at most 1 MB
_PAGE: Final = 50  # LookupEvents, MaxResults
_DAY: Final = timedelta(days=1)
_MAX_NAME: Final = 512  # characters that are kept of a principal and of an address

_KEY_ARN: Final = re.compile(
    r"arn:aws[a-z-]{0,20}:kms:(?P<region>[a-z0-9-]{1,32}):[0-9]{12}:key/"
    r"(?:mrk-[0-9a-f]{32}|[0-9a-f-]{36})"
)


class Shown(msgspec.Struct, frozen=True):
    """What CloudTrail shows: signatures, calls that made none, and (id, why) of what is unclear."""

    uses: list[Use]
    refused: list[Use]
    unreadable: list[tuple[str, str]]


def check_key(client: CloudTrailClient, key: str) -> bool:
    """Whether all uses of the key are in the client's region: not those of a multi-Region key.

    Raises: ConfigError, for what is no key's ARN in that region.
    """
    found = _KEY_ARN.fullmatch(key)
    if found is None or found["region"] != client.meta.region_name:
        raise ConfigError(
            f"expected the ARN of a KMS key in {client.meta.region_name}, where CloudTrail is "
            f"asked; observed {key[:200]!r}",
            next_step="HOLDFAST_SIGNING_KEY is the ARN; set AWS_REGION to its region",
        )
    return ":key/mrk-" not in key  # KMS, "Multi-Region keys": ids begin with mrk-


def signatures(
    client: CloudTrailClient,
    key: str,
    start: datetime,
    end: datetime,
    *,
    pace: Callable[[], None],
    progress: Callable[[str, int, int], None],
) -> Shown:
    """The Sign calls with ``key`` (an ARN), from ``start`` to ``end``.

    ``pace()`` waits so long that no two calls come within half a second (CloudTrail, "Quotas": two
    LookupEvents a second, an account and region). Raises: NotPermitted, StoreUnavailable.
    """
    uses: dict[str, Use] = {}
    refused: dict[str, Use] = {}
    unreadable: dict[str, str] = {}
    for event in _events(client, start, end, pace=pace, progress=progress):
        name = event.get("EventId", "")
        try:
            told = _told(event)
            if _concerns(told, key):
                (refused if told.get("errorCode") else uses)[name] = _use(name, event, told)
        except Malformed as error:
            unreadable[name or "an event without id"] = error.message
    return Shown(list(uses.values()), list(refused.values()), list(unreadable.items()))


def _events(
    client: CloudTrailClient,
    start: datetime,
    end: datetime,
    *,
    pace: Callable[[], None],
    progress: Callable[[str, int, int], None],
) -> Iterator[EventTypeDef]:
    """Every Sign event, a day at a time; those at the edges of days come twice."""
    days = -((start - end) // _DAY)
    first = True
    for number in range(days):
        progress("days of CloudTrail", number, days)
        # By the event's name, not the key's: under which name a key is filed is not documented.
        asked: dict[str, Any] = {
            "LookupAttributes": [{"AttributeKey": "EventName", "AttributeValue": "Sign"}],
            "StartTime": start + number * _DAY,
            "EndTime": min(end, start + (number + 1) * _DAY),
            "MaxResults": _PAGE,
        }
        more: str | None = ""
        while more is not None:
            if not first:
                pace()
            first = False
            page: dict[str, Any] = {"NextToken": more} if more else {}
            with translated("look up signatures in CloudTrail", NotPermitted):
                answer = client.lookup_events(**asked, **page)
            yield from answer.get("Events", [])
            more = answer.get("NextToken")


def _told(event: EventTypeDef) -> dict[str, Any]:
    """CloudTrail's own record of an event. Raises: Malformed."""
    data = event.get("CloudTrailEvent", "").encode()
    if len(data) > MAX_EVENT_BYTES:
        raise Malformed(f"an event of {len(data)} bytes; at most {MAX_EVENT_BYTES}")
    told = canon.parse(data)
    if not isinstance(told, dict):
        raise Malformed("an event that is no JSON object")
    return told


def _concerns(told: dict[str, Any], key: str) -> bool:
    """Whether a Sign call may be one with ``key``: only what surely names another is not.

    Source: KMS Developer Guide, "Logging AWS KMS API calls": resources hold the key's ARN.
    """
    if told.get("eventSource") != "kms.amazonaws.com" or told.get("eventName") != "Sign":
        return False
    resources = told.get("resources")
    names = [
        one["ARN"]
        for one in (resources if isinstance(resources, list) else [])
        if isinstance(one, dict) and isinstance(one.get("ARN"), str)
    ]
    if names:
        return key in names
    asked = told.get("requestParameters")
    name = asked.get("keyId") if isinstance(asked, dict) else None
    if isinstance(name, str) and (name.startswith("alias/") or ":alias/" in name):
        return not told.get("errorCode")  # whose alias it is, is not told
    return name in {key, key.rpartition("/")[2]} or (name is None and not told.get("errorCode"))


def _use(name: str, event: EventTypeDef, told: dict[str, Any]) -> Use:
    """Raises: Malformed."""
    request_id, at = told.get("requestID"), event.get("EventTime")
    if not name or not isinstance(request_id, str) or at is None:
        raise Malformed("an event without its id, its request's id, or its time")
    identity = told.get("userIdentity")
    who = identity if isinstance(identity, dict) else {}
    principal = next(
        (who[key] for key in ("arn", "invokedBy", "principalId", "type") if who.get(key)), ""
    )
    source = told.get("sourceIPAddress") or ""
    return Use(name, request_id, at, str(principal)[:_MAX_NAME], str(source)[:_MAX_NAME])
