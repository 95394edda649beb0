"""A target's state: what its records add up to. Pure: a fold over the evidence log."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

from chalicelib.drift.finding import Disposition, When
from chalicelib.drift.source import Mark
from chalicelib.drift.who import Attribution
from chalicelib.kernel import folded, merkle, names
from chalicelib.kernel.folded import Shape
from chalicelib.kernel.personal import Concealed, text_or_sealed
from chalicelib.kernel.record import Actor

if TYPE_CHECKING:
    from chalicelib.kernel.record import Entry, Journal
    from chalicelib.kernel.store import Derived

SCAN = "scan"
MISSED = "scan.missed"
PROPOSED = "baseline.proposed"
APPROVED = "baseline.approved"
SIGNED = "baseline.signed"
OPENED = "finding.opened"
CLOSED = "finding.closed"
SUPPRESSED = "finding.suppressed"
ATTRIBUTED = "finding.attributed"

MAX_SCHEDULED = 16  # times of the schedule that are remembered

_FORMAT = 6  # of the cache; another number is another format and is folded anew


class Note(msgspec.Struct):
    """A finding that is still there: where its record is, and what was decided about it.

    ``request``: the one that suppressed it, where that has a name. ``who``: made it, as far as is
    known by now.
    """

    index: int
    operation: str
    kind: str
    name: str
    attribute: str
    severity: str
    direction: str
    title: str
    opened_at: str
    when: When
    disposition: Disposition = Disposition.OPEN
    suppressed_until: str = ""
    reason: str | Concealed = ""
    by: str = ""
    request: str = ""
    who: Attribution | None = None

    def at(self, now: str) -> Disposition:
        """The disposition at a moment: a suppression ends by itself."""
        if self.disposition is Disposition.SUPPRESSED and self.suppressed_until <= now:
            return Disposition.OPEN
        return self.disposition


class Approval(msgspec.Struct, frozen=True):
    """One person's agreement, and where its record is; ``leaf`` is its leaf's hash, hexadecimal."""

    by: Actor
    at: str
    index: int
    leaf: str


class Proposal(msgspec.Struct):
    """A snapshot that somebody wants signed; ``accepts`` names the findings it would settle."""

    id: str
    by: Actor
    at: str
    index: int
    leaf: str
    sha256: str
    root: str
    objects: int
    identity: str
    read_at: str
    comment: str
    accepts: list[str]
    approvals: list[Approval]

    def people(self) -> set[str]:
        """Who agreed: each person once, and never the proposer."""
        return {names.person(one.by.name) for one in self.approvals} - {names.person(self.by.name)}


class Signed(msgspec.Struct, frozen=True):
    """The baseline in force: its envelope's digest and where its record is."""

    proposal: str
    envelope: str
    root: str
    at: str
    index: int
    read_at: str


class Scanned(msgspec.Struct, frozen=True):
    """The last scan, in short."""

    at: str
    outcome: str
    index: int
    snapshot: str = ""
    root: str = ""
    identity: str = ""
    mark: Mark | None = None
    program: str = ""  # the digest of the program that scanned


class Tick(msgspec.Struct, frozen=True):
    """A time of the schedule that is recorded: its records are ``first`` to ``seq``.

    ``outcome`` is empty where it was missed.
    """

    at: str
    outcome: str
    first: int
    seq: int
    index: int


class State(msgspec.Struct):
    """What the records of one target up to its ``seq``-th add up to.

    ``leaf``: that record's hash, hexadecimal; another history has another. ``index``: its place.
    """

    target: str
    seq: int = 0
    leaf: str = ""
    index: int = 0
    last_scan: Scanned | None = None
    last_read_at: str = ""
    baseline: Signed | None = None
    proposal: Proposal | None = None
    findings: dict[str, Note] = {}
    scans: int = 0
    scheduled: list[Tick] = []  # the newest by their times, oldest first
    pending: int = 0  # the seq of the first record of a finding that a scan came to, not its own


def _take(state: State, entry: Entry) -> None:
    """Kinds of other flows only count."""
    step = _STEPS.get(entry.record.kind)
    if step is not None:
        step(state, entry)


def _scanned(state: State, entry: Entry) -> None:
    body = entry.body
    snapshot: dict[str, Any] = body.get("snapshot") or {}
    state.scans += 1
    state.last_scan = Scanned(
        at=entry.record.at,
        outcome=body["outcome"],
        index=entry.index,
        snapshot=snapshot.get("sha256", ""),
        root=snapshot.get("root", ""),
        identity=snapshot.get("identity", ""),
        mark=_mark(snapshot.get("mark"), entry),
        program=body.get("program_sha256", ""),
    )
    if snapshot:
        state.last_read_at = snapshot["read_at"]
    _tick(state, entry, body["outcome"], state.pending or entry.record.seq)
    state.pending = 0


def _mark(said: dict[str, Any] | None, entry: Entry) -> Mark | None:
    """The mark that a scan left. One that read everything is the scan that its mark is of."""
    if said is None:
        return None
    return Mark(
        since=said["since"],
        sha256=said["sha256"],
        index=said.get("index", entry.index),
        at=said.get("at", entry.record.at),
    )


def _missed(state: State, entry: Entry) -> None:
    _tick(state, entry, "", entry.record.seq)


def _tick(state: State, entry: Entry, outcome: str, first: int) -> None:
    at = entry.body["scheduled_at"]
    if at is not None:
        tick = Tick(at, outcome, first, entry.record.seq, entry.index)
        state.scheduled = sorted([*state.scheduled, tick], key=_at)[-MAX_SCHEDULED:]


def _at(tick: Tick) -> str:
    return tick.at


def _proposal(entry: Entry) -> Proposal:
    body = entry.body
    return Proposal(
        id=body["proposal"],
        by=entry.record.actor,
        at=entry.record.at,
        index=entry.index,
        leaf=merkle.leaf_hash(entry.leaf).hex(),
        sha256=body["snapshot"]["sha256"],
        root=body["snapshot"]["root"],
        objects=body["snapshot"]["objects"],
        identity=body["snapshot"]["identity"],
        read_at=body["snapshot"]["read_at"],
        comment=body["comment"],
        accepts=list(body["accepts"]),
        approvals=[],
    )


def _note(entry: Entry) -> Note:
    body = entry.body
    return Note(
        index=entry.index,
        operation=body["operation"],
        kind=body["kind"],
        name=body["name"],
        attribute=body["attribute"],
        severity=body["severity"],
        direction=body["direction"],
        title=body["title"],
        opened_at=entry.record.at,
        when=msgspec.convert(body["when"], When),
        who=msgspec.convert(body.get("who"), Attribution | None),
    )


def _proposed(state: State, entry: Entry) -> None:
    state.proposal = _proposal(entry)


def _approved(state: State, entry: Entry) -> None:
    record = entry.record
    if state.proposal is not None and state.proposal.id == entry.body["proposal"]:
        leaf = merkle.leaf_hash(entry.leaf).hex()
        state.proposal.approvals.append(Approval(record.actor, record.at, entry.index, leaf))


def _signed(state: State, entry: Entry) -> None:
    body = entry.body
    state.baseline = Signed(
        proposal=body["proposal"],
        envelope=body["envelope"],
        root=body["root"],
        at=entry.record.at,
        index=entry.index,
        read_at=body["read_at"],
    )
    if state.proposal is not None and state.proposal.id == body["proposal"]:
        state.proposal = None
    for finding in body["accepts"]:
        # Accepted into this baseline: against it, the same change is a new finding.
        state.findings.pop(finding, None)


def _opened(state: State, entry: Entry) -> None:
    state.findings[entry.body["id"]] = _note(entry)
    state.pending = state.pending or entry.record.seq


def _closed(state: State, entry: Entry) -> None:
    state.pending = state.pending or entry.record.seq
    state.findings.pop(entry.body["id"], None)


def _attributed(state: State, entry: Entry) -> None:
    state.pending = state.pending or entry.record.seq
    note = state.findings.get(entry.body["id"])
    if note is not None:
        note.who = msgspec.convert(entry.body["who"], Attribution)


def _suppressed(state: State, entry: Entry) -> None:
    note = state.findings.get(entry.body["id"])
    if note is not None:
        note.disposition = Disposition.SUPPRESSED
        note.suppressed_until = entry.body["until"]
        note.reason = text_or_sealed(entry.body["reason"])
        note.by = entry.record.actor.name
        note.request = entry.body.get("request", "")


_STEPS = {
    SCAN: _scanned,
    MISSED: _missed,
    PROPOSED: _proposed,
    APPROVED: _approved,
    SIGNED: _signed,
    OPENED: _opened,
    CLOSED: _closed,
    SUPPRESSED: _suppressed,
    ATTRIBUTED: _attributed,
}


SHAPE: Final = Shape(State, State, _take, _FORMAT, "state")


class States(folded.States[State]):
    """Targets' states, folded from the journal."""

    def __init__(self, journal: Journal, cache: Derived, secret: bytes | None) -> None:
        super().__init__(SHAPE, journal, cache, secret)
