"""Group: one append for the drafts of many threads, as a database commits transactions in groups.

An append costs the same round trips for one record as for a thousand, and appends of one log
follow each other. While one is under way the drafts of other threads gather here, and the next
append takes them all. Threads that are known to append soon are waited for, a bounded time.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from contextlib import contextmanager
from typing import TYPE_CHECKING

import msgspec

from chalicelib.kernel import personal
from chalicelib.kernel.errors import Conflict, CouldNotTell, Fork, HoldfastError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from chalicelib.kernel.record import Draft, Entry, Journal, Last

MAX_DRAFTS = 500  # of one append; half of what one batch of the log holds
MAX_STREAMS = 80  # likewise
MAX_BYTES = 4 * 2**20  # of their bodies; likewise
MAX_KNOWN = 256  # single records that are remembered


_told = msgspec.json.Encoder(enc_hook=personal.stand_in)


class _Job:
    """Drafts that wait, and what became of them."""

    def __init__(self, drafts: Sequence[Draft], after: Mapping[str, int]) -> None:
        self.drafts = drafts
        self.after = after
        self.streams = {one.stream for one in drafts}
        self.size_bytes = sum(len(_told.encode(one.body)) for one in drafts)
        self.done = False
        self.entries: list[Entry] = []
        self.error: BaseException | None = None

    def run(self, journal: Journal) -> None:
        try:
            self.entries = journal.append(self.drafts, after=self.after)
        except BaseException as error:  # noqa: BLE001 - it belongs to the thread that waits
            self.error = error
        self.done = True


def _of_one(error: BaseException | None) -> bool:
    """Whether it may be one job's error, and none of the others'.

    Where it cannot be told whether anything was recorded, it is everybody's.
    """
    return isinstance(error, HoldfastError) and (
        isinstance(error, Conflict) or not isinstance(error, CouldNotTell | Fork)
    )


class GroupJournal:
    """Implements ``kernel.record.Journal`` over another one.

    Drafts that say what they come after share an append with none of the same streams. Others may:
    whoever appends those again, because it could not be told whether they were recorded, may record
    them twice.
    ``gather_seconds``: for how long an append waits for threads that are :meth:`expected`.
    """

    def __init__(self, inner: Journal, *, gather_seconds: float = 0.0) -> None:
        self._inner = inner
        self._gather_seconds = gather_seconds
        self._turn = threading.Lock()
        self._gate = threading.Condition()
        self._expected: set[int] = set()
        self._waiting: list[_Job] = []
        self._known: OrderedDict[int, Entry] = OrderedDict()

    def append(
        self, drafts: Sequence[Draft], *, after: Mapping[str, int] | None = None
    ) -> list[Entry]:
        """As the other's, which it may share with other threads' drafts."""
        fenced = after or {}
        streams = {one.stream for one in drafts}
        if (fenced and streams - fenced.keys()) or len(drafts) > MAX_DRAFTS:
            with self._gate:
                self._arrived()
            with self._turn:
                return self._inner.append(drafts, after=after)
        job = _Job(drafts, fenced)
        with self._gate:
            self._waiting.append(job)
            self._arrived()
            self._gate.wait_for(lambda: job.done or not self._expected, self._gather_seconds)
        with self._turn:
            if not job.done:
                self._run(self._take(job))
        if job.error is not None:
            raise job.error
        return job.entries

    @contextmanager
    def expected(self) -> Iterator[None]:
        """A block in which this thread will append, unless it fails: others wait for it."""
        with self._gate:
            self._expected.add(threading.get_ident())
        try:
            yield
        finally:
            with self._gate:
                self._arrived()

    def _arrived(self) -> None:
        self._expected.discard(threading.get_ident())
        self._gate.notify_all()

    def _take(self, own: _Job) -> list[_Job]:
        """The jobs of one append: the caller's, and what fits beside it, a fenced stream once."""
        with self._gate:
            taken, count, size, streams = [own], len(own.drafts), own.size_bytes, {*own.streams}
            fences = set(own.after)
            for job in self._waiting:
                room = count + len(job.drafts) <= MAX_DRAFTS and size + job.size_bytes <= MAX_BYTES
                room &= len(streams | job.streams) <= MAX_STREAMS
                apart = not (streams & job.after.keys() or fences & job.streams)
                if job is not own and room and apart:
                    taken.append(job)
                    count += len(job.drafts)
                    size += job.size_bytes
                    streams |= job.streams
                    fences |= job.after.keys()
            self._waiting = [job for job in self._waiting if job not in taken]
        return taken

    def _run(self, jobs: list[_Job]) -> None:
        drafts = [one for job in jobs for one in job.drafts]
        after = {stream: seq for job in jobs for stream, seq in job.after.items()}
        together = _Job(drafts, after)
        together.run(self._inner)
        if len(jobs) > 1 and _of_one(together.error):
            for job in jobs:
                job.run(self._inner)
        else:
            entries = iter(together.entries)
            for job in jobs:
                job.error, job.done = together.error, True
                if together.error is None:
                    job.entries = [next(entries) for _ in job.drafts]
        with self._gate:
            self._gate.notify_all()

    def recover(self) -> object:
        """Finish an append that crashed; one of another thread is none."""
        with self._turn:
            return self._inner.recover()

    def size(self) -> int:
        """The number of records under a signed checkpoint."""
        return self._inner.size()

    def read(self, start: int = 0, stop: int | None = None) -> Iterator[Entry]:
        """Records ``start`` ≤ index < ``stop``, verified; a single one is remembered.

        Every scan looks at the approvals of its baseline, one record at a time.
        """
        if stop != start + 1:
            yield from self._inner.read(start, stop)
            return
        with self._gate:
            known = self._known.get(start)
        if known is None:
            (known,) = self._inner.read(start, stop)
            with self._gate:
                self._known[start] = known
                while len(self._known) > MAX_KNOWN:
                    self._known.popitem(last=False)
        yield known

    def last(self, stream: str) -> Last | None:
        """The end of a stream."""
        return self._inner.last(stream)

    def stream(self, name: str, start: int = 1, near: int = 0) -> Iterator[Entry]:
        """A stream's records from seq ``start`` on, verified."""
        return self._inner.stream(name, start, near)
