"""Scans and readings for a proposal: asked for here, done by a worker."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import msgspec

from chalicelib.api import jobs
from chalicelib.api.types import (
    Empty,
    Failure,
    Proposal,
    Propose,
    Scan,
    Scans,
    SnapshotView,
    StartScan,
    TargetPage,
)
from chalicelib.drift.finding import Disposition
from chalicelib.kernel.errors import Forbidden, NotFound
from chalicelib.kernel.record import entry_at

if TYPE_CHECKING:
    from chalicelib.api.call import Call
    from chalicelib.api.jobs import Job


def start(call: Call, asked: StartScan) -> Scan:
    """Ask for a scan of a target. Raises: NotFound, Forbidden."""
    one = call.target(asked.target, "scan:start")
    return _scan(call, jobs.start(call, jobs.SCAN, one.stream, {}))


def ls(call: Call, asked: TargetPage) -> Scans:
    """Scans that were asked for, the newest first; a page may be short, and go on."""
    wanted = {one.stream for one in call.targets("scan:read", asked.target)}
    found, cursor = jobs.newest(call, jobs.SCAN, asked.cursor, asked.limit)
    return Scans(items=[_scan(call, one) for one in found if one.target in wanted], next=cursor)


def show(call: Call, _asked: Empty, scan: str) -> Scan:
    """One of them. Raises: NotFound."""
    return _scan(call, _seen(call, jobs.SCAN, "scan:read", scan), whole=True)


def propose(call: Call, asked: Propose, target: str) -> Proposal:
    """Ask for a target to be read and proposed. Raises: NotFound, Forbidden."""
    one = call.target(target, "baseline:propose")
    return _proposal(jobs.start(call, jobs.PROPOSAL, one.stream, msgspec.to_builtins(asked)))


def proposal(call: Call, _asked: Empty, proposal: str) -> Proposal:
    """Such a reading. Raises: NotFound."""
    return _proposal(_seen(call, jobs.PROPOSAL, "baseline:read", proposal))


def _seen(call: Call, kind: str, action: str, job: str) -> Job:
    """A job about a target on which the caller may do this; one that they may not see is none."""
    one = jobs.find(call, kind, job)
    try:
        call.target(one.target, action)
    except (Forbidden, NotFound):
        raise NotFound(f"no {kind} {job}") from None
    return one


def _scan(call: Call, one: Job, *, whole: bool = False) -> Scan:
    told = jobs.told(Scan, one, target=one.target)
    if one.state != jobs.DONE:
        return told
    entry = entry_at(call.services.desk.journal, one.result["record"])
    body = entry.body
    failed = body.get("failure")
    taken = body["snapshot"]
    return msgspec.structs.replace(
        told,
        record=entry.index,
        scanned_at=entry.record.at,
        outcome=body["outcome"],
        baseline=body["baseline"],
        snapshot=taken and SnapshotView(root=taken["root"], objects=taken["objects"]),
        opened=body["opened"],
        closed=body["closed"],
        findings=dict(Counter(disposition for _, disposition in body["findings"])),
        found=[(one, Disposition(now)) for one, now in body["findings"]] if whole else [],
        explained=body.get("explained", {}),
        not_visible=body.get("not_visible", {}),
        failure=None if failed is None else Failure(code=failed["code"], message=failed["message"]),
    )


def _proposal(one: Job) -> Proposal:
    return jobs.told(
        Proposal,
        one,
        target=one.target,
        proposal=one.result.get("proposal"),
        in_force=one.result.get("in_force", False),
        gaps=one.result.get("gaps", []),
    )
