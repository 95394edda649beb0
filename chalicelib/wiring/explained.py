"""Explained: what the recorded leases of a cluster say of a scan of one of its databases."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from chalicelib.drift.explained import nothing
from chalicelib.kernel import kinds, ledger
from chalicelib.kernel.record import entry_at

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from chalicelib import settings
    from chalicelib.access.plan import Plan
    from chalicelib.access.state import State, States
    from chalicelib.drift.desk import Target
    from chalicelib.drift.explained import Explained, Explanation
    from chalicelib.drift.source import Reading
    from chalicelib.kernel.record import Journal
    from chalicelib.kernel.store import Derived, WriteOnce

POSTGRES = "postgres"
DATABASE = "database "  # before its name, in what a reading is of


@dataclass(frozen=True, slots=True)
class _Books:
    """The access flow's, as ``kernel.ledger`` wants them."""

    journal: Journal
    objects: WriteOnce
    states: States
    keep_days: Callable[[str], int]


def explained(
    loaded: settings.Settings,
    *,
    journal: Journal,
    objects: WriteOnce,
    derived: Derived,
    secret: bytes | None,
) -> Explained:
    """What explains changes at a target: leases there, and at others of the same cluster.

    Roles belong to the cluster, so that a lease of one database shows in scans of all others.
    """
    leased = [one.slug for one in loaded.leased() if one.kind == POSTGRES]
    if not leased:
        return nothing

    def explain(target: Target, reading: Reading, since: str) -> Explanation:
        if target.kind != POSTGRES:
            return nothing(target, reading, since)
        from chalicelib.access.explain import Explanation, Place, recorded  # noqa: PLC0415 - late,
        from chalicelib.access.state import States  # noqa: PLC0415 - as few scans need them

        books = _Books(journal, objects, States(journal, derived, secret), loaded.retention.days)
        own = [target.slug] if target.slug in leased else []
        slugs = [*own, *(one for one in leased if one not in own)]

        def states() -> Iterator[State]:
            for slug in slugs:
                yield ledger.now(books, kinds.access_stream(slug))

        def plan(index: int) -> Plan | None:
            return recorded(entry_at(journal, index).body)

        place = Place(
            stream=kinds.access_stream(target.slug),
            system=str(reading.system.get("system_identifier", "")),
            database=reading.identity.removeprefix(DATABASE),
            since=since,
        )
        return Explanation(states(), plan, place)

    return explain
