"""Session policies: what the session of a lease at an AWS role may do, and until when. Pure.

A session may do what its role may and this policy allows, whichever is less. The policy allows the
profile's actions on the scope's resources, and denies everything from the lease's end on, by AWS's
own clock: a denial holds for what a resource's policy grants to the session, too. Source: IAM User
Guide, "Policies and permissions", Session policies; "Policy evaluation logic".
"""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING, Final

from chalicelib.kernel import canon
from chalicelib.kernel.clock import parse_timestamp
from chalicelib.kernel.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from chalicelib.access.profile import Profile

MAX_POLICY_CHARACTERS: Final = 2_048  # STS, AssumeRole, Policy; AWS bounds the packed form besides
MAX_RESOURCES: Final = 20
MAX_ARN_CHARACTERS: Final = 1_024
MAX_IDENTITY_CHARACTERS: Final = 64  # STS, AssumeRole, SourceIdentity: [\w+=,.@-]{2,64}

# Partition, service, region, account, resource. A star stands in the resource alone: a star before
# that would reach into other services and accounts.
_ARN: Final = re.compile(
    r"arn:aws[a-z-]{0,20}:[a-z0-9-]{1,63}:[a-z0-9-]{0,32}:([0-9]{12}|aws)?:[!#-\[\]-~]{1,900}",
    re.ASCII,
)
_VARIABLE: Final = "${"  # IAM User Guide, "Variables and tags": a policy would fill it in
_NOTHING_BUT_STARS: Final = re.compile(r"[*?/:]+")
_HARMLESS: Final = frozenset({"sts:DecodeAuthorizationMessage", "sts:GetCallerIdentity"})
_PLAIN: Final = re.compile(r"[A-Za-z0-9_.,@-]")
_PERSON: Final = "person:"
_DIGEST_CHARACTERS: Final = 32
_SHORTENED: Final = "=."  # an escape is "=" and two capital hexadecimal digits, so never this


def scope(texts: Iterable[str]) -> tuple[str, ...]:
    """ARNs in order, each once. Raises: UsageError, for what is none, and past MAX_RESOURCES."""
    found = sorted(set(texts))
    for one in found:
        if (
            not _ARN.fullmatch(one)
            or len(one) > MAX_ARN_CHARACTERS
            or _VARIABLE in one
            or _NOTHING_BUT_STARS.fullmatch(one.split(":", 5)[5])
        ):
            raise UsageError(
                f"not a resource of a scope: {one[:120]!r}; expected an ARN with its service, and "
                "stars only within the resource, e.g. arn:aws:s3:::ml-config/*"
            )
    if len(found) > MAX_RESOURCES:
        raise UsageError(
            f"a scope has at most {MAX_RESOURCES} resources, found {len(found)}",
            next_step="name several at once with a star, or leave the resources out",
        )
    return tuple(found)


def policy(profile: Profile, resources: Iterable[str], until: str) -> str:
    """The policy's canonical JSON, at most MAX_POLICY_CHARACTERS.

    Without resources the profile's actions are allowed on all that the role reaches. An action that
    knows no resources, such as ``s3:ListAllMyBuckets``, is allowed by no scope of ARNs. ``until``:
    as ``kernel.clock`` writes it. Raises: UsageError, for a profile without actions or with one
    that makes other sessions, and past the bound.
    """
    actions = sorted(set(profile.actions))
    if not actions:
        raise UsageError(
            "this profile has no actions of AWS, and a session of it could do nothing",
            next_step='[profiles.NAME] actions = ["s3:GetObject", …] in the settings',
        )
    for one in actions:
        if one.startswith("sts:") and one not in _HARMLESS:
            raise UsageError(
                f"a profile cannot have the action {one}: a session that is made from a lease's "
                "session lives on when the lease has ended",
                next_step="lease the other role as a target of its own",
            )
    text = canon.encode(
        {
            "Version": "2012-10-17",
            "Statement": [
                {
                    "Effect": "Allow",
                    "Action": actions,
                    "Resource": list(scope(resources)) or "*",
                },
                {
                    "Effect": "Deny",
                    "Action": "*",
                    "Resource": "*",
                    "Condition": {"DateGreaterThanEquals": {"aws:CurrentTime": second(until)}},
                },
            ],
        }
    ).decode()
    if len(text) > MAX_POLICY_CHARACTERS:
        raise UsageError(
            f"the session's policy has {len(text)} characters, and AWS takes "
            f"{MAX_POLICY_CHARACTERS}",
            next_step="name fewer resources, or several at once with a star",
        )
    return text


def second(at: str) -> str:
    """A moment as IAM's dates have it, ``2026-10-01T02:00:00Z``: the whole second before."""
    return parse_timestamp(at).strftime("%Y-%m-%dT%H:%M:%SZ")


def source_identity(holder: str) -> str:
    """Who holds the session, as CloudTrail keeps it through every role that is assumed from it.

    A person's plain name, ``agent+fixer`` for another kind. Distinct holders have distinct ones:
    what AWS does not take is escaped as ``=`` and two digits a byte, and what is too long or too
    short ends in a digest of the whole (128 bits). ``holder``: a principal's id.
    """
    if holder.startswith(_PERSON):
        text = _escaped(holder.removeprefix(_PERSON))
    else:
        kind, _, name = holder.partition(":")
        text = f"{_escaped(kind)}+{_escaped(name)}"
    if 1 < len(text) <= MAX_IDENTITY_CHARACTERS:
        return text
    digest = hashlib.sha256(holder.encode()).hexdigest()[:_DIGEST_CHARACTERS]
    left = MAX_IDENTITY_CHARACTERS - len(_SHORTENED) - len(digest)
    return text[:left] + _SHORTENED + digest


def _escaped(text: str) -> str:
    return "".join(
        one if _PLAIN.fullmatch(one) else "".join(f"={byte:02X}" for byte in one.encode())
        for one in text
    )
