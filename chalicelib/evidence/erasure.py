"""Erase: nobody reads a subject's values any more, and the log says since when.

1. *Look*: no hold covers a record with a value under the subject's key, and none covers a stream
   in which one may be on its way. The caller has the lock of holds: none is placed meanwhile.
2. *Destroy* the key: in one compare-and-set, the subject's document has none, and says what is
   owed. A value for another stream that was sealed since the look makes it look again.
3. *Purge* what the store still has of the former document.
4. *Record* ``personal.erased``. Its moment and person are those of step 2.
5. *Settle*: the document says where that record is, and owes nothing.

A crash after 2 is finished by doing it again, whoever does it; before 4 nothing says that anything
was erased but the document, and before 2 nothing was. What was sealed before 2 and is recorded
after it cannot be read either: it names the destroyed key.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from chalicelib.evidence import hold
from chalicelib.evidence.personal import ERASED, MAX_ATTEMPTS, MAX_DONE, Done, Erased, Owed
from chalicelib.kernel import personal
from chalicelib.kernel.clock import timestamp
from chalicelib.kernel.errors import Conflict, NotFound
from chalicelib.kernel.record import Draft, entry_at

if TYPE_CHECKING:
    from collections.abc import Callable

    from chalicelib.evidence.personal import Subject, Subjects
    from chalicelib.kernel.clock import Clock
    from chalicelib.kernel.record import Actor, Entry, Journal


class Erasure(msgspec.Struct, frozen=True):
    """A subject's key that is no more; ``repeated``: it was destroyed and recorded before."""

    subject: str
    key: str
    records: int
    at: str
    by: str
    index: int
    repeated: bool


def erase(
    subjects: Subjects,
    journal: Journal,
    clock: Clock,
    name: str,
    *,
    actor: Actor,
    reason: str,
    progress: Callable[[int, int], None] = lambda _done, _total: None,
) -> Erasure:
    """Steps 1 to 5 for the subject of this name. The caller has ``hold.LOCK``.

    Raises: NotFound, where nothing of theirs was ever sealed; NotAllowed, naming the hold; Busy,
    Conflict, StoreUnavailable: what was begun is finished by doing it again.
    """
    text = hold.check_reason(reason)
    subject = subjects.pseudonym(name)
    before: Erasure | None = None
    destroyed = ""
    for _ in range(MAX_ATTEMPTS):
        version, found = subjects.find(subject)
        if found is None:
            raise NotFound(f"nothing personal about {name[:80]!r} was ever recorded here")
        if found.owed is not None:
            before = _finish(subjects, journal, subject, version, found) or before
            if before is not None and before.key == destroyed:
                return before  # a key that was made since is for what was written since
        elif found.wrapped:
            records = _look(journal, subject, found, progress)  # step 1
            last = journal.last(hold.STREAM)
            owed = Owed(
                key=found.key,
                at=timestamp(clock.now()),
                by=actor,
                records=records,
                reason=text,
                seq=last.seq if last else 0,
            )
            gone = msgspec.structs.replace(found, key="", wrapped="", streams=[], owed=owed)
            try:
                subjects.swap(subject, version, gone)  # step 2
            except Conflict:
                continue
            destroyed = found.key
        else:
            return before or _repeated(journal, subject, found)
    raise Conflict(
        f"lost {MAX_ATTEMPTS} writes of the subject's key to others; nothing was erased",
        next_step="try again",
    )


def _look(
    journal: Journal, subject: str, found: Subject, progress: Callable[[int, int], None]
) -> int:
    """Step 1: the number of records with values under the key. Raises: NotAllowed."""
    holds = hold.effective(journal)
    hold.refuse(
        (
            one
            for one in holds
            if one.placed.stream is not None and found.may_be_in(one.placed.stream)
        ),
        "values about this person are in a stream that is held",
    )
    records, size = 0, journal.size()
    for entry in journal.read(0, size):
        progress(entry.index, size)
        if _is_about(entry, subject, found.key):
            records += 1
            of = (entry.record.stream, entry.index)
            hold.refuse(
                (one for one in holds if one.covers(*of)),
                f"record {entry.index}, with a value about this person, is held",
            )
    return records


def _is_about(entry: Entry, subject: str, key: str) -> bool:
    """Whether a record has a value under the key."""
    if subject.encode() not in entry.leaf and entry.record.body_ref is None:
        return False  # most records, without a walk through their bodies
    sealed = personal.sealed_in(entry.body)
    return any((one.subject, one.key) == (subject, key) for one in sealed)


def _finish(
    subjects: Subjects, journal: Journal, subject: str, version: int, found: Subject
) -> Erasure | None:
    """Steps 3 to 5; None, where another writer came between."""
    owed = found.owed
    if owed is None:  # pragma: no cover - the caller looked
        return None
    subjects.purge()  # step 3
    entry = _recorded(journal, subject, owed)
    if entry is None:  # step 4
        body = msgspec.to_builtins(Erased(subject, owed.key, owed.records, owed.reason))
        (entry,) = journal.append([Draft(ERASED, hold.STREAM, owed.at, owed.by, body)])
    done = [*found.erased, Done(owed.key, entry.index)][-MAX_DONE:]
    settled = msgspec.structs.replace(found, owed=None, erased=done)
    try:
        subjects.swap(subject, version, settled)  # step 5
    except Conflict:
        return None  # a new key, for what is written from now on: looked at again
    return _erasure(entry, subject, owed.key, repeated=False)


def _recorded(journal: Journal, subject: str, owed: Owed) -> Entry | None:
    """The record of an erasure, where a crash came after it."""
    journal.recover()
    for entry in journal.stream(hold.STREAM, owed.seq + 1):
        if entry.record.kind == ERASED:
            body = msgspec.convert(entry.body, Erased)
            if (body.subject, body.key) == (subject, owed.key):
                return entry
    return None


def _repeated(journal: Journal, subject: str, found: Subject) -> Erasure:
    """The last erasure, of a subject who has no key now."""
    if not found.erased:
        raise NotFound("this person has no key, and no erasure is recorded")
    last = found.erased[-1]
    return _erasure(entry_at(journal, last.index), subject, last.key, repeated=True)


def _erasure(entry: Entry, subject: str, key: str, *, repeated: bool) -> Erasure:
    return Erasure(
        subject=subject,
        key=key,
        records=msgspec.convert(entry.body, Erased).records,
        at=entry.record.at,
        by=entry.record.actor.name,
        index=entry.index,
        repeated=repeated,
    )
