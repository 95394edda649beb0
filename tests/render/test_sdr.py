"""FedRAMP's Security Decision Record: its form, and where its evidence leads."""

from __future__ import annotations

import io
import json
import re
from datetime import date
from urllib.parse import urlsplit

import pytest
from support.reports import HOSTILE, SHOP, Tale, unwitnessed, whole

from chalicelib.drift import rulebook
from chalicelib.kernel.clock import parse_timestamp
from chalicelib.render import exceptions, matrix, sdr

# Source: fedramp-security-decision-record-schema-2026-06-24.json, FedRAMP/schemas.
INDICATOR = {
    "ksiId", "ksiImplementation", "ksiValidation", "ksiAssessment", "ksiTests", "ksiEvidence",
}  # fmt: skip
TYPES = {"Log", "Report", "Screenshot", "Configuration", "Policy", "Procedure", "Audit Record"}
EVIDENCE = {
    "evidenceType", "evidenceDescription", "evidenceLocation", "evidenceText", "lastUpdated",
}  # fmt: skip


def text(book, **options):
    out = io.StringIO()
    sdr.write(book, out, **options)
    return out.getvalue()


def valid(book):
    """The record, which has the form that the schema asks for."""
    found = json.loads(text(book))
    assert urlsplit(found["certificationPackageOverviewUri"]).scheme
    assert found["fedRampRequirements"] == []
    assert parse_timestamp(found["metadata"]["lastUpdated"])
    assert found["metadata"].keys() == {"version", "lastUpdated", "updateSource"}
    for one in found["keySecurityIndicators"]:
        assert one.keys() == INDICATOR
        assert re.fullmatch(r"KSI-[A-Z]{3}-[A-Z]{3}", one["ksiId"])
        assert all(
            isinstance(each, str) for name in INDICATOR - {"ksiEvidence"} for each in one[name]
        )
        for evidence in one["ksiEvidence"]:
            assert evidence.keys() == EVIDENCE
            assert evidence["evidenceType"] in TYPES
            assert evidence["evidenceLocation"].startswith("urn:holdfast:packet:")
            assert date.fromisoformat(evidence["lastUpdated"])
    return {one["ksiId"]: one for one in found["keySecurityIndicators"]}


@pytest.fixture(scope="module")
def day():
    with whole().book() as book:
        yield book


def test_every_indicator_of_the_controls_is_there_once(day):
    known = {f"KSI-{ksi}" for one in rulebook.controls().sets.values() for ksi in one.fedramp_ksi}
    found = json.loads(text(day))["keySecurityIndicators"]
    assert len(found) == len(known)
    assert valid(day).keys() == known


def test_tests_are_what_ran_and_what_came_of_it(day):
    assert valid(day)["KSI-MLA-EVC"]["ksiTests"] == [
        "Drift finding: 7 scans of 2 targets, 6 of them held to a signed baseline",
        "AWS configuration (RDS, IAM): 3 scans of 1 target in AWS",
        "Result: 3 exceptions: 1 open, 1 gone, 1 suppressed",
    ]


def test_evidence_leads_to_the_packet_its_root_and_its_leaves(day):
    told = day.verified
    for one in valid(day).values():
        for evidence in one["ksiEvidence"]:
            assert f"{told.verdict.packet}\n" in evidence["evidenceText"]
            assert f"root {told.checkpoint.root.hex()}" in evidence["evidenceText"]
            where, _, leaf = evidence["evidenceLocation"].partition("#leaf=")
            assert where.endswith(told.verdict.packet)
            assert f"leaf {leaf}, hash {told.hash_of(int(leaf))}" in evidence["evidenceText"]
    (drift, _) = valid(day)["KSI-MLA-EVC"]["ksiEvidence"]
    leaves = sorted(one.leaf for one in exceptions.exceptions(day) if "drift" in one.sets)
    assert leaves == [5, 6, 7]
    assert drift["evidenceText"].endswith("records of exceptions: leaves 5-7")


def test_what_only_people_can_say_is_not_said(day):
    for one in valid(day).values():
        assert one["ksiImplementation"] == one["ksiAssessment"] == []
        assert matrix.SUPPORTS in one["ksiValidation"][0]
        assert "satisf" not in json.dumps(one).lower()


def test_an_overview_is_named_by_whoever_has_one(day):
    found = json.loads(text(day, overview="https://provider.example/overview.json"))
    assert found["certificationPackageOverviewUri"] == "https://provider.example/overview.json"
    assert json.loads(text(day))["certificationPackageOverviewUri"] == sdr.NOT_GIVEN


def test_the_same_packet_gives_the_same_bytes(day):
    assert text(day) == text(day)


def test_a_period_in_which_nothing_ran():
    tale = Tale()
    tale.configured()
    with tale.book() as book:
        found = valid(book)
    assert found["KSI-SVC-ACM"]["ksiEvidence"] == []
    assert found["KSI-SVC-ACM"]["ksiTests"][-1] == f"Result: {matrix.NOTHING}"
    assert len(found["KSI-MLA-OSM"]["ksiEvidence"]) == 1


def test_what_the_filter_leaves_out_is_not_told():
    with whole().book(kinds=["baseline"]) as book:
        found = valid(book)
    assert found["KSI-IAM-JIT"]["ksiTests"][-1] == f"Result: {matrix.UNTOLD}"
    assert found["KSI-IAM-JIT"]["ksiEvidence"] == []


def test_a_packet_without_its_quorum_says_so():
    tale = Tale()
    tale.configured()
    with tale.book(policy=unwitnessed(tale.archive)) as book:
        found = valid(book)
        assert "UNWITNESSED" in json.loads(text(book))["metadata"]["updateSource"]
    assert all("UNWITNESSED" in one["ksiValidation"][0] for one in found.values())
    assert found["KSI-MLA-OSM"]["ksiTests"][-1] == "Result: 1 exception: 1 open"


def test_evidence_that_is_nothing_but_an_exception_leads_to_it():
    tale = Tale()
    leaf = tale.opened(SHOP, 1, sets=("statements",))
    with tale.book() as book:
        (evidence,) = valid(book)["KSI-CMT-LMC"]["ksiEvidence"]
        assert evidence["evidenceLocation"].endswith(f"#leaf={leaf}")


@pytest.mark.parametrize("name", sorted(HOSTILE.keys() - {"spaces"}))
def test_hostile_names_are_not_in_it(name):
    tale = Tale()
    tale.opened(SHOP, 1, HOSTILE[name], name=HOSTILE[name], title=HOSTILE[name])
    with tale.book() as book:
        written = text(book)
    assert written.isascii()
    assert HOSTILE[name].strip()[:20] not in json.dumps(json.loads(written), ensure_ascii=False)


def test_many_leaves_are_told_in_stretches_up_to_a_bound():
    assert sdr._ranges([3]) == "3"
    assert sdr._ranges([3, 4, 5, 9, 11, 12]) == "3-5, 9, 11-12"
    told = sdr._ranges([*range(0, 2 * sdr.MAX_RANGES, 2), 5_000, 5_001])
    assert told.count(",") == sdr.MAX_RANGES + 1
    assert told.endswith("998, and 2 more, as the CSV export lists them")
