"""What the drift records refer to, checked against the bytes: snapshots, envelopes, approvals."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from chalicelib.drift import approval, baseline, snapshot, state
from chalicelib.kernel.errors import HoldfastError, Missing

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from chalicelib.kernel.record import Entry
    from chalicelib.kernel.signing import PublicKey
    from chalicelib.kernel.store import WriteOnce


class Audit:
    """Walks the log once; ``states`` are then what each target's records add up to."""

    def __init__(self, objects: WriteOnce, trusted: Mapping[str, PublicKey]) -> None:
        self.states: dict[str, state.State] = {}
        self._objects = objects
        self._trusted = trusted
        self._verified: set[tuple[str, str]] = set()
        self._votes: dict[int, Entry] = {}

    def check(self, entry: Entry) -> Iterator[tuple[str, str]]:
        """``(place, what is wrong)`` for what this record refers to. Records come in log order."""
        kind, body = entry.record.kind, entry.body
        now = self.states.setdefault(entry.record.stream, state.State(entry.record.stream))
        try:
            state.fold(now, entry)
        except (KeyError, TypeError) as error:
            yield f"record {entry.index}", f"its body is not that of a {kind}: {error!r}"
            return
        if kind in {state.PROPOSED, state.APPROVED}:
            self._votes[entry.index] = entry
        if kind in {state.PROPOSED, state.SCAN} and body.get("snapshot"):
            yield from self._snapshot(body["snapshot"])
        elif kind == state.SIGNED:
            yield from self._envelope(entry, now)

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
                trusted=self._trusted,
                load=lambda digest: self._objects.get(approval.snapshot_key(digest)),
                entry_at=self._vote,
            )
            baseline.count(
                held.predicate.proposed, held.predicate.approved, held.predicate.required
            )
        except HoldfastError as error:
            yield place, error.message

    def _vote(self, index: int) -> Entry:
        if index not in self._votes:
            raise Missing(f"record {index} is no proposal or approval")
        return self._votes[index]
