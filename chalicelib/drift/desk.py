"""What the drift flow works with: a target, and the services that are passed in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping
    from contextlib import AbstractContextManager

    from chalicelib.drift.judge import Rules
    from chalicelib.drift.state import States
    from chalicelib.kernel.clock import Clock
    from chalicelib.kernel.record import Journal
    from chalicelib.kernel.signing import PublicKey, Signer
    from chalicelib.kernel.store import WriteOnce


class Locks(Protocol):
    """Mutual exclusion between processes."""

    def hold(self, name: str) -> AbstractContextManager[None]:
        """Hold ``name`` until the block ends or the process dies. Raises: Busy, at once."""
        ...


@dataclass(frozen=True, slots=True)
class Target:
    """Something that is watched, and how many people must sign for its state.

    ``approvers``: who may; empty means anybody but the proposer. ``configured``: whether it is in
    the settings, and can have a baseline.
    """

    slug: str
    kind: str = "postgres"
    env: str = ""
    approvals: int = 1
    approvers: tuple[str, ...] = ()
    configured: bool = True

    @property
    def stream(self) -> str:
        """The target's full name, which is also the name of its stream in the log."""
        return f"{self.kind}:{self.slug}"

    @property
    def lock(self) -> str:
        """The lock that whoever scans it, or changes what is signed for it, holds."""
        return f"target/{self.kind}/{self.slug}"


@dataclass(frozen=True, slots=True)
class Desk:
    """The services of the drift flow. ``keyid`` names the signer's key among ``trusted``."""

    journal: Journal
    objects: WriteOnce
    states: States
    locks: Locks
    clock: Clock
    signer: Signer
    keyid: str
    trusted: Mapping[str, PublicKey]
    rules: Rules
    tool: str
