"""The control matrix: what ran, what was found, what is not told; and every exception, once."""

from __future__ import annotations

import pytest
from evidence.parcel import at
from support.reports import ACCESS, CLOUD, HOSTILE, SHOP, Tale, unwitnessed, whole

from chalicelib.render import exceptions, matrix
from chalicelib.render.exceptions import MAX_WHAT

NOTHING, UNTOLD, NONE = matrix.NOTHING, matrix.UNTOLD, matrix.NO_EXCEPTION


def controls(book, framework="nist_800_53"):
    (found,) = (one for one in matrix.matrix(book) if one.name == framework)
    return {one.id: one for one in found.controls}


def noted(book):
    return [
        (one.kind, one.target, one.disposition, one.leaf) for one in exceptions.exceptions(book)
    ]


def kinds(book):
    return [one.kind for one in exceptions.exceptions(book)]


def sets(book):
    return {one.kind: one.sets for one in exceptions.exceptions(book)}


def ran(control):
    return {one.set: one for one in control.evidence}


@pytest.fixture(scope="module")
def day():
    with whole().book() as book:
        yield book


def test_each_control_is_there_once_and_in_the_order_of_its_numbers(day):
    found = matrix.matrix(day)
    assert [one.name for one in found] == list(matrix.TITLES)
    for framework in found:
        ids = [one.id for one in framework.controls]
        assert len(ids) == len(set(ids))
    nist = list(controls(day))
    assert nist[:4] == ["AC-2", "AC-2(3)", "AC-3", "AC-5"]
    assert nist.index("AU-9(4)") < nist.index("AU-10")
    assert list(controls(day, "pci_dss"))[-2:] == ["10.7.2", "11.5.2"]


def test_ids_that_nobody_compared_say_so(day):
    assert all(one.awaiting_check for one in controls(day, "pci_dss").values())
    soc2 = controls(day, "soc2")
    assert [one.id for one in soc2.values() if one.awaiting_check] == ["CC4.1"]
    assert not any(one.awaiting_check for one in controls(day).values())


def test_what_ran_is_said_in_words(day):
    words = {name: one.words for each in controls(day).values() for name, one in ran(each).items()}
    assert words == {
        "drift": "7 scans of 2 targets, 6 of them held to a signed baseline",
        "access": "6 snapshots of 2 targets, 42 objects read in all",
        "baseline": "1 baseline proposed, 1 approval by others, 1 signed",
        "statements": "no statement is recorded; what may count is a change of what is logged",
        "host": "3 scans of 1 target in AWS",
        "coverage": "7 of 8 scans that the schedule expected, at 4 times",
        "leases": "2 requests, 1 approval, 2 leases, 2 of them proven gone",
        "review": "0 reviews; 1 lease given before anybody agreed (break-glass)",
        "integrity": "31 records proven under a checkpoint of 31 leaves, 0 witnesses, "
        "0 timestamps: VERIFIED",
        "custody": "0 packets made, evidence read 1 time",
    }


def test_results(day):
    found = controls(day)
    assert found["CM-3"].result == "3 exceptions: 1 open, 1 gone, 1 suppressed"
    assert found["SI-4"].result == "2 exceptions: 1 open, 1 gone"
    assert found["CM-2(2)"].result == found["AU-10"].result == found["AU-6"].result == NONE
    assert found["AU-2"].result == NOTHING
    assert found["AC-2(3)"].result == "1 exception: 1 open"
    assert not found["AU-2"].ran
    assert found["AU-10"].ran


def test_an_exception_of_several_sets_counts_once_for_a_control(day):
    found = controls(day, "iso_27001")["A.8.9"]  # drift, access, baseline and host
    assert found.exceptions == 4 < sum(one.exceptions for one in found.evidence)
    assert found.dispositions == {"open": 1, "gone": 2, "suppressed": 1}
    assert next(iter(found.dispositions)) == "open"


def test_the_first_record_of_what_ran_is_named(day):
    found = ran(controls(day)["CM-3"])
    kind = "SELECT kind FROM record WHERE leaf = ?"
    assert day.one(kind, [found["drift"].first_leaf]) == "scan"
    assert day.one(kind, [found["baseline"].first_leaf]) == "baseline.proposed"
    assert ran(controls(day)["AU-2"])["statements"].first_leaf is None


def test_nothing_says_that_a_control_is_satisfied(day):
    for framework in matrix.matrix(day):
        for one in framework.controls:
            assert "satisf" not in f"{one.result} {one.evidence}".lower()


def test_exceptions_of_a_day(day):
    # No two of a kind here.
    assert kinds(day) == [
        "no review", "left behind", "carried", "gap", "finding", "scan", "finding",
    ]  # fmt: skip
    assert exceptions.count(day) == 7
    (found,) = (one for one in exceptions.exceptions(day) if one.severity == "high")
    assert (found.what, found.when) == ("Owner changed: table public.t, owner", at(2, 0, 2))
    for one in exceptions.exceptions(day):
        assert day.one("SELECT count(*) FROM record WHERE leaf = ?", [one.leaf]) == 1


def test_open_ones_come_first_and_the_worst_of_them_before_others():
    tale = Tale()
    for number, severity in enumerate(["low", "critical", "high", "critical"]):
        tale.opened(SHOP, 3, f"F-{number}", severity=severity)
    tale.closed(SHOP, 4, "F-3")
    with tale.book() as book:
        found = [(one.severity, one.disposition) for one in exceptions.exceptions(book)]
    assert found == [("critical", "open"), ("high", "open"), ("low", "open"), ("critical", "gone")]


def test_a_period_in_which_nothing_ran():
    tale = Tale()
    tale.configured()
    with tale.book() as book:
        found = controls(book)
        assert found["CM-3"].result == found["SI-4"].result == found["AC-2"].result == NOTHING
        assert found["AU-10"].result == NONE
        assert exceptions.count(book) == 0
        words = ran(found["CA-7"])
        assert words["drift"].words.startswith("0 scans of 0 targets")
        assert words["coverage"].count == 0


def test_what_was_before_the_period_is_not_counted_in_it():
    tale = Tale()
    signed = tale.baseline(SHOP, -12)
    tale.scan(SHOP, 1, signed=signed, rests_on=[signed - 2, signed - 1, signed])
    with tale.book() as book:
        assert book.one("SELECT count(*) FROM baseline") == 1
        found = controls(book)
        assert ran(found["CM-3"])["drift"].words.endswith("1 of them held to a signed baseline")
        assert ran(found["CM-3"])["baseline"].words.startswith("0 baselines proposed, 0 approvals")
        assert found["CM-2(2)"].result == NOTHING


def test_what_the_filter_leaves_out_is_not_told():
    with whole().book(kinds=["baseline"]) as book:
        found = controls(book)
        assert found["AC-5"].result == found["AC-2(3)"].result == UNTOLD
        assert ran(found["AC-5"])["leases"].words == UNTOLD
        assert found["CM-2(2)"].result == f"exceptions {UNTOLD}"
        assert found["AC-2"].result.endswith(f"; of part of it {UNTOLD}")
        # Scans are in every packet, and list findings whose records are not here.
        assert "no review" not in kinds(book)
        assert kinds(book).count("carried") == 3


@pytest.mark.parametrize("kind", ["scan", "lease", "access", "baseline", "finding.closed"])
def test_without_findings_no_control_is_said_to_be_without_exceptions(kind):
    with whole().book(kinds=[kind]) as book:
        for one in controls(book).values():
            assert NONE not in one.result
            assert not one.complete


def test_what_would_end_an_exception_and_is_not_told_makes_none():
    tale = Tale()
    tale.asked(1, break_glass=True)
    tale.issued(1, until=at(2, 2))
    tale.orphaned(3)
    with tale.book(kinds=["access.requested", "lease.issued", "lease.issuing"]) as book:
        assert kinds(book) == []
    with tale.book(kinds=["access.requested", "lease.orphaned"]) as book:
        assert [(one[0], one[2]) for one in noted(book)] == [("orphan", "untold")]
    with tale.book() as book:
        assert sorted(kinds(book)) == ["no review", "not ended", "orphan"]


def test_a_packet_without_its_quorum_is_an_exception_to_integrity():
    tale = Tale()
    tale.configured()
    with tale.book(policy=unwitnessed(tale.archive)) as book:
        ((kind, _, disposition, leaf),) = noted(book)
        assert (kind, disposition, leaf) == ("unwitnessed", "open", book.verified.head.census)
        assert controls(book)["AU-10"].result == "1 exception: 1 open"
        assert "UNWITNESSED" in ran(controls(book)["AU-10"])["integrity"].words


def test_leases_that_are_as_they_should_be():
    tale = Tale()
    tale.asked(1)
    tale.agreed(1)
    tale.issued(1)
    tale.ended(1)
    tale.asked(2, "L-2", break_glass=True)
    tale.issued(2, "L-2")
    tale.ended(2, "L-2")
    tale.reviewed(2, "L-2")
    tale.asked(3, "L-3")
    tale.agreed(3, "L-3")
    tale.issued(3, "L-3", until=at(3, 1))  # past the period's end
    tale.asked(4, "L-4", break_glass=True)  # asked for, and never given
    with tale.book() as book:
        assert kinds(book) == []
        assert controls(book)["AC-2(3)"].result == NONE


def test_who_asked_may_not_be_who_agreed():
    tale = Tale()
    leaf = tale.asked(1)
    tale.agreed(1, by="Dora")
    with tale.book() as book:
        assert noted(book) == [("own approval", "shop", "open", leaf)]
        assert sets(book) == {"own approval": ("leases",)}


def test_an_orphan_is_gone_where_its_own_end_is_recorded():
    tale = Tale()
    one, other = tale.orphaned(1, "hf_one"), tale.orphaned(1, "hf_two")
    tale.ended(2, "", role="hf_one")
    with tale.book() as book:
        assert [found[2:] for found in noted(book)] == [("open", other), ("gone", one)]


@pytest.mark.parametrize(("later", "disposition"), [(0, "gone"), (1, "open"), (None, "open")])
def test_masks_that_did_not_hold_until_they_did(later, disposition):
    tale = Tale()
    tale.checked(1)
    leak = tale.checked(2, leaked=1)
    if later is not None:
        tale.checked(3, leaked=later)
    with tale.book() as book:
        assert ("leak", "shop", disposition, leak) in noted(book)
        assert exceptions.count(book) == 1 + bool(later)


def test_what_cannot_be_read_is_an_exception_to_the_population():
    tale = Tale()
    tale.opened(SHOP, 1, operation="unreadable", kind="role")
    with tale.book() as book:
        assert sets(book) == {"finding": ("drift", "access")}


def test_findings_of_hosts_and_of_rules_with_sets_are_exceptions_to_these():
    tale = Tale()
    tale.opened(CLOUD, 1, sets=("leases",))
    with tale.book() as book:
        assert sets(book) == {"finding": ("drift", "leases", "host")}
        assert controls(book)["PS-4"].exceptions == 1
        assert controls(book)["AU-10"].exceptions == 0


@pytest.mark.parametrize(
    "strange", [{}, {"nist_800_53": "CM-3"}, {"nist_800_53": [[1]]}, {"soc2": 7}, [], 7]
)
def test_a_finding_with_other_controls_is_a_finding(strange):
    tale = Tale()
    tale.opened(SHOP, 1, controls=strange)
    with tale.book() as book:
        assert sets(book) == {"finding": ("drift",)}


def test_a_record_that_is_none_of_its_kind_is_an_exception():
    tale = Tale()
    leaf = tale.add("lease.ended", ACCESS, at(2, 1), {"strange": True})
    with tale.book() as book:
        assert noted(book) == [("odd record", ACCESS, "open", leaf)]
        assert sets(book) == {"odd record": ("leases", "integrity")}


def test_a_gap_leads_to_the_record_that_shows_it():
    tale = Tale()
    tick = tale.tick(0, SHOP, CLOUD)
    tale.scan(SHOP, 0)
    missed = tale.missed(CLOUD, 0)
    late = tale.tick(6, SHOP)
    with tale.book() as book:
        census = book.verified.head.census
        found = {(one.when, one.target): one.leaf for one in exceptions.exceptions(book)}
    assert found.pop((at(2, 0), CLOUD)) == missed
    assert found.pop((at(2, 6), CLOUD), tick) == tick
    assert found.pop((at(2, 6), SHOP)) == late  # no scan
    assert found.pop((at(2, 12), SHOP)) == late  # no tick after it
    assert found == {}
    assert census > late


def test_a_scan_that_failed_is_over_with_the_next_that_could_tell():
    tale = Tale()
    tale.tick(0, SHOP)
    tale.failed(SHOP, 0)
    tale.tick(6, SHOP, CLOUD)
    tale.scan(SHOP, 6)
    tale.failed(CLOUD, 6)
    with tale.book() as book:
        found = [one[1:3] for one in noted(book) if one[0] == "scan"]
        assert found == [(CLOUD, "open"), (SHOP, "gone")]


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_names_are_told_as_they_are_and_bounded(name):
    tale = Tale()
    tale.opened(SHOP, 1, name=HOSTILE[name], title=HOSTILE[name], kind=HOSTILE[name][:40])
    with tale.book() as book:
        (one,) = exceptions.exceptions(book)
        assert len(one.what) <= MAX_WHAT + 1
        assert one.what.startswith(HOSTILE[name][:MAX_WHAT])
