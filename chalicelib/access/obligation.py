"""Obligations: what a policy that permits a lease wants done first, and whether it was done.

They are annotations of the permits. Where several permit, every one of them counts: the most
approvals, the groups of all, the shortest lease.

1. ``@approvals("2")``: so many distinct people agree. Without it, one does; ``"0"``: nobody has to.
2. ``@approvers("dba,security")``: of each group somebody agrees, and one person stands for one.
3. ``@max("1h")``: no longer than that, with all renewals.

Cedar knows nothing of them, so one that is misspelt, or stands where it says nothing, would only
weaken what somebody meant: such a policy is refused (:func:`check`).
"""

from __future__ import annotations

import difflib
import itertools
import re
from typing import TYPE_CHECKING, Final

import msgspec

from chalicelib.access.question import Action
from chalicelib.kernel import names
from chalicelib.kernel.errors import ConfigError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from chalicelib.access.clause import Clause

DEFAULT_APPROVALS: Final = 1
MAX_APPROVALS: Final = 10
MAX_GROUPS: Final = 10
MAX_SECONDS: Final = 7 * 86_400
_LENGTH: Final = re.compile(r"([1-9][0-9]{0,5})([smhd])")
_UNITS: Final = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}
_APPROVALS: Final = re.compile(r"0|[1-9][0-9]?")
_NAMES: Final = ("approvals", "approvers", "max")
_NEXT_STEP: Final = "docs/policy.md, Leases and obligations"


class Obligations(msgspec.Struct, frozen=True, kw_only=True):
    """``approvals``: distinct people. ``groups``: of each of which one agrees, sorted.

    ``max_seconds``: of the lease, None where no policy says.
    """

    approvals: int = DEFAULT_APPROVALS
    groups: tuple[str, ...] = ()
    max_seconds: int | None = None

    @property
    def people(self) -> int:
        """How many people it takes at least."""
        return max(self.approvals, len(self.groups))


class Vote(msgspec.Struct, frozen=True):
    """One person's agreement. ``groups``: those of theirs that are asked for."""

    name: str
    groups: tuple[str, ...]


def seconds(text: str) -> int:
    """``90s``, ``30m``, ``8h`` or ``2d`` in seconds, at most MAX_SECONDS. Raises: UsageError."""
    found = _LENGTH.fullmatch(text.strip())
    length = int(found[1]) * _UNITS[found[2]] if found else 0
    if not 0 < length <= MAX_SECONDS:
        raise UsageError(
            f"not a length of time up to 7d: {text[:20]!r}",
            next_step="for example 30m; seconds are s, minutes m, hours h, days d",
        )
    return length


def read(annotations: Mapping[str, str]) -> Obligations:
    """The obligations of one policy. Raises: UsageError, for what cannot be used as written."""
    approvals = annotations.get("approvals", str(DEFAULT_APPROVALS))
    if not _APPROVALS.fullmatch(approvals) or int(approvals) > MAX_APPROVALS:
        raise UsageError(f"@approvals({approvals[:20]!r}): expected 0 to {MAX_APPROVALS}")
    groups = _groups(annotations["approvers"]) if "approvers" in annotations else ()
    longest = None
    if "max" in annotations:
        try:
            longest = seconds(annotations["max"])
        except UsageError as error:
            raise UsageError(f"@max: {error.message}", next_step=error.next_step) from error
    return Obligations(approvals=int(approvals), groups=groups, max_seconds=longest)


def check(clause: Clause) -> None:
    """Return if a policy's obligations say what they do. Raises: ConfigError, naming the policy."""
    where = f"{clause.file}, line {clause.line}, policy {clause.id}"
    try:
        read(clause.annotations)
    except UsageError as error:
        raise ConfigError(
            f"{where}: {error.message}", next_step=error.next_step or _NEXT_STEP
        ) from error
    wrong = _without_effect(clause)
    if not wrong and any(clause.can_permit(one) for one in Action if one.obliges):
        wrong = _misspelt(clause.annotations)
    if wrong:
        raise ConfigError(f"{where}: {wrong}", next_step=_NEXT_STEP)


def _without_effect(clause: Clause) -> str:
    """What is wrong with obligations that nobody would ever be held to; empty, if nothing is."""
    found = [name for name in _NAMES if name in clause.annotations]
    if not found:
        return ""
    if clause.effect != "permit":
        return f"@{found[0]} on a forbid says nothing: what is forbidden takes no approval"
    if not any(clause.can_permit(one) for one in Action if one.obliges):
        permits = " or ".join(one.value for one in Action if one.obliges)
        return f"@{found[0]} says nothing here: expected on a policy that permits {permits}"
    wanted = read({name: clause.annotations[name] for name in found if name != "max"})
    asked = {"approvals", "approvers"} & set(found)
    if asked and wanted.people and not clause.can_permit(Action.LEASE_REQUEST):
        return f"@{min(asked)} says nothing here: a broken glass waits for nobody"
    return ""


def _misspelt(annotations: Iterable[str]) -> str:
    """What is wrong with an annotation that looks like an obligation and is none."""
    for name in annotations:
        folded = name.casefold()
        near = difflib.get_close_matches(folded, _NAMES, 1)
        if not near and "approv" in folded:
            near = difflib.get_close_matches(folded, _NAMES[:2], 1, 0)
        if not near and "max" in folded:
            near = ["max"]
        if near and name not in _NAMES:
            return f"@{name[:40]} is no obligation; did you mean @{near[0]}?"
    return ""


def _groups(text: str) -> tuple[str, ...]:
    """The groups of ``dba,security``, sorted. Raises: UsageError."""
    try:
        found = sorted(names.person(one) for one in text.split(","))
    except UsageError as error:
        raise UsageError(f"@approvers({text[:80]!r}): expected groups, with , between") from error
    if len(found) > MAX_GROUPS:
        raise UsageError(f"@approvers: at most {MAX_GROUPS} groups, found {len(found)}")
    twice = next((one for one, other in itertools.pairwise(found) if one == other), None)
    if twice is not None:
        raise UsageError(
            f"@approvers: the group {twice[:40]!r} is there twice, and one of it is asked for",
            next_step='how many people have to agree is @approvals("2")',
        )
    return tuple(found)


def length(of_seconds: int) -> str:
    """``1h`` for 3,600 seconds: in the largest unit that they are a whole number of."""
    if not of_seconds:
        return "0s"
    unit = next(one for one in "dhms" if of_seconds % _UNITS[one] == 0)
    return f"{of_seconds // _UNITS[unit]}{unit}"


def span(of_seconds: int) -> str:
    """``1h 5m`` for 3,900 seconds: in all units that it takes, the largest first."""
    found, left = [], of_seconds
    for unit, size in reversed(_UNITS.items()):
        number, left = divmod(left, size)
        found += [f"{number}{unit}"] if number else []
    return " ".join(found) or "0s"


def words(wanted: Obligations) -> str:
    """What they come to: ``2 approvals, one of dba and one of security; 1h at most``."""
    said = f"{wanted.people} approval{'s' * (wanted.people != 1)}"
    if wanted.groups:
        every = " and ".join(f"one of {group}" for group in wanted.groups)
        said = f"{said}, {every}"
    if not wanted.people:
        said = "nobody has to agree"
    return said if wanted.max_seconds is None else f"{said}; {length(wanted.max_seconds)} at most"


def strictest(found: Iterable[Obligations]) -> Obligations:
    """What all of them want. Raises: ValueError, for none."""
    every = list(found)
    if not every:
        raise ValueError("no policy permits, so there is nothing to fulfil")
    longest = [one.max_seconds for one in every if one.max_seconds is not None]
    return Obligations(
        approvals=max(one.approvals for one in every),
        groups=tuple(sorted({group for one in every for group in one.groups})),
        max_seconds=min(longest, default=None),
    )


def due(wanted: Obligations, action: Action) -> Obligations:
    """What of it is due before the action: a broken glass waits for nobody."""
    if action is Action.LEASE_BREAK_GLASS:
        return msgspec.structs.replace(wanted, approvals=0, groups=())
    return wanted


def lacking(wanted: Obligations, votes: Sequence[Vote]) -> tuple[int, tuple[str, ...]]:
    """How many people are lacking, and for which groups nobody stands; ``(0, ())``: it is done.

    One person stands for one group at most, and is counted once. So who stands for which is a
    matching of people and groups, as large as can be (augmenting paths: Kuhn, 1955).
    """
    people: dict[str, set[str]] = {}
    for vote in votes:
        people.setdefault(vote.name, set()).update(vote.groups)
    stands: dict[str, str] = {}

    def place(group: str, tried: set[str]) -> bool:
        for name in sorted(people):
            if group in people[name] and name not in tried:
                tried.add(name)
                other = next((one for one, who in stands.items() if who == name), None)
                if other is None or place(other, tried):
                    stands[group] = name
                    return True
        return False

    for group in wanted.groups:
        place(group, set())
    left = tuple(one for one in wanted.groups if one not in stands)
    return max(wanted.people - len(people), len(left)), left
