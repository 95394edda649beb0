"""The access review of a target: who holds what, since when, and used when."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

from chalicelib.access.state import MAX_CLOSED
from chalicelib.api import requests, shown
from chalicelib.api.wishes import Review, Standing
from chalicelib.drift import approval, snapshot
from chalicelib.evidence.personal import Reveal
from chalicelib.kernel import names
from chalicelib.kernel.errors import Missing
from chalicelib.wiring import access

if TYPE_CHECKING:
    from collections.abc import Mapping

    from chalicelib.api.call import Call
    from chalicelib.api.types import Empty
    from chalicelib.drift.desk import Target
    from chalicelib.drift.snapshot import Object, Snapshot
    from chalicelib.drift.state import State

READING: Final = "lease:read"
SCANS: Final = "scan:read"
_ATTRIBUTES: Final = ("superuser", "create_role", "create_db", "replication", "bypass_rls")


class _Note(msgspec.Struct, frozen=True):
    """What stands at a lease's role, see ``access.issue.comment``."""

    holdfast: int
    lease: str
    until: str


def show(call: Call, _asked: Empty, target: str) -> Review:
    """What people hold at a target, with a lease and without. Raises: NotFound, Forbidden."""
    name = names.target(target)
    known = [one.stream for one in call.services.settings.leased() if one.slug == name.slug]
    full = known[0] if known and target in {name.slug, known[0]} else target
    seen = call.target(full, READING)
    leased = access.find(call.services, full)
    now = requests.state_of(call, leased)
    every = [*now.requests.values(), *now.closed.values()]
    reveal = Reveal(call.services.subjects, call.services.log)
    views = [shown.view(call, leased, one, reveal) for one in every]
    views.sort(key=lambda one: (one.at, one.id), reverse=True)
    held = [one for one in views if one.lease is not None]
    held.sort(key=lambda one: one.phase == "ended")
    roles = {one.lease.role: one.lease.ended_at or "" for one in held if one.lease}
    standing, scanned_at = _scanned(call, seen, roles)
    return Review(
        target=leased.name,
        at=call.now,
        leases=held,
        requests=[one for one in views if one.phase in {"pending", "approved"}],
        complete=len(now.closed) < MAX_CLOSED,
        standing=standing,
        scanned_at=scanned_at,
    )


def _scanned(
    call: Call, target: Target, leases: Mapping[str, str]
) -> tuple[list[Standing] | None, str | None]:
    """Roles that can log in and are no ``leases``, as the last scan saw them, and when it did.

    ``leases``: by their roles when they ended, empty for those that run. One that ended before it
    was seen is none any more.
    Raises: DigestMismatch, Malformed, Missing, where the snapshot is not what was recorded.
    """
    now = call.services.desk.states.get(target.stream)
    last = now.last_scan
    if last is None or not last.snapshot or not all(call.guard.may(SCANS, [target])):
        return None, None
    data = call.services.desk.objects.get(approval.snapshot_key(last.snapshot))
    if data is None:
        raise Missing(
            f"the snapshot of the last scan of {target.stream} is not in the store",
            next_step="holdfast evidence fsck",
        )
    taken = snapshot.verify(data, sha256=last.snapshot, root=last.root)
    seen_at = now.last_read_at or last.at
    known = {role for role, ended in leases.items() if not ended or ended >= seen_at}
    return standing(taken, now, known), seen_at


def standing(taken: Snapshot, now: State, leases: set[str]) -> list[Standing]:
    """Roles of a snapshot that can log in, but for those of ``leases``; superusers first."""
    groups: dict[str, list[str]] = {}
    for one in taken.objects.values():
        if one.kind == "membership" and (parent := one.parent) is not None:
            groups.setdefault(parent[1], []).append(one.name.removeprefix(f"{parent[1]} in "))
    added = {
        note.name: note.opened_at
        for note in now.findings.values()
        if note.kind == "role" and note.operation == "added"
    }
    found = []
    for one in taken.objects.values():
        if one.kind != "role" or not one.attributes.get("login") or one.name in leases:
            continue
        found.append(
            Standing(
                role=one.name,
                superuser=bool(one.attributes.get("superuser")),
                attributes=[name for name in _ATTRIBUTES if one.attributes.get(name) is True],
                member_of=sorted(groups.get(one.name, [])),
                valid_until=_text(one.attributes.get("valid_until")),
                signed=None if now.baseline is None else one.name not in added,
                since=added.get(one.name),
                lease=_lease(one),
            )
        )
    found.sort(key=lambda one: (not one.superuser, one.role))
    return found


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def _lease(role: Object) -> str | None:
    """The request that a role says it is of, by what stands at it."""
    try:
        note = msgspec.json.decode(str(role.attributes.get("comment") or ""), type=_Note)
    except msgspec.DecodeError:
        return None
    return note.lease
