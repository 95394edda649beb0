"""What the drift records refer to, checked against the bytes: snapshots, envelopes, approvals."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from chalicelib.drift import approval, baseline, snapshot, state
from chalicelib.drift.source import question_key
from chalicelib.kernel import canon, names
from chalicelib.kernel.errors import HoldfastError, Malformed, Missing

if TYPE_CHECKING:
    from collections.abc import Iterator

    from chalicelib.drift.desk import Trusted
    from chalicelib.kernel.record import Entry


class Objects(Protocol):
    """The part of ``kernel.store.WriteOnce`` that gives objects back."""

    def get(self, key: str) -> bytes:
        """The bytes. Raises: Missing; StoreUnavailable."""
        ...


def references(entry: Entry) -> Iterator[str]:
    """Keys of the write-once objects that a record names: snapshots, queries, envelopes.

    What is no record of this flow names none. Raises: Malformed, for one with a strange body.
    """
    kind, body = entry.record.kind, entry.body
    try:
        if kind in {state.PROPOSED, state.SCAN} and body.get("snapshot"):
            yield approval.snapshot_key(body["snapshot"]["sha256"])
        if kind == state.SCAN and body.get("questions"):
            yield question_key(body["questions"])
        if kind == state.SIGNED:
            yield approval.envelope_key(body["envelope"])
    except (KeyError, TypeError) as error:
        raise Malformed(f"record {entry.index} is not a {kind}: {error!r}") from None


def records(entry: Entry, objects: Objects, trusted: Trusted) -> Iterator[int]:
    """Indices of the records that a record rests on: a scan's baseline, and a baseline's votes.

    Raises: Malformed, for a strange body; Missing, BadSignature, for the envelope.
    """
    kind, body = entry.record.kind, entry.body
    if kind == state.SCAN and body.get("signed") is not None:
        yield body["signed"]
    if kind == state.SIGNED:
        data = objects.get(approval.envelope_key(body["envelope"]))
        yield from baseline.votes(data, entry.record.stream, trusted(entry.index))


class Audit:
    """Walks the log once; ``states`` are then what each target's records add up to.

    ``trusted`` as of a desk.
    """

    def __init__(self, objects: Objects, trusted: Trusted) -> None:
        self.states: dict[str, state.State] = {}
        self._objects = objects
        self._trusted = trusted
        self._verified: set[tuple[str, str]] = set()
        self._votes: dict[int, Entry] = {}
        self._signed: dict[int, tuple[str, str]] = {}
        self._approved: dict[int, set[str]] = {}  # by whom, of baselines that hold

    def check(self, entry: Entry) -> Iterator[tuple[str, str]]:
        """``(place, what is wrong)`` for what this record refers to. Records come in log order."""
        try:
            yield from self._check(entry)
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            kind = entry.record.kind
            yield f"record {entry.index}", f"its body is not that of a {kind}: {error!r}"

    def _check(self, entry: Entry) -> Iterator[tuple[str, str]]:
        kind, body = entry.record.kind, entry.body
        now = self.states.setdefault(entry.record.stream, state.State(entry.record.stream))
        state.SHAPE.grow(now, [entry])
        if kind in {state.PROPOSED, state.APPROVED}:
            self._votes[entry.index] = entry
        if kind in {state.PROPOSED, state.SCAN} and body.get("snapshot"):
            yield from self._snapshot(body["snapshot"])
        elif kind == state.SIGNED:
            self._signed[entry.index] = (entry.record.stream, body["proposal"])
            yield from self._envelope(entry, now)
        if kind == state.SCAN:
            yield from self._held(entry)

    def _held(self, entry: Entry) -> Iterator[tuple[str, str]]:
        """A scan names the record of the baseline that it was held to, and the texts it asked."""
        body, stream = entry.body, entry.record.stream
        index = body.get("signed")
        if index is not None and self._signed.get(index) != (stream, body["baseline"]):
            yield f"record {entry.index}", f"record {index} is not the baseline it was held to"
        elif index in self._approved:  # else its baseline was named already
            people = self._approved[index]
            if body["approvers"]:
                people = people & {names.person(one) for one in body["approvers"]}
            if len(people) < body["required"]:
                yield f"record {entry.index}", "held to a baseline that too few people approved"
        if body.get("questions"):
            place = question_key(body["questions"])
            try:
                data = self._objects.get(place)
            except HoldfastError as error:
                yield place, error.message
                return
            if canon.sha256(data) != body["questions"]:
                yield place, "it is not what was asked"

    def _snapshot(self, said: dict[str, Any]) -> Iterator[tuple[str, str]]:
        both = (said["sha256"], said["root"])
        place = approval.snapshot_key(said["sha256"])
        if both in self._verified:
            return
        try:
            snapshot.verify(self._objects.get(place), sha256=both[0], root=both[1])
        except HoldfastError as error:
            yield place, error.message
        else:
            self._verified.add(both)

    def _envelope(self, entry: Entry, now: state.State) -> Iterator[tuple[str, str]]:
        signed = now.baseline
        place = approval.envelope_key(entry.body["envelope"])
        if signed is None:  # pragma: no cover - fold has just set it
            return
        try:
            held = baseline.verify(
                self._objects.get(place),
                target=now.target,
                signed=signed,
                required=0,
                approvers=(),
                trusted=self._trusted(signed.index),
                load=lambda digest: self._objects.get(approval.snapshot_key(digest)),
                entry_at=self._vote,
            )
            baseline.count(
                held.predicate.proposed, held.predicate.approved, held.predicate.required
            )
            self._approved[signed.index] = {
                names.person(one.by.name) for one in held.predicate.approved
            } - {names.person(held.predicate.proposed.by.name)}
        except HoldfastError as error:
            yield place, error.message

    def _vote(self, index: int) -> Entry:
        if index not in self._votes:
            raise Missing(f"record {index} is no proposal or approval")
        return self._votes[index]
