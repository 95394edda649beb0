"""What the drift flow works with: a target, and the services that are passed in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from chalicelib.drift.explained import nothing
from chalicelib.drift.upgrade import untold
from chalicelib.drift.who import nobody

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from contextlib import AbstractContextManager

    from chalicelib.drift.explained import Explained
    from chalicelib.drift.judge import Rules
    from chalicelib.drift.opinion import SecondOpinion
    from chalicelib.drift.state import States
    from chalicelib.drift.upgrade import Renders
    from chalicelib.drift.who import Attributed
    from chalicelib.kernel.clock import Clock
    from chalicelib.kernel.record import Journal
    from chalicelib.kernel.signing import PublicKey, Signer
    from chalicelib.kernel.store import WriteOnce


class Trusted(Protocol):
    """Which keys count for which record."""

    def __call__(self, index: int, /) -> Mapping[str, PublicKey]:
        """The keys, by name, that may sign what the record at ``index`` is about."""
        ...


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


def _as_the_store_says(_kind: str) -> int:
    return 0


def _nobody(_target: Target) -> None:
    return None


@dataclass(frozen=True, slots=True)
class Desk:
    """The services of the drift flow.

    ``keyid`` names the signer's key. ``trusted(index)``: the keys by name, of which one must have
    signed the envelope that the record at ``index`` of the log is about. A former key of the log
    is among them only for records from its time. ``keep_days(kind)``: for how many days what
    records of a kind refer to is locked at least; 0: for as long as the store itself says.
    ``program()``: the digest over the program's source files, which scans name beside ``tool``.
    ``explained``: which changes are those of somebody's lease. ``opinion``: who else is asked what
    changes of a target's policies mean, if anybody is. ``attributed``: who made changes.
    ``renders``: whether definitions say the same in the words of two versions of a server.
    """

    journal: Journal
    objects: WriteOnce
    states: States
    locks: Locks
    clock: Clock
    signer: Signer
    keyid: str
    trusted: Trusted
    rules: Rules
    tool: str
    keep_days: Callable[[str], int] = _as_the_store_says
    program: Callable[[], str] = str
    explained: Explained = nothing
    opinion: Callable[[Target], SecondOpinion | None] = _nobody
    attributed: Attributed = nobody
    renders: Renders = untold
