"""Writers at once: none is lost, and whoever saw something else is told."""

from __future__ import annotations

import threading

import pytest
from support.desk import propose_state
from support.office import ANA, Place, drift

WRITERS = 50
MANY = """
[targets.orders]
dsn_env = "ORDERS_DSN"
approvals = 10

[api]
requests_per_second = 1000000
burst = 1000000
"""


@pytest.fixture
def many(tmp_path):
    """A place whose appends go in groups, as in ``serve``."""
    place = Place(tmp_path / "place", MANY, group=True)
    propose_state(place.desk, place.target("orders"), place.source("orders"), actor=ANA)
    return place


def at_once(count, work):
    answers = [None] * count
    gate = threading.Barrier(count)

    def run(number):
        gate.wait()
        answers[number] = work(number)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(count)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    return answers


def signed(place):
    """The baseline is signed, and there are findings against it."""
    people = [place.token(f"p{number}", "approver") for number in range(10)]
    proposal = place.desk.states.get("postgres:orders").proposal.id
    path = "/v1/targets/orders/baseline/approvals"
    for token in people:
        assert place.post(path, token, {"proposal": proposal}).status == 200
    drift(place.source("orders"), WRITERS)
    place.scan("orders")


def test_no_approval_is_lost_and_the_last_one_signs(many):
    proposal = many.desk.states.get("postgres:orders").proposal.id
    tokens = [many.token(f"p{number}", "approver") for number in range(10)]
    path = "/v1/targets/orders/baseline/approvals"
    answers = at_once(10, lambda n: many.post(path, tokens[n], {"proposal": proposal}))
    assert [one.status for one in answers] == [200] * 10
    now = many.desk.states.get("postgres:orders")
    assert now.proposal is None
    assert now.baseline.proposal == proposal
    assert len(many.records("baseline.approved")) == 10
    assert len(many.records("baseline.signed")) == 1


def test_of_writers_who_saw_one_version_one_is_heard(many):
    signed(many)
    tokens = [many.token(f"w{number}", "engineer") for number in range(WRITERS)]
    finding = next(iter(many.desk.states.get("postgres:orders").findings))
    tag = many.get(f"/v1/findings/{finding}", tokens[0]).headers["etag"]

    def write(number):
        body = {"findings": [finding], "until": "2026-10-09", "reason": f"writer {number}"}
        return many.post("/v1/findings/suppress", tokens[number], body, If_Match=tag).status

    statuses = at_once(WRITERS, write)
    assert statuses.count(200) == 1
    assert statuses.count(412) == WRITERS - 1
    assert len(many.records("finding.suppressed")) == 1


def test_no_decision_of_many_writers_on_one_target_is_lost(many):
    signed(many)
    tokens = [many.token(f"w{number}", "engineer") for number in range(WRITERS)]
    findings = list(many.desk.states.get("postgres:orders").findings)[:WRITERS]

    def write(number):
        body = {"findings": [findings[number]], "until": "2026-10-09", "reason": f"w {number}"}
        return many.post("/v1/findings/suppress", tokens[number], body).status

    assert at_once(len(findings), write) == [200] * len(findings)
    recorded = [one.body["id"] for one in many.records("finding.suppressed")]
    assert sorted(recorded) == sorted(findings)


def test_reads_at_once_are_each_recorded_once(many):
    tokens = [many.token(f"r{number}", "auditor") for number in range(20)]
    answers = at_once(20, lambda n: many.get("/v1/records/0/proof", tokens[n]))
    assert [one.status for one in answers] == [200] * 20
    readers = sorted(one.record.actor.name for one in many.records("evidence.read"))
    assert readers == sorted(f"r{number}" for number in range(20))


def test_proofs_are_given_while_the_log_goes_on(many):
    """Each reading is itself an append; a proof is up to a checkpoint whose tiles are there."""
    token = many.token("aud", "auditor")

    def read(number):
        where = "/v1/records/0/proof" if number % 2 else "/v1/consistency?old=1"
        return [many.get(where, token).status for _ in range(6)]

    assert {status for found in at_once(16, read) for status in found} == {200}
