"""What effective grants are made of: roles, memberships, owners and access lists of a snapshot.

Access lists are read when an object is asked for; of what is asked nothing of, only the names are.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from chalicelib.drift.effective.graph import Edge
from chalicelib.drift.effective.privileges import (
    DATABASE_OWNER,
    DATABASE_OWNER_SINCE,
    MONITOR,
    MONITORED,
    NEWEST,
    OPTIONS_SINCE,
    PRIVILEGES,
    PUBLIC,
)
from chalicelib.drift.snapshot import COVERAGE, Key
from chalicelib.kernel.names import identifier

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from chalicelib.drift.snapshot import Object, Snapshot

_GRANTABLE: Final = " with grant option"
_BY: Final = "by "
# The last " to " before one whole identifier: quotation marks inside of one are doubled.
_GRANT = re.compile(r'(.*) to ("(?:[^"]|"")*"|[^" ]+)', re.DOTALL)
_FIRST = re.compile(r'("(?:[^"]|"")*"|[^".(]+)\.')
_USED: Final = frozenset(
    {"owner", "owner_lacks", "superuser", "inherit", "bypass_rls", "create_role", "admin", "set"}
)
_KINDS: Final = frozenset({*PRIVILEGES, "role", "membership", "grant"})


class Given(NamedTuple):
    """A privilege of an entry: who gave it, and whether one of them with grant option."""

    by: tuple[str, ...]
    grantable: bool


class Owner(NamedTuple):
    """Who owns an object, and which of an owner's privileges were taken from him."""

    name: str
    lacks: frozenset[str]


class Inputs:
    """The inputs, by names.

    Building them takes a look at each key, and into roles, memberships and what has an owner.
    ``database``: the one that was read, as the server has its name, for pg_database_owner; empty,
    where that is not known.
    """

    def __init__(self, snapshot: Snapshot, database: str = "") -> None:
        self.snapshot = snapshot
        self.database = identifier(database) if database else ""
        self.roles: dict[str, Mapping[str, Any]] = {}
        self.owners: dict[Key, Owner] = {}
        self.entries: dict[Key, dict[str, Key]] = {}  # of a thing: by grantee, its grant's key
        self.by_owner: dict[str, list[Key]] = {}
        self.by_grantee: dict[str, list[Key]] = {}
        self.gaps: list[str] = []
        memberships: list[Object] = []
        for key, item in snapshot.objects.items():
            kind, name = key
            if kind == "grant":
                self._entry(key)
            elif kind == "role":
                self.roles[name] = item.attributes
            elif kind == "membership":
                memberships.append(item)
            elif kind in PRIVILEGES and kind != "column":
                self._owner(key, item.attributes)
            elif kind == COVERAGE and name in _KINDS and _is_gap(item.attributes):
                self.gaps.append(name)
        self.major = self._version(memberships)
        self.edges = list(self._edges(memberships))

    def _entry(self, key: Key) -> None:
        found = split(key[1])
        if found is not None:
            thing, grantee = found
            self.entries.setdefault(thing, {})[grantee] = key
            self.by_grantee.setdefault(grantee, []).append(thing)

    def _owner(self, key: Key, attributes: Mapping[str, Any]) -> None:
        name = attributes.get("owner")
        if isinstance(name, str):
            lacks = frozenset(
                one.replace(" ", "_") for one in _texts(attributes.get("owner_lacks"))
            )
            self.owners[key] = Owner(name, lacks)
            self.by_owner.setdefault(name, []).append(key)

    def _version(self, memberships: list[Object]) -> int:
        item = self.snapshot.objects.get(("setting", "server_version_num"))
        number = str(item.attributes.get("value") if item else "")
        if number.isdigit() and len(number) < 10:  # noqa: PLR2004 - of six digits, for decades
            return int(number) // 10_000
        is_old = any("inherit" not in one.attributes for one in memberships)
        return OPTIONS_SINCE - 1 if is_old else NEWEST

    def _edges(self, memberships: list[Object]) -> Iterator[Edge]:
        known: set[tuple[str, str]] = set()
        for item in memberships:
            said = item.attributes
            of = said.get("of")
            head = of.partition(" ")[2] if isinstance(of, str) else ""
            if not head or not item.name.startswith(f"{head} in "):
                continue
            role = item.name[len(head) + len(" in ") :]
            known.add((head, role))
            if said.get("revoked") is True:  # what the server came with, and is no more
                continue
            inherit = said.get("inherit")
            yield Edge(
                head,
                role,
                inherit=self.inherits(head) if inherit is None else inherit is True,
                set=said.get("set") is not False,
                admin=said.get("admin") is True,
            )
        for role in MONITORED:
            if (MONITOR, role) not in known:
                yield Edge(MONITOR, role, inherit=True, set=True, admin=False)
        owner = self.database_owner
        if owner and self.major >= DATABASE_OWNER_SINCE:
            inherit = self.major >= OPTIONS_SINCE or self.inherits(owner)
            yield Edge(owner, DATABASE_OWNER, inherit=inherit, set=True, admin=False)

    @property
    def database_owner(self) -> str:
        """Who owns the database that was read; where that is not known, who owns them all."""
        owners = {
            owner.name
            for (kind, name), owner in self.owners.items()
            if kind == "database" and self.database in {"", name}
        }
        return owners.pop() if len(owners) == 1 else ""

    def inherits(self, role: str) -> bool:
        """Whether a role's memberships are inherited, before memberships said so themselves."""
        return self.has(role, "inherit", otherwise=True)

    def has(self, role: str, attribute: str, *, otherwise: bool = False) -> bool:
        """An attribute of a role. Predefined ones are in no snapshot while they are unchanged."""
        value = self.roles.get(role, {}).get(attribute)
        return otherwise if value is None else value is True

    def things(self) -> Iterator[Key]:
        """What has an access list: each with an owner or an entry, in order."""
        yield from sorted(self.owners.keys() | self.entries.keys())

    def is_here(self, thing: Key) -> bool:
        """Whether the snapshot has the object itself, and so all of its access list."""
        kind, _ = thing
        return thing in self.owners or kind == "parameter" or thing in self.snapshot.objects

    def acl(self, thing: Key) -> Iterator[tuple[str, str, Given]]:
        """Every entry of a thing but its owner's: grantee, privilege, how it was given."""
        for grantee, key in self.entries.get(thing, {}).items():
            for privilege, value in self.snapshot.objects[key].attributes.items():
                if (found := given(value)) is not None:
                    yield grantee, privilege, found

    def given(self, thing: Key, grantee: str, privilege: str) -> Given | None:
        """How one grantee was given one privilege, if there is such an entry."""
        key = self.entries.get(thing, {}).get(grantee)
        return None if key is None else given(self.snapshot.objects[key].attributes.get(privilege))

    def lacks(self, thing: Key) -> dict[str, frozenset[str]]:
        """Of an object of the server or an extension: what grantees had, and lost."""
        return {
            grantee: frozenset(lost)
            for grantee, key in self.entries.get(thing, {}).items()
            if (lost := _texts(self.snapshot.objects[key].attributes.get("lacks")))
        }

    def names(self) -> Iterator[str]:
        """Every role that is named anywhere."""
        yield from self.roles
        yield from self.by_owner
        yield from self.by_grantee


def split(name: str) -> tuple[Key, str] | None:
    """The object and the grantee of a grant's name: ``table public.orders to bob``."""
    found = _GRANT.fullmatch(name)
    if found is None:
        return None
    kind, _, thing = found[1].partition(" ")
    return (kind, thing), found[2]


def given(value: Any) -> Given | None:
    """A privilege as a snapshot has it: a list of ``by NAME``, some with grant option."""
    if not isinstance(value, list) or not value or not str(value[0]).startswith(_BY):
        return None
    if len(value) == 1:
        [one] = value
        name = one[len(_BY) :].removesuffix(_GRANTABLE)
        return Given((name,), len(name) + len(_BY) != len(one))
    by = [str(one).removeprefix(_BY) for one in value]
    grantable = any(one.endswith(_GRANTABLE) for one in by)
    return Given(tuple(sorted({one.removesuffix(_GRANTABLE) for one in by})), grantable)


def schema_of(thing: Key) -> Key | None:
    """The schema that a thing is in, by its name."""
    found = _FIRST.match(thing[1])
    return None if found is None else ("schema", found[1])


def table_of(column: str) -> str:
    """The relation's name of a column's: all but its last identifier."""
    found = re.fullmatch(r'(.*)\.(?:"(?:[^"]|"")*"|[^".]+)', column, re.DOTALL)
    return found[1] if found else column


def is_public(name: str) -> bool:
    """Whether a grantee is everybody."""
    return name == PUBLIC


def _texts(value: Any) -> list[str]:
    return [one for one in value if isinstance(one, str)] if isinstance(value, list) else []


def _is_gap(attributes: Mapping[str, Any]) -> bool:
    lacking = attributes.get("attributes")
    return not lacking or not _USED.isdisjoint(_texts(lacking))
