"""What a scan takes from the one before: only what was recorded, whole, and not for ever."""

import dataclasses
from datetime import timedelta

import msgspec
import pytest
from support.desk import ANA, BEN, CHLOE, MemorySource, propose_state, quiet

from chalicelib.drift import approval, snapshot
from chalicelib.drift.desk import Target
from chalicelib.drift.known import FULL_READING, known
from chalicelib.drift.outcome import Outcome
from chalicelib.drift.scan import scan
from chalicelib.drift.snapshot import Object
from chalicelib.drift.source import Mark
from chalicelib.kernel.errors import DigestMismatch, Malformed, Unreachable

TARGET = Target(slug="orders", env="prod", approvals=1)


class Marking(MemorySource):
    """A source in memory that can tell whether it has changed; ``read_in_full`` counts."""

    read_in_full = 0

    def read(self, progress, known=None):
        reading = super().read(progress)
        digest = snapshot.build(reading.objects).root.hex()
        if known is None:
            return reading
        stored = known.snapshot() if known.mark and known.mark.sha256 == digest else None
        if stored is None:
            self.read_in_full += 1
            return msgspec.structs.replace(reading, mark=Mark("1", digest))
        kept = list(stored.objects.values())
        return msgspec.structs.replace(reading, objects=kept, mark=known.mark, kept=True)


@pytest.fixture
def marking(clock, source):
    return Marking(clock, source.objects.values())


@pytest.fixture
def signed(desk, marking):
    propose_state(desk, TARGET, marking, actor=ANA)
    approval.approve(desk, TARGET, actor=BEN)
    return marking


def run(desk, source):
    return scan(desk, TARGET, source, actor=CHLOE, progress=quiet)


def recorded(desk):
    scans = [entry for entry in desk.journal.read() if entry.record.kind == "scan"]
    return scans[-1].body["snapshot"]


def test_a_second_scan_takes_what_the_first_one_read_and_says_so(desk, signed):
    first = run(desk, signed)
    assert set(recorded(desk)["mark"]) == {"since", "sha256"}
    second = run(desk, signed)
    assert signed.read_in_full == 1
    assert second.outcome is Outcome.CLEAN
    assert second.root == first.root
    assert recorded(desk)["mark"]["index"] == first.index
    third = run(desk, signed)
    assert recorded(desk)["mark"]["index"] == first.index
    assert third.root == first.root


def test_what_changed_is_read_and_found(desk, signed):
    run(desk, signed)
    signed.put("table", "public.new", owner="app")
    assert run(desk, signed).outcome is Outcome.DRIFT
    assert signed.read_in_full == 2
    assert run(desk, signed).outcome is Outcome.DRIFT  # and stays found, unread
    assert signed.read_in_full == 2


def test_everything_is_read_again_after_a_day(desk, signed, clock):
    run(desk, signed)
    clock.moment += FULL_READING - timedelta(minutes=1)
    run(desk, signed)
    assert signed.read_in_full == 1
    clock.moment += timedelta(minutes=2)
    run(desk, signed)
    assert signed.read_in_full == 2
    run(desk, signed)
    assert signed.read_in_full == 2


def test_another_program_reads_for_itself(desk, signed):
    run(desk, signed)
    newer = dataclasses.replace(desk, program=lambda: "another")
    run(newer, signed)
    assert signed.read_in_full == 2
    run(newer, signed)
    assert signed.read_in_full == 2


@pytest.mark.parametrize("damage", ["gone", "other"])
def test_a_snapshot_that_is_not_what_was_stored_is_not_taken(desk, signed, tmp_path, damage):
    run(desk, signed)
    state = desk.states.get(TARGET.stream)
    stored = tmp_path / "evidence" / approval.snapshot_key(state.last_scan.snapshot)
    stored.chmod(0o644)
    data = stored.read_bytes()
    stored.unlink()
    if damage == "other":
        stored.write_bytes(data.replace(b"app", b"eve"))
    assert known(desk, state, desk.clock.now()).snapshot() is None
    result = run(desk, signed)
    assert signed.read_in_full == 2
    assert result.outcome is not Outcome.CLEAN


def test_after_a_scan_that_read_nothing_everything_is_read(desk, signed):
    run(desk, signed)
    signed.error = Unreachable("no connection")
    run(desk, signed)
    signed.error = None
    run(desk, signed)
    assert signed.read_in_full == 2


def test_a_snapshot_is_recalled_only_as_it_was_stored():
    taken = snapshot.build(
        [Object("table", 'public."a\\b"', {"x": 1}), Object("column", "public.t.ä", {})]
    )
    root = taken.root.hex()
    digest = snapshot.canon.sha256(taken.data)
    again = snapshot.recall(taken.data, sha256=digest, root=root)
    assert list(again.objects) == list(taken.objects)
    assert again.data == taken.data
    assert [one.attributes for one in again.objects.values()] == [{}, {"x": 1}]
    with pytest.raises(DigestMismatch):
        snapshot.recall(taken.data + b"\n", sha256=digest, root=root)
    with pytest.raises(Malformed):
        snapshot.recall(b"{}\n", sha256=snapshot.canon.sha256(b"{}\n"), root=root)
