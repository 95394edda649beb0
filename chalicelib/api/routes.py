"""Routes: every operation with its method, path and types. All that is said of the API comes of it.

``run(call, asked, **path)`` gives the answer. ``asked`` is made of the query of a GET and of the
body of a POST; ``path`` has the values of the braces.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from chalicelib.api import (
    baselines,
    exhibits,
    findings,
    packets,
    records,
    requests,
    review,
    scans,
    service,
    targets,
    types,
    wishes,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from chalicelib.api.types import Answer, FindingView, Request

OPEN: Final = "open"  # nobody has to say who they are
SIGNED_IN: Final = "signed in"  # what the caller may do is the operation's to find out


class Route(NamedTuple):
    """``statuses``: how it can fail, beside what every route can fail with.

    ``versioned``: the answer has a version, which is its ETag; for a POST: ``If-Match`` is heeded.
    ``secret``: the answer is kept nowhere, so a request that is sent again is done again.
    ``personal``: what it gives depends on who asks, whatever they may do.
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
    secret: bool = False
    personal: bool = False

    @property
    def braces(self) -> list[str]:
        """The names in the path."""
        return [part[1:-1] for part in self.path.split("/") if part.startswith("{")]


if TYPE_CHECKING:
    # What does it, the type of what is asked, and that of the answer.
    _Row = Callable[[Callable[..., Any], type[Request], type[Answer | FindingView] | None], Route]


def _get(name: str, path: str, action: str = "", *, missing: bool = True, **more: Any) -> _Row:
    """A row that reads; ``asked`` is its query. ``missing``: what it names may not be there."""
    statuses = (404,) if missing else ()
    return partial(Route, name, "GET", path, action=action, statuses=statuses, **more)


def _post(name: str, path: str, action: str, *, missing: bool = True, **more: Any) -> _Row:
    """A row that does something; ``asked`` is its body. ``missing``: as for ``_get``."""
    statuses = (404,) if missing else ()
    return partial(Route, name, "POST", path, action=action, statuses=statuses, **more)


def _begin(name: str, path: str, action: str, **more: Any) -> _Row:
    """A row that starts a job, with which a worker goes on."""
    return _post(name, path, action, status=202, **more)


_TARGET: Final = "/v1/targets/{target}"
_REQUEST: Final = "/v1/requests/{request}"
_LEASE: Final = "/v1/leases/{request}"

ROUTES: Final[tuple[Route, ...]] = (
    _get("health", "/v1/health", door=OPEN, missing=False)(
        service.health, types.Empty, types.Health
    ),
    _get("ready", "/v1/ready", door=OPEN, missing=False)(service.ready, types.Empty, types.Ready),
    _get("me", "/v1/me", missing=False)(service.me, types.Empty, types.Me),
    _get("targets", "/v1/targets", "target:read", missing=False)(
        targets.ls, types.Empty, types.Targets
    ),
    _get("target", _TARGET, "target:read")(targets.show, types.Empty, types.Target),
    _begin("scan_start", "/v1/scans", "scan:start")(scans.start, types.StartScan, types.Scan),
    _get("scans", "/v1/scans", "scan:read")(scans.ls, types.TargetPage, types.Scans),
    _get("scan", "/v1/scans/{scan}", "scan:read")(scans.show, types.Empty, types.Scan),
    _get("findings", "/v1/findings", "finding:read")(
        findings.ls, types.FindingQuery, types.Findings
    ),
    _get("finding", "/v1/findings/{finding}", "finding:read", versioned=True)(
        findings.show, types.Empty, types.FindingView
    ),
    _post("suppress", "/v1/findings/suppress", "finding:suppress", versioned=True)(
        findings.suppress, types.Suppress, types.Suppressions
    ),
    _post("accept", "/v1/findings/accept", "finding:accept", versioned=True)(
        findings.accept, types.Accept, types.Acceptances
    ),
    _get("baseline", f"{_TARGET}/baseline", "baseline:read", versioned=True)(
        baselines.show, types.Empty, types.Baseline
    ),
    _get("verify", f"{_TARGET}/baseline/verification", "baseline:read")(
        baselines.verify, types.Empty, types.Verification
    ),
    _get("rebase", f"{_TARGET}/baseline/rebase", "baseline:read")(
        baselines.compare, types.Empty, types.Rebase
    ),
    _post("rebase_propose", f"{_TARGET}/baseline/rebase", "finding:accept")(
        baselines.take_over, types.ProposeRebase, types.Baseline
    ),
    _begin("propose", f"{_TARGET}/baseline/proposals", "baseline:propose")(
        scans.propose, types.Propose, types.Proposal
    ),
    _get("proposal", "/v1/proposals/{proposal}", "baseline:read")(
        scans.proposal, types.Empty, types.Proposal
    ),
    _post("approve", f"{_TARGET}/baseline/approvals", "baseline:approve", versioned=True)(
        baselines.approve, types.Approve, types.Baseline
    ),
    _get("records", "/v1/records", "record:read", missing=False)(
        records.ls, exhibits.RecordQuery, exhibits.Records
    ),
    _get("record", "/v1/records/{record}", "record:read")(
        records.show, types.Empty, exhibits.Record
    ),
    _get("proof", "/v1/records/{record}/proof", "record:read")(
        records.prove, exhibits.ProofQuery, exhibits.Proof
    ),
    _get("checkpoint", "/v1/checkpoint", "record:read")(records.checkpoint, types.Empty, None),
    _get("consistency", "/v1/consistency", "record:read")(
        records.consistency, exhibits.ConsistencyQuery, exhibits.Consistency
    ),
    _begin("packet_make", "/v1/packets", "packet:make", missing=False)(
        packets.start, exhibits.MakePacket, exhibits.Packet
    ),
    _get("packets", "/v1/packets", "packet:read", missing=False)(
        packets.ls, types.Page, exhibits.Packets
    ),
    _get("packet", "/v1/packets/{packet}", "packet:read")(
        packets.show, types.Empty, exhibits.Packet
    ),
    _post("request", "/v1/requests", "lease:request")(
        requests.start, wishes.AskFor, wishes.RequestView
    ),
    _get("requests", "/v1/requests", personal=True)(
        requests.ls, wishes.RequestQuery, wishes.Requests
    ),
    _get("request_show", _REQUEST, personal=True)(requests.show, types.Empty, wishes.RequestView),
    _post("request_amend", f"{_REQUEST}/amendments", "lease:request")(
        requests.amend, wishes.Wished, wishes.RequestView
    ),
    _post("request_approve", f"{_REQUEST}/approvals", "lease:approve", versioned=True)(
        requests.approve, wishes.Agree, wishes.RequestView
    ),
    _post("request_deny", f"{_REQUEST}/denials", "lease:approve")(
        requests.deny, wishes.Refuse, wishes.RequestView
    ),
    _post("request_withdraw", f"{_REQUEST}/withdrawal", "lease:request")(
        requests.withdraw, types.Empty, wishes.RequestView
    ),
    _post("request_review", f"{_REQUEST}/review", "lease:review")(
        requests.review, wishes.Look, wishes.RequestView
    ),
    _post("credential", f"{_LEASE}/credential", "lease:request", secret=True)(
        requests.claim, types.Empty, wishes.CredentialView
    ),
    _post("renew", f"{_LEASE}/renewals", "lease:request")(
        requests.renew, wishes.Prolong, wishes.RequestView
    ),
    _post("revoke", f"{_LEASE}/revoke", "lease:revoke")(
        requests.revoke, wishes.Refuse, wishes.RequestView
    ),
    _get("access_review", f"{_TARGET}/access", "lease:read")(
        review.show, types.Empty, wishes.Review
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
    "request": wishes.RequestText,
}
