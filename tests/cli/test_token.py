"""``holdfast token``: a token alone on stdout, for one machine and nothing else."""

from __future__ import annotations

import os
import pwd
import stat

import pytest

from chalicelib import settings
from chalicelib.cli.app import actor, shared
from chalicelib.kernel.errors import UsageError
from chalicelib.kernel.record import Actor
from chalicelib.local.clock import SystemClock
from chalicelib.wiring.identity import Door


@pytest.fixture
def store(holdfast):
    holdfast("init")
    return holdfast


def known(store, text):
    def fetch(url):
        raise AssertionError(url)

    return Door(settings.load(store.home / "holdfast.toml"), fetch, SystemClock()).bearer(text)


def test_a_token_of_whoever_asks(store):
    answer = store("token")
    assert answer.out.count("\n") == 1
    who = known(store, answer.out.strip())
    me = pwd.getpwuid(os.getuid()).pw_name.lower()
    assert (who.id, who.via, who.roles, who.groups) == (f"person:{me}", "os", ("engineer",), ())
    assert f"for person:{me} (via os), roles engineer, until 2" in answer.err
    assert answer.out.strip() not in answer.err
    key = store.home / ".holdfast" / "key" / "issuer.pem"
    assert stat.S_IMODE(key.stat().st_mode) == 0o600


@pytest.mark.parametrize("words", [("--as", "Ana", "token"), ("token", "--as", "Ana")], ids=str)
def test_a_token_of_somebody_else_says_that_it_was_asserted(store, words):
    who = known(store, store(*words).out.strip())
    assert (who.id, who.via) == ("person:ana", "asserted")


def test_kinds_roles_and_groups(store):
    words = ("--kind", "agent", "--as", "fixer", "--role", "auditor", "--role", "engineer")
    who = known(store, store("token", *words, "--group", "bots").out.strip())
    assert (who.id, who.roles, who.groups) == ("agent:fixer", ("auditor", "engineer"), ("bots",))
    who = known(store, store("token", "--kind", "pipeline", "--as", "nightly").out.strip())
    assert (who.id, who.roles) == ("pipeline:nightly", ("pipeline",))


def test_json(store):
    found = store("token", "--as", "ana", "--for", "5m", "--json").json
    assert known(store, found.pop("token")).id == "person:ana"
    assert found.pop("expires").endswith("Z")
    assert found == {
        "principal": "person:ana",
        "via": "asserted",
        "roles": ["engineer"],
        "groups": [],
    }


def test_a_token_is_of_the_name_that_counts(store):
    path = store.home / "holdfast.toml"
    path.write_text(path.read_text() + "\n[identity.people]\n'ana.b' = 'ana'\n")
    assert known(store, store("token", "--as", "Ana.B").out.strip()).id == "person:ana"


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (("--for", "25h"), "--for: not a period"),
        (("--for", "0s"), "--for: not a period"),
        (("--kind", "agent"), "its name is not yours"),
        (("--kind", "root"), "root"),
        (("--as", ""), "not a person's name"),
        (("--as", "agent:fixer"), "not one that a person can have"),
        (("--role", "No Role"), "roles are not a list of names"),
        (("--group", " "), "groups cannot be used"),
    ],
    ids=str,
)
def test_what_is_refused_prints_no_token(store, words, why):
    answer = store("token", *words, expect=2)
    assert why in answer.err
    assert answer.out == ""


def test_without_settings_there_is_no_token(holdfast):
    assert "holdfast init" in holdfast("token", expect=2).err


def test_on_aws_there_are_none(store):
    """Beside a local key, too: what decides is where the evidence is kept."""
    store("token")
    path = store.home / "holdfast.toml"
    path.write_text(path.read_text() + "\n[aws]\nregion = 'eu-central-1'\n")
    for words in (("token",), ("token", "--as", "ana"), ("--as", "ana", "token")):
        answer = store(*words, expect=2)
        assert answer.out == ""
        assert "takes tokens of its own issuers only" in answer.err


def test_the_command_line_s_own_person_is_the_name_that_counts(store, monkeypatch):
    """Else one person could approve once at the API and once here."""
    path = store.home / "holdfast.toml"
    path.write_text(path.read_text() + "\n[identity.people]\n'ana.b' = 'ana'\n")
    monkeypatch.setattr(shared, "config", None)
    monkeypatch.setattr(shared, "person", "Ana.B")
    assert actor() == Actor("ana", "asserted")
    monkeypatch.setattr(shared, "person", "agent:fixer")
    with pytest.raises(UsageError, match="that is how other kinds are named"):
        actor()
