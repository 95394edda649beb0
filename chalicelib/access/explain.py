"""Which changes at a target are a lease's: exactly what its recorded plan makes, and nothing else.

A lease is there for a while, and a scan at that moment sees its role. That is no drift where the
log says that the lease runs and the object is, attribute by attribute, what the plan in its
``lease.issuing`` record makes. A name explains nothing: whoever makes a role that is called like a
lease, or changes a lease's role, makes a change that stays one.

1. The lease runs: it is recorded, its time is not over, and it was not proven gone before the
   reading began. One that is being ended is as it was, or with its login closed, which is the
   first step of that.
2. The reading is of the cluster that the plan was made for; grants also of its database.
3. The object is what the steps of the plan say (:func:`made.makes`). A plan with a step that is not
   understood makes nothing: then its changes are findings, which somebody looks at.

What is looked up is looked up by the names in a change, so that a scan which finds no such names
reads nothing.
"""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol

import msgspec

from chalicelib.access import issue
from chalicelib.access.made import makes
from chalicelib.access.plan import Plan
from chalicelib.access.state import Phase
from chalicelib.kernel import canon
from chalicelib.kernel.clock import parse_timestamp, timestamp
from chalicelib.kernel.errors import Malformed
from chalicelib.kernel.names import identifier

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from chalicelib.access.made import Key, Objects
    from chalicelib.access.state import Held, State

ENDING_SECONDS: Final = 60  # past its time that a lease may take to be ended; longer is residue
LEASE_PREFIX: Final = "hf_"
_CREATORS: Final = 16  # from which on whoever creates a role is a member of it, with ADMIN alone

_PASSWORD: Final = ("password", "password_digest", "password_iterations")

_WORD: Final = re.compile(r"[a-z_][a-z0-9_$]*")


class Change(Protocol):
    """What is asked about: as ``drift.diff.Change``, which this flow does not know."""

    @property
    def kind(self) -> str: ...  # noqa: D102 - as the class says

    @property
    def name(self) -> str: ...  # noqa: D102

    @property
    def attribute(self) -> str: ...  # noqa: D102

    @property
    def before(self) -> Any: ...  # noqa: D102

    @property
    def after(self) -> Any: ...  # noqa: D102

    @property
    def parts(self) -> tuple[Key, ...]: ...  # noqa: D102


class Place(NamedTuple):
    """Of what a reading is. ``system``: the cluster's identifier, empty where nobody knows it.

    ``stream``: that of the requests and leases of the target itself. ``since``: when the reading
    began, as ``kernel.clock`` writes it.
    """

    stream: str
    system: str
    database: str
    since: str


class _Lease(NamedTuple):
    """A lease with what its plan makes."""

    held: Held
    stream: str
    system: str
    database: str
    broker: str
    objects: Objects

    @property
    def ends(self) -> bool:
        """Whether somebody is ending it, or just has."""
        return self.held.phase in {Phase.ENDING, Phase.ENDED}


class Explanation:
    """What the leases of some targets explain of one reading.

    ``states``: of their streams, the target's own first; one is asked for when those before it
    explain nothing. ``plan(index)``: that of the ``lease.issuing`` record there.
    """

    def __init__(
        self, states: Iterable[State], plan: Callable[[int], Plan | None], place: Place
    ) -> None:
        self._place = place
        self._plan = plan
        self._unread = iter(states)
        self._named: list[dict[str, list[Held]]] = []  # of each stream, its leases by their roles
        self._streams: list[str] = []
        self._leases: dict[str, _Lease | None] = {}  # by their ids

    def explains(self, change: Change) -> str:
        """The id of the lease that a change is of, or ``""``. Raises: as ``states``, ``plan``."""
        if change.attribute or change.before is not None or change.parts:
            return ""  # it altered or took away something, or more came with it
        words = {one for one in _WORD.findall(change.name) if _ours(one)}
        for named, stream in self._read() if words else ():
            for held in (held for word in sorted(words) for held in named.get(word, ())):
                if not runs(held, self._place.since):
                    continue
                lease = self._lease(held, stream)
                if lease is not None and self._made(lease, change):
                    return held.id
        return ""

    def roles(self) -> dict[str, str]:
        """The roles of all leases that are not proven gone at this cluster, each with its lease.

        Also of leases whose time is over, and scopes.
        """
        found: dict[str, str] = {}
        for named, stream in self._read():
            for role, several in named.items():
                for held in several:
                    lease = self._lease(held, stream)
                    if lease is None or self._here(lease):
                        found.setdefault(role, held.id)
        return found

    def _read(self) -> Iterator[tuple[dict[str, list[Held]], str]]:
        yield from list(zip(self._named, self._streams, strict=True))
        for state in self._unread:
            named: dict[str, list[Held]] = {}
            for held in (*state.requests.values(), *state.closed.values()):
                lease = held.lease
                if lease is None or (lease.ended_at and lease.ended_at < self._place.since):
                    continue
                for role in filter(None, (lease.role, lease.scope)):
                    named.setdefault(role, []).append(held)
            self._named.append(named)
            self._streams.append(state.target)
            yield named, state.target

    def _lease(self, held: Held, stream: str) -> _Lease | None:
        if held.id not in self._leases:
            lease = held.lease
            plan = self._plan(lease.record) if lease is not None else None
            known = plan is not None and lease is not None and plan.sha256 == lease.plan
            self._leases[held.id] = _of(held, stream, plan) if known and plan else None
        return self._leases[held.id]

    def _here(self, lease: _Lease) -> bool:
        """Whether it is of the cluster that was read; where nobody knows, only the target's own."""
        if lease.system and self._place.system:
            return lease.system == self._place.system
        return lease.stream == self._place.stream

    def _made(self, lease: _Lease, change: Change) -> bool:
        if not self._here(lease):
            return False
        if change.kind == "grant" and lease.database != self._place.database:
            return False
        return _is(lease, (change.kind, change.name), change.after)


def runs(held: Held, since: str) -> bool:
    """Whether a lease may have been at its target at some moment from ``since`` on.

    Its time is not over, and it was not proven gone. Ending takes a while, and begins when its time
    is over: ENDING_SECONDS from its beginning are no residue.
    """
    lease = held.lease
    if lease is None or (lease.ended_at and lease.ended_at < since):
        return False
    last = lease.until
    if held.phase in {Phase.ENDING, Phase.ENDED}:
        began = parse_timestamp(held.closed_at)
        last = max(last, timestamp(began + timedelta(seconds=ENDING_SECONDS)))
    return since < last


def _ours(word: str) -> bool:
    return word.startswith((LEASE_PREFIX, issue.SCOPE_PREFIX))


def _of(held: Held, stream: str, plan: Plan) -> _Lease | None:
    said = plan.assumes
    broker = identifier(str(said.get("broker", "")))
    try:
        objects = makes(plan)
    except KeyError:  # a step that names what it does not have
        return None
    if int(said.get("major", 0)) >= _CREATORS:
        for kind, role in list(objects):
            if kind == "role":
                objects["membership", f"{broker} in {role}"] = {
                    "of": f"role {broker}",
                    "admin": True,
                    "inherit": False,
                    "set": False,
                }
    return _Lease(
        held, stream, str(said.get("system", "")), str(said.get("database", "")), broker, objects
    )


def _is(lease: _Lease, key: Key, after: Mapping[str, Any]) -> bool:
    """Whether an object is what the lease's plan makes, or what the ending of it has made of it."""
    return any(_equal(one, after) for one in _variants(lease, key, after))


def _variants(lease: _Lease, key: Key, after: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """What an object of the lease may be; of what no plan says, as ``after`` has it in bounds."""
    kind, name = key
    wanted = lease.objects.get(key)
    if kind == "membership" and name.startswith(f"{lease.broker} in "):
        yield from _creators(lease, name, wanted, after)
    elif wanted is not None and "valid_until" in wanted:
        yield from _logins(lease, wanted, after)
    elif wanted is not None:
        yield wanted


def _logins(
    lease: _Lease, wanted: dict[str, Any], after: Mapping[str, Any]
) -> Iterator[dict[str, Any]]:
    """The lease's own role: until when its record says or before, and its comment says the same."""
    said = lease.held.lease
    until = _moment(after.get("valid_until"))
    if said is not None and until and until <= said.until:
        open_one = {
            **wanted,
            "valid_until": after["valid_until"],
            "comment": _until(str(wanted.get("comment", "")), until),
            # The plan sets one and nobody recorded it; of how it is kept, the server decides.
            **{name: after[name] for name in _PASSWORD if name in after},
        }
        yield open_one
        if lease.ends:
            yield {**open_one, "login": False, "connection_limit": 0}


def _creators(
    lease: _Lease, name: str, wanted: dict[str, Any] | None, after: Mapping[str, Any]
) -> Iterator[dict[str, Any]]:
    """The broker in the lease's role: as its creator, and to end it, for which it joins it.

    The server gives a role to its creator in the name of its bootstrap superuser, which no plan
    knows; whoever else granted the same gave no more. Source: PostgreSQL 16, "CREATE ROLE".
    """
    said = lease.held.lease
    grantors = after.get("grantors")
    others = [one for one in grantors if one != lease.broker] if isinstance(grantors, list) else []
    joins = lease.ends and said is not None and name == f"{lease.broker} in {identifier(said.role)}"
    if wanted is not None and len(others) == 1:
        yield {**wanted, "grantors": others}
        if joins:
            both = sorted([*others, lease.broker])
            yield {**wanted, "inherit": True, "set": True, "grantors": both}
    if wanted is None and joins:  # before 16
        yield {"of": f"role {lease.broker}", "admin": False, "grantors": [lease.broker]}


def _equal(wanted: Mapping[str, Any], after: Mapping[str, Any]) -> bool:
    """Attribute by attribute, ``1`` not being ``true``."""
    return canon.encode(dict(wanted)) == canon.encode(dict(after))


def _moment(text: object) -> str:
    """The time in ``valid_until`` as ``kernel.clock`` writes it, or ``""`` where it is none.

    ``2026-10-01 02:00:00.5+00``: the server's text in ISO style and UTC.
    """
    try:
        moment = datetime.fromisoformat(str(text))
    except ValueError:  # infinity, or none at all
        return ""
    return "" if moment.tzinfo is None else timestamp(moment)


def _until(comment: str, until: str) -> str:
    """A lease's comment, as it is after the lease was extended to ``until``."""
    try:
        said = canon.decode(comment.encode())
    except Malformed:
        return comment
    return canon.encode({**said, "until": until}).decode() if isinstance(said, dict) else comment


def recorded(body: Mapping[str, Any]) -> Plan | None:
    """The plan in the body of a ``lease.issuing`` record; None, where it has none of this form."""
    try:
        return msgspec.convert(body.get("plan"), Plan)
    except msgspec.ValidationError:
        return None
