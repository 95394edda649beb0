"""Days of a log that have something of every kind of record, or too much of it."""

from __future__ import annotations

from evidence.parcel import at
from support.reports import ACCESS, CLOUD, FOUND, HOSTILE, SHOP, Tale, whole

WHO = {
    "certainty": "certain",
    "candidates": [
        {
            "principal": {"name": "mallory"},
            "event": "PutRolePolicy",
            "at": at(2, 11),
            "address": "192.0.2.7",
            "request_id": "r-1",
        }
    ],
}
QUERIES = [
    {"name": "settings", "sha256": "1" * 64, "rows": 398},
    {"name": "column", "sha256": "2" * 64, "rows": 18},
]
SYSTEM = {"database": "shop", "host": "db.example", "port": 5432, "user": "reader"}


def full():
    """:func:`support.reports.whole`, and what it has nothing of."""
    tale = whole()
    add = tale.add
    add("target.configured", SHOP, at(2, 16), {"env": "prod", "approvals": 2})
    add("target.removed", CLOUD, at(2, 16), {})
    tale.opened(SHOP, 16, "F-3", severity="critical", rule="grant.added", who=WHO)
    tale.opened(SHOP, 16, "F-4", severity="medium")
    add("finding.attributed", SHOP, at(2, 16, 5), {"id": "F-4", "who": WHO})
    tale.suppressed(SHOP, 16, "F-4")
    tale.opened(SHOP, 16, "F-5", severity="info")
    tale.baseline(SHOP, 17, "B-2", accepts=["F-5"])
    tale.closed(SHOP, 17, "F-5")
    tale.closed(SHOP, 17, "F-0")
    more = {
        "queries": QUERIES,
        "questions": "9" * 64,
        "system": SYSTEM,
        "findings": [["F-7", "open"]],
    }
    tale.scan(SHOP, 18, "drift", due=False, signed=4, **more)
    tale.scan(SHOP, 18, "refused", due=False)
    tale.asked(19, "L-3")
    add("access.amended", ACCESS, at(2, 19, 1), _wish("write"), "dora")
    tale.agreed(19, "L-3")
    add("access.denied", ACCESS, at(2, 19, 2), {"request": "L-3", "comment": "no"}, "chloe")
    tale.asked(20, "L-4")
    add("access.withdrawn", ACCESS, at(2, 20, 1), {"request": "L-4"}, "dora")
    tale.asked(20, "L-5")
    add("access.lapsed", ACCESS, at(2, 20, 2), {"request": "L-5"}, "broker")
    tale.asked(20, "L-6")
    tale.agreed(20, "L-6", by="dora")
    tale.issued(20, "L-6")
    _used("L-6", add)
    tale.reviewed(20, "L-6")
    tale.orphaned(21)
    tale.ended(21, "", role="hf_old")
    masks = {"masks_sha256": "3" * 64, "statements": 0, "statements_sha256": "4" * 64}
    masks |= {"sets": [], "columns": [], "unclassified": [["s", "t", "c"]], "rows": []}
    add("masking.applied", ACCESS, at(2, 21), masks | {"left_out": []})
    checked = {"request": "L-1", "profile": "read-masked", "held": 1, "leaked": 1, "untold": 0}
    attacks = [["a", "s.t", "held", ""], ["b", "s.t", "leaked", "a join"]]
    add("masking.checked", ACCESS, at(2, 21), checked | {"attacks": attacks})
    made = {"sha256": "8" * 64, "from": at(1), "to": at(2), "targets": [], "kinds": []}
    add("packet.made", "log", at(2, 22), made | {"records": 3}, "eve")
    for kind in ("log.restored", "hold.placed", "hold.released"):
        add(kind, "log", at(2, 22), {"hold": "H-1", "reason": "asked"})
    add("scan", SHOP, at(2, 23), {"outcome": "clean", "findings": 7, "scheduled_at": None})
    return tale


def _wish(profile):
    wish = {"request": "L-3", "profile": profile, "gives": {"masked": True}, "tables": []}
    wish |= {"seconds": 60, "ticket": "T", "reason": "r", "policies": []}
    return wish | {"obligations": {"approvals": 2}}


def _used(name, add):
    one = {"request": name}
    add("lease.refreshed", ACCESS, at(2, 20, 4), one, "dora")
    add("lease.renewal", ACCESS, at(2, 20, 5), one | {"seconds": 60}, "dora")
    add("lease.extended", ACCESS, at(2, 20, 6), one | {"until": at(2, 20, 40)}, "broker")
    add("lease.ending", ACCESS, at(2, 20, 7), one | {"why": "revoked"}, "dora")
    failed = one | {"step": "drop", "code": "busy", "message": "in use"}
    add("lease.unended", ACCESS, at(2, 20, 8), failed, "broker")


def hostile():
    """Every text that an attacker chooses is one of HOSTILE, a finding and a request each."""
    tale = Tale()
    for number, (name, text) in enumerate(HOSTILE.items()):
        body = FOUND | {"id": f"F-{name}", "severity": "low", "controls": {}}
        body |= dict.fromkeys(("name", "title", "attribute", "before", "rule"), text)
        tale.add("finding.opened", SHOP, at(2, 1), body)
        more = {"principal": text, "profile": text, "tables": [text], "reason": text}
        tale.asked(number + 2, f"L-{name}", **more)
        tale.issued(number + 2, f"L-{name}")
        system = {"user": text, "database": text}
        tale.failed(SHOP, number + 2, text)
        tale.scan(SHOP, number + 2, due=False, system=system, queries=[{"name": text, "rows": 0}])
    return tale


def crowd(count, size=500):
    """So many findings, in appends of ``size``."""
    tale = Tale()
    body = FOUND | {"severity": "low", "after": "b" * 200, "controls": {}}
    for first in range(0, count, size):
        rows = (
            (SHOP, "finding.opened", at(2, 1), body | {"id": f"F-{n}", "name": f"public.t{n}"})
            for n in range(first, min(first + size, count))
        )
        tale.archive.write(*rows)
    return tale
