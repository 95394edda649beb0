"""Server parameters: rows of pg_settings turned into objects of the kind ``setting``.

A session sees the values that apply to it. What is set for the database, or for all roles, applies
to every session here and is taken as it is, with its source. What the scanning connection or role
sets for itself applies to nobody else: the value is taken from the configuration files where they
can be read, and otherwise reported as not covered. No connection is touched here.
"""

from __future__ import annotations

import re
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from chalicelib.drift.parameter import UNITS
from chalicelib.drift.snapshot import Object, unreadable
from chalicelib.postgres.text import listed

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from chalicelib.postgres.concealing import Concealer

KIND: Final = "setting"
NEEDS: Final = "membership in pg_read_all_settings"

# State of the session or of the moment, and what every connection sets for itself.
LEFT_OUT: Final = frozenset(
    {
        "application_name",
        "client_encoding",
        "in_hot_standby",
        "is_superuser",
        "role",
        "seed",
        "session_authorization",
        "transaction_deferrable",
        "transaction_isolation",
        "transaction_read_only",
    }
)
# Source: pg_settings, column source; guc.c, GucSource_Names.
OVERRIDES: Final = frozenset({"client", "user", "database user", "session", "interactive"})
_FILE: Final = "configuration file"
_NUMBER = re.compile(r"\s*([+-]?[0-9]*\.?[0-9]+(?:[eE][+-]?[0-9]+)?)\s*([a-zA-Z]*)\s*")
_BOOLEANS: Final = {"on": "on", "true": "on", "yes": "on", "1": "on"} | {
    "off": "off",
    "false": "off",
    "no": "off",
    "0": "off",
}


class Parameter(NamedTuple):
    """One row of pg_settings, as ``settings.sql`` selects it."""

    name: str
    reset_val: str | None
    boot_val: str | None
    unit: str | None
    vartype: str
    source: str
    sourcefile: str | None
    pending_restart: bool


class InFile(NamedTuple):
    """One line of a configuration file; ``applied`` unless it waits or another one overrides it."""

    name: str
    setting: str
    sourcefile: str
    applied: bool = True


def hidden(rows: Sequence[Parameter]) -> list[Parameter]:
    """The parameters whose value for everybody else this session does not show."""
    return [row for row in rows if row.source in OVERRIDES and row.name not in LEFT_OUT]


def pending(rows: Sequence[Parameter]) -> bool:
    """Whether any parameter waits for a restart."""
    return any(row.pending_restart for row in rows)


def objects(
    rows: Sequence[Parameter],
    files: Sequence[InFile],
    conceal: Concealer,
    *,
    sees_all: bool,
) -> list[Object]:
    """A ``setting`` for each parameter, and ``coverage`` where some could not be told.

    ``files``: what the configuration files say, in the order in which the server read them; empty
    where they cannot be read. ``sees_all``: whether the role sees every parameter.
    """
    said = {one.name: one for one in files if one.applied}
    coming = {one.name: one.setting for one in files}  # the last line wins, as in the server
    found: list[Object] = []
    unknown: dict[str, list[str]] = {}
    for row in rows:
        if row.name in LEFT_OUT:
            continue
        if row.source not in OVERRIDES:
            found.append(
                _object(row, row.reset_val, row.source, row.sourcefile, conceal, coming=coming)
            )
            continue
        line = said.get(row.name)
        value = _normal(line.setting, row) if line else None
        if line is None or value is None:
            unknown.setdefault(row.source, []).append(row.name)
        else:
            found.append(_object(row, value, _FILE, line.sourcefile, conceal, coming=coming))
    if gap := _gap(unknown, sees_all=sees_all):
        found.append(gap)
    return found


def _object(
    row: Parameter,
    value: str | None,
    source: str,
    file: str | None,
    conceal: Concealer,
    *,
    coming: Mapping[str, str],
) -> Object:
    after = coming.get(row.name) if row.pending_restart else None
    if after is not None:
        normal = _normal(after, row)
        after = conceal.setting(row.name, after if normal is None else normal)
    attributes: Mapping[str, Any] = {
        "value": conceal.setting(row.name, listed(row.name, value or "")),
        "unit": row.unit,
        "source": source,
        "source_file": file,
        "pending_restart": row.pending_restart or None,
        "pending_value": after,
    }
    return Object(
        KIND, row.name, {key: text for key, text in attributes.items() if text is not None}
    )


def _gap(unknown: Mapping[str, Sequence[str]], *, sees_all: bool) -> Object | None:
    reasons = [] if sees_all else ["parameters that only superusers may see are not shown"]
    needs = [] if sees_all else [NEEDS]
    for source, names in sorted(unknown.items()):
        by = "connection" if source in {"client", "session", "interactive"} else source
        reasons.append(f"overridden for this {by}: {', '.join(sorted(names))}")
    if unknown:
        needs.append(
            "a scanning role and connection without values of their own for them,"
            " or SELECT on pg_file_settings with a value there"
        )
    if not reasons:
        return None
    return unreadable(
        KIND,
        reason="; ".join(reasons),
        needs="; ".join(needs),
        partial=True,
        attributes=[] if sees_all else ["source_file"],
    )


def _normal(text: str, row: Parameter) -> str | None:
    """A value from a file, written as pg_settings writes it; None where that is not certain."""
    if row.vartype == "bool":
        return _BOOLEANS.get(text.lower())
    if row.vartype not in {"integer", "real"}:
        return text
    number = _number(text, row.unit)
    if number is None:
        return None
    if number == number.to_integral_value():
        return str(int(number))
    return f"{number.normalize():f}" if row.vartype == "real" else None


def _number(text: str, unit: str | None) -> Decimal | None:
    """A number with or without a unit of its own, in ``unit``."""
    parsed = _NUMBER.fullmatch(text)
    if parsed is None:
        return None
    number = Decimal(parsed[1])
    if not parsed[2]:
        return number
    given, wanted = UNITS.get(parsed[2]), UNITS.get(unit or "")
    if given is None or wanted is None or given[0] != wanted[0]:
        return None
    return number * given[1] / wanted[1]
