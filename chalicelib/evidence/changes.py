"""Changes: whether the log's changes of key are the ones that are pinned.

For each pinned change at a size S: the log has S records; the newest ``log.rotated`` among them
names exactly these two keys; and one note is locked at ``log/key/<S>``, over the checkpoint of S,
signed by both. Nothing else is there. A change that a crash interrupted is named, and no problem:
the state names the new key then, and so does that record, under the signature of the old one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from chalicelib.evidence import layout
from chalicelib.evidence.keys import verify_handover
from chalicelib.evidence.report import Kind, Problem, Severity
from chalicelib.evidence.rotate import Announced, announced
from chalicelib.kernel.errors import Missing, VerificationFailed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from chalicelib.evidence.keys import Keyring
    from chalicelib.evidence.note import Verifier
    from chalicelib.evidence.report import Findings
    from chalicelib.evidence.state import State
    from chalicelib.evidence.walk import Check, Walk
    from chalicelib.kernel.record import Entry
    from chalicelib.kernel.store import WriteOnce


class Changes:
    """What the records announce, gathered on a walk, and then compared with what is locked.

    ``check`` is the caller's own check of a record, which runs beside.
    """

    def __init__(self, writeonce: WriteOnce, keys: Keyring, found: Findings, check: Check) -> None:
        self._writeonce = writeonce
        self._keys = keys
        self._found = found
        self._inner = check
        self._announced: list[tuple[int, Announced]] = []

    def check(self, entry: Entry) -> Iterator[Problem]:
        """The caller's problems with a record; takes note of what it announces."""
        told = announced(entry.record)
        if told is not None:
            self._announced.append((entry.index, told))
        yield from self._inner(entry)

    def next(self, current: State) -> Verifier:
        """The key that signs what follows on the state, as far as it can be believed."""
        due = self._keys.next(current.size)
        told = self._told(current.size)
        if told is not None and told.former == due and str(told.key) == current.key:
            return told.key
        return due

    def unfinished(self, current: State | None) -> str:
        """What to say where a change of key was interrupted; else nothing."""
        if current is None or (key := self.next(current)) == self._keys.next(current.size):
            return ""
        return (
            f"the log's key is changed for {key} at {current.size} records, and these settings "
            "have the former one; holdfast evidence rotate finishes it"
        )

    def compare(self, current: State | None, walk: Walk, moved: Callable[[], bool]) -> None:
        """Every note of a change of key, and every pinned change."""
        due = {size: Announced(*pair) for size, *pair in self._keys.changes()}
        pinned = set(due)
        if current is not None and (key := self.next(current)) != self._keys.next(current.size):
            due[current.size] = Announced(self._keys.next(current.size), key)
        there = dict(self._there())
        for size in sorted(pinned - there.keys()):
            self._lacking(size, walk)
        for size, place in sorted(there.items()):
            if size in due:
                self._compare(place, size, due[size])
            elif current is None or size < current.size or not moved():
                self._found.tell(place, "a change of key that is not pinned", Kind.STRAY)
        for size in sorted(pinned):
            self._compare_record(size, due[size], walk)

    def _there(self) -> Iterator[tuple[int, str]]:
        for place in self._writeonce.list(layout.HANDOVERS):
            size = layout.number(place, layout.HANDOVERS)
            if size is not None:  # else its name is wrong, which is told where names are
                yield size, place

    def _lacking(self, size: int, walk: Walk) -> None:
        if size <= walk.at:
            self._found.tell(
                layout.handover(size),
                "the note of a change of key is missing",
                Kind.MISSING,
                expected=f"the checkpoint of {size} records, signed by both keys",
                observed="no such object",
                severity=Severity.REPAIRABLE,  # the next writer has the new key, and makes it
            )

    def _compare(self, place: str, size: int, due: Announced) -> None:
        try:
            signed = verify_handover(self._writeonce.get(place), due.former, due.key)
            locked = self._keys.verify(self._writeonce.get(layout.checkpoint(size)))
        except Missing:
            return  # the walk has told that the checkpoint is
        except VerificationFailed as error:
            self._found.tell(
                place,
                "the note of a change of key is not as both keys signed it",
                Kind.SIGNATURE,
                expected=f"a checkpoint of {size} records by {due.former} and {due.key}",
                observed=error.message,
            )
            return
        if signed.checkpoint != locked.checkpoint:
            self._found.tell(
                place,
                "the note of a change of key is over another checkpoint",
                Kind.FORK if signed.size == size else Kind.SIGNATURE,
                expected=f"size {size}, root {locked.root.hex()}",
                observed=f"size {signed.size}, root {signed.root.hex()}",
            )

    def _compare_record(self, size: int, due: Announced, walk: Walk) -> None:
        """The records below the size say that the one key follows on the other."""
        if size > walk.at:
            self._found.tell(
                layout.checkpoint(size),
                "the log is older than the change of its key",
                Kind.ROLLBACK,
                expected=f"at least {size} leaves",
                observed=f"{walk.at} leaves",
            )
            return
        told = self._told(size)
        if told != due and not walk.gaps:
            self._found.tell(
                layout.handover(size),
                "the records do not name the key that is pinned",
                Kind.SIGNATURE,
                expected=f"a record log.rotated from {due.former} to {due.key}",
                observed="none" if told is None else f"one from {told.former} to {told.key}",
            )

    def _told(self, size: int) -> Announced | None:
        """The newest announcement among the first ``size`` records."""
        found = None
        for index, told in self._announced:
            found = told if index < size else found
        return found
