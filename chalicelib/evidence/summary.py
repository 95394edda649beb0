"""Summary: what a packet says, in words: ``report.txt``. It is signed with the rest."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from chalicelib.evidence.manifest import Manifest

MAX_GAPS: Final = 1_000  # lines; coverage.json has all of them


def text(head: Manifest, coverage: bytes, questions: bytes) -> str:
    """The report of a packet, in lines. Names are printed as JSON strings where they are odd."""
    covered, asked = json.loads(coverage), json.loads(questions)
    lines = [
        f"Evidence of {_name(head.origin)}",
        "",
        f"period     {head.period.start} up to {head.period.end}",
        f"targets    {', '.join(map(_name, head.filter.targets)) or 'all'}",
        f"kinds      {', '.join(map(_name, head.filter.kinds)) or 'all'}",
        f"range      records {head.range.first} to {head.range.last - 1} of the log",
        f"shown      {head.records} records, those that they refer to among them",
        f"census     record {head.census}",
        "",
        f"Coverage: {covered['ticks']} ticks of the schedule",
        "",
        *_targets(covered["targets"]),
        "",
        *_gaps(covered["unobserved"], covered["ticks"]),
        "",
        "Written by",
        "",
        *(f"  {_name(tool)}  {count} records" for tool, count in sorted(asked["tools"].items())),
        "",
        f"Scans that say why they failed: {len(asked['failures'])}",
        "",
        *(f"  record {i}  {_name(s)}  {_name(c)}" for i, s, c in asked["failures"][:MAX_GAPS]),
    ]
    return "\n".join(lines).rstrip("\n") + "\n"


def _targets(rows: list[dict[str, Any]]) -> list[str]:
    lines = []
    for row in rows:
        outcomes = ", ".join(f"{count} {name}" for name, count in sorted(row["outcomes"].items()))
        lines.append(
            f"  {_name(row['target'])}: {row['expected']} expected, {row['observed']} observed"
            + (f" ({_name(outcomes)})" if outcomes else "")
            + (f", {row['pending']} pending" if row["pending"] else "")
            + f", {row['unobserved']} UNOBSERVED"
            + (f", {row['unscheduled']} unscheduled" if row["unscheduled"] else "")
        )
    return lines or ["  no target was due or scanned"]


def _gaps(gaps: list[list[str]], ticks: int) -> list[str]:
    if not ticks and not gaps:
        return ["No schedule ran in this period: whether a scan is missing cannot be told."]
    if not gaps:
        return ["No gap."]
    lines = [f"  UNOBSERVED  {_name(t)}  {start} to {end}: {why}" for t, start, end, why in gaps]
    more = len(lines) - MAX_GAPS
    return lines[:MAX_GAPS] + ([f"  and {more} more in coverage.json"] if more > 0 else [])


def _name(text: str) -> str:
    """Text from a record, which could be anything: as it is where that is harmless."""
    return text if text.isascii() and text.isprintable() else json.dumps(text)
