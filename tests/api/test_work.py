"""Jobs: delivered at least once, done once, and failed when nobody finishes them."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from datetime import timedelta

import pytest
from support.office import BEN, Place, call, drift

from chalicelib.api import jobs
from chalicelib.api.work import work
from chalicelib.kernel.errors import (
    Busy,
    ConfigError,
    Conflict,
    KeyUnusable,
    Malformed,
    NotFound,
    Unreachable,
)

DAY = {"from": "2026-10-01", "to": "2026-10-01"}


@pytest.fixture
def place(tmp_path):
    made = Place(tmp_path / "place")
    made.sign("stock", BEN)
    made.engineer = made.token("eng", "engineer")
    made.auditor = made.token("aud", "auditor")
    return made


def ask(place, kind="scan"):
    if kind == "scan":
        return place.post("/v1/scans", place.engineer, {"target": "stock"}).json["id"]
    if kind == "proposal":
        path = "/v1/targets/stock/baseline/proposals"
        return place.post(path, place.engineer, {"comment": "as it is"}).json["id"]
    return place.post("/v1/packets", place.auditor, DAY).json["id"]


def dying(place):
    """The place's documents, until the second is written: the worker that wanted to is gone."""
    inner, swaps = place.backend.passing, []

    class Dying:
        get, list = staticmethod(inner.get), staticmethod(inner.list)

        @staticmethod
        def swap(key, expected, value, **more):
            swaps.append(key)
            if len(swaps) == 2:
                raise Conflict("killed")
            return inner.swap(key, expected, value, **more)

    return Dying()


def test_a_scan_is_recorded_under_the_name_of_whoever_asked(place):
    job = ask(place)
    drift(place.source("stock"), 4)
    (done,) = place.work()
    assert (done.id, done.state) == (job, "done")
    entry = place.records("scan")[-1]
    assert (entry.body["request"], entry.record.actor.name) == (job, "eng")
    told = place.get(f"/v1/scans/{job}", place.engineer).json
    assert (told["outcome"], told["record"], told["by"]) == ("drift", entry.index, "person:eng")
    assert sum(told["findings"].values()) == told["opened"] > 0


@pytest.mark.parametrize(("kind", "record"), [("scan", "scan"), ("proposal", "baseline.proposed")])
def test_a_message_that_comes_again_does_nothing_twice(place, kind, record):
    job = ask(place, kind)
    before = len(place.records(record))
    assert place.deliver(job).state == "done"
    assert place.deliver(job) is None
    assert len(place.records(record)) == before + 1


@pytest.mark.parametrize(("kind", "record"), [("scan", "scan"), ("proposal", "baseline.proposed")])
def test_a_deed_that_could_not_be_told_is_found_in_the_log(place, kind, record):
    """The worker dies between its record and the end of its job."""
    job = ask(place, kind)
    whole, place.backend = place.backend, replace(place.backend, passing=dying(place))
    with pytest.raises(Conflict):
        place.deliver(job)
    place.backend = whole
    count = len(place.records(record))
    done = place.deliver(job)
    assert done.state == "done"
    assert len(place.records(record)) == count
    if kind == "scan":
        assert done.result["record"] == place.records("scan")[-1].index


def test_a_target_that_cannot_be_read_is_unknown_and_the_scan_is_done(place):
    job = ask(place)
    place.source("stock").error = Unreachable("nobody answers", next_step="look")
    assert place.deliver(job).state == "done"
    told = place.get(f"/v1/scans/{job}", place.engineer).json
    assert (told["outcome"], told["failure"]["code"]) == ("unknown", "unreachable")


def test_a_reading_that_fails_says_why_and_proposes_nothing(place):
    job = ask(place, "proposal")
    place.source("stock").error = Unreachable("nobody answers", next_step="look")
    assert place.deliver(job).state == "failed"
    told = place.get(f"/v1/proposals/{job}", place.engineer).json
    assert (told["state"], told["failure"]["code"]) == ("failed", "unreachable")
    assert place.desk.states.get("postgres:stock").proposal is None


@pytest.mark.parametrize(
    "error",
    [
        ConfigError("STOCK_DSN is not set", next_step="export STOCK_DSN"),
        KeyUnusable("/srv/STOCK_DSN is open to others", next_step="chmod 600 STOCK_DSN"),
    ],
    ids=lambda error: error.code,
)
def test_what_names_the_worker_s_machine_is_not_told(place, error):
    def opened(_target):
        raise error

    job = ask(place, "proposal")
    work(replace(place.bench(), open_source=opened), job)
    told = place.get(f"/v1/proposals/{job}", place.engineer)
    assert (told.json["state"], told.json["failure"]["code"]) == ("failed", error.code)
    assert b"STOCK_DSN" not in told.body
    assert b"STOCK_DSN" not in jobs.read(place.backend.passing, job).failure.message.encode()


def test_a_target_in_use_is_for_later(place):
    job = ask(place)
    with place.desk.locks.hold(place.target("stock").lock), pytest.raises(Busy):
        place.deliver(job)
    assert place.get(f"/v1/scans/{job}", place.engineer).json["state"] == "running"
    assert place.deliver(job).state == "done"


@pytest.mark.parametrize("kind", ["scan", "proposal", "packet"])
def test_what_nobody_finishes_has_failed(place, kind):
    job = ask(place, kind)
    where = {"scan": "scans", "proposal": "proposals", "packet": "packets"}[kind]
    path, token = f"/v1/{where}/{job}", place.token("all", "engineer", "auditor")
    place.clock.pass_(seconds=jobs.PATIENCE_SECONDS[kind] - 5)
    assert place.get(path, token).json["state"] == "queued"
    place.clock.pass_(seconds=10)
    told = place.get(path, token).json
    assert (told["state"], told["failure"]["code"]) == ("failed", "overdue")


@pytest.mark.parametrize(
    ("kind", "record"),
    [("scan", "scan"), ("proposal", "baseline.proposed"), ("packet", "packet.made")],
)
def test_what_was_told_to_have_failed_is_not_done_afterwards(place, kind, record):
    job = ask(place, kind)
    count = len(place.records(record))
    place.clock.pass_(seconds=jobs.PATIENCE_SECONDS[kind] + 5)
    done = place.deliver(job)
    assert (done.state, done.failure.code) == ("failed", "overdue")
    assert len(place.records(record)) == count
    assert place.deliver(job) is None


def test_a_packet_asked_for_twice_under_one_key_is_one_job(place):
    first = place.post("/v1/packets", place.auditor, DAY, key="k")
    again = place.post("/v1/packets", place.auditor, DAY, key="k")
    assert (again.body, again.headers["idempotent-replayed"]) == (first.body, "true")
    assert [one.id for one in place.work()] == [first.json["id"]]
    assert len(place.records("packet.made")) == 1
    assert place.deliver(first.json["id"]) is None
    assert len(place.records("packet.made")) == 1


def test_a_packet_whose_job_could_not_be_ended_is_built_again_and_can_be_had(place):
    """Its making is recorded once: the packet is the same."""
    job = ask(place, "packet")
    whole, place.backend = place.backend, replace(place.backend, passing=dying(place))
    with pytest.raises(Conflict):
        place.deliver(job)
    place.backend = whole
    assert place.deliver(job).state == "done"
    told = place.get(f"/v1/packets/{job}", place.auditor).json
    (made,) = place.records("packet.made")
    assert (made.body["sha256"], made.body["request"]) == (told["sha256"], job)
    answer = call(place.app, "GET", told["url"])
    assert hashlib.sha256(answer.body).hexdigest() == told["file_sha256"]
    assert len(place.records("period.closed")) == 1


def test_a_dead_letter_is_a_failed_job_and_a_done_one_stays_done(place):
    job = ask(place)
    assert place.bury(job).state == "failed"
    assert place.deliver(job) is None
    other = ask(place)
    place.deliver(other)
    assert place.bury(other).state == "done"
    assert place.bury("S-" + "0" * 27) is None


def test_a_job_passes_away(place):
    job = ask(place)
    place.clock.pass_(days=31)
    token = place.token("eng", "engineer")
    assert place.get(f"/v1/scans/{job}", token).status == 404
    assert place.deliver(job) is None


def test_jobs_are_listed_newest_first_in_pages(place):
    ids = []
    for _ in range(5):
        ids.append(ask(place))
        place.clock.pass_(seconds=1)
    found, cursor = [], None
    while True:
        query = {"limit": 2, **({"cursor": cursor} if cursor else {})}
        page = place.get("/v1/scans", place.engineer, query=query).json
        found += [one["id"] for one in page["items"]]
        cursor = page["next"]
        if cursor is None:
            break
    assert found == ids[::-1]


def test_a_packet_is_built_verified_and_recorded_before_it_can_be_had(place):
    job = ask(place, "packet")
    assert place.get(f"/v1/packets/{job}", place.auditor).json["url"] is None
    assert place.deliver(job).state == "done"
    (made,) = place.records("packet.made")
    told = place.get(f"/v1/packets/{job}", place.auditor).json
    assert (made.body["sha256"], made.record.actor.name) == (told["sha256"], "aud")
    assert told["verdict"] == "VERIFIED"
    assert place.records("evidence.read")[-1].body["what"] == "packet"


def test_a_packet_that_waited_too_long_is_gone(place):
    job = ask(place, "packet")
    place.deliver(job)
    (place.path.parent / ".holdfast" / "packets" / f"{job}.zip").unlink()
    assert place.get(f"/v1/packets/{job}", place.auditor).status == 404


def test_a_packet_of_an_unknown_target_is_a_failed_job(place):
    body = {**DAY, "targets": ["nobody"]}
    job = place.post("/v1/packets", place.auditor, body).json["id"]
    assert place.deliver(job).failure.code == "not_found"


@pytest.mark.parametrize(
    "body",
    [
        {"from": "2026-10-02", "to": "2026-10-01"},
        {"from": "2999-01-01", "to": "2999-01-02"},
        {"from": "2026-02-30", "to": "2026-10-01"},
        {"from": "2026-10-01T02:00", "to": "2026-10-01"},
        {**DAY, "kinds": ["nothing"]},
    ],
)
def test_a_period_that_is_none_is_refused_at_once(place, body):
    answer = place.post("/v1/packets", place.auditor, body)
    assert (answer.status, answer.code) == (400, "usage_error")
    assert place.queue.size() == 0


def test_a_message_is_about_a_job_or_is_not():
    assert jobs.decode(b'{"target":"postgres:x"}') is None
    assert jobs.decode(b'{"job":"S-1","v":1}') == "S-1"
    assert jobs.decode(b'{"job":"' + b"x" * 2_000 + b'"}') is None
    for data in (b'{"job":1,"v":1}', b'{"job":"x","v":2}', b'{"job":"x","v":1,"z":1}', b'{"job"'):
        with pytest.raises(Malformed):
            jobs.decode(data)


def test_what_is_no_id_is_no_job(place):
    for text in ("", "S-", "X-" + "0" * 27, "S-" + "0" * 26, "S-" + "g" * 27, "S-" + "0" * 28):
        with pytest.raises(NotFound):
            jobs.read(place.backend.passing, text)


def test_old_packets_are_swept(place):
    first = ask(place, "packet")
    place.deliver(first)
    folder = place.path.parent / ".holdfast" / "packets"
    import os

    old = (place.clock.now() - timedelta(days=8)).timestamp()
    os.utime(folder / f"{first}.zip", (old, old))
    second = place.post("/v1/packets", place.auditor, {**DAY, "kinds": ["scan"]}).json["id"]
    place.deliver(second)
    assert sorted(path.name for path in folder.iterdir()) == [f"{second}.zip"]
