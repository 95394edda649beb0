"""The installation: what the service works with, as it is configured at a tick."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from chalicelib.drift.desk import Desk, Target
    from chalicelib.drift.schedule import Message
    from chalicelib.drift.source import Source


@dataclass(frozen=True, slots=True)
class Installation:
    """What is configured at a tick.

    ``targets``, and ``places`` (their database hosts, where known), by the targets' full names.
    ``open_source(target, seconds)`` is the reader of a target that takes at most so long; it may
    raise CouldNotTell and UsageError. ``other(message, desk, dead)`` does a message that is no
    order, and gives the lines to be told of it; None, for an order.
    """

    desk: Desk
    targets: Mapping[str, Target]
    places: Mapping[str, str]
    open_source: Callable[[Target, float], Source]
    settings_sha256: str
    other: Callable[[Message, Desk, bool], list[dict[str, Any]] | None] | None = None
