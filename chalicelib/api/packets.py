"""Packets: asked for here, built by a worker, fetched by an address that is good for minutes."""

from __future__ import annotations

import hashlib
import tempfile
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

import msgspec

from chalicelib.api import jobs
from chalicelib.api.exhibits import MakePacket, Packet, Packets
from chalicelib.evidence.manifest import Filter, Period
from chalicelib.evidence.parcel import KEEP_DAYS
from chalicelib.kernel import names
from chalicelib.kernel.clock import moment, timestamp
from chalicelib.kernel.errors import Malformed, NotFound, UsageError
from chalicelib.kernel.kinds import KINDS, access_stream

if TYPE_CHECKING:
    from datetime import datetime

    from chalicelib.api.call import Call
    from chalicelib.api.jobs import Job
    from chalicelib.api.types import Empty, Page
    from chalicelib.api.work import Bench
    from chalicelib.evidence.closing import Closed
    from chalicelib.wiring import Services

URL_SECONDS: Final = 900
_DAY_CHARACTERS: Final = len("2026-10-01")
_YEARS: Final = (1970, 9_998)


def start(call: Call, asked: MakePacket) -> Packet:
    """Ask for the packet of a period. Raises: UsageError, Forbidden."""
    call.guard.check("packet:make")
    wanted, _ = period(asked.start, asked.end, call.services.desk.clock.now())
    named = [str(call.services.settings.named(one)) for one in asked.targets]
    chosen = select(named, asked.kinds)
    content = {
        "from": wanted.start,
        "to": wanted.end,
        "targets": list(chosen.targets),
        "kinds": list(chosen.kinds),
    }
    return _packet(jobs.start(call, jobs.PACKET, "", content))


def ls(call: Call, asked: Page) -> Packets:
    """Packets that were asked for, the newest first."""
    call.guard.check("packet:read")
    found, cursor = jobs.newest(call, jobs.PACKET, asked.cursor, asked.limit)
    return Packets(items=[_packet(one) for one in found], next=cursor)


def show(call: Call, _asked: Empty, packet: str) -> Packet:
    """One of them; once built, with an address to fetch it from. Giving that out is recorded."""
    call.guard.check("packet:read")
    one = jobs.find(call, jobs.PACKET, packet)
    told = _packet(one)
    if one.state != jobs.DONE or call.backend is None:
        return told
    parcels = call.backend.parcels
    if not parcels.has(f"{one.id}.zip"):
        raise NotFound(
            f"{one.id} was kept for {KEEP_DAYS} days", next_step="ask for the packet again"
        )
    call.guard.read("packet", {"packet": one.id, "sha256": told.sha256})
    until = call.services.desk.clock.now() + timedelta(seconds=URL_SECONDS)
    return msgspec.structs.replace(
        told, url=parcels.address(f"{one.id}.zip", until), url_expires_at=timestamp(until)
    )


def build(bench: Bench, one: Job) -> dict[str, Any]:
    """The packet of a job, built, verified, recorded and put where it waits.

    Raises: NotFound, for a target that is not known; Malformed, where it does not verify.
    """
    from chalicelib.wiring import packets as made  # noqa: PLC0415 - only a worker builds

    services = bench.services
    asked = one.asked
    chosen = Filter(tuple(asked["targets"]), tuple(asked["kinds"]))
    wanted = Period(asked["from"], asked["to"])
    closed = made.close(services, wanted, one.by, _quiet)
    chosen = whole(services, chosen, closed)
    with tempfile.TemporaryFile("w+b") as stream:
        built = made.make(services, wanted, chosen, closed, out=stream, progress=_quiet)
        stream.seek(0)
        verdict = made.check(stream, services.settings.policy)
        if verdict.fault is not None:  # what cannot be verified must not be handed out
            raise Malformed(
                f"the packet does not verify: {verdict.fault.file}: {verdict.fault.reason}",
                next_step="holdfast evidence fsck",
            )
        if not _recorded(services, one, built.sha256):
            made.record(services, built, one.by, request=one.id)  # before it can be taken
        size = stream.seek(0, 2)
        stream.seek(0)
        file_sha256 = hashlib.file_digest(stream, "sha256").hexdigest()
        stream.seek(0)
        bench.backend.parcels.put(f"{one.id}.zip", stream)
    return {
        "verdict": verdict.answer.value,
        "sha256": built.sha256,
        "file_sha256": file_sha256,
        "size_bytes": size,
        "records": built.manifest.records,
    }


def _recorded(services: Services, one: Job, sha256: str) -> bool:
    """Whether an earlier delivery of the job recorded that it made this packet."""
    from chalicelib.wiring import packets as made  # noqa: PLC0415 - only a worker builds
    from chalicelib.wiring.services import LOG_STREAM  # noqa: PLC0415 - likewise

    services.log.recover()
    since = services.log.stream(LOG_STREAM, (one.after or 0) + 1)
    return any(
        entry.record.kind == made.MADE
        and entry.body.get("request") == one.id
        and entry.body["sha256"] == sha256
        for entry in since
    )


def period(start: str, end: str, now: datetime) -> tuple[Period, bool]:
    """The period of two texts, and whether it was cut: what is yet to come is not in it.

    A day as its end is included, a moment is not. Raises: UsageError.
    """
    since, until = moment(start), moment(end)
    if not _YEARS[0] <= since.year <= until.year <= _YEARS[1]:
        raise UsageError(f"from and to lie in the years {_YEARS[0]} to {_YEARS[1]}, in order")
    if len(end) == _DAY_CHARACTERS:
        until += timedelta(days=1)
    if since >= now:
        raise UsageError(f"{start} is yet to come")
    cut = until > now
    until = min(until, now)
    if since >= until:
        raise UsageError(f"{start} does not come before {end}")
    return Period(timestamp(since), timestamp(until)), cut


def select(targets: list[str], kinds: list[str]) -> Filter:
    """What is to be in a packet. Raises: UsageError."""
    return Filter(
        tuple(sorted({str(names.target(one)) for one in targets})),
        tuple(sorted({_kind(one) for one in kinds})),
    )


def whole(services: Services, asked: Filter, closed: Closed) -> Filter:
    """The same with the streams of the targets' requests and leases.

    Raises: NotFound, for a target that is not known: a misspelt name would look clean.
    """
    recorded = {one.name for one in closed.census.streams}
    configured = {one.stream for one in services.settings.targets() + services.settings.leased()}
    beside = {name: access_stream(name.partition(":")[2]) for name in asked.targets}
    for name in asked.targets:
        if name not in recorded | configured and beside[name] not in recorded:
            raise NotFound(
                f"no target {name} is configured, or has a record in the period",
                next_step="holdfast target ls",
            )
    more = {one for one in beside.values() if one in recorded}
    return Filter(tuple(sorted({*asked.targets, *more})), asked.kinds)


def _kind(text: str) -> str:
    """A kind of records, or the beginning of some up to a dot. Raises: UsageError."""
    if not any(f"{one}.".startswith(f"{text}.") for one in KINDS):
        raise UsageError(
            f"no kind of record {text[:80]!r}; known: {', '.join(sorted(KINDS))}",
            next_step="one of them, or what stands before its dot, e.g. finding",
        )
    return text


def _packet(one: Job) -> Packet:
    asked, result = one.asked, one.result
    return jobs.told(
        Packet,
        one,
        start=asked["from"],
        end=asked["to"],
        targets=asked["targets"],
        kinds=asked["kinds"],
        verdict=result.get("verdict"),
        sha256=result.get("sha256"),
        file_sha256=result.get("file_sha256"),
        size_bytes=result.get("size_bytes"),
        records=result.get("records"),
    )


def _quiet(_what: str, _done: int, _total: int) -> None:
    """Nobody watches."""
