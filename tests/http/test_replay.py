"""A request that is sent again under its key is answered as it was, and done once."""

from __future__ import annotations

import threading

import pytest

from chalicelib.http import replay
from chalicelib.http.problem import Refused

SCAN = {"target": "stock"}


def test_the_same_again_is_answered_as_it_was_and_done_once(place):
    token = place.token("eng", "engineer")
    first = place.post("/v1/scans", token, SCAN, key="one")
    again = place.post("/v1/scans", token, SCAN, key="one")
    assert (first.status, again.status) == (202, 202)
    assert first.body == again.body
    assert again.headers["idempotent-replayed"] == "true"
    assert "idempotent-replayed" not in first.headers
    assert again.headers["location"] == first.headers["location"]
    assert again.headers["x-request-id"] != first.headers["x-request-id"]
    assert len(place.work()) == 1


def test_another_key_is_another_request(place):
    token = place.token("eng", "engineer")
    ids = {place.post("/v1/scans", token, SCAN, key=key).json["id"] for key in ("one", "two")}
    ids.add(place.post("/v1/scans", token, SCAN).json["id"])
    assert len(ids) == 3


def test_somebody_elses_key_is_their_own(place):
    """Neither is the answer theirs to see, nor can they keep the other from acting."""
    first = place.post("/v1/scans", place.token("eng", "engineer"), SCAN, key="one")
    other = place.post("/v1/scans", place.token("mal", "engineer"), SCAN, key="one")
    assert other.status == 202
    assert other.json["id"] != first.json["id"]
    assert "idempotent-replayed" not in other.headers
    refused = place.post("/v1/scans", place.token("nobody"), SCAN, key="one")
    assert refused.status == 403


@pytest.mark.parametrize(
    ("path", "body", "more"),
    [
        ("/v1/scans", {"target": "orders"}, {}),
        ("/v1/packets", {"from": "2026-10-01", "to": "2026-10-01"}, {}),
        ("/v1/findings/suppress", SCAN, {}),
    ],
)
def test_one_key_is_of_one_request(place, path, body, more):
    token = place.token("eng", "engineer", "auditor")
    assert place.post("/v1/scans", token, SCAN, key="one").status == 202
    if path == "/v1/findings/suppress":
        body = {"findings": ["F-00"], "until": "2026-10-05", "reason": "why not"}
    answer = place.post(path, token, body, key="one", **more)
    assert (answer.status, answer.code) == (422, "idempotency_key_reused")


@pytest.mark.parametrize("key", ["", " ", "a b", "é", "x" * 129, "\x7f"])
def test_what_is_no_key_is_refused(place, key):
    answer = place.post("/v1/scans", place.token("eng", "engineer"), SCAN, key=key)
    assert (answer.status, answer.code) == (400, "malformed")
    assert place.queue.size() == 0


def test_a_key_is_forgotten_after_a_day(place):
    token = place.token("eng", "engineer", hours=24)
    first = place.post("/v1/scans", token, SCAN, key="one")
    place.clock.pass_(hours=23)
    assert place.post("/v1/scans", token, SCAN, key="one").json["id"] == first.json["id"]
    place.clock.pass_(hours=2)
    token = place.token("eng", "engineer")
    assert place.post("/v1/scans", token, SCAN, key="one").json["id"] != first.json["id"]


def test_what_failed_is_tried_anew_under_its_key(place):
    token = place.token("ben", "approver")
    body = {"proposal": "B-0123456789ab"}
    path = "/v1/targets/stock/baseline/approvals"
    for _ in range(2):
        answer = place.post(path, token, body, key="one")
        assert answer.status == 404  # nothing is proposed
        assert "idempotent-replayed" not in answer.headers


def test_a_crash_between_the_deed_and_its_answer_starts_nothing_twice(place):
    token = place.token("eng", "engineer")
    first = place.lose("/v1/scans", token, SCAN)
    answer = place.post("/v1/scans", token, SCAN, key="one")
    assert (answer.status, answer.code) == (409, "in_progress")  # for all that anybody knows
    place.clock.pass_(seconds=replay.BUSY_SECONDS + 1)
    again = place.post("/v1/scans", token, SCAN, key="one")
    assert again.json["id"] == first.json["id"]
    assert [one.id for one in place.work() if one is not None] == [first.json["id"]]


def crashing(place, token, path, body, **more):
    """A request whose process is gone after its deed, before its answer was kept."""
    first = place.lose(path, token, body, **more)
    place.clock.pass_(seconds=replay.BUSY_SECONDS + 1)
    return first


def suppression(full, token, count=1):
    found = full.get("/v1/findings", token, query={"target": "orders"}).json["items"][:count]
    body = {"findings": [one["id"] for one in found], "until": "2026-10-05", "reason": "INC-1"}
    return found, body


def test_a_suppression_whose_answer_was_lost_is_recorded_once(full):
    token = full.token("eve", "engineer")
    found, body = suppression(full, token, 2)
    assert len(found) == 2
    first = crashing(full, token, "/v1/findings/suppress", body)
    again = full.post("/v1/findings/suppress", token, body, key="one")
    assert (again.status, again.json) == (200, first.json)
    recorded = full.records("finding.suppressed")
    assert [one.body["id"] for one in recorded] == sorted(one["id"] for one in found)
    assert len({one.body["request"] for one in recorded}) == 1


def test_a_suppression_that_was_recorded_is_not_refused_for_what_came_of_it(full):
    """Its own record made another version; and the day of its end may be over meanwhile."""
    token = full.token("eve", "engineer", hours=24)
    (found,), body = suppression(full, token)
    body["until"] = full.clock.now().date().isoformat()
    tag = {"If_Match": f'"{found["version"]}"'}
    first = crashing(full, token, "/v1/findings/suppress", body, **tag)
    full.clock.pass_(hours=23)
    again = full.post("/v1/findings/suppress", token, body, key="one", **tag)
    assert (again.status, again.json) == (200, first.json)
    assert len(full.records("finding.suppressed")) == 1


def test_a_suppression_of_somebody_else_since_then_stays(full):
    token = full.token("eve", "engineer")
    found, body = suppression(full, token, 2)
    crashing(full, token, "/v1/findings/suppress", body)
    later = {"findings": [found[0]["id"]], "until": "2026-10-09", "reason": "INC-2"}
    assert full.post("/v1/findings/suppress", token, later, key="two").status == 200
    assert full.post("/v1/findings/suppress", token, body, key="one").status == 200
    now = full.get(f"/v1/findings/{found[0]['id']}", token).json
    assert (now["reason"], len(full.records("finding.suppressed"))) == ("INC-2", 3)


def test_without_a_key_a_suppression_names_no_request_and_each_is_recorded(full):
    token = full.token("eve", "engineer")
    _, body = suppression(full, token)
    for _ in range(2):
        assert full.post("/v1/findings/suppress", token, body).status == 200
    recorded = full.records("finding.suppressed")
    assert [one.body.get("request") for one in recorded] == [None, None]


def test_the_same_request_at_once_happens_once(place):
    token = place.token("eng", "engineer")
    answers = []
    gate = threading.Barrier(12)

    def ask():
        gate.wait()
        answers.append(place.post("/v1/scans", token, SCAN, key="one"))

    threads = [threading.Thread(target=ask) for _ in range(12)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert {one.status for one in answers} <= {202, 409}
    assert len({one.json["id"] for one in answers if one.status == 202}) == 1
    assert {one.code for one in answers if one.status == 409} <= {"in_progress"}
    assert len(place.work()) == 1


def test_a_key_is_taken_by_one_of_two_who_see_it_free(place):
    passing, clock = place.backend.passing, place.clock
    first = replay.begin(passing, clock, "person:a", "k", "same")
    assert isinstance(first, replay.Ticket)
    with pytest.raises(Refused) as refused:
        replay.begin(passing, clock, "person:a", "k", "same")
    assert refused.value.code == "in_progress"
    replay.release(passing, first)
    second = replay.begin(passing, clock, "person:a", "k", "same")
    assert second.kept.seed == first.kept.seed
