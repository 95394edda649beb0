"""An account's objects from IAM's answers, as they come: users, groups, roles, policies.

Nothing is asked here: answers (as botocore gives them) in, objects out. What belongs to users'
credentials is in ``iam_credentials``.

Names are IAM's own, without their paths: an account cannot have two of a kind that differ in case
only. No name has a space or a colon, so that names that are made of several tell them apart.
Source: IAM API Reference, GetAccountAuthorizationDetails.
"""

from __future__ import annotations

import hashlib
import json
import re
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote

from chalicelib.drift.iam import document
from chalicelib.drift.snapshot import Key, Object, Value
from chalicelib.kernel import canon
from chalicelib.kernel.clock import timestamp
from chalicelib.kernel.errors import Malformed, Unsupported

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

MAX_OBJECTS: Final = 1_000_000  # an account's quotas allow about a tenth of it
MAX_CHARACTERS: Final = 4_096  # of one text; AWS's longest, an ARN, has 2,048
MAX_DOCUMENT: Final = document.MAX_BYTES  # characters of one that cannot be parsed

_NAME = re.compile(r"[\w+=,.@-]{1,128}")  # IAM User Guide, "IAM name requirements"
_POLICY = re.compile(
    r"arn:aws[a-z-]*:iam::(?P<owner>aws|[0-9]{12}):policy/(?:[!-~]*/)?(?P<name>[\w+=,.@-]{1,128})"
)
_VERSION = re.compile(r"v[1-9][0-9]{0,9}")
_PASSWORD_POLICY: Final = {
    "MinimumPasswordLength": "minimum_length",
    "RequireSymbols": "require_symbols",
    "RequireNumbers": "require_numbers",
    "RequireUppercaseCharacters": "require_uppercase",
    "RequireLowercaseCharacters": "require_lowercase",
    "AllowUsersToChangePassword": "users_may_change",
    "MaxPasswordAge": "max_age_days",
    "PasswordReusePrevention": "reuse_prevention",
    "HardExpiry": "hard_expiry",
}


def odd(what: str) -> Unsupported:
    """The error of an answer that is not of its form; ``what`` names the part of it."""
    return Unsupported(
        f"AWS's answer is not of its form: {what}",
        next_step="scan again; if it stays, report this defect",
    )


def field(answer: Any, member: str) -> str:
    """A text of an answer. Raises: Unsupported, also for one that UTF-8 cannot say."""
    value = answer.get(member) if isinstance(answer, dict) else None
    if not isinstance(value, str) or len(value) > MAX_CHARACTERS:
        raise odd(member)
    try:
        value.encode()
    except UnicodeEncodeError:
        raise odd(member) from None
    return value


def name(answer: Any, member: str) -> str:
    """A name of IAM's. Raises: Unsupported."""
    value = field(answer, member)
    if not _NAME.fullmatch(value):
        raise odd(member)
    return value


def moment(answer: Any, member: str) -> datetime:
    """A moment of an answer. Raises: Unsupported."""
    value = answer.get(member) if isinstance(answer, dict) else None
    if not isinstance(value, datetime) or value.tzinfo is None:
        raise odd(member)
    return value


def elements(answer: Any, member: str) -> list[Any]:
    """A list of an answer; empty where there is none. Raises: Unsupported."""
    value = answer.get(member) if isinstance(answer, dict) else None
    if value is None:
        return []
    if not isinstance(value, list):
        raise odd(member)
    return value


def policy_name(arn: str) -> str:
    """How an ``iam_policy`` is named: by its name, or where it is AWS's own by its ARN.

    Raises: Unsupported, where it is no ARN of a policy.
    """
    found = _POLICY.fullmatch(arn)
    if found is None:
        raise odd("the ARN of a policy")
    return arn if found["owner"] == "aws" else found["name"]


def is_aws_managed(policy: str) -> bool:
    """Whether a policy of this name is AWS's own."""
    return ":" in policy


class Documents:
    """Policy documents in canonical form; equal texts share one value."""

    def __init__(self) -> None:
        self._known: dict[bytes, dict[str, Value]] = {}

    def stated(self, given: Any, attribute: str) -> dict[str, Value]:
        """The attributes that say a document: its value under ``attribute``.

        One that cannot be parsed is its text, as AWS gave it (not percent-encoded), with
        ``unparsed``. ``given``: as text, percent-encoded or not, or as botocore decodes it.
        Raises: Unsupported, where it is neither, or a text beyond all bounds.
        """
        written = _written(given)
        digest = hashlib.sha256(written.encode("utf-8", "surrogatepass")).digest()
        if digest not in self._known:
            self._known[digest] = _stated(written)
        found = self._known[digest]
        return {attribute if key == "document" else key: found[key] for key in found}


def _written(given: Any) -> str:
    """The JSON text of a document. An object's text begins with ``{``, an encoded one with ``%``.

    RFC 3986 percent-encoding is what the API reference says of every document in an answer.
    """
    if isinstance(given, dict):
        try:
            return json.dumps(given, sort_keys=True)
        except (TypeError, ValueError, RecursionError):
            raise odd("a policy document") from None
    if not isinstance(given, str):
        raise odd("a policy document")
    return unquote(given, errors="surrogateescape") if given.startswith("%") else given


def _stated(written: str) -> dict[str, Value]:
    try:
        return {"document": document.canonical(written)}
    except Malformed:
        if len(written) > MAX_DOCUMENT:
            raise odd("a policy document beyond its bound") from None
        return {"document": written.encode("utf-8", "backslashreplace").decode(), "unparsed": True}


class Details:
    """What the pages of GetAccountAuthorizationDetails say, put together page by page.

    Pages are not of one moment: whoever is created, renamed or deleted while they are asked for
    can be in two of them, or be named by one and be in none. ``torn`` are the kinds of which that
    is seen: what was read of them is not what the account has.
    """

    def __init__(self) -> None:
        self.users: dict[str, dict[str, Value]] = {}  # the attributes of each, to be added to
        self.roles: dict[str, dict[str, Value]] = {}
        self._objects: dict[Key, Object] = {}
        self._documents = Documents()
        self._policies_in_use: set[str] = set()  # by their ARN
        self._attached: set[str] = set()
        self._absent: set[str] = set()
        self._groups_in_use: set[str] = set()
        self._unused: dict[str, list[Object]] = {}  # policies of AWS's that nothing uses so far
        self._twice: set[str] = set()

    def take(self, page: Mapping[str, Any]) -> int:
        """Take one page; gives how many users, groups, roles and policies it had.

        Raises: Unsupported, where it is not of its form, or the account beyond all bounds.
        """
        rows = 0
        for member, kind in (
            ("UserDetailList", "user"),
            ("GroupDetailList", "group"),
            ("RoleDetailList", "role"),
        ):
            for detail in elements(page, member):
                self._principal(kind, detail)
                rows += 1
        for detail in elements(page, "Policies"):
            self.policy(detail)
            rows += 1
        if len(self._objects) > MAX_OBJECTS:
            raise Unsupported(f"the account has more than {MAX_OBJECTS} objects")
        return rows

    def _put(self, item: Object) -> None:
        if item.key in self._objects:
            self._twice.add(item.kind)
        self._objects[item.key] = item

    def _principal(self, kind: str, detail: Any) -> None:
        """A user, a group or a role, with what is only theirs."""
        title = kind.capitalize()
        own = name(detail, f"{title}Name")
        of = f"iam_{kind} {own}"
        said: dict[str, Value] = {
            "path": field(detail, "Path"),
            "created": timestamp(moment(detail, "CreateDate")),
        }
        if kind == "role":
            said |= self._documents.stated(detail.get("AssumeRolePolicyDocument"), "trust")
        if boundary := detail.get("PermissionsBoundary"):
            said["boundary"] = self._in_use(field(boundary, "PermissionsBoundaryArn"))
        if labels := tags(detail):
            said["tags"] = labels
        self._put(Object(f"iam_{kind}", own, said))
        if kind != "group":
            {"user": self.users, "role": self.roles}[kind][own] = said
        for inline in elements(detail, f"{title}PolicyList"):
            inner = f"{kind} {own}: {name(inline, 'PolicyName')}"
            stated = self._documents.stated(inline.get("PolicyDocument"), "document")
            self._put(Object("iam_inline_policy", inner, {"of": of, **stated}))
        for attached in elements(detail, "AttachedManagedPolicies"):
            policy = self._in_use(field(attached, "PolicyArn"))
            self._attached.add(attached["PolicyArn"])
            inner = f"{kind} {own} has {policy}"
            self._put(Object("iam_attachment", inner, {"of": of, "policy": policy}))
        for group in elements(detail, "GroupList"):
            joined = name({"GroupName": group}, "GroupName")
            self._groups_in_use.add(joined)
            self._put(Object("iam_membership", f"{own} in {joined}", {"of": of, "group": joined}))

    def _in_use(self, arn: str) -> str:
        policy = policy_name(arn)
        self._policies_in_use.add(arn)
        for item in self._unused.pop(arn, ()):
            self._put(item)
        return policy

    def policy(self, detail: Any) -> None:
        """Take a managed policy with its versions; one of AWS's own only where it is used."""
        arn = field(detail, "Arn")
        if not is_aws_managed(policy_name(arn)) or arn in self._policies_in_use:
            for item in policy(detail, self._documents):
                self._put(item)
        elif _is_used(detail):
            self._unused[arn] = list(policy(detail, self._documents))

    def absent(self, arn: str) -> None:
        """Take it that AWS has no such policy: what has it as a boundary has one without effect."""
        self._absent.add(arn)

    @property
    def missing(self) -> list[str]:
        """ARNs of policies that are in use, in no page, and not known to be absent, sorted."""
        return sorted(
            arn
            for arn in self._policies_in_use
            if ("iam_policy", policy_name(arn)) not in self._objects
            and (arn in self._attached or arn not in self._absent)
        )

    @property
    def torn(self) -> set[str]:
        """Kinds of which an object was there twice, or was named and not there.

        A policy of AWS's own that is not there tells nothing: which ones are in an answer is AWS's
        choice.
        """
        found = {one for kind in self._twice for one in (kind, *_BELONGINGS.get(kind, ()))}
        if any(not is_aws_managed(policy_name(arn)) for arn in self.missing):
            found |= {"iam_policy", "iam_policy_version"}
        if any(("iam_group", group) not in self._objects for group in self._groups_in_use):
            found |= {"iam_group", *_BELONGINGS["iam_group"]}
        return found

    @property
    def objects(self) -> list[Object]:
        """All of them, in any order."""
        return list(self._objects.values())


_BELONGINGS: Final = {
    "iam_user": ("iam_attachment", "iam_inline_policy", "iam_membership"),
    "iam_group": ("iam_attachment", "iam_inline_policy"),
    "iam_role": ("iam_attachment", "iam_inline_policy"),
    "iam_policy": ("iam_policy_version",),
}


def _is_used(detail: Mapping[str, Any]) -> bool:
    """Whether AWS says that a policy is used, or does not say; what it says may be late."""
    counts = [detail.get("AttachmentCount"), detail.get("PermissionsBoundaryUsageCount")]
    return counts not in ([0, 0], [0, None])


def policy(detail: Any, documents: Documents) -> Iterator[Object]:
    """A managed policy, and of a customer's each version. Raises: Unsupported."""
    own = policy_name(field(detail, "Arn"))
    default = _version(detail, "DefaultVersionId")
    said: dict[str, Value] = {
        "path": field(detail, "Path"),
        "default_version": default,
        "aws_managed": is_aws_managed(own),
    }
    if detail.get("Description"):
        said["comment"] = field(detail, "Description")
    for version in elements(detail, "PolicyVersionList"):
        number = _version(version, "VersionId")
        stated = documents.stated(version.get("Document"), "document")
        if number == default:
            said |= stated
        if not is_aws_managed(own):
            text = stated["document"]
            data = text.encode() if isinstance(text, str) else canon.encode(text)
            attributes = {
                "of": f"iam_policy {own}",
                "sha256": canon.sha256(data),
                "created": timestamp(moment(version, "CreateDate")),
            }
            yield Object("iam_policy_version", f"{own} {number}", attributes)
    if "document" not in said:
        raise odd("a policy without its default version")
    yield Object("iam_policy", own, said)


def _version(answer: Any, member: str) -> str:
    value = field(answer, member)
    if not _VERSION.fullmatch(value):
        raise odd(member)
    return value


def tags(detail: Any) -> dict[str, Value]:
    """The tags of a user or a role. Raises: Unsupported, where two have one key."""
    found = elements(detail, "Tags")
    labels: dict[str, Value] = {field(one, "Key"): field(one, "Value") for one in found}
    if len(labels) != len(found):
        raise odd("two tags with one key")
    return labels


def role_details(listed: Any) -> dict[str, Value]:
    """What only ListRoles says of a role. Raises: Unsupported."""
    said: dict[str, Value] = {"max_session_seconds": whole(listed, "MaxSessionDuration")}
    if listed.get("Description"):
        said["comment"] = field(listed, "Description")
    return said


def instance_profile(listed: Any) -> Object:
    """An instance profile and its roles. Raises: Unsupported."""
    roles = sorted(name(role, "RoleName") for role in elements(listed, "Roles"))
    said = {"path": field(listed, "Path"), "roles": roles}
    return Object("iam_instance_profile", name(listed, "InstanceProfileName"), said)


def password_policy(answer: Any) -> Object:
    """The rules for passwords, those that are set. Raises: Unsupported."""
    given = answer.get("PasswordPolicy")
    if not isinstance(given, dict):
        raise odd("PasswordPolicy")
    said: dict[str, Value] = {}
    for member, attribute in _PASSWORD_POLICY.items():
        if member in given:
            value = given[member]
            said[attribute] = value if isinstance(value, bool) else whole(given, member)
    return Object("iam_password_policy", "account", said)


def root(answer: Any) -> dict[str, Value]:
    """What GetAccountSummary says of the account's root user. Raises: Unsupported."""
    summary = answer.get("SummaryMap")
    return {
        "root_mfa": whole(summary, "AccountMFAEnabled") > 0,
        "root_access_keys": whole(summary, "AccountAccessKeysPresent") > 0,
    }


def whole(answer: Any, member: str) -> int:
    """A whole number of an answer, not negative. Raises: Unsupported."""
    value = answer.get(member) if isinstance(answer, dict) else None
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= canon.MAX_INTEGER:
        raise odd(member)
    return value


def texts(answer: Any, member: str) -> Iterable[str]:
    """The texts of a list of an answer. Raises: Unsupported."""
    return [field({member: one}, member) for one in elements(answer, member)]
