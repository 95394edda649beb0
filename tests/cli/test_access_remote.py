"""Requests and leases over the API: the same verbs, the same codes, and secrets only as answers."""

from __future__ import annotations

import json
import threading
from contextlib import suppress

import pytest

from chalicelib import settings, wiring
from chalicelib.cli.app import shared
from chalicelib.cli.counter import Counter
from chalicelib.local.queue import SqliteQueue


@pytest.fixture
def served(leased, database, monkeypatch, tmp_path):
    """``served(person, *words)`` asks the API from a folder without a store."""
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    held = wiring.connect(settings.load(leased.home / "holdfast.toml"))
    queue = SqliteQueue(leased.home / ".holdfast" / "queue.db", held.desk.clock)
    counter = Counter(lambda: held, queue, threading.Event(), held.desk.journal)
    lines = []
    server = counter.open(("127.0.0.1", 0), lines.append)
    tokens = {
        name: leased("--as", name, "token", "--role", role).out.strip()
        for name, role in (("ana", "engineer"), ("ben", "approver"), ("eve", "pipeline"))
    }
    monkeypatch.chdir(elsewhere)

    def away(person, *words, expect=0):
        monkeypatch.setenv("HOLDFAST_TOKEN", tokens[person])
        url = f"http://127.0.0.1:{server.effective_port}"
        return leased("--api", url, *words, expect=expect)

    away.lines = lines
    yield away
    with suppress(OSError):
        server.trigger.pull_trigger(server.close)
    server.task_dispatcher.shutdown()


READ = ("--profile", "read-clear", "--for", "10m", "--reason", "INC-481 refund bug")


def test_the_whole_way_of_a_lease(served, database):
    asked = served("ana", "request", "orders", *READ).out.strip()
    assert served("ana", "wait", asked, "--timeout", "1s", expect=4)
    assert "INC-481 refund bug" in served("ben", "approve", asked).err
    found = served("ana", "run", asked, "--", "sh", "-c", 'test -s "$PGPASSFILE"; exit 7', expect=7)
    assert f"holdfast revoke {asked}" in found.err
    fields = served("ana", "creds", asked, "--format", "json").json["fields"]
    assert fields["user"].startswith("hf_")
    assert served("ana", "ls", "--mine", "--json").json[0]["phase"] == "active"
    served("ana", "renew", asked, "--for", "20m")
    assert (
        "renewal of 20m needs 1 person to agree"
        in served("ana", "wait", asked, "--timeout", "1s", expect=4).err
    )
    served("ben", "approve", asked)
    served("ana", "revoke", asked, "--comment", "done")
    assert "ended" in served("ana", "wait", asked, expect=6).err
    review = served("ben", "access", "review", "orders", "--json").json
    assert [one["id"] for one in review["leases"]] == [asked]
    assert fields["password"] not in json.dumps(served.lines)


@pytest.mark.parametrize(("person", "verb"), [("ben", "deny"), ("ana", "withdraw")])
def test_who_refuses_or_gives_up_is_told_apart(served, person, verb):
    asked = served("ana", "request", "orders", *READ).out.strip()
    served(person, verb, asked)
    served("ana", "wait", asked, expect=5)
    served("ana", "creds", asked, expect=5)


def test_an_amended_request_is_another_version(served):
    asked = served("ana", "request", "orders", *READ, "--json").json
    served("ana", "amend", asked["id"], "--for", "5m")
    served("ben", "approve", asked["id"], "--seen", asked["version"], expect=2)
    served("ben", "approve", asked["id"])


def test_waiting_hears_of_what_others_do(served, monkeypatch):
    asked = served("ana", "request", "orders", *READ).out.strip()
    monkeypatch.setattr(shared, "pause", lambda _seconds: None)
    moments = iter([0.0, 0.0, 1000.0])
    monkeypatch.setattr(shared, "moment", lambda: next(moments))
    lines = served("ana", "wait", asked, "--timeout", "10m", "--json", expect=4).out.splitlines()
    assert [json.loads(one)["event"] for one in lines] == ["phase", "timeout"]


def test_whoever_may_not_see_it_learns_nothing(served):
    asked = served("ana", "request", "orders", *READ).out.strip()
    for words in (("show", asked), ("deny", asked), ("creds", asked), ("wait", asked)):
        assert "no request" in served("eve", *words, expect=2).err
    served("eve", "request", "orders", *READ, expect=2)
    served("eve", "access", "review", "orders", expect=2)
    assert served("eve", "ls", "--json").json == []


def test_a_broken_glass_over_the_api(served):
    words = ("--profile", "read-clear", "--reason", "INC-9 all is down")
    asked = served("ana", "break-glass", "orders", *words).out.strip()
    served("ana", "run", asked, "--revoke", "--", "true")
    served("ben", "review", asked, "--comment", "it was needed")
