"""Faults of PostgreSQL that let a holder see past views or row security, and what closed them.

Only those of that kind. A server that is older than its current minor version has others too.
"""

from __future__ import annotations

from typing import Final, NamedTuple


class Fault(NamedTuple):
    """``fixed``: by major version, the minor version that has it no more."""

    name: str
    does: str
    fixed: dict[int, int]
    note: str = ""


# Sources: the PostgreSQL project's own descriptions, as the OSV and CVE databases and the release
# notes of these versions have them. Majors that are not named are not affected.
FAULTS: Final = (
    Fault(
        "CVE-2025-8713",
        "statistics show sampled values of what a view or row security hides",
        {13: 22, 14: 19, 15: 14, 16: 10, 17: 6},
    ),
    Fault(
        "CVE-2024-10976",
        "row security below subqueries is that of another role in a plan that is used again",
        {13: 17, 14: 14, 15: 9, 16: 5, 17: 1},
    ),
    Fault(
        "CVE-2024-4317",
        "pg_stats_ext and pg_stats_ext_exprs show statistics of columns that one may not read",
        {14: 12, 15: 7, 16: 3},
        "; a database cluster that was made before needs fix-CVE-2024-4317.sql as well",
    ),
    Fault(
        "CVE-2023-39418",
        "MERGE does not enforce row security policies",
        {15: 4},
    ),
    Fault(
        "CVE-2023-2455",
        "row security policies are those of another role after a function was inlined",
        {13: 11, 14: 8, 15: 3},
    ),
    Fault(
        "CVE-2021-20229",
        "a join reads columns that one has no SELECT on",
        {13: 2},
    ),
)


def faults(version: int) -> list[str]:
    """What a server of this version (150018: 15.18) still has, with what closes it."""
    major, minor = divmod(version, 10_000)
    return [
        f"{one.name}: {one.does}; fixed in {major}.{one.fixed[major]}, this is {major}.{minor}"
        + one.note
        for one in FAULTS
        if minor < one.fixed.get(major, 0)
    ]
