"""The grantor: the port to whatever makes credentials at a target, and takes them away again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

import msgspec

from chalicelib.access.profile import Profile, Table

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from chalicelib.access.plan import Plan


class Terms(msgspec.Struct, frozen=True, kw_only=True):
    """What a lease is: all that a grantor needs to know of it, and nothing secret.

    ``lease``: its id. ``role``: the login role's name, or the AWS session's. ``holder``: the
    principal's id, e.g. ``person:ana``. ``resources``: ARNs, for an AWS role. ``until``: the end,
    as ``kernel.clock`` writes it.
    """

    lease: str
    target: str
    role: str
    holder: str
    profile_name: str
    profile: Profile
    tables: tuple[Table, ...] = ()
    resources: tuple[str, ...] = ()
    until: str


class Credential:
    """What opens the target until a lease ends. It has no ``repr`` and cannot be pickled.

    ``kind``: ``postgres``, ``rds`` (a token in the password's place) or ``aws``. ``fields``: for
    databases host, port, dbname, user, password, sslmode; for AWS the names of the variables.
    """

    __slots__ = ("fields", "kind", "until")

    def __init__(self, kind: str, fields: dict[str, str], until: str) -> None:
        self.kind = kind
        self.fields = fields
        self.until = until

    def __repr__(self) -> str:
        return f"<{self.kind} credential until {self.until}>"

    def __reduce__(self) -> tuple[Any, ...]:
        raise TypeError("a credential is not kept")


class Grantor(Protocol):
    """Issues and ends leases at one target. All of it can be done again after a crash."""

    def plan(self, terms: Terms) -> Plan:
        """What issuing would run. Raises: NotFound (no such table); CouldNotTell."""
        ...

    def issue(self, plan: Plan, terms: Terms) -> Credential:
        """Run the plan. Raises: Conflict, where what it assumes is not so any more; CouldNotTell.

        After an error the credential may be there, and nobody has it: it has to be ended.
        """
        ...

    def refresh(self, terms: Terms) -> Credential:
        """Another secret for the same lease; the one before opens nothing any more.

        Raises: NotFound, where it is not there; CouldNotTell.
        """
        ...

    def extend(self, terms: Terms) -> None:
        """Let it end at ``terms.until``. Raises: NotFound; CouldNotTell."""
        ...

    def end(self, terms: Terms, step: Callable[[str], None]) -> dict[str, Any]:
        """End it, with all its sessions and whatever it made; what was found and verified.

        ``step(name)`` is told of each step before it is done. It is verified that nothing is left;
        what was never there is ended too. Raises: CouldNotTell, where a step failed: again later.
        """
        ...

    def orphans(self, known: Collection[str]) -> list[Terms]:
        """Leases that are there and not ``known`` by their roles. Raises: CouldNotTell."""
        ...
