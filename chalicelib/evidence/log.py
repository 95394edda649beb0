"""Log: the journal that appends records under signed checkpoints, by any number of writers.

The append protocol. A number in the code is a step here; ``docs/formats/evidence.md`` has the same.

1. *Settle.* Read the state. Check that nothing was signed or locked beyond it, and that it has the
   root of the checkpoint signed for its size; else there is a Fork, and nothing is written. Finish
   what a crashed append left: steps 5 to 9 of its batch.
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

from chalicelib.evidence import bundle, layout, state
from chalicelib.evidence.publish import Publisher
from chalicelib.evidence.reader import MAX_BODY_BYTES, agree
from chalicelib.kernel import canon, clock, record
from chalicelib.kernel.errors import Conflict, Fork, Malformed, UsageError
from chalicelib.kernel.merkle import Frontier, leaf_hash
from chalicelib.kernel.record import MAX_LEAF_BYTES, BodyRef, Draft, Entry, Record
from chalicelib.kernel.store import Write

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from chalicelib.evidence.note import Verifier
    from chalicelib.evidence.state import State
    from chalicelib.kernel.signing import Signer
    from chalicelib.kernel.store import Derived, Documents, WriteOnce

MAX_BATCH_LEAVES = 1_000
MAX_BATCH_BYTES = 8 * 2**20
MAX_BATCH_STREAMS = 90  # kernel.store: at most 100 writes a swap, the state among them
MAX_STREAM_CHARACTERS = 256
MAX_ATTEMPTS = 100  # swaps lost in a row before an append gives up


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

    ``verifier`` is the pinned key, and its name the log's origin; ``tool`` is written into records;
    ``pause(attempt)`` waits a little, longer for higher attempts and not the same for every writer.
    Raises: KeyUnusable, where the signer's key is not the pinned one.
    """

    def __init__(
        self,
        *,
        writeonce: WriteOnce,
        derived: Derived,
        documents: Documents,
        signer: Signer,
        verifier: Verifier,
        tool: str,
        pause: Callable[[int], None],
    ) -> None:
        super().__init__(
            writeonce=writeonce,
            derived=derived,
            documents=documents,
            signer=signer,
            verifier=verifier,
        )
        self._tool = tool
        self._pause = pause

    def append(self, drafts: Sequence[Draft]) -> list[Entry]:
        """Put the drafts into the log, in this order and all of them.

        More than fit one batch are several appends: where a later one fails, the earlier ones stay.
        Raises: UsageError, for a draft that no log can hold, before anything is written;
        StoreUnavailable, Fork, KeyUnusable, Missing, Conflict: then the caller must not report
        anything as recorded, although a crash after step 3 may have recorded it.
        """
        entries: list[Entry] = []
        for batch in list(_batches([self._prepare(draft) for draft in drafts])):
            entries += self._append(batch)
        return entries

    def recover(self) -> Recovery:
        """Finish a crashed append, if there is one. Raises: as :meth:`append`."""
        settled = self._settle()
        return Recovery(settled.edge.size, settled.finished)

    def _append(self, batch: list[_Prepared]) -> list[Entry]:
        for attempt in range(MAX_ATTEMPTS):
            if attempt:
                self._pause(attempt)
            settled = self._settle()  # step 1
            records, writes = self._place(batch)
            leaves = list(map(record.encode, records))
            after = settled.edge.copy()
            for leaf in leaves:
                after.append(leaf_hash(leaf))
            data = bundle.encode(leaves)
            grown = state.state(self._verifier.name, settled.edge, after, canon.sha256(data))
            staged = layout.stage(grown.batch.start, grown.batch.sha256)
            self._derived.put(staged, data)  # step 2
            writes.append(Write(layout.STATE, settled.version, state.encode(grown)))
            try:
                self._documents.swap(writes)  # step 3
            except Conflict:
                self._drop_lost(grown, staged)  # step 4
                continue
            signed = self.publish(grown)  # steps 5 and 6
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
        """Step 1. Raises: Fork, Missing, DigestMismatch, StoreUnavailable."""
        version, current, latest = self._current()
        if current is None:
            return _Settled(version, Frontier(), finished=False)
        signed = self._find(current.size)
        finished = signed is None
        if signed is None:
            signed = self.publish(current)
        agree(current, signed)
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

    def _prepare(self, draft: Draft) -> _Prepared:
        """Step 2's first half: the draft checked, and its body locked if no leaf can hold it."""
        for name in (draft.stream, draft.kind):
            if not 0 < len(name) <= MAX_STREAM_CHARACTERS or not name.isprintable():
                raise UsageError(
                    f"a stream and a kind have 1 to {MAX_STREAM_CHARACTERS} printable characters; "
                    f"found {name[:80]!r}"
                )
        try:
            clock.parse_timestamp(draft.at)
            leaf = record.encode(self._record(draft, canon.MAX_INTEGER, draft.body, None))
            if len(leaf) <= MAX_LEAF_BYTES:
                record.decode(leaf)  # what cannot be read must not be written
                return _Prepared(draft, draft.body, None, len(leaf))
            data = canon.encode(draft.body)
            if len(data) > MAX_BODY_BYTES:
                raise UsageError(
                    f"a body of {len(data)} bytes; at most {MAX_BODY_BYTES} can be recorded"
                )
            canon.decode(data)
            ref = BodyRef(canon.sha256(data), len(data))
            leaf = record.encode(self._record(draft, canon.MAX_INTEGER, None, ref))
        except (ValueError, TypeError, RecursionError, Malformed) as error:
            raise UsageError(f"a draft that no log can hold: {error}") from error
        if len(leaf) > MAX_LEAF_BYTES:
            raise UsageError(f"a record of {len(leaf)} bytes without its body")
        self._writeonce.put(layout.body(ref.sha256), data)
        return _Prepared(draft, None, ref, len(leaf))

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

    def _place(self, batch: list[_Prepared]) -> tuple[list[Record], list[Write]]:
        """The records with the next seq of their streams, and the writes that move the heads."""
        versions: dict[str, int] = {}
        seqs: dict[str, int] = {}
        records = []
        for prepared in batch:
            stream = prepared.draft.stream
            if stream not in seqs:
                head = self._documents.get(layout.head(stream))
                versions[stream] = 0 if head is None else head.version
                seqs[stream] = 0 if head is None else state.decode_head(head.value)
            seqs[stream] += 1
            records.append(
                self._record(prepared.draft, seqs[stream], prepared.body, prepared.body_ref)
            )
        writes = [
            Write(layout.head(stream), versions[stream], state.encode_head(seq))
            for stream, seq in seqs.items()
        ]
        return records, writes

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
