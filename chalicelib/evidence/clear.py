"""Clear: which columns are personal, whom they are masked for, and which leases saw them clear.

It takes records in the order of the log, as JSON, and follows from them alone. What they do not
tell is said so: where no masks are recorded nobody knows what is personal, and it is never "none".

1. ``masking.applied`` says which columns are personal, and what each set of views shows of them.
2. ``lease.issuing`` has the plan: what the lease's groups and scope reach, and so which of these
   columns it could read clear, by the masks that were in force while it ran.
3. ``access.*`` say who asked, why, and who agreed.

That a lease could read a column is not that it did: statements are not looked at here.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final

import msgspec

from chalicelib.evidence.sight import ALL, SOME, UNTOLD, Approval, Check, Masks, Seen, Sight
from chalicelib.kernel import masking, merkle
from chalicelib.kernel.errors import Malformed
from chalicelib.kernel.kinds import ACCESS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from chalicelib.evidence.sight import Name
    from chalicelib.kernel.record import Entry

_DATA: Final = "SELECT"


class _Relation(msgspec.Struct, frozen=True):
    schema: str
    name: str
    kind: str
    privileges: tuple[str, ...]


class _Plan(msgspec.Struct, frozen=True):
    """What a plan assumes of a database, as far as it says what is read."""

    relations: tuple[_Relation, ...]
    group: str
    path: tuple[str, ...]

    @property
    def tables(self) -> set[tuple[str, str]]:
        """The tables and views of the scope that are read, by schema and name."""
        return {
            (one.schema, one.name)
            for one in self.relations
            if one.kind != "sequence" and _DATA in one.privileges
        }


class _Profile(msgspec.Struct, frozen=True):
    """What a lease gives, as far as it says what is read."""

    privileges: tuple[str, ...] = ()
    masked: bool = False
    views: str = ""
    roles: tuple[str, ...] = ()
    actions: tuple[str, ...] = ()


class _Lease(msgspec.Struct):
    """A request, and what its lease reaches, as far as records have told.

    ``began``, ``over``: the records that its time is between; 0: none.
    """

    id: str
    who: str = ""
    wish: dict[str, Any] | None = None
    kind: str = ""
    leaf: str = ""
    renewal: str = ""
    break_glass: bool = False
    approvals: list[Approval] = []
    profile: _Profile | None = None
    plan: _Plan | None = None  # None with a profile: one that does not say what is read
    began: int = 0
    issuing: str = ""
    issued: str = ""
    until: str = ""
    ending: bool = False
    over: int = 0
    ended: str = ""


class Clear:
    """Takes records in the order of the log; of those of access streams, says what they tell."""

    def __init__(self, targets: Iterable[str] = ()) -> None:
        """``targets``: short names of which something is said though no record may be of them."""
        self._targets: dict[str, _Target] = {one: _Target(one) for one in targets}

    def add(self, entry: Entry) -> None:
        """Take the next record."""
        head, _, slug = entry.record.stream.partition(":")
        if head == ACCESS:
            self._targets.setdefault(slug, _Target(slug)).add(entry)

    def told(self) -> list[Seen]:
        """What was found, a target after the other, by name."""
        return [self._targets[one].seen() for one in sorted(self._targets)]


def streams(targets: Iterable[str]) -> list[str]:
    """The short names of the targets whose requests and leases a packet was asked for."""
    return [slug for head, _, slug in (one.partition(":") for one in targets) if head == ACCESS]


def coverage(entries: Iterable[Entry]) -> Seen:
    """What the records of one target's access stream tell; of the first, where there are more."""
    clear = Clear()
    for entry in entries:
        clear.add(entry)
    return next(iter(clear.told()), Seen())


class _Target:
    def __init__(self, slug: str) -> None:
        self._slug = slug
        self._masks: list[Masks] = []
        self._check: Check | None = None
        self._leases: dict[str, _Lease] = {}
        self._issued: dict[str, None] = {}
        self._earlier: dict[str, None] = {}
        self._odd: list[int] = []
        self._plans: dict[_Plan, _Plan] = {}  # of one scope, kept once

    def add(self, entry: Entry) -> None:
        try:
            self._take(entry)
        except (KeyError, TypeError, AttributeError, msgspec.ValidationError, Malformed):
            self._odd.append(entry.index)

    def seen(self) -> Seen:
        newest = self._masks[-1] if self._masks else None
        columns = newest.applied.columns if newest else ()
        sights = (self._sight(self._leases[one]) for one in self._issued)
        return Seen(
            target=self._slug,
            masks=newest,
            personal=[one for one in columns if one.personal],
            unclassified=list(newest.applied.unclassified) if newest else [],
            check=self._check,
            leases=[one for one in sights if one is not None],
            earlier=list(self._earlier),
            odd=self._odd,
        )

    def _take(self, entry: Entry) -> None:
        record, body = entry.record, entry.body
        kind, at = record.kind, record.at
        if kind == masking.APPLIED:
            found = masking.applied(body)
            by = record.actor.name
            self._masks.append(Masks(index=entry.index, at=at, by=by, applied=found))
        elif kind == masking.CHECKED:
            self._check = Check(index=entry.index, at=at, checked=masking.checked(body))
        elif kind.startswith(("access.", "lease.")) and body["request"]:
            self._about(entry, kind, body)

    def _about(self, entry: Entry, kind: str, body: dict[str, Any]) -> None:
        """A record of a request, or of the lease that came of it."""
        of = _text(body["request"])
        one = self._leases.setdefault(of, _Lease(of))
        if kind == "lease.issuing":
            self._issuing(one, entry)
        elif kind in _STEPS:
            _STEPS[kind](one, entry)
        if kind.startswith("lease.") and kind != "lease.orphaned" and one.profile is None:
            self._earlier[of] = None

    def _issuing(self, one: _Lease, entry: Entry) -> None:
        body = entry.body
        profile, assumes = msgspec.convert(body["profile"], _Profile), body["plan"]["assumes"]
        plan = msgspec.convert(assumes, _Plan) if "relations" in assumes else None
        one.until, one.began, one.issuing = _text(body["until"]), entry.index, entry.record.at
        one.profile, one.plan = profile, plan and self._plans.setdefault(plan, plan)
        one.who = one.who or entry.record.actor.name
        self._issued[one.id] = None

    def _sight(self, one: _Lease) -> Sight | None:
        """What a lease could read clear; None, where it is nothing, or nobody had it."""
        if one.profile is None or (not one.issued and one.ending):
            return None
        found = Sight(lease=one.id, who=one.who, profile="", reads=SOME)
        found.since = one.issued or one.issuing
        found.until, found.ended = one.ended or one.until, bool(one.ended)
        found.break_glass, found.approvals = one.break_glass, one.approvals
        if one.wish is not None:
            found.asked, found.reason, found.reason_kind = True, one.wish["reason"], one.kind
            found.profile, found.policies = one.wish["profile"], one.wish["policies"]
        masks, found.known = self._during(one)
        return found if _reaches(found, one.profile, one.plan, masks) else None

    def _during(self, one: _Lease) -> tuple[list[Masks], bool]:
        """The masks in force while a lease ran, and whether there are some for all of it."""
        end = one.over or math.inf
        before = [masks for masks in self._masks if masks.index < one.began][-1:]
        during = [masks for masks in self._masks if one.began < masks.index < end]
        return [*before, *during], bool(before)


def _requested(one: _Lease, entry: Entry) -> None:
    one.who = _text(entry.body["principal"])
    one.break_glass = entry.body["break_glass"] is True
    _asked(one, entry)


def _asked(one: _Lease, entry: Entry) -> None:
    """What is asked for; whoever agreed to something else has not agreed to it."""
    body = entry.body
    policies = [_text(each) for each in body["policies"]]
    one.wish = {"profile": _text(body["profile"]), "reason": body["reason"], "policies": policies}
    one.kind, one.approvals = entry.record.kind, []


def _approved(one: _Lease, entry: Entry) -> None:
    renewal = bool(one.renewal) and entry.body["leaf"] == one.renewal
    made = Approval(by=entry.record.actor.name, at=entry.record.at, renewal=renewal)
    one.approvals = [*one.approvals, made]


def _issued(one: _Lease, entry: Entry) -> None:
    one.issued = entry.record.at


def _renewal(one: _Lease, entry: Entry) -> None:
    one.renewal = merkle.leaf_hash(entry.leaf).hex()


def _extended(one: _Lease, entry: Entry) -> None:
    one.until = _text(entry.body["until"])


def _ending(one: _Lease, _entry: Entry) -> None:
    one.ending = True


def _ended(one: _Lease, entry: Entry) -> None:
    one.over, one.ended = entry.index, entry.record.at


_STEPS: Final[dict[str, Callable[[_Lease, Entry], None]]] = {
    "access.requested": _requested,
    "access.amended": _asked,
    "access.approved": _approved,
    "lease.issued": _issued,
    "lease.renewal": _renewal,
    "lease.extended": _extended,
    "lease.ending": _ending,
    "lease.ended": _ended,
}


def _reaches(found: Sight, profile: _Profile, plan: _Plan | None, masks: list[Masks]) -> bool:
    """Whether a lease could read personal columns clear, or nobody can tell; which: ``found``."""
    if profile.actions:
        return False  # of an AWS role, which reads no columns
    columns = [one for each in masks for one in each.applied.columns if one.personal]
    if profile.roles:
        found.reads, found.columns = ALL, _names(columns)
        found.why = f"it is a member of {', '.join(profile.roles)}"
    elif plan is None:
        found.reads, found.why = UNTOLD, "its plan does not say what it reads"
    elif profile.masked:
        return _through_views(found, profile.views, plan, masks)
    elif plan.relations:
        named = plan.tables
        found.columns = _names(one for one in columns if (one.schema, one.table) in named)
        found.tables = sorted(named - _classified(masks))
        return bool(found.columns or found.tables)
    elif plan.group and _DATA in profile.privileges:
        found.reads, found.schemas = ALL, list(plan.path)
        found.columns = _names(one for one in columns if one.schema in plan.path)
    else:
        return False
    return True


def _through_views(found: Sight, views: str, plan: _Plan, masks: list[Masks]) -> bool:
    """The same of a masked lease: what its set of views shows clear."""
    shown = [
        one
        for each in masks
        for one in each.applied.columns
        if one.personal and one.shown.get(views) == masking.CLEAR
    ]
    tables = plan.tables
    found.columns = _names(
        one
        for one in shown
        if (
            (_masked(one.schema, views), one.table) in tables
            if plan.relations
            else _masked(one.schema, views) in plan.path
        )
    )
    told = found.known and all(views in each.applied.sets for each in masks)
    if not told and not found.columns:
        found.reads, found.why = UNTOLD, "no record before it says what its views show"
    return bool(found.columns) or not told


def _masked(schema: str, views: str) -> str:
    """The schema of a set of views. Source: docs/masking.md."""
    return f"{schema}_masked" + (f"_{views}" if views else "")


def _classified(masks: list[Masks]) -> set[tuple[str, str]]:
    """The tables each of whose columns has a class, in all of these masks."""
    found = [
        {(one.schema, one.table) for one in each.applied.columns}
        - {(schema, table) for schema, table, _ in each.applied.unclassified}
        for each in masks
    ]
    return set.intersection(*found) if found else set()


def _names(columns: Iterable[masking.Column]) -> list[Name]:
    return sorted({(one.schema, one.table, one.column) for one in columns})


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"expected text, found {type(value).__name__}")
    return value
