"""Kinds: what records there are. A verifier vouches for none whose meaning it does not know."""

from __future__ import annotations

from typing import Final

KINDS: Final = frozenset(
    {
        *("log.opened", "log.restored", "log.rotated", "period.closed", "packet.made"),
        *("hold.placed", "hold.released", "personal.erased", "evidence.read"),
        *("target.configured", "target.removed", "schedule.dispatched", "scan", "scan.missed"),
        *("finding.opened", "finding.closed", "finding.suppressed", "finding.attributed"),
        *("baseline.proposed", "baseline.approved", "baseline.signed"),
        *("access.requested", "access.amended", "access.approved", "access.denied"),
        *("access.withdrawn", "access.lapsed", "access.reviewed"),
        *("lease.issuing", "lease.issued", "lease.refreshed", "lease.renewal", "lease.extended"),
        *("lease.ending", "lease.unended", "lease.ended", "lease.orphaned"),
        *("masking.applied", "masking.checked"),
    }
)
ACCESS: Final = "access"  # the beginning of streams that have a target's requests and leases


def access_stream(slug: str) -> str:
    """The stream of a target's requests and leases, beside that of its scans."""
    return f"{ACCESS}:{slug}"
