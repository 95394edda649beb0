"""What is said of requests and leases: nothing twice, nothing that is not so, nothing unsaid."""

from __future__ import annotations

from datetime import timedelta

import pytest

from chalicelib import settings, wiring
from chalicelib.access import request
from chalicelib.access.principal import Kind, Principal
from chalicelib.cli.app import shared
from chalicelib.local.clock import SystemClock
from chalicelib.settings import authority
from chalicelib.wiring import access

BEN = Principal(Kind.PERSON, "ben", "asserted")


@pytest.fixture
def active(leased, ask):
    """The id of a lease that runs."""
    asked = ask(approved=True)
    leased("--as", "ana", "creds", asked)
    return asked


def meanwhile(leased, monkeypatch, verb, asked, **more):
    """Somebody else decides while a command waits."""
    held = wiring.connect(settings.load(leased.home / "holdfast.toml"))
    desk = access.desk(held, lambda: authority.load(held.settings))
    decided = []

    def pause(_seconds):
        if not decided:
            decided.append(verb(desk, access.find(held, "orders"), BEN, asked, **more))

    monkeypatch.setattr(shared, "pause", pause)


@pytest.mark.parametrize(
    "tables", ["", " ", ",", "public.orders,,public.customers", "public.orders,"]
)
@pytest.mark.parametrize("verb", ["request", "break-glass"])
def test_a_name_that_is_not_there_gives_no_more(leased, verb, tables):
    words = (verb, "orders", "--profile", "read-clear", "--reason", "INC-1 look")
    assert "empty name" in leased("--as", "ana", *words, "--tables", tables, expect=2).err
    assert "empty name" in leased("--as", "ana", *words, "--resources", "", expect=2).err
    assert leased("ls", "--all", "--json").json == []


def test_an_amendment_to_no_tables_is_said_so_and_no_other_is_empty(leased, ask):
    asked = ask("--profile", "read-clear", "--tables", "public.orders")
    leased("--as", "ana", "amend", asked, "--tables", "public.orders,", expect=2)
    leased("--as", "ana", "amend", asked, "--tables", "")
    assert leased("show", asked, "--json").json["tables"] == []


@pytest.mark.parametrize(
    "words",
    [
        ("request", "orders", "--profile", "read-clear", "--reason", "INC-1 x", "--wait"),
        ("wait", "orders.aaaaaaaaaaaa"),
        ("run", "orders.aaaaaaaaaaaa", "--wait"),
        ("creds", "orders.aaaaaaaaaaaa", "--wait"),
        ("renew", "orders.aaaaaaaaaaaa", "--for", "1h", "--wait"),
    ],
)
def test_how_long_to_wait_is_looked_at_before_anything_is_recorded(leased, words):
    more = ("--", "true") if words[0] == "run" else ()
    answer = leased("--as", "ana", *words, "--timeout", "soon", *more, expect=2)
    assert "not a length of time" in answer.err
    assert leased("ls", "--all", "--json").json == []


def test_a_renewal_that_waits_is_seen(leased, active):
    leased("--as", "ana", "renew", active, "--for", "30m")
    assert "renewal of 30m needs 1 person to agree" in leased("ls").out
    shown = leased("show", active).out
    assert "needs 1 person to agree" in shown
    assert "Z on, 30m" in shown
    assert "role approver (ben, chloe)" in shown


def test_a_renewal_that_was_denied_is_said_to_be(leased, active, monkeypatch):
    leased("--as", "ana", "renew", active, "--for", "30m")
    answer = leased("--as", "ben", "deny", active, "--comment", "go to bed")
    assert f"the renewal of {active} is denied" in answer.err
    assert "renewal of 30m denied by ben: go to bed" in answer.err
    shown = leased("show", active)
    assert "of 30m denied by ben at" in shown.out
    assert "go to bed" in shown.out
    denied = leased("show", active, "--json").json["renewal_denied"]
    assert (denied["by"], denied["seconds"], denied["comment"]) == ("ben", 1_800, "go to bed")
    meanwhile(leased, monkeypatch, request.deny, active, comment="no")
    waited = leased("--as", "ana", "renew", active, "--for", "40m", "--wait", expect=5)
    assert waited.err.count("renewal of 40m denied by ben: no") == 1
    leased("--as", "ana", "renew", active, "--for", "30m")
    assert leased("show", active, "--json").json["renewal_denied"] is None


def test_a_denial_without_a_comment_is_one(leased, active):
    leased("--as", "ana", "renew", active, "--for", "30m")
    assert "denied by ben\n" in leased("--as", "ben", "deny", active).err


def test_who_agreed_to_a_renewal_and_how_long_it_all_is_stays_there(leased, active):
    leased("--as", "ana", "renew", active, "--for", "30m")
    answer = leased("--as", "ben", "approve", active)
    assert "next, for ana: holdfast run" in answer.err
    shown = leased("show", active).out
    assert "for 30m; agreed by: ben at" in shown
    assert "in all" in shown
    found = leased("show", active, "--json").json
    assert [one["by"] for one in found["renewed"]["approvals"]] == ["ben"]
    assert 1_800 <= found["lease"]["seconds"] < 1_900


def test_a_lease_past_its_time_that_nobody_ends_is_said_loudly(leased, active, monkeypatch):
    now = SystemClock.now
    monkeypatch.setattr(SystemClock, "now", lambda self: now(self) + timedelta(minutes=11))
    listed = leased("ls")
    assert "PAST ITS TIME" in listed.out
    for answer in (listed, leased("show", active)):
        assert "IS PAST ITS TIME" in answer.err
        assert f"holdfast serve, or: holdfast revoke {active}" in answer.err
    assert "never" not in leased("show", active).out.partition("closed")[2]


def test_trouble_names_no_step_that_there_was_not(leased, active, monkeypatch):
    monkeypatch.setenv("BROKER_DSN", "postgresql://holdfast_broker@127.0.0.1:1/nowhere")
    answer = leased("--as", "ana", "revoke", active, expect=3)
    assert "after 1 attempt: " in answer.err
    assert ": : " not in answer.err
    shown = leased("show", active)
    assert "revoked; not proven gone yet" in shown.out
    assert "at never" not in shown.out


def test_a_reviewed_glass_says_by_whom_when_and_what_was_found(leased):
    words = ("break-glass", "orders", "--profile", "read-clear", "--reason", "INC-9 all is down")
    asked = leased("--as", "ana", *words).out.strip()
    leased("--as", "ana", "creds", asked)
    leased("--as", "ana", "revoke", asked)
    leased("--as", "ben", "review", asked, "--comment", "it was needed")
    found = leased("show", asked, "--json").json["reviewed"]
    assert (found["by"], found["comment"]) == ("ben", "it was needed")
    shown = leased("show", asked).out
    assert f"ben at {found['at'][:19]}Z" in shown
    assert "it was needed" in shown


def test_what_is_over_says_when_it_was_in_words_and_has_no_next_step(leased, ask, active):
    denied = ask()
    answer = leased("--as", "ben", "deny", denied)
    assert "next" not in answer.err
    leased("--as", "ana", "revoke", active)
    ended = leased("show", active, "--json").json["lease"]["ended_at"]
    assert f"ended at {ended[:19]}Z" in leased("ls", "--all").out
    assert "denied at 2" in leased("ls", "--all").out
    assert "next" not in leased("show", active).err


def test_nobody_is_told_to_run_what_is_somebody_elses(leased, ask):
    asked = ask()
    answer = leased("--as", "ben", "approve", asked)
    assert f"next, for ana: holdfast run {asked} -- psql" in answer.err
    assert f"next: holdfast run {asked}" in leased("--as", "ana", "show", asked).err


def test_the_last_state_is_said_once(leased, ask, monkeypatch):
    asked = ask()
    meanwhile(leased, monkeypatch, request.approve, asked)
    waited = leased("--as", "ana", "wait", asked)
    assert waited.err.count("approved by ben") == 1
    assert waited.err.count("pending until") == 1
    again = leased("--as", "ana", "wait", asked)
    assert again.err.count("approved by ben") == 1


@pytest.mark.parametrize("seen", ["", "v2", "0" * 63, "G" * 64])
def test_what_is_no_version_was_not_seen(leased, ask, seen):
    asked = ask()
    assert "no version" in leased("--as", "ben", "approve", asked, "--seen", seen, expect=2).err
    assert leased("show", asked, "--json").json["phase"] == "pending"


def test_a_program_that_cannot_be_run_is_told_from_one_that_is_not_there(leased, ask):
    asked = ask(approved=True)
    path = leased.home / "notes.txt"
    path.write_text("no program")
    for words in ((path,), (leased.home,)):
        answer = leased("--as", "ana", "run", asked, "--", *words, expect=126)
        assert "cannot be run" in answer.err
    leased("--as", "ana", "run", asked, "--", leased.home / "nothing", expect=127)
    assert leased("show", asked, "--json").json["phase"] == "approved"


def test_lengths_of_time_are_said_as_they_are_asked_for(leased, active):
    words = ("request", "orders", "--profile", "read-clear", "--reason", "INC-1 look")
    assert "10s to 8h, asked for 9h" in leased("--as", "ana", *words, "--for", "9h", expect=2).err
    assert "to 8h, not 2d" in leased("--as", "ana", "renew", active, "--for", "2d", expect=2).err
    answer = leased("--as", "ana", "renew", active, "--for", "1m", expect=2)
    assert "Z, which is later" in answer.err
    assert "." not in answer.err.partition("lasts until ")[2].partition("Z,")[0]


@pytest.mark.parametrize("kind", ["lease.end", "leases", "lease.", "finding.opened", "log"])
def test_a_webhook_of_a_kind_that_nobody_is_told_of_is_refused(leased, kind):
    with (leased.home / "holdfast.toml").open("a") as file:
        file.write(
            '[[notify.webhooks]]\nurl = "https://example.org/"\nsecret_env = "KEY"\n'
            f'kinds = ["lease.ended", "access", "{kind}"]\n'
        )
    assert "no kind of records" in leased("ls", expect=2).err
