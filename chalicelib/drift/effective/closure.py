"""Who may do what: sets of roles for every privilege on every object, before anybody is listed.

An entry for a role is one for all who have its privileges; whoever may become one of these has it
by ``SET ROLE``. Both are closures of sets (``graph``), remembered by the set of grantees, so that
10,000 tables that are granted alike are one closure.

Not known here: what came with the server or an extension and is as it came. Of it a snapshot has
what differs (``docs/targets/postgres.md``), and so has an answer.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from chalicelib.drift.effective.graph import EVERYBODY, Graph, Roll
from chalicelib.drift.effective.inputs import Inputs, table_of
from chalicelib.drift.effective.privileges import (
    ADMIN,
    ATTRIBUTES,
    CLUSTER,
    OPTIONS_SINCE,
    PREDEFINED,
    ROLE,
    SET,
    SUPERUSER,
    USAGE,
    privileges,
    wide,
)
from chalicelib.drift.iam.roll import bits

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from chalicelib.drift.snapshot import Key, Snapshot

_CREATE_ROLE: Final = "create_role"
_RELATIONS: Final = ("table", "view")


class Acl(NamedTuple):
    """Of an object: by privilege, to whom entries give it, and to whom with grant option."""

    held: Mapping[str, int]
    option: Mapping[str, int]


class Sets(NamedTuple):
    """Who has a privilege, who has it or may become somebody that has, and who may grant it on."""

    use: int
    reach: int
    option: int


class Effective:
    """The answers that a snapshot gives. ``roll``: shared by the two sides of a comparison."""

    def __init__(self, inputs: Inputs, roll: Roll | None = None) -> None:
        self.inputs = inputs
        self.roll = roll or Roll()
        for name in inputs.names():
            self.roll.place(name)
        for name in PREDEFINED:
            self.roll.place(name)
        self.graph = Graph(self.roll, inputs.edges)
        self.attributes = {
            one: self._mask(name for name in inputs.roles if inputs.has(name, one))
            for one in ATTRIBUTES
        }
        self.supers = self.attributes[SUPERUSER]
        self.super_setters = self._setters(self.supers)
        self._twin: Effective | None = None
        self._touched: frozenset[Key] = frozenset()
        self._acls: dict[Key, Acl] = {}
        self._users: dict[int, int] = {}
        self._reachers: dict[int, int] = {}

    def _mask(self, names: Iterable[str]) -> int:
        found = 0
        for name in names:
            found |= 1 << self.roll.place(name)
        return found

    def _setters(self, mask: int) -> int:
        return _union(mask, lambda place: self._of(self.graph.setters, place))

    def users(self, mask: int) -> int:
        """Everybody who has the privileges of one of a set of roles, superusers left out."""
        found = self._users.get(mask)
        if found is None:
            found = self._users[mask] = (
                self.roll.all
                if mask >> EVERYBODY & 1
                else _union(mask, lambda place: self._of(self.graph.users, place))
            )
        return found

    def reachers(self, mask: int) -> int:
        """Everybody who has them, or may become somebody who has."""
        found = self._reachers.get(mask)
        if found is None:
            found = self._reachers[mask] = (
                self.roll.all
                if mask >> EVERYBODY & 1
                else _union(mask, lambda place: self._of(self.graph.reachers, place))
            )
        return found

    @staticmethod
    def _of(closure: list[int], place: int) -> int:
        """A role's closure; of one that only the other side has, itself."""
        return closure[place] if place < len(closure) else 1 << place

    def acl(self, thing: Key) -> Acl:
        """The entries of an object, its owner's and those of the server itself included."""
        found = self._acls.get(thing)
        if found is None:
            is_same = self._twin is not None and thing[0] != "column" and thing not in self._touched
            found = self._twin.acl(thing) if self._twin and is_same else self._read(thing)
            self._acls[thing] = found
        return found

    def share(self, twin: Effective, touched: frozenset[Key]) -> None:
        """Take the access lists of all but ``touched`` from the other side of a comparison."""
        if twin.inputs.major == self.inputs.major:
            self._twin, self._touched = twin, touched

    def _read(self, thing: Key) -> Acl:
        held: dict[str, int] = {}
        option: dict[str, int] = {}
        kind, name = thing
        for grantee, privilege, given in self.inputs.acl(thing):
            bit = 1 << self.roll.place(grantee)
            held[privilege] = held.get(privilege, 0) | bit
            if given.grantable:
                option[privilege] = option.get(privilege, 0) | bit
        if kind == "column":
            table = self.relation(name)
            if table is not None:
                of = self.acl(table)
                for privilege in privileges(kind, self.inputs.major):
                    for mine, its in ((held, of.held), (option, of.option)):
                        mine[privilege] = mine.get(privilege, 0) | its.get(privilege, 0)
        owner = self.inputs.owners.get(thing)
        for privilege in privileges(kind, self.inputs.major):
            given_by_server = wide(kind, privilege, self.inputs.major)
            bit = self._mask(given_by_server) if self.inputs.is_here(thing) else 0
            if owner is not None:
                own = 1 << self.roll.place(owner.name)
                option[privilege] = option.get(privilege, 0) | own
                bit |= 0 if privilege in owner.lacks else own
            if bit:
                held[privilege] = held.get(privilege, 0) | bit
        return Acl(held, option)

    def relation(self, column: str) -> Key | None:
        """The table or view of a column, where the snapshot has it or an entry of it."""
        name = table_of(column)
        for kind in _RELATIONS:
            if (kind, name) in self.inputs.owners or (kind, name) in self.inputs.entries:
                return (kind, name)
        return None

    def is_whole(self, thing: Key) -> bool:
        """Whether all of a thing's access list is known: it is no object of the server's own."""
        of = self.relation(thing[1]) if thing[0] == "column" else thing
        return thing[0] == "parameter" or of in self.inputs.owners

    def offered(self, thing: Key) -> list[str]:
        """The privileges that somebody may have on a thing, in order."""
        kind, _ = thing
        if kind == ROLE:
            return [ADMIN, SET, USAGE]
        if kind == CLUSTER:
            return sorted({*ATTRIBUTES, *PREDEFINED})
        found = self.acl(thing)
        return sorted({*privileges(kind, self.inputs.major), *found.held, *found.option})

    def sets(self, thing: Key, privilege: str) -> Sets:
        """Who may, superusers included."""
        kind, name = thing
        if kind == ROLE:
            return self._role(name, privilege)
        if kind == CLUSTER:
            return self._cluster(privilege)
        held, option = self.acl(thing)
        mask = held.get(privilege, 0)
        return Sets(
            self.users(mask) | self.supers,
            self.reachers(mask) | self.super_setters,
            self.users(option.get(privilege, 0)) | self.supers,
        )

    def _role(self, name: str, privilege: str) -> Sets:
        """Who is, may become or may grant a role: pg_has_role's USAGE, SET, WITH ADMIN OPTION."""
        place = self.roll.place(name)
        other = ~(1 << place)
        if privilege == USAGE:
            use, reach = self._of(self.graph.users, place), self._of(self.graph.reachers, place)
        elif privilege == SET:
            use = reach = self._of(self.graph.setters, place)
        else:
            use = _union(
                self.graph.admins.get(place, 0), lambda one: self._of(self.graph.members, one)
            )
            reach = use
            if self.inputs.major < OPTIONS_SINCE and not self.supers >> place & 1:
                creators = self.attributes[_CREATE_ROLE]
                use, reach = use | creators, reach | self._setters(creators)
        return Sets((use | self.supers) & other, (reach | self.super_setters) & other, 0)

    def _cluster(self, privilege: str) -> Sets:
        if privilege in ATTRIBUTES:
            mask = self.attributes[privilege] | self.supers
            return Sets(mask, self._setters(mask), 0)
        place = self.roll.place(privilege)
        own = ~(1 << place)
        use, reach = self._of(self.graph.users, place), self._of(self.graph.reachers, place)
        return Sets((use | self.supers) & own, (reach | self.super_setters) & own, 0)

    def near(self, roles: int) -> set[Key]:
        """What one of a set of roles is named by: owns it, has an entry, or the server's own."""
        found: set[Key] = set()
        kinds: set[str] = set()
        for place in bits(roles):
            name = self.roll.names[place]
            found.update(self.inputs.by_owner.get(name, ()), self.inputs.by_grantee.get(name, ()))
            kinds |= self._wide_kinds(name)
        if kinds:
            found.update(one for one in self.inputs.owners if one[0] in kinds)
        return found

    def _wide_kinds(self, name: str) -> set[str]:
        kinds = ("table", "view", "sequence", "schema") if name in PREDEFINED else ()
        return {
            kind
            for kind in kinds
            for one in privileges(kind, self.inputs.major)
            if name in wide(kind, one, self.inputs.major)
        }


def effective(snapshot: Snapshot, database: str = "") -> Effective:
    """The effective grants of a snapshot. Raises: Unsupported, above ``graph.MAX_ROLES``."""
    return Effective(Inputs(snapshot, database))


def _union(mask: int, of: Callable[[int], int]) -> int:
    found = 0
    for place in bits(mask):
        found |= of(place)
    return found
