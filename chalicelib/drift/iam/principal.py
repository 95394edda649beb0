"""Principals: the entries of a policy's Principal element, and who they are.

Source: AWS IAM User Guide, "AWS JSON policy elements: Principal" and "NotPrincipal".
"""

from __future__ import annotations

import re
from itertools import product
from typing import TYPE_CHECKING, Final

import msgspec

from chalicelib.drift.iam.glob import Exhausted

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

KINDS: Final = ("AWS", "CanonicalUser", "Federated", "Service")
MAX_PEOPLE: Final = 4_000  # representatives of one comparison

_ACCOUNT = re.compile(r"[0-9]{12}")
_ROOT = re.compile(r"arn:[a-z-]+:iam::([0-9]{12}):root")
_ARN = re.compile(r"arn:(?P<partition>[a-z-]+):(?P<service>iam|sts)::(?P<account>[0-9]{12}):.+")
_ROLE = re.compile(r"arn:[a-z-]+:iam::[0-9]{12}:role/(?:.*/)?(?P<name>[^/]+)")
_SESSION = re.compile(r"arn:[a-z-]+:sts::[0-9]{12}:assumed-role/(?P<name>[^/]+)/[^/]+")
_IDENTIFIER = re.compile(r"A[A-Z0-9]{3}[A-Z0-9]{8,124}")


class Entry(msgspec.Struct, frozen=True, order=True):
    """One principal of a policy; ``("*", "*")`` is everyone, ``("AWS", account id)`` an account."""

    kind: str
    value: str


EVERYONE: Final = Entry("*", "*")


class Principal(msgspec.Struct, frozen=True):
    """Who asks: the names that entries may have for them. Nobody's name: an anonymous caller."""

    label: str
    names: frozenset[Entry] = frozenset()


ANONYMOUS: Final = Principal("anonymous")


def entry(kind: str, value: str) -> Entry:
    """The entry of a kind, an account always as its id. Raises: ValueError, for no principal.

    ``{"AWS": "*"}`` is everyone, as AWS documents.
    """
    if kind not in KINDS:
        raise ValueError(f"{kind!r} is not a kind of principal")
    if kind != "AWS":
        if not value or (("*" in value or "?" in value) and value != "*"):
            raise ValueError("a principal has no wildcard but * alone")
        return Entry(kind, value)
    if value == "*":
        return EVERYONE
    if found := _ROOT.fullmatch(value):
        return Entry("AWS", found[1])
    if "*" in value or "?" in value:
        raise ValueError("a principal has no wildcard but * alone")
    if _ACCOUNT.fullmatch(value) or _ARN.fullmatch(value) or _IDENTIFIER.fullmatch(value):
        return Entry("AWS", value)
    raise ValueError("a principal of AWS is *, an account, an ARN of iam or sts, or an id")


def is_named(principal: Principal, entries: Iterable[Entry]) -> bool:
    """Whether one of the entries is the principal, or their account, or everyone."""
    return any(
        one == EVERYONE
        or one in principal.names
        or (one.value == "*" and any(name.kind == one.kind for name in principal.names))
        for one in entries
    )


def is_spared(principal: Principal, entries: Iterable[Entry]) -> bool | None:
    """Whether NotPrincipal with these entries leaves the principal out; None: nobody can tell.

    AWS documents that account, role and session must all be listed, or else the account "might" be
    denied; so who is listed by some of their names only is undecided.
    """
    entries = list(entries)
    if not is_named(principal, entries):
        return False
    if EVERYONE in entries or all(
        name in entries or Entry(name.kind, "*") in entries for name in principal.names
    ):
        return True
    return None


def people(entries: Iterable[Entry]) -> list[Principal]:
    """A representative of every set of principals that these entries can tell apart.

    Raises: Exhausted, above MAX_PEOPLE.
    """
    given = sorted(set(entries) - {EVERYONE})
    accounts = sorted({account for one in given if (account := _account(one))})
    taken = set(accounts)
    spare = next(a for a in map("{:012d}".format, range(999, 10**12)) if a not in taken)
    if len(given) > MAX_PEOPLE:
        raise Exhausted
    found = [ANONYMOUS]
    kin = _kin(given)
    found += [_user(account) for account in (spare, *accounts)]
    found += [
        Principal(f"arn:aws:iam::{account}:root", frozenset({Entry("AWS", account)}))
        for account in accounts
    ]
    for one in given:
        if one.kind == "AWS" and not _ACCOUNT.fullmatch(one.value):
            found += _bearers(one, kin, [spare, *accounts])
    users = [one for one in given if one.kind == "CanonicalUser"]
    owned = [
        Principal(f"{who.label}, canonical user {user.value}", who.names | {user})
        for who, user in product(found[1:], users)
    ]
    for kind, stranger in (
        ("Service", "example.amazonaws.com"),
        ("Federated", "example.com"),
        ("CanonicalUser", "0" * 64),
    ):
        names = {stranger, *(one.value for one in given if one.kind == kind)} - {"*"}
        found += [Principal(name, frozenset({Entry(kind, name)})) for name in sorted(names)]
    if len(found) + len(owned) > MAX_PEOPLE:
        raise Exhausted
    return [*found, *owned]


def _account(one: Entry) -> str:
    if one.kind != "AWS":
        return ""
    found = _ARN.fullmatch(one.value)
    if found is not None:
        return found["account"]
    return one.value if _ACCOUNT.fullmatch(one.value) else ""


def _user(account: str) -> Principal:
    arn = f"arn:aws:iam::{account}:user/someone-else"
    return Principal(arn, frozenset({Entry("AWS", account), Entry("AWS", arn)}))


def _part(one: Entry) -> tuple[str, str, str] | None:
    """What the role and its sessions have in common: partition, account, name of the role."""
    found = _ROLE.fullmatch(one.value) or _SESSION.fullmatch(one.value)
    if found is None or one.kind != "AWS":
        return None
    return one.value.split(":")[1], _account(one), found["name"]


def _kin(given: list[Entry]) -> dict[tuple[str, str, str], tuple[set[str], set[str]]]:
    """The ARNs of each role that is spoken of, one without a path too, and of its sessions."""
    found: dict[tuple[str, str, str], tuple[set[str], set[str]]] = {}
    for one in given:
        if part := _part(one):
            partition, account, name = part
            roles, sessions = found.setdefault(
                part,
                (
                    {f"arn:{partition}:iam::{account}:role/{name}"},
                    {f"arn:{partition}:sts::{account}:assumed-role/{name}/some-session"},
                ),
            )
            (roles if _ROLE.fullmatch(one.value) else sessions).add(one.value)
    return found


def _bearers(
    one: Entry,
    kin: dict[tuple[str, str, str], tuple[set[str], set[str]]],
    accounts: list[str],
) -> Iterator[Principal]:
    """Who may bear the name: a session of a role is the role too, under any path it may have."""
    account = _account(one)
    part = _part(one)
    if not account:
        for owner in accounts:
            yield Principal(one.value, frozenset({one, Entry("AWS", owner)}))
    elif part is None:
        yield Principal(one.value, frozenset({one, Entry("AWS", account)}))
    else:
        roles, sessions = kin.pop(part, (set(), set()))
        for role, session in product(sorted(roles), sorted(sessions)):
            names = {role, session, account}
            label = f"{session} of {role}"
            yield Principal(label, frozenset(Entry("AWS", name) for name in names))
