"""What OCSF 1.8 knows, as far as it is used here: classes, activities, captions, times.

Read from github.com/ocsf/ocsf-schema: ``events/``, ``objects/`` and ``dictionary.json``.
"""

from __future__ import annotations

import enum
from typing import Any, Final

import msgspec

from chalicelib.kernel.clock import parse_timestamp
from chalicelib.kernel.errors import Malformed

VERSION: Final = "1.8.0"
OTHER: Final = 99  # of every enumeration: what it is is in the caption beside it


class Class(msgspec.Struct, frozen=True):
    """A class of events. ``activities``: captions of those that are used."""

    uid: int
    name: str
    category: int
    category_name: str
    activities: dict[int, str]


class Activity:
    """Activities of Entity Management."""

    CREATE: Final = 1
    READ: Final = 2
    UPDATE: Final = 3
    DELETE: Final = 4
    ACTIVATE: Final = 10


CREATE, UPDATE, CLOSE = 1, 2, 3  # of findings
QUERY = 4  # of datastores
ASSIGN, REVOKE = 1, 2  # of privileges

_FINDING: Final = {CREATE: "Create", UPDATE: "Update", CLOSE: "Close"}
_IAM: Final = (3, "Identity & Access Management")

DATASTORE: Final = Class(6005, "Datastore Activity", 6, "Application Activity", {QUERY: "Query"})
DETECTION: Final = Class(2004, "Detection Finding", 2, "Findings", _FINDING)
COMPLIANCE: Final = Class(2003, "Compliance Finding", 2, "Findings", _FINDING)
ENTITY: Final = Class(
    3004,
    "Entity Management",
    *_IAM,
    {
        Activity.CREATE: "Create",
        Activity.READ: "Read",
        Activity.UPDATE: "Update",
        Activity.DELETE: "Delete",
        Activity.ACTIVATE: "Activate",
        OTHER: "Other",
    },
)
ACCESS: Final = Class(
    3005,
    "User Access Management",
    *_IAM,
    {ASSIGN: "Assign Privileges", REVOKE: "Revoke Privileges"},
)


class Severity(enum.IntEnum):
    """``severity_id``."""

    UNKNOWN = 0
    INFORMATIONAL = 1
    LOW = 2
    MEDIUM = 3
    HIGH = 4
    CRITICAL = 5


class Status(enum.IntEnum):
    """``status_id`` of what was done."""

    UNKNOWN = 0
    SUCCESS = 1
    FAILURE = 2


class Found(enum.IntEnum):
    """``status_id`` of findings."""

    NEW = 1
    SUPPRESSED = 3
    RESOLVED = 4


class Checked(enum.IntEnum):
    """``compliance.status_id``. Warning: there was no result, as information was missing."""

    UNKNOWN = 0
    PASS = 1
    WARNING = 2
    FAIL = 3


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """One event: its class, and what its class has beyond what every event has.

    ``at``: when it came about, as in records; None: when it was recorded. ``label``: the activity,
    where it is another than the schema knows. ``beside``: what the schema has no attribute for.
    """

    of: Class
    activity: int
    body: dict[str, Any]
    message: str
    severity: Severity = Severity.INFORMATIONAL
    at: str | None = None
    label: str = ""
    beside: dict[str, Any] = {}


def time(at: Any) -> int | None:
    """A timestamp of a record as OCSF has times: milliseconds since 1970, UTC; None: it is none."""
    try:
        found = parse_timestamp(at) if isinstance(at, str) else None
    except Malformed:
        return None
    if found is None:
        return None
    # In whole numbers: a float of seconds is off by a millisecond now and then.
    return int(found.replace(microsecond=0).timestamp()) * 1000 + found.microsecond // 1000


def times(**given: Any) -> dict[str, int]:
    """Attributes of time: those that have one."""
    return {name: found for name, at in given.items() if (found := time(at)) is not None}


def status(how: Status, detail: str) -> dict[str, Any]:
    """The attributes of a status."""
    return {"status_id": int(how), "status": how.name.capitalize(), "status_detail": detail}


def actor(name: str, tool: str) -> dict[str, Any]:
    """Who did something, and with which program."""
    return {"user": {"name": name}, "app_name": tool}


def resource(target: str) -> dict[str, Any]:
    """A target, as a resource."""
    return {"uid": target, "name": target, "type": target.partition(":")[0]}
