"""The question that policies answer: may this principal do that to this, now? And the answer."""

from __future__ import annotations

import enum
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from chalicelib.kernel.names import TargetName


class Action(enum.Enum):
    """What may be done, one value an action of docs/api.md."""

    TARGET_READ = "target:read"
    SCAN_START = "scan:start"
    SCAN_READ = "scan:read"
    FINDING_READ = "finding:read"
    FINDING_SUPPRESS = "finding:suppress"
    FINDING_ACCEPT = "finding:accept"
    BASELINE_READ = "baseline:read"
    BASELINE_PROPOSE = "baseline:propose"
    BASELINE_APPROVE = "baseline:approve"
    RECORD_READ = "record:read"
    PACKET_MAKE = "packet:make"
    PACKET_READ = "packet:read"
    POLICY_READ = "policy:read"

    @property
    def on_log(self) -> bool:
        """Whether it is done to the log as a whole, and not to a target."""
        return self.value.partition(":")[0] in {"record", "packet", "policy"}


class Resource(msgspec.Struct, frozen=True):
    """What it is done to: a target, or the log. ``kind``: the type in the schema."""

    kind: str
    id: str
    attributes: tuple[tuple[str, str], ...]

    @classmethod
    def target(cls, name: TargetName, env: str = "") -> Resource:
        """A target, e.g. ``postgres:orders-prod`` of env ``prod``."""
        return cls("Target", str(name), (("name", name.slug), ("kind", name.kind), ("env", env)))

    @classmethod
    def log(cls, origin: str) -> Resource:
        """The evidence log."""
        return cls("Log", origin, (("origin", origin),))

    @property
    def entity(self) -> dict[str, Any]:
        """As Cedar's JSON has it."""
        return {
            "uid": {"type": self.kind, "id": self.id},
            "attrs": dict(self.attributes),
            "parents": [],
        }


class Circumstances(msgspec.Struct, frozen=True):
    """What else is known of the asking. ``at``: timezone-aware; ``reason``: why, if given."""

    at: datetime
    reason: str | None = None

    @property
    def record(self) -> dict[str, Any]:
        """As Cedar's JSON has it: a datetime in UTC, to the millisecond."""
        if self.at.tzinfo is None:
            raise ValueError("a decision needs a timezone-aware datetime")
        moment = self.at.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="milliseconds")
        found: dict[str, Any] = {"at": {"__extn": {"fn": "datetime", "arg": f"{moment}Z"}}}
        if self.reason is not None:
            found["reason"] = self.reason
        return found


class Decision(msgspec.Struct, frozen=True):
    """The answer. ``policies``: ids of those that decided, in their order; none: by default.

    ``errors``: what could not be evaluated; then it is denied, whatever else was said.
    """

    allowed: bool
    policies: tuple[str, ...]
    reason: str
    errors: tuple[str, ...] = ()
