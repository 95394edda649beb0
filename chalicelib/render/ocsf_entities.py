"""What of the other records goes into events of OCSF 1.8: entities that are managed, and leases."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

from chalicelib.render import ocsf_schema
from chalicelib.render.ocsf_schema import (
    ACCESS,
    ASSIGN,
    ENTITY,
    OTHER,
    REVOKE,
    Activity,
    Event,
    Severity,
    Status,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from chalicelib.render.ocsf import Said
    from chalicelib.render.ocsf_events import Rows

UNTOLD: Final = "(not told here)"
_ISSUED: Final = "lease.issued"
_ENDED: Final = "lease.ended"
_LEASED: Final = (
    "requested_by", "requested_at", "approvers", "approved_at", "own_approval", "break_glass",
    "masked", "until", "renewals", "reviewed_by", "reviewed_at",
)  # fmt: skip
_PROOF: Final = ("why", "sessions_ended", "left_behind")


class Thing(msgspec.Struct, frozen=True):
    """An entity: what it is called, and in which table and column of the book its name is."""

    type: str
    table: str
    name: str


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """How a kind of record is told. ``column``: of the table, that has the record's index.

    ``is_again``: only the first record of a stream creates the entity. ``later``: columns that
    only later records fill.
    """

    thing: Thing
    activity: int
    verb: str
    column: str = "leaf"
    is_again: bool = False
    later: tuple[str, ...] = ()
    is_failure: bool = False


def of(rows: Rows, said: Said) -> Iterator[Event]:
    """The event of a record. Raises: StoreUnavailable."""
    if said.kind in {_ISSUED, _ENDED}:
        yield from _lease(rows, said)
    elif said.kind in TOLD:
        yield from _entity(rows, said, TOLD[said.kind])


def _lease(rows: Rows, said: Said) -> Iterator[Event]:
    """A lease was issued, or is proven to have ended."""
    told = rows.one("access_event", "leaf = ?", said.leaf)
    if told is None:
        return
    target, request = told["target"], told["request"]
    row = rows.one("access", "target = ? AND id = ?", target, request) or {}
    is_issue = said.kind == _ISSUED
    verb = "issued" if is_issue else "proven to have ended"
    role = told["role"] or row.get("role") or UNTOLD
    beside = (*_LEASED, *(() if is_issue else _PROOF))
    yield Event(
        of=ACCESS,
        activity=ASSIGN if is_issue else REVOKE,
        body={
            "actor": ocsf_schema.actor(said.actor, said.tool),
            "user": {"name": role, "uid": role, "type": "User", "type_id": 1},
            "privileges": [row.get("profile") or UNTOLD],
            "resources": _places(target, row.get("tables") or ""),
            **ocsf_schema.status(Status.SUCCESS, told["words"] or verb),
        },
        message=f"the lease {request} at {target} was {verb}",
        beside={
            "request": request,
            "at_end_of_packet": {name: row.get(name) for name in beside},
        },
    )


def _places(target: str, tables: str) -> list[dict[str, Any]]:
    found = [{"uid": target, "name": target, "type": "target"}]
    if tables:
        found.append({"uid": f"{target}: {tables}", "name": tables, "type": "tables"})
    return found


def _entity(rows: Rows, said: Said, how: Told) -> Iterator[Event]:
    row = rows.one(how.thing.table, f"{how.column} = ?", said.leaf)
    if row is None:
        return
    is_again = how.is_again and said.seq > 1
    activity = Activity.UPDATE if is_again else how.activity
    name = str(row[how.thing.name] or how.thing.type)
    failed = how.is_failure or bool(row.get("leaked"))
    words = str(row.get("words") or row.get("comment") or "")
    yield Event(
        of=ENTITY,
        activity=activity,
        label=how.verb if activity == OTHER else "",
        body={
            "actor": ocsf_schema.actor(said.actor, said.tool),
            "entity": {
                "name": name,
                "type": how.thing.type,
                "type_id": OTHER,
                "data": {
                    key: value
                    for key, value in row.items()
                    if value is not None and key not in how.later
                },
            },
            "comment": words,
            **ocsf_schema.status(Status.FAILURE if failed else Status.SUCCESS, words or how.verb),
        },
        message=f"{how.thing.type} {name}: {how.verb} by {said.actor}",
        severity=Severity.HIGH if failed else Severity.INFORMATIONAL,
    )


_TARGET: Final = Thing("Target", "configured", "target")
_BASELINE: Final = Thing("Baseline", "baseline", "id")
_APPROVAL: Final = Thing("Baseline", "baseline_approval", "baseline")
_REQUEST: Final = Thing("Access request", "access_event", "request")
_MASKS: Final = Thing("Masks", "masking", "target")
_LOG: Final = Thing("Evidence log", "keeping", "event")
_HOLD: Final = Thing("Hold on evidence", "keeping", "event")


def _asked(verb: str, activity: int = Activity.UPDATE, *, is_failure: bool = False) -> Told:
    return Told(thing=_REQUEST, activity=activity, verb=verb, is_failure=is_failure)


TOLD: Final = {
    "target.configured": Told(
        thing=_TARGET, activity=Activity.CREATE, verb="configured", is_again=True
    ),
    "target.removed": Told(thing=_TARGET, activity=Activity.DELETE, verb="removed"),
    "baseline.proposed": Told(
        thing=_BASELINE,
        activity=Activity.CREATE,
        verb="proposed",
        later=("approvals", "signed_at", "signed_leaf", "approved_by", "envelope_sha256"),
    ),
    "baseline.approved": Told(thing=_APPROVAL, activity=Activity.UPDATE, verb="approved"),
    "baseline.signed": Told(
        thing=_BASELINE, activity=Activity.ACTIVATE, verb="signed", column="signed_leaf"
    ),
    "access.requested": _asked("requested", Activity.CREATE),
    "access.amended": _asked("amended"),
    "access.approved": _asked("approved"),
    # A renewal can be denied, withdrawn and lapse too, and the lease goes on: no "Deactivate".
    "access.denied": _asked("denied"),
    "access.withdrawn": _asked("withdrawn"),
    "access.lapsed": _asked("lapsed"),
    "access.reviewed": _asked("reviewed"),
    "lease.issuing": _asked("issuing"),
    "lease.refreshed": _asked("claimed again"),
    "lease.renewal": _asked("asked for longer"),
    "lease.extended": _asked("extended"),
    "lease.ending": _asked("ending"),
    "lease.unended": _asked("not ended", is_failure=True),
    "lease.orphaned": _asked("found without a lease", is_failure=True),
    "masking.applied": Told(thing=_MASKS, activity=Activity.UPDATE, verb="applied"),
    "masking.checked": Told(thing=_MASKS, activity=OTHER, verb="attacked to test them"),
    "packet.made": Told(
        thing=Thing("Evidence packet", "custody", "event"), activity=Activity.CREATE, verb="made"
    ),
    "evidence.read": Told(
        thing=Thing("Evidence", "custody", "event"), activity=Activity.READ, verb="read"
    ),
    "log.opened": Told(thing=_LOG, activity=Activity.CREATE, verb="opened"),
    "log.restored": Told(thing=_LOG, activity=Activity.UPDATE, verb="restored"),
    "log.rotated": Told(thing=_LOG, activity=Activity.UPDATE, verb="given another key"),
    "period.closed": Told(thing=_LOG, activity=Activity.UPDATE, verb="closed for a period"),
    "hold.placed": Told(thing=_HOLD, activity=Activity.CREATE, verb="placed"),
    "hold.released": Told(thing=_HOLD, activity=Activity.DELETE, verb="released"),
    "personal.erased": Told(
        thing=Thing("Key of personal values", "keeping", "event"),
        activity=Activity.DELETE,
        verb="erased",
    ),
}
