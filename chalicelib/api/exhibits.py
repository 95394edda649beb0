"""Exhibits: types of what the API shows of the evidence: records, proofs, packets.

As in ``types``: requests refuse fields that are not here; answers may gain fields.
"""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from msgspec import Meta

from chalicelib.api.types import (
    Answer,
    Index,
    JobView,
    KindText,
    MomentText,
    Page,
    Request,
    StreamText,
    TargetText,
)


class RecordQuery(Page, frozen=True, kw_only=True):
    """Which records. ``order``: ``asc`` from ``start`` on, or ``desc`` from the newest on."""

    stream: StreamText = ""
    kind: KindText | None = None
    start: Index = 0
    order: Annotated[str, Meta(pattern=r"^(asc|desc)$(?!\n)")] = "asc"


class Record(Answer, frozen=True, kw_only=True):
    """A record at its place in the log. ``leaf``, in base64, is given where one is asked for."""

    record: int
    v: int
    kind: str
    stream: str
    seq: int
    at: str
    actor: dict[str, str]
    tool: str
    body: dict[str, Any]
    leaf_hash: str
    leaf: str | None = None


class Records(Answer, frozen=True, kw_only=True):
    """Records, and the log's size when they were read. A short page, or an empty one, may go on."""

    items: list[Record]
    size: int
    next: str | None = None


class ProofQuery(Request, frozen=True, kw_only=True):
    """Of the tree of how many records; else of the newest checkpoint."""

    size: Index | None = None


class Proof(Answer, frozen=True, kw_only=True):
    """An inclusion proof (RFC 9162 §2.1.3): from the leaf up. ``checkpoint``: the signed note."""

    record: int
    size: int
    leaf_hash: str
    root: str
    hashes: list[str]
    checkpoint: str


class ConsistencyQuery(Request, frozen=True, kw_only=True):
    """Two sizes, the smaller first."""

    old: Index
    new: Index | None = None


class Consistency(Answer, frozen=True, kw_only=True):
    """A consistency proof (RFC 9162 §2.1.4) between two sizes of the log."""

    old: int
    new: int
    old_root: str
    new_root: str
    hashes: list[str]
    checkpoint: str


class MakePacket(Request, frozen=True, kw_only=True):
    """Prove a period: days are included, the moment of ``to`` is not. Empty lists: everything."""

    start: MomentText = msgspec.field(name="from")
    end: MomentText = msgspec.field(name="to")
    targets: Annotated[list[TargetText], Meta(max_length=1_000)] = msgspec.field(
        default_factory=list
    )
    kinds: Annotated[list[KindText], Meta(max_length=100)] = msgspec.field(default_factory=list)


class Packet(JobView, frozen=True, kw_only=True):
    """A packet that was asked for. ``url`` fetches it, without more, until ``url_expires_at``.

    ``sha256`` names it: the digest of its manifest. ``file_sha256``: of the file as a whole.
    """

    start: str = msgspec.field(name="from")
    end: str = msgspec.field(name="to")
    targets: list[str] = msgspec.field(default_factory=list)
    kinds: list[str] = msgspec.field(default_factory=list)
    verdict: str | None = None
    sha256: str | None = None
    file_sha256: str | None = None
    size_bytes: int | None = None
    records: int | None = None
    url: str | None = None
    url_expires_at: str | None = None


class Packets(Answer, frozen=True, kw_only=True):
    """Packets that were asked for, the newest first."""

    items: list[Packet]
    next: str | None = None
