"""Verdict: what a verification of a packet says, and what it rests on."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import msgspec

from chalicelib.evidence import personal
from chalicelib.kernel.errors import Malformed

if TYPE_CHECKING:
    from collections.abc import MutableMapping

    from chalicelib.evidence.manifest import Manifest
    from chalicelib.evidence.timestamp import Stamp
    from chalicelib.kernel.errors import Fork
    from chalicelib.kernel.record import Entry


class Answer(enum.Enum):
    """What verification says; the value is the exit code's name for people."""

    VERIFIED = "VERIFIED"
    UNWITNESSED = "UNWITNESSED"  # all holds, but the quorum of the trust policy is not met
    FAILED = "FAILED"

    @property
    def exit_code(self) -> int:
        """0, 3 or 1."""
        return {Answer.VERIFIED: 0, Answer.UNWITNESSED: 3, Answer.FAILED: 1}[self]


class Erasure(msgspec.Struct, frozen=True):
    """That a person's values under one key can no longer be read: by whom, when, and why.

    ``values``: how many of them are in the packet.
    """

    subject: str
    key: str
    values: int
    at: str
    by: str
    reason: str
    record: int


class Fault(msgspec.Struct, frozen=True):
    """Why a packet does not hold: the step, the file, the leaf (index in the log) if it is one."""

    step: int
    file: str
    reason: str
    leaf: int | None = None


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """The answer, and what it rests on. ``fault`` is there exactly where it is FAILED.

    ``fork``: both notes and the failed proof, where two checkpoints do not extend each other.
    ``gaps``: every UNOBSERVED stretch, as in ``coverage.json``. ``witnesses``: who cosigned, and
    when. ``sealed``: how many values in chosen leaves are not erased, by
    subject and key; ``erased``: those that are gone.
    ``unchecked``: what could not be looked at, e.g. timestamps without a trusted authority.
    """

    answer: Answer
    fault: Fault | None = None
    fork: Fork | None = None
    packet: str = ""
    manifest: Manifest | None = None
    gaps: list[list[str]] = field(default_factory=list)
    targets: list[dict[str, Any]] = field(default_factory=list)
    witnesses: dict[str, int] = field(default_factory=dict)
    timestamps: dict[int, list[Stamp]] = field(default_factory=dict)
    sealed: dict[tuple[str, str], int] = field(default_factory=dict)
    erased: list[Erasure] = field(default_factory=list)
    unchecked: list[str] = field(default_factory=list)


def erasure(entry: Entry, sealed: MutableMapping[tuple[str, str], int]) -> Erasure:
    """What a record says was erased; ``sealed`` has those values no more. Raises: Malformed."""
    try:
        said = msgspec.convert(entry.body, personal.Erased)
    except msgspec.ValidationError as error:
        raise Malformed(f"not an erasure: {error}") from None
    return Erasure(
        subject=said.subject,
        key=said.key,
        values=sealed.pop((said.subject, said.key), 0),
        at=entry.record.at,
        by=entry.record.actor.name,
        reason=said.reason,
        record=entry.index,
    )
