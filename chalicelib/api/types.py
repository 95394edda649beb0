r"""Types: what requests and answers are made of. Validation and the OpenAPI document come of it.

Requests refuse fields that are not here; answers may gain fields. Times are as ``kernel.clock``
writes them, digests are hexadecimal, ``version`` names a state of a thing and is its ETag.

Patterns end with ``$(?!\n)``: in Python a newline may follow ``$`` alone, in ECMA-262 nothing may.
"""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from msgspec import Meta

from chalicelib.drift.finding import Disposition, Finding
from chalicelib.drift.judge import Direction, Severity

MAX_LIMIT = 200
MAX_NAMED = 100  # findings of one request

TargetText = Annotated[
    str,
    Meta(
        max_length=96,
        pattern=r"^([a-z][a-z0-9_]{0,31}:)?[a-z0-9][a-z0-9._-]{0,62}$(?!\n)",
        examples=["orders-prod"],
        description="A target's name, with or without its kind.",
    ),
]
FindingText = Annotated[
    str,
    Meta(
        pattern=r"^F-[0-9a-f]{2,32}$(?!\n)",
        examples=["F-0123456789ab"],
        description="A finding's id, or its beginning.",
    ),
]
ProposalText = Annotated[
    str, Meta(pattern=r"^B-[0-9a-f]{6,32}$(?!\n)", examples=["B-0123456789ab"])
]
JobText = Annotated[str, Meta(pattern=r"^[SRP]-[0-9a-f]{27}$(?!\n)")]
Day = Annotated[str, Meta(pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$(?!\n)", examples=["2026-12-24"])]
MomentText = Annotated[
    str,
    Meta(
        max_length=32,
        pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}([T ][0-9:.]{4,15}Z?)?$(?!\n)",
        examples=["2026-10-01"],
        description="A day, or a moment in UTC.",
    ),
]
Reason = Annotated[str, Meta(min_length=3, max_length=2_000)]
Comment = Annotated[str, Meta(max_length=500)]
KindText = Annotated[str, Meta(max_length=64, pattern=r"^[a-z][a-z0-9_]*(\.[a-z0-9_]+)*$(?!\n)")]
StreamText = Annotated[
    str, Meta(max_length=128, pattern=r"^[a-z][a-z0-9_]*(:[a-z0-9._-]+)?$(?!\n)")
]
Cursor = Annotated[str, Meta(max_length=512, pattern=r"^[A-Za-z0-9_-]*$(?!\n)")]
Limit = Annotated[int, Meta(ge=1, le=MAX_LIMIT)]
Index = Annotated[int, Meta(ge=0, le=2**53 - 1)]


class Request(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What a caller sends."""


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What a caller gets."""


class Empty(Request, frozen=True, kw_only=True):
    """No parameters."""


class Page(Request, frozen=True, kw_only=True):
    """Which part of a list."""

    cursor: Cursor = ""
    limit: Limit = 50


class Health(Answer, frozen=True, kw_only=True):
    """The process is alive."""

    status: str
    version: str


class Ready(Answer, frozen=True, kw_only=True):
    """Whether requests can be served, and what was looked at."""

    ready: bool
    checks: dict[str, str]


class Me(Answer, frozen=True, kw_only=True):
    """The caller, as it was verified."""

    principal: str
    kind: str
    name: str
    via: str
    groups: list[str]
    roles: list[str]


class Failure(Answer, frozen=True, kw_only=True):
    """Why something did not come about."""

    code: str
    message: str
    next_step: str = ""


class JobView(Answer, frozen=True, kw_only=True):
    """What somebody asked for, at ``at``, and how far it is: what every kind of job has."""

    id: str
    state: str
    by: str
    at: str
    updated_at: str
    failure: Failure | None = None


class Target(Answer, frozen=True, kw_only=True):
    """A target, in short. ``outcome`` is its last scan's."""

    target: str
    env: str
    approvals: int
    baseline: str | None
    proposal: str | None
    last_scan: str | None
    outcome: str | None
    findings: int


class Targets(Answer, frozen=True, kw_only=True):
    """Targets that the caller may see."""

    items: list[Target]
    next: str | None = None


class StartScan(Request, frozen=True, kw_only=True):
    """Scan a target now."""

    target: TargetText


class SnapshotView(Answer, frozen=True, kw_only=True):
    """A snapshot, in short."""

    root: str
    objects: int


class Scan(JobView, frozen=True, kw_only=True):
    """A scan that was asked for. ``state``: ``queued``, ``running``, ``done`` or ``failed``.

    From ``outcome`` on, what the record of the scan says; ``findings`` counts by disposition.
    ``found``: id and disposition of each of them, where one scan is asked for. ``explained``: how
    many changes are those of which open lease, and no findings. ``not_visible``: kinds that people
    signed for not seeing, with the attributes that lack, or none where the whole kind does.
    """

    target: str
    record: int | None = None
    scanned_at: str | None = None
    outcome: str | None = None
    baseline: str | None = None
    snapshot: SnapshotView | None = None
    opened: int = 0
    closed: list[str] = []
    findings: dict[str, int] = {}
    found: list[tuple[str, Disposition]] = []
    explained: dict[str, int] = {}
    not_visible: dict[str, list[str]] = {}


class Scans(Answer, frozen=True, kw_only=True):
    """Scans that were asked for, the newest first."""

    items: list[Scan]
    next: str | None = None


class TargetPage(Page, frozen=True, kw_only=True):
    """Which part of a list, of one target or of all."""

    target: TargetText | None = None


class FindingQuery(Page, frozen=True, kw_only=True):
    """Which findings. ``text``: in the object's name or the title. ``sort``: ``-``: descending."""

    target: TargetText | None = None
    severity: list[Severity] = []
    direction: list[Direction] = []
    disposition: list[Disposition] = []
    kind: Annotated[str, Meta(max_length=64)] = ""
    text: Annotated[str, Meta(max_length=200)] = ""
    sort: Annotated[str, Meta(pattern=r"^-?(severity|opened_at|target|name)$(?!\n)")] = "-severity"


class FindingView(Finding, frozen=True, kw_only=True, omit_defaults=False):
    """A finding, and what people decided about it. ``record`` is its place in the log."""

    disposition: Disposition
    suppressed_until: str | None
    reason: str | None
    by: str | None
    record: int
    opened_at: str
    version: str


class Findings(Answer, frozen=True, kw_only=True):
    """Findings that are there now."""

    items: list[FindingView]
    next: str | None = None


FindingList = Annotated[list[FindingText], Meta(min_length=1, max_length=MAX_NAMED)]


class Suppress(Request, frozen=True, kw_only=True):
    """Let findings not count until the end of a day (UTC)."""

    findings: FindingList
    until: Day
    reason: Reason


class Suppressed(Answer, frozen=True, kw_only=True):
    """What was suppressed, by target."""

    target: str
    findings: list[str]
    until: str


class Suppressions(Answer, frozen=True, kw_only=True):
    """What was suppressed."""

    items: list[Suppressed]


class Accept(Request, frozen=True, kw_only=True):
    """Propose a baseline that takes over these findings. ``replace``: give up an open proposal."""

    findings: FindingList
    reason: Reason
    replace: bool = False


class Accepted(Answer, frozen=True, kw_only=True):
    """The proposal that came of it; None where it needed nobody and is in force."""

    target: str
    findings: list[str]
    proposal: str | None


class Acceptances(Answer, frozen=True, kw_only=True):
    """What was proposed, by target."""

    items: list[Accepted]


class Baseline(Answer, frozen=True, kw_only=True):
    """A target's baseline in force, and the proposal that is open.

    ``baseline`` and ``proposal`` as they are recorded; ``predicate``: what is signed. ``objects``,
    by kind, and ``gaps``: of the proposal, or else of the baseline, whose objects are ``signed``.
    """

    target: str
    required: int
    version: str
    baseline: dict[str, Any] | None
    proposal: dict[str, Any] | None
    predicate: dict[str, Any] | None = None
    would_change: list[dict[str, Any]] = []
    objects: dict[str, int] = {}
    signed: dict[str, int] = {}
    gaps: list[str] = []
    key: str = ""


class Propose(Request, frozen=True, kw_only=True):
    """Read the target now, and propose what it is. ``replace``: an open proposal is given up."""

    comment: Comment = ""
    replace: bool = False


class Proposal(JobView, frozen=True, kw_only=True):
    """A reading that is to be proposed. Once ``done``, ``proposal`` is open or in force."""

    target: str
    proposal: str | None = None
    in_force: bool = False
    gaps: list[str] = []


class Explained(Answer, frozen=True, kw_only=True):
    """A finding, as it is recorded, and why an upgrade explains it, or what a person can do."""

    finding: dict[str, Any]
    why: str


class Rebase(Answer, frozen=True, kw_only=True):
    """The findings of the last scan: what comes from an upgrade of the server, and what does not.

    ``before`` and ``after``: the server's version when the baseline was read, and now; None, where
    the snapshots do not tell. ``record``: of the scan. ``proposal``: the open one's id.
    """

    target: str
    before: str | None
    after: str | None
    record: int
    scanned_at: str
    explained: list[Explained]
    left: list[Explained]
    proposal: str | None = None


class ProposeRebase(Request, frozen=True, kw_only=True):
    """Propose the baseline with what the upgrade explains taken over, as ``record`` saw it."""

    record: Index
    comment: Comment = ""
    replace: bool = False


class Approve(Request, frozen=True, kw_only=True):
    """Agree to the proposal that was looked at, and to no other."""

    proposal: ProposalText
    comment: Comment = ""


class Verification(Answer, frozen=True, kw_only=True):
    """A baseline that holds: signature, digests, snapshot, root, approvals.

    ``required``: approvals that it would need now. ``objects``: by kind.
    """

    verified: bool
    key: str
    predicate: dict[str, Any]
    target: str = ""
    required: int = 0
    root: str = ""
    objects: dict[str, int] = {}


class Problem(Answer, frozen=True, kw_only=True):
    """An error (RFC 9457). ``code`` is stable; ``request`` is this request's id."""

    type: str
    title: str
    status: int
    detail: str
    code: str
    next_step: str
    request: str
