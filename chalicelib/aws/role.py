"""Leases of AWS roles: sessions that STS makes, each narrowed by a policy of its own.

A credential is a session of the target's role: the session's policy has the profile's actions on
the scope's resources, and denies everything from the lease's end on (``access.session_policy``). It
is tagged with the lease, the target, the profile and the requester, and its source identity is the
person: CloudTrail has all of them with every call. A session lasts 15 to 60 minutes (STS; a role
that is assumed with a role's credentials lasts an hour at most): a longer lease is claimed again, a
shorter one ends by its own policy and by the denial in its role (``aws.revocation``).

AWS tells nobody which sessions a role has. What keeps a session that nobody knows of from doing
anything is that it ends by itself with its lease, an hour after it was made at the latest.

``ACTIONS`` are the IAM actions this needs, on the role; the role's trust policy has to allow the
first three. docs/targets/sts.md has both.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from botocore.exceptions import ClientError

from chalicelib.access import session_policy
from chalicelib.access.grantor import Credential
from chalicelib.access.plan import Plan, Step
from chalicelib.aws import failures, revocation
from chalicelib.aws.failures import translated
from chalicelib.kernel.clock import parse_timestamp, timestamp
from chalicelib.kernel.errors import Busy, Conflict, CouldNotTell, NotAllowed, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from mypy_boto3_sts import STSClient

    from chalicelib.access.grantor import Terms
    from chalicelib.aws.revocation import Revocations
    from chalicelib.kernel.clock import Clock

ACTIONS: Final = (
    "sts:AssumeRole",
    "sts:SetSourceIdentity",
    "sts:TagSession",
    *revocation.ACTIONS,
)

AWS: Final = "aws"  # the kind of the credential
MIN_SECONDS: Final = 900  # of a session; STS, AssumeRole, DurationSeconds
MAX_SECONDS: Final = revocation.SESSION_SECONDS
ATTEMPTS: Final = 10  # sessions until one is issued in a later second than the first
DENY: Final = "deny"

_TAG_VALUE: Final = re.compile(r"[A-Za-z0-9_.:/=+@, -]{0,256}")  # narrower than what STS takes


class _Session(NamedTuple):
    """A session: when it was issued, by AWS's clock, and when it ends."""

    issued: datetime
    ends: datetime
    fields: dict[str, str]

    def __repr__(self) -> str:
        return f"<session issued {self.issued}>"


class StsGrantor:
    """Implements ``access.grantor.Grantor`` for the role at ``role_arn``.

    ``pause(attempt)`` waits a little, less than 2 s; ``region``: what the credential's bearer uses,
    where they say no other.
    """

    def __init__(
        self,
        sts: STSClient,
        revocations: Revocations,
        role_arn: str,
        *,
        clock: Clock,
        pause: Callable[[int], None],
        region: str = "",
    ) -> None:
        self._sts = sts
        self._revocations = revocations
        self._role_arn = role_arn
        self._clock = clock
        self._pause = pause
        self._region = region

    def plan(self, terms: Terms) -> Plan:
        """The call that would be made. Raises: UsageError, where no session can be so narrow."""
        return Plan(
            purpose="issue",
            target=terms.target,
            assumes={"role": self._role_arn, "until": terms.until},
            steps=(
                Step(
                    sql="sts:AssumeRole",
                    literals={
                        "RoleArn": self._role_arn,
                        "RoleSessionName": terms.role,
                        "SourceIdentity": session_policy.source_identity(terms.holder),
                        "Policy": session_policy.policy(
                            terms.profile, terms.resources, terms.until
                        ),
                        **{f"Tags.{name}": value for name, value in _tags(terms).items()},
                    },
                ),
            ),
        )

    def issue(self, plan: Plan, terms: Terms) -> Credential:
        """A session. Raises: Conflict, where the plan is not of these terms; CouldNotTell.

        No session is made that could not be ended: ConfigError, for a role of another account.
        """
        if plan != self.plan(terms):
            raise Conflict(
                f"the plan of {terms.lease} is for other terms, or another role",
                next_step="claim it again",
            )
        self._revocations.check()
        return self._credential(self._assume(plan), terms)

    def refresh(self, terms: Terms) -> Credential:
        """Another session; all that were issued in an earlier second are denied.

        Seconds are what AWS tells, and its clock alone counts: a first session is made, only to
        know the second, and another one in a later second, before which all are denied. Raises:
        Busy, where no later second comes; CouldNotTell.
        """
        plan = self.plan(terms)
        self._revocations.check()
        first = self._assume(plan)
        for attempt in range(1, ATTEMPTS):
            self._pause(attempt)
            later = self._assume(plan)
            if later.issued > first.issued:
                self._revocations.deny(terms.role, later.issued, self._clock.now())
                return self._credential(later, terms)
        raise Busy(
            f"STS issued {ATTEMPTS} sessions in one second, and none after it",
            next_step="claim it again",
        )

    def extend(self, terms: Terms) -> None:
        """Nothing: a session keeps its end, and the next claim gives one with the new end."""

    def end(self, terms: Terms, step: Callable[[str], None]) -> dict[str, Any]:
        """Deny all of the lease's sessions, and read that back; what was found.

        Where the role has no room for another denial, a lease whose time is over has ended by its
        sessions' own policy, and that is said. Raises: CouldNotTell.
        """
        now, until = self._clock.now(), parse_timestamp(terms.until)
        before = revocation.ending(now, until)
        found = {"role": self._role_arn, "session": terms.role, "sessions_deny_from": terms.until}
        step(DENY)
        try:
            policy = self._revocations.deny(terms.role, before, now)
        except CouldNotTell:
            if now < until + timedelta(seconds=revocation.SKEW_SECONDS):
                raise
            return {**found, "denied_by": "the sessions' own policy"}
        return {
            **found,
            "denied_by": policy,
            "denied_if_issued_before": timestamp(before),
        }

    def orphans(self, known: Collection[str]) -> list[Terms]:
        """None: AWS lists no sessions. Each ends by itself, an hour after it was issued at most."""
        del known
        return []

    def _assume(self, plan: Plan) -> _Session:
        said = plan.steps[0].literals
        left = parse_timestamp(plan.assumes["until"]) - self._clock.now()
        if left <= timedelta():
            raise NotAllowed("the lease's time is over, and no session is made for it")
        seconds = min(MAX_SECONDS, max(MIN_SECONDS, int(left.total_seconds())))
        tags = [
            {"Key": name.removeprefix("Tags."), "Value": str(value)}
            for name, value in said.items()
            if name.startswith("Tags.")
        ]
        with translated(f"assume the role {self._role_arn}", CouldNotTell):
            try:
                answer = self._sts.assume_role(
                    RoleArn=self._role_arn,
                    RoleSessionName=str(said["RoleSessionName"]),
                    SourceIdentity=str(said["SourceIdentity"]),
                    Policy=str(said["Policy"]),
                    Tags=tags,  # type: ignore[arg-type]  # of the stubs' own dictionary type
                    DurationSeconds=seconds,
                )
            except ClientError as error:
                if failures.code(error) != "PackedPolicyTooLarge":
                    raise
                raise UsageError(
                    "the session's policy and tags are larger than AWS takes, packed together",
                    next_step="name fewer resources, or several at once with a star",
                ) from None
        made = answer["Credentials"]
        ends = made["Expiration"].astimezone(UTC)
        fields = {
            "AWS_ACCESS_KEY_ID": made["AccessKeyId"],
            "AWS_SECRET_ACCESS_KEY": made["SecretAccessKey"],
            "AWS_SESSION_TOKEN": made["SessionToken"],
        }
        issued = (ends - timedelta(seconds=seconds)).replace(microsecond=0)
        return _Session(issued, ends, fields)

    def _credential(self, made: _Session, terms: Terms) -> Credential:
        fields = dict(made.fields)
        if self._region:
            fields["AWS_REGION"] = fields["AWS_DEFAULT_REGION"] = self._region
        return Credential(AWS, fields, min(timestamp(made.ends), terms.until))


def _tags(terms: Terms) -> dict[str, str]:
    """What a session is tagged with. Source: IAM User Guide, "Pass session tags in AWS STS"."""
    tags = {
        "holdfast:lease": terms.lease,
        "holdfast:profile": terms.profile_name,
        "holdfast:requester": session_policy.source_identity(terms.holder),
        "holdfast:target": terms.target,
    }
    for name, value in tags.items():
        if not _TAG_VALUE.fullmatch(value):
            raise UsageError(f"not the value of a session's tag {name}: {value[:80]!r}")
    return tags
