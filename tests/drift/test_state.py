from __future__ import annotations

import os

import pytest
from support.desk import ANA, BEN, make_desk, propose_state, quiet

from chalicelib.drift import approval
from chalicelib.drift.audit import Audit
from chalicelib.drift.desk import Target
from chalicelib.drift.scan import scan
from chalicelib.drift.state import States
from chalicelib.kernel.record import Draft

TARGET = Target(slug="orders", approvals=1)


@pytest.fixture
def lived(desk, source):
    """A target with a baseline, drift, and a scan of another target behind it."""
    propose_state(desk, TARGET, source, actor=ANA)
    approval.approve(desk, TARGET, actor=BEN)
    source.put("setting", "log_statement", value="none")
    scan(desk, TARGET, source, actor=ANA, progress=quiet)
    scan(desk, Target(slug="other"), source, actor=ANA, progress=quiet)
    return desk


def cache(tmp_path):
    return tmp_path / "derived" / "state" / "postgres" / "orders"


def audit(desk):
    walked = Audit(desk.objects, desk.trusted)
    problems = [problem for entry in desk.journal.read() for problem in walked.check(entry)]
    return problems + list(desk.states.check(walked.states))


def test_the_cache_says_what_the_log_adds_up_to(lived, tmp_path):
    kept = lived.states.get(TARGET.stream)
    cache(tmp_path).unlink()
    assert lived.states.get(TARGET.stream) == kept
    assert audit(lived) == []


@pytest.mark.parametrize(
    "forged",
    [
        b"",
        b"1 00\n{}",
        b"nonsense",
    ],
)
def test_a_forged_cache_is_not_believed_and_is_reported(lived, tmp_path, forged):
    truth = lived.states.get(TARGET.stream)
    cache(tmp_path).write_bytes(forged)
    assert lived.states.get(TARGET.stream) == truth
    assert [place for place, _ in audit(lived)] == ["state/postgres/orders"]


def test_something_else_in_the_caches_place_is_named_and_done_without(lived, tmp_path):
    truth = lived.states.get(TARGET.stream)
    cache(tmp_path).unlink()
    os.mkfifo(cache(tmp_path))
    assert lived.states.get(TARGET.stream) == truth
    assert [place for place, _ in audit(lived)] == ["state/postgres/orders"]


def test_an_edited_cache_is_not_believed(lived, tmp_path):
    path = cache(tmp_path)
    truth = lived.states.get(TARGET.stream)
    path.write_bytes(path.read_bytes().replace(b'"open"', b'"accepted"'))
    assert lived.states.get(TARGET.stream) == truth
    assert audit(lived) != []


def test_the_cache_of_one_target_does_not_stand_for_another(lived, tmp_path):
    other = tmp_path / "derived" / "state" / "postgres" / "other"
    other.write_bytes(cache(tmp_path).read_bytes())
    assert lived.states.get("postgres:other").baseline is None
    assert any(place == "state/postgres/other" for place, _ in audit(lived))


def test_a_cache_sealed_by_another_installation_is_not_believed(lived, tmp_path):
    foreign = States(lived.journal, lived.states._cache, b"x" * 32)
    foreign.settle(TARGET.stream)
    assert [what for _, what in audit(lived)] == ["not sealed by this installation's key"]


def test_another_process_sees_what_was_decided(lived, tmp_path, clock):
    assert make_desk(tmp_path, clock).states.get(TARGET.stream) == lived.states.get(TARGET.stream)


def test_audit_names_a_changed_snapshot(lived, tmp_path):
    for path in (tmp_path / "evidence" / "snapshot").rglob("*"):
        if path.is_file() and b'"ddl"' in path.read_bytes():
            changed = path
    changed.chmod(0o600)
    changed.write_bytes(changed.read_bytes().replace(b'"ddl"', b'"all"'))
    places = [place for place, _ in audit(lived)]
    assert places
    assert set(places) <= {f"snapshot/sha256/{changed.name}", *envelopes(tmp_path)}
    assert f"snapshot/sha256/{changed.name}" in places


def envelopes(tmp_path):
    folder = tmp_path / "evidence" / "baseline" / "sha256"
    return {f"baseline/sha256/{path.name}" for path in folder.iterdir()}


def test_audit_names_a_changed_envelope(lived, tmp_path):
    [path] = (tmp_path / "evidence" / "baseline" / "sha256").iterdir()
    path.chmod(0o600)
    path.write_bytes(path.read_bytes()[:-1])
    assert [place for place, _ in audit(lived)] == [f"baseline/sha256/{path.name}"]


def test_audit_names_a_record_with_another_body(lived):
    body = {"proposal": "B-0"}
    at = "2026-10-01T02:00:00.000000Z"
    lived.journal.append([Draft("baseline.proposed", TARGET.stream, at, ANA, body)])
    [(place, what)] = audit(lived)
    assert place == f"record {lived.journal.size() - 1}"
    assert "baseline.proposed" in what
