"""Held: one request, and the lease that came of it, as the records of its stream say."""

from __future__ import annotations

import enum
from typing import Final

import msgspec

from chalicelib.access import obligation
from chalicelib.access.obligation import Obligations, Vote
from chalicelib.access.profile import Profile
from chalicelib.kernel import names
from chalicelib.kernel.personal import Concealed
from chalicelib.kernel.record import Actor


class Phase(enum.Enum):
    """How far a request is."""

    PENDING = "pending"
    APPROVED = "approved"
    ISSUING = "issuing"
    ACTIVE = "active"
    ENDING = "ending"
    ENDED = "ended"
    DENIED = "denied"
    WITHDRAWN = "withdrawn"
    LAPSED = "lapsed"

    @property
    def over(self) -> bool:
        """Whether nothing comes after it."""
        return self in _OVER


_OVER: Final = frozenset({Phase.ENDED, Phase.DENIED, Phase.WITHDRAWN, Phase.LAPSED})


class Ask(msgspec.Struct, frozen=True, kw_only=True):
    """What is asked for. ``tables``: as ``profile.Table`` shows them, sorted.

    ``gives``: what the profile was when it was asked for, and so what people agreed to.
    """

    profile: str
    gives: Profile
    tables: tuple[str, ...] = ()
    resources: tuple[str, ...] = ()
    seconds: int
    reason: str | Concealed
    ticket: str = ""


class Agreed(msgspec.Struct, frozen=True):
    """One person's approval. ``leaf``: hash of the record that they agreed to, hexadecimal."""

    by: Actor
    at: str
    index: int
    leaf: str
    groups: tuple[str, ...]

    @property
    def vote(self) -> Vote:
        """As it is counted."""
        return Vote(names.person(self.by.name), self.groups)


def _lacking(wanted: Obligations, approvals: list[Agreed]) -> tuple[int, tuple[str, ...]]:
    return obligation.lacking(wanted, [one.vote for one in approvals])


class Renewal(msgspec.Struct):
    """A later end that is asked for. ``leaf``: of its record, which approvals name."""

    seconds: int
    at: str
    leaf: str
    lapses_at: str
    obligations: Obligations
    approvals: list[Agreed]

    @property
    def lacking(self) -> tuple[int, tuple[str, ...]]:
        """As of :class:`Held`."""
        return _lacking(self.obligations, self.approvals)


class Denial(msgspec.Struct, frozen=True):
    """Who denied a renewal, for how long it was asked for, and what they said."""

    by: str
    at: str
    seconds: int
    comment: str | Concealed = ""


class Renewed(msgspec.Struct, frozen=True):
    """A renewal that was carried out: for how long it was asked for, and who had agreed."""

    seconds: int
    at: str
    approvals: list[Agreed]


class Reviewed(msgspec.Struct, frozen=True):
    """Who looked at a broken glass, and what they found."""

    by: str
    at: str
    comment: str | Concealed = ""


class Trouble(msgspec.Struct, frozen=True):
    """Why a lease could not be ended, and when it is tried again."""

    step: str
    code: str
    message: str
    at: str
    next_at: str
    attempts: int


class Lease(msgspec.Struct):
    """What was issued. ``why``: it ends or ended; ``claims``: how often its secret was given.

    ``record``: index of the ``lease.issuing`` record, which has the whole plan; ``scope``: the
    group role that the plan makes for its tables, or empty. ``sessions``: how many there still were
    when it ended, None where that is not known.
    """

    role: str
    profile: Profile
    plan: str
    at: str
    until: str
    record: int
    scope: str = ""
    issued_at: str = ""
    claims: int = 0
    claimed_at: str = ""
    why: str = ""
    ended_at: str = ""
    sessions: int | None = None
    trouble: Trouble | None = None


class Orphan(msgspec.Struct):
    """What a target had that was no lease which ran.

    ``lease``: the one that it says to be of, which anybody may have written.
    """

    role: str
    lease: str
    at: str
    trouble: Trouble | None = None


class Held(msgspec.Struct):
    """One request, and the lease that came of it.

    ``principal``: the requester's id, ``by`` whom its records name. ``leaf``: the hash of the
    record that has what is asked for, which approvals name; ``revision`` counts those. ``review``:
    ``""``, ``open`` or ``closed``. ``seed``: what makes the same request the
    same again. ``comment_kind``: of the record that has the comment. ``denied``: the renewal that
    was asked for last, where somebody denied it; ``renewed``: the last that was carried out.
    """

    id: str
    principal: str
    by: Actor
    at: str
    ask: Ask
    leaf: str
    index: int
    revision: int
    obligations: Obligations
    policies: tuple[str, ...]
    lapses_at: str
    phase: Phase = Phase.PENDING
    break_glass: bool = False
    approvals: list[Agreed] = []
    lease: Lease | None = None
    renewal: Renewal | None = None
    review: str = ""
    seed: str = ""
    closed_by: str = ""
    closed_at: str = ""
    comment: str | Concealed = ""
    comment_kind: str = ""
    denied: Denial | None = None
    renewed: Renewed | None = None
    reviewed: Reviewed | None = None

    def at_moment(self, now: str) -> Phase:
        """The phase at a moment: what has lapsed or run out is no more than that."""
        if self.phase in {Phase.PENDING, Phase.APPROVED} and self.lapses_at <= now:
            return Phase.LAPSED
        if self.phase is Phase.ACTIVE and self.lease is not None and self.lease.until <= now:
            return Phase.ENDING
        return self.phase

    @property
    def lacking(self) -> tuple[int, tuple[str, ...]]:
        """How many people still have to agree, and for which groups nobody stands."""
        return _lacking(self.obligations, self.approvals)

    @property
    def over(self) -> bool:
        """Whether nothing is left to do about it, the review included."""
        return self.phase.over and self.review != "open"
