"""A credential over the API: given to its holder, and kept, logged and shown nowhere."""

from __future__ import annotations

import sqlite3

import pytest

from chalicelib.api.routes import ROUTES
from chalicelib.http.gate import Reply

SECRET = "hunter2-of-the-lease"


@pytest.fixture
def held(place):
    """An installation, Ana's token, and the address of the credential that she may have."""
    ana = place.token("ana", "engineer")
    return place, ana, f"/v1/leases/{place.approved(ana)}/credential"


def everywhere(place):
    """Every byte of the installation's folder, and of the databases in it as they are read."""
    folder = place.path.parent
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            yield path.relative_to(folder), path.read_bytes()
            if path.suffix == ".db":
                with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as database:
                    yield path, "\n".join(database.iterdump()).encode()
                database.close()


def test_one_route_gives_secrets_and_no_other():
    assert [one.name for one in ROUTES if one.secret] == ["credential"]


def test_a_credential_is_nowhere_but_in_the_answer(held, caplog, capfd):
    caplog.set_level("DEBUG")
    place, ana, path = held
    answers = [place.post(path, ana, key="one") for _ in range(2)]
    answers += [place.post(path, ana), place.get("/v1/requests", ana, query={"closed": "true"})]
    assert [one.status for one in answers] == [200] * 4
    passwords = place.cluster.passwords
    assert [one.json["fields"]["password"] for one in answers[:3]] == passwords
    assert len(set(passwords)) == 3
    names = {str(name) for name, _ in everywhere(place)}
    assert len(names) > 10
    told = f"{place.lines} {caplog.text} {''.join(capfd.readouterr())} {answers[3].body}"
    records = b"".join(one.leaf for one in place.records())
    for password in passwords:
        for name, content in everywhere(place):
            assert password.encode() not in content, name
        assert password not in told
        assert password.encode() not in records


def test_under_a_key_it_is_made_again_and_never_replayed(held):
    place, ana, path = held
    first, second = (place.post(path, ana, key="one") for _ in range(2))
    assert first.json["fields"]["password"] != second.json["fields"]["password"]
    assert "idempotent-replayed" not in second.headers
    assert place.backend.passing.list("answer/", limit=10) == []
    # Nor does it take the key from another request.
    body = {"target": "orders", "profile": "read-clear", "reason": "INC-2"}
    assert place.post("/v1/requests", ana, body, key="one").status == 200
    assert place.post(path, ana, key="one").status == 200


def test_no_cache_keeps_it(held):
    place, ana, path = held
    answer = place.post(path, ana)
    assert answer.headers["cache-control"] == "no-store"
    assert "etag" not in answer.headers


@pytest.mark.parametrize("key", ["", " ", "a b", "é", "x" * 129])
def test_what_is_no_key_is_refused_here_too(held, key):
    place, ana, path = held
    answer = place.post(path, ana, key=key)
    assert (answer.status, answer.code) == (400, "malformed")
    assert place.cluster.passwords == []


def test_a_defect_tells_its_place_and_not_what_it_has_in_hand(held, caplog, capfd):
    place, ana, path = held

    def broken(point):
        if point == "issue after":
            raise RuntimeError(f"cannot take {place.cluster.passwords[-1]}")

    place.hook = broken
    answer = place.post(path, ana)
    assert (answer.status, answer.code) == (500, "defect")
    line = place.lines[-1]
    assert (line["route"], line["defect"]) == ("credential", "RuntimeError")
    told = f"{line} {answer.body} {caplog.text} {''.join(capfd.readouterr())}"
    assert place.cluster.passwords[-1] not in told
    for name, content in everywhere(place):
        assert place.cluster.passwords[-1].encode() not in content, name


def test_an_answer_shows_its_size_and_not_its_body():
    shown = repr(Reply(200, {"X": "y"}, SECRET.encode()))
    assert SECRET not in shown
    assert "200" in shown
