from __future__ import annotations

import os
import pwd
import stat
import subprocess
import sys

import pytest

from chalicelib import __version__
from chalicelib.cli.app import app


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


def test_init_makes_settings_a_key_and_a_store(holdfast):
    answer = holdfast("init")
    store = holdfast.home / ".holdfast"
    assert mode(store / "key" / "signing.pem") == 0o600
    assert mode(store / "key" / "secret") == 0o600
    assert mode(store / "key") == 0o700
    assert answer.out.strip() in (holdfast.home / "holdfast.toml").read_text()
    holdfast("evidence", "fsck")


def test_init_never_overwrites(holdfast):
    holdfast("init")
    before = files(holdfast.home)
    assert "nothing was changed" in holdfast("init", expect=2).err
    assert files(holdfast.home) == before


def files(folder):
    """Contents by path; SQLite moves its own pages between its files whenever it likes."""
    paths = [path for path in folder.rglob("*") if path.is_file()]
    return {path: path.read_bytes() for path in paths if not path.name.startswith("state.db")}


def test_init_again_says_how_targets_are_added_to_what_is_there(holdfast):
    holdfast("init", "here")
    assert "target add NAME --dsn-env" in holdfast("init", "here", expect=2).err
    holdfast("init", "there", "--aws-region", "eu-central-1", "--stage", "test")
    assert 'stage = "test"' in (holdfast.home / "there" / "holdfast.toml").read_text()
    assert "target add NAME --secret" in holdfast("init", "there", expect=2).err
    (holdfast.home / "there" / "holdfast.toml").write_text("[")
    assert "nothing was changed" in holdfast("init", "there", expect=2).err


def test_a_stage_needs_a_region(holdfast):
    assert "no region" in holdfast("init", "--stage", "test", expect=2).err
    assert list(holdfast.home.iterdir()) == []
    holdfast("init", "--aws-region", "eu-central-1")
    assert 'stage = "prod"' in (holdfast.home / "holdfast.toml").read_text()


def test_init_does_not_replace_a_key_whose_settings_are_gone(holdfast):
    holdfast("init")
    key = (holdfast.home / ".holdfast" / "key" / "signing.pem").read_bytes()
    (holdfast.home / "holdfast.toml").unlink()
    assert "never replaced" in holdfast("init", expect=3).err
    assert (holdfast.home / ".holdfast" / "key" / "signing.pem").read_bytes() == key


def test_init_takes_a_name_for_the_log(holdfast):
    assert holdfast("init", "there", "--origin", "example.com/log").out.startswith(
        "example.com/log+"
    )
    assert (holdfast.home / "there" / "holdfast.toml").is_file()
    holdfast("init", "else", "--origin", "not a name", expect=2)
    assert not (holdfast.home / "else").exists()


def test_a_target_is_added_without_touching_the_rest_of_the_file(holdfast):
    holdfast("init")
    path = holdfast.home / "holdfast.toml"
    path.write_text(path.read_text() + "\n# a comment of ours")
    before = path.read_text()
    holdfast("target", "add", "orders", "--dsn-env", "ORDERS_DSN", "--env", "prod")
    holdfast("target", "add", "staging", "--dsn-env", "STAGING_DSN", "--approver", "ana")
    assert path.read_text().startswith(before)
    rows = holdfast("target", "ls", "--json").json
    assert [(row["target"], row["approvals"]) for row in rows] == [
        ("postgres:orders", 2),
        ("postgres:staging", 1),
    ]
    assert "never" in holdfast("target", "ls").out
    kinds = [row["kind"] for row in holdfast("evidence", "ls", "--json").json]
    assert kinds == ["log.opened", "target.configured", "target.configured"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["Bad Name", "--dsn-env", "X"], "not a target name"),
        (["s3:orders", "--dsn-env", "X"], "expected one of postgres, iam, rds"),
        (["iam:orders", "--kind", "rds", "--instance", "orders"], "expected one of"),
        (["rds:orders", "--dsn-env", "X"], "is no database: it has no dsn_env"),
        (["orders", "--kind", "rds"], "one of instance and cluster"),
        (["o", "--kind", "rds", "--instance", "a", "--cluster", "b"], "one of instance and"),
        (["o", "--kind", "rds", "--instance", "a--b"], "names no instance"),
        (["o", "--kind", "rds", "--instance", "a", "--access-analyzer"], "access_analyzer is for"),
        (["o", "--kind", "rds", "--instance", "a", "--database-target", "x"], "no database"),
        (["o", "--kind", "rds", "--instance", "a", "--region", "mars"], "region: expected"),
        (["people", "--kind", "iam"], "12 digits"),
        (["people", "--kind", "iam", "--account", "12345678901"], "12 digits"),
        (["p", "--kind", "iam", "--account", "1" * 12, "--instance", "a"], "for the kind rds"),
        (["p", "--kind", "iam", "--account", "1" * 12, "--role-arn", "x"], "role_arn: expected"),
        (["p", "--kind", "iam", "--account", "1" * 12, "--endpoint", "x"], "endpoint: expected"),
        (["orders", "--dsn-env", "X", "--account", "1" * 12], "an account is of the kind iam"),
        (["orders", "--dsn-env", "postgresql://u:hunter2@h/d"], "names an environment variable"),
        (["orders", "--dsn-env", "X", "--env", "prod", "--approvals", "0"], "at least one"),
        (["orders", "--dsn-env", "X", "--approvals", "17"], "0 to 10"),
        (["orders", "--dsn-env", "X", "--approvals", "2", "--approver", "ana"], "cannot come"),
        (["orders"], "dsn-env"),
        (["orders", "--secret", "holdfast/orders"], "no [aws] section"),
    ],
)
def test_a_target_that_makes_no_sense_is_refused(holdfast, words, said):
    holdfast("init")
    before = (holdfast.home / "holdfast.toml").read_text()
    answer = holdfast("target", "add", *words, expect=2)
    assert said in answer.err
    assert "hunter2" not in answer.err
    assert (holdfast.home / "holdfast.toml").read_text() == before
    assert len(holdfast("evidence", "ls", "--json").json) == 1


def test_targets_of_aws_are_added_and_named_without_their_kind(holdfast):
    holdfast("init")
    holdfast("target", "add", "orders", "--dsn-env", "ORDERS_DSN")
    role = "arn:aws:iam::123456789012:role/holdfast-scan"
    one = ["target", "add", "people", "--kind", "iam", "--account", "123456789012"]
    told = holdfast(*one, "--role-arn", role, "--access-analyzer")
    assert "iam:people: AWS account 123456789012" in told.err
    two = ["target", "add", "orders-rds", "--kind", "rds", "--instance", "orders"]
    holdfast(*two, "--database-target", "orders", "--region", "eu-central-1")
    text = (holdfast.home / "holdfast.toml").read_text()
    assert f'role_arn = "{role}"\n' in text
    assert "access_analyzer = true\n" in text
    known = [one["target"] for one in holdfast("target", "ls", "--json").json]
    assert known == ["postgres:orders", "rds:orders-rds", "iam:people"]
    for name in ("people", "iam:people"):
        assert holdfast("drift", "ls", name, "--json").json == []
        (record,) = holdfast("evidence", "ls", "--target", name, "--json").json
        assert record["stream"] == "iam:people"
    assert "compared with orders" in holdfast("target", "remove", "orders", expect=2).err
    holdfast("target", "remove", "orders-rds")
    holdfast("target", "remove", "orders")
    assert [one["target"] for one in holdfast("target", "ls", "--json").json] == ["iam:people"]


def test_a_target_is_added_once(holdfast):
    holdfast("init")
    holdfast("target", "add", "orders", "--dsn-env", "A")
    assert "already" in holdfast("target", "add", "orders", "--dsn-env", "B", expect=2).err


@pytest.mark.parametrize(
    "text",
    [
        "nonsense",
        "[log]\nkey = 'x'",
        "[log]\nkey = 1",
        "[other]\na = 1",
        "",
        "\x00",
        "[log]\nkey = 'KEY'\n[targets.orders]\ndsn_env = 'X'\nunknown = 1",
        "[log]\nkey = 'KEY'\n[targets.'Bad Name']\ndsn_env = 'X'",
    ],
)
def test_settings_that_cannot_be_used_are_a_usage_error(holdfast, text):
    key = holdfast("init").out.strip()
    (holdfast.home / "holdfast.toml").write_text(text.replace("KEY", key))
    assert "holdfast.toml" in holdfast("scan", expect=2).err


def test_without_settings_the_next_step_is_init(holdfast):
    assert "holdfast init" in holdfast("scan", expect=2).err
    assert "nowhere" in holdfast("--config", "nowhere", "scan", expect=2).err


def test_settings_are_found_above(holdfast, monkeypatch):
    holdfast("init")
    below = holdfast.home / "a" / "b"
    below.mkdir(parents=True)
    monkeypatch.chdir(below)
    holdfast("target", "ls")


def test_a_store_that_is_gone_is_said(holdfast):
    holdfast("init")
    (holdfast.home / ".holdfast").rename(holdfast.home / "elsewhere")
    assert "not there" in holdfast("target", "ls", expect=2).err


@pytest.mark.parametrize("name", ["signing.pem", "secret"])
def test_a_key_that_others_can_read_is_refused(holdfast, name):
    holdfast("init")
    (holdfast.home / ".holdfast" / "key" / name).chmod(0o644)
    answer = holdfast("target", "ls", expect=3)
    assert "open to others" in answer.err
    assert "chmod 600" in answer.err


def test_a_secret_that_is_cut_off_is_refused(holdfast):
    holdfast("init")
    (holdfast.home / ".holdfast" / "key" / "secret").write_bytes(b"short")
    assert "expected 32" in holdfast("target", "ls", expect=3).err


def test_another_key_than_the_pinned_one_is_refused(holdfast):
    holdfast("init", "one")
    holdfast("init", "two")
    key = holdfast.home / "one" / ".holdfast" / "key" / "signing.pem"
    key.write_bytes((holdfast.home / "two" / ".holdfast" / "key" / "signing.pem").read_bytes())
    holdfast("--config", "one/holdfast.toml", "target", "ls", expect=3)


def test_version_and_help():
    names = {command.name or command.callback.__name__ for command in app.registered_commands}
    assert {"scan", "init", "demo", "snapshot", "diff"} <= names


def test_rules_are_listed_in_the_order_in_which_they_are_tried(holdfast):
    rows = holdfast("rules", "ls", "--json").json
    assert rows[-1]["id"] == "unknown"
    assert len({row["id"] for row in rows}) == len(rows) > 100
    answer = holdfast("rules", "ls", "row-level")
    assert 0 < len(answer.out.splitlines()) < len(rows)
    assert "kind table" in answer.out


def test_version(holdfast):
    assert holdfast("--version").out.strip() == f"holdfast {__version__}"


@pytest.mark.parametrize(
    "words",
    [
        ["init"], ["scan"], ["snapshot"], ["diff"], ["demo"],
        ["target", "add"], ["target", "ls"],
        ["baseline", "propose"], ["baseline", "approve"],
        ["baseline", "show"], ["baseline", "verify"],
        ["drift", "ls"], ["drift", "show"], ["drift", "suppress"], ["drift", "accept"],
        ["evidence", "ls"], ["evidence", "show"], ["evidence", "checkpoint"], ["evidence", "fsck"],
        ["evidence", "repair"], ["rules", "ls"],
    ],
)  # fmt: skip
def test_every_command_has_help(holdfast, words):
    assert "Usage: holdfast " + " ".join(words) in holdfast(*words, "--help").out


def test_an_unknown_word_is_a_usage_error(holdfast):
    holdfast("frobnicate", expect=2)
    holdfast("scan", "--frobnicate", expect=2)


def test_the_operating_systems_user_is_not_taken_from_the_environment(holdfast, monkeypatch):
    monkeypatch.setenv("LOGNAME", "ben")
    monkeypatch.setenv("USER", "ben")
    holdfast("init")
    [record] = holdfast("evidence", "ls", "--json").json
    assert record["actor"] == {"name": pwd.getpwuid(os.getuid()).pw_name, "via": "os"}


@pytest.mark.parametrize(
    "dsn",
    [
        "postgresql+psycopg2://ana:hunter2@h/db",
        "Postgresql://ana:hunter2@h/db",
        " postgresql://ana:hunter2@h/db",
        "jdbc:postgresql://ana:hunter2@h/db",
        "postgres:ana:hunter2@h",
        "mysql://ana:hunter2@h/db",
    ],
)
def test_what_looks_like_a_connection_string_is_not_repeated(holdfast, dsn):
    holdfast("init")
    for words in (["scan", dsn], ["snapshot", dsn], ["target", "add", dsn, "--dsn-env", "X"]):
        answer = holdfast(*words, expect=None)
        assert answer.code in {2, 3}
        assert "hunter2" not in answer.out + answer.err
    assert b"hunter2" not in b"".join(files(holdfast.home).values())


def test_two_targets_added_at_once_are_both_there(holdfast):
    holdfast("init")
    children = [
        subprocess.Popen(
            [sys.executable, "-m", "chalicelib.cli", "target", "add", name, "--dsn-env", "X"],
            cwd=holdfast.home,
            stderr=subprocess.DEVNULL,
        )
        for name in ("one", "same", "same", "two")
    ]
    codes = [child.wait() for child in children]
    added = {row["target"] for row in holdfast("target", "ls", "--json").json}
    assert len(added) == codes.count(0)


@pytest.mark.parametrize("what", ["fifo", "large", "folder"])
def test_rules_are_read_from_a_file_of_bounded_size(holdfast, what):
    holdfast("init")
    path = holdfast.home / "rules.toml"
    if what == "fifo":
        os.mkfifo(path)
    elif what == "large":
        with path.open("wb") as stream:
            stream.truncate(6 * 2**30)
    else:
        path.mkdir()
    settings = holdfast.home / "holdfast.toml"
    settings.write_text(settings.read_text() + '\n[rules]\nfiles = ["rules.toml"]\n')
    assert "rules.toml" in holdfast("target", "ls", expect=2).err


def test_a_persons_name_is_checked(holdfast):
    holdfast("init")
    holdfast("--as", "a\x00b", "target", "add", "orders", "--dsn-env", "X", expect=2)
