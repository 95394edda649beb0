"""The finding: a change with severity, direction, attribution and disposition."""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING, Any

import msgspec

from chalicelib.drift.diff import Change, Operation
from chalicelib.drift.judge import Direction, Judgement, Severity
from chalicelib.drift.snapshot import Value, parent_of
from chalicelib.drift.verdict import Meaning
from chalicelib.drift.who import Attribution
from chalicelib.kernel import canon

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from chalicelib.drift.snapshot import Key

# 128 bits: whoever can write objects chooses what is hashed, and must not find two of one name.
ID_DIGITS = 32
SHORT_ID = 14  # characters that are shown where there is little room; a beginning names a finding
MAX_VALUE_CHARACTERS = 100_000
_OPTIONAL = ("meaning", "who")  # fields that are left out of what is recorded, where there is none
BASELINE = "baseline"
"""The kind of the finding that says that a baseline failed verification."""


class Disposition(enum.Enum):
    """What people decided about a finding. One that a baseline accepts is no finding any more."""

    OPEN = "open"
    SUPPRESSED = "suppressed"  # until a date, for a reason


class When(msgspec.Struct, frozen=True, omit_defaults=True):
    """When a change came about, as exactly as anybody can know.

    ``not_before`` and ``not_after``: the window between the last look without it and the first with
    it. ``committed``: the commit time of the catalogue row that carries it; ``source`` says which
    row. All as in kernel.clock.
    """

    not_after: str
    not_before: str = ""
    committed: str = ""
    source: str = ""


class Finding(msgspec.Struct, frozen=True):
    """One change of one target, judged. Also the body of a ``finding.opened`` record.

    ``meaning``: of a change of an AWS account's policies, or of who may do what in a database; else
    None. ``who``: made it, of changes that calls of AWS make; else None.
    """

    id: str
    target: str
    operation: Operation
    kind: str
    name: str
    attribute: str
    before: Value
    after: Value
    parts: list[list[str]]
    severity: Severity
    direction: Direction
    rule: str
    title: str
    controls: dict[str, list[str]]
    when: When
    meaning: Meaning | None = None
    who: Attribution | None = None

    @property
    def certain(self) -> bool:
        """Whether it says what is, and not that nobody can tell or that a baseline is not valid."""
        return self.operation is not Operation.UNREADABLE and self.kind != BASELINE


def identify(target: str, change: Change) -> str:
    """The finding's name: equal for the same change of the same target, whenever it is seen.

    What cannot be read is the same finding however the server words it. What other objects tell of
    a change is part of it: where that is over, the finding is another one.
    """
    if change.operation is Operation.UNREADABLE:
        content = [target, change.operation.value, change.name, change.after.get("error", "")]
        return "F-" + canon.sha256(canon.encode(content))[:ID_DIGITS]
    content = [
        target,
        change.operation.value,
        change.kind,
        change.name,
        change.attribute,
        change.before,
        change.after,
        change.parts_root,
        *([change.context] if change.context else []),
    ]
    return "F-" + canon.sha256(canon.encode(content))[:ID_DIGITS]


def find(
    target: str,
    change: Change,
    judgement: Judgement,
    when: When,
    meaning: Meaning | None = None,
) -> Finding:
    """The finding of a judged change."""
    return Finding(
        id=identify(target, change),
        target=target,
        operation=change.operation,
        kind=change.kind,
        name=change.name,
        attribute=change.attribute,
        before=change.before,
        after=change.after,
        parts=[list(key) for key in change.parts],
        severity=judgement.severity,
        direction=judgement.direction,
        rule=judgement.rule,
        title=judgement.title,
        controls=judgement.controls,
        when=when,
        meaning=meaning,
    )


def date(
    change: Change,
    window: tuple[str, str, str],
    committed: Mapping[Key, str],
    dropped: Mapping[Key, Sequence[str]],
) -> When:
    """When the change was committed, where the target's own commit timestamps tell.

    1. Added or altered: the commit of the object's own row.
    2. A removed grant: the commit of the row of the object that it was on.
    3. A removed part that leaves a trace (a column): the one drop inside the window.
    ``window``: when the baseline's snapshot was read, when the target was last read before now, and
    when it was read now. A commit before the baseline belongs to another change and is left out.
    """
    signed_for, not_before, not_after = window
    candidates: list[str] = []
    source = ""
    if change.operation in {Operation.ADDED, Operation.ALTERED} and change.key in committed:
        candidates, source = [committed[change.key]], "last commit of its catalogue row"
    elif (
        change.operation is Operation.REMOVED
        and (parent := parent_of(change.old or {})) is not None
    ):
        if change.kind == "grant" and parent in committed:
            candidates, source = [committed[parent]], "last commit of the object's catalogue row"
        elif change.kind == "column":
            candidates, source = list(dropped.get(parent, ())), "commit of the column's removal"
    inside = sorted({moment for moment in candidates if signed_for < moment <= not_after})
    if len(inside) == 1:
        return When(not_before=not_before, not_after=not_after, committed=inside[0], source=source)
    return When(not_before=not_before, not_after=not_after)


def encode(finding: Finding) -> dict[str, Any]:
    """The finding as JSON values: the body of its record, and what ``--json`` prints.

    What does not apply to it, as a meaning, is left out.
    A value above MAX_VALUE_CHARACTERS is cut, with its whole length and digest: the snapshot has
    it whole, and whoever can write a comment must not be able to make a record too large.
    """
    value: dict[str, Any] = msgspec.to_builtins(finding)
    value["before"], value["after"] = _bounded(value["before"]), _bounded(value["after"])
    for name in _OPTIONAL:
        if value[name] is None:
            del value[name]
    return value


def _bounded(value: Value) -> Value:
    match value:
        case str() if len(value) > MAX_VALUE_CHARACTERS:
            digest = canon.sha256(value.encode())
            return (
                f"{value[:MAX_VALUE_CHARACTERS]}… (cut: {len(value)} characters, sha256 {digest})"
            )
        case dict():
            return {key: _bounded(item) for key, item in value.items()}
        case list():
            return [_bounded(item) for item in value]
        case _:
            return value
