"""Kinds: what records there are. A verifier vouches for none whose meaning it does not know."""

from __future__ import annotations

from typing import Final

KINDS: Final = frozenset(
    {
        *("log.opened", "log.restored", "log.rotated", "period.closed", "packet.made"),
        *("hold.placed", "hold.released", "personal.erased", "evidence.read"),
        *("target.configured", "schedule.dispatched", "scan", "scan.missed"),
        *("finding.opened", "finding.closed", "finding.suppressed"),
        *("baseline.proposed", "baseline.approved", "baseline.signed"),
    }
)
