"""A target is removed once nothing is left of its leases."""

from __future__ import annotations

import pytest

from chalicelib.access import ending


def roles(database):
    return database.value("SELECT count(*) FROM pg_roles WHERE rolname LIKE 'hf\\_%'")


def kinds(run, stream):
    return [one["kind"] for one in run("evidence", "ls", "--json").json if one["stream"] == stream]


def test_a_target_takes_its_leases_along(leased, ask, database):
    active, waiting = ask(approved=True), ask()
    leased("--as", "ana", "creds", active, "--format", "json")
    assert roles(database) == 1
    before = (leased.home / "holdfast.toml").read_text()
    answer = leased("target", "remove", "orders", "--json")
    assert answer.json == {"target": "postgres:orders", "requests": 2}
    assert roles(database) == 0
    after = (leased.home / "holdfast.toml").read_text()
    assert "[targets.orders" not in after
    assert before.startswith(after[: before.index("[targets")])
    assert kinds(leased, "access:orders")[-1] in {"lease.ended", "access.withdrawn"}
    assert kinds(leased, "postgres:orders")[-1] == "target.removed"
    assert leased("target", "ls", "--json").json == []
    leased("evidence", "fsck")
    assert waiting


def test_a_target_that_cannot_be_asked_keeps_all_it_has(leased, ask, database, monkeypatch):
    active, waiting = ask(approved=True), ask()
    leased("--as", "ana", "creds", active, "--format", "json")
    monkeypatch.setenv("BROKER_DSN", "postgresql://holdfast_broker@127.0.0.1:1/nowhere")
    before = (leased.home / "holdfast.toml").read_text()
    leased("target", "remove", "orders", expect=3)
    assert (leased.home / "holdfast.toml").read_text() == before
    assert "target.removed" not in kinds(leased, "postgres:orders")
    assert leased("show", active, "--json").json["phase"] == "active"
    assert leased("show", waiting, "--json").json["phase"] == "pending"


def test_what_cannot_be_ended_keeps_its_target(leased, ask, monkeypatch):
    active, waiting = ask(approved=True), ask()
    leased("--as", "ana", "creds", active, "--format", "json")
    monkeypatch.setattr(ending, "finish", lambda *_: None)  # the target was lost just now
    answer = leased("target", "remove", "orders", expect=3)
    assert f"1 lease at postgres:orders could not be ended yet: {active}" in answer.err
    assert "1 request ended or withdrawn, and the target stays" in answer.err
    assert leased("show", active, "--json").json["phase"] == "ending"
    assert leased("show", waiting, "--json").json["phase"] == "withdrawn"
    assert [one["target"] for one in leased("target", "ls", "--json").json] == ["postgres:orders"]


def test_a_glass_that_nobody_reviewed_keeps_its_target(leased, ask):
    words = ("break-glass", "orders", "--profile", "read-clear", "--reason", "INC-9 all is down")
    asked, waiting = leased("--as", "ana", *words).out.strip(), ask()
    leased("--as", "ana", "creds", asked)
    answer = leased("target", "remove", "orders", expect=2)
    assert f"holdfast revoke {asked}, then somebody else than ana: holdfast review" in answer.err
    leased("--as", "ana", "revoke", asked)
    answer = leased("target", "remove", "orders", expect=2)
    assert f"somebody else than ana: holdfast review {asked}" in answer.err
    assert leased("show", waiting, "--json").json["phase"] == "pending"
    leased("--as", "ben", "review", asked, "--comment", "it was needed")
    leased("target", "remove", "orders")


@pytest.mark.parametrize("words", [("nobody",), ("postgres:nobody",)])
def test_there_must_be_one(leased, words):
    leased("target", "remove", *words, expect=2)


def test_a_file_that_cannot_be_edited_ends_nothing(leased, ask):
    """A target without a heading of its own: only people can take it out."""
    which = ask()
    path = leased.home / "holdfast.toml"
    text = path.read_text()
    dotted = text.replace('[targets."orders"]', '["targets"."orders"]', 1)
    assert dotted != text
    path.write_text(dotted)
    leased("target", "remove", "orders", expect=2)
    assert path.read_text() == dotted
    assert leased("show", which, "--json").json["phase"] == "pending"
    assert "target.removed" not in kinds(leased, "postgres:orders")
