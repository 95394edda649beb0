"""Records: the evidence log, read by somebody whose reading is itself recorded before.

Whatever is given out was verified against a signed checkpoint, as ``evidence.reader`` says.
"""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any, Final

import msgspec

from chalicelib.api.exhibits import (
    Consistency,
    ConsistencyQuery,
    Proof,
    ProofQuery,
    Record,
    RecordQuery,
    Records,
)
from chalicelib.evidence import merkle as merkle_proofs
from chalicelib.evidence.personal import Reveal, beside
from chalicelib.kernel import canon, merkle
from chalicelib.kernel.errors import NotFound, TooLarge, UsageError
from chalicelib.kernel.record import entry_at

if TYPE_CHECKING:
    from collections.abc import Iterator

    from chalicelib.api.call import Call
    from chalicelib.api.types import Empty
    from chalicelib.kernel.record import Entry

ACTION: Final = "record:read"
MAX_LOOKED_AT: Final = 2_000  # records of one request, wanted or not
CHUNK: Final = 200  # records that are read at once, backwards
MAX_PAGE_BYTES: Final = 4 * 2**20  # Lambda, "Quotas": 6 MB of an answer


def ls(call: Call, asked: RecordQuery) -> Records:
    """Records in order, as many as fit; where more may follow, ``next`` goes on."""
    call.guard.check(ACTION)
    _start(asked.cursor, 0)  # what is asked wrongly is refused before anything is recorded
    call.guard.read("records", _said(asked))
    size = call.services.log.size()
    found: list[Record] = []
    total = 0
    reveal = Reveal(call.services.subjects, call.services.log)
    for looked, entry in enumerate(_walk(call, asked, size)):
        if len(found) == asked.limit or looked == MAX_LOOKED_AT or total > MAX_PAGE_BYTES:
            return Records(items=found, size=size, next=_cursor(entry.index))
        if asked.stream in {"", entry.record.stream} and asked.kind in {None, entry.record.kind}:
            one = _encode(entry, reveal)
            length = len(canon.encode(one.body))
            if found and total + length > MAX_PAGE_BYTES:
                return Records(items=found, size=size, next=_cursor(entry.index))
            total += length
            found.append(one)
    return Records(items=found, size=size, next=None)


def show(call: Call, _asked: Empty, record: int) -> Record:
    """One record with its leaf. Raises: NotFound; TooLarge, where it fits into no answer."""
    call.guard.check(ACTION)
    _there(call, record)
    call.guard.read("record", {"record": record})
    entry = entry_at(call.services.log, record)
    one = _encode(entry, Reveal(call.services.subjects, call.services.log))
    if len(canon.encode(one.body)) > MAX_PAGE_BYTES:
        raise TooLarge(
            f"the body of record {record} fits into no answer", next_step="take it in a packet"
        )
    return msgspec.structs.replace(one, leaf=base64.b64encode(entry.leaf).decode())


def prove(call: Call, asked: ProofQuery, record: int) -> Proof:
    """The inclusion proof of a record. Raises: NotFound; VerificationFailed."""
    call.guard.check(ACTION)
    _there(call, record)
    call.guard.read("proof", {"record": record, "size": asked.size})
    log = call.services.log
    head = log.settled()
    if head is None:
        raise NotFound("the log is empty")
    size = head.size if asked.size is None else asked.size
    hashes = log.prove_inclusion(record, size)
    leaf_hash, root = log.nodes(head.size)(0, record), log.root(size)
    merkle_proofs.verify_inclusion(leaf_hash, record, size, hashes, root)
    return Proof(
        record=record,
        size=size,
        leaf_hash=leaf_hash.hex(),
        root=root.hex(),
        hashes=[one.hex() for one in hashes],
        checkpoint=head.note.decode(),
    )


def checkpoint(call: Call, _asked: Empty) -> bytes:
    """The newest signed checkpoint. Raises: NotFound, while the log is empty."""
    call.guard.check(ACTION)
    call.guard.read("checkpoint", {})
    data = call.services.log.checkpoint()
    if data is None:
        raise NotFound("the log is empty and has no checkpoint yet")
    return data


def consistency(call: Call, asked: ConsistencyQuery) -> Consistency:
    """Proof that the log of ``new`` records extends the one of ``old``. Raises: NotFound."""
    call.guard.check(ACTION)
    call.guard.read("consistency", _said(asked))
    log = call.services.log
    head = log.settled()
    if head is None:
        raise NotFound("the log is empty")
    new = head.size if asked.new is None else asked.new
    hashes = log.prove_consistency(asked.old, new)
    roots = [log.root(size) for size in (asked.old, new)]
    merkle_proofs.verify_consistency(asked.old, new, hashes, *roots)
    return Consistency(
        old=asked.old,
        new=new,
        old_root=roots[0].hex(),
        new_root=roots[1].hex(),
        hashes=[one.hex() for one in hashes],
        checkpoint=head.note.decode(),
    )


def _there(call: Call, record: int) -> None:
    """Return if the record is in the log. Raises: NotFound, before anything is recorded."""
    size = call.services.log.size()
    if record >= size:
        raise NotFound(f"no record {record}: the log has {size}")


def _said(asked: msgspec.Struct) -> dict[str, Any]:
    """What was asked for, without what was not said."""
    told = {key: value for key, value in msgspec.structs.asdict(asked).items() if value is not None}
    return {key: value for key, value in told.items() if value not in {"", 0}}


def _walk(call: Call, asked: RecordQuery, size: int) -> Iterator[Entry]:
    """Records from where the page begins on, in its order; of one stream, where that is asked."""
    log = call.services.log
    descending = asked.order == "desc"
    start = _start(asked.cursor, size - 1 if descending else asked.start)
    if not descending:
        if asked.stream and not asked.cursor and not asked.start:
            yield from (one for one in log.stream(asked.stream) if one.index < size)
            return
        for at in range(min(start, size), size, CHUNK):
            yield from log.read(at, min(at + CHUNK, size))
        return
    stop = min(start + 1, size)
    while stop > asked.start:
        first = max(stop - CHUNK, asked.start)
        yield from reversed(list(log.read(first, stop)))
        stop = first


def _cursor(index: int) -> str:
    return base64.urlsafe_b64encode(str(index).encode()).decode().rstrip("=")


def _start(cursor: str, default: int) -> int:
    """Where a page begins. Raises: UsageError, for what is no cursor that this list gave out."""
    if not cursor:
        return default
    try:
        index = int(base64.b64decode(cursor + "=" * (-len(cursor) % 4), b"-_", validate=True))
    except ValueError:
        index = -1
    if not 0 <= index <= canon.MAX_INTEGER or _cursor(index) != cursor:
        raise UsageError("that is no cursor of this list", next_step="begin without one")
    return index


def _encode(entry: Entry, reveal: Reveal) -> Record:
    """A record as it is told; what is sealed, as far as it opens."""
    one = entry.record
    return Record(
        record=entry.index,
        v=one.v,
        kind=one.kind,
        stream=one.stream,
        seq=one.seq,
        at=one.at,
        actor=msgspec.to_builtins(one.actor),
        tool=one.tool,
        body=reveal.body(entry, beside),
        leaf_hash=merkle.leaf_hash(entry.leaf).hex(),
    )
