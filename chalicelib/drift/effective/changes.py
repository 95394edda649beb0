"""What a change of a database's roles and grants comes to: who gains what, and who loses it.

1. A change adds a way to privileges, or takes one: an entry, a membership, an owner, an attribute.
   Whatever is effective by that way, on the side that has it, is a rectangle.
2. What of it the other side has by no way at all came with the change, or went with it.
3. Nothing of it: neutral. That is proven where all that it rests on was read; else the rules tell.

Each change is judged by itself against the two whole sides. What becomes effective with all of them
goes through one of them, so that one of them says it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from chalicelib.drift.diff import Operation
from chalicelib.drift.effective.answer import WHOLE
from chalicelib.drift.effective.closure import Sets
from chalicelib.drift.effective.compare import (
    BECOME,
    GRANT,
    USE,
    Cell,
    cells,
    known,
    rectangles,
    sides,
)
from chalicelib.drift.effective.inputs import Given, Owner, given, split
from chalicelib.drift.effective.privileges import (
    ADMIN,
    ATTRIBUTES,
    BYPASS,
    DATABASE_OWNER,
    OPTIONS_SINCE,
    PREDEFINED,
    PRIVILEGES,
    ROLE,
    SET,
    SUPERUSER,
    USAGE,
)
from chalicelib.drift.effective.words import OWNERSHIP, fitting, sentences
from chalicelib.drift.iam.compare import Widening
from chalicelib.drift.verdict import MAX_REASONS, Meaning, bounded
from chalicelib.kernel.errors import Unsupported

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from chalicelib.drift.diff import Change
    from chalicelib.drift.effective.closure import Effective
    from chalicelib.drift.effective.graph import Edge
    from chalicelib.drift.snapshot import Key, Snapshot

MAX_LOOKED: Final = 2_000_000  # privileges on objects, for all changes of one look: some seconds

KINDS: Final = frozenset({"grant", "membership", "role", "default_privilege"})
_OWNED: Final = frozenset({"owner", "owner_lacks"})
_OF_ROLES: Final = frozenset({"", "superuser", "bypass_rls", "inherit", "create_role"})
_AS_OWNER: Final = frozenset({"view", "function"})  # what runs with its owner's rights
_CREATE_ROLE: Final = "create_role"
_LATER: Final = "no effect now: it is for objects made from now on"
_OVER: Final = "not computed: all changes of this look together take more steps than the bound"


class _Way(NamedTuple):
    """Privileges that come by a change on one side: to whom, from which roles' entries."""

    users: int  # who uses what the first set of roles has
    reachers: int  # who may use it after SET ROLE
    near: int
    setters: int  # who may use, after SET ROLE, what the second set has besides
    far: int


class _Offer(NamedTuple):
    """Things with what the other side has of them: alike for many things, and looked at once."""

    other: Sets
    things: tuple[tuple[Key, str], ...]


class Effects:
    """The meanings of changes between two sides. Both are built when the first is asked for."""

    def __init__(self, old: Effective, new: Effective) -> None:
        self._sides = (old, new)
        self.old, self.new = old, new
        self._edges = [
            {f"{one.member} in {one.role}": one for one in side.graph.edges} for side in self._sides
        ]
        self._left = MAX_LOOKED
        self._offers: dict[tuple[bool, bool, int], list[_Offer]] = {}

    def of(self, change: Change) -> Meaning | None:
        """What a change comes to; None, where it is none of who may do what."""
        if change.operation is Operation.UNREADABLE or not concerns(change):
            return None
        if change.kind == "default_privilege":
            return Meaning(Widening.NEUTRAL, [_LATER], ruled=True)
        if self._left <= 0:
            return Meaning(Widening.UNDECIDED, [_OVER], ruled=True)
        tell = {"grant": self._grant, "membership": self._membership, "role": self._role}
        return tell.get(change.kind, self._owner)(change)

    # Grants

    def _grant(self, change: Change) -> Meaning | None:
        found = split(change.name)
        if found is None or change.attribute in {"of", "built_in"}:
            return None
        thing, grantee = found
        gained = self._entry(change.new, change, thing, grantee, came=True)
        lost = self._entry(change.old, change, thing, grantee, came=False)
        is_known = thing[0] == "parameter" or any(one.is_whole(thing) for one in self._sides)
        note = "" if is_known else "what it came with is not known"
        return self._meaning(gained, lost, note=note, ruled=not is_known)

    def _entry(
        self,
        attributes: Mapping[str, object] | None,
        change: Change,
        thing: Key,
        grantee: str,
        *,
        came: bool,
    ) -> list[Cell]:
        """What an entry gives on its side, and not the other."""
        here, there = (self.new, self.old) if came else self._sides
        bit = 1 << here.roll.place(grantee)
        cell: list[Cell] = []
        said = attributes or {}
        lacked = here.inputs.lacks(thing).get(grantee, frozenset())
        lacks = there.inputs.lacks(thing).get(grantee, frozenset()) - lacked
        entries = {name: one for name, value in said.items() if (one := given(value))}
        if change.attribute not in {"", "lacks"}:
            entries = {name: one for name, one in entries.items() if name == change.attribute}
        if change.attribute in {"", "lacks"}:
            entries |= {name: Given((), grantable=False) for name in lacks - entries.keys()}
        for privilege, one in entries.items():
            self._left -= 1
            other = known(there, thing, privilege, self.old, self.new)
            use = here.users(bit) & ~other.use
            several = [(USE, use), (BECOME, here.reachers(bit) & ~here.users(bit) & ~other.reach)]
            if one.grantable:
                several.append((GRANT, here.users(bit) & ~other.option))
            cell += cells(thing, privilege, several, self._sides)
        return cell

    # Memberships

    def _membership(self, change: Change) -> Meaning | None:
        if change.attribute in {"of", "grantors", "role_superuser"}:
            return None
        was, now = (_only(edges.get(change.name), change.attribute) for edges in self._edges)
        gained = [] if now is None else self._joined(now, came=True)
        lost = [] if was is None else self._joined(was, came=False)
        proven = (now is None or self._had(now, came=True)) and (
            was is None or self._had(was, came=False)
        )
        edge = now or was
        note = ""
        if edge is not None and not gained and not lost and not proven:
            later = "has" if now is not None else "no longer has"
            note = f"nothing now; what {edge.role} is given later, {edge.member} {later}"
        return self._meaning(gained, lost, note=note, ruled=not (gained or lost or proven))

    def _had(self, edge: Edge, *, came: bool) -> bool:
        """Whether the other side has the same membership by another way."""
        here, there = (self.new, self.old) if came else self._sides
        member, role = here.roll.place(edge.member), here.roll.place(edge.role)
        asked = [
            (edge.inherit, here.graph.users, USAGE),
            (edge.set, here.graph.setters, SET),
            (edge.admin, here.graph.members, ADMIN),
        ]
        return (
            all(
                not mine[member] & ~there.sets((ROLE, edge.role), privilege).use & ~(1 << role)
                for given_by, mine, privilege in asked
                if given_by
            )
            and not here.graph.members[member] & ~there.graph.members[role]
        )

    def _joined(self, edge: Edge, *, came: bool) -> list[Cell]:
        """What comes through a membership on its side, and is not had on the other."""
        here, there = (self.new, self.old) if came else self._sides
        member, role = here.roll.place(edge.member), here.roll.place(edge.role)
        near, far = here.graph.rights(role), here.graph.reach(role)
        way = _Way(
            here.graph.users[member] if edge.inherit else 0,
            here.graph.reachers[member] if edge.inherit else 0,
            near if edge.inherit else 0,
            here.graph.setters[member] if edge.set else 0,
            far if edge.set else 0,
        )
        found = list(self._through(way, came=came))
        several = [(BECOME, here.graph.setters[member] if edge.set else 0)]
        become = here.graph.becomes(role)
        for privilege in ATTRIBUTES:
            if here.attributes[privilege] & become and edge.set:
                masked = self._attribute(privilege, several, came=came)
                found += cells(WHOLE, privilege, masked, self._sides)
        above = here.graph.over(role)
        for place, admins in here.graph.admins.items():
            if admins & above or (edge.admin and place == role):
                thing = (ROLE, here.roll.names[place])
                mask = here.graph.members[member] & ~there.sets(thing, ADMIN).use & ~(1 << place)
                found += cells(thing, ADMIN, [(USE, mask)], self._sides)
        return found

    def _attribute(
        self, privilege: str, several: Iterable[tuple[str, int]], *, came: bool
    ) -> list[tuple[str, int]]:
        other = (self.old if came else self.new).sets(WHOLE, privilege)
        return [(how, mask & ~other.reach) for how, mask in several]

    def _through(self, way: _Way, *, came: bool) -> Iterator[Cell]:
        """The cells of a way: offers that the other side has alike are one set operation each."""
        here = self.new if came else self.old
        for is_option in (False, True):
            for offer in self._offered(way.near, came=came, option=is_option):
                had = offer.other.option if is_option else offer.other.use
                mask = way.users & ~had
                if mask:
                    for thing, privilege in offer.things:
                        yield from cells(
                            thing, privilege, [(GRANT if is_option else USE, mask)], self._sides
                        )
        becoming = ((way.near, way.reachers & ~way.users), (way.far & ~way.near, way.setters))
        for sources, roles in becoming:
            for offer in self._offered(sources, came=came, option=False):
                if mask := roles & ~offer.other.reach:
                    for thing, privilege in offer.things:
                        use = here.sets(thing, privilege).use
                        yield from cells(thing, privilege, [(BECOME, mask & ~use)], self._sides)
        for name in PREDEFINED:
            bit = 1 << here.roll.place(name)
            other = (self.old if came else self.new).sets(WHOLE, name)
            use = way.users & ~other.use if bit & way.near else 0
            become = way.reachers if bit & way.near else way.setters if bit & way.far else 0
            become &= ~here.sets(WHOLE, name).use & ~other.reach
            yield from cells(WHOLE, name, [(USE, use), (BECOME, become)], self._sides)

    def _offered(self, sources: int, *, came: bool, option: bool) -> list[_Offer]:
        """What a set of roles is given by entries, grouped by what the other side has of it."""
        key = (came, option, sources)
        if key not in self._offers:
            here, there = (self.new, self.old) if came else self._sides
            grouped: dict[Sets, list[tuple[Key, str]]] = {}
            for thing in sorted(here.near(sources)):
                acl, owner = here.acl(thing), here.inputs.owners.get(thing)
                if owner and not option and 1 << here.roll.place(owner.name) & sources:
                    grouped.setdefault(_owning(there, thing), []).append((thing, OWNERSHIP))
                for privilege, mask in (acl.option if option else acl.held).items():
                    self._left -= 1
                    if mask & sources:
                        other = known(there, thing, privilege, self.old, self.new)
                        grouped.setdefault(other, []).append((thing, privilege))
            self._offers[key] = [_Offer(other, tuple(some)) for other, some in grouped.items()]
        return self._offers[key]

    # Attributes of roles

    def _role(self, change: Change) -> Meaning | None:
        if change.attribute not in _OF_ROLES:
            return None
        place = self.new.roll.place(change.name)
        if change.attribute == "inherit":
            return self._inherit(place)
        names = [change.attribute] if change.attribute else [SUPERUSER, BYPASS]
        gained: list[Cell] = []
        lost: list[Cell] = []
        for name in names:
            ways = ((gained, self.new, self.old), (lost, self.old, self.new))
            for found, here, there in ways:
                if not here.attributes[name] >> place & 1:
                    continue
                other = there.sets(WHOLE, name)
                mine = 1 << place
                several = [
                    (USE, mine & ~other.use),
                    (BECOME, here.graph.setters[place] & ~mine & ~other.reach),
                ]
                found.extend(cells(WHOLE, name, several, self._sides))
        if not gained and not lost and not change.attribute:
            return None
        note = self._filtered(place) if change.attribute == BYPASS and (gained or lost) else ""
        if change.attribute == _CREATE_ROLE and self.new.inputs.major < OPTIONS_SINCE and gained:
            note = "before 16 that is every role but superusers, and membership in any of them"
        return self._meaning(gained, lost, note=note)

    def _filtered(self, place: int) -> str:
        """Which tables with row-level security a role may use."""
        side = self.new
        tables = [
            name
            for (kind, name) in side.inputs.owners
            if kind == "table"
            and side.inputs.snapshot.objects[kind, name].attributes.get("row_security") is True
            and side.sets((kind, name), "select").reach >> place & 1
        ]
        if not tables:
            return "it may read no table with row-level security now"
        more = f" and {len(tables) - 3} more" if len(tables) > 3 else ""  # noqa: PLR2004 - named
        return (
            f"of tables with row-level security it may read {', '.join(sorted(tables)[:3])}{more}"
        )

    def _inherit(self, place: int) -> Meaning:
        """Before 16, of all memberships of a role; since then, of those that are still to come."""
        if min(self.old.inputs.major, self.new.inputs.major) >= OPTIONS_SINCE:
            return self._meaning(
                [], [], note="memberships keep their own option; new ones take this"
            )
        gained: list[Cell] = []
        lost: list[Cell] = []
        for found, side, came in ((gained, self.new, True), (lost, self.old, False)):
            for _, edge in side.graph.up[place]:
                found.extend(self._joined(edge, came=came))
        return self._meaning(gained, lost, ruled=not gained and not lost)

    # Owners

    def _owner(self, change: Change) -> Meaning:
        thing = change.key
        was, now = (one.inputs.owners.get(thing) for one in self._sides)
        gained = [] if now is None else list(self._owned(thing, now, came=True))
        lost = [] if was is None else list(self._owned(thing, was, came=False))
        note = ""
        if change.attribute == "owner_lacks" and lost and now is not None:
            note = f"{now.name} owns it, and may grant it back to itself"
        # A table's rules, and the functions of its indexes, run with its owner's rights.
        runs = change.kind == "table" and change.attribute == "owner" and not gained
        return self._meaning(gained, lost, note=note, ruled=runs or change.kind in _AS_OWNER)

    def _owned(self, thing: Key, owner: Owner, *, came: bool) -> Iterator[Cell]:
        here, there = (self.new, self.old) if came else self._sides
        bit = 1 << here.roll.place(owner.name)
        users, reachers = here.users(bit), here.reachers(bit)
        had = _owning(there, thing).use
        yield from cells(thing, OWNERSHIP, [(USE, users & ~had)], self._sides)
        for privilege in here.offered(thing):
            self._left -= 1
            sets = known(there, thing, privilege, self.old, self.new)
            if privilege not in owner.lacks:
                several = [(USE, users & ~sets.use), (BECOME, reachers & ~users & ~sets.reach)]
                yield from cells(thing, privilege, several, self._sides)
        if thing[0] == "database":
            place = here.roll.place(DATABASE_OWNER)
            if here.graph.users[place] & bit:
                near = here.graph.rights(place)
                yield from self._through(_Way(users, reachers, near, 0, 0), came=came)

    def _meaning(
        self, gained: list[Cell], lost: list[Cell], *, note: str = "", ruled: bool = False
    ) -> Meaning:
        gaps = sorted({*self.old.inputs.gaps, *self.new.inputs.gaps})
        said = sentences(rectangles(gained), self.new.roll.names, came=True)
        said += sentences(rectangles(lost), self.new.roll.names, came=False)
        notes = [note] if note else []
        if gaps:
            notes.append(f"not all could be read: {', '.join(gaps)}")
        if not gained and not lost and not notes:
            notes.append("nobody gains or loses anything: it is had by another way")
        verdict = Widening.WIDENED if gained else Widening.NEUTRAL
        if lost:
            verdict = Widening.BOTH if gained else Widening.NARROWED
        reasons = [bounded(one) for one in (*fitting(said, MAX_REASONS - len(notes)), *notes)]
        return Meaning(verdict, reasons, ruled=ruled or bool(gaps))


def effects(
    before: Snapshot, after: Snapshot, identity: str = ""
) -> Callable[[Change], Meaning | None]:
    """What tells the meanings of changes from one to the other. ``identity``: ``database NAME``."""
    database = identity.removeprefix("database ") if identity.startswith("database ") else ""
    try:
        return Effects(*sides(before, after, database)).of
    except Unsupported as error:
        reason = error.message
        return lambda _: Meaning(Widening.UNDECIDED, [bounded(reason)], ruled=True)


def concerns(change: Change) -> bool:
    """Whether a change is one of who may do what."""
    return change.kind in KINDS or (change.kind in PRIVILEGES and change.attribute in _OWNED)


def _owning(side: Effective, thing: Key) -> Sets:
    """Who is the owner of a thing on one side, or may become the owner."""
    owner = side.inputs.owners.get(thing)
    bit = 0 if owner is None else 1 << side.roll.place(owner.name)
    return Sets(side.users(bit), side.reachers(bit), 0)


def _only(edge: Edge | None, attribute: str) -> Edge | None:
    """A membership, or as if it had one of its options alone; None, where it has not."""
    if edge is None or not attribute:
        return edge
    inherit, may_set, admin = (
        one == attribute and bool(getattr(edge, one)) for one in ("inherit", "set", "admin")
    )
    if not (inherit or may_set or admin):
        return None
    return edge._replace(inherit=inherit, set=may_set, admin=admin)
