"""What other records explain: changes that are somebody's lease, and so no findings.

This flow knows no leases. The port says of a change whose it is; what is explained is counted in
the scan's record, and stays in its snapshot.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final, Protocol

from chalicelib.drift.diff import diff
from chalicelib.drift.snapshot import build
from chalicelib.kernel.errors import NotAllowed

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from chalicelib.drift.desk import Desk, Target
    from chalicelib.drift.diff import Change
    from chalicelib.drift.snapshot import Snapshot
    from chalicelib.drift.source import Reading

MAX_SHOWN: Final = 3  # objects that an error names


class Explanation(Protocol):
    """What is explained of one reading of a target."""

    def explains(self, change: Change, /) -> str:
        """The id of the lease that a change is of, or ``""``. Raises: as a journal's reading."""
        ...

    def roles(self) -> Mapping[str, str]:
        """Roles that are there for a lease and for no longer, each with the lease's id."""
        ...


class Explained(Protocol):
    """Who explains changes."""

    def __call__(self, target: Target, reading: Reading, since: str, /) -> Explanation:
        """What is explained of a reading that began at ``since`` (as ``kernel.clock``).

        It is asked for after the reading, so that whatever was recorded before what was read was
        made is known.
        """
        ...


class _Nothing:
    def explains(self, _change: Change, /) -> str:
        return ""

    def roles(self) -> Mapping[str, str]:
        return {}


def nothing(_target: Target, _reading: Reading, _since: str, /) -> Explanation:
    """Nothing is explained: every change is a finding."""
    return _Nothing()


def split(
    changes: Iterable[Change], explanation: Explanation
) -> tuple[list[Change], dict[str, int]]:
    """The changes that nothing explains, and how many each lease explains of the others."""
    left = []
    counts: Counter[str] = Counter()
    for change in changes:
        lease = explanation.explains(change)
        if lease:
            counts[lease] += 1
        else:
            left.append(change)
    return left, dict(sorted(counts.items()))


def lasting(
    desk: Desk, target: Target, taken: Snapshot, reading: Reading, since: str
) -> tuple[Snapshot, dict[str, int]]:
    """What is there without the leases, for people to sign for; how many objects each one has.

    Raises: NotAllowed, where a lease's role has more than its lease gives it, or its lease is over:
    nobody signs for what is to go with a lease.
    """
    explanation = desk.explained(target, reading, since)
    objects = dict(taken.objects)
    counts: Counter[str] = Counter()
    for change in diff(build([]), taken):
        lease = explanation.explains(change)
        if lease:
            counts[lease] += 1
            del objects[change.key]
    names = {role.encode(): lease for role, lease in explanation.roles().items()}
    found = [
        (key, lease)
        for key in objects
        for name, lease in names.items()
        if name in taken.objects[key].line
    ]
    if found:
        shown = ", ".join(f"{kind} {name}" for (kind, name), _ in found[:MAX_SHOWN])
        leases = sorted({lease for _, lease in found})
        raise NotAllowed(
            f"{len(found)} objects belong to roles of leases and are not what the leases give: "
            f"{shown}",
            next_step=f"end {', '.join(leases[:MAX_SHOWN])} first: holdfast revoke {leases[0]}",
        )
    return build(objects.values()), dict(sorted(counts.items()))
