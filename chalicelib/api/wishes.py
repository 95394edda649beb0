"""Wishes: what requests for access, their approvals and their leases are asked and told as."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import Meta

from chalicelib.api.types import Answer, Comment, Cursor, Limit, Reason, Request, TargetText

RequestText = Annotated[
    str,
    Meta(
        pattern=r"^[a-z0-9][a-z0-9._-]{0,62}\.[a-z2-9]{12}$(?!\n)",
        examples=["orders-prod.k3v9x2m7q4hd"],
        description="A request's id, which is also its lease's.",
    ),
]
ProfileText = Annotated[
    str, Meta(pattern=r"^[a-z][a-z0-9-]{0,39}$(?!\n)", examples=["read-masked"])
]
TableText = Annotated[str, Meta(min_length=3, max_length=300, examples=["public.orders"])]
ArnText = Annotated[str, Meta(max_length=1_024, pattern=r"^arn:aws[!-~]+$(?!\n)")]
TicketText = Annotated[
    str, Meta(max_length=100, pattern=r"^([A-Za-z0-9][A-Za-z0-9 ._/#:-]*)?$(?!\n)")
]
Seconds = Annotated[int, Meta(ge=10, le=7 * 86_400)]
Leaf = Annotated[str, Meta(pattern=r"^([0-9a-f]{64})?$(?!\n)", description="A request's version.")]
Tables = Annotated[tuple[TableText, ...], Meta(max_length=200)]
Arns = Annotated[tuple[ArnText, ...], Meta(max_length=20)]
PhaseText = Literal[
    "pending",
    "approved",
    "issuing",
    "active",
    "ending",
    "ended",
    "denied",
    "withdrawn",
    "lapsed",
]


class Wished(Request, frozen=True, kw_only=True):
    """What is to be had. Without ``seconds``: for as long as a short lease is.

    ``tables``: none stands for all that the profile gives. ``resources``: ARNs, of an AWS role.
    """

    profile: ProfileText
    reason: Reason
    tables: Tables = ()
    resources: Arns = ()
    seconds: Seconds | None = None
    ticket: TicketText = ""


class AskFor(Wished, frozen=True, kw_only=True):
    """``break_glass``: at once, for a short time, and somebody else reviews it afterwards."""

    target: TargetText
    break_glass: bool = False


class Agree(Request, frozen=True, kw_only=True):
    """``seen``: the version of the request that was looked at; another one is not agreed to."""

    comment: Comment = ""
    seen: Leaf = ""


class Refuse(Request, frozen=True, kw_only=True):
    """Why not, or why not any more."""

    comment: Comment = ""


class Look(Request, frozen=True, kw_only=True):
    """What was found when a broken glass was looked at."""

    comment: Annotated[str, Meta(min_length=3, max_length=500)]


class Prolong(Request, frozen=True, kw_only=True):
    """``seconds``: from now."""

    seconds: Seconds


class RequestQuery(Request, frozen=True, kw_only=True):
    """Which requests. ``phase``: as it is now; one that is over needs no ``closed``.

    ``mine``: the caller's own alone. ``closed``: also those that are over, as far as they are
    remembered.
    """

    target: TargetText | None = None
    phase: PhaseText | None = None
    mine: bool = False
    closed: bool = False
    cursor: Cursor = ""
    limit: Limit = 50


class ApprovalView(Answer, frozen=True, kw_only=True):
    """Who agreed. ``groups``: those of theirs that were asked for."""

    by: str
    at: str
    record: int
    groups: list[str]


class NeedsView(Answer, frozen=True, kw_only=True):
    """What policies want. ``lacking``: people still to agree; ``groups_lacking``: of these."""

    approvals: int
    groups: list[str]
    max_seconds: int | None
    lacking: int
    groups_lacking: list[str]


class TroubleView(Answer, frozen=True, kw_only=True):
    """Why a lease could not be ended yet, and when it is tried again."""

    step: str
    code: str
    message: str
    at: str
    next_at: str
    attempts: int


class LeaseView(Answer, frozen=True, kw_only=True):
    """What was issued. ``claims``: how often its secret was given out.

    ``sessions_ended``: how many there still were when it ended. ``seconds``: the whole length, from
    when it was claimed, with all renewals.
    """

    role: str
    plan: str
    seconds: int
    until: str
    issued_at: str | None
    claims: int
    claimed_at: str | None
    sessions_ended: int | None
    why: str | None
    ended_at: str | None
    trouble: TroubleView | None


class RenewalView(Answer, frozen=True, kw_only=True):
    """A later end that is asked for."""

    seconds: int
    at: str
    lapses_at: str
    needs: NeedsView
    approvals: list[ApprovalView]


class DenialView(Answer, frozen=True, kw_only=True):
    """Who denied a renewal, for how long it was asked for, and what they said."""

    by: str
    at: str
    seconds: int
    comment: str | None


class RenewedView(Answer, frozen=True, kw_only=True):
    """A renewal that was carried out, and who had agreed to it."""

    seconds: int
    at: str
    approvals: list[ApprovalView]


class ReviewedView(Answer, frozen=True, kw_only=True):
    """Who looked at a broken glass, and what they found."""

    by: str
    at: str
    comment: str | None


class RequestView(Answer, frozen=True, kw_only=True):
    """One request, and the lease that came of it. ``version``: what an approval agrees to.

    ``renewal_denied``: the renewal that was asked for last, where it was denied; ``renewed``: the
    last that was carried out. ``may_agree``: whom policies let agree, in words; told of one request
    that waits for people.
    """

    id: str
    target: str
    requester: str
    at: str
    phase: PhaseText
    profile: str
    tables: list[str]
    resources: list[str]
    seconds: int
    reason: str
    ticket: str
    revision: int
    version: str
    record: int
    policies: list[str]
    needs: NeedsView
    approvals: list[ApprovalView]
    lapses_at: str | None
    break_glass: bool
    review: str
    reviewed: ReviewedView | None
    lease: LeaseView | None
    renewal: RenewalView | None
    renewal_denied: DenialView | None
    renewed: RenewedView | None
    may_agree: list[str]
    closed_by: str | None
    closed_at: str | None
    comment: str | None


class Requests(Answer, frozen=True, kw_only=True):
    """The newest first. ``next``: the cursor of the next page."""

    items: list[RequestView]
    next: str | None


class CredentialView(Answer, frozen=True, kw_only=True):
    """What opens the target until ``until``. Nobody keeps it; asked for again, it is another one.

    ``kind``: ``postgres``, ``rds`` or ``aws``; ``fields``: by names of libpq's parameters, or of
    the environment variables that AWS's programs read.
    """

    id: str
    kind: str
    until: str
    fields: dict[str, str]

    def __repr__(self) -> str:
        return f"<{self.kind} credential of {self.id}>"

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        """What rich shows of it, also as a variable in a traceback."""
        return [("id", self.id), ("kind", self.kind)]

    def __reduce__(self) -> tuple[object, ...]:
        raise TypeError("a credential is not kept")


class Standing(Answer, frozen=True, kw_only=True):
    """A role that can log in without a lease, as the last scan saw it.

    ``member_of``: groups that it is a member of. ``signed``: whether the baseline in force has it,
    None without one. ``since``: when a scan first saw it, where the baseline has it not.
    ``lease``: of what request, for a role that says it is a lease's and is none of ours.
    """

    role: str
    superuser: bool
    attributes: list[str]
    member_of: list[str]
    valid_until: str | None
    signed: bool | None
    since: str | None
    lease: str | None


class Review(Answer, frozen=True, kw_only=True):
    """Who holds what at a target, since when, used when: for whoever certifies it anew.

    ``leases``: those that were claimed: running ones, then those that ended, the newest first;
    ``requests``: what may still become one. ``complete``: whether these are all that there ever
    were; of those that ended, the last 100 are told. ``standing``: what is there without a lease,
    None where no scan has read it (yet), or the caller may not see scans.
    """

    target: str
    at: str
    leases: list[RequestView]
    requests: list[RequestView]
    complete: bool
    standing: list[Standing] | None
    scanned_at: str | None
