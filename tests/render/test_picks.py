"""The facts of a report: totals, and lists that are bounded and say what they leave out."""

from __future__ import annotations

import base64
import hashlib
import re

import pytest
from evidence.parcel import at
from support import tales
from support.reports import ACCESS, CLOUD, FOUND, SHOP, Tale, controls, unwitnessed, whole

from chalicelib.kernel.record import Actor, Draft
from chalicelib.render import page, picks, populations

MANY = 250


def batch(tale, kind, stream, bodies, by="ana"):
    """Records of one kind, in one append for each 100."""
    bodies = list(bodies)
    for first in range(0, len(bodies), 100):
        tale.archive.log.append(
            [Draft(kind, stream, at(2, 5), Actor(by, "os"), one)
             for one in bodies[first : first + 100]]
        )  # fmt: skip


def crowded():
    """More of everything than a report shows."""
    tale = Tale()
    due = [f"postgres:t{n:03}" for n in range(picks.MAX_SYSTEMS + 20)]
    tale.tick(0, *due)
    tale.tick(6)
    tale.many(SHOP, [f"F-{n}" for n in range(MANY - 1)])
    tale.opened(SHOP, 4, "F-worst", severity="critical")
    tale.opened(SHOP, 4, "F-gone", severity="critical")
    for number in range(30):
        tale.suppressed(SHOP, 5, "F-worst", until=at(20, 0, number))
    tale.closed(SHOP, 6, "F-gone")
    taken = {"sha256": "5" * 64, "root": "6" * 64, "objects": 7, "read_at": at(2, 5)}
    body = {"snapshot": taken, "accepts": [], "required": 30, "comment": ""}
    batch(tale, "baseline.proposed", SHOP, [{"proposal": f"B-{n}", **body} for n in range(MANY)])
    vote = {"proposal": f"B-{MANY - 1}", "root": "6" * 64, "comment": ""}
    for number in range(30):
        tale.add("baseline.approved", SHOP, at(2, 6), vote, f"person{number}")
    wish = {"principal": "person:dora", "profile": "p", "gives": {"masked": False}, "tables": []}
    wish |= {"seconds": 600, "ticket": "", "reason": "r", "policies": ["p"]}
    wish |= {"obligations": {"approvals": 1}, "break_glass": False}
    batch(tale, "access.requested", ACCESS, [{"request": f"L-{n}", **wish} for n in range(MANY)])
    tale.asked(7, "L-own", by="dora")
    tale.agreed(7, "L-own", by="dora")
    tale.asked(7, "L-glass", break_glass=True)
    for _ in range(30):
        tale.add("lease.refreshed", ACCESS, at(2, 8), {"request": "L-own"}, "dora")
    attack = {"request": "L-1", "profile": "p", "held": 1, "leaked": 0, "untold": 0, "attacks": []}
    batch(tale, "masking.checked", ACCESS, [attack] * MANY)
    read = {"what": "findings", "asked": {}, "request": ""}
    batch(tale, "evidence.read", "reads", [read] * MANY, "eve")
    held = ({"hold": f"H-{n}", "reason": "asked"} for n in range(MANY))
    batch(tale, "hold.placed", "log", held)
    scan = {"outcome": "clean", "scheduled_at": None, "started_at": at(2, 5), "signed": None}
    scan |= {"baseline": None, "required": 1, "queries": [], "system": {}, "snapshot": None}
    scan |= {"opened": 0, "closed": [], "findings": []}
    scans = ({**scan, "program_sha256": f"{n:064x}"} for n in range(MANY))
    batch(tale, "scan", SHOP, scans)
    return tale


@pytest.fixture(scope="module")
def book():
    with crowded().book() as found:
        yield found


@pytest.fixture(scope="module")
def report(book):
    return picks.report(book)


@pytest.fixture(scope="module")
def said(book):
    text = re.sub(r"(?s)<(script|style|svg).*?</\1>", "", page.render(book))
    return " ".join(re.sub(r"<[^>]+>", " ", text).split())


LISTS = {
    "systems": (picks.MAX_SYSTEMS, picks.MAX_SYSTEMS + 21, "by name"),
    "gaps": (picks.MAX_ROWS, picks.MAX_SYSTEMS + 20, "by target and time"),
    "programs": (picks.MAX_ROWS, MANY, "in the order of the log"),
    "baselines": (picks.MAX_ROWS, MANY, "the newest first"),
    "leases": (picks.MAX_ROWS, MANY + 2, "what an assessor asks about first"),
    "masking": (picks.MAX_ROWS, MANY, "in the order of the log"),
    "custody": (picks.MAX_ROWS, MANY, "in the order of the log"),
    "keeping": (picks.MAX_ROWS, MANY + 2, "in the order of the log"),  # opened, and closed
}


@pytest.mark.parametrize("name", LISTS)
def test_lists_are_bounded_and_say_how_many_they_leave_out(report, said, name):
    rows, total, first = LISTS[name]
    found = getattr(report, name)
    assert (len(found.rows), found.total, found.left_out) == (rows, total, total - rows)
    assert found.first.startswith(first)
    assert f"{rows} of {total}; {found.first}; all are in " in said


def test_findings_and_exceptions_are_bounded_too(report, said):
    found = report.findings
    assert (found.total, len(found.shown.rows), found.shown.left_out) == (251, 200, 51)
    assert "200 of 251 findings, open ones before others" in said
    noted = report.exceptions
    assert len(noted.rows) == picks.MAX_ROWS
    assert noted.left_out == noted.total - picks.MAX_ROWS > 500
    assert f"200 of {noted.total}; open ones before others" in said
    assert found.by_severity == {"critical": 2, "low": 249}
    assert found.by_disposition == {"gone": 1, "open": 249, "suppressed": 1}


def test_what_is_shown_is_what_matters_most(report):
    assert {one.disposition for one in report.findings.shown.rows} == {"open"}
    assert [one.id for one in report.findings.shown.rows[:2]] == ["F-0", "F-1"]
    assert [one.id for one in report.leases.rows[:3]] == ["L-own", "L-glass", "L-0"]
    assert report.leases.rows[0].own_approval
    assert [one.id for one in report.baselines.rows[:2]] == ["B-249", "B-248"]
    leaves = [one.leaf for one in report.custody.rows]
    assert leaves == sorted(leaves)


def test_the_history_of_one_thing_is_bounded(report, said):
    lease = report.leases.rows[0]
    assert (len(lease.events), lease.more) == (picks.MAX_EVENTS, 12)  # asked, agreed, 30 claims
    assert [one.event for one in lease.events[:2]] == ["access.requested", "access.approved"]
    baseline = report.baselines.rows[0]
    assert (len(baseline.approved), baseline.more) == (picks.MAX_EVENTS, 10)
    assert baseline.approved[0].by == "person0"
    assert "and 10 more; 30 needed" in said


def test_the_history_of_a_finding_is_bounded_and_says_so():
    tale = Tale()
    tale.opened(SHOP, 1)
    for number in range(30):
        tale.suppressed(SHOP, 2, until=at(20, 0, number))
    with tale.book() as book:
        (found,) = picks.report(book).findings.shown.rows
        text = page.render(book)
    assert (len(found.events), found.more) == (picks.MAX_EVENTS, 11)
    assert found.events[0].event == "opened"
    assert "<li>and 11 more, in the CSV</li>" in text


def test_samples_are_bounded_and_are_the_population_s(book, report):
    sizes = {one.name: (len(one.rows), one.total) for one in report.samples}
    assert sizes == {
        "scans": (25, 250),
        "findings": (25, 251),
        "baselines": (25, 250),
        "requests_and_leases": (25, 252),
    }
    seed = book.verified.verdict.packet
    assert report.seed == seed
    for one in report.samples:
        assert one.columns[0] == "leaf"
        leaves = [row[0] for row in one.rows]
        (population,) = [other for other in populations.POPULATIONS if other.name == one.name]
        places = book.columns(population.sql).index("leaf")
        every = [row[places] for row in populations.walk(book, population)]
        drawn = sorted(
            every, key=lambda leaf: hashlib.sha256(f"{seed}\n{one.name}\n{leaf}".encode()).digest()
        )
        assert leaves == [leaf for leaf in every if leaf in drawn[:25]]
        assert all(len(row) == len(one.columns) for row in one.rows)


def test_a_seed_of_ones_own_draws_another_sample(book, report):
    other = picks.report(book, seed="ours")
    assert other.seed == "ours"
    assert [one.rows for one in other.samples] != [one.rows for one in report.samples]
    assert len(picks.report(book, size=3).samples[0].rows) == 3


def test_the_page_of_it_is_bounded(book):
    assert len(page.render(book).encode()) < 4_000_000


def test_texts_are_cut():
    tale = Tale()
    long = "\u00e4" * 10_000
    body = FOUND | {"id": "F-1", "severity": "low", "controls": controls()}
    body |= {"title": long, "before": long, "after": long}
    tale.add("finding.opened", SHOP, at(2, 1), body, long)
    tale.asked(3, reason=long, ticket=long, tables=[long])
    with tale.book() as book:
        found = picks.report(book)
    shown = found.findings.shown.rows[0]
    assert (shown.title, shown.before) == ("\u00e4" * picks.MAX_TEXT,) * 2
    assert len(shown.events[0].words) == picks.MAX_TEXT
    assert len(shown.events[0].by) == picks.MAX_TEXT
    assert len(found.leases.rows[0].tables) == picks.MAX_TEXT


def test_totals_are_of_the_period():
    with whole().book() as book:
        found = picks.report(book)
    assert (found.ticks, found.expected, found.observed, found.pending) == (4, 8, 7, 0)
    assert (found.unobserved, found.gaps.total) == (1, 1)
    assert [(one.target, one.start, one.stop, one.why) for one in found.gaps.rows] == [
        (CLOUD, at(2, 6), at(2, 12), "missed")
    ]
    assert found.outcomes == {"clean": 4, "drift": 2, "missed": 1, "unknown": 1}
    assert found.findings.by_disposition == {"gone": 1, "suppressed": 1}
    assert (found.findings.carried, found.findings.carried_open) == (1, 1)
    (words,) = found.partial
    assert words.startswith("Findings that scans list and that were opened before this period: 1.")
    assert (found.untold, found.odd) == ([], 0)
    by_name = {one.name: one for one in found.systems.rows}
    assert list(by_name) == [CLOUD, SHOP]
    shop = by_name[SHOP]
    assert (shop.kind, shop.expected, shop.observed, shop.unobserved) == ("postgres", 4, 4, 0)
    assert (shop.outcome, shop.outcomes) == ("clean", "2 clean, 1 drift, 1 unknown")
    assert (shop.env, shop.approvals, shop.removed) == ("", None, False)


def test_a_target_s_configuration_is_the_last_that_was_recorded():
    with tales.full().book() as book:
        found = {one.name: one for one in picks.report(book).systems.rows}
    shop = found[SHOP]
    assert (shop.env, shop.approvals, shop.removed) == ("prod", 2, False)
    assert shop.configured_leaf is not None
    assert shop.leaf != shop.configured_leaf
    assert found[CLOUD].removed
    tale = Tale()
    last = tale.configured()
    with tale.book() as book:
        (only,) = picks.report(book).systems.rows
    assert (only.leaf, only.configured_leaf, only.outcome) == (last, last, "")


def test_the_newest_record_of_a_target_counts_whether_it_was_removed():
    tale = Tale()
    tale.configured()
    tale.add("target.removed", SHOP, at(2, 3), {})
    tale.configured()
    with tale.book() as book:
        (found,) = picks.report(book).systems.rows
    assert not found.removed


def test_what_the_packet_rests_on():
    tale = whole()
    with tale.book() as book:
        found = picks.report(book).evidence
        head = book.verified.head
    assert (found.answer, found.quorum, found.witnesses) == ("VERIFIED", "none", [])
    assert (found.start, found.end) == (at(2), at(3))
    assert found.records == head.records
    assert found.closing.size == found.last <= found.census < found.checkpoint.size
    assert found.checkpoint.root == _root_of(found.checkpoint.note)
    assert found.key == str(tale.archive.verifier)
    assert (found.targets, found.kinds) == ([], [])
    with tale.book(policy=unwitnessed(tale.archive)) as book:
        found = picks.report(book).evidence
    assert (found.answer, found.quorum) == ("UNWITNESSED", "north")


def _root_of(note):
    return base64.b64decode(note.split("\n")[2]).hex()


def test_a_filtered_packet_says_what_it_leaves_out():
    with tales.full().book(targets=(SHOP,), kinds=("finding",)) as book:
        found = picks.report(book)
    assert (found.evidence.targets, found.evidence.kinds) == ([SHOP], ["finding"])
    assert found.partial[:2] == [
        "Only some targets were asked for; nothing is told of others.",
        "Only some kinds of records were asked for; nothing is told of others.",
    ]
    assert "access.requested" in found.untold
    assert "finding.opened" not in found.untold
    assert {one.target for one in found.findings.shown.rows} == {SHOP}


def test_an_empty_day_has_empty_lists():
    tale = Tale()
    tale.read(3)
    with tale.book() as book:
        found = picks.report(book)
    for name in ("systems", "gaps", "exceptions", "baselines", "leases", "masking", "programs"):
        one = getattr(found, name)
        assert (one.rows, one.total, one.left_out) == ([], 0, 0)
    assert (found.ticks, found.expected, found.outcomes, found.odd) == (0, 0, {}, 0)
    assert found.findings.by_severity == found.findings.by_disposition == {}
    assert [(one.rows, one.total) for one in found.samples] == [([], 0)] * 4
    assert [one.event for one in found.custody.rows] == ["evidence.read"]
    assert len(found.partial) == 2
