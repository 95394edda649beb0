"""A target is removed once nothing is left of its leases."""

from __future__ import annotations

import pytest


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


def test_what_cannot_be_ended_keeps_its_target(leased, ask, database, monkeypatch):
    active = ask(approved=True)
    leased("--as", "ana", "creds", active, "--format", "json")
    monkeypatch.setenv("BROKER_DSN", "postgresql://holdfast_broker@127.0.0.1:1/nowhere")
    before = (leased.home / "holdfast.toml").read_text()
    leased("target", "remove", "orders", expect=3)
    assert (leased.home / "holdfast.toml").read_text() == before
    assert "target.removed" not in kinds(leased, "postgres:orders")
    assert leased("show", active, "--json").json["phase"] == "ending"


@pytest.mark.parametrize("words", [("nobody",), ("postgres:nobody",)])
def test_there_must_be_one(leased, words):
    leased("target", "remove", *words, expect=2)
