"""A target's state: what its records add up to. Pure: a fold over the evidence log.

The log is the truth; a stored state is a cache of it, sealed so that nobody else can write one, and
is thrown away when the seal does not hold.
"""

from __future__ import annotations

import hashlib
import hmac
from typing import TYPE_CHECKING, Any

import msgspec

from chalicelib.drift.finding import Disposition, When
from chalicelib.kernel import canon, merkle, names
from chalicelib.kernel.errors import VerificationFailed
from chalicelib.kernel.personal import Concealed, text_or_sealed
from chalicelib.kernel.record import Actor

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

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

MAX_SCHEDULED = 16  # times of the schedule that are remembered

_FORMAT = 3  # of the cache; another number is another format and is folded anew


class Note(msgspec.Struct):
    """A finding that is still there: where its record is, and what was decided about it."""

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
    pending: int = 0  # the seq of the first finding that came or went after the last scan's record


def fold(state: State, entry: Entry) -> None:
    """Take the target's next record into its state; kinds of other flows only count."""
    step = _STEPS.get(entry.record.kind)
    if step is not None:
        step(state, entry)
    state.seq = entry.record.seq
    state.leaf = merkle.leaf_hash(entry.leaf).hex()
    state.index = entry.index


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
    )
    if snapshot:
        state.last_read_at = snapshot["read_at"]
    _tick(state, entry, body["outcome"], state.pending or entry.record.seq)
    state.pending = 0


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


def _suppressed(state: State, entry: Entry) -> None:
    note = state.findings.get(entry.body["id"])
    if note is not None:
        note.disposition = Disposition.SUPPRESSED
        note.suppressed_until = entry.body["until"]
        note.reason = text_or_sealed(entry.body["reason"])
        note.by = entry.record.actor.name


_STEPS = {
    SCAN: _scanned,
    MISSED: _missed,
    PROPOSED: _proposed,
    APPROVED: _approved,
    SIGNED: _signed,
    OPENED: _opened,
    CLOSED: _closed,
    SUPPRESSED: _suppressed,
}


class States:
    """Targets' states, folded from the journal, with a sealed cache beside it.

    Without the installation's secret no seal can be told from another: nothing is taken from the
    cache and nothing is put there.
    """

    def __init__(self, journal: Journal, cache: Derived, secret: bytes | None) -> None:
        self._journal = journal
        self._cache = cache
        self._key = (
            None
            if secret is None
            else hmac.digest(secret, b"holdfast state cache v1", hashlib.sha256)
        )

    def get(self, target: str) -> State:
        """The state as of the target's last record under a signed checkpoint."""
        return self._load(target)[0]

    def _load(self, target: str) -> tuple[State, bool]:
        """The state, and whether the cache has it so."""
        last = self._journal.last(target)
        if last is None:
            return State(target), True
        state = self._cached(target)
        if state is not None and 0 < state.seq <= last.seq:
            if (state.seq, state.leaf) == last:
                return state, True
            # From the record that the cache ends with, to see that it is one of this history.
            entries = self._journal.stream(target, state.seq, state.index)
            first = next(entries, None)
            if first is not None and merkle.leaf_hash(first.leaf).hex() == state.leaf:
                return _folded(state, entries), False
        return _folded(State(target), self._journal.stream(target)), False

    def settle(self, target: str) -> State:
        """The state, kept for the next reader: for whoever has just appended to the target."""
        state, kept = self._load(target)
        if not kept:
            self._put(state)
        return state

    def grow(self, state: State, entries: Iterable[Entry]) -> State:
        """The state with the records that were appended after it, kept for the next reader."""
        grown = _folded(state, entries)
        self._put(grown)
        return grown

    def _put(self, state: State) -> None:
        if self._key is not None:
            payload = canon.encode(msgspec.to_builtins(state))
            seal = hmac.digest(self._key, payload, hashlib.sha256).hex().encode()
            self._cache.put(self._name(state.target), b"%d %b\n%b" % (_FORMAT, seal, payload))

    def check(self, states: dict[str, State]) -> Iterator[tuple[str, str]]:
        """``(key, what is wrong)`` for each cached state that is not what the log adds up to.

        ``states``: folded from the first record on. A cache that is behind is not wrong.
        """
        for key in self._cache.list("state/") if self._key is not None else ():
            try:
                state = self._unseal(self._cache.get(key) or b"")
            except VerificationFailed as error:
                yield key, error.message
                continue
            if state is None:
                yield key, "not sealed by this installation's key"
            elif (truth := states.get(state.target)) is None or self._name(state.target) != key:
                yield key, "the state of a target without records"
            elif state.seq >= truth.seq and state != truth:
                yield key, "not what the target's records add up to"

    @staticmethod
    def _name(target: str) -> str:
        return f"state/{target.replace(':', '/')}"

    def _cached(self, target: str) -> State | None:
        try:
            data = self._cache.get(self._name(target))
        except VerificationFailed:  # no file of ours: as good as none, and fsck names it
            return None
        state = None if data is None else self._unseal(data)
        return None if state is None or state.target != target else state

    def _unseal(self, data: bytes) -> State | None:
        if self._key is None:
            return None
        head, _, payload = data.partition(b"\n")
        seal = hmac.digest(self._key, payload, hashlib.sha256).hex().encode()
        if not hmac.compare_digest(head, b"%d %b" % (_FORMAT, seal)):
            return None
        try:
            return _decoder.decode(payload)
        except msgspec.MsgspecError:
            return None  # an older program's shape under our own seal: folded anew


_decoder = msgspec.json.Decoder(State)


def _folded(state: State, entries: Iterable[Entry]) -> State:
    for entry in entries:
        fold(state, entry)
    return state
