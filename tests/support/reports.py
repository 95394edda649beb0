"""Small packets for reports: scans, findings, baselines, leases, of one day, as bodies say them.

A ``Tale`` is a log in memory. Its methods record one thing each, at an hour of the day, and give
the record's index; ``book`` makes a packet of the day, verifies it, and opens it. A day is closed
by its first packet.
"""

from __future__ import annotations

import io
from contextlib import contextmanager

from evidence.parcel import DAY, NOW, ORIGIN, Archive, at, believing
from support import packets

from chalicelib.drift import rulebook
from chalicelib.evidence import trust, verified
from chalicelib.kernel.record import Actor, Draft
from chalicelib.render import book as books

SHOP, CLOUD, ACCESS = "postgres:shop", "iam:prod", "access:shop"
HOSTILE = {
    "markup": "<script>alert(1)</script> [x](javascript:alert(1)) `*_{{ 7*7 }}_*` https://x.example",
    "turned": "a\u202eb\u2066c\u2069\u200fd\u2028e\u0085f",
    "emoji": "\U0001f469\u200d\U0001f4bb \u2764\ufe0f",
    "nul": "a\0b\r\n\tc",
    "long": "\u00e4\U0001f600" * 5_000,
    "formula": '=HYPERLINK("https://x.example")',
    "spaces": " \u00a0x ",
}

FOUND = {"operation": "altered", "kind": "table", "name": "public.t", "attribute": "owner"}
FOUND |= {
    "direction": "neutral",
    "rule": "r",
    "title": "Owner changed",
    "before": "a",
    "after": "b",
}
FOUND |= {"when": {"not_before": at(2), "not_after": at(2, 3)}}


def controls(*sets):
    """What the record of a finding says of these sets of controls.toml."""
    known = rulebook.controls().sets
    found = {}
    for name in ("drift", *sets):
        for framework in known[name].__struct_fields__[1:]:
            ids = found.setdefault(framework, [])
            ids += [one for one in getattr(known[name], framework) if one not in ids]
    return found


class Tale:
    """One day of a log: 2 October 2026."""

    def __init__(self, archive=None):
        self.archive = archive or Archive()
        self.add("log.opened", "log", at(1), {"origin": ORIGIN})

    def add(self, kind, stream, when, body, by="ana"):
        (entry,) = self.archive.log.append([Draft(kind, stream, when, Actor(by, "os"), body)])
        return entry.index

    def configured(self, target=SHOP):
        body = {"env": "prod", "approvals": 2}
        return self.add("target.configured", target, at(2), body)

    def tick(self, hour, *targets):
        body = {
            "scheduled_at": at(2, hour),
            "deadline_at": at(2, hour + 6),
            "targets": len(targets),
        }
        body |= {"due": list(targets), "previous": None}
        return self.add("schedule.dispatched", "schedule", at(2, hour), body, "schedule")

    def scan(self, target, hour, outcome="clean", *, due=True, signed=None, findings=(), **more):
        body = {"outcome": outcome, "scheduled_at": at(2, hour) if due else None}
        body |= {"started_at": at(2, hour, 1), "signed": signed, "baseline": signed and "B-1"}
        body |= {"required": 1, "queries": [{"rows": 3}], "system": {"user": "reader"}}
        taken = {"sha256": "5" * 64, "root": "6" * 64, "objects": 7, "read_at": at(2, hour, 1)}
        body |= {"snapshot": None if outcome == "unknown" else taken, "opened": 0, "closed": []}
        body |= {"findings": [list(one) for one in findings], **more}
        return self.add("scan", target, at(2, hour, 2), body)

    def failed(self, target, hour, words="no route"):
        failure = {"code": "unreachable", "message": words}
        return self.scan(target, hour, "unknown", failure=failure)

    def missed(self, target, hour):
        body = {"scheduled_at": at(2, hour), "deadline_at": at(2, hour + 6)}
        return self.add("scan.missed", target, at(2, hour + 6), body)

    def opened(self, target, hour, which="F-1", /, *, sets=(), **more):
        body = FOUND | {"id": which, "severity": "low", "controls": controls(*sets), **more}
        return self.add("finding.opened", target, at(2, hour, 2), body)

    def closed(self, target, hour, name="F-1"):
        return self.add("finding.closed", target, at(2, hour, 3), {"id": name})

    def suppressed(self, target, hour, name="F-1", until=None):
        body = {"id": name, "until": until or at(20), "reason": "known"}
        return self.add("finding.suppressed", target, at(2, hour, 3), body, "ben")

    def baseline(self, target, hour, name="B-1", *, accepts=()):
        """Proposed by ana, approved by ben, signed: the index of the last."""
        taken = {"sha256": "5" * 64, "root": "6" * 64, "objects": 7, "read_at": at(2, hour)}
        body = {"proposal": name, "snapshot": taken, "accepts": list(accepts), "required": 1}
        self.add("baseline.proposed", target, at(2, hour), body | {"comment": ""})
        body = {"proposal": name, "root": taken["root"], "comment": ""}
        self.add("baseline.approved", target, at(2, hour, 1), body, "ben")
        body = {"proposal": name, "approved_by": ["ben"], "envelope": "e" * 64}
        return self.add("baseline.signed", target, at(2, hour, 2), body, "ben")

    def asked(self, hour, name="L-1", *, by="dora", break_glass=False, **more):
        body = {"request": name, "principal": f"person:{by}", "break_glass": break_glass}
        body |= {"profile": "read-clear", "gives": {"masked": False}, "tables": ["public.t"]}
        body |= {"seconds": 600, "ticket": "", "reason": "a bug", "policies": ["p"]}
        body |= {"obligations": {"approvals": 1}, **more}
        return self.add("access.requested", ACCESS, at(2, hour), body, by)

    def agreed(self, hour, name="L-1", by="ben"):
        return self.add("access.approved", ACCESS, at(2, hour, 1), {"request": name}, by)

    def issued(self, hour, name="L-1", *, until=None):
        body = {"request": name, "role": f"hf_{name}", "sha256": "7" * 64}
        body |= {"until": until or at(2, hour, 20)}
        self.add("lease.issuing", ACCESS, at(2, hour, 2), body, "dora")
        return self.add("lease.issued", ACCESS, at(2, hour, 3), {"request": name}, "broker")

    def ended(self, hour, name="L-1", *, left=0, role=""):
        body = {"request": name, "role": role or f"hf_{name}", "why": "expired"}
        body |= {"proof": {"verified": {"pg_roles": left}, "sessions_ended": 1}}
        return self.add("lease.ended", ACCESS, at(2, hour, 30), body, "broker")

    def reviewed(self, hour, name="L-1", by="chloe"):
        body = {"request": name, "comment": "right"}
        return self.add("access.reviewed", ACCESS, at(2, hour, 40), body, by)

    def orphaned(self, hour, role="hf_old"):
        body = {"request": "gone", "role": role, "why": "orphaned"}
        return self.add("lease.orphaned", ACCESS, at(2, hour), body, "broker")

    def checked(self, hour, leaked=0):
        attack = [["pg_stats", "public.t", "held", ""]]
        body = {"request": "L-1", "profile": "read-masked", "held": 3, "leaked": leaked}
        return self.add(
            "masking.checked", ACCESS, at(2, hour), body | {"untold": 0, "attacks": attack}
        )

    def read(self, hour, by="eve"):
        body = {"what": "findings", "asked": {}, "request": ""}
        return self.add("evidence.read", "reads", at(2, hour), body, by)

    def many(self, target, names, **more):
        """Findings of these names, in batches, which is faster."""
        body, names = FOUND | {"severity": "low", "controls": controls(), **more}, list(names)
        for first in range(0, len(names), 200):
            some = [body | {"id": name} for name in names[first : first + 200]]
            self.archive.log.append(
                [Draft("finding.opened", target, at(2, 3), Actor("ana", "os"), one) for one in some]
            )

    @contextmanager
    def book(self, *, policy=None, **asked):
        """The packet's book. ``asked``: targets and kinds."""
        data = io.BytesIO(self.archive.packet(DAY, **asked))
        held = verified.read(data, policy or self.archive.policy, now=NOW, checker=believing)
        with books.opened(held) as found:
            yield found


def whole():
    """A day on which something of everything happened, and not all of it was as it should be."""
    tale = Tale()
    signed = tale.baseline(SHOP, 0)
    tale.tick(0, SHOP, CLOUD)
    tale.opened(SHOP, 0, "F-1", sets=("access",), severity="high")
    tale.scan(SHOP, 0, "drift", signed=signed, findings=[("F-1", "open"), ("F-0", "open")])
    tale.opened(CLOUD, 0, "F-2")
    tale.scan(CLOUD, 0, "drift", signed=signed, findings=[("F-2", "open")])
    tale.suppressed(CLOUD, 1, "F-2")
    tale.tick(6, SHOP, CLOUD)
    tale.failed(SHOP, 6)
    tale.missed(CLOUD, 6)
    tale.tick(12, SHOP, CLOUD)
    tale.scan(SHOP, 12, signed=signed)
    tale.closed(SHOP, 12, "F-1")
    tale.scan(CLOUD, 12, signed=signed)
    tale.tick(18, SHOP, CLOUD)
    tale.scan(SHOP, 18, signed=signed)
    tale.scan(CLOUD, 18, signed=signed)
    tale.asked(13)
    tale.agreed(13)
    tale.issued(13)
    tale.ended(13)
    tale.asked(14, "L-2", break_glass=True)
    tale.issued(14, "L-2")
    tale.ended(14, "L-2", left=2)
    tale.read(15)
    return tale


def unwitnessed(archive):
    """A trust policy that asks for a witness, who has seen nothing of the log."""
    text = f"log {archive.verifier}\nwitness north {packets.vkey(packets.NORTH)}\nquorum north\n"
    return trust.parse(text.encode())
