"""Folded: states that are what the records of a stream add up to, with a sealed cache beside them.

The log is the truth; a stored state is a cache of it, sealed so that nobody else can write one, and
is thrown away when the seal does not hold.
"""

from __future__ import annotations

import hashlib
import hmac
from typing import TYPE_CHECKING, Generic, NamedTuple, Protocol, TypeVar

import msgspec

from chalicelib.kernel import canon, merkle
from chalicelib.kernel.errors import VerificationFailed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from chalicelib.kernel.record import Entry, Journal
    from chalicelib.kernel.store import Derived


class State(Protocol):
    """What the records of the stream ``target`` up to its ``seq``-th add up to.

    ``leaf``: that record's hash, hexadecimal; another history has another. ``index``: its place.
    """

    target: str
    seq: int
    leaf: str
    index: int


S = TypeVar("S", bound=State)


class Shape(NamedTuple, Generic[S]):
    """How states of a kind are made and kept.

    ``new(stream)``: the state before any record. ``step(state, entry)`` takes the next one into it.
    ``format``: of the cache; another number is another format, and is folded anew. ``folder``: of
    the cache's keys.
    """

    kind: type[S]
    new: Callable[[str], S]
    step: Callable[[S, Entry], None]
    format: int
    folder: str

    def grow(self, state: S, entries: Iterable[Entry]) -> S:
        """The state with these records in it."""
        for entry in entries:
            self.step(state, entry)
            state.seq = entry.record.seq
            state.leaf = merkle.leaf_hash(entry.leaf).hex()
            state.index = entry.index
        return state


class States(Generic[S]):
    """States, folded from the journal, with a sealed cache beside it.

    Without the installation's secret no seal can be told from another: nothing is taken from the
    cache and nothing is put there.
    """

    def __init__(
        self, shape: Shape[S], journal: Journal, cache: Derived, secret: bytes | None
    ) -> None:
        self._shape = shape
        self._journal = journal
        self._cache = cache
        self._key = (
            None
            if secret is None
            else hmac.digest(secret, f"holdfast {shape.folder} cache v1".encode(), hashlib.sha256)
        )

    def get(self, stream: str) -> S:
        """The state as of the stream's last record under a signed checkpoint."""
        return self._load(stream)[0]

    def _load(self, stream: str) -> tuple[S, bool]:
        """The state, and whether the cache has it so."""
        last = self._journal.last(stream)
        if last is None:
            return self._shape.new(stream), True
        state = self._cached(stream)
        if state is not None and 0 < state.seq <= last.seq:
            if (state.seq, state.leaf) == last:
                return state, True
            # From the record that the cache ends with, to see that it is one of this history.
            entries = self._journal.stream(stream, state.seq, state.index)
            first = next(entries, None)
            if first is not None and merkle.leaf_hash(first.leaf).hex() == state.leaf:
                return self._shape.grow(state, entries), False
        return self._shape.grow(self._shape.new(stream), self._journal.stream(stream)), False

    def settle(self, stream: str) -> S:
        """The state, kept for the next reader: for whoever has just appended to the stream."""
        state, kept = self._load(stream)
        if not kept:
            self._put(state)
        return state

    def grow(self, state: S, entries: Iterable[Entry]) -> S:
        """The state with the records that were appended after it, kept for the next reader."""
        grown = self._shape.grow(state, entries)
        self._put(grown)
        return grown

    def _put(self, state: S) -> None:
        if self._key is not None:
            payload = canon.encode(msgspec.to_builtins(state))
            seal = hmac.digest(self._key, payload, hashlib.sha256).hex().encode()
            self._cache.put(
                self._name(state.target), b"%d %b\n%b" % (self._shape.format, seal, payload)
            )

    def check(self, states: Mapping[str, S]) -> Iterator[tuple[str, str]]:
        """``(key, what is wrong)`` for each cached state that is not what the log adds up to.

        ``states``: folded from the first record on. A cache that is behind is not wrong.
        """
        for key in self._cache.list(f"{self._shape.folder}/") if self._key is not None else ():
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

    def _name(self, stream: str) -> str:
        return f"{self._shape.folder}/{stream.replace(':', '/')}"

    def _cached(self, stream: str) -> S | None:
        try:
            data = self._cache.get(self._name(stream))
        except VerificationFailed:  # no file of ours: as good as none, and fsck names it
            return None
        state = None if data is None else self._unseal(data)
        return None if state is None or state.target != stream else state

    def _unseal(self, data: bytes) -> S | None:
        if self._key is None:
            return None
        head, _, payload = data.partition(b"\n")
        seal = hmac.digest(self._key, payload, hashlib.sha256).hex().encode()
        if not hmac.compare_digest(head, b"%d %b" % (self._shape.format, seal)):
            return None
        try:
            return msgspec.json.decode(payload, type=self._shape.kind)
        except msgspec.MsgspecError:
            return None  # an older program's shape under our own seal: folded anew
