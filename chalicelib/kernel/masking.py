"""Masking as records have it: what masks were applied at a target, and what attacks on them gave.

``masking.applied`` says which columns have a class, and what each set of views shows of each.
``masking.checked`` has what attacks of a lease on the views came to. Both are in the stream of the
target's requests and leases, and neither has a value of a column.
"""

from __future__ import annotations

import enum
import re
from collections import Counter
from typing import Any, Final, NoReturn, TypeVar

import msgspec

from chalicelib.kernel.errors import Malformed

APPLIED: Final = "masking.applied"
CHECKED: Final = "masking.checked"
KINDS: Final = frozenset({APPLIED, CHECKED})

CLEAR: Final = "clear"  # in place of a mask's name: the column as it is
LEFT_OUT: Final = "left out"

T = TypeVar("T")

_DIGEST: Final = re.compile(r"[0-9a-f]{64}")


class Column(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """A column with a class. ``shown``: by set of views, the mask's name, CLEAR or LEFT_OUT."""

    schema: str
    table: str
    column: str
    label: str
    personal: bool
    shown: dict[str, str]


class Rows(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """A filter of a table's rows in a set of views; ``sha256``: of its text."""

    views: str
    schema: str
    table: str
    sha256: str


class Applied(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The body of ``masking.applied``.

    ``masks_sha256``: of the canonical masks; ``statements``: how many were run, and their digest.
    ``sets``: the sets of views, ``""`` for that of the schemas ``<schema>_masked``.
    ``unclassified``: columns without a class, by schema, table and name; no view has them.
    ``left_out``: tables without a view: schema, table, why.
    """

    masks_sha256: str
    statements: int
    statements_sha256: str
    sets: tuple[str, ...]
    columns: tuple[Column, ...]
    unclassified: tuple[tuple[str, str, str], ...]
    rows: tuple[Rows, ...]
    left_out: tuple[tuple[str, str, str], ...]


class Result(enum.Enum):
    """What came of an attack: nothing was learned, something was, or nobody can tell."""

    HELD = "held"
    LEAKED = "leaked"
    UNTOLD = "untold"


class Attack(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """One attack. ``on``: ``schema.table``, or empty; ``reason``: short, without a value."""

    id: str
    on: str
    result: Result
    reason: str


class Checked(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The body of ``masking.checked``. ``request``: the lease that attacked, or empty.

    ``held``, ``leaked``, ``untold``: how many attacks came to that, those of ``attacks`` at least.
    """

    request: str
    profile: str
    held: int
    leaked: int
    untold: int
    attacks: tuple[Attack, ...]


def applied(body: dict[str, Any]) -> Applied:
    """The body of ``masking.applied``. Raises: Malformed."""
    found = _converted(body, Applied)
    if found.statements < 0 or not all(
        _DIGEST.fullmatch(one)
        for one in (
            found.masks_sha256,
            found.statements_sha256,
            *(row.sha256 for row in found.rows),
        )
    ):
        _refuse("a count below 0, or what is no SHA-256")
    known = set(found.sets)
    if len(known) != len(found.sets):
        _refuse("a set of views that is there twice")
    if any(one.shown.keys() != known or not all(one.shown.values()) for one in found.columns):
        _refuse("a column that is not said to be shown, or how, in each set of views")
    if any(row.views not in known for row in found.rows):
        _refuse("a filter of rows in no set of views")
    names = [(one.schema, one.table, one.column) for one in found.columns]
    if len({*names, *found.unclassified}) != len(names) + len(found.unclassified):
        _refuse("a column that is there twice")
    return found


def checked(body: dict[str, Any]) -> Checked:
    """The body of ``masking.checked``. Raises: Malformed."""
    found = _converted(body, Checked)
    tally = Counter(one.result for one in found.attacks)
    if (
        found.held < tally[Result.HELD]
        or found.leaked < tally[Result.LEAKED]
        or found.untold < tally[Result.UNTOLD]
    ):
        _refuse("fewer attacks than it lists")
    return found


def check(kind: str, body: dict[str, Any]) -> None:
    """Return if the body is that of its kind, which is one of KINDS. Raises: Malformed."""
    if kind == APPLIED:
        applied(body)
    else:
        checked(body)


def _converted(body: dict[str, Any], shape: type[T]) -> T:
    try:
        return msgspec.convert(body, shape)
    except msgspec.ValidationError as error:
        raise Malformed(f"not what was applied or checked of masks: {error}") from None


def _refuse(what: str) -> NoReturn:
    raise Malformed(f"not what was applied or checked of masks: {what}")
