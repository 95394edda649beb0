"""Jobs: what somebody asked for that takes longer than an answer, and what came of it.

A job is a document that passes away, and a message in a queue, which is delivered at least once.
Its deed is recorded in the log, under the name of whoever asked; the job only says where. What was
begun and never finished is ``failed`` once its time is over.
"""

from __future__ import annotations

import hashlib
import secrets
from typing import TYPE_CHECKING, Any, Final, TypeVar

import msgspec

from chalicelib.api.failure import failure
from chalicelib.api.types import Failure, JobView
from chalicelib.drift.schedule import Message
from chalicelib.kernel import canon
from chalicelib.kernel.clock import parse_timestamp, timestamp
from chalicelib.kernel.errors import (
    Conflict,
    HoldfastError,
    Malformed,
    NotFound,
    Overdue,
    UsageError,
)
from chalicelib.kernel.record import Actor

if TYPE_CHECKING:
    from chalicelib.api.call import Call
    from chalicelib.drift.schedule import Queue
    from chalicelib.kernel.clock import Clock
    from chalicelib.kernel.passing import Passing

SCAN: Final = "scan"
PROPOSAL: Final = "proposal"
PACKET: Final = "packet"
LETTERS: Final = {SCAN: "S", PROPOSAL: "R", PACKET: "P"}
LASTS_SECONDS: Final = 30 * 86_400
PATIENCE_SECONDS: Final = {SCAN: 1_800, PROPOSAL: 1_800, PACKET: 7_200}  # until one has failed

QUEUED: Final = "queued"
RUNNING: Final = "running"
DONE: Final = "done"
FAILED: Final = "failed"
_ENDED: Final = frozenset({DONE, FAILED})

_ID_DIGITS: Final = 27  # the moment in milliseconds, 11, and 64 bits
_MOMENT_DIGITS: Final = 11
_LAST_MOMENT: Final = 10**13 - 1
MAX_MESSAGE_BYTES: Final = 1_024
VERSION: Final = 1
_View = TypeVar("_View", bound=JobView)


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """What was asked for, by whom, and how far it is.

    ``target``: a full name, where it is about one. ``after``: the seq of the target's last record,
    or of the log's own stream, when it was first begun. ``result``: by kind, see ``work``.
    """

    id: str
    kind: str
    target: str
    by: Actor
    principal: str
    at: str
    updated_at: str
    asked: dict[str, Any]
    state: str = QUEUED
    after: int | None = None
    failure: Failure | None = None
    result: dict[str, Any] = {}

    def seen(self, now: str) -> Job:
        """The job as it is to be told: one whose time is over has failed."""
        late = (parse_timestamp(now) - parse_timestamp(self.at)).total_seconds()
        if self.state in _ENDED or late <= PATIENCE_SECONDS[self.kind]:
            return self
        error = Overdue("nobody finished it in its time", next_step="ask again")
        return msgspec.structs.replace(self, state=FAILED, failure=failure(error))


class _Order(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a queue carries."""

    v: int
    job: str


def told(view: type[_View], one: Job, **own: Any) -> _View:
    """A job as an answer has it. ``own``: the fields that no other kind of job has."""
    return view(
        id=one.id,
        state=one.state,
        by=one.principal,
        at=one.at,
        updated_at=one.updated_at,
        failure=one.failure,
        **own,
    )


def start(call: Call, kind: str, target: str, asked: dict[str, Any]) -> Job:
    """A new job, in its queue; the same one where the caller asks again with the same seed.

    Raises: StoreUnavailable: it may come about, and the same request again says so.
    """
    backend = call.backend
    if backend is None:
        raise UsageError("nothing here works off what is asked for", next_step="holdfast serve")
    now = call.now
    one = Job(
        id=_id(kind, call, now),
        kind=kind,
        target=target,
        by=call.actor,
        principal=call.caller.id,
        at=now,
        updated_at=now,
        asked=asked,
    )
    try:
        backend.passing.swap(_key(one.id), 0, _encode(one), lasts_seconds=LASTS_SECONDS)
    except Conflict:
        one = read(backend.passing, one.id)
    queue: Queue = backend.packets if kind == PACKET else backend.orders
    body = canon.encode({"v": VERSION, "job": one.id})
    queue.send([Message(target or one.id, one.id, body)])
    return one


def decode(data: bytes) -> str | None:
    """The id of the job that a message is about; None, for a message of another kind.

    Raises: Malformed, for one that claims to be about a job.
    """
    if len(data) > MAX_MESSAGE_BYTES or b'"job"' not in data:
        return None
    try:
        order = msgspec.convert(canon.decode(data), _Order)
    except msgspec.ValidationError as error:
        raise Malformed(f"not an order for a job: {error}") from None
    if order.v != VERSION:
        raise Malformed(f"an order for a job of version {order.v}; expected {VERSION}")
    return order.job


def read(passing: Passing, job: str) -> Job:
    """A job. Raises: NotFound."""
    return _read(passing, job)[1]


def find(call: Call, kind: str, job: str) -> Job:
    """A job of a kind, as it is to be told. Raises: NotFound."""
    if call.backend is None or not job.startswith(LETTERS[kind]):
        raise NotFound(f"no {kind} {job}")
    return read(call.backend.passing, job).seen(call.now)


def newest(call: Call, kind: str, cursor: str, limit: int) -> tuple[list[Job], str | None]:
    """Jobs of a kind, the newest first, after that of ``cursor``; and the next cursor."""
    if call.backend is None:
        return [], None
    if cursor and not _is_id(cursor):
        raise UsageError("that is no cursor of this list", next_step="begin without one")
    after = _key(cursor) if cursor else ""
    found = call.backend.passing.list(f"job-{kind}/", after=after, limit=limit + 1)
    jobs = [_decode(document.value).seen(call.now) for _, document in found[:limit]]
    return jobs, jobs[-1].id if len(found) > limit else None


def begin(passing: Passing, clock: Clock, job: str, after: int | None) -> Job | None:
    """The job, now ``running``; None where it has ended. Raises: NotFound, Conflict."""
    version, one = _read(passing, job)
    if one.state in _ENDED:
        return None
    first = one.after if one.after is not None else after
    return _put(passing, version, one, clock, state=RUNNING, after=first)


def end(passing: Passing, clock: Clock, job: str, result: dict[str, Any] | HoldfastError) -> Job:
    """The job, ``done`` or ``failed``; the first end counts. Raises: NotFound, Conflict."""
    version, one = _read(passing, job)
    if one.state in _ENDED:
        return one
    if isinstance(result, HoldfastError):
        return _put(passing, version, one, clock, state=FAILED, failure=failure(result))
    return _put(passing, version, one, clock, state=DONE, result=result)


def _put(passing: Passing, version: int, one: Job, clock: Clock, **changes: Any) -> Job:
    changed = msgspec.structs.replace(one, updated_at=timestamp(clock.now()), **changes)
    passing.swap(_key(one.id), version, _encode(changed), lasts_seconds=LASTS_SECONDS)
    return changed


def _read(passing: Passing, job: str) -> tuple[int, Job]:
    found = passing.get(_key(job)) if _is_id(job) else None
    if found is None:
        raise NotFound(f"no job {job[:40]!r}", next_step="it may have passed away after 30 days")
    return found.version, _decode(found.value)


def _encode(one: Job) -> bytes:
    return canon.encode(msgspec.to_builtins(one))


def _decode(data: bytes) -> Job:
    return msgspec.convert(canon.decode(data), Job)


def _is_id(text: str) -> bool:
    digits = text[2:]
    return (
        text[:2] in {f"{letter}-" for letter in LETTERS.values()}
        and len(digits) == _ID_DIGITS
        and not set(digits) - set("0123456789abcdef")
    )


def _id(kind: str, call: Call, now: str) -> str:
    """The moment, so that ids sort by it, and what nobody else's request has.

    With a seed the moment is not in it: the same request again, later, is the same job.
    """
    millis = round(parse_timestamp(now).timestamp() * 1_000)
    if call.seed:
        moment, _, rest = call.seed.partition(" ")
        millis = int(moment)
        tail = hashlib.sha256(f"{kind} {call.caller.id} {rest}".encode()).hexdigest()[:16]
    else:
        tail = secrets.token_hex(8)
    return f"{LETTERS[kind]}-{millis:0{_MOMENT_DIGITS}x}{tail}"


def _key(job: str) -> str:
    """Ascending keys are descending moments."""
    kind = next(name for name, letter in LETTERS.items() if job.startswith(letter))
    moment = int(job[2 : 2 + _MOMENT_DIGITS], 16)
    return f"job-{kind}/{_LAST_MOMENT - moment:013d}-{job}"
