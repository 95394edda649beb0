"""Fleets on a schedule in virtual time: each target once a tick, none twice at once, none delayed.

What is simulated and what is real is told in ``support.simulation``.
"""

from __future__ import annotations

from collections import Counter

import pytest
from support.simulation import BATCH, SKEW_SECONDS, Plan, Simulation

from chalicelib.drift.audit import Audit
from chalicelib.evidence.fsck import fsck
from chalicelib.evidence.keys import LogKey, keyring
from chalicelib.evidence.report import Kind, Problem

CHAOS = {
    "killed_before": 0.01,
    "killed_after": 0.01,
    "duplicated": 0.05,
    "diverted": 0.005,
    "skew": SKEW_SECONDS,
    "shared_fate": True,
}
POISONED, CRASHING = 7, 501


@pytest.fixture
def simulate(tmp_path):
    made = []

    def run(ticks, **plan):
        folder = tmp_path / str(len(made))
        folder.mkdir()
        made.append(Simulation(folder, Plan(**plan)))
        made[-1].run(ticks)
        return made[-1]

    yield run
    for one in made:
        one.queue.close()


def verify(sim):
    """The log derives from its bytes, and heads and states are what its records add up to."""
    audit = Audit(sim.objects, sim.desk.trusted)

    def check(entry):
        for place, what in audit.check(entry):
            yield Problem(place=place, what=what, expected="", observed="", kind=Kind.REFERENCE)

    report = fsck(
        writeonce=sim.objects,
        derived=sim.derived,
        documents=sim.documents,
        keys=keyring([LogKey(sim.verifier)]),
        check=check,
    )
    assert report.problems == ()
    assert report.records == sim.log.size()
    assert list(sim.desk.states.check(audit.states)) == []
    for target in sim.targets:
        state = audit.states[target.stream]
        assert sim.desk.states.get(target.stream) == state
        assert (state.seq, state.leaf) == sim.log.last(target.stream)


def one_record_each(sim, ticks):
    fates = sim.fates()
    assert len(fates) == len(sim.targets) * ticks
    assert {len(records) for records in fates.values()} == {1}
    assert sim.most_at_once == 1
    return {key: records[0] for key, records in fates.items()}


def test_ten_thousand_targets_are_recorded_once_a_tick_whatever_happens(simulate):
    """Also where workers die and messages come twice, late, and out of order."""
    sim = simulate(
        2,
        targets=10_000,
        workers=40,
        signed=100,
        poisoned=(POISONED,),
        crashing=(CRASHING,),
        **CHAOS,
    )
    fates = one_record_each(sim, 2)
    assert sim.outcomes["repeated"] > 500
    assert sim.outcomes["missed"] > 0
    codes = Counter(code for _, _, code, _ in fates.values())
    assert codes["connection_lost"] == 2
    for tick in (0, 1):
        assert fates[sim.targets[CRASHING].stream, tick][1:3] == ("unknown", "overdue")
    # Who shares a worker with the one that crashes it shares its fate, and nobody else; of what
    # was diverted, some comes after its deadline.
    assert codes["overdue"] < 2 * BATCH + 0.01 * len(fates)
    assert all(kind == "scan" or (kind, sim.plan.diverted > 0) for kind, _, _, _ in fates.values())
    # What is told more than once has the same id; each finding came once.
    opened = [one for one in sim.events if one.type == "finding opened"]
    assert len({one.id for one in opened}) == len({one.detail["finding"] for one in opened})
    verify(sim)


def test_nobody_waits_for_a_target_that_hangs_or_crashes_where_workers_are_free(simulate):
    """Each other target's record has the very same time with and without them."""
    plan = {"targets": 400, "workers": 60, "signed": 50}
    good = one_record_each(simulate(3, **plan), 3)
    sim = simulate(3, **plan, poisoned=(POISONED,), crashing=(101,))
    bad = one_record_each(sim, 3)
    ill = {sim.targets[number].stream for number in (POISONED, 101)}
    assert {key: fate for key, fate in bad.items() if key[0] not in ill} == {
        key: fate for key, fate in good.items() if key[0] not in ill
    }
    assert [bad[sim.targets[POISONED].stream, tick][3] for tick in range(3)] == [300.0] * 3
    for tick in range(3):
        kind, outcome, code, after = bad[sim.targets[101].stream, tick]
        assert (kind, outcome, code) == ("scan", "unknown", "overdue")
        assert after >= sim.plan.period
    verify(sim)


def test_where_workers_are_few_what_hangs_costs_the_others_its_share_of_one_worker(simulate):
    """Bound: list scheduling on W workers starts a batch when the work before it, shared by W, is
    done, give or take the longest batch (Graham 1969). A hanging target lengthens one batch by
    ``hang`` at most, and a killed worker is there again at once.
    """
    plan = {"targets": 600, "workers": 4}
    good = one_record_each(simulate(2, **plan), 2)
    sim = simulate(2, **plan, poisoned=(POISONED,))
    bad = one_record_each(sim, 2)
    bound = sim.plan.hang / sim.plan.workers + sim.plan.slowest
    late = {key: bad[key][3] - good[key][3] for key in good if sim.number[key[0]] != POISONED}
    assert max(late.values()) <= bound
    assert {bad[key][:3] for key in late} == {good[key][:3] for key in late}


def test_a_crash_takes_at_most_the_batch_of_its_worker_along(simulate):
    plan = {"targets": 400, "workers": 60}
    good = one_record_each(simulate(2, **plan), 2)
    sim = simulate(2, **plan, crashing=(101,), shared_fate=True)
    bad = one_record_each(sim, 2)
    for tick in (0, 1):
        other = [key for key in good if key[1] == tick and good[key] != bad[key]]
        assert 1 <= len(other) <= BATCH
    verify(sim)


def test_each_finding_is_told_once_where_nothing_crashes(simulate):
    sim = simulate(3, targets=300, workers=20, signed=300, skew=SKEW_SECONDS)
    fates = one_record_each(sim, 3)
    assert {fate[1] for key, fate in fates.items() if key[1] == 0} == {"clean"}
    assert {fate[1] for key, fate in fates.items() if key[1] > 0} == {"drift"}
    assert len(sim.events) == 300
    assert len({one.id for one in sim.events}) == 300
    assert {one.detail["target"] for one in sim.events} == {one.stream for one in sim.targets}
    assert {one.type for one in sim.events} == {"finding opened"}
    assert sim.outcomes["repeated"] == 0
    verify(sim)


def test_a_duplicate_of_anything_adds_nothing(simulate):
    sim = simulate(2, targets=100, workers=10, duplicated=1.0, skew=SKEW_SECONDS)
    fates = one_record_each(sim, 2)
    assert {fate[0] for fate in fates.values()} == {"scan"}
    assert sim.outcomes["repeated"] >= 190
    verify(sim)


def test_what_comes_after_the_next_is_missed_and_never_scanned(simulate):
    sim = simulate(3, targets=100, workers=10, diverted=0.5)
    fates = one_record_each(sim, 3)
    kinds = Counter(fate[0] for fate in fates.values())
    assert kinds["scan.missed"] > 10
    assert kinds["scan"] > 150
    for (stream, tick), fate in fates.items():
        if fate[0] == "scan.missed":
            assert any(fates[stream, later][0] == "scan" for later in range(tick + 1, 3))
        elif fate[3] > sim.plan.period + sim.plan.slowest:
            assert fate[1:3] == ("unknown", "overdue")
    verify(sim)
