"""``holdfast drift effective``: who may do what in a database, by the snapshot of its last scan."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Annotated, Any, Final, NamedTuple

import typer

from chalicelib.cli.app import JsonFlag, finish, services
from chalicelib.cli.drift import group
from chalicelib.cli.text import count, emit, out, plain, say
from chalicelib.cli.wish import TargetName
from chalicelib.drift import decide
from chalicelib.drift.approval import verified
from chalicelib.drift.effective.answer import WHOLE, everything, privileges_of, who_can
from chalicelib.drift.effective.closure import Effective, effective
from chalicelib.drift.effective.privileges import CLUSTER, PUBLIC, ROLE, SUPERUSER
from chalicelib.kernel.errors import CouldNotTell, NotFound, UsageError
from chalicelib.kernel.names import identifier

if TYPE_CHECKING:
    from collections.abc import Iterator

    from chalicelib.drift.desk import Desk, Target
    from chalicelib.drift.effective.answer import Right
    from chalicelib.drift.snapshot import Key, Snapshot

_COULD_NOT_TELL: Final = 3
_KIND: Final = "postgres"  # of the targets that have grants
_MOST: Final = 1_000  # lines, unless more are asked for
_MAX_NAMED: Final = 5  # objects in a message
_DATABASE: Final = "database "

RoleName = Annotated[
    str, typer.Option("--role", help="Only what this role may; PUBLIC: everybody.")
]
ObjectName = Annotated[
    str, typer.Option("--object", help="Only on this, e.g. 'table public.orders', 'role dba'.")
]
PrivilegeName = Annotated[
    str, typer.Option("--privilege", help="Only this one, e.g. select, alter_system.")
]
FromBaseline = Annotated[
    bool, typer.Option("--baseline", help="As people signed for it, not as the last scan saw it.")
]
Limit = Annotated[int, typer.Option(min=1, help="At most so many lines.")]
Skip = Annotated[int, typer.Option(min=0, help="Leave out so many lines, of earlier pages.")]


class Held(NamedTuple):
    """A stored snapshot, verified; of which database it is, and when it was read."""

    taken: Snapshot
    database: str
    read_at: str


@group.command("effective")
def command(
    target: TargetName,
    role: RoleName = "",
    object_name: ObjectName = "",
    privilege: PrivilegeName = "",
    from_baseline: FromBaseline = False,
    limit: Limit = _MOST,
    skip: Skip = 0,
    as_json: JsonFlag = False,
) -> None:
    """List who may do what, after membership, PUBLIC, ownership and predefined roles, and how.

    As the last scan saw it; nothing is asked of the server. Exit 3: something may be left out.
    """
    held = services()
    found = held.settings.target(target)
    if found.kind != _KIND:
        raise UsageError(f"{found.stream} is no PostgreSQL database: it has no grants")
    stored = _baseline(held.desk, found) if from_baseline else _scanned(held.desk, found)
    of = effective(stored.taken, stored.database)
    rights = _asked(of, role, object_name, privilege.lower().replace(" ", "_"))
    page = itertools.islice(rights, skip, skip + limit)
    if as_json:
        rows = [told(one) for one in page]
        more = next(rights, None) is not None
        emit(
            {
                "target": found.stream,
                "read_at": stored.read_at,
                "complete": not of.inputs.gaps,
                "gaps": sorted(of.inputs.gaps),
                "rights": rows,
                "next": skip + limit if more else None,
            }
        )
    else:
        number = _print(page)
        more = next(rights, None) is not None
        say(f"{count(number, 'line')}, as read at {stored.read_at}", "dim")
        if more:
            say(f"there are more: --skip {skip + limit}", "bold yellow")
    if of.inputs.gaps:
        named = ", ".join(sorted(of.inputs.gaps))
        say(f"not all could be read ({named}), so something may be left out", "bold yellow")
        finish(_COULD_NOT_TELL)


def _scanned(desk: Desk, target: Target) -> Held:
    """The last scan's snapshot. Raises: CouldNotTell; Missing, DigestMismatch."""
    now = desk.states.get(target.stream)
    last = now.last_scan
    if last is None or not last.snapshot:
        raise CouldNotTell(
            f"{target.stream} was never scanned"
            if last is None
            else f"the last scan of {target.stream}, at {last.at}, could not read it",
            next_step=f"holdfast scan {target.slug}; or --baseline",
        )
    taken = decide.load(desk, last.snapshot, last.root)
    return Held(taken, last.identity.removeprefix(_DATABASE), now.last_read_at or last.at)


def _baseline(desk: Desk, target: Target) -> Held:
    """The baseline in force. Raises: NoBaseline, VerificationFailed."""
    held = verified(desk, target, desk.states.get(target.stream))
    said = held.predicate
    return Held(held.snapshot, said.identity.removeprefix(_DATABASE), said.read_at)


def _asked(of: Effective, role: str, name: str, privilege: str) -> Iterator[Right]:
    """The lines that were asked for. Raises: NotFound, where nothing is named so."""
    thing = _thing(of, name) if name else None
    if privilege and thing is not None and privilege not in of.offered(thing):
        offered = ", ".join(of.offered(thing))
        raise UsageError(f"no privilege {privilege} on {' '.join(thing)}; there are: {offered}")
    if not role:
        if thing is not None:
            return who_can(of, thing, privilege)
        found = everything(of)
    else:
        known = {role, identifier(role)} & {*of.inputs.roles, PUBLIC, *of.inputs.by_grantee}
        if not known:
            raise NotFound(f"no role {role} in the snapshot")
        who = role if role in known else identifier(role)
        found = privileges_of(of, who)
        if thing is not None:
            found = (one for one in found if (one.kind, one.name) == thing or _is_all(one))
    return (one for one in found if privilege in {"", one.privilege} or _is_all(one))


def _is_all(one: Right) -> bool:
    """Whether a line says that somebody may everything, or may come to."""
    return one.kind == CLUSTER and one.privilege == SUPERUSER


def _thing(of: Effective, name: str) -> Key:
    """The object of ``table public.orders``, or of ``public.orders`` where one is named so."""
    if name == CLUSTER:
        return WHOLE
    kind, _, rest = name.partition(" ")
    known = {*of.inputs.owners, *of.inputs.entries, *((ROLE, one) for one in of.inputs.roles)}
    if (kind, rest) in known:
        return (kind, rest)
    if kind == "column" and of.relation(rest) is not None:
        return (kind, rest)
    found = sorted(one for one in known if one[1] == name)
    if len(found) == 1:
        return found[0]
    if found:
        named = ", ".join(" ".join(one) for one in found[:_MAX_NAMED])
        raise UsageError(f"more than one object is named {name}: {named}")
    raise NotFound(
        f"no object {name} in the snapshot",
        next_step="name it as findings do: 'table public.orders', 'function app.f(integer)'",
    )


def _print(page: Iterator[Right]) -> int:
    """The lines as they are found; a table has no room for ways."""
    number = 0
    console = out()
    for number, one in enumerate(page, start=1):  # noqa: B007 - the last is the count
        console.print(plain(one.words), soft_wrap=True, markup=False, highlight=False)
    return number


def told(one: Right) -> dict[str, Any]:
    """A line as JSON values."""
    return {
        "grantee": one.grantee,
        "kind": one.kind,
        "name": one.name,
        "privilege": one.privilege,
        "how": one.how,
        "grantable": one.grantable,
        "ways": [
            {"through": [{"role": name, "by": how} for name, how in way.through], "by": way.entry}
            for way in one.ways
        ],
        "needs": list(one.needs),
        "notes": list(one.notes),
    }
