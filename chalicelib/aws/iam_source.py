"""The reader of an AWS account's identities: the port ``drift.source.Source`` over IAM.

What is asked, in this order:

1. Who asks, once (STS): another account is AnotherSystem, before anything is read.
2. GetAccountAuthorizationDetails, a page for up to 1,000: users, groups, roles, policies with their
   documents. Objects are made page by page; no page is kept. Its pages are not of one moment: where
   an object is in two of them, or is named and in none, all of it is asked once more, and what is
   torn still is unknown. A policy of AWS's own that is used and not in the answer is asked for by
   itself (GetPolicy, GetPolicyVersion).
3. ListRoles and ListInstanceProfiles, a page for up to 1,000: what the details do not have (a
   role's comment and longest session, profiles without a role).
4. The account's summary, alias and rules for passwords, once each.
5. For each user: access keys, MFA devices, console password, once each. The credential report has
   all of these in one answer, but is up to four hours old: a key or a password that somebody made
   since, or an MFA device that went, would be missed, and the scan called clean. So they are asked.
6. The last use of a key, for each key that the credential report does not show to be in use. A
   last use only moves forward: where a report says "within 45 days", however old, it holds; where
   it says "long ago" or "never", that may be over, and AWS is asked. So the report, where there is
   one, spares calls and never tells anything that is not so; where there is none, or it is not
   ready, each key is asked for. It is begun before the users' MFA devices are read, and not waited
   for. A user without keys is never asked about.

An account of U users with K keys, D of them not in use, needs about U/1,000 + 3 U + D + 10 calls.

Where AWS refuses a user's part (GIVE_UP times in a row: it is not asked on), or throttles beyond
all retries, the kind or its attribute is a gap, and unknown. Without the details nothing can be
told: then the reading fails.

``ACTIONS`` are the IAM actions this needs, on ``*``. GetCallerIdentity needs none.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final, TypeVar

from chalicelib.aws import iam_credentials, iam_objects, rds_objects
from chalicelib.aws.asker import NothingThere
from chalicelib.aws.iam_credentials import Report
from chalicelib.aws.iam_objects import Details, is_aws_managed, policy_name
from chalicelib.drift.snapshot import Object, Value
from chalicelib.drift.source import Known, Reading
from chalicelib.kernel.clock import timestamp
from chalicelib.kernel.errors import AnotherSystem, HoldfastError, Overdue

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from datetime import datetime

    from chalicelib.aws.asker import Asker
    from chalicelib.drift.iam.actions import Index
    from chalicelib.drift.iam.reach import Databases

    Reach = Callable[[Iterable[Object], Databases, Index], list[Object]]
    Progress = Callable[[str, int, int], None]

ACTIONS: Final = (
    "iam:GenerateCredentialReport",
    "iam:GetAccessKeyLastUsed",
    "iam:GetAccountAuthorizationDetails",
    "iam:GetAccountPasswordPolicy",
    "iam:GetAccountSummary",
    "iam:GetCredentialReport",
    "iam:GetLoginProfile",
    "iam:GetPolicy",
    "iam:GetPolicyVersion",
    "iam:ListAccessKeys",
    "iam:ListAccountAliases",
    "iam:ListInstanceProfiles",
    "iam:ListMFADevices",
    "iam:ListRoles",
)
FILTER: Final = ("User", "Role", "Group", "LocalManagedPolicy", "AWSManagedPolicy")
PAGE: Final = 1_000  # IAM API Reference, MaxItems
GIVE_UP: Final = 3  # refusals in a row: the next user's answer would hardly be another
MAX_LATE: Final = 100  # policies that are asked for one by one
FEW_KEYS: Final = 3  # asking for so many takes no more calls than the report does
DERIVED: Final = "iam_database_access"  # of all that the details have
_CHANGED: Final = "the account changed while it was read"
_AGAIN: Final = "another scan"

T = TypeVar("T")


class IamSource:
    """The identities of one account. ``reach``: who can reach databases; drift.iam's by default.

    ``conceal`` turns what looks like a secret in a tag into what may be stored in its place.
    """

    def __init__(
        self,
        account: str,
        asker: Callable[[], Asker],
        *,
        databases: Databases,
        reference: Index,
        now: Callable[[], datetime],
        reach: Reach | None = None,
        conceal: Callable[[str], str] = lambda _value: "(concealed)",
    ) -> None:
        self._account = account
        self._asker = asker
        self._databases = databases
        self._reference = reference
        self._now = now
        self._reach = reach
        self._conceal = conceal

    def read(self, progress: Progress, _known: Known | None = None) -> Reading:
        """Look once.

        Raises: AnotherSystem; NotPermitted, where the details of the account are refused; Overdue;
        StoreUnavailable; Unsupported, for answers that are not of their form.
        """
        asker, now = self._asker(), self._now()
        caller = self._caller(asker)
        details = _details(asker, progress)
        _roles(asker, details)
        objects = [*_account(asker, self._account), *_profiles(asker)]
        objects += _Credentials(asker, details, now, progress).read()
        for said in (*details.users.values(), *details.roles.values()):
            if "tags" in said:
                said["tags"] = rds_objects.concealed(said["tags"], self._conceal)
        objects += details.objects
        reach = self._reach or _reach()
        objects += reach(objects, self._databases, self._reference)
        return Reading(
            objects=[*objects, *asker.gaps],
            identity=f"account {self._account}",
            system={
                "account": self._account,
                "partition": caller.split(":")[1],
                "caller": caller,
            },
            queries=asker.queries,
            texts=asker.texts,
            read_at=asker.answered_at or timestamp(now),
            committed={},
            dropped={},
        )

    def _caller(self, asker: Asker) -> str:
        """The ARN of who asks, who has to be of this account."""
        told = asker.call("sts", "GetCallerIdentity")
        account, arn = iam_objects.field(told, "Account"), iam_objects.field(told, "Arn")
        if account != self._account:
            raise AnotherSystem(
                f"the credentials are of account {account}; expected account {self._account}",
                next_step="name a role of the target's account: role_arn, in the settings",
            )
        if not arn.startswith("arn:aws"):
            raise iam_objects.odd("the caller's ARN")
        return arn


def _reach() -> Reach:
    from chalicelib.drift.iam.reach import reach  # noqa: PLC0415 - needed for a whole account only

    return reach


def _details(asker: Asker, progress: Progress) -> Details:
    """Users, groups, roles and policies; asked once more where the first answer was torn."""
    details = _once(asker, progress)
    if details.torn:
        details = _once(asker, progress)
    lacking = {}
    try:
        _late(asker, details)
    except Overdue:
        raise
    except HoldfastError as error:
        lacking["iam_policy"] = (error.message, "iam:GetPolicy, iam:GetPolicyVersion")
    if details.missing:
        lacking.setdefault("iam_policy", (_CHANGED, _AGAIN))
    lacking |= dict.fromkeys(details.torn - lacking.keys(), (_CHANGED, _AGAIN))
    for kind, (reason, needs) in lacking.items():
        asker.lacks(kind, reason, needs=needs, partial=True)
    for reason, needs in sorted(set(lacking.values())):
        asker.lacks(DERIVED, reason, needs=needs, partial=True)
    return details


def _once(asker: Asker, progress: Progress) -> Details:
    details = Details()
    question = ("iam", "GetAccountAuthorizationDetails")
    done = 0
    for page in asker.answers(*question, Filter=list(FILTER), MaxItems=PAGE):
        rows = details.take(page)
        asker.counted(*question, rows)
        done += rows
        progress("iam_account", done, done)
    return details


def _late(asker: Asker, details: Details) -> None:
    """Ask for policies that are used and were in no page; AWS's own are taken, if they are there.

    One of the account's own that is there was made while the pages went by: it stays missing.
    """
    for arn in details.missing[:MAX_LATE]:
        try:
            found = asker.call("iam", "GetPolicy", PolicyArn=arn).get("Policy") or {}
            if not is_aws_managed(policy_name(arn)):
                continue
            number = iam_objects.field(found, "DefaultVersionId")
            version = asker.call("iam", "GetPolicyVersion", PolicyArn=arn, VersionId=number)
        except NothingThere:
            details.absent(arn)
        else:
            details.policy({**found, "PolicyVersionList": [version.get("PolicyVersion")]})


def _roles(asker: Asker, details: Details) -> None:
    """Add to the roles what the details do not have."""
    hidden = ("comment", "max_session_seconds")
    with asker.gap("iam_role", needs="iam:ListRoles", partial=True, attributes=hidden):
        left = set(details.roles)
        for listed in asker.pages("iam", "ListRoles", "Roles", MaxItems=PAGE):
            own = iam_objects.name(listed, "RoleName")
            if own in left:  # else it was made just now
                details.roles[own].update(iam_objects.role_details(listed))
                left.discard(own)
        if left:
            asker.lacks("iam_role", _CHANGED, needs=_AGAIN, partial=True, attributes=hidden)


def _profiles(asker: Asker) -> list[Object]:
    found: list[Object] = []
    with asker.gap("iam_instance_profile", needs="iam:ListInstanceProfiles"):
        pages = asker.pages("iam", "ListInstanceProfiles", "InstanceProfiles", MaxItems=PAGE)
        found += [iam_objects.instance_profile(listed) for listed in pages]
    return found


def _account(asker: Asker, account: str) -> list[Object]:
    """The account itself, and its rules for passwords where it has some."""
    said: dict[str, Value] = {}
    found = [Object("iam_account", account, said)]
    hidden = ("root_access_keys", "root_mfa")
    with asker.gap("iam_account", needs="iam:GetAccountSummary", partial=True, attributes=hidden):
        said |= iam_objects.root(asker.call("iam", "GetAccountSummary"))
    with asker.gap(
        "iam_account", needs="iam:ListAccountAliases", partial=True, attributes=("alias",)
    ):
        answer = asker.call("iam", "ListAccountAliases")
        for alias in iam_objects.texts(answer, "AccountAliases"):  # AWS allows one
            said["alias"] = alias
    with asker.gap("iam_password_policy", needs="iam:GetAccountPasswordPolicy"):
        try:
            answer = asker.call("iam", "GetAccountPasswordPolicy")
        except NothingThere:
            return found
        found.append(iam_objects.password_policy(answer))
    return found


class _Credentials:
    """What is asked user by user."""

    def __init__(self, asker: Asker, details: Details, now: datetime, progress: Progress) -> None:
        self._asker = asker
        self._users = details.users
        self._now = now
        self._progress = progress
        self._keys: list[_Key] = []
        self._devices: list[Object] = []

    def read(self) -> list[Object]:
        """Access keys and MFA devices; to each user is added whether they have a password."""
        users = sorted(self._users)
        self._each("iam_access_key", "iam:ListAccessKeys", users, self._list_keys)
        is_begun = len(self._keys) > FEW_KEYS and self._told("GenerateCredentialReport") is not None
        self._each("iam_mfa_device", "iam:ListMFADevices", users, self._list_devices)
        self._each("iam_user", "iam:GetLoginProfile", users, self._see_password, "console")
        report = Report((self._told("GetCredentialReport") if is_begun else None) or {})
        asked = []
        for key in self._keys:
            if report.is_in_use(key.user, key.listed, self._now):
                key.last_use = iam_credentials.IN_USE
            else:
                asked.append(key)
        needs = "iam:GetAccessKeyLastUsed"
        self._each("iam_access_key", needs, asked, self._see_use, "last_use")
        return [*self._devices, *(key.object(self._now) for key in self._keys if not key.is_gone)]

    def _each(
        self,
        kind: str,
        needs: str,
        subjects: Sequence[T],
        ask: Callable[[T], None],
        attribute: str = "",
    ) -> None:
        """Ask about each. What fails is a gap, of the attribute if one is named."""
        failures: list[HoldfastError] = []
        answered = in_a_row = 0
        for done, subject in enumerate(subjects):
            self._progress(kind, done, len(subjects))
            try:
                ask(subject)
            except Overdue:
                raise
            except HoldfastError as error:
                failures.append(error)
                in_a_row += 1
                if in_a_row == GIVE_UP:
                    break
            else:
                answered += 1
                in_a_row = 0
        attributes = (attribute,) if attribute else ()
        partial = bool(answered or attribute)
        for message in {error.message for error in failures}:
            self._asker.lacks(kind, message, needs=needs, partial=partial, attributes=attributes)

    def _told(self, operation: str) -> dict[str, Any] | None:
        """The answer about the credential report, or None: all that it could tell is asked then."""
        try:
            return self._asker.call("iam", operation)
        except Overdue:
            raise
        except (HoldfastError, NothingThere):
            return None

    def _list_keys(self, user: str) -> None:
        with suppress(NothingThere):  # the user is gone, and the keys with them
            pages = self._asker.pages("iam", "ListAccessKeys", "AccessKeyMetadata", UserName=user)
            found = {iam_credentials.key_id(listed): _Key(user, listed) for listed in pages}
            for key in found.values():
                key.object(self._now)  # Unsupported, if it is not of its form
            self._keys += [found[one] for one in sorted(found)]

    def _list_devices(self, user: str) -> None:
        with suppress(NothingThere):
            pages = self._asker.pages("iam", "ListMFADevices", "MFADevices", UserName=user)
            self._devices += [iam_credentials.mfa_device(user, listed) for listed in pages]

    def _see_password(self, user: str) -> None:
        try:
            self._asker.call("iam", "GetLoginProfile", UserName=user)
        except NothingThere:
            self._users[user]["console"] = False
        else:
            self._users[user]["console"] = True

    def _see_use(self, key: _Key) -> None:
        try:
            answer = self._asker.call(
                "iam", "GetAccessKeyLastUsed", AccessKeyId=iam_credentials.key_id(key.listed)
            )
        except NothingThere:
            key.is_gone = True
        else:
            key.last_use = iam_credentials.last_use(answer, self._now)


class _Key:
    """An access key, as ListAccessKeys gives it, until its last use is known."""

    def __init__(self, user: str, listed: dict[str, Any]) -> None:
        self.user = user
        self.listed = listed
        self.last_use = ""
        self.is_gone = False

    def object(self, now: datetime) -> Object:
        return iam_credentials.access_key(self.user, self.listed, self.last_use, now)
