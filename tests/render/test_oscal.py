"""OSCAL: valid as compliance-trestle models it; every reference leads somewhere."""

from __future__ import annotations

import copy
import io
import json
import tracemalloc
import warnings

import pytest
from evidence.parcel import at
from support.reports import CLOUD, HOSTILE, SHOP, Tale, unwitnessed, whole

from chalicelib.render import exceptions, matrix, oscal, references

with warnings.catch_warnings():  # of what trestle itself is built on
    warnings.simplefilter("ignore")
    from trestle.core.duplicates_validator import DuplicatesValidator
    from trestle.core.refs_validator import RefsValidator
    from trestle.oscal.assessment_results import AssessmentResults


def text(book):
    out = io.StringIO()
    oscal.write(book, out)
    return out.getvalue()


def document(book):
    return json.loads(text(book))


def result(found):
    (one,) = found["assessment-results"]["results"]
    return one


def of_kind(found, kind):
    return [one for one in result(found)["observations"] if kind in one["types"]]


def findings(found):
    return {one["target"]["target-id"]: one for one in result(found)["findings"]}


def props(one):
    return {prop["name"]: prop["value"] for prop in one["props"]}


def valid(found):
    model = AssessmentResults.model_validate(found["assessment-results"])
    assert DuplicatesValidator().model_is_valid(model, quiet=True)
    assert RefsValidator().model_is_valid(model, quiet=True)
    assert references.check(found) == []
    return model


@pytest.fixture(scope="module")
def day():
    with whole().book() as book:
        yield book


@pytest.fixture(scope="module")
def found(day):
    return document(day)


def test_the_document_is_valid_and_whole(day, found):
    model = valid(found)
    assert str(model.metadata.oscal_version.root.root) == oscal.VERSION
    assert len(of_kind(found, "finding")) == exceptions.count(day) == 7
    assert len(of_kind(found, "control-objective")) == 8  # neither statements nor reviews


def test_the_same_packet_gives_the_same_bytes(day):
    assert text(day) == text(day)
    with whole().book() as other:  # of another log, as its key is another
        ids = {one["uuid"] for one in result(document(other))["observations"]}
    assert ids.isdisjoint(one["uuid"] for one in result(document(day))["observations"])


def test_times_are_those_of_the_records(day, found):
    period, told = day.verified.head.period, found["assessment-results"]
    assert (result(found)["start"], result(found)["end"]) == (period.start, period.end)
    assert told["metadata"]["last-modified"] == exceptions.closed_at(day)
    (one,) = (one for one in of_kind(found, "finding") if props(one).get("severity") == "high")
    assert one["collected"] == at(2, 0, 2)


def test_every_observation_leads_to_its_record(day, found):
    for one in result(found)["observations"]:
        (evidence,) = one["relevant-evidence"]
        told = props(evidence)
        assert told["packet-sha256"] == day.verified.verdict.packet
        assert told["log-root"] == day.verified.checkpoint.root.hex()
        assert told["leaf-hash"] == day.verified.hash_of(int(told["leaf-index"]))
    (one,) = (one for one in of_kind(found, "finding") if props(one).get("severity") == "high")
    (record,) = day.verified.entries([int(props(one["relevant-evidence"][0])["leaf-index"])])
    assert record.body["id"] == "F-1"


def test_the_packet_is_a_resource_with_its_hash(day, found):
    resource = found["assessment-results"]["back-matter"]["resources"][0]
    (link,) = resource["rlinks"]
    assert link["hashes"] == [{"algorithm": "SHA-256", "value": day.verified.verdict.packet}]
    assert link["href"] == f"urn:holdfast:packet:{day.verified.verdict.packet}"


def test_there_is_no_assessment_plan_and_that_is_said(found):
    href = found["assessment-results"]["import-ap"]["href"]
    (plan,) = (
        one
        for one in found["assessment-results"]["back-matter"]["resources"]
        if f"#{one['uuid']}" == href
    )
    assert plan["title"] == "No assessment plan"


def test_controls_that_nothing_ran_for_are_excluded(found):
    (chosen,) = result(found)["reviewed-controls"]["control-selections"]
    included = {one["control-id"] for one in chosen["include-controls"]}
    assert {"ac-2", "ac-2.3", "cm-8.3", "si-7.1"} <= included
    assert {one["control-id"] for one in chosen["exclude-controls"]} == {
        "ac-6.9", "au-2", "au-3.1", "au-12",
    }  # fmt: skip
    assert {f"{one}_obj" for one in included} == set(findings(found))


def test_a_finding_of_each_control_with_what_it_rests_on(day, found):
    told = findings(found)["cm-3_obj"]
    assert told["title"] == "CM-3: 3 exceptions: 1 open, 1 gone, 1 suppressed"
    related = {one["observation-uuid"] for one in told["related-observations"]}
    rests = [one for one in result(found)["observations"] if one["uuid"] in related]
    assert [props(one).get("kind") for one in rests] == [
        None,
        None,
        "carried",
        "finding",
        "finding",
    ]
    assert "supports" in told["description"]


def status(tale, control="cm-3_obj", **options):
    with tale.book(**options) as book:
        found = document(book)
    valid(found)
    return findings(found)[control]["target"]["status"]


def test_states_are_oscals_words_and_say_what_they_stand_for():
    tale = Tale()
    tale.scan(SHOP, 0)
    clean = status(tale)
    assert (clean["state"], clean["reason"]) == ("satisfied", "pass")
    assert "no exception was found in this evidence" in clean["remarks"]
    assert matrix.SUPPORTS in clean["remarks"]

    tale = Tale()
    tale.opened(SHOP, 0)
    tale.closed(SHOP, 1)
    gone = status(tale)
    assert (gone["state"], gone["reason"]) == ("satisfied", "pass")
    assert "none is left" in gone["remarks"]

    tale = Tale()
    tale.opened(SHOP, 0)
    tale.suppressed(SHOP, 1)
    assert status(tale)["reason"] == "other"
    assert status(tale)["state"] == "not-satisfied"
    assert status(tale, kinds=["finding.opened"])["reason"] == "other"  # untold

    tale = Tale()
    tale.opened(SHOP, 0)
    found = status(tale)
    assert (found["state"], found["reason"]) == ("not-satisfied", "fail")


def test_a_packet_without_its_quorum_says_so():
    tale = Tale()
    tale.opened(SHOP, 0)
    with tale.book(policy=unwitnessed(tale.archive)) as book:
        found = document(book)
    valid(found)
    assert result(found)["title"] == "The packet is UNWITNESSED"
    assert findings(found)["au-10_obj"]["target"]["status"]["state"] == "not-satisfied"


def test_a_period_in_which_nothing_ran():
    tale = Tale()
    tale.configured()
    with tale.book() as book:
        found = document(book)
    valid(found)
    assert {one["title"] for one in findings(found).values()} == {
        f"{one}: no exception found" for one in ("AU-9(2)", "AU-9(3)", "AU-10", "AU-11", "SI-7(1)")
    }
    assert of_kind(found, "finding") == []


def test_what_was_never_looked_at_is_a_subject_too():
    tale = Tale()
    tale.tick(0, SHOP)
    tale.add("lease.ended", "strange", at(2, 1), {"odd": True})
    with tale.book() as book:
        found = document(book)
    valid(found)
    assert [props(one)["kind"] for one in of_kind(found, "finding")] == ["odd record", "gap", "gap"]


def test_filtered_packets():
    for asked in ({"kinds": ["baseline"]}, {"targets": [CLOUD]}, {"kinds": ["finding"]}):
        with whole().book(**asked) as book:
            found = document(book)
            valid(found)
            assert len(of_kind(found, "finding")) == exceptions.count(book)


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_names(name):
    hostile = HOSTILE[name]
    tale = Tale()
    said = {"id": hostile, "name": hostile, "title": hostile, "kind": hostile, "severity": hostile}
    tale.opened(SHOP, 1, **said, attribute=hostile)
    tale.asked(2, hostile, break_glass=True, principal=hostile)
    tale.issued(2, hostile, until=hostile)
    with tale.book() as book:
        written = text(book)
    assert written.isascii()
    assert "\x7f" not in written
    found = json.loads(written)
    valid(found)
    for one in of_kind(found, "finding"):
        for shown in (one["title"], one["description"], *props(one).values()):
            assert shown.isprintable() or "\u00a0" in shown
            assert len(shown) < 2_500
        assert "<script" not in one["title"].replace("\\<", "")
        assert "](" not in one["title"].replace("\\]", "")


def test_a_time_that_is_none_is_that_of_its_record():
    tale = Tale()
    tale.asked(1, break_glass=True)
    tale.issued(1, until="0")
    with tale.book() as book:
        found = document(book)
    valid(found)
    (one,) = (one for one in of_kind(found, "finding") if props(one)["kind"] == "not ended")
    assert one["collected"] == at(2, 1, 3)


def spoilt(found, path, value):
    other = copy.deepcopy(found)
    inside = other["assessment-results"]
    for step in path[:-1]:
        inside = inside[step]
    inside[path[-1]] = value
    return other


RESULT = ("results", 0)
NOWHERE = "00000000-0000-4000-8000-000000000000"


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        ((*RESULT, "findings", 0, "related-observations", 0, "observation-uuid"), NOWHERE, "noth"),
        ((*RESULT, "observations", 0, "origins", 0, "actors", 0, "actor-uuid"), NOWHERE, "nothing"),
        ((*RESULT, "observations", -1, "subjects", 0, "subject-uuid"), NOWHERE, "nothing"),
        ((*RESULT, "observations", 0, "relevant-evidence", 0, "href"), f"#{NOWHERE}", "nothing"),
        (("import-ap", "href"), f"#{NOWHERE}", "nothing"),
        (("metadata", "responsible-parties", 0, "party-uuids", 0), NOWHERE, "nothing"),
        (("metadata", "responsible-parties", 0, "role-id"), "nobody", "nothing"),
        ((*RESULT, "end"), at(1), "a result from"),
        ((*RESULT, "start"), "yesterday", "not a timestamp"),
        (("metadata", "last-modified"), at(2), "a result from"),
        ((*RESULT, "observations", 0, "collected"), at(31), "after"),
    ],
)  # fmt: skip
def test_the_check_finds_what_leads_nowhere(found, path, value, words):
    assert any(words in one for one in references.check(spoilt(found, path, value)))


def test_the_check_finds_what_is_there_twice(found):
    same = result(found)["observations"][0]["uuid"]
    other = spoilt(found, (*RESULT, "observations", 1, "uuid"), same)
    assert f"{same} is the UUID of 2 things" in references.check(other)


class Counted(io.TextIOBase):
    """Takes text, and keeps only how much."""

    size = 0

    def write(self, text):
        self.size += len(text)
        return len(text)


def test_memory_does_not_grow_with_what_is_written():
    tale, out = Tale(), Counted()
    tale.many(SHOP, [f"F-{number}" for number in range(3_000)], title="x" * 500)
    with tale.book() as book:
        tracemalloc.start()
        oscal.write(book, out)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert out.size > 4_000_000
    assert peak < 1_500_000


def test_no_objective_is_satisfied_where_findings_are_left_out():
    with whole().book(kinds=["scan"]) as book:
        out = io.StringIO()
        oscal.write(book, out)
    (result,) = json.loads(out.getvalue())["assessment-results"]["results"]
    states = {one["target"]["status"]["state"] for one in result["findings"]}
    assert states == {"not-satisfied"}
