"""Routes: every operation with its method, path and types. All that is said of the API comes of it.

``run(call, asked, **path)`` gives the answer. ``asked`` is made of the query of a GET and of the
body of a POST; ``path`` has the values of the braces.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

from chalicelib.api import baselines, findings, packets, records, scans, service, targets, types

if TYPE_CHECKING:
    from collections.abc import Callable

    from chalicelib.api.types import Answer, FindingView, Request

OPEN: Final = "open"  # nobody has to say who they are
SIGNED_IN: Final = "signed in"  # what the caller may do is the operation's to find out


class Route(NamedTuple):
    """``statuses``: how it can fail, beside what every route can fail with.

    ``versioned``: the answer has a version, which is its ETag; for a POST: ``If-Match`` is heeded.
    """

    name: str
    method: str
    path: str
    run: Callable[..., Any]
    asked: type[Request]
    answer: type[Answer | FindingView] | None
    status: int = 200
    door: str = SIGNED_IN
    action: str = ""
    statuses: tuple[int, ...] = ()
    versioned: bool = False

    @property
    def braces(self) -> list[str]:
        """The names in the path."""
        return [part[1:-1] for part in self.path.split("/") if part.startswith("{")]


ROUTES: Final = (
    Route("health", "GET", "/v1/health", service.health, types.Empty, types.Health, door=OPEN),
    Route("ready", "GET", "/v1/ready", service.ready, types.Empty, types.Ready, door=OPEN),
    Route("me", "GET", "/v1/me", service.me, types.Empty, types.Me),
    Route(
        "targets",
        "GET",
        "/v1/targets",
        targets.ls,
        types.Empty,
        types.Targets,
        action="target:read",
    ),
    Route(
        "target",
        "GET",
        "/v1/targets/{target}",
        targets.show,
        types.Empty,
        types.Target,
        action="target:read",
        statuses=(404,),
    ),
    Route(
        "scan_start",
        "POST",
        "/v1/scans",
        scans.start,
        types.StartScan,
        types.Scan,
        status=202,
        action="scan:start",
        statuses=(404,),
    ),
    Route(
        "scans",
        "GET",
        "/v1/scans",
        scans.ls,
        types.TargetPage,
        types.Scans,
        action="scan:read",
        statuses=(404,),
    ),
    Route(
        "scan",
        "GET",
        "/v1/scans/{scan}",
        scans.show,
        types.Empty,
        types.Scan,
        action="scan:read",
        statuses=(404,),
    ),
    Route(
        "findings",
        "GET",
        "/v1/findings",
        findings.ls,
        types.FindingQuery,
        types.Findings,
        action="finding:read",
        statuses=(404,),
    ),
    Route(
        "finding",
        "GET",
        "/v1/findings/{finding}",
        findings.show,
        types.Empty,
        types.FindingView,
        action="finding:read",
        statuses=(404,),
        versioned=True,
    ),
    Route(
        "suppress",
        "POST",
        "/v1/findings/suppress",
        findings.suppress,
        types.Suppress,
        types.Suppressions,
        action="finding:suppress",
        statuses=(404,),
        versioned=True,
    ),
    Route(
        "accept",
        "POST",
        "/v1/findings/accept",
        findings.accept,
        types.Accept,
        types.Acceptances,
        action="finding:accept",
        statuses=(404,),
        versioned=True,
    ),
    Route(
        "baseline",
        "GET",
        "/v1/targets/{target}/baseline",
        baselines.show,
        types.Empty,
        types.Baseline,
        action="baseline:read",
        statuses=(404,),
        versioned=True,
    ),
    Route(
        "verify",
        "GET",
        "/v1/targets/{target}/baseline/verification",
        baselines.verify,
        types.Empty,
        types.Verification,
        action="baseline:read",
        statuses=(404,),
    ),
    Route(
        "propose",
        "POST",
        "/v1/targets/{target}/baseline/proposals",
        scans.propose,
        types.Propose,
        types.Proposal,
        status=202,
        action="baseline:propose",
        statuses=(404,),
    ),
    Route(
        "proposal",
        "GET",
        "/v1/proposals/{proposal}",
        scans.proposal,
        types.Empty,
        types.Proposal,
        action="baseline:read",
        statuses=(404,),
    ),
    Route(
        "approve",
        "POST",
        "/v1/targets/{target}/baseline/approvals",
        baselines.approve,
        types.Approve,
        types.Baseline,
        action="baseline:approve",
        statuses=(404,),
        versioned=True,
    ),
    Route(
        "records",
        "GET",
        "/v1/records",
        records.ls,
        types.RecordQuery,
        types.Records,
        action="record:read",
    ),
    Route(
        "record",
        "GET",
        "/v1/records/{record}",
        records.show,
        types.Empty,
        types.Record,
        action="record:read",
        statuses=(404,),
    ),
    Route(
        "proof",
        "GET",
        "/v1/records/{record}/proof",
        records.prove,
        types.ProofQuery,
        types.Proof,
        action="record:read",
        statuses=(404,),
    ),
    Route(
        "checkpoint",
        "GET",
        "/v1/checkpoint",
        records.checkpoint,
        types.Empty,
        None,
        action="record:read",
        statuses=(404,),
    ),
    Route(
        "consistency",
        "GET",
        "/v1/consistency",
        records.consistency,
        types.ConsistencyQuery,
        types.Consistency,
        action="record:read",
        statuses=(404,),
    ),
    Route(
        "packet_make",
        "POST",
        "/v1/packets",
        packets.start,
        types.MakePacket,
        types.Packet,
        status=202,
        action="packet:make",
    ),
    Route(
        "packets",
        "GET",
        "/v1/packets",
        packets.ls,
        types.Page,
        types.Packets,
        action="packet:read",
    ),
    Route(
        "packet",
        "GET",
        "/v1/packets/{packet}",
        packets.show,
        types.Empty,
        types.Packet,
        action="packet:read",
        statuses=(404,),
    ),
)

BY_NAME: Final = {route.name: route for route in ROUTES}
PARTS: Final[dict[str, Any]] = {
    "target": types.TargetText,
    "finding": types.FindingText,
    "scan": types.JobText,
    "proposal": types.JobText,
    "packet": types.JobText,
    "record": types.Index,
}
