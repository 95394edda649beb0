"""fsck: the whole log, derived again from its bytes and the pinned keys.

1. Batches follow each other without gap or overlap, and lead to the root of every checkpoint;
   every checkpoint is signed by the key pinned for its size. So all checkpoints lie on one line.
2. Every leaf is a canonical record, every stream's seq has neither gap nor repetition, every body
   has its recorded size and digest; then the caller's own check of each record.
3. A checkpoint that was kept elsewhere, where one is given, is on the same line.
4. State and stream heads are exactly what the leaves lead to.
5. Tiles and the latest checkpoint are exactly what the leaves lead to.
6. Every locked object under ``log/`` and ``body/`` has a name that the log gives, and every body
   the digest of its name. Each change of key is as ``evidence.changes`` says.

What it cannot prove: that nothing was cut off the end *everywhere*, from the store, the state and
the derived objects at once. Only a checkpoint kept elsewhere (3) shows that.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

import msgspec

from chalicelib.evidence import head, layout, state
from chalicelib.evidence.changes import Changes
from chalicelib.evidence.derivation import Derivation
from chalicelib.evidence.reader import Reader
from chalicelib.evidence.report import Enough, Findings, Kind, Report
from chalicelib.evidence.state import State
from chalicelib.evidence.walk import Peek, Walk, numbers
from chalicelib.kernel import canon
from chalicelib.kernel.errors import Busy, Malformed, Missing, VerificationFailed

if TYPE_CHECKING:
    from collections.abc import Callable

    from chalicelib.evidence.keys import Keyring
    from chalicelib.evidence.note import SignedCheckpoint
    from chalicelib.evidence.walk import Check
    from chalicelib.kernel.merkle import Frontier
    from chalicelib.kernel.store import Derived, Documents, WriteOnce

_NUMBERED = (layout.BATCHES, layout.CHECKPOINTS, layout.HANDOVERS)
MAX_LOOKS = 20  # attempts to see state and heads of one moment while writers are at work


class _Moment(msgspec.Struct, frozen=True):
    """The mutable objects at one moment; ``value`` is None where the state is unusable."""

    version: int
    raw: bytes
    value: State | None
    error: str
    heads: dict[str, bytes]
    latest: bytes | None


def fsck(
    *,
    writeonce: WriteOnce,
    derived: Derived,
    documents: Documents,
    keys: Keyring,
    check: Check = lambda _: (),
    progress: Callable[[int, int], None] = lambda _done, _total: None,
    outside: bytes | None = None,
) -> Report:
    """Everything that is wrong with the log, in the log's order. May run beside writers.

    ``check`` gives a caller's problems with a record (Kind.REFERENCE); ``progress`` is told the
    records done and the records in all; ``outside`` is a signed note of this log, kept elsewhere.
    Memory grows with the number of streams, not of records. Raises: StoreUnavailable, Busy: nothing
    is known; BadSignature, Malformed: ``outside`` is no checkpoint of this log.
    """
    kept = None if outside is None else keys.verify(outside)
    run = _Run(
        writeonce=writeonce,
        derived=derived,
        documents=documents,
        keys=keys,
        check=check,
        kept=kept,
    )
    with suppress(Enough):
        run.walk_batches(progress)
        run.compare_outside(kept)
        run.compare_documents()
        run.compare_derived()
        run.compare_names()
    return run.report()


class _Run:
    """One verification."""

    def __init__(
        self,
        *,
        writeonce: WriteOnce,
        derived: Derived,
        documents: Documents,
        keys: Keyring,
        check: Check,
        kept: SignedCheckpoint | None,
    ) -> None:
        self._writeonce = writeonce
        self._derived = derived
        self._documents = documents
        self._keys = keys
        self._found = Findings()
        self._changes = Changes(writeonce, keys, self._found, check)
        self._moment = self._look()
        self._derivation = Derivation(derived, keys, self._found, self._moved)
        self._owes_checkpoint, self._unfinished = self._owed()
        value = self._moment.value
        self._walk = Walk(
            writeonce=writeonce,
            derived=derived,
            reader=Reader(writeonce=writeonce, derived=derived, documents=documents, keys=keys),
            findings=self._found,
            outside=kept,
            pending=value.size if value is not None and self._owes_checkpoint else None,
            check=self._changes.check,
            full=self._derivation.tile,
        )

    def walk_batches(self, progress: Callable[[int, int], None]) -> None:
        """Steps 1 and 2."""
        walk, value = self._walk, self._moment.value
        bound = 0 if value is None else value.size
        starts = Peek(numbers(self._writeonce, layout.BATCHES))
        while (start := starts.take()) is not None:
            if start >= bound and self._moved():
                break  # appended since the verification began
            if start < walk.at:
                self._found.tell(layout.batch(start), "a batch inside another", Kind.STRAY)
                continue
            self._walk_missing(start, 0)
            self._batch(start, starts.peek())
            progress(walk.at, max(walk.at, bound))
        if self._owes_checkpoint and value is not None and walk.at == value.batch.start:
            key = layout.stage(value.batch.start, value.batch.sha256)
            data = self._derived.get(key)
            if data is not None and canon.sha256(data) == value.batch.sha256:
                self._derivation.owed = True
                walk.batch(value.batch.start, None, key, data)
            elif self._locked_bytes(layout.batch(value.batch.start)) is not None:
                self._batch(value.batch.start, None)  # finished since the names were read
        self._walk_missing(None, bound)

    def compare_outside(self, kept: SignedCheckpoint | None) -> None:
        """Step 3, for a checkpoint beyond the end; others were compared on the way."""
        if kept is not None and kept.size > self._walk.at:
            self._found.tell(
                layout.checkpoint(kept.size),
                "the log is older than the checkpoint that was kept elsewhere",
                Kind.ROLLBACK,
                expected=f"at least {kept.size} leaves",
                observed=f"{self._walk.at} leaves",
            )

    def compare_documents(self) -> None:
        """Step 4."""
        walk, moment = self._walk, self._moment
        if walk.at == 0 and not moment.raw and not moment.heads:
            return
        if moment.value is None:
            self._found.tell(
                layout.STATE,
                "the state is unusable",
                Kind.STATE,
                expected=f"the state of {walk.at} leaves",
                observed=moment.error or "no such document",
            )
        elif moment.value.size < walk.at:
            self._found.tell(
                layout.STATE,
                "the state is older than what was signed or locked",
                Kind.ROLLBACK,
                expected=f"{walk.at} leaves",
                observed=f"{moment.value.size} leaves",
            )
        elif walk.edge is not None:
            self._compare_state(moment.value, walk.edge)
        if not walk.gaps and (moment.value is None or moment.value.size == walk.at):
            self._compare_heads()

    def compare_derived(self) -> None:
        """Step 5."""
        walk, derivation = self._walk, self._derivation
        derivation.owed = bool(self._unfinished)
        derivation.latest(self._moment.latest, walk.at, self._locked)
        if walk.tiler is not None:
            for key, data in walk.tiler.partials():
                derivation.tile(key, data)
            derivation.strays(walk.tiler)

    def compare_names(self) -> None:
        """Step 6."""
        self._changes.compare(self._moment.value, self._walk, self._moved)
        for key in self._writeonce.list("log/"):
            if all(layout.number(key, p) is None for p in _NUMBERED):
                self._found.tell(key, "an object that the log did not write", Kind.STRAY)
        bad = {problem.place for problem in self._found.problems}
        for key in self._writeonce.list("body/"):
            digest = layout.digest(key)
            if digest is None:
                self._found.tell(key, "an object that the log did not write", Kind.STRAY)
                continue
            self._found.bodies += 1
            data = self._locked_bytes(key)
            if (data is None or canon.sha256(data) != digest) and key not in bad:
                self._found.tell(key, "a body has other bytes than its name says", Kind.BODY)

    def report(self) -> Report:
        """What was found."""
        found, signed = self._found, self._walk.signed
        return Report(
            origin=self._keys.origin,
            size=0 if signed is None else signed.size,
            root="" if signed is None else signed.root.hex(),
            records=found.records,
            batches=found.batches,
            checkpoints=found.checkpoints,
            bodies=found.bodies,
            tiles=found.tiles,
            streams=len(self._walk.heads),
            unfinished=self._unfinished or self._changes.unfinished(self._moment.value),
            complete=found.complete,
            problems=tuple(found.problems),
        )

    def _look(self) -> _Moment:
        """State, heads and latest checkpoint of one moment. Raises: Busy."""
        for _ in range(MAX_LOOKS):
            latest = self._latest()  # before the state, which can only be newer
            before = self._documents.get(layout.STATE)
            heads = {key: document.value for key, document in self._documents.list(layout.HEAD)}
            if self._documents.get(layout.STATE) != before or self._latest() != latest:
                continue
            if before is None:
                return _Moment(0, b"", None, "", heads, latest)
            try:
                value, error = state.decode(before.value), ""
            except Malformed as failure:
                value, error = None, failure.message
            return _Moment(before.version, before.value, value, error, heads, latest)
        raise Busy(
            "writers append faster than the log's state can be read",
            next_step="try again when fewer writers are at work",
        )

    def _latest(self) -> bytes | None:
        try:
            return self._derived.get(layout.LATEST)
        except VerificationFailed as error:
            return error.message.encode()  # something stands there that is no note

    def _moved(self) -> bool:
        """Whether a writer has been at work since the verification began."""
        document = self._documents.get(layout.STATE)
        return document is not None and document.version > self._moment.version > 0

    def _owed(self) -> tuple[bool, str]:
        """Whether a crashed append owes its checkpoint, and what to say if it owes anything."""
        value = self._moment.value
        if value is None:
            return False, ""
        shown = 0
        if self._moment.latest is not None:
            try:
                shown = self._keys.verify(self._moment.latest).size
            except VerificationFailed:
                shown = -1
        owes = shown < value.size and self._locked(value.size) is None
        if not owes and shown != value.batch.start:
            return False, ""
        what = "signed checkpoint" if owes else "tiles"
        return owes, (
            f"an append of the records {value.batch.start} to {value.size - 1} still owes its "
            f"{what}; the next append finishes it"
        )

    def _batch(self, start: int, following: int | None) -> None:
        value, key = self._moment.value, layout.batch(start)
        data = self._locked_bytes(key) or b""
        if value is not None and start == value.batch.start:
            self._derivation.owed = bool(self._unfinished)
            if self._owes_checkpoint and canon.sha256(data) != value.batch.sha256:
                self._found.tell(
                    key,
                    "a batch without checkpoint is not the one that the state names",
                    Kind.ROOT,
                    expected=f"SHA-256 {value.batch.sha256}",
                    observed=f"SHA-256 {canon.sha256(data)}",
                    index=start,
                )
        self._walk.batch(start, following, key, data)

    def _walk_missing(self, start: int | None, bound: int) -> None:
        """Stretches without a batch: up to ``start``, or up to what was signed and swapped."""
        walk = self._walk
        while start is None or walk.at < start:
            size = walk.next_size(walk.at)
            if start is None:
                if size is not None and size > bound and self._moved():
                    return
                size = bound if size is None and walk.at < bound else size
                if size is None:
                    return
            else:
                size = start if size is None else min(size, start)
            walk.missing(walk.at, size)

    def _locked(self, size: int) -> bytes | None:
        return self._locked_bytes(layout.checkpoint(size))

    def _locked_bytes(self, key: str) -> bytes | None:
        try:
            return self._writeonce.get(key)
        except Missing:
            return None
        except VerificationFailed:
            return b""  # something stands there that is no object

    def _compare_state(self, value: State, edge: Frontier) -> None:
        key = self._changes.next(value)
        due = state.state(key, self._walk.base, edge, self._walk.digest)
        if value.v == state.WITHOUT_KEY and key == self._keys.keys[0].verifier:
            due = msgspec.structs.replace(due, v=value.v, key="")  # from before keys were changed
        for field in value.__struct_fields__:
            expected, observed = getattr(due, field), getattr(value, field)
            if expected != observed:
                self._found.tell(
                    layout.STATE,
                    f"the state's {field} is not what the leaves lead to",
                    Kind.STATE,
                    expected=str(expected),
                    observed=str(observed),
                )

    def _compare_heads(self) -> None:
        due = {layout.head(s): head.encode(one) for s, one in self._walk.heads.items()}
        for key in sorted(due.keys() | self._moment.heads.keys()):
            expected, observed = due.get(key), self._moment.heads.get(key)
            if expected != observed:
                self._found.tell(
                    key,
                    "a stream's head is not its last record",
                    Kind.STATE,
                    expected=_shown(expected),
                    observed=_shown(observed),
                )


def _shown(value: bytes | None) -> str:
    return "no such document" if value is None else value[:80].decode(errors="replace")
