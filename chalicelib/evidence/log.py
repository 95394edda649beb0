"""Log: the journal that appends records under signed checkpoints, by any number of writers.

The append protocol. A number in the code is a step here; ``docs/formats/evidence.md`` has the same.

1. *Settle.* Read the state. Stop unless it names this writer's key as the one that signs next.
   Check that nothing was signed or locked beyond it, and that it has the root of the checkpoint
   signed for its size; else there is a Fork, and nothing is written. Finish what a crashed append
   left: steps 5 to 9 of its batch; and what a crashed change of key left: its note.
2. *Stage.* Give each record its seq, and store the batch's leaves under ``stage/``, named by their
   digest. Bodies too large for a leaf are locked under ``body/`` before.
3. *Swap.* In one compare-and-set, replace the state (size, root, right edge, batch) and the heads
   of the streams.
4. *Or lose.* Another writer was first: drop the stage, and start again at 1 after a pause.
5. *Lock* the batch, write-once, under ``log/batch/``.
6. *Sign* the checkpoint, and lock it under ``log/checkpoint/``. Now the records are in the log.
7. *Drop* the stage.
8. *Cut* the tiles that the batch changed.
9. *Show* the checkpoint as the latest, unless a newer one is there.

Nothing is signed before its swap is won, so no size ever has two roots; a batch is locked before
its checkpoint, so no checkpoint ever lacks leaves. A record is acknowledged after step 9.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from chalicelib.evidence import bundle, head, layout, retention, state
from chalicelib.evidence.bodies import MAX_BODY_BYTES
from chalicelib.evidence.publish import Publisher
from chalicelib.kernel import canon, clock, personal, record
from chalicelib.kernel.errors import Conflict, Fork, Malformed, UsageError
from chalicelib.kernel.merkle import Frontier, leaf_hash
from chalicelib.kernel.record import MAX_LEAF_BYTES, BodyRef, Draft, Entry, Record
from chalicelib.kernel.store import Write

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from chalicelib.evidence.keys import Keyring
    from chalicelib.evidence.note import SignedCheckpoint
    from chalicelib.evidence.retention import Retention
    from chalicelib.evidence.state import State
    from chalicelib.kernel.signing import Signer
    from chalicelib.kernel.store import Derived, Documents, WriteOnce

MAX_BATCH_LEAVES = 1_000
MAX_BATCH_BYTES = 8 * 2**20
MAX_BATCH_STREAMS = 90  # kernel.store: at most 100 writes a swap, the state among them
MAX_STREAM_BYTES = 512  # of UTF-8; the head's key has to fit kernel.store
MAX_ATTEMPTS = 100  # swaps lost in a row before an append gives up
_SEQ_DIGITS = 16  # of canon.MAX_INTEGER
_MAX_FIRST_LEAF_BYTES = MAX_LEAF_BYTES - _SEQ_DIGITS + 1  # with seq 1, so that any seq has room
PATIENCE = 4  # looks at an append that is not finished before it is taken for crashed


class Recovery(msgspec.Struct, frozen=True):
    """What settling found: the log's size, and whether an append had to be finished."""

    size: int
    finished: bool


class _Prepared(msgspec.Struct, frozen=True):
    """A draft that fits: its body as it will be stored, and a bound on its leaf's size."""

    draft: Draft
    body: dict[str, object] | None
    body_ref: BodyRef | None
    leaf_bytes: int


class _Settled(msgspec.Struct, frozen=True):
    """A log whose newest append is published: the version to swap, and the tree to grow."""

    version: int
    edge: Frontier
    finished: bool


class Log(Publisher):
    """The evidence log. Implements ``kernel.record.Journal``.

    ``keys`` are the pinned keys, and their name the log's origin; ``tool`` is written into records;
    ``pause(attempt)`` waits a little, longer for higher attempts and not the same for every writer;
    ``retention`` says how long things are locked; ``seal`` gives a draft with its personal values
    sealed, and without it a draft that has one is refused. Raises: KeyUnusable, where the signer's
    key is not the newest of the pinned ones.
    """

    def __init__(
        self,
        *,
        writeonce: WriteOnce,
        derived: Derived,
        documents: Documents,
        signer: Signer,
        keys: Keyring,
        tool: str,
        pause: Callable[[int], None],
        retention: Retention = retention.NONE,
        seal: Callable[[Draft], Draft] | None = None,
    ) -> None:
        super().__init__(
            writeonce=writeonce,
            derived=derived,
            documents=documents,
            signer=signer,
            keys=keys,
            retention=retention,
        )
        self._tool = tool
        self._pause = pause
        self._seal = seal

    def append(
        self, drafts: Sequence[Draft], *, after: Mapping[str, int] | None = None
    ) -> list[Entry]:
        """Put the drafts into the log, in this order and all of them.

        ``after``: for streams, the seq that their last record has to have, 0 for none yet. More
        drafts than fit one batch are several appends: where a later one fails, the earlier ones
        stay. Raises: UsageError, for a draft that no log can hold, before anything is written;
        Conflict, where a stream of ``after`` has gone on; StoreUnavailable, Fork, KeyUnusable,
        Missing: then the caller must not report anything as recorded, although a crash after
        step 3 may have recorded it.
        """
        entries: list[Entry] = []
        expected = dict(after or {})
        for batch in list(_batches([self._prepare(draft) for draft in drafts])):
            written = self._append(batch, expected)
            expected |= {
                one.record.stream: one.record.seq
                for one in written
                if one.record.stream in expected
            }
            entries += written
        return entries

    def recover(self) -> Recovery:
        """Finish a crashed append, if there is one. Raises: as :meth:`append`."""
        settled = self._settle()
        return Recovery(settled.edge.size, settled.finished)

    def _append(self, batch: list[_Prepared], after: Mapping[str, int]) -> list[Entry]:
        for attempt in range(MAX_ATTEMPTS):
            if attempt:
                self._pause(attempt)
            settled = self._settle()  # step 1
            records, leaves, writes = self._place(batch, settled.edge.size, after)
            edge = settled.edge.copy()
            for leaf in leaves:
                edge.append(leaf_hash(leaf))
            data = bundle.encode(leaves)
            grown = state.state(self.verifier, settled.edge, edge, canon.sha256(data))
            staged = layout.stage(grown.batch.start, grown.batch.sha256)
            self._derived.put(staged, data)  # step 2
            writes.append(Write(layout.STATE, settled.version, state.encode(grown)))
            try:
                self._documents.swap(writes)  # step 3
            except Conflict:
                self._drop_lost(grown, staged)  # step 4
                continue
            signed = self.publish(grown, data)  # steps 5 and 6
            self.derive(grown, signed)  # steps 7 to 9
            return [
                Entry(index, leaf, placed, prepared.draft.body)
                for index, (leaf, placed, prepared) in enumerate(
                    zip(leaves, records, batch, strict=True), settled.edge.size
                )
            ]
        raise Conflict(
            f"lost {MAX_ATTEMPTS} appends in a row to other writers; nothing was recorded",
            next_step="try again when fewer writers are at work",
        )

    def _settle(self) -> _Settled:
        """Step 1. Raises: Fork, Missing, DigestMismatch, KeyUnusable, StoreUnavailable."""
        version, current, latest = self._current()
        self.check_turn(current)
        if current is None:
            return _Settled(version, Frontier(), finished=False)
        signed = self._awaited(current.size)
        finished = signed is None
        if signed is None:
            signed = self.publish(current)
        state.agree(current, signed)
        if latest is None or latest.size < current.size:
            self.derive(current, signed)
        elif latest.root != signed.root:
            raise Fork(
                f"two signed roots for {signed.size} leaves",
                ours=signed.note,
                theirs=latest.note,
                next_step="stop all writers and keep both: the key signed two histories",
            )
        return _Settled(version, current.edge(), finished)

    def _awaited(self, size: int) -> SignedCheckpoint | None:
        """The checkpoint of an append that its writer may just be signing; None if it crashed.

        To finish what is not crashed does no harm, but costs a second signature.
        """
        for attempt in range(1, PATIENCE + 1):
            signed = self._find(size)
            if signed is not None:
                return signed
            self._pause(attempt)
        return self._find(size)

    def _prepare(self, draft: Draft) -> _Prepared:
        """Step 2's first half: the draft checked, and its body locked if no leaf can hold it."""
        for name in (draft.stream, draft.kind):
            if not 0 < len(name.encode()) <= MAX_STREAM_BYTES or not name.isprintable():
                raise UsageError(
                    f"a stream and a kind have 1 to {MAX_STREAM_BYTES} bytes, all printable; "
                    f"found {name[:80]!r}"
                )
        if self._seal is not None and personal.within(draft.body):
            draft = self._seal(draft)
        try:
            clock.parse_timestamp(draft.at)
            leaf = record.encode(self._record(draft, 1, draft.body, None))
            if len(leaf) <= _MAX_FIRST_LEAF_BYTES:
                record.decode(leaf)  # what cannot be read must not be written
                return _Prepared(draft, draft.body, None, len(leaf) + _SEQ_DIGITS - 1)
            data = canon.encode(draft.body)
            if len(data) > MAX_BODY_BYTES:
                raise UsageError(
                    f"a body of {len(data)} bytes; at most {MAX_BODY_BYTES} can be recorded"
                )
            canon.decode(data)
            ref = BodyRef(canon.sha256(data), len(data))
            leaf = record.encode(self._record(draft, 1, None, ref))
        except (ValueError, TypeError, RecursionError, Malformed) as error:
            raise UsageError(f"a draft that no log can hold: {error}") from error
        if len(leaf) > _MAX_FIRST_LEAF_BYTES:
            raise UsageError(f"a record of {len(leaf)} bytes without its body")
        days = self._retention.days(draft.kind)
        self._writeonce.put(layout.body(ref.sha256), data, keep_days=days)
        return _Prepared(draft, None, ref, len(leaf) + _SEQ_DIGITS - 1)

    def _record(
        self, draft: Draft, seq: int, body: dict[str, object] | None, ref: BodyRef | None
    ) -> Record:
        return Record(
            v=record.VERSION,
            kind=draft.kind,
            stream=draft.stream,
            seq=seq,
            at=draft.at,
            actor=draft.actor,
            tool=self._tool,
            body=body,
            body_ref=ref,
        )

    def _place(
        self, batch: list[_Prepared], start: int, after: Mapping[str, int]
    ) -> tuple[list[Record], list[bytes], list[Write]]:
        """The records with the next seq of their streams, their leaves, and the heads' writes.

        Raises: Conflict, where a stream does not end as ``after`` says.
        """
        streams = dict.fromkeys(prepared.draft.stream for prepared in batch)
        found = {stream: self._head(stream) for stream in streams}
        ends = {stream: last for stream, (_, last) in found.items() if last is not None}
        for stream in streams:
            seq = ends[stream].seq if stream in ends else 0
            if after.get(stream, seq) != seq:
                raise Conflict(
                    f"{stream} ends at seq {seq} now, and not at {after[stream]}; "
                    "nothing was recorded",
                    next_step="look at what was recorded since, and try again",
                )
        records, leaves = [], []
        for prepared in batch:
            last = ends.get(prepared.draft.stream)
            seq = (last.seq if last else 0) + 1
            records.append(self._record(prepared.draft, seq, prepared.body, prepared.body_ref))
            leaves.append(record.encode(records[-1]))
            digest = leaf_hash(leaves[-1]).hex()
            ends[prepared.draft.stream] = head.grown(last, seq, digest, start)
        writes = [
            Write(layout.head(stream), version, head.encode(ends[stream]))
            for stream, (version, _) in found.items()
        ]
        return records, leaves, writes

    def _drop_lost(self, lost: State, staged: str) -> None:
        """Step 4: drop a stage that lost, unless a writer of the very same bytes won with it."""
        _, current = self._state()
        if current is None or current.batch != lost.batch:
            self._derived.delete(staged)


def _batches(prepared: list[_Prepared]) -> Iterator[list[_Prepared]]:
    """The drafts in order, cut where a batch would pass one of its bounds."""
    batch: list[_Prepared] = []
    streams: set[str] = set()
    size_bytes = 0
    for one in prepared:
        streams.add(one.draft.stream)
        size_bytes += one.leaf_bytes + 2
        if batch and (
            len(batch) == MAX_BATCH_LEAVES
            or len(streams) > MAX_BATCH_STREAMS
            or size_bytes > MAX_BATCH_BYTES
        ):
            yield batch
            batch, streams, size_bytes = [], {one.draft.stream}, one.leaf_bytes + 2
        batch.append(one)
    if batch:
        yield batch
