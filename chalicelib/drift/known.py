"""What the last scan of a target left for the next: its mark, and the snapshot that it is of."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

import msgspec

from chalicelib.drift import approval
from chalicelib.drift.snapshot import recall
from chalicelib.drift.source import Known
from chalicelib.kernel.clock import timestamp
from chalicelib.kernel.errors import VerificationFailed

if TYPE_CHECKING:
    from datetime import datetime

    from chalicelib.drift.desk import Desk
    from chalicelib.drift.snapshot import Snapshot
    from chalicelib.drift.source import Reading
    from chalicelib.drift.state import Scanned, State

FULL_READING: Final = timedelta(days=1)  # everything is read again after this, marks or not


def known(desk: Desk, state: State, now: datetime) -> Known:
    """What a scan of this target that starts now may rely on. Nothing is fetched yet.

    Another program may write the same catalogue in other lines, and reads for itself.
    """
    last = state.last_scan
    if last is None or last.mark is None or last.program != desk.program():
        return Known(None, lambda: None)
    if last.mark.at <= timestamp(now - FULL_READING):
        return Known(None, lambda: None)
    return Known(last.mark, lambda: _stored(desk, last))


def marked(reading: Reading) -> dict[str, Any]:
    """The mark as it is recorded; with the scan that it is of, where this one took its objects."""
    said: dict[str, Any] = msgspec.to_builtins(reading.mark)
    return said if reading.kept else {key: said[key] for key in ("since", "sha256")}


def _stored(desk: Desk, last: Scanned) -> Snapshot | None:
    """The snapshot of the last scan; None, where the store has it no more, or another.

    Then everything is read, and storing that says what is wrong.
    """
    try:
        data = desk.objects.get(approval.snapshot_key(last.snapshot))
        return recall(data, sha256=last.snapshot, root=last.root)
    except VerificationFailed:
        return None
