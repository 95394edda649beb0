"""Roles: who has which, by themselves or through a group. No Cedar in here.

Names are compared in the one form of ``kernel.names.person``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from chalicelib.access.principal import Kind
from chalicelib.kernel import names
from chalicelib.kernel.errors import ConfigError, UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from chalicelib.access.principal import Principal

GROUP: Final = "group"
_KINDS: Final = tuple(kind.value for kind in Kind)
OWN: Final = "given by the token"


class Membership:
    """Who is in which group, and who has which role, as the settings say.

    ``roles``: members by role, ``person:ana`` or ``group:dba``; ``groups``: members by group,
    beside the groups that a principal brings along. Raises: ConfigError, on what names nobody.
    """

    __slots__ = ("_groups_of", "_roles_of", "groups", "roles")

    def __init__(
        self, roles: Mapping[str, Sequence[str]], groups: Mapping[str, Sequence[str]]
    ) -> None:
        self.roles = _table("[policy.roles]", roles, (*_KINDS, GROUP))
        self.groups = _table("[identity.groups]", groups, _KINDS)
        self._roles_of = _inverted(self.roles)
        self._groups_of = _inverted(self.groups)

    def of(self, principal: Principal) -> tuple[list[str], dict[str, list[str]]]:
        """The groups of a principal, and its roles, each with why: members, or OWN.

        A group whose name has no one form is left out: no settings and no policy can name it.
        Raises: UsageError, where the principal's own name has none.
        """
        own = f"{principal.kind.value}:{names.person(principal.name)}"
        brought = (_known(group) for group in principal.groups)
        groups = sorted({*filter(None, brought), *self._groups_of.get(own, ())})
        why: dict[str, list[str]] = {}
        for member in (own, *(f"{GROUP}:{group}" for group in groups)):
            for role in self._roles_of.get(member, ()):
                why.setdefault(role, []).append(member)
        for role in filter(None, map(_known, principal.roles)):
            why.setdefault(role, []).append(OWN)
        return groups, dict(sorted(why.items()))


def member(text: str, kinds: Sequence[str] = _KINDS) -> str:
    """``person:Ana`` in the one form of its name: ``person:ana``. Raises: UsageError."""
    kind, _, name = text.partition(":")
    if kind not in kinds:
        expected = ", ".join(f"{kind}:NAME" for kind in kinds)
        raise UsageError(f"not a member: {text[:80]!r}; expected one of {expected}")
    try:
        return f"{kind}:{names.person(name)}"
    except UsageError as error:
        raise UsageError(f"not a member: {text[:80]!r}: {error.message}") from error


def _known(name: str) -> str:
    """The one form of a name; empty, where there is none."""
    try:
        return names.person(name)
    except UsageError:
        return ""


def _table(
    where: str, table: Mapping[str, Sequence[str]], kinds: Sequence[str]
) -> dict[str, tuple[str, ...]]:
    """Members by name, all in the one form, sorted. Raises: ConfigError."""
    found: dict[str, tuple[str, ...]] = {}
    for written, members in table.items():
        try:
            name = names.person(written)
            all_members = {member(one, kinds) for one in members}
        except UsageError as error:
            raise ConfigError(
                f"{where} {written[:80]!r}: {error.message}", next_step="docs/policy.md"
            ) from error
        if name in found:
            raise ConfigError(f"{where} {name!r} is there twice, in two forms of its name")
        found[name] = tuple(sorted(all_members))
    return dict(sorted(found.items()))


def _inverted(table: Mapping[str, Sequence[str]]) -> dict[str, list[str]]:
    names_of: dict[str, list[str]] = {}
    for name, members in table.items():
        for one in members:
            names_of.setdefault(one, []).append(name)
    return names_of
