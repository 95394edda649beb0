from __future__ import annotations

from datetime import date, timedelta

import pytest
from support.desk import ANA, BEN, CHLOE, START, propose_state, quiet

from chalicelib.drift import approval, decide
from chalicelib.drift.desk import Target
from chalicelib.drift.finding import Disposition
from chalicelib.drift.outcome import Outcome
from chalicelib.drift.scan import scan
from chalicelib.drift.snapshot import unreadable
from chalicelib.kernel import personal
from chalicelib.kernel.errors import NotAllowed, NotFound, UsageError

TARGET = Target(slug="orders", approvals=1)
REASON = "known; mended by friday"


@pytest.fixture
def drifted(desk, source):
    propose_state(desk, TARGET, source, actor=ANA)
    approval.approve(desk, TARGET, actor=BEN)
    source.put("setting", "log_statement", value="none")
    source.drop("column", "public.orders.total")
    return run(desk, source)


def run(desk, source):
    return scan(desk, TARGET, source, actor=CHLOE, progress=quiet)


def ids(result):
    return [finding.id for finding, _ in result.findings]


def test_a_suppressed_finding_does_not_count_until_its_date(desk, source, drifted, clock):
    until = START.date() + timedelta(days=3)
    decide.suppress(desk, TARGET, ids(drifted), until=until, reason=REASON, actor=ANA)
    quiet_scan = run(desk, source)
    assert quiet_scan.outcome is Outcome.CLEAN
    assert {disposition for _, disposition in quiet_scan.findings} == {Disposition.SUPPRESSED}
    clock.moment += timedelta(days=4)
    assert run(desk, source).outcome is Outcome.DRIFT


def test_the_last_day_itself_is_suppressed(desk, source, drifted, clock):
    decide.suppress(desk, TARGET, ids(drifted), until=START.date(), reason=REASON, actor=ANA)
    assert run(desk, source).outcome is Outcome.CLEAN
    clock.moment += timedelta(hours=22)
    assert run(desk, source).outcome is Outcome.DRIFT


def test_a_suppression_is_a_record_with_reason_and_date(desk, drifted):
    end = decide.suppress(
        desk, TARGET, ids(drifted)[:1], until=date(2026, 10, 5), reason=REASON, actor=ANA
    )
    *_, last = desk.journal.read()
    assert last.record.kind == "finding.suppressed"
    assert last.record.actor == ANA
    assert (last.body["id"], last.body["until"]) == (ids(drifted)[0], end)
    sealed = personal.parse(last.body["reason"])
    assert sealed is not None
    assert REASON.encode() not in last.leaf
    note = desk.states.get(TARGET.stream).findings[ids(drifted)[0]]
    assert note.reason == personal.Concealed(sealed)
    assert end == "2026-10-06T00:00:00.000000Z"


@pytest.mark.parametrize("until", [date(2026, 9, 30), date(2030, 1, 1)])
def test_a_suppression_ends_within_a_year(desk, drifted, until):
    with pytest.raises(UsageError):
        decide.suppress(desk, TARGET, ids(drifted), until=until, reason=REASON, actor=ANA)


@pytest.mark.parametrize("reason", ["", "  ", "no", "x" * 2_001])
def test_a_suppression_has_a_reason(desk, drifted, reason):
    with pytest.raises(UsageError, match="reason"):
        decide.suppress(desk, TARGET, ids(drifted), until=START.date(), reason=reason, actor=ANA)


def test_other_drift_is_another_finding_and_counts(desk, source, drifted):
    decide.suppress(desk, TARGET, ids(drifted), until=START.date(), reason=REASON, actor=ANA)
    source.put("setting", "log_statement", value="mod")
    assert run(desk, source).outcome is Outcome.DRIFT


def test_what_nobody_can_tell_cannot_be_suppressed(desk, source, drifted):
    hidden = unreadable("policy", reason="denied", needs="SELECT")
    source.objects[hidden.key] = hidden
    unknown = next(f.id for f, _ in run(desk, source).findings if f.kind == "coverage")
    with pytest.raises(NotAllowed):
        decide.suppress(desk, TARGET, [unknown], until=START.date(), reason=REASON, actor=ANA)


def test_a_finding_that_is_not_there_is_refused(desk, drifted):
    with pytest.raises(NotFound):
        decide.suppress(desk, TARGET, ["F-0"], until=START.date(), reason=REASON, actor=ANA)
    with pytest.raises(UsageError):
        decide.suppress(desk, TARGET, [], until=START.date(), reason=REASON, actor=ANA)


def test_accepting_one_finding_leaves_the_other_open(desk, source, drifted):
    setting = next(f.id for f, _ in drifted.findings if f.kind == "setting")
    now = decide.accept(desk, TARGET, [setting], reason=REASON, actor=ANA)
    assert now.proposal.accepts == [setting]
    assert now.findings[setting].disposition is Disposition.OPEN
    now = approval.approve(desk, TARGET, actor=BEN)
    assert setting not in now.findings
    result = run(desk, source)
    assert [f.kind for f, _ in result.findings] == ["column"]


def test_what_was_accepted_once_is_a_finding_against_a_later_baseline(desk, source, drifted):
    """The database goes back, people sign for that, and the same change happens again."""
    setting = next(f.id for f, _ in drifted.findings if f.kind == "setting")
    decide.accept(desk, TARGET, [setting], reason=REASON, actor=ANA)
    approval.approve(desk, TARGET, actor=BEN)
    source.put("setting", "log_statement", value="ddl")
    propose_state(desk, TARGET, source, actor=ANA)
    approval.approve(desk, TARGET, actor=BEN)
    source.put("setting", "log_statement", value="none")
    result = run(desk, source)
    assert [(f.id, at) for f, at in result.findings] == [(setting, Disposition.OPEN)]
    assert result.outcome is Outcome.DRIFT


def test_accepting_everything_makes_the_next_scan_clean(desk, source, drifted):
    decide.accept(desk, TARGET, ids(drifted), reason=REASON, actor=ANA)
    with pytest.raises(NotAllowed):
        approval.approve(desk, TARGET, actor=ANA)
    approval.approve(desk, TARGET, actor=BEN)
    assert run(desk, source).outcome is Outcome.CLEAN


def test_a_child_is_not_accepted_without_its_parent(desk, source, drifted):
    source.put("table", "public.new", owner="app")
    source.put("grant", "table public.new to PUBLIC", select=["by app"], of="table public.new")
    found = {f.kind: f.id for f, _ in run(desk, source).findings}
    with pytest.raises(NotAllowed, match="without table"):
        decide.accept(desk, TARGET, [found["grant"]], reason=REASON, actor=ANA)
    both = [found["grant"], found["table"]]
    now = decide.accept(desk, TARGET, both, reason=REASON, actor=ANA)
    assert now.proposal.accepts == sorted(both)
    with pytest.raises(NotAllowed, match="is open"):
        decide.accept(desk, TARGET, [found["setting"]], reason=REASON, actor=ANA)


def test_accepting_needs_the_last_scan_to_hold_the_finding(desk, source, drifted):
    one = ids(drifted)[0]
    source.put("setting", "log_statement", value="ddl")
    source.put(
        "column", "public.orders.total", type="numeric", position=1, of="table public.orders"
    )
    run(desk, source)
    with pytest.raises(NotFound):
        decide.accept(desk, TARGET, [one], reason=REASON, actor=ANA)
