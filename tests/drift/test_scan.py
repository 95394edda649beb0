"""Invariant: a scan that could not read something says unknown; it never says clean."""

from __future__ import annotations

import pytest
from support.desk import ANA, BEN, CHLOE, START, make_desk, propose_state, quiet

from chalicelib.drift import approval
from chalicelib.drift.desk import Target
from chalicelib.drift.finding import Disposition
from chalicelib.drift.outcome import Outcome
from chalicelib.drift.scan import scan
from chalicelib.drift.snapshot import unreadable
from chalicelib.kernel.clock import timestamp
from chalicelib.kernel.errors import Busy, StoreUnavailable, Unreachable

TARGET = Target(slug="orders", env="prod", approvals=1)


def sign(desk, source):
    propose_state(desk, TARGET, source, actor=ANA)
    approval.approve(desk, TARGET, actor=BEN)


def run(desk, source):
    return scan(desk, TARGET, source, actor=CHLOE, progress=quiet)


def kinds(desk):
    return [entry.record.kind for entry in desk.journal.read()]


def test_without_a_baseline_nobody_can_tell(desk, source):
    result = run(desk, source)
    assert result.outcome is Outcome.UNKNOWN
    assert result.failure.code == "no_baseline"
    assert result.outcome.exit_code == 3
    assert kinds(desk)[-1] == "scan"


def test_why_there_is_no_connection_is_said_before_that_there_is_no_baseline(desk, source):
    source.error = Unreachable("no connection")
    assert run(desk, source).failure.code == "unreachable"


def test_equal_to_the_baseline_is_clean(desk, source):
    sign(desk, source)
    result = run(desk, source)
    assert (result.outcome, result.findings, result.outcome.exit_code) == (Outcome.CLEAN, [], 0)


def test_drift_is_named_dated_and_recorded(desk, source, clock):
    sign(desk, source)
    clean = run(desk, source)
    committed = timestamp(clock.now())
    source.put("table", "public.orders", owner="app", row_security=False)
    source.committed = {("table", "public.orders"): committed}
    result = run(desk, source)
    [(finding, disposition)] = result.findings
    assert result.outcome is Outcome.DRIFT
    assert result.outcome.exit_code == 1
    assert (finding.attribute, finding.before, finding.after) == ("row_security", True, False)
    assert (finding.direction.value, disposition) == ("widens", Disposition.OPEN)
    assert finding.when.committed == committed
    assert finding.when.not_before < committed < finding.when.not_after
    assert finding.when.not_before == read_at(desk, clean)
    assert kinds(desk)[-2:] == ["finding.opened", "scan"]


def read_at(desk, result):
    return next(iter(desk.journal.read(result.index, result.index + 1))).body["snapshot"]["read_at"]


def test_without_commit_timestamps_the_window_stands(desk, source):
    sign(desk, source)
    source.drop("setting", "log_statement")
    [(finding, _)] = run(desk, source).findings
    assert finding.when.committed == ""
    assert finding.when.not_before < finding.when.not_after


def test_a_commit_before_the_baseline_is_of_another_change(desk, source):
    sign(desk, source)
    source.put("table", "public.orders", owner="eve", row_security=True)
    source.committed = {("table", "public.orders"): timestamp(START)}
    [(finding, _)] = run(desk, source).findings
    assert finding.when.committed == ""


def test_a_dropped_column_is_dated_by_its_own_drop(desk, source, clock):
    sign(desk, source)
    dropped = timestamp(clock.now())
    source.drop("column", "public.orders.total")
    source.dropped = {("table", "public.orders"): [timestamp(START), dropped]}
    [(finding, _)] = run(desk, source).findings
    assert finding.when.committed == dropped


def test_two_drops_in_the_window_leave_the_window(desk, source, clock):
    sign(desk, source)
    source.drop("column", "public.orders.total")
    source.dropped = {("table", "public.orders"): [timestamp(clock.now()), timestamp(clock.now())]}
    [(finding, _)] = run(desk, source).findings
    assert finding.when.committed == ""


def test_a_revoked_grant_is_dated_by_its_object(desk, source, clock):
    source.put("grant", "table public.orders to bob", select=["by app"], of="table public.orders")
    sign(desk, source)
    source.drop("grant", "table public.orders to bob")
    source.committed = {("table", "public.orders"): timestamp(clock.now())}
    [(finding, _)] = run(desk, source).findings
    assert finding.when.committed == source.committed[("table", "public.orders")]


def test_a_finding_is_opened_once_and_closed_when_it_is_gone(desk, source):
    sign(desk, source)
    source.put("setting", "log_statement", value="none")
    first = run(desk, source)
    second = run(desk, source)
    assert [f.id for f, _ in first.findings] == [f.id for f, _ in second.findings]
    source.put("setting", "log_statement", value="ddl")
    third = run(desk, source)
    assert third.outcome is Outcome.CLEAN
    assert third.closed == [first.findings[0][0].id]
    assert kinds(desk).count("finding.opened") == 1
    assert kinds(desk).count("finding.closed") == 1


def test_an_unreadable_target_is_unknown_and_never_clean(desk, source):
    sign(desk, source)
    source.error = Unreachable("no connection", next_step="start it")
    result = run(desk, source)
    assert (result.outcome, result.outcome.exit_code) == (Outcome.UNKNOWN, 3)
    [(finding, _)] = result.findings
    assert finding.operation.value == "unreadable"
    source.error = Unreachable("no connection, in other words")
    assert run(desk, source).findings[0][0].id == finding.id
    source.error = None
    assert run(desk, source).outcome is Outcome.CLEAN


def test_a_finding_keeps_the_date_it_came_with(desk, source):
    sign(desk, source)
    source.put("setting", "log_statement", value="none")
    [(first, _)] = run(desk, source).findings
    [(again, _)] = run(desk, source).findings
    assert again.when == first.when


def test_what_was_unreadable_stays_unknown_while_the_target_is_away(desk, source):
    sign(desk, source)
    hidden = unreadable("policy", reason="denied", needs="x")
    source.objects[hidden.key] = hidden
    [(finding, _)] = run(desk, source).findings
    source.error = Unreachable("no connection")
    assert run(desk, source).closed == []
    source.error = None
    del source.objects[hidden.key]
    assert finding.id in run(desk, source).closed


def test_drift_stays_open_while_the_target_cannot_be_read(desk, source):
    sign(desk, source)
    source.put("setting", "log_statement", value="none")
    [(finding, _)] = run(desk, source).findings
    source.error = Unreachable("no connection")
    run(desk, source)
    assert finding.id in desk.states.get(TARGET.stream).findings


def test_a_part_that_could_not_be_read_is_unknown(desk, source):
    sign(desk, source)
    hidden = unreadable("setting", reason="denied", needs="pg_read_all_settings", partial=True)
    source.objects[hidden.key] = hidden
    result = run(desk, source)
    assert result.outcome is Outcome.UNKNOWN
    assert [f.operation.value for f, _ in result.findings] == ["unreadable"]


def test_what_was_hidden_keeps_its_findings_and_decisions(desk, source):
    """What cannot be read any more is neither gone nor changed."""
    source.put("setting", "work_mem", value="4", source_file="a")
    sign(desk, source)
    source.put("setting", "log_statement", value="none")
    source.put("setting", "work_mem", value="4", source_file="b")
    found = {f.name: f.id for f, _ in run(desk, source).findings}
    hidden = unreadable(
        "setting", reason="denied", needs="x", partial=True, attributes=["source_file"]
    )
    source.objects[hidden.key] = hidden
    source.drop("setting", "log_statement")
    source.put("setting", "work_mem", value="4")
    result = run(desk, source)
    assert [f.operation.value for f, _ in result.findings] == ["unreadable"]
    assert result.closed == []
    assert set(found.values()) < set(desk.states.get(TARGET.stream).findings)
    source.put("setting", "work_mem", value="8")
    assert [f.attribute for f, _ in run(desk, source).findings if f.certain] == ["value"]


def test_another_database_is_not_compared_with_the_baseline(desk, source):
    sign(desk, source)
    source.put("setting", "log_statement", value="none")
    [(finding, _)] = run(desk, source).findings
    source.identity = "database other"
    source.drop("table", "public.orders")
    result = run(desk, source)
    assert (result.outcome, result.failure.code) == (Outcome.UNKNOWN, "another_system")
    assert result.closed == []
    assert finding.id in desk.states.get(TARGET.stream).findings


def test_findings_outweigh_what_is_unknown(desk, source):
    sign(desk, source)
    hidden = unreadable("setting", reason="denied", needs="x", partial=True)
    source.objects[hidden.key] = hidden
    source.drop("table", "public.orders")
    assert run(desk, source).outcome is Outcome.DRIFT


@pytest.mark.parametrize("drifted", [True, False])
def test_a_tampered_snapshot_is_critical_and_nothing_is_diffed(desk, source, tmp_path, drifted):
    sign(desk, source)
    [stored] = (tmp_path / "evidence" / "snapshot" / "sha256").iterdir()
    data = stored.read_bytes().replace(b"ddl", b"all")
    stored.chmod(0o600)
    stored.write_bytes(data)
    if drifted:
        source.drop("table", "public.orders")
    result = run(desk, source)
    assert result.outcome is Outcome.REFUSED
    assert [(f.kind, f.name, f.severity.value) for f, _ in result.findings] == [
        ("baseline", "digest_mismatch", "critical")
    ]
    assert result.failure.code == "digest_mismatch"


def test_a_tampered_other_snapshot_is_noticed_when_it_is_met_again(desk, source, tmp_path):
    sign(desk, source)
    source.put("setting", "log_statement", value="none")
    first = run(desk, source)
    stored = tmp_path / "evidence" / "snapshot" / "sha256" / snapshot_sha256(desk, first)
    stored.chmod(0o600)
    stored.write_bytes(b"")
    assert run(desk, source).outcome is Outcome.REFUSED


def snapshot_sha256(desk, result):
    [entry] = desk.journal.read(result.index, result.index + 1)
    return entry.body["snapshot"]["sha256"]


def test_a_missing_envelope_is_its_own_error(desk, source, tmp_path):
    sign(desk, source)
    [path] = [p for p in (tmp_path / "evidence" / "baseline").rglob("*") if p.is_file()]
    path.unlink()
    [(finding, _)] = run(desk, source).findings
    assert (finding.kind, finding.name) == ("baseline", "missing")


def test_two_scans_of_one_target_at_once_are_refused(desk, source, tmp_path, clock):
    sign(desk, source)
    other = make_desk(tmp_path, clock)
    with other.locks.hold(TARGET.lock), pytest.raises(Busy):
        run(desk, source)
    assert run(desk, source).outcome is Outcome.CLEAN


def test_the_heartbeat_says_what_was_asked_of_whom_and_what_it_means(desk, source):
    sign(desk, source)
    result = run(desk, source)
    [entry] = desk.journal.read(result.index, result.index + 1)
    body = entry.body
    assert body["queries"] == [{"name": "all", "rows": 3, "sha256": "0" * 64}]
    assert body["system"] == {"database": "memory"}
    assert body["rules_sha256"] == desk.rules.sha256
    assert body["baseline"] == result.baseline
    assert (body["required"], body["approvers"]) == (1, [])
    assert body["snapshot"]["root"] == result.root
    assert entry.record.actor == CHLOE


class Full:
    """A write-once store on a disk that is full."""

    def __init__(self, inner):
        self.get = inner.get
        self.list = inner.list

    def put(self, _key, _data, **_options):
        raise StoreUnavailable("no space left on device")


def test_on_a_full_disk_nothing_is_reported_as_recorded(desk, source):
    sign(desk, source)
    before = desk.journal.size()
    full = type(desk)(
        **{**{f: getattr(desk, f) for f in desk.__slots__}, "objects": Full(desk.objects)}
    )
    with pytest.raises(StoreUnavailable):
        run(full, source)
    assert desk.journal.size() == before
