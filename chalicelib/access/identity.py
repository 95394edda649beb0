"""Who a verified caller is: claims of a token, or an AWS identity, to one principal. Pure.

A person has one name, whichever door they come through: names are folded (``kernel.names.person``)
and other names of theirs lead to the one that counts. Issuers, and the AWS accounts that are named,
are trusted to name whomever they like, as far as their ``names`` allow: a second issuer of people
that says ``ana`` is as good as the first. Whoever writes the settings decides that, and settings
that leave it to chance are refused.

Whoever may assume a role chooses the session's name, unless the role's trust policy or IAM Identity
Center sets it. Where sessions name people, the trust policy must hold the name to the person, e.g.
``"StringEquals": {"sts:RoleSessionName": "${aws:username}"}``; else one person could count as two.
A workload is named by its role, which it cannot choose.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import msgspec

from chalicelib.access.issuer import matches
from chalicelib.access.principal import Kind, Principal
from chalicelib.kernel import names
from chalicelib.kernel.errors import Unauthenticated, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from chalicelib.access.token import Claims

MAX_ARN_CHARACTERS: Final = 2_048  # IAM and STS quotas, "Policy: maximum size of an ARN"
MAX_GROUPS: Final = 1_000
MAX_GROUP_CHARACTERS: Final = 256
MAX_ROLES: Final = 20
MAX_SESSION_CHARACTERS: Final = 256

OS: Final = "os"
ASSERTED: Final = "asserted"

# Source: IAM User Guide, "IAM identifiers"; a session's name: STS, AssumeRole, RoleSessionName.
_FORMS: Final = tuple(
    re.compile(rf"arn:aws[a-z-]{{0,20}}:{form}", re.ASCII)
    for form in (
        r"iam::(?P<account>[0-9]{12}):(?P<name>root)(?P<role>)",
        r"iam::(?P<account>[0-9]{12}):user/(?:[!-.0-~]{1,510}/)*(?P<name>[\w+=,.@-]{1,64})(?P<role>)",
        r"sts::(?P<account>[0-9]{12}):assumed-role/(?P<role>[\w+=,.@-]{1,64})/(?P<name>[\w+=,.@-]{2,64})",
    )
)
_ROOT: Final = re.compile(r"arn:aws[a-z-]{0,20}:iam::[0-9]{12}:root")
_PARTS: Final = re.compile(r"([:/])")
# A person's record has the plain name, any other's has its kind before it: see Principal.actor.
_RESERVED: Final = re.compile(r"(?:person|agent|pipeline|group|role) ?:")
_ROLE: Final = re.compile(r"[a-z][a-z0-9_-]{0,63}")


class AwsCaller(NamedTuple):
    """What an ARN says: the user's or the session's name, and the role, empty for a user."""

    account: str
    name: str
    role: str


class Iam(msgspec.Struct, frozen=True):
    """AWS identities that may call. ``names``: as of an issuer.

    ``arn``: a pattern, ``*`` for any characters within one part between ``:`` or ``/``.
    """

    arn: str
    kind: Kind = Kind.PERSON
    groups: tuple[str, ...] = ()
    names: tuple[str, ...] = ()


class Directory(msgspec.Struct, frozen=True):
    """Who is who. ``people``: other names, folded, each with the name that counts.

    ``groups``: each with the ids of its members, e.g. ``person:ana``.
    """

    people: dict[str, str] = {}
    groups: dict[str, frozenset[str]] = {}

    def name(self, text: str, kind: Kind) -> str:
        """The one name of whoever is called ``text``. Raises: UsageError."""
        name = names.person(text)
        if kind is not Kind.PERSON:
            return name
        if reserved(name):
            raise UsageError(f"a person is not called {name!r}: that is how other kinds are named")
        return self.people.get(name, name)

    def groups_of(self, identity: str) -> Iterable[str]:
        """The groups that hold a principal's id."""
        return (name for name, members in self.groups.items() if identity in members)


def reserved(name: str) -> bool:
    """Whether a folded name looks like that of another kind, e.g. ``agent:fixer``."""
    return _RESERVED.match(name) is not None


def principal(claims: Claims, directory: Directory) -> Principal:
    """Who a verified token is of. Raises: Unauthenticated, where it does not name one caller."""
    issuer, body = claims.issuer, claims.body
    if issuer.local:
        return _local(claims, directory)
    name = body.get(issuer.name_claim)
    if not isinstance(name, str):
        raise Unauthenticated(
            f"the token has no claim {issuer.name_claim!r}, which names its bearer",
            next_step="name_claim in [[identity.issuers]], or have the issuer send that claim",
        )
    if issuer.name_claim == "email" and body.get("email_verified") is not True:
        raise Unauthenticated(
            "the token's email address was not verified by its issuer: anybody may have set it",
            next_step="have the address verified, or use another name_claim",
        )
    told = _groups(body, issuer.groups_claim)
    return _named(
        issuer.kind,
        name,
        issuer.names,
        directory,
        via="oidc",
        groups=(*told, *issuer.groups),
        session=_session(body.get("jti")),
        mfa_at=claims.mfa_at,
    )


def iam(arn: str, sections: Sequence[Iam], directory: Directory) -> Principal:
    """Who an AWS identity is: the first of ``sections`` whose pattern its ARN has.

    ``arn``: as ``requestContext.identity.userArn``, which API Gateway has verified. A person is the
    session or the user, a workload the role or the user. Raises: Unauthenticated.
    """
    found = caller(arn)
    if found is None or _ROOT.fullmatch(arn):
        raise Unauthenticated(
            "the AWS identity is neither an IAM user nor a session of a role",
            next_step="sign in through IAM Identity Center, or assume a role",
        )
    for section in sections:
        if within(section.arn, arn):
            workload = section.kind is not Kind.PERSON and found.role
            return _named(
                section.kind,
                found.role if workload else found.name,
                section.names,
                directory,
                via="iam",
                groups=section.groups,
                session=arn[:MAX_SESSION_CHARACTERS],
            )
    raise Unauthenticated(
        "no [[identity.iam]] of the settings names this AWS identity",
        next_step="[[identity.iam]] arn in the settings; the first that fits counts",
    )


def caller(arn: str) -> AwsCaller | None:
    """What an ARN of an IAM user, a session of a role, or root says; None for any other."""
    for form in _FORMS:
        found = form.fullmatch(arn, 0, MAX_ARN_CHARACTERS)
        if found and len(arn) <= MAX_ARN_CHARACTERS:
            return AwsCaller(found["account"], found["name"], found["role"])
    return None


def within(pattern: str, arn: str) -> bool:
    """Whether an ARN is a pattern's, part by part: no ``*`` reaches beyond a ``:`` or a ``/``."""
    wanted, parts = _PARTS.split(pattern), _PARTS.split(arn)
    return len(wanted) == len(parts) and all(map(matches, wanted, parts))


def group(name: Any) -> str:
    """A group's name, as it is. Raises: UsageError, unless it is text that shows, within bounds."""
    if (
        not isinstance(name, str)
        or not 0 < len(name) <= MAX_GROUP_CHARACTERS
        or not name.isprintable()
        or name != name.strip()
    ):
        raise UsageError(
            f"a group's name has 1 to {MAX_GROUP_CHARACTERS} characters that show, and no space "
            "around them"
        )
    return name


def _local(claims: Claims, directory: Directory) -> Principal:
    """A token of this machine's own issuer, which also says kind, roles and ``via``."""
    body = claims.body
    roles, via = body.get("roles", []), body.get("via")
    try:
        kind = Kind(body.get("kind"))
    except ValueError:
        raise Unauthenticated("the local token is of no known kind") from None
    if not isinstance(via, str) or via not in {OS, ASSERTED}:
        raise Unauthenticated("the local token does not say how its bearer is known")
    if (
        not isinstance(roles, list)
        or len(roles) > MAX_ROLES
        or not all(isinstance(one, str) and _ROLE.fullmatch(one) for one in roles)
    ):
        raise Unauthenticated("the local token's roles are not a list of names")
    return _named(
        kind,
        claims.subject,
        (),
        directory,
        via=via,
        groups=_groups(body, "groups"),
        roles=tuple(dict.fromkeys(roles)),
        session=_session(body.get("jti")),
    )


def _named(
    kind: Kind,
    text: str,
    allowed: Sequence[str],
    directory: Directory,
    *,
    via: str,
    groups: Iterable[str],
    session: str,
    roles: tuple[str, ...] = (),
    mfa_at: int | None = None,
) -> Principal:
    """The principal of a name that somebody else says. Only a person proves a second factor."""
    try:
        said, name = names.person(text), directory.name(text, kind)
    except UsageError:
        raise Unauthenticated(
            f"the caller's name is not one that a {kind.value} can have",
            next_step=f"1 to {names.MAX_PERSON_CHARACTERS} characters that show, and none like "
            "agent:… or pipeline:…; name_claim in [[identity.issuers]] chooses another claim",
        ) from None
    if allowed and not any(matches(one.casefold(), said) for one in allowed):
        raise Unauthenticated(
            f"the caller's name is not one that this issuer may give to a {kind.value}",
            next_step="names in the issuer's section of the settings",
        )
    proved = mfa_at if kind is Kind.PERSON else None
    named = Principal(kind, name, via, roles=roles, session=session, mfa_at=proved)
    every = {*groups, *directory.groups_of(named.id)}
    return msgspec.structs.replace(named, groups=tuple(sorted(every)))


def _groups(body: Mapping[str, Any], claim: str) -> tuple[str, ...]:
    """The groups of a claim, which may be absent: then there are none."""
    if not claim:
        return ()
    # Entra ID: groups that are too many for a token are left at an address. To go on without them
    # could let in whom a policy forbids by a group.
    elsewhere = body.get("_claim_names")
    if body.get("hasgroups") or (isinstance(elsewhere, dict) and claim in elsewhere):
        raise Unauthenticated(
            "the token leaves its groups elsewhere, because they are too many",
            next_step="have the issuer send only groups that are assigned to the application",
        )
    found = body.get(claim, [])
    if not isinstance(found, list) or len(found) > MAX_GROUPS:
        raise Unauthenticated(
            f"the token's groups are no list, or more than {MAX_GROUPS}",
            next_step="groups_claim in [[identity.issuers]] names a list of text",
        )
    try:
        return tuple(map(group, found))
    except UsageError as error:
        raise Unauthenticated(
            f"the token's groups cannot be used: {error.message}",
            next_step="groups_claim in [[identity.issuers]] names a list of text",
        ) from None


def _session(jti: Any) -> str:
    """What the issuer calls the token, if that can be written down."""
    usable = isinstance(jti, str) and len(jti) <= MAX_SESSION_CHARACTERS and jti.isprintable()
    return str(jti) if usable else ""
