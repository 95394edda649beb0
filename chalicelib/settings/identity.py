"""Checks of ``[identity]``: nobody is let in, and nobody named, by accident.

What the settings cannot say: an issuer of one machine (``holdfast:local:…`` is no URL), a symmetric
algorithm, keys over plain HTTP from another machine, an issuer that serves everybody without a
claim that says whose, two issuers that may name the same caller without saying so.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from chalicelib.access import identity
from chalicelib.access.identity import Directory, Iam
from chalicelib.access.issuer import ALGORITHMS, Issuer, secure
from chalicelib.access.principal import Kind
from chalicelib.kernel import names
from chalicelib.kernel.errors import ConfigError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from chalicelib.settings.schema import File, IamSection, IdentitySection, IssuerSection

MAX_ISSUERS: Final = 50
MAX_IAM: Final = 200
MAX_PATTERNS: Final = 200
MAX_TEXT_CHARACTERS: Final = 1_024
MAX_URL_CHARACTERS: Final = 2_000
LIFETIME_SECONDS: Final = (60, 86_400)

_KINDS: Final = [kind.value for kind in Kind]
_URL: Final = re.compile(r"[!-~]+")
_MEMBER: Final = re.compile(rf"({'|'.join(_KINDS)}):(.+)", re.DOTALL)
# The account is spelt out, and something of whom it names is.
_ARN: Final = re.compile(
    r"arn:aws[a-z-]{0,20}:(?:"
    r"iam::(?P<user>[0-9]{12}):user/(?:[!-.0-~]{1,510}/)*[\w+=,.@*-]{1,64}|"
    r"sts::(?P<role>[0-9]{12}):assumed-role/(?!\*+/)[\w+=,.@*-]{1,64}/[\w+=,.@*-]{1,64})",
    re.ASCII,
)

# Issuers that anybody can have tokens of: a claim has to say whose. Each with its claims that do,
# and what their patterns have to be: all of it spelt out, or at least the owner. The audience says
# nothing there, since whoever asks for a token chooses it. A claim such as job_workflow_ref is left
# out on purpose: anybody may call a public workflow from a repository of their own.
_WHOLE: Final = r"[^*]+"
_OWNER: Final = r"[^*/]+/.*"
SHARED: Final[dict[str, dict[str, str]]] = {
    "https://token.actions.githubusercontent.com": {
        "repository_owner_id": _WHOLE,
        "repository_id": _WHOLE,
        "repository_owner": _WHOLE,
        "repository": _OWNER,
        "enterprise_id": _WHOLE,
        "sub": rf"repo:{_OWNER}|{_WHOLE}",
    },
    "https://gitlab.com": {
        "namespace_id": _WHOLE,
        "project_id": _WHOLE,
        "namespace_path": _WHOLE,
        "project_path": _OWNER,
        "sub": rf"project_path:{_OWNER}|{_WHOLE}",
    },
    "https://accounts.google.com": {"hd": _WHOLE, "sub": _WHOLE},
    "https://appleid.apple.com": {"sub": _WHOLE},
    "https://app.terraform.io": {
        "terraform_organization_id": _WHOLE,
        "sub": rf"organization:[^*:]+:.*|{_WHOLE}",
    },
    "https://agent.buildkite.com": {
        "organization_id": _WHOLE,
        "sub": rf"organization:[^*:]+:.*|{_WHOLE}",
    },
    # Entra ID's tenant of everybody's own accounts.
    "https://login.microsoftonline.com/9188040d-6c67-4c5b-b112-36a304b66dad/v2.0": {
        "sub": _WHOLE,
        "oid": _WHOLE,
    },
}
_GITHUB: Final = "https://token.actions.githubusercontent.com"
_GITHUB_NAMES: Final = frozenset({"sub", "repository", "repository_id"})
_EVERY_TENANT: Final = re.compile(
    r"https://login\.microsoftonline\.com/(common|organizations|consumers)(/.*)?"
)
# OpenID Connect Core §5.7: these are not unique, and their bearer may change them.
_DISPLAY: Final = frozenset(
    {"name", "given_name", "family_name", "middle_name", "nickname", "profile", "picture"}
)


def check(path: Path, file: File) -> None:
    """Return if the ``[identity]`` section can be used. Raises: ConfigError."""
    section = file.identity
    if len(section.issuers) > MAX_ISSUERS or len(section.iam) > MAX_IAM:
        raise ConfigError(
            f"{path}: [identity] at most {MAX_ISSUERS} issuers and {MAX_IAM} of iam are handled"
        )
    seen: set[str] = set()
    for one in section.issuers:
        where = f"{path}: [[identity.issuers]] {one.issuer[:200]!r}"
        _check_issuer(where, one, on_aws=file.aws is not None)
        if one.issuer in seen:
            raise ConfigError(
                f"{where}: is there twice; a token's issuer has to lead to one section"
            )
        seen.add(one.issuer)
    for entry in section.iam:
        _check_iam(f"{path}: [[identity.iam]] {entry.arn[:200]!r}", entry)
    _check_doors(path, section)
    known = directory(section, where=f"{path}: [identity]")
    for slug, target in file.targets.items():
        for approver in target.approvers:
            counts = known.people.get(names.person(approver))
            if counts is not None:
                raise ConfigError(
                    f"{path}: [targets.{slug}] approvers: {approver!r} is another name of "
                    f"{counts!r}",
                    next_step=f"write {counts!r}: approvals are counted by that name",
                )


def directory(section: IdentitySection, *, where: str = "[identity]") -> Directory:
    """Who is who, by the settings; every name folded. Raises: ConfigError."""
    try:
        people = _people(section.people)
        known = Directory(people)
        groups = {
            identity.group(name): frozenset(_member(one, known) for one in members)
            for name, members in section.groups.items()
        }
    except UsageError as error:
        raise ConfigError(f"{where}: {error.message}") from error
    return Directory(people, groups)


def person(section: IdentitySection, text: str) -> str:
    """The one name of the person who is called ``text``. Raises: UsageError."""
    return directory(section).name(text, Kind.PERSON)


def issuer(section: IssuerSection) -> Issuer:
    """The issuer of a checked section; never the one of one machine."""
    return Issuer(
        issuer=section.issuer,
        audience=section.audience,
        kind=Kind(section.type),
        jwks_uri=section.jwks_uri,
        algorithms=tuple(section.algorithms),
        name_claim=section.name_claim,
        groups_claim=section.groups_claim,
        groups=tuple(section.groups),
        claims=section.claims,
        names=tuple(section.names),
        max_lifetime_seconds=section.max_lifetime_seconds,
    )


def iam(section: IamSection) -> Iam:
    """The AWS identities of a checked section."""
    return Iam(section.arn, Kind(section.type), tuple(section.groups), tuple(section.names))


def _people(section: dict[str, str]) -> dict[str, str]:
    nobody = Directory()
    found: dict[str, str] = {}
    for other, counts in section.items():
        alias, name = nobody.name(other, Kind.PERSON), nobody.name(counts, Kind.PERSON)
        if found.setdefault(alias, name) != name:
            raise UsageError(f"people: {other!r} leads to two names")
    for alias, name in found.items():
        if found.get(name, name) != name:
            raise UsageError(
                f"people: {alias!r} leads to {name!r}, which leads on; write the name that counts"
            )
    return found


def _member(text: str, known: Directory) -> str:
    found = _MEMBER.fullmatch(text)
    if found is None:
        raise UsageError(
            f"groups: {text[:80]!r}: expected person:NAME, agent:NAME or pipeline:NAME"
        )
    kind = Kind(found[1])
    return f"{kind.value}:{known.name(found[2], kind)}"


def _check_issuer(where: str, one: IssuerSection, *, on_aws: bool) -> None:
    for key, url in (("issuer", one.issuer), ("jwks_uri", one.jwks_uri)):
        if url or key == "issuer":
            _check_url(f"{where}: {key}", url, query=key == "jwks_uri", on_aws=on_aws)
    _check_texts(where, "audience", [one.audience], stars=False)
    _check_texts(where, "name_claim", [one.name_claim], stars=False)
    _check_texts(where, "groups_claim", [one.groups_claim] if one.groups_claim else [], stars=False)
    _check_texts(where, "claims", [*one.claims, *one.claims.values()], stars=True)
    _check_texts(where, "names", one.names, stars=True)
    _check_kind(where, one.type, one.groups)
    unknown = [each for each in one.algorithms if each not in ALGORITHMS]
    if unknown or not one.algorithms:
        raise ConfigError(
            f"{where}: algorithms: {', '.join(unknown)[:80] or 'none'}; expected of "
            f"{', '.join(ALGORITHMS)}: a key that verifies must not be one that signs"
        )
    least, most = LIFETIME_SECONDS
    if not least <= one.max_lifetime_seconds <= most:
        raise ConfigError(f"{where}: max_lifetime_seconds: expected {least} to {most}")
    if one.name_claim in _DISPLAY:
        raise ConfigError(
            f"{where}: name_claim {one.name_claim!r} is what people call themselves, not unique",
            next_step="name_claim = 'sub', or 'email', which has to be verified",
        )
    _check_shared(where, one)


def _check_shared(where: str, one: IssuerSection) -> None:
    """An issuer that anybody can have tokens of is held to whose they have to be."""
    if _EVERY_TENANT.fullmatch(one.issuer):
        raise ConfigError(
            f"{where}: no token has that issuer: tokens name their tenant",
            next_step="https://login.microsoftonline.com/TENANT-ID/v2.0",
        )
    holds = SHARED.get(one.issuer, {})
    if holds and not any(
        re.fullmatch(form, one.claims[claim], re.DOTALL)
        for claim, form in holds.items()
        if claim in one.claims
    ):
        raise ConfigError(
            f"{where}: anybody can have tokens of it, and no claim says whose they have to be",
            next_step=f"claims = {{ {next(iter(holds))} = '…' }}, or one of "
            f"{', '.join([*holds][1:]) or 'those'}, its owner spelt out; docs/identity.md",
        )
    if one.issuer == _GITHUB and (one.type == "person" or one.name_claim not in _GITHUB_NAMES):
        raise ConfigError(
            f"{where}: its tokens are of workflows, and of no person",
            next_step="type = 'pipeline' or 'agent', and name_claim = 'repository' or 'sub'",
        )


def _check_iam(where: str, one: IamSection) -> None:
    if len(one.arn) > identity.MAX_ARN_CHARACTERS or not _ARN.fullmatch(one.arn):
        raise ConfigError(
            f"{where}: expected the account and at least some of the role spelt out",
            next_step="arn:aws:sts::123456789012:assumed-role/ROLE/* or "
            "arn:aws:iam::123456789012:user/NAME",
        )
    _check_kind(where, one.type, one.groups)
    _check_texts(where, "names", one.names, stars=True)


def _check_doors(path: Path, section: IdentitySection) -> None:
    """Where several may name callers of one kind, each has to say which names it may give."""
    doors = [(one.type, one.issuer, one.names) for one in section.issuers]
    doors += [(one.type, f"account {_account(one)}", one.names) for one in section.iam]
    for kind in _KINDS:
        silent = [door for each, door, allowed in doors if each == kind and not allowed]
        number = len({door for each, door, _ in doors if each == kind})
        if silent and number > 1:
            raise ConfigError(
                f"{path}: [identity] {number} issuers and AWS accounts name a {kind}, "
                f"and {silent[0][:200]!r} does not say which names it may give",
                next_step="names = ['*@example.com'], or ['*'] where it is trusted with all",
            )


def _account(one: IamSection) -> str:
    found = _ARN.fullmatch(one.arn)
    return (found["user"] or found["role"]) if found else ""


def _check_kind(where: str, kind: str, groups: Iterable[str]) -> None:
    if kind not in _KINDS:
        raise ConfigError(f"{where}: type {kind[:80]!r}: expected {', '.join(_KINDS)}")
    try:
        for one in groups:
            identity.group(one)
    except UsageError as error:
        raise ConfigError(f"{where}: groups: {error.message}") from error


def _check_texts(where: str, key: str, texts: list[str], *, stars: bool) -> None:
    for text in texts:
        if (
            not 0 < len(text) <= MAX_TEXT_CHARACTERS
            or not text.isprintable()
            or ("*" in text and not stars)
        ):
            raise ConfigError(
                f"{where}: {key}: {text[:80]!r}: expected 1 to {MAX_TEXT_CHARACTERS} characters "
                f"that show{'' if stars else ', and no *'}"
            )
    if len(texts) > MAX_PATTERNS:
        raise ConfigError(f"{where}: {key}: at most {MAX_PATTERNS} are handled")


def _check_url(where: str, url: str, *, query: bool, on_aws: bool) -> None:
    """https, or http of this machine, which a function on AWS never asks."""
    if (
        len(url) > MAX_URL_CHARACTERS
        or not _URL.fullmatch(url)
        or not secure(url, loopback=not on_aws)
        or "*" in url
        or ("?" in url and not query)
    ):
        raise ConfigError(
            f"{where}: expected https:// and a host; http:// only of this machine, and never on AWS"
        )
