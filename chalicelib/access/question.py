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
    LEASE_REQUEST = "lease:request"
    LEASE_BREAK_GLASS = "lease:break_glass"
    LEASE_APPROVE = "lease:approve"
    LEASE_REVIEW = "lease:review"
    LEASE_REVOKE = "lease:revoke"
    LEASE_READ = "lease:read"

    @property
    def on_wish(self) -> bool:
        """Whether it is about what somebody wishes to have, so that policies see the wish."""
        return self in _ON_WISH

    @property
    def obliges(self) -> bool:
        """Whether the policies that permit it can say what has to be done first."""
        return self in _OBLIGES

    @property
    def by_name(self) -> bool:
        """Whether only a policy that names it permits it, and none that permits every action.

        Nobody has to agree to a broken glass, so nobody has it along with everything else.
        """
        return self is Action.LEASE_BREAK_GLASS

    @property
    def on_log(self) -> bool:
        """Whether it is done to the log as a whole, and not to a target."""
        return self.value.partition(":")[0] in {"record", "packet", "policy"}


_ON_WISH = frozenset(
    {
        Action.LEASE_REQUEST,
        Action.LEASE_BREAK_GLASS,
        Action.LEASE_APPROVE,
        Action.LEASE_REVIEW,
    }
)
_OBLIGES = frozenset({Action.LEASE_REQUEST, Action.LEASE_BREAK_GLASS})


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


class Tagged(msgspec.Struct, frozen=True):
    """A table of a wish, and what the settings call it, e.g. ``pii``."""

    name: str
    tags: tuple[str, ...] = ()


class Wish(msgspec.Struct, frozen=True, kw_only=True):
    """What somebody wishes to have at a target.

    ``requester``: the principal's id. ``tables``: empty for all that the profile gives.
    ``mfa_age``: seconds since they proved a second factor, None where that is not known.
    ``open_findings``: of the target, now. ``tags``: of all that it covers.
    """

    requester: str
    profile: str
    seconds: int
    tables: tuple[Tagged, ...] = ()
    tags: tuple[str, ...] = ()
    ticket: str = ""
    mfa_age: int | None = None
    open_findings: int = 0

    @property
    def record(self) -> dict[str, Any]:
        """As Cedar's JSON has it."""
        found: dict[str, Any] = {
            "requester": self.requester,
            "profile": self.profile,
            "seconds": self.seconds,
            "tables": [{"name": one.name, "tags": list(one.tags)} for one in self.tables],
            "tags": list(self.tags),
            "open_findings": self.open_findings,
        }
        if self.ticket:
            found["ticket"] = self.ticket
        if self.mfa_age is not None:
            found["mfa_age"] = self.mfa_age
        return found


class Circumstances(msgspec.Struct, frozen=True):
    """What else is known of the asking. ``at``: timezone-aware; ``reason``: why, if given.

    ``wish``: for the actions that are about one, and no others.
    """

    at: datetime
    reason: str | None = None
    wish: Wish | None = None

    @property
    def record(self) -> dict[str, Any]:
        """As Cedar's JSON has it: a datetime in UTC, to the millisecond."""
        if self.at.tzinfo is None:
            raise ValueError("a decision needs a timezone-aware datetime")
        moment = self.at.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="milliseconds")
        found: dict[str, Any] = {"at": {"__extn": {"fn": "datetime", "arg": f"{moment}Z"}}}
        if self.reason is not None:
            found["reason"] = self.reason
        if self.wish is not None:
            found |= self.wish.record
        return found


class Decision(msgspec.Struct, frozen=True):
    """The answer. ``policies``: ids of those that decided, in their order; none: by default.

    ``errors``: what could not be evaluated; then it is denied, whatever else was said.
    """

    allowed: bool
    policies: tuple[str, ...]
    reason: str
    errors: tuple[str, ...] = ()
