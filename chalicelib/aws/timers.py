"""Timers of leases: a schedule of EventBridge Scheduler each, which runs once and is then gone.

It comes within a minute after its time (Source: EventBridge Scheduler User Guide, "Schedule types",
60 seconds of precision), at least once, as a message in a queue. What cannot be delivered goes to
the queue of dead letters. An account has a million schedules in a region, and may make 50 to 1,000
a second, by region (Source: "Quotas for Amazon EventBridge Scheduler"; both can be raised).

``ACTIONS`` are the IAM actions this needs: on the schedules of the group, and ``iam:PassRole`` on
the role that sends the messages.
"""

from __future__ import annotations

import hashlib
import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from botocore.exceptions import ClientError

from chalicelib.access import timers
from chalicelib.aws import failures
from chalicelib.aws.failures import translated
from chalicelib.kernel.errors import StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable

    from chalicelib.kernel.clock import Clock

ACTIONS: Final = (
    "iam:PassRole",
    "scheduler:CreateSchedule",
    "scheduler:DeleteSchedule",
    "scheduler:UpdateSchedule",
)

LEAD_SECONDS: Final = 5  # what has passed, or is about to, is said to be so much later
MAX_AGE_SECONDS: Final = 3_600  # of a message that could not be delivered: the sweep came long ago
ATTEMPTS: Final = 4
_NAME: Final = re.compile(r"[0-9A-Za-z_.-]{1,64}")  # CreateSchedule, Name
_THERE: Final = "ConflictException"
_GONE: Final = "ResourceNotFoundException"


class Places(NamedTuple):
    """The group's name; ARNs of the queue, the role that sends to it, and its dead letters."""

    group: str
    queue: str
    role: str
    dead_letters: str


class SchedulerTimers:
    """Implements ``access.timers.Timers``. ``pause(attempt)`` waits a little."""

    def __init__(
        self, client: Any, places: Places, *, clock: Clock, pause: Callable[[int], None]
    ) -> None:
        self._client = client
        self._places = places
        self._clock = clock
        self._pause = pause

    def wake(self, lease: str, at: datetime) -> None:
        """One schedule, made or moved. Raises: StoreUnavailable."""
        least = self._clock.now() + timedelta(seconds=LEAD_SECONDS)
        wanted = self._schedule(lease, _second(max(at, least)))
        for attempt in range(ATTEMPTS):
            if attempt:
                self._pause(attempt)
            # One that is there is moved; one that came in between is made anew.
            if self._tried("CreateSchedule", _THERE, wanted):
                return
            if self._tried("UpdateSchedule", _GONE, wanted):
                return
        raise StoreUnavailable(
            f"the timer of {lease} was there and gone {ATTEMPTS} times",
            next_step="nothing: the sweep ends the lease too",
        )

    def forget(self, lease: str) -> None:
        """Delete the schedule, if it is there. Raises: StoreUnavailable."""
        self._tried("DeleteSchedule", _GONE, {"Name": name(lease), "GroupName": self._places.group})

    def _tried(self, operation: str, otherwise: str, said: dict[str, Any]) -> bool:
        """Whether it was done; False, where AWS answers ``otherwise``."""
        call = {
            "CreateSchedule": self._client.create_schedule,
            "UpdateSchedule": self._client.update_schedule,
            "DeleteSchedule": self._client.delete_schedule,
        }[operation]
        with translated("set a timer"):
            try:
                call(**said)
            except ClientError as error:
                if failures.code(error) != otherwise:
                    raise
                return False
        return True

    def _schedule(self, lease: str, at: datetime) -> dict[str, Any]:
        # The name alone makes it one. With a ClientToken of the lease and its time, AWS would take
        # one that was moved away and back for done; botocore makes a token for each call.
        return {
            "Name": name(lease),
            "GroupName": self._places.group,
            "ScheduleExpression": at.strftime("at(%Y-%m-%dT%H:%M:%S)"),
            "ScheduleExpressionTimezone": "UTC",
            "FlexibleTimeWindow": {"Mode": "OFF"},
            "ActionAfterCompletion": "DELETE",
            "State": "ENABLED",
            "Target": {
                "Arn": self._places.queue,
                "RoleArn": self._places.role,
                "Input": timers.encode(lease).decode(),
                "RetryPolicy": {"MaximumEventAgeInSeconds": MAX_AGE_SECONDS},
                "DeadLetterConfig": {"Arn": self._places.dead_letters},
            },
        }


def name(lease: str) -> str:
    """The schedule's name: the lease's id, or its digest where that is too long for one."""
    if _NAME.fullmatch(lease):
        return lease
    return "sha256-" + hashlib.sha256(lease.encode()).hexdigest()[:56]


def _second(at: datetime) -> datetime:
    """The first whole second at or after a moment: a lease is not over before its end."""
    whole = at.astimezone(UTC).replace(microsecond=0)
    return whole + timedelta(seconds=1) if at > whole else whole
