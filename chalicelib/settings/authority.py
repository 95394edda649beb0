"""Authority: what ``[policy]`` says, checked, and the policy that it comes to.

The check needs no Cedar, so that commands that decide nothing need not load it; what only Cedar can
tell is found by :func:`load`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from chalicelib.access import roles
from chalicelib.access.principal import Kind
from chalicelib.access.question import Resource
from chalicelib.evidence import note
from chalicelib.kernel import names
from chalicelib.kernel.errors import ConfigError, UsageError
from chalicelib.settings import identity

if TYPE_CHECKING:
    from pathlib import Path

    from chalicelib.access.policy import Policy
    from chalicelib.access.principal import Principal
    from chalicelib.access.question import Action
    from chalicelib.settings import File, Settings


def check(path: Path, file: File) -> None:
    """Return if roles and groups name members. Raises: ConfigError.

    A member by another name than the one that counts would never match anybody.
    """
    people = identity.directory(file.identity, where=f"{path}: [identity]").people
    try:
        found = roles.Membership(file.policy.roles, file.identity.groups)
    except ConfigError as error:
        raise ConfigError(f"{path}: {error.message}", next_step=error.next_step) from error
    for role, members in found.roles.items():
        for one in members:
            kind, _, name = one.partition(":")
            if kind == Kind.PERSON.value and name in people:
                raise ConfigError(
                    f"{path}: [policy.roles] {role!r}: {name!r} is another name of "
                    f"{people[name]!r}; members are called by the one that counts",
                    next_step=f"person:{people[name]} in its place",
                )


def load(settings: Settings) -> Policy:
    """The policy of an installation, ready to decide. Raises: ConfigError."""
    from chalicelib.access import policy  # noqa: PLC0415 - Cedar takes time to load

    groups = identity.directory(settings.file.identity).groups
    return policy.load(
        [(one.name, one.text) for one in settings.policies],
        settings.file.policy.roles,
        {name: sorted(members) for name, members in groups.items()},
    )


def known(settings: Settings, principal: Principal) -> Principal:
    """A principal by the name that counts, where it was called by another. Raises: UsageError."""
    directory = identity.directory(settings.file.identity)
    name = directory.name(principal.name, principal.kind)
    return msgspec.structs.replace(principal, name=name)


def resource(settings: Settings, action: Action, target: str) -> Resource:
    """What an action is done to: a configured target, or with an empty ``target`` the log.

    Raises: UsageError, where the action is not done to such a thing; NotFound, for no such target.
    """
    if action.on_log:
        if target:
            raise UsageError(f"{action.value} is asked of the log, and not of a target")
        key = settings.file.log.key
        return Resource.log(note.parse_vkey(key).name if key else "")
    if not target:
        raise UsageError(
            f"{action.value} is asked of a target", next_step="name one, --target NAME"
        )
    found = settings.target(target)
    return Resource.target(names.TargetName(found.kind, found.slug), found.env)
