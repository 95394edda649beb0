"""The ledger: a stream's records, each written after the one before it, and seen by all later ones.

A target's state is read from where its stream's head says that it ends. Whoever can write the
document of that head, but has no secret, can put an older one back, sealed as it once was; records
after it would not be seen, nor the baseline that people signed since. So each append leaves a
locked witness of the seq that it began with, and nothing is decided about a target on a state after
which there is a witness. ``fsck`` derives every head from the leaves, and ``repair`` writes them.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Protocol, TypeVar

from chalicelib.kernel.errors import Fork, Missing
from chalicelib.kernel.folded import State, States

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from chalicelib.kernel.record import Draft, Entry, Journal
    from chalicelib.kernel.store import WriteOnce

S = TypeVar("S", bound=State)

WITNESSES = "witness/"
BATCH = 1_000  # records after which an append moves the head of its stream; evidence.log


class Books(Protocol[S]):
    """What a flow keeps its records with. ``keep_days``: as of ``drift.desk.Desk``."""

    @property
    def journal(self) -> Journal: ...  # noqa: D102 - as the class says

    @property
    def objects(self) -> WriteOnce: ...  # noqa: D102

    @property
    def states(self) -> States[S]: ...  # noqa: D102

    @property
    def keep_days(self) -> Callable[[str], int]: ...  # noqa: D102


def witness_key(stream: str, seq: int) -> str:
    """Key of the witness that a stream has a record ``seq``, the first of its append."""
    return f"{WITNESSES}{hashlib.sha256(stream.encode()).hexdigest()}/{seq:020d}"


def now(desk: Books[S], stream: str) -> S:
    """The state after the target's last record, an append that crashed finished before.

    Raises: Fork, where records are witnessed that the stream's head does not know.
    """
    state = desk.states.settle(stream)
    last = desk.journal.last(stream)
    if last is not None and last.seq > state.seq:  # an append is under way, or has crashed
        desk.journal.recover()
        state = desk.states.settle(stream)
    _check(desk, stream, state)
    return state


def append(desk: Books[S], now: S, drafts: Sequence[Draft]) -> list[Entry]:
    """Record what was decided on a state, and take it into the state.

    Raises: Conflict, where the target's records have gone on since; as Journal.append.
    """
    entries = desk.journal.append(drafts, after={now.target: now.seq})
    for first in entries[::BATCH]:
        desk.objects.put(
            witness_key(now.target, first.record.seq),
            b"%d" % first.index,
            keep_days=desk.keep_days(first.record.kind),
        )
    desk.states.grow(now, entries)
    return entries


def _check(desk: Books[S], stream: str, state: S) -> None:
    key = witness_key(stream, state.seq + 1)
    try:
        index = desk.objects.get(key)
    except Missing:
        return
    last = desk.journal.last(stream)
    if last is not None and last.seq > state.seq:
        return  # it has gone on since the state was read: an append on that state is refused
    raise Fork(
        f"the head of {stream} ends with seq {state.seq}, but seq {state.seq + 1} was recorded, as "
        f"record {index[:20].decode(errors='replace')}: an older head was put back",
        theirs=index,
        next_step="find out who wrote the documents, then: holdfast evidence fsck, and repair",
    )
