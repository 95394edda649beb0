"""``holdfast baseline rebase``, on snapshots made by hand."""

from __future__ import annotations

import pytest
from support.desk import ANA, BEN, CHLOE, MemorySource, propose_state, quiet
from support.upgrades import NEW, OLD, server, setting

from chalicelib import settings, wiring
from chalicelib.drift import approval
from chalicelib.drift.scan import scan
from chalicelib.drift.snapshot import Object

TABLE = "public.t"


class Place:
    """An installation with one target, whose server is in memory."""

    def __init__(self, run):
        self.run = run
        self.held = wiring.connect(settings.load(run.home / "holdfast.toml"))
        self.target = self.held.settings.target("orders")
        text = "SELECT t.id\n   FROM app.t"
        objects = [
            setting("db_user_namespace", "off"),
            Object("view", "app.v", {"definition": text, "owner": "app"}),
            Object("table", TABLE, {"row_security": True, "owner": "app"}),
        ]
        self.source = MemorySource(self.held.desk.clock, server(OLD, *objects))

    def sign(self):
        propose_state(self.held.desk, self.target, self.source, actor=ANA)
        approval.approve(self.held.desk, self.target, actor=BEN)
        approval.approve(self.held.desk, self.target, actor=CHLOE)
        self.scan()

    def upgrade(self):
        for one in server(NEW, setting("event_triggers", "on")):
            self.source.objects[one.key] = one
        self.source.drop("setting", "db_user_namespace")
        self.source.put("view", "app.v", definition="SELECT id\n   FROM app.t", owner="app")

    def scan(self):
        return scan(self.held.desk, self.target, self.source, actor=ANA, progress=quiet)


@pytest.fixture
def place(holdfast, monkeypatch):
    monkeypatch.setenv("ORDERS_DSN", "host=127.0.0.1 dbname=orders")
    holdfast("init")
    holdfast("target", "add", "orders", "--dsn-env", "ORDERS_DSN", "--env", "prod")
    found = Place(holdfast)
    found.sign()
    return found


@pytest.fixture
def upgraded(place):
    """After an upgrade in which somebody switched row-level security off."""
    place.upgrade()
    place.source.put("table", TABLE, row_security=False, owner="app")
    place.scan()
    return place


def test_both_groups_are_shown_with_a_word_on_each_change(upgraded):
    answer = upgraded.run("baseline", "rebase", "orders")
    assert "the baseline is of 15.18, the server is 17.10" in answer.err
    assert "from the upgrade: 5" in answer.err
    assert "not from it: 1" in answer.err
    assert "next: holdfast baseline rebase orders --propose" in answer.err
    lines = {line.split("  ")[0]: line for line in answer.out.splitlines()}
    assert "the server was upgraded from 15.18 to 17.10" in lines["setting server_version"]
    assert "parse trees are equal" in lines["view app.v"]
    assert "mend it, or accept it" in lines[f"table {TABLE}"]


def test_nothing_is_proposed_until_somebody_says_so(upgraded):
    size = len(list(upgraded.held.desk.journal.read()))
    told = upgraded.run("baseline", "rebase", "orders", "--json").json
    assert len(list(upgraded.held.desk.journal.read())) == size
    assert (told["before"], told["after"], told["proposal"]) == ("15.18", "17.10", None)
    assert {one["finding"]["rule"] for one in told["explained"]} == {"upgrade", "upgrade.server"}
    assert [one["finding"]["name"] for one in told["left"]] == [TABLE]
    assert all(one["why"] for one in told["explained"] + told["left"])


def test_what_is_proposed_is_approved_like_any_other_and_leaves_the_drift(upgraded):
    answer = upgraded.run("--as", "dora", "baseline", "rebase", "orders", "--propose")
    assert "approved by 0 of 2 people" in answer.err
    shown = upgraded.run("baseline", "show", "orders", "--json").json
    assert len(shown["would_change"]) == 5
    assert shown["proposal"]["comment"] == "upgrade of the server from 15.18 to 17.10"
    assert (
        "cannot approve"
        in upgraded.run("--as", "dora", "baseline", "approve", "orders", expect=2).err
    )
    upgraded.run("--as", "ben", "baseline", "approve", "orders")
    upgraded.run("--as", "chloe", "baseline", "approve", "orders")
    found = upgraded.scan().findings
    assert [(one.name, one.attribute) for one, _ in found] == [(TABLE, "row_security")]
    again = upgraded.run("baseline", "rebase", "orders")
    assert "17.10, and no finding comes from an upgrade" in again.err
    refused = upgraded.run("baseline", "rebase", "orders", "--propose", expect=2)
    assert "holdfast drift ls orders" in refused.err


def test_json_of_a_proposal_is_that_of_every_proposal(upgraded):
    words = ("baseline", "rebase", "orders", "--propose", "--comment", "moved to 17", "--json")
    told = upgraded.run("--as", "dora", *words).json
    assert set(told) == {"target", "required", "version", "baseline", "proposal"}
    assert told["proposal"]["comment"] == "moved to 17"
    assert "is open" in upgraded.run("--as", "dora", *words, expect=2).err
    replaced = upgraded.run("--as", "dora", *words, "--replace").json
    assert replaced["proposal"]["id"] != told["proposal"]["id"]


def test_a_server_that_is_the_same_has_nothing_to_rebase(place):
    answer = place.run("baseline", "rebase", "orders")
    assert "no finding comes from an upgrade" in answer.err
    assert answer.out == ""


def test_snapshots_without_a_version_say_so(place):
    place.source.drop("setting", "server_version_num")
    place.scan()
    assert "do not tell the server's version" in place.run("baseline", "rebase", "orders").err


def test_without_a_baseline_nobody_can_tell(holdfast, monkeypatch):
    monkeypatch.setenv("ORDERS_DSN", "host=127.0.0.1 dbname=orders")
    holdfast("init")
    holdfast("target", "add", "orders", "--dsn-env", "ORDERS_DSN")
    assert "no baseline yet" in holdfast("baseline", "rebase", "orders", expect=3).err
