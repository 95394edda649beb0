"""Timers: the port to whatever wakes the broker when a lease is to end. Pure.

A timer is a help and not a promise: a sweep looks at every lease again and again, and ends what no
timer came for. So timers may come late, twice, for leases that are over, or never.
"""

from __future__ import annotations

import re
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final, Protocol

from chalicelib.kernel import canon
from chalicelib.kernel.clock import parse_timestamp
from chalicelib.kernel.errors import Malformed, StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Collection
    from datetime import datetime

    from chalicelib.access.grantor import Credential, Grantor, Terms
    from chalicelib.access.plan import Plan

VERSION: Final = 1
MAX_BYTES: Final = 512
_LEASE: Final = re.compile(r"[a-z0-9][a-z0-9._-]{0,62}\.[a-z2-9]{12}")  # a request's id


class Timers(Protocol):
    """One timer a lease, by the lease's id. All of it can be done again."""

    def wake(self, lease: str, at: datetime) -> None:
        """Wake the broker for it at that moment, and at no other that was said before.

        A moment that has passed is now. Raises: StoreUnavailable: then it may come or not.
        """
        ...

    def forget(self, lease: str) -> None:
        """Do not wake for it; none being there is fine. Raises: StoreUnavailable."""
        ...


class NoTimers:
    """Implements ``Timers`` where a sweep alone ends leases, as on one machine."""

    def wake(self, lease: str, at: datetime) -> None:
        """Nothing."""

    def forget(self, lease: str) -> None:
        """Nothing."""


class TimedGrantor:
    """Implements ``Grantor`` over another one: each lease that it makes has a timer at its end.

    The timer is set before the lease is made, so that no crash in between leaves one without. Where
    it cannot be set, the lease is made all the same: the sweep ends it.
    """

    def __init__(self, inner: Grantor, timers: Timers) -> None:
        self._inner = inner
        self._timers = timers

    def plan(self, terms: Terms) -> Plan:
        """As the other's."""
        return self._inner.plan(terms)

    def issue(self, plan: Plan, terms: Terms) -> Credential:
        """As the other's."""
        self._wake(terms)
        return self._inner.issue(plan, terms)

    def refresh(self, terms: Terms) -> Credential:
        """As the other's."""
        return self._inner.refresh(terms)

    def extend(self, terms: Terms) -> None:
        """As the other's."""
        self._wake(terms)
        self._inner.extend(terms)

    def end(self, terms: Terms, step: Callable[[str], None]) -> dict[str, Any]:
        """As the other's."""
        found = self._inner.end(terms, step)
        if _LEASE.fullmatch(terms.lease):  # an orphan may be called anything
            with suppress(StoreUnavailable):  # it comes for a lease that is over
                self._timers.forget(terms.lease)
        return found

    def orphans(self, known: Collection[str]) -> list[Terms]:
        """As the other's."""
        return self._inner.orphans(known)

    def _wake(self, terms: Terms) -> None:
        with suppress(StoreUnavailable):  # the sweep ends it
            self._timers.wake(terms.lease, parse_timestamp(terms.until))


def encode(lease: str) -> bytes:
    """What a timer says when it comes. Raises: ValueError, for what is no lease's id."""
    if not _LEASE.fullmatch(lease):
        raise ValueError(f"not a lease's id: {lease[:100]!r}")
    return canon.encode({"v": VERSION, "lease": lease})


def decode(message: bytes) -> str:
    """The lease that a timer came for. Raises: Malformed, for what :func:`encode` did not write."""
    if len(message) > MAX_BYTES:
        raise Malformed(f"not a timer's message: {len(message)} bytes")
    found: Any = canon.decode(message)
    lease = found.get("lease") if isinstance(found, dict) else None
    if not isinstance(lease, str) or not _LEASE.fullmatch(lease) or message != encode(lease):
        raise Malformed("not a timer's message: it names no lease, or more than one")
    return lease
