"""The machine's clock, in UTC. The only place that reads it."""

from __future__ import annotations

import time
from datetime import UTC, datetime


class SystemClock:
    """Implements ``kernel.clock.Clock``."""

    def now(self) -> datetime:
        """The moment, timezone-aware, in microseconds."""
        return datetime.fromtimestamp(time.time(), tz=UTC)
