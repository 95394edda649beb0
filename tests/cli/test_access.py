"""Requests on the command line: asked for, agreed to, waited for, told apart by exit codes."""

from __future__ import annotations

import json

import pytest

from chalicelib.cli.app import shared


def test_a_request_prints_its_id_and_says_who_has_to_agree_and_what_is_next(leased):
    answer = leased(
        "--as", "ana", "request", "orders", "--profile", "read-clear", "--tables",
        "public.orders,public.customers", "--for", "30m", "--reason", "INC-481 refund bug",
        "--ticket", "INC-481",
    )  # fmt: skip
    asked = answer.out.strip()
    assert asked.startswith("orders.")
    assert "needs 1 person to agree" in answer.err
    assert f"next, somebody else than ana: holdfast approve {asked}" in answer.err
    shown = leased("--as", "ana", "show", asked)
    for part in ("INC-481 refund bug", "public.customers, public.orders", "30m", "pending"):
        assert part in shown.out
    found = leased("--as", "ana", "show", asked, "--json").json
    assert (found["tables"], found["seconds"]) == (["public.customers", "public.orders"], 1800)
    assert found["ticket"] == "INC-481"


def test_the_json_of_a_request_is_one_document(leased):
    words = ("request", "orders", "--profile", "read-clear", "--reason", "INC-1 look", "--json")
    assert leased("--as", "ana", *words).json["phase"] == "pending"


def test_an_approval_shows_what_is_agreed_to_first(leased, ask):
    asked = ask()
    answer = leased("--as", "ben", "approve", asked, "--comment", "go on")
    assert answer.err.index("INC-481 refund bug") < answer.err.index("approved by ben")
    assert f"next, for ana: holdfast run {asked} -- psql" in answer.err
    assert leased("--as", "ben", "show", asked, "--json").json["phase"] == "approved"


def test_nobody_agrees_to_their_own(leased, ask):
    refused = leased("--as", "Ana", "approve", ask(), expect=2)
    assert "your own" in refused.err or "may not approve" in refused.err


def test_what_was_changed_since_it_was_looked_at_is_not_agreed_to(leased, ask):
    asked = ask()
    seen = leased("--as", "ben", "show", asked, "--json").json["version"]
    leased("--as", "ana", "amend", asked, "--for", "20m")
    assert "changed" in leased("--as", "ben", "approve", asked, "--seen", seen, expect=2).err
    now = leased("--as", "ben", "show", asked, "--json").json
    assert (now["phase"], now["seconds"], now["revision"]) == ("pending", 1200, 2)
    leased("--as", "ben", "approve", asked, "--seen", now["version"])


def test_amending_changes_what_is_said_and_keeps_the_rest(leased, ask):
    asked = ask("--profile", "read-clear", "--tables", "public.orders", "--ticket", "INC-1")
    leased("--as", "ana", "amend", asked, "--tables", "", "--reason", "INC-2 other bug")
    now = leased("--as", "ana", "show", asked, "--json").json
    assert (now["tables"], now["reason"], now["ticket"]) == ([], "INC-2 other bug", "INC-1")
    leased("--as", "ana", "amend", asked, expect=2)


@pytest.mark.parametrize(
    ("person", "words", "code", "word"),
    [
        (None, None, 4, "pending"),
        ("ben", ("approve",), 0, "approved"),
        ("ben", ("deny", "--comment", "not today"), 5, "denied by ben: not today"),
        ("ana", ("withdraw",), 5, "withdrawn by ana"),
    ],
)
def test_waiting_ends_with_a_code_for_each_answer(leased, ask, person, words, code, word):  # noqa: PLR0917
    asked = ask()
    if words:
        leased("--as", person, words[0], asked, *words[1:])
    patience = ("--timeout", "1s") if words is None else ()
    answer = leased("--as", "ana", "wait", asked, *patience, expect=code)
    assert word in answer.err


def test_what_is_over_has_a_code_of_its_own(leased, ask):
    asked = ask(approved=True)
    leased("--as", "ana", "creds", asked)
    leased("--as", "ana", "revoke", asked)
    assert "ended" in leased("--as", "ana", "wait", asked, expect=6).err


def test_changes_while_waiting_are_events_a_line(leased, ask, monkeypatch):
    asked = ask()
    steps = iter([lambda: leased("--as", "ben", "deny", asked)])

    def pause(_seconds):
        # Another process decides meanwhile; its output is not ours.
        step = next(steps, None)
        decide(step)

    def decide(step):
        if step is not None:
            from chalicelib import settings, wiring
            from chalicelib.access import request
            from chalicelib.access.principal import Kind, Principal
            from chalicelib.settings import authority

            held = wiring.connect(settings.load(leased.home / "holdfast.toml"))
            from chalicelib.wiring import access

            desk = access.desk(held, lambda: authority.load(held.settings))
            ben = Principal(Kind.PERSON, "ben", "asserted")
            request.deny(desk, access.find(held, "orders"), ben, asked, comment="no")

    monkeypatch.setattr(shared, "pause", pause)
    answer = leased("--as", "ana", "wait", asked, "--json", expect=5)
    events = [json.loads(one) for one in answer.out.splitlines()]
    assert [(one["event"], one["phase"]) for one in events] == [
        ("phase", "pending"),
        ("phase", "denied"),
    ]
    assert events[-1]["request"]["comment"] == "no"


def test_waiting_has_an_end(leased, ask, monkeypatch):
    asked = ask()
    moments = iter([0.0, 1.0, 599.0, 600.0])
    pauses = []
    monkeypatch.setattr(shared, "moment", lambda: next(moments))
    monkeypatch.setattr(shared, "pause", pauses.append)
    answer = leased("--as", "ana", "wait", asked, "--timeout", "10m", "--json", expect=4)
    assert json.loads(answer.out.splitlines()[-1])["event"] == "timeout"
    assert len(pauses) == 2
    assert max(pauses) <= 1.0


def test_lists_show_what_is_open_and_on_demand_what_is_over(leased, ask):
    first, second = ask(), ask()
    leased("--as", "ben", "deny", first)
    assert [one["id"] for one in leased("--as", "ana", "ls", "--json").json] == [second]
    every = leased("--as", "ana", "ls", "--all", "--json").json
    assert {one["id"] for one in every} == {first, second}
    denied = leased("--as", "ana", "ls", "--phase", "denied", "--json").json
    assert [one["id"] for one in denied] == [first]
    assert leased("--as", "dora", "ls", "--mine", "--json").json == []
    assert "no requests" in leased("--as", "dora", "ls", "--mine").err
    row = leased("--as", "ana", "ls").out
    for part in (second, "pending", "person:ana", "read-clear", "10m"):
        assert part in row
    assert "no phase" in leased("ls", "--phase", "gone", expect=2).err


def test_a_broken_glass_is_open_until_somebody_else_reviews_it(leased):
    words = ("break-glass", "orders", "--profile", "read-clear", "--reason", "INC-9 all is down")
    answer = leased("--as", "ana", *words)
    asked = answer.out.strip()
    assert "the glass is broken" in answer.err
    leased("--as", "ana", "creds", asked)
    leased("--as", "ben", "review", asked, "--comment", "too early", expect=2)
    leased("--as", "ana", "revoke", asked)
    assert "nobody has reviewed it" in leased("--as", "ben", "ls").err
    leased("--as", "ana", "review", asked, "--comment", "I was good", expect=2)
    assert "reviewed" in leased("--as", "ben", "review", asked, "--comment", "it was needed").err
    assert leased("--as", "ben", "ls", "--json").json == []


@pytest.mark.parametrize(
    "words",
    [
        ("request", "orders", "--profile", "read-clear"),
        ("request", "orders", "--reason", "INC-1 look"),
        ("request", "orders", "--profile", "all", "--reason", "INC-1 look"),
        ("request", "nothing", "--profile", "read-clear", "--reason", "INC-1 look"),
        ("request", "orders", "--profile", "read-clear", "--reason", "INC-1", "--for", "soon"),
        ("request", "orders", "--profile", "read-clear", "--reason", "INC-1", "--for", "9h"),
        ("request", "orders", "--profile", "read-clear", "--reason", "INC-1", "--tables", "x"),
        ("request", "orders", "--profile", "write", "--reason", "INC-1", "--timeout", "5m"),
        ("show", "orders.aaaaaaaaaaaa"),
        ("wait", "orders.aaaaaaaaaaaa"),
        ("run", "orders.aaaaaaaaaaaa", "--", "true"),
        ("creds", "orders.aaaaaaaaaaaa", "--format", "xml"),
        ("creds", "orders.aaaaaaaaaaaa", "--format", "url", "--json"),
        ("renew", "orders.aaaaaaaaaaaa", "--for", "0m"),
    ],
)
def test_a_wrong_question_is_refused(leased, words):
    leased("--as", "ana", *words, expect=2)
    assert leased("--as", "ana", "ls", "--all", "--json").json == []


def test_what_decided_about_a_request_is_explained(leased, ask):
    which = ask()
    answer = leased("policy", "explain", which)
    assert "permitted by engineer.lease.read" in answer.out
    assert "the policies are the same now" in answer.out
    told = leased("policy", "explain", which, "--json").json
    assert (told["allowed"], told["then"]["same"]) == (True, True)
    assert told["then"]["policies"] == ["engineer.lease.read"]
    path = leased.home / "holdfast.toml"
    path.write_text(
        path.read_text().replace("[policy.roles]", "[policy.roles]\noperator = ['person:zoe']")
    )
    assert not leased("policy", "explain", which, "--json").json["then"]["same"]
    path.write_text(path.read_text().replace("engineer = ", "pipeline = "))
    answer = leased("policy", "explain", which, expect=1)
    assert "the policies are others now" in answer.out
    for words in (("x",), ("orders.aaaaaaaaaaaa",), (which, "--principal", "person:ana"), ()):
        leased("policy", "explain", *words, expect=2)
