"""Packets: the builder and the verifier of ``evidence``, with what the drift flow knows of records.

Verification needs no services: a packet, a trust policy and the clock.
"""

from __future__ import annotations

import dataclasses
import tempfile
from importlib import resources
from typing import TYPE_CHECKING, BinaryIO

from chalicelib.drift import audit
from chalicelib.evidence import build, closing, manifest, personal, verify
from chalicelib.evidence.verdict import Verdict, erasure
from chalicelib.kernel import canon
from chalicelib.kernel.clock import timestamp
from chalicelib.kernel.record import Draft
from chalicelib.local.clock import SystemClock
from chalicelib.wiring import program
from chalicelib.wiring.services import LOG_STREAM

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from chalicelib.evidence.build import Built, References
    from chalicelib.evidence.closing import Closed
    from chalicelib.evidence.container import Objects
    from chalicelib.evidence.keys import Keyring
    from chalicelib.evidence.manifest import Filter, Period
    from chalicelib.evidence.trust import Policy
    from chalicelib.kernel.record import Actor, Entry
    from chalicelib.wiring.services import Services

    Progress = Callable[[str, int, int], None]

MADE = "packet.made"


def close(services: Services, period: Period, actor: Actor, progress: Progress) -> Closed:
    """The census of a period. Raises: as ``evidence.closing.close``."""
    return closing.close(
        services.log,
        services.desk.objects,
        period,
        clock=services.desk.clock,
        actor=actor,
        progress=progress,
    )


def make(
    services: Services,
    period: Period,
    asked: Filter,
    closed: Closed,
    *,
    out: BinaryIO,
    progress: Progress,
) -> Built:
    """Write the packet of a closed period. Raises: as ``evidence.build.build``."""
    desk = services.desk

    def refer(entry: Entry) -> References:
        return build.References(
            tuple(audit.references(entry)),
            tuple(audit.records(entry, desk.objects, desk.trusted)),
        )

    sources = build.Sources(
        log=services.log,
        objects=desk.objects,
        signer=desk.signer,
        policy=services.settings.policy,
        refer=refer,
        tool=manifest.Tool(desk.tool, program.sha256()),
        assets=assets(services.keys.origin, period),
        temporary=tempfile.TemporaryFile,
    )
    return build.build(sources, period, asked, closed, out=out, progress=progress)


def record(services: Services, built: Built, actor: Actor, *, request: str = "") -> Entry:
    """Record who took which packet. ``request``: the id of the request that it answers."""
    head = built.manifest
    body = {
        "sha256": built.sha256,
        "from": head.period.start,
        "to": head.period.end,
        "targets": list(head.filter.targets),
        "kinds": list(head.filter.kinds),
        "first": head.range.first,
        "last": head.range.last,
        "records": head.records,
        **({"request": request} if request else {}),
    }
    at = timestamp(services.desk.clock.now())
    return services.log.append([Draft(MADE, LOG_STREAM, at, actor, body)])[0]


def check(
    stream: BinaryIO,
    trust: Policy,
    *,
    authorities: Sequence[bytes] = (),
    progress: Progress = lambda _what, _done, _total: None,
) -> Verdict:
    """Whether a packet holds, now. Raises: OSError, from the stream."""
    found = verify.verify(
        stream,
        trust,
        now=SystemClock().now(),
        checker=checker,
        authorities=authorities,
        progress=progress,
    )
    if found.manifest is None or found.fault is not None:
        return found
    said = found.manifest.files[manifest.VERIFIER].sha256
    if said == canon.sha256(_asset(manifest.VERIFIER)):
        return found
    other = f"verify.py: it is not this version's, and has the SHA-256 {said}"
    return dataclasses.replace(found, unchecked=[*found.unchecked, other])


def erased_since(services: Services, found: Verdict) -> Verdict:
    """The verdict, with what this installation's log says of erasures after the packet was made.

    A packet of another log is as it was. Raises: StoreUnavailable, VerificationFailed.
    """
    head = found.manifest
    if head is None or head.origin != services.keys.origin:
        return found
    sealed, erased = dict(found.sealed), list(found.erased)
    for entry in services.log.stream(LOG_STREAM):
        if entry.record.kind == personal.ERASED:
            one = erasure(entry, sealed)
            if one.values:
                erased.append(one)
    return dataclasses.replace(found, sealed=sealed, erased=erased)


def checker(objects: Objects, ring: Keyring) -> Callable[[Entry], Iterator[tuple[str, str]]]:
    """The drift flow's check of what records refer to, over a packet's objects."""
    return audit.Audit(objects, ring.of_record).check


def assets(origin: str, period: Period) -> dict[str, bytes]:
    """The files of a packet that are for people."""
    verifier = _asset(manifest.VERIFIER)
    words = _asset(manifest.README).decode()
    for name, value in (
        ("origin", origin),
        ("period_from", period.start),
        ("period_to", period.end),
        ("verifier_sha256", canon.sha256(verifier)),
    ):
        words = words.replace("{" + name + "}", value)
    return {manifest.README: words.encode(), manifest.VERIFIER: verifier}


def _asset(name: str) -> bytes:
    return (resources.files("chalicelib.evidence.offline") / name).read_bytes()
