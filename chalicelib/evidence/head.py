"""Head: where a stream of records ends, and which batches hold its newest records.

One small document a stream, moved by the same compare-and-set as the log's state. With it a stream
is read by itself, however many others share the log, and an append can say after which record of
its stream it belongs.
"""

from __future__ import annotations

import re

import msgspec

from chalicelib.kernel import canon
from chalicelib.kernel.errors import Malformed

MAX_BATCHES = 16  # whoever is further behind reads the log itself

_HASH = re.compile(r"[0-9a-f]{64}")


class Head(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``seq`` and ``leaf`` (hash, hexadecimal) of the last record.

    ``batches``: the newest MAX_BATCHES that hold records of the stream, oldest first, each as (the
    first seq in it, its first index in the log).
    """

    seq: int
    leaf: str
    batches: tuple[tuple[int, int], ...]

    def since(self, seq: int) -> list[int] | None:
        """First indices of the batches with the records from ``seq`` on; None: not known here."""
        if seq < self.batches[0][0]:
            return None
        starts = [start for first, start in self.batches if first > seq]
        return [self.batches[-len(starts) - 1][1], *starts]


def grown(before: Head | None, seq: int, leaf: str, start: int) -> Head:
    """The head after a record ``seq`` with the hash ``leaf`` in the batch that starts there."""
    batches = before.batches if before else ()
    if not batches or batches[-1][1] != start:
        batches = (*batches, (seq, start))[-MAX_BATCHES:]
    return Head(seq, leaf, batches)


def encode(head: Head) -> bytes:
    """The document's canonical bytes."""
    return canon.encode(msgspec.to_builtins(head))


def decode(data: bytes) -> Head:
    """The head in a document. Raises: Malformed."""
    try:
        head = msgspec.convert(canon.decode(data), Head)
    except msgspec.ValidationError as error:
        raise Malformed(f"not a stream's head: {error}") from None
    firsts = [first for first, _ in head.batches]
    starts = [start for _, start in head.batches]
    ordered = all(
        numbers == sorted(set(numbers)) and numbers[0] >= low
        for numbers, low in ((firsts, 1), (starts, 0))
        if numbers
    )
    if not firsts or not ordered or head.seq < firsts[-1] or not _HASH.fullmatch(head.leaf):
        raise Malformed("not a stream's head: its seq, leaf and batches contradict each other")
    return head
