"""Answers, one line a privilege: who, what, on what, by which way, and what he lacks for it.

Everything is an iterator: what is asked of thousands of roles is written as it is found.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from chalicelib.drift.effective.graph import BECOMES, EVERYBODY
from chalicelib.drift.effective.inputs import schema_of
from chalicelib.drift.effective.privileges import (
    ADMIN,
    ATTRIBUTES,
    BYPASS,
    CLUSTER,
    IN_SCHEMA,
    PREDEFINED,
    PUBLIC,
    ROLE,
    SUPERUSER,
    USAGE,
    wide,
    words,
)
from chalicelib.drift.iam.roll import bits

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from chalicelib.drift.effective.closure import Effective
    from chalicelib.drift.effective.graph import Step
    from chalicelib.drift.snapshot import Key

HAS: Final = "has"
MAY_BECOME: Final = "may become"  # somebody that has it, by SET ROLE
MAY_GRANT: Final = "may grant"  # as owner, though it was taken from him: to himself too

MAX_WAYS: Final = 3  # that a line names, the shortest first
WHOLE: Final = (CLUSTER, "")
_NOT_KNOWN: Final = "it came with the server or an extension; what it came with is not known"


class Way(NamedTuple):
    """``through``: roles on the way, each with how it was come to; ``entry``: what gives it."""

    through: tuple[tuple[str, str], ...]
    entry: str


class Right(NamedTuple):
    """One privilege of one role. ``needs``: what he lacks; ``notes``: what else is to be known."""

    grantee: str
    kind: str
    name: str
    privilege: str
    how: str
    grantable: bool
    ways: tuple[Way, ...]
    needs: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def words(self) -> str:
        """The line as people read it."""
        what = f"{words(self.privilege)} on {self.kind} {self.name}"
        if self.kind == CLUSTER:
            said = ATTRIBUTES.get(self.privilege) or PREDEFINED.get(self.privilege, self.privilege)
            what = f"may {said}"
        text = f"{self._who}: {what}" + "; or".join(map(_said, self.ways))
        if self.grantable and self.kind != CLUSTER:
            text += "; may grant it on"
        text += "".join(f"; needs {one}, which it lacks" for one in self.needs)
        return text + "".join(f"; {one}" for one in self.notes)

    @property
    def _who(self) -> str:
        if self.how == HAS:
            return self.grantee
        became = [name for name, how in self.ways[0].through if how == BECOMES] if self.ways else []
        return " ".join([self.grantee, self.how, *became[-1:]])


def _said(way: Way) -> str:
    steps = [f"{name} ({how})" for name, how in way.through]
    through = f", through {', '.join(steps)}" if steps else ""
    return through + (f", {way.entry}" if way.entry else "")


class _Seeker:
    """One role, and every role whose privileges it has or may come to."""

    def __init__(self, of: Effective, place: int) -> None:
        self.of = of
        self.place = place
        self.near = of.graph.above(place, becoming=False)
        self.far = of.graph.above(place, becoming=True)
        self.rights = self._mask(self.near)
        self.reach = self._mask(~one if one < 0 else one for one in self.far)

    def _mask(self, places: Iterable[int]) -> int:
        return sum(1 << one for one in places) if self.place == EVERYBODY else _or(places) | 1

    def ways(self, thing: Key, privilege: str, mask: int, *, becoming: bool) -> tuple[Way, ...]:
        """The shortest ways to the entries of a set of grantees."""
        steps = self.far if becoming else self.near
        chains = [
            (self._chain(steps, place), place) for place in bits(mask) if self._end(steps, place)
        ]
        chains.sort(key=lambda one: len(one[0]))
        return tuple(
            Way(chain, entry(self.of, thing, privilege, place))
            for chain, place in chains[:MAX_WAYS]
        )

    def _end(self, steps: dict[int, Step | None], place: int) -> bool:
        return place == EVERYBODY or place in steps or ~place in steps

    def _chain(self, steps: dict[int, Step | None], place: int) -> tuple[tuple[str, str], ...]:
        if place == EVERYBODY:
            return ()
        at = place if place in steps else ~place
        found: list[tuple[str, str]] = []
        while (step := steps[at]) is not None:
            found.append((self.of.roll.names[~at if at < 0 else at], step.how))
            at = step.source
        return tuple(reversed(found))

    def acting(self, ways: tuple[Way, ...]) -> int:
        """Who uses a privilege by its first way: whoever was become last, else the role itself."""
        became = [name for name, how in ways[0].through if how == BECOMES] if ways else []
        found = self.of.roll.find(became[-1]) if became else None
        return self.place if found is None else found


def entry(of: Effective, thing: Key, privilege: str, place: int) -> str:
    """What gives a privilege to a grantee, in words."""
    kind, name = thing
    grantee = of.roll.names[place]
    if kind in {ROLE, CLUSTER}:
        return "of its own"
    owner = of.inputs.owners.get(thing)
    given = of.inputs.given(thing, grantee, privilege)
    if given is not None:
        to = " to PUBLIC" if grantee == PUBLIC else ""
        return f"granted{to} by {', '.join(given.by)}"
    if owner is not None and owner.name == grantee:
        return "as its owner"
    if grantee in wide(kind, privilege, of.inputs.major):
        return f"as every member of {grantee}"
    table = of.relation(name) if kind == "column" else None
    return "" if table is None else f"{entry(of, table, privilege, place)}, on {' '.join(table)}"


def privileges_of(of: Effective, role: str, *, public: bool = True) -> Iterator[Right]:
    """Everything that a role may, in the order of objects. ``public``: what everybody may, too.

    What everybody may on objects of the server's own is said of PUBLIC alone.
    Of a superuser one line says it. Raises: KeyError, where no role is named so.
    """
    place = of.roll.find(role)
    if place is None:
        raise KeyError(role)
    seeker = _Seeker(of, place)
    if of.supers >> place & 1:
        yield Right(role, *WHOLE, SUPERUSER, HAS, grantable=True, ways=())
        return
    yield from _own(of, seeker, role)
    near = of.near(seeker.reach if public or place == EVERYBODY else seeker.reach & ~1)
    for thing in sorted(near):
        shared = public and of.is_whole(thing)
        for privilege in of.offered(thing):
            found = _right(of, seeker, role, thing, privilege)
            if found is not None and (shared or not _everybody(of, seeker, thing, privilege)):
                yield found


def _own(of: Effective, seeker: _Seeker, role: str) -> Iterator[Right]:
    """What is in no access list: attributes, predefined roles, and the roles it is a member of."""
    for privilege in of.offered(WHOLE):
        found = _held(of, seeker, role, WHOLE, privilege)
        if found is not None:
            yield found
    for name in sorted(of.roll.names[one] for one in bits(seeker.reach & ~1)):
        found = None if name == role else _held(of, seeker, role, (ROLE, name), USAGE)
        if found is not None:
            yield found
    for name in sorted(of.roll.names[one] for one in of.graph.admins):
        found = _held(of, seeker, role, (ROLE, name), ADMIN)
        if found is not None:
            yield found


def _held(of: Effective, seeker: _Seeker, role: str, thing: Key, privilege: str) -> Right | None:
    """A right on the cluster, or on a role."""
    sets = of.sets(thing, privilege)
    has, may = (mask >> seeker.place & 1 for mask in (sets.use, sets.reach))
    if not has and not may:
        return None
    if thing == WHOLE and privilege in ATTRIBUTES:
        mask = of.attributes[privilege] & (1 << seeker.place if has else seeker.reach)
    elif privilege == ADMIN:
        mask = of.graph.admins.get(of.roll.place(thing[1]), 0) & seeker.reach
    else:
        mask = 1 << of.roll.place(thing[1] if thing[0] == ROLE else privilege)
    ways = seeker.ways(thing, privilege, mask, becoming=not has)
    ways = tuple(one for one in ways if one.through)
    return Right(
        role, *thing, privilege, HAS if has else MAY_BECOME, grantable=False,
        ways=tuple(one._replace(entry="") for one in ways),
    )  # fmt: skip


def _right(of: Effective, seeker: _Seeker, role: str, thing: Key, privilege: str) -> Right | None:
    acl = of.acl(thing)
    held, option = acl.held.get(privilege, 0), acl.option.get(privilege, 0)
    mask, how = held & seeker.rights, HAS
    if not mask:
        if option & seeker.rights:
            mask, how = option & seeker.rights, MAY_GRANT
        else:
            mask, how = held & seeker.reach, MAY_BECOME
    if not mask:
        return None
    ways = seeker.ways(thing, privilege, mask, becoming=how == MAY_BECOME)
    acting = seeker.acting(ways)
    return Right(
        role,
        *thing,
        privilege,
        how,
        grantable=how == MAY_GRANT or _grants(of, acting, option),
        ways=ways,
        needs=_needs(of, thing, acting),
        notes=_notes(of, thing, acting),
    )


def _grants(of: Effective, acting: int, option: int) -> bool:
    return bool(of.users(option) >> acting & 1)


def _everybody(of: Effective, seeker: _Seeker, thing: Key, privilege: str) -> bool:
    """Whether a role has it as everybody does, and no better."""
    acl = of.acl(thing)
    mine = (acl.held.get(privilege, 0) | acl.option.get(privilege, 0)) & seeker.reach & ~1
    return seeker.place != EVERYBODY and not mine


def _needs(of: Effective, thing: Key, acting: int) -> tuple[str, ...]:
    """The schema's USAGE, without which nothing in it is found by name."""
    schema = schema_of(thing) if thing[0] in IN_SCHEMA else None
    if schema is None or schema not in of.inputs.owners:
        return ()  # of the server's own, everybody has it, unless somebody revoked it
    has = of.sets(schema, USAGE).use >> acting & 1
    return () if has else (f"{USAGE} on schema {schema[1]}",)


def _notes(of: Effective, thing: Key, acting: int) -> tuple[str, ...]:
    if not of.is_whole(thing):
        return (_NOT_KNOWN,)
    item = of.inputs.snapshot.objects.get(thing)
    if item is None or thing[0] != "table" or item.attributes.get("row_security") is not True:
        return ()
    owner = of.inputs.owners[thing].name
    owns = of.users(1 << of.roll.place(owner)) >> acting & 1
    is_free = owns and item.attributes.get("force_row_security") is not True
    if is_free or (of.attributes[BYPASS] | of.supers) >> acting & 1:
        return ("past row-level security",)
    return ("as far as row-level security lets it",)


def who_can(of: Effective, thing: Key, privilege: str = "") -> Iterator[Right]:
    """Everybody who may use an object, for one privilege or for each, in the order of names.

    Where everybody may, PUBLIC is one line, and others have one where they may by more than that.
    """
    offered = of.offered(thing)
    for one in [privilege] if privilege else offered:
        if one not in offered:
            continue
        sets = of.sets(thing, one)
        acl = of.acl(thing)
        mask = sets.reach | sets.option
        if acl.held.get(one, 0) >> EVERYBODY & 1:
            more = (acl.held.get(one, 0) | acl.option.get(one, 0)) & ~1
            mask = of.reachers(more) | of.supers | 1
        for place in sorted(bits(mask), key=of.roll.names.__getitem__):
            role = of.roll.names[place]
            if place != EVERYBODY and role not in of.inputs.roles:
                continue  # predefined, and nobody's own
            if of.supers >> place & 1:
                yield Right(role, *thing, one, HAS, grantable=True, ways=(Way((), "as superuser"),))
                continue
            seeker = _Seeker(of, place)
            found = (
                _held(of, seeker, role, thing, one)
                if thing[0] in {ROLE, CLUSTER}
                else _right(of, seeker, role, thing, one)
            )
            if found is None and sets.reach >> place & 1:
                by = seeker.ways(WHOLE, SUPERUSER, of.supers & seeker.reach, becoming=True)
                by = tuple(way._replace(entry="a superuser") for way in by)
                found = Right(role, *thing, one, MAY_BECOME, grantable=True, ways=by)
            if found is not None:
                yield found


def everything(of: Effective) -> Iterator[Right]:
    """Everything that anybody may, role by role; what everybody may is said of PUBLIC alone."""
    yield from privileges_of(of, PUBLIC)
    for name in sorted(of.roll.names[1:]):
        if name in of.inputs.roles:
            yield from privileges_of(of, name, public=False)


def _or(places: Iterable[int]) -> int:
    found = 0
    for one in places:
        found |= 1 << one
    return found
