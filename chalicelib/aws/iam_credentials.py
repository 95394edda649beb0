"""Users' credentials as objects: access keys and MFA devices; and what the credential report tells.

Nothing is asked here. Ages are classes, never days: a snapshot says what people would sign for.
"""

from __future__ import annotations

import csv
import io
import re
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from chalicelib.aws.iam_objects import field, moment, odd
from chalicelib.drift.snapshot import Object, Value
from chalicelib.kernel.clock import timestamp

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_REPORT_BYTES: Final = 64 * 1024 * 1024  # a user takes about 400; AWS's quota is 5,000 users
RECENT: Final = timedelta(days=45)  # CIS AWS Foundations Benchmark, "unused for 45 days"
ROTATION: Final = timedelta(days=90)  # the same, "rotated every 90 days"
YEAR: Final = timedelta(days=365)

_KEY = re.compile(r"[A-Z0-9]{16,128}")  # IAM API Reference, AccessKeyMetadata
_SERIAL = re.compile(r"[\w+=/:,.@-]{1,256}")  # IAM API Reference, MFADevice


def key_id(listed: Any) -> str:
    """The id of an access key. Raises: Unsupported."""
    value = field(listed, "AccessKeyId")
    if not _KEY.fullmatch(value):
        raise odd("AccessKeyId")
    return value


def access_key(user: str, listed: Any, last_use: str, now: datetime) -> Object:
    """An access key; ``last_use``: its class, empty where it is not known. Raises: Unsupported."""
    status = field(listed, "Status")
    if status not in {"Active", "Inactive", "Expired"}:
        raise odd("the status of an access key")
    created = moment(listed, "CreateDate")
    said: dict[str, Value] = {
        "of": f"iam_user {user}",
        "status": status,
        "created": timestamp(created),
        "age": _age(now - created),
    }
    if last_use:
        said["last_use"] = last_use
    return Object("iam_access_key", f"{user} {key_id(listed)}", said)


def _age(age: timedelta) -> str:
    if age > YEAR:
        return "over 365 days"
    return "over 90 days" if age > ROTATION else "up to 90 days"


def last_use(answer: Any, now: datetime) -> str:
    """The class of a key's last use, of GetAccessKeyLastUsed's answer. Raises: Unsupported."""
    told = answer.get("AccessKeyLastUsed")
    if not isinstance(told, dict):
        raise odd("AccessKeyLastUsed")
    if "LastUsedDate" not in told:
        return "never"
    passed = now - moment(told, "LastUsedDate")
    if passed > ROTATION:
        return "over 90 days ago"
    return "over 45 days ago" if passed > RECENT else IN_USE


IN_USE: Final = "within 45 days"


def mfa_device(user: str, listed: Any) -> Object:
    """An MFA device of a user's. Raises: Unsupported."""
    serial = field(listed, "SerialNumber")
    if not _SERIAL.fullmatch(serial):
        raise odd("SerialNumber")
    said = {"of": f"iam_user {user}", "created": timestamp(moment(listed, "EnableDate"))}
    return Object("iam_mfa_device", f"{user} {serial}", said)


class Report:
    """What the credential report tells of access keys' last use. It is up to four hours old.

    It has no ids of keys: a key is known by its user and the second in which it was created.
    Source: IAM User Guide, "Generate credential reports for your account".
    """

    def __init__(self, answer: Any) -> None:
        """Read GetCredentialReport's answer; what is not of its form tells nothing."""
        self._used: dict[tuple[str, datetime], list[datetime | None]] = {}
        content = answer.get("Content")
        if not isinstance(content, bytes) or len(content) > MAX_REPORT_BYTES:
            return
        with suppress(UnicodeDecodeError, csv.Error):
            for row in csv.DictReader(io.StringIO(content.decode()), strict=True):
                for created, used in _keys(row):
                    self._used.setdefault((row.get("user", ""), created), []).append(used)

    def is_in_use(self, user: str, listed: Any, now: datetime) -> bool:
        """Whether a key's last use is certainly within RECENT, whatever happened since the report.

        It is where the report already says so: a last use only moves forward. All else can have
        changed in four hours, so that AWS has to be asked.
        """
        created = moment(listed, "CreateDate").astimezone(UTC).replace(microsecond=0)
        found = self._used.get((user, created), [])
        used = found[0] if len(found) == 1 else None
        return used is not None and timedelta() <= now - used <= RECENT


def _keys(row: dict[str, Any]) -> Iterator[tuple[datetime, datetime | None]]:
    """When each key of a row was created, and last used if the row says so."""
    for number in ("1", "2"):
        created = _second(row.get(f"access_key_{number}_last_rotated"))
        if created is not None:
            yield created, _second(row.get(f"access_key_{number}_last_used_date"))


def _second(text: Any) -> datetime | None:
    with suppress(TypeError, ValueError, OverflowError):
        found = datetime.fromisoformat(text)
        return None if found.tzinfo is None else found.astimezone(UTC).replace(microsecond=0)
    return None
