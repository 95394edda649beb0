"""Masks over dates and times: moved by days, or cut off. Infinity stays.

timestamptz is cut in UTC and moved by hours: days and cuts in the session's zone are its caller's.
"""

# ruff: noqa: S608 - names and values are places of the draft, and no text of the SQL

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final, Literal

import msgspec

from chalicelib.access.masking.column import Family, Type
from chalicelib.access.masking.entry import (
    DATES,
    DOMAIN,
    Domain,
    Entry,
    Name,
    Parameters,
    base,
    moved,
    number,
    plain,
    subject_refused,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from chalicelib.access.masking.draft import Draft

MAX_DAYS: Final = 3650
# Inside them, moving by MAX_DAYS and cutting to a decade give a date. Source: PostgreSQL's
# documentation, Date/Time Types: 4713 BC to 5874897 (date) or 294276 (timestamp).
_LOW: Final = "4700-01-01 BC"
_HIGH: Final = {Family.DATE: "5874880-01-01"}
_HIGHEST: Final = "294260-01-01"
_UTC: Final = "make_interval()"


class Shift(Parameters, frozen=True):
    """``days``: at most, forward or back. ``by``: a column; dates of equal ones move together."""

    days: Annotated[int, msgspec.Meta(ge=1, le=MAX_DAYS)] = 30
    by: Name | None = None
    domain: Domain = DOMAIN


class Generalise(Parameters, frozen=True):
    """``to``: everything finer is cut off."""

    to: Literal["hour", "day", "week", "month", "quarter", "year", "decade"] = "year"


def _shift(draft: Draft, value: str, of: Type, parameters: Shift) -> str:
    """Moved by 1 to ``days`` whole days: never by none."""
    sha = moved(draft, f"shift/{parameters.domain}", value, of, parameters.by)
    alias = draft.alias()
    days = parameters.days
    drawn = f"SELECT mod({number(sha)}, {2 * days})::int4 - {days} AS d OFFSET 0"
    day = f"({alias}.d + CASE WHEN {alias}.d < 0 THEN 0 ELSE 1 END)"
    read = plain(value, of)
    by = day if of.family is Family.DATE else f"make_interval(hours => 24 * {day})"
    moved_by = f"(SELECT {read} + {by} FROM ({drawn}) AS {alias})"
    return _within(read, base(of), _HIGH.get(of.family, _HIGHEST), moved_by)


def _generalise(draft: Draft, value: str, of: Type, parameters: Generalise) -> str:
    read, unit = plain(value, of), draft.literal(parameters.to)
    if of.family is Family.TIME:
        return f"('00:00'::time + date_trunc({unit}, {read} - '00:00'::time))"
    match of.family:
        case Family.DATE:  # a date alone would be cut in the session's time zone
            cut = f"date_trunc({unit}, {read}::timestamp)::date"
        case Family.TIMESTAMP:
            cut = f"date_trunc({unit}, {read})"
        case _:
            # No zone by its name: from 18 on 'UTC' is what the session's own TimeZone says that it
            # is, so a lease could move the cut, minute by minute, over the value.
            cut = f"date_trunc({unit}, {read} AT TIME ZONE {_UTC}) AT TIME ZONE {_UTC}"
    return _within(read, base(of), _HIGHEST, cut)


def _within(read: str, name: str, high: str, result: str) -> str:
    zone = "+00" if name == "timestamptz" else ""
    low = _LOW if name != "timestamptz" else _LOW.replace(" BC", " 00:00:00+00 BC")
    top = f"{high} 00:00:00{zone}" if zone else high
    return (
        f"CASE WHEN NOT isfinite({read}) THEN {read} "
        f"WHEN {read} BETWEEN '{low}'::{name} AND '{top}'::{name} THEN {result} END"
    )


def _shift_refused(parameters: Shift, of: Type, columns: Mapping[str, Type]) -> str:  # noqa: ARG001
    return subject_refused(parameters.by, columns)


def _generalise_refused(
    parameters: Generalise,
    of: Type,
    columns: Mapping[str, Type],  # noqa: ARG001
) -> str:
    if of.family is Family.TIME and parameters.to != "hour":
        return f"to = {parameters.to!r} leaves nothing of a time; to = 'hour' can be"
    if of.family is Family.DATE and parameters.to in ("hour", "day"):
        return f"to = {parameters.to!r} leaves a date as it is; to = 'week' or a longer one can be"
    return ""


ENTRIES: Final = (
    Entry(
        name="shift",
        parameters=Shift,
        families=DATES,
        build=_shift,
        does="moved by 1 to `days` whole days, forward or back; the time of day stays; the same "
        "type; infinity stays; before 4700 BC, or after 5874880 (date) or 294260: null",
        of_null="null",
        joins="equal values of one domain stay equal, without `by`",
        reversible="roughly: within the days; distances of what moves together are true",
        check=_shift_refused,
    ),
    Entry(
        name="generalise",
        parameters=Generalise,
        families=DATES | {Family.TIME},
        build=_generalise,
        does="the beginning of its hour, day, week (Monday), month, quarter, year or decade, "
        "timestamptz in UTC; of a time its hour; the same type; infinity stays; before 4700 BC "
        "or after 294260: null",
        of_null="null",
        joins="no",
        reversible="roughly: within the unit",
        check=_generalise_refused,
    ),
)
