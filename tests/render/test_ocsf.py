"""Events against what OCSF requires of them.

The tables were written down from github.com/ocsf/ocsf-schema: ``events/base_event.json``,
``events/application/datastore_activity.json``, ``events/findings/{finding,detection_finding,
compliance_finding}.json``, ``events/iam/{iam,entity_management,user_access}.json``, their
``objects/`` and ``dictionary.json``, and schema.ocsf.io/1.8.0.
"""

from __future__ import annotations

import io
import json
import tracemalloc
import uuid
from collections import Counter
from datetime import UTC, datetime

import pytest
from evidence.parcel import at
from support.reports import CLOUD, HOSTILE, SHOP, Tale, unwitnessed
from support.tales import crowd, full, hostile

from chalicelib.render import ocsf
from chalicelib.render.ocsf_entities import TOLD

MIB = 2**20
SEVERITY = {0: "Unknown", 1: "Informational", 2: "Low", 3: "Medium", 4: "High", 5: "Critical",
            6: "Fatal", 99: "Other"}  # fmt: skip
STATUS = {0: "Unknown", 1: "Success", 2: "Failure", 99: "Other"}
FOUND = {0: "Unknown", 1: "New", 2: "In Progress", 3: "Suppressed", 4: "Resolved", 5: "Archived",
         6: "Deleted", 99: "Other"}  # fmt: skip
CHECKED = {0: "Unknown", 1: "Pass", 2: "Warning", 3: "Fail", 99: "Other"}
FINDING = {0: "Unknown", 1: "Create", 2: "Update", 3: "Close", 99: "Other"}
BASE = {
    "activity_id", "category_uid", "class_uid", "metadata", "severity_id", "time", "type_uid",
}  # fmt: skip
KNOWN = BASE | {
    "activity_name", "category_name", "class_name", "count", "duration", "end_time", "enrichments",
    "message", "observables", "raw_data", "severity", "start_time", "status", "status_code",
    "status_detail", "status_id", "timezone_offset", "type_name", "unmapped",
}  # fmt: skip
# class_uid: category, activities, captions of status_id, required, also known, one of
CLASSES = {
    6005: (
        6,
        {0: "Unknown", 1: "Read", 2: "Update", 3: "Connect", 4: "Query", 5: "Write", 6: "Create",
         7: "Delete", 8: "List", 9: "Encrypt", 10: "Decrypt", 99: "Other"},
        STATUS,
        {"actor", "src_endpoint"},
        {"database", "databucket", "dst_endpoint", "query_info", "table", "type", "type_id"},
        {"database", "databucket", "table"},
    ),
    2004: (
        2,
        FINDING,
        FOUND,
        {"finding_info"},
        {"confidence", "confidence_id", "evidences", "is_alert", "resources", "remediation"},
        set(),
    ),
    2003: (2, FINDING, FOUND, {"finding_info", "compliance"}, {"resources", "remediation"}, set()),
    3004: (
        3,
        {0: "Unknown", 1: "Create", 2: "Read", 3: "Update", 4: "Delete", 5: "Move", 6: "Enroll",
         7: "Unenroll", 8: "Enable", 9: "Disable", 10: "Activate", 11: "Deactivate",
         12: "Suspend", 13: "Resume", 99: "Other"},
        STATUS,
        {"entity"},
        {"actor", "comment", "entity_result", "src_endpoint"},
        set(),
    ),
    3005: (
        3,
        {0: "Unknown", 1: "Assign Privileges", 2: "Revoke Privileges", 99: "Other"},
        STATUS,
        {"user"},
        {"actor", "privileges", "resources", "src_endpoint"},
        set(),
    ),
}  # fmt: skip
# attribute: required, also known, one of, enumerations
OBJECTS = {
    "metadata": (
        {"product", "version"},
        {"uid", "event_code", "sequence", "original_time", "logged_time", "log_name",
         "log_provider", "profiles", "labels", "correlation_uid"},
        set(), {},
    ),
    "product": ({"vendor_name"}, {"name", "uid", "version", "feature"}, {"name", "uid"}, {}),
    "actor": (set(), {"user", "app_name", "session", "process", "app_uid"},
              {"user", "app_name", "session", "process", "app_uid"}, {}),
    "user": (set(), {"name", "uid", "type", "type_id", "account"}, {"account", "name", "uid"},
             {"type_id": {0, 1, 2, 3, 4, 5, 99}}),
    "account": (set(), {"name", "uid", "type", "type_id"}, {"name", "uid"},
                {"type_id": {*range(12), 99}}),
    "src_endpoint": (set(), {"name", "svc_name", "ip", "uid", "hostname", "port"},
                     {"ip", "uid", "name", "hostname", "svc_name", "instance_uid"}, {}),
    "dst_endpoint": (set(), {"name", "svc_name", "ip", "uid", "hostname", "port"},
                     {"ip", "uid", "name", "hostname", "svc_name", "instance_uid"}, {}),
    "database": ({"type_id"}, {"name", "uid", "type", "desc"}, {"name", "uid"},
                 {"type_id": {0, 1, 2, 3, 4, 5, 6, 99}}),
    "databucket": ({"type_id"}, {"name", "uid", "type", "desc"}, {"name", "uid"},
                   {"type_id": {0, 1, 2, 3, 99}}),
    "query_info": ({"query_string"}, {"name", "uid", "query_time", "data", "bytes"}, set(), {}),
    "entity": (set(), {"name", "uid", "type", "type_id", "data", "version"},
               {"name", "uid", "device", "group", "org", "policy", "user"},
               {"type_id": {*range(8), 99}}),
    "finding_info": ({"uid"}, {"title", "types", "desc", "created_time", "modified_time",
                               "analytic", "first_seen_time"}, set(), {}),
    "analytic": ({"type_id"}, {"name", "uid", "type"}, {"name", "uid"},
                 {"type_id": {*range(12), 99}}),
    "compliance": (set(), {"standards", "control", "requirements", "desc", "status", "status_id",
                           "status_code", "status_detail"}, set(), {"status_id": set(CHECKED)}),
    "evidences": (set(), {"name", "data", "resources", "actor", "user", "database"},
                  {"actor", "data", "database", "resources", "user"}, {}),
    "resources": (set(), {"name", "uid", "type", "data", "owner"}, {"name", "uid"}, {}),
}  # fmt: skip
TIMES = ("time", "start_time", "end_time", "query_time", "logged_time", "created_time",
         "modified_time")  # fmt: skip


def told(book):
    out = io.BytesIO()
    number = ocsf.write(book, out)
    lines = out.getvalue().splitlines(keepends=True)
    assert len(lines) == number
    assert all(line.endswith(b"}\n") for line in lines)
    return [json.loads(line) for line in lines]


@pytest.fixture(scope="module")
def book():
    with full().book() as found:
        yield found


@pytest.fixture(scope="module")
def events(book):
    return told(book)


def of(events, kind):
    """The events of a kind of record."""
    return [one for one in events if one["metadata"]["event_code"] == kind]


def holds(event):
    """The event is one that the schema knows."""
    category, activities, statuses, required, known, one_of = CLASSES[event["class_uid"]]
    assert event["category_uid"] == category
    assert event["type_uid"] == event["class_uid"] * 100 + event["activity_id"]
    assert event["activity_id"] in activities
    if event["activity_id"] != 99:
        assert event["activity_name"] == activities[event["activity_id"]]
    assert event["activity_name"]
    assert SEVERITY[event["severity_id"]] == event["severity"]
    assert statuses[event["status_id"]] == event["status"]
    assert event.keys() >= BASE | required
    assert event.keys() <= KNOWN | required | known
    assert not one_of or event.keys() & one_of
    checked = event.get("compliance", {"status_id": 1, "status": "Pass"})
    assert checked["status_id"] == 99 or CHECKED[checked["status_id"]] == checked["status"]
    assert event["metadata"]["version"] == "1.8.0"
    uuid.UUID(event["metadata"]["uid"])
    within(event)


def within(value):
    """What is in it, and in what is in that."""
    for name, found in value.items():
        if name in {"unmapped", "data"}:
            continue
        if name in TIMES:
            assert type(found) is int
        for one in found if isinstance(found, list) else [found]:
            assert one is not None
            if name in OBJECTS:
                required, known, one_of, enums = OBJECTS[name]
                assert one.keys() >= required
                assert one.keys() <= required | known
                assert not one_of or one.keys() & one_of
                assert all(one[key] in values for key, values in enums.items() if key in one)
                within(one)


@pytest.mark.parametrize("tale", [full, hostile], ids=["full", "hostile"])
def test_every_event_is_one_that_the_schema_knows(tale):
    with tale().book() as book:
        for event in told(book):
            holds(event)


def test_findings_are_what_the_models_of_others_take(events):
    models = pytest.importorskip("py_ocsf_models")
    detection = pytest.importorskip("py_ocsf_models.events.findings.detection_finding")
    compliance = pytest.importorskip("py_ocsf_models.events.findings.compliance_finding")
    assert models
    takes = {2004: detection.DetectionFinding, 2003: compliance.ComplianceFinding}
    taken = Counter()
    for event in events:
        if event["class_uid"] in takes:
            found = takes[event["class_uid"]].model_validate(event)
            assert found.metadata.version == "1.8.0"
            taken[event["class_uid"]] += 1
    assert taken.keys() == takes.keys()


def test_every_kind_of_record_is_an_event_but_the_times_of_the_schedule(book, events):
    known = {"scan", "scan.missed", "finding.opened", "finding.attributed", "finding.suppressed",
             "finding.closed", "lease.issued", "lease.ended", *TOLD}  # fmt: skip
    assert {one["metadata"]["event_code"] for one in events} == known - {
        "log.rotated", "personal.erased",  # of these the tale has none
    }  # fmt: skip
    odd = {leaf for (leaf,) in book.ask("SELECT leaf FROM odd")}
    told_of = {one["metadata"]["sequence"] for one in events}
    rest = book.ask("SELECT leaf, kind FROM record")
    left = {kind for leaf, kind in rest if leaf not in told_of | odd}
    assert left == {"schedule.dispatched"}


def test_each_event_leads_back_to_its_proof(book, events):
    held = book.verified
    for event in events:
        proof = event["unmapped"]["holdfast"]
        assert proof["packet_sha256"] == held.verdict.packet
        assert proof["log_root"] == held.checkpoint.root.hex()
        assert proof["log_size"] == held.checkpoint.size
        assert proof["verdict"] == "VERIFIED"
        assert proof["leaf"] == event["metadata"]["sequence"]
        assert proof["leaf_hash"] == held.hash_of(proof["leaf"])


def test_events_are_in_the_order_of_the_log_and_told_apart(events):
    order = [event["metadata"]["sequence"] for event in events]
    assert order == sorted(order)
    names = [event["metadata"]["uid"] for event in events]
    assert len(set(names)) == len(names)


def test_a_record_is_the_same_event_in_every_packet():
    tale = full()
    with tale.book() as one, tale.book(kinds=["lease"]) as other:
        names = {event["metadata"]["uid"] for event in told(one)}
        fewer = {event["metadata"]["uid"] for event in told(other)}
        assert told(one) == told(one)
    assert fewer < names


def test_a_time_is_milliseconds_since_1970(events):
    (event,) = [one for one in of(events, "lease.issued") if "L-1" in one["message"]]
    expected = datetime(2026, 10, 2, 13, 3, tzinfo=UTC).timestamp() * 1000
    assert (event["time"], event["timezone_offset"]) == (expected, 0)
    assert event["metadata"]["original_time"] == at(2, 13, 3)
    assert event["metadata"]["product"]["version"] == "1"


def test_a_scan_is_an_activity_and_a_check(events):
    scans = [one["class_uid"] for one in of(events, "scan")]
    assert scans == [6005, 2003] * (len(scans) // 2)
    (whole,) = [
        one for one in of(events, "scan") if one.get("query_info", {}).get("uid") == "9" * 64
    ]
    assert whole["actor"]["user"] == {
        "name": "ana",
        "account": {"name": "reader", "type": "Other", "type_id": 99},
    }
    assert whole["database"]["name"] == "shop"
    data = whole["query_info"]["data"]
    assert data["rows"] == 416
    assert [one["sha256"] for one in data["queries"]] == ["1" * 64, "2" * 64]
    assert "question/sha256/" + "9" * 64 in whole["query_info"]["query_string"]
    statuses = Counter(one["status"] for one in events if one["class_uid"] == 6005)
    assert statuses == {"Success": 8, "Failure": 1}
    (cloud, *_) = [one for one in events if one.get("databucket")]
    assert cloud["databucket"]["uid"] == CLOUD


def test_outcomes_are_results_of_checks(events):
    results = Counter(
        (one["compliance"]["status_code"], one["compliance"]["status"], one["severity"])
        for one in events
        if one["class_uid"] == 2003
    )
    assert {result[:2] for result in results} == {
        ("clean", "Pass"), ("drift", "Fail"), ("refused", "Fail"), ("unknown", "Warning"),
        ("missed", "Unknown"), ("UNOBSERVED", "UNOBSERVED"),
    }  # fmt: skip
    assert all(severity == "Informational" for _, status, severity in results if status == "Pass")
    assert ("drift", "Fail", "Critical") in results  # F-3 is open by then


def test_a_gap_is_a_check_without_a_result(events):
    (gap,) = [one for one in events if one["class_uid"] == 2003
              and one["compliance"]["status_code"] == "UNOBSERVED"]  # fmt: skip
    assert (gap["compliance"]["status_id"], gap["severity"]) == (99, "Unknown")
    assert gap["compliance"]["control"] == "CA-7"
    assert (gap["start_time"], gap["end_time"]) == tuple(
        datetime(2026, 10, 2, hour, tzinfo=UTC).timestamp() * 1000 for hour in (6, 12)
    )
    assert gap["message"].startswith(f"{CLOUD} was UNOBSERVED")
    assert gap["metadata"]["event_code"] == "period.closed"


def test_nothing_is_said_to_satisfy_a_control(events):
    for event in events:
        if event["class_uid"] == 2003:
            assert "supports" in event["compliance"]["desc"]
            assert "no control is satisfied" in event["compliance"]["desc"]


def test_the_life_of_a_finding(events):
    def life(name):
        return [
            (one["activity_name"], one["status"], one["severity"])
            for one in events
            if one["class_uid"] == 2004 and one["finding_info"]["uid"] == name
        ]

    assert life("F-1") == [("Create", "New", "High"), ("Close", "Resolved", "High")]
    assert life("F-2") == [("Create", "New", "Low"), ("Update", "Suppressed", "Low")]
    assert life("F-3") == [("Create", "New", "Critical")]
    assert life("F-4") == [
        ("Create", "New", "Medium"),
        ("Update", "New", "Medium"),
        ("Update", "Suppressed", "Medium"),
    ]
    assert life("F-0") == [("Close", "Resolved", "Unknown")]  # opened before these records


def test_a_finding_has_its_evidence(events):
    (event,) = [one for one in of(events, "finding.opened") if one["finding_info"]["uid"] == "F-3"]
    (evidence,) = event["evidences"]
    assert evidence["data"]["before"] == "a"
    assert evidence["actor"]["user"]["name"] == "mallory"
    assert event["is_alert"] is True
    (closed,) = [one for one in of(events, "finding.closed") if one["finding_info"]["uid"] == "F-5"]
    assert closed["unmapped"]["holdfast"]["accepted_by"] == "B-2"
    assert closed["is_alert"] is False


def test_a_lease_is_privileges_that_come_and_go(events):
    issued = {one["unmapped"]["holdfast"]["request"]: one for one in of(events, "lease.issued")}
    ended = {one["unmapped"]["holdfast"]["request"]: one for one in of(events, "lease.ended")}
    assert issued.keys() == {"L-1", "L-2", "L-6"}
    one = issued["L-1"]
    assert (one["activity_id"], one["user"]["name"]) == (1, "hf_L-1")
    assert one["privileges"] == ["read-clear"]
    assert [place["name"] for place in one["resources"]] == ["shop", "public.t"]
    end = one["unmapped"]["holdfast"]["at_end_of_packet"]
    assert (end["requested_by"], end["approvers"]) == ("dora", "ben")
    assert ended["L-2"]["activity_id"] == 2
    assert ended["L-2"]["unmapped"]["holdfast"]["at_end_of_packet"]["left_behind"] == 2
    orphan = ended["no request"]
    assert orphan["user"]["name"] == "hf_old"
    assert orphan["privileges"] == ["(not told here)"]


def test_what_people_do_to_baselines_and_requests(events):
    (proposed, _) = of(events, "baseline.proposed")
    assert (proposed["activity_name"], proposed["entity"]["name"]) == ("Create", "B-1")
    assert "signed_at" not in proposed["entity"]["data"]  # that was later
    (signed, _) = of(events, "baseline.signed")
    assert (signed["activity_name"], signed["actor"]["user"]["name"]) == ("Activate", "ben")
    assert signed["entity"]["data"]["signed_at"] == at(2, 0, 2)
    (failed,) = of(events, "lease.unended")
    assert (failed["status"], failed["severity"]) == ("Failure", "High")
    (leaked,) = of(events, "masking.checked")
    assert (leaked["activity_id"], leaked["status"]) == (99, "Failure")
    (read,) = of(events, "evidence.read")
    assert (read["activity_name"], read["actor"]["user"]["name"]) == ("Read", "eve")


def test_gaps_are_told_apart_in_every_packet():
    tale = Tale()
    tale.tick(0, SHOP, CLOUD)
    with tale.book() as all_of_it, tale.book(targets=[SHOP]) as one:
        names = {
            event["metadata"]["uid"]: event["message"]
            for book in (all_of_it, one)
            for event in told(book)
            if event["class_uid"] == 2003
        }
    assert len(names) == len(set(names.values())) == 4


def test_a_target_is_created_once():
    tale = Tale()
    for hour in (1, 2):
        tale.add("target.configured", SHOP, at(2, hour), {"env": "prod", "approvals": 1})
    with tale.book() as book:
        assert [one["activity_name"] for one in of(told(book), "target.configured")] == [
            "Create", "Update",
        ]  # fmt: skip


def test_unwitnessed_is_in_every_event():
    tale = Tale()
    tale.scan(SHOP, 1)
    with tale.book(policy=unwitnessed(tale.archive)) as book:
        assert {one["unmapped"]["holdfast"]["verdict"] for one in told(book)} == {"UNWITNESSED"}


def test_texts_of_an_attacker_come_back_as_they_were():
    with hostile().book() as book:
        found = told(book)
    titles = [one["finding_info"]["title"] for one in of(found, "finding.opened")]
    assert titles == list(HOSTILE.values())
    assert [one["privileges"] for one in of(found, "lease.issued")] == [
        [text] for text in HOSTILE.values()
    ]


def test_what_a_filter_leaves_out_is_not_made_up():
    with full().book(kinds=["lease"]) as book:
        found = told(book)
    assert not of(found, "finding.opened")
    issued = of(found, "lease.issued")
    assert {one["privileges"][0] for one in issued} == {"(not told here)"}
    assert {one["user"]["name"] for one in issued} == {"(not told here)"}


def test_a_period_without_a_scan_has_no_activity():
    tale = Tale()
    tale.add("hold.placed", "log", at(2, 1), {"hold": "H-1", "reason": "asked"})
    with tale.book() as book:
        found = [(one["class_uid"], one["metadata"]["event_code"]) for one in told(book)]
        assert found == [(3004, "log.opened"), (3004, "hold.placed"), (3004, "period.closed")]


class Nowhere(io.RawIOBase):
    """Takes bytes and forgets them."""

    def write(self, data):
        return len(data)


def test_memory_does_not_grow_with_what_is_written():
    peaks = []
    for count in (500, 5_000):
        with crowd(count).book() as book:
            tracemalloc.start()
            ocsf.write(book, Nowhere())
            peaks.append(tracemalloc.get_traced_memory()[1])
            tracemalloc.stop()
    assert peaks[1] < peaks[0] + MIB / 4
    assert peaks[1] < 2 * MIB
