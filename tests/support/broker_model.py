"""What the records of requests and leases may be, said anew: a model for the broker's machine.

It reads the records as the log has them, one by one, and refuses those that no broker may write. It
knows nothing of how the broker works them out; who has to agree it finds by trying everybody.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from datetime import timedelta

from chalicelib.kernel import merkle, names
from chalicelib.kernel.clock import parse_timestamp, timestamp

OPEN = ("pending", "approved", "issuing", "active", "ending")


def enough(approvals, groups, votes):
    """Whether these votes, groups by name, are all that is asked for; every seating is tried."""
    if len(votes) < max(approvals, len(groups)):
        return False
    return any(
        all(group in votes[name] for group, name in zip(groups, seated, strict=True))
        for seated in itertools.permutations(votes, len(groups))
    )


def after(at, seconds):
    return timestamp(parse_timestamp(at) + timedelta(seconds=seconds))


@dataclass
class Wanted:
    """What somebody agrees to: a request, or a renewal."""

    leaf: str
    approvals: int
    groups: tuple
    most: int | None
    lapses_at: str
    seconds: int
    votes: dict = field(default_factory=dict)

    @property
    def done(self):
        return enough(self.approvals, self.groups, self.votes)


@dataclass
class Request:
    id: str
    requester: str
    wanted: Wanted
    break_glass: bool
    phase: str = "pending"
    role: str = ""
    until: str = ""
    began_at: str = ""
    issued: bool = False
    renewal: Wanted | None = None
    review: bool = False

    def now(self, moment):
        """The phase at a moment."""
        if self.phase in {"pending", "approved"} and self.wanted.lapses_at <= moment:
            return "lapsed"
        if self.phase == "active" and self.until <= moment:
            return "ending"
        return self.phase

    def open(self, moment):
        """What waits for people."""
        if self.renewal is not None and self.now(moment) == "active":
            return self.renewal
        return self.wanted if self.now(moment) == "pending" else None

    @property
    def own(self):
        """The name that no approval of it counts by: agents have their kind before it."""
        kind, _, name = self.requester.partition(":")
        return names.person(name) if kind == "person" else self.requester

    @property
    def deadlines(self):
        found = [self.wanted.lapses_at] if self.phase in {"pending", "approved"} else []
        return found + ([self.until] if self.phase == "active" else [])


class Model:
    """``learn(entries)`` takes records in; what may not be is an AssertionError."""

    def __init__(self):
        self.requests = {}
        self.roles = {}  # by whom they were recorded, before anything was done
        self.orphaned = set()
        self.seq = 0

    def learn(self, entries):
        for entry in entries:
            assert entry.record.seq == self.seq + 1
            self.seq += 1
            kind = entry.record.kind.replace(".", "_")
            request = self.requests.get(entry.body["request"])
            getattr(self, f"_{kind}")(entry, request)

    def _access_requested(self, entry, request):
        assert request is None, "an id is used once"
        found = Request(
            entry.body["request"],
            entry.body["principal"],
            _wanted(entry),
            entry.body["break_glass"],
        )
        if found.wanted.done:
            found.phase = "approved"
        self.requests[found.id] = found

    def _access_amended(self, entry, request):
        assert request.now(entry.record.at) in {"pending", "approved"}
        assert entry.record.actor.name in request.requester
        assert not request.break_glass
        request.wanted = _wanted(entry)
        request.phase = "approved" if request.wanted.done else "pending"

    def _access_approved(self, entry, request):
        self._decided(entry, request)
        wanted = request.open(entry.record.at)
        assert wanted is not None, "nothing waited for anybody"
        assert entry.body["leaf"] == wanted.leaf, "agreed to something else"
        name = names.person(entry.record.actor.name)
        assert name not in wanted.votes, "counted twice"
        wanted.votes[name] = set(entry.body["groups"])
        if wanted is request.wanted and wanted.done:
            request.phase, wanted.lapses_at = "approved", entry.body["lapses_at"]

    def _access_denied(self, entry, request):
        self._decided(entry, request)
        if entry.body["renewal"]:
            request.renewal = None
        else:
            assert request.now(entry.record.at) in {"pending", "approved"}
            request.phase = "denied"

    def _access_withdrawn(self, entry, request):
        assert request.now(entry.record.at) in {"pending", "approved"}
        request.phase = "withdrawn"

    def _access_lapsed(self, entry, request):
        assert request.now(entry.record.at) == "lapsed"
        request.phase = "lapsed"

    def _access_reviewed(self, entry, request):
        self._decided(entry, request)
        assert request.break_glass
        assert request.review
        assert request.phase == "ended"
        request.review = False

    def _lease_issuing(self, entry, request):
        assert request.now(entry.record.at) == "approved"
        assert request.wanted.done
        assert entry.body["role"] not in self.roles
        request.phase, request.role = "issuing", entry.body["role"]
        request.until, request.began_at = entry.body["until"], entry.record.at
        request.review = request.break_glass
        assert request.until <= after(entry.record.at, request.wanted.seconds)
        self.roles[request.role] = request.id

    def _lease_issued(self, entry, request):
        assert request.phase == "issuing"
        assert entry.body["role"] == request.role
        assert entry.record.at < request.until
        request.phase, request.issued = "active", True

    def _lease_refreshed(self, entry, request):
        assert request.now(entry.record.at) == "active"

    def _lease_renewal(self, entry, request):
        assert request.now(entry.record.at) == "active"
        assert not request.break_glass
        request.renewal = _wanted(entry)

    def _lease_extended(self, entry, request):
        assert request.now(entry.record.at) == "active"
        assert request.renewal.done
        most = request.renewal.most or 28_800
        assert request.until <= entry.body["until"] <= after(request.began_at, most)
        request.until, request.renewal = entry.body["until"], None

    def _lease_ending(self, entry, request):
        at, why = entry.record.at, entry.body["why"]
        assert request.phase in {"issuing", "active"}
        assert (why == "expired") <= (request.phase == "active" and request.until <= at)
        request.phase, request.renewal = "ending", None

    def _lease_unended(self, entry, request):
        assert request is None or request.phase == "ending"
        assert request is not None or entry.body["role"] in self.orphaned

    def _lease_ended(self, entry, request):
        if request is None:
            assert entry.body["role"] in self.orphaned
            return
        assert request.phase == "ending"
        assert request.issued or entry.record.at >= request.began_at
        request.phase = "ended"

    def _lease_orphaned(self, entry, _request):
        role = entry.body["role"]
        owner = self.requests.get(self.roles.get(role, ""))
        assert owner is None or owner.phase == "ended", "a lease that runs was taken for an orphan"
        self.orphaned.add(role)

    def _decided(self, entry, request):
        actor = entry.record.actor.name
        assert not actor.startswith("agent:"), "only people decide"
        assert names.person(actor) != request.own, "their own"


def _wanted(entry):
    wants = entry.body["obligations"]
    return Wanted(
        leaf=merkle.leaf_hash(entry.leaf).hex(),
        approvals=wants["approvals"],
        groups=tuple(wants["groups"]),
        most=wants["max_seconds"],
        lapses_at=entry.body["lapses_at"],
        seconds=entry.body["seconds"],
    )
