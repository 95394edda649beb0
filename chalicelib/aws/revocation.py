"""What ends sessions of an AWS role before they expire: inline policies that deny them everything.

A session cannot be taken back; its role can be told to deny it. A statement denies those sessions
that a lease has had, by the session's name, as far as they were issued before a moment
(``aws:TokenIssueTime``): so one lease's end cuts no other's session. What was denied is forgotten
once every session that it is about has expired.

Nothing in IAM is a compare-and-set, and writers run at once. So no policy is ever changed: what is
denied is the union of all of them, each under a name that is used once, and a policy is deleted
only by whoever has put all that it denies and that still matters into another one, and has read
that one back. Whatever the order, there is no moment at which something denied is not.

Source: IAM User Guide, "Revoking IAM role temporary security credentials", "AWS global condition
context keys" (aws:userid of a role's session is ``role-id:session-name``). It may take a few
minutes until AWS applies a changed policy everywhere ("Disabling permissions for temporary security
credentials"). ``ACTIONS`` are the IAM actions this needs, on the role.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from botocore.exceptions import ClientError

from chalicelib.aws import failures
from chalicelib.aws.failures import translated
from chalicelib.kernel import canon
from chalicelib.kernel.errors import ConfigError, CouldNotTell

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

ACTIONS: Final = (
    "iam:DeleteRolePolicy",
    "iam:GetRole",
    "iam:GetRolePolicy",
    "iam:ListRolePolicies",
    "iam:PutRolePolicy",
)

PREFIX: Final = "holdfast-ended-"
MAX_INLINE_CHARACTERS: Final = 10_240  # of all inline policies of a role; IAM and STS quotas
MERGED_CHARACTERS: Final = (2_048, 512, 0)  # of one of ours, as there is room beside the others
SESSION_SECONDS: Final = 3_600  # the longest session of a role that a role assumed; STS, AssumeRole
SKEW_SECONDS: Final = 300  # between the clocks of AWS and ours
MAX_DAYS: Final = 8  # no lease lasts longer: settings allow seven days
ROUND_SECONDS: Final = 300  # equal moments share a statement
READS: Final = 5  # of what was just written: IAM is eventually consistent

_NAME: Final = re.compile(r"[A-Za-z0-9_=,@+-]{2,64}")  # no dot, star or question mark
_ROLE: Final = re.compile(r"arn:aws[a-z-]{0,20}:iam::[0-9]{12}:role/(?:[!-~]{1,510}/)?([^/]{1,64})")
_USER: Final = re.compile(r"\*:([A-Za-z0-9_=,@+-]{2,64})")
_SECOND: Final = "%Y-%m-%dT%H:%M:%SZ"
_GONE: Final = "NoSuchEntity"
_FULL: Final = "LimitExceeded"

Denied = dict[str, datetime]  # by a session's name: those issued before that moment


class Revocations:
    """What the role at ``arn`` denies. ``token()``: letters and digits that were never used before.

    ``pause(attempt)`` waits a little, longer for higher attempts. Raises: ValueError, for no role.
    """

    def __init__(
        self, client: Any, arn: str, *, token: Callable[[], str], pause: Callable[[int], None]
    ) -> None:
        found = _ROLE.fullmatch(arn)
        if found is None:
            raise ValueError(f"not the ARN of a role: {arn[:200]!r}")
        self._client = client
        self._arn = arn
        self._role = found[1]
        self._token = token
        self._pause = pause
        self._checked = False

    def check(self) -> None:
        """Return if sessions of the role can be denied: it is this account's, and we may look.

        IAM knows a role by its name alone: one of another account would be taken for ours of the
        same name. Raises: ConfigError; CouldNotTell.
        """
        if self._checked:
            return
        with translated(f"look at the role {self._role}", CouldNotTell):
            try:
                found = self._client.get_role(RoleName=self._role)["Role"]["Arn"]
            except ClientError as error:
                if failures.code(error) != _GONE:
                    raise
                found = ""
        if found != self._arn:
            raise ConfigError(
                f"{self._arn} is no role of this account, and its sessions could not be ended from "
                f"here; found {found or 'none of its name'}",
                next_step="deploy Holdfast in the role's account, or lease a role of this one",
            )
        self._checked = True

    def deny(self, name: str, before: datetime, now: datetime) -> str:
        """The name of the policy that denies sessions called ``name`` issued before that moment.

        It was read back. Raises: CouldNotTell: then they may be denied or not; ConfigError.
        """
        if not _NAME.fullmatch(name):
            raise ValueError(f"not a session's name that can be denied: {name[:80]!r}")
        self.check()
        before = before.astimezone(UTC).replace(microsecond=0)
        there = self._read()
        for policy, denied in sorted(there.items()):
            if denied.get(name, before - timedelta(1)) >= before:
                return policy
        past = {one for one, denied in there.items() if not _living(denied, now)}
        for policy in past:
            self._delete(policy)
        written, merged, taken = self._written({name: before}, there, past, now)
        written = self._found(written, merged)
        for policy in taken:
            self._delete(policy)
        return written

    def _written(
        self, new: Denied, there: Mapping[str, Denied], past: set[str], now: datetime
    ) -> tuple[str, Denied, list[str]]:
        """The policy that was written, what it denies, and which ones it replaces."""
        for most in MERGED_CHARACTERS:
            merged, taken = _merged(new, there, past, now, most)
            try:
                return self._put(merged), merged, taken
            except _Full:
                continue  # what it replaces is there until it is written: a smaller one may fit
        raise CouldNotTell(
            f"the role {self._role} has no room for another denial: its inline policies have at "
            f"most {MAX_INLINE_CHARACTERS} characters",
            next_step="make its own rights managed policies; what is denied is forgotten an hour "
            "after its end. At once: revoke active sessions in the IAM console",
        )

    def _read(self) -> dict[str, Denied]:
        """Our policies as they are; what is not of our form is somebody else's."""
        with translated(f"list the policies of the role {self._role}", CouldNotTell):
            pages = self._client.get_paginator("list_role_policies").paginate(RoleName=self._role)
            names = [one for page in pages for one in page["PolicyNames"]]
        found = {}
        for one in names:
            if one.startswith(PREFIX):
                denied = self._get(one)
                if denied is not None:
                    found[one] = denied
        return found

    def _get(self, policy: str) -> Denied | None:
        with translated(f"read a policy of the role {self._role}", CouldNotTell):
            try:
                answer = self._client.get_role_policy(RoleName=self._role, PolicyName=policy)
            except ClientError as error:
                if failures.code(error) != _GONE:
                    raise
                return None
        return parsed(answer["PolicyDocument"])

    def _put(self, denied: Denied) -> str:
        policy = PREFIX + self._token()
        with translated(f"write a policy of the role {self._role}", CouldNotTell):
            try:
                self._client.put_role_policy(
                    RoleName=self._role, PolicyName=policy, PolicyDocument=document(denied)
                )
            except ClientError as error:
                if failures.code(error) != _FULL:
                    raise
                raise _Full from None
        return policy

    def _found(self, policy: str, wanted: Denied) -> str:
        """The policy that denies what was written, read back.

        It is the one that was written, unless another writer has put it into theirs since.
        """
        for attempt in range(READS):
            if attempt:
                self._pause(attempt)
            if self._get(policy) == wanted:
                return policy
            for other, denied in sorted(self._read().items()):
                if _union(denied, wanted) == denied:
                    return other
        raise CouldNotTell(
            f"the role {self._role} does not have the policy {policy} that was just written",
            next_step="it will be tried again; see who else writes the role's policies",
        )

    def _delete(self, policy: str) -> None:
        with translated(f"delete a policy of the role {self._role}", CouldNotTell):
            try:
                self._client.delete_role_policy(RoleName=self._role, PolicyName=policy)
            except ClientError as error:
                if failures.code(error) != _GONE:
                    raise


class _Full(Exception):
    """The role's inline policies have no room for this one."""


def ending(now: datetime, until: datetime) -> datetime:
    """Before which moment a lease's sessions are denied when it ends: a later one than now.

    No session of the lease is issued any more, so a moment that is yet to come denies none too
    many; it covers one that is just being issued, and clocks that differ. It is forgotten no sooner
    than the lease would have ended by itself.
    """
    until = min(until, now + timedelta(days=MAX_DAYS))
    least = max(
        now + timedelta(seconds=SKEW_SECONDS), until - timedelta(seconds=SESSION_SECONDS)
    ).astimezone(UTC)
    seconds = -(-int(least.timestamp() + 1) // ROUND_SECONDS) * ROUND_SECONDS
    return datetime.fromtimestamp(seconds, UTC)


def document(denied: Denied) -> str:
    """The policy that denies them, canonical: a statement for each moment."""
    moments = sorted(set(denied.values()))
    return canon.encode(
        {
            "Version": "2012-10-17",
            "Statement": [
                {
                    "Effect": "Deny",
                    "Action": "*",
                    "Resource": "*",
                    "Condition": {
                        "DateLessThan": {"aws:TokenIssueTime": moment.strftime(_SECOND)},
                        "StringLike": {
                            "aws:userid": [
                                f"*:{name}" for name in sorted(denied) if denied[name] == moment
                            ]
                        },
                    },
                }
                for moment in moments
            ],
        }
    ).decode()


def parsed(found: Any) -> Denied | None:
    """What a policy of ours denies; None for one that :func:`document` did not write."""
    denied: Denied = {}
    try:
        for statement in found["Statement"]:
            condition = statement["Condition"]
            text = condition["DateLessThan"]["aws:TokenIssueTime"]
            moment = datetime.strptime(text, _SECOND).replace(tzinfo=UTC)
            for user in condition["StringLike"]["aws:userid"]:
                name = _USER.fullmatch(user)
                if name is None:
                    return None
                denied[name[1]] = moment
    except (KeyError, TypeError, ValueError):
        return None
    # As it would be written, or it may deny something else than it seems to.
    return denied if denied and canon.encode(found).decode() == document(denied) else None


def _living(denied: Mapping[str, datetime], now: datetime) -> Denied:
    """What is about sessions that may not have expired yet."""
    least = now - timedelta(seconds=SESSION_SECONDS + SKEW_SECONDS)
    return {name: moment for name, moment in denied.items() if moment > least}


def _union(one: Denied, other: Mapping[str, datetime]) -> Denied:
    return {name: max(m for d in (one, other) if (m := d.get(name))) for name in {*one, *other}}


def _merged(
    new: Denied, there: Mapping[str, Denied], past: set[str], now: datetime, most: int
) -> tuple[Denied, list[str]]:
    """What one policy is to deny, and which ones it replaces: small ones, as many as it can."""
    taken = []
    for policy, denied in sorted(there.items(), key=lambda one: (len(one[1]), one[0])):
        union = _union(new, _living(denied, now))
        if policy not in past and len(document(union)) <= most:
            new = union
            taken.append(policy)
    return new, taken
