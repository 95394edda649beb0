"""The facts of a report: what the templates are given. ``picks`` makes them of a book.

Whole populations are in the exports; here is what people read: totals, and of every list the rows
that matter most, with how many are left out. ``leaf`` is a record's index in the log. Times are
UTC, as in the records. docs/reports.md lists these fields.
"""

from __future__ import annotations

from typing import Any, Generic, TypeVar

import msgspec

from chalicelib.render.days import Calendar, Day
from chalicelib.render.exceptions import Noted
from chalicelib.render.matrix import Framework

T = TypeVar("T")


class Shown(msgspec.Struct, Generic[T], frozen=True):
    """The first rows of a list: ``total``: of how many, and ``first``: the first in which order."""

    rows: list[T]
    total: int
    first: str = ""

    @property
    def left_out(self) -> int:
        """How many are not shown."""
        return self.total - len(self.rows)


class Root(msgspec.Struct, frozen=True):
    """A signed checkpoint: the number of leaves, the root in hexadecimal, and the note."""

    size: int
    root: str
    note: str


class Cosigned(msgspec.Struct, frozen=True):
    """A witness, and when it saw the last checkpoint (UTC)."""

    name: str
    at: str


class Stamped(msgspec.Struct, frozen=True):
    """A time-stamping authority's word that a checkpoint of ``size`` leaves was there by ``at``."""

    size: int
    authority: str
    at: str


class Erased(msgspec.Struct, frozen=True):
    """Personal values that can no longer be read; ``leaf``: the record of it."""

    subject: str
    values: int
    at: str
    by: str
    leaf: int


class Evidence(msgspec.Struct, frozen=True):
    """What the report rests on: the packet, its verification, and who made it."""

    origin: str
    answer: str
    packet: str
    start: str
    end: str
    closed_at: str
    first: int
    last: int
    records: int
    census: int
    targets: list[str]
    kinds: list[str]
    closing: Root
    checkpoint: Root
    key: str
    key_id: str
    key_algorithm: str
    quorum: str
    witnesses: list[Cosigned]
    timestamps: list[Stamped]
    erased: list[Erased]
    sealed: int
    unchecked: list[str]
    tool: str
    tool_sha256: str
    verifier_sha256: str


class System(msgspec.Struct, frozen=True):
    """A target: where it is, how it was looked at, and how often.

    ``expected``, ``observed``, ``pending``, ``unobserved``: of the schedule's times; beside it came
    ``unscheduled`` scans. ``leaf``: of the last scan, else of its configuration; None: of neither.
    ``configured_leaf``: of what says ``env`` and ``approvals``.
    """

    name: str
    kind: str
    env: str
    approvals: int | None
    source: str
    ran_as: str
    objects: int | None
    outcome: str
    expected: int
    observed: int
    pending: int
    unobserved: int
    unscheduled: int
    outcomes: str
    removed: bool
    leaf: int | None
    configured_leaf: int | None


class Scanned(msgspec.Struct, frozen=True):
    """All scans that are here: how many, and when the first and the last were recorded.

    ``log_opened``: when the log began, where that is in the packet; else empty.
    """

    count: int
    first: str
    last: str
    log_opened: str


class Gap(msgspec.Struct, frozen=True):
    """A stretch in which a target was UNOBSERVED, and why."""

    target: str
    start: str
    stop: str
    why: str


class Event(msgspec.Struct, frozen=True):
    """One thing that became of a finding or a request."""

    leaf: int
    at: str
    event: str
    by: str
    words: str


class Found(msgspec.Struct, frozen=True):
    """A finding. ``disposition``: open, suppressed, accepted, gone, or untold.

    ``before``, ``after``: what was signed for, and what was found. It came about between
    ``not_before`` and ``not_after``, or was committed at ``committed_at``. ``events``: what became
    of it, oldest first; ``more``: how many events are left out.
    """

    leaf: int
    id: str
    target: str
    severity: str
    direction: str
    title: str
    operation: str
    kind: str
    name: str
    attribute: str
    before: str
    after: str
    not_before: str
    not_after: str
    committed_at: str
    opened_at: str
    who: str
    certainty: str
    disposition: str
    ended_at: str
    ended_leaf: int | None
    accepted_by: str
    suppressed_until: str
    controls: str
    events: list[Event]
    more: int


class Findings(msgspec.Struct, frozen=True):
    """All findings of the period by severity, and by what they are at its end."""

    total: int
    by_severity: dict[str, int]
    by_disposition: dict[str, int]
    carried: int
    carried_open: int
    shown: Shown[Found]


class Agreed(msgspec.Struct, frozen=True):
    """Who agreed to a baseline, and when."""

    leaf: int
    by: str
    at: str


class Baseline(msgspec.Struct, frozen=True):
    """A baseline that was proposed, and who agreed; ``signed_leaf`` None: it is not in force.

    ``more``: how many who agreed are left out.
    """

    leaf: int
    id: str
    target: str
    proposed_at: str
    proposed_by: str
    objects: int
    root: str
    accepts: int
    required: int
    comment: str
    signed_at: str
    signed_leaf: int | None
    in_range: bool
    approved: list[Agreed]
    more: int


class Lease(msgspec.Struct, frozen=True):
    """A request, who agreed, and the lease that came of it.

    ``own_approval``: its requester is among those who agreed. ``left_behind``: rows of the database
    that still knew the role when its end was proven; None: not proven here.
    """

    leaf: int
    id: str
    target: str
    requested_at: str
    requested_by: str
    profile: str
    tables: str
    seconds: int
    reason: str
    ticket: str
    break_glass: bool
    approvals_required: int
    approvers: str
    approved_at: str
    own_approval: bool
    policies: str
    state: str
    issued_at: str
    issued_leaf: int | None
    until: str
    ended_at: str
    ended_leaf: int | None
    why: str
    sessions_ended: int | None
    left_behind: int | None
    reviewed_by: str
    reviewed_at: str
    review_leaf: int | None
    events: list[Event]
    more: int


class Line(msgspec.Struct, frozen=True):
    """A record in a line: what happened to the log, to masks, or who took evidence."""

    leaf: int
    at: str
    by: str
    event: str
    target: str
    words: str


class Sample(msgspec.Struct, frozen=True):
    """A population, its size, and a sample of it: of its CSV's columns those to begin with."""

    name: str
    title: str
    says: str
    total: int
    columns: list[str]
    rows: list[list[Any]]


class Program(msgspec.Struct, frozen=True):
    """A program that scanned: its version and digest, with how many scans and since when."""

    tool: str
    sha256: str
    scans: int
    since: str
    leaf: int


class Report(msgspec.Struct, frozen=True):
    """Everything a template may show. ``partial``: sentences on what the packet does not tell.

    ``untold``: kinds of records that its filter leaves out; of their absence nothing follows.
    ``outcomes``: of all scans; ``known_by``: of the period's records, how their actors were known.
    """

    evidence: Evidence
    systems: Shown[System]
    ticks: int
    expected: int
    observed: int
    pending: int
    unobserved: int
    scanned: Scanned
    known_by: dict[str, int]
    outcomes: dict[str, int]
    programs: Shown[Program]
    gaps: Shown[Gap]
    findings: Findings
    exceptions: Shown[Noted]
    exceptions_by_severity: dict[str, int]
    baselines: Shown[Baseline]
    leases: Shown[Lease]
    masking: Shown[Line]
    custody: Shown[Line]
    keeping: Shown[Line]
    frameworks: list[Framework]
    samples: list[Sample]
    seed: str
    partial: list[str]
    untold: list[str]
    odd: int
    days: list[Day]
    calendar: Calendar
