"""Summary: what a packet says, in words: ``report.txt``. It is signed with the rest."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from chalicelib.evidence.sight import ALL, UNTOLD
from chalicelib.kernel.masking import Result
from chalicelib.kernel.names import qualified

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from chalicelib.evidence.manifest import Manifest
    from chalicelib.evidence.sight import Seen, Sight
    from chalicelib.kernel.masking import Column

MAX_GAPS: Final = 1_000  # lines; coverage.json has all of them
MAX_LINES: Final = 1_000  # of each list about one target's personal data
MAX_NAMES: Final = 20  # in one line
_TOLD_BY: Final = ("access", "lease", "masking")  # the kinds that tell of personal data


def text(head: Manifest, coverage: bytes, questions: bytes, seen: Sequence[Seen]) -> str:
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
        "Personal data",
        "",
        *_personal(head.filter.kinds, seen),
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


def _personal(kinds: Sequence[str], seen: Sequence[Seen]) -> list[str]:
    if kinds and not set(kinds) >= set(_TOLD_BY):
        return ["Only some kinds of records are here: who saw personal data cannot be told."]
    if not seen:
        return ["No masks, requests or leases are here: what is personal cannot be told."]
    return [line for one in seen for line in personal_data(one)]


def personal_data(seen: Seen) -> list[str]:
    """What is personal at one target, for whom it is masked, and who saw it; in lines."""
    name = _name(seen.target)
    if seen.masks is None:
        lines = [f"  {name}: it cannot be told which columns are personal: no masks recorded here"]
    else:
        left_out = seen.masks.applied.left_out
        said = (
            f"{_count(len(seen.personal), 'personal column')}, {len(seen.unclassified)} without a "
            f"class, {_count(len(left_out), 'table')} left out"
        )
        by = f"{_name(seen.masks.by)} applied at {_name(seen.masks.at)}"
        lines = [
            f"  {name}: {said}, by the masks that {by} (record {seen.masks.index})",
            *_bounded(map(_column, seen.personal)),
            *_bounded(f"    WITHOUT A CLASS  {_names([one])}" for one in seen.unclassified),
            *_bounded(f"    LEFT OUT  {_names([one[:2]])}: {_name(one[2])}" for one in left_out),
        ]
    lines += _check(seen)
    clear = [one for one in seen.leases if one.reads != UNTOLD]
    lines.append(f"    {_count(len(clear), 'lease')} could read personal columns clear")
    lines += _bounded(map(_sight, clear))
    if untold := [one for one in seen.leases if one.reads == UNTOLD]:
        lines.append(f"    {_count(len(untold), 'lease')} of which it cannot be told")
        lines += _bounded(map(_sight, untold))
    if seen.earlier:
        lines.append(
            f"    {_count(len(seen.earlier), 'lease')} from before these records, of which it "
            f"cannot be told: {_listed(seen.earlier)}"
        )
    if seen.odd:
        odd = _listed(list(map(str, seen.odd)))
        lines.append(f"    {len(seen.odd)} records that are not of their kind's form: {odd}")
    return lines


def _column(one: Column) -> str:
    shown = "; ".join(
        f"in _masked{'_' if views else ''}{_name(views)}: {_name(mask)}"
        for views, mask in sorted(one.shown.items())
    )
    return f"    {_names([(one.schema, one.table, one.column)])}  {_name(one.label)}; {shown}"


def _check(seen: Seen) -> list[str]:
    if seen.check is None:
        return ["    no attack on the views is recorded here"]
    found = seen.check.checked
    what = f"{found.held} held, {found.leaked} leaked, {found.untold} untold"
    where = f"at {_name(seen.check.at)} by a lease of {_name(found.profile)}"
    before = seen.masks is not None and seen.check.index < seen.masks.index
    told = f"record {seen.check.index}{', BEFORE these masks' if before else ''}"
    return [
        f"    views attacked last {where} ({told}): {what}",
        *(["    MASKED LEASES may have read clear what leaked"] if found.leaked else []),
        *_bounded(
            f"    {one.result.name}  {_name(one.id)}  {_name(one.on)}: {_name(one.reason)}"
            for one in found.attacks
            if one.result is not Result.HELD
        ),
    ]


def _sight(one: Sight) -> str:
    """One lease: what it could read, when, why, and who agreed."""
    end = "ended" if one.ended else "not ended here, lasts until"
    glass = ", broke the glass" if one.break_glass else ""
    profile = _name(one.profile) if one.asked else "a profile that is not told here"
    return (
        f"    {one.reads.upper()}  {_name(one.lease)}  {_name(one.who)}  {profile}{glass}: "
        f"{_reads(one)}; {_name(one.since)}, {end} {_name(one.until)}; reason: {_reason(one)}; "
        f"{_agreed(one)}"
    )


def _reads(one: Sight) -> str:
    if one.reads == UNTOLD:
        return _name(one.why)
    if one.reads == ALL and one.schemas:
        said = f"all of the schemas {_names([(each,) for each in one.schemas])}"
    elif one.reads == ALL:
        said = f"all, for {_name(one.why)}"
    else:
        said = _names(one.columns) or "no column that is known to be personal"
    if one.tables:
        said += f", and what is in no class of {_names(one.tables)}"
    return said if one.known else f"{said} (masks of all of its time are not here)"


def _reason(one: Sight) -> str:
    if not one.asked:
        return "not here"
    return _name(one.reason) if isinstance(one.reason, str) else "sealed"


def _agreed(one: Sight) -> str:
    said = [
        f"{_name(each.by)} {_name(each.at)}{' (to a later end)' if each.renewal else ''}"
        for each in one.approvals[:MAX_NAMES]
    ]
    if any(not each.renewal for each in one.approvals):
        return f"approved by {', '.join(said)}"
    if not one.asked:
        return "who agreed is not here"
    nobody = f"nobody had to agree, by {', '.join(map(_name, one.policies))}"
    return f"{nobody}; approved by {', '.join(said)}" if said else nobody


def _bounded(lines: Iterable[str]) -> list[str]:
    every = list(lines)
    more = len(every) - MAX_LINES
    return every[:MAX_LINES] + ([f"    and {more} more"] if more > 0 else [])


def _names(names: Sequence[Sequence[str]]) -> str:
    """Names in their parts, quoted as in SQL, with a comma between; at most MAX_NAMES."""
    return _listed([qualified(*one) for one in names])


def _listed(texts: Sequence[str]) -> str:
    shown = ", ".join(map(_name, texts[:MAX_NAMES]))
    more = len(texts) - MAX_NAMES
    return f"{shown} and {more} more" if more > 0 else shown


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'s' * (number != 1)}"


def _name(text: str) -> str:
    """Text from a record, which could be anything: as it is where that is harmless."""
    return text if text.isascii() and text.isprintable() else json.dumps(text)
