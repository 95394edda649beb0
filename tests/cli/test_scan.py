from __future__ import annotations

import json
import os
import subprocess
import sys

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

PASSWORD = "hunter2-never-shown"


def test_without_a_baseline_the_answer_is_not_clean(shop):
    answer = shop("scan", "orders", expect=3)
    assert "UNKNOWN" in answer.out
    assert "holdfast baseline propose orders" in answer.err


def test_from_baseline_to_drift(signed, database):
    assert "CLEAN" in signed("scan").out
    database.run(
        "ALTER TABLE orders DISABLE ROW LEVEL SECURITY",
        "GRANT SELECT ON orders TO PUBLIC",
        "ALTER TABLE orders DROP COLUMN total",
    )
    answer = signed("scan", "orders", expect=1)
    assert "Row-level security switched off" in answer.out
    assert "row_security: true → false" in answer.out
    value = signed("scan", "orders", "--json", expect=1).json
    assert value["exit_code"] == 1
    [result] = value["results"]
    assert result["outcome"] == "drift"
    found = {(f["kind"], f["attribute"], f["direction"]) for f in result["findings"]}
    assert found == {
        ("table", "row_security", "widens"),
        ("grant", "", "widens"),
        ("column", "", "neutral"),
    }
    assert all(f["when"].get("committed") for f in result["findings"])
    assert all(f["disposition"] == "open" for f in result["findings"])


def test_what_people_signed_for_not_seeing_is_named_and_never_just_clean(
    shop, database, monkeypatch
):
    database.run(
        f"CREATE ROLE scanner LOGIN PASSWORD '{PASSWORD}'",
        "GRANT pg_read_all_settings TO scanner",
        "GRANT SELECT ON pg_user_mapping TO scanner",
    )
    monkeypatch.setenv("ORDERS_DSN", database.as_role("scanner", PASSWORD))
    answer = shop("--as", "ana", "baseline", "propose", "orders", "--comment", "so far")
    assert "not complete; could not be read:" in answer.err
    shop("--as", "ben", "baseline", "approve", "orders")
    shop("--as", "chloe", "baseline", "approve", "orders")
    answer = shop("scan", "orders")
    assert "CLEAN" in answer.out
    assert "not visible, as signed for: file_setting, hba_rule," in answer.out
    assert "role (password, password_digest, password_iterations)" in answer.out
    [result] = shop("scan", "orders", "--json").json["results"]
    assert result["not_visible"]["hba_rule"] == []
    assert "user_mapping" not in result["not_visible"]
    database.run("REVOKE SELECT ON pg_user_mapping FROM scanner")
    answer = shop("scan", "orders", "--json", expect=1)  # the grant that is gone is a change too
    assert "unreadable" in {found["operation"] for found in answer.json["results"][0]["findings"]}


def test_all_targets_are_scanned_and_the_worst_answer_wins(signed, database, monkeypatch):
    monkeypatch.setenv("OTHER_DSN", database.dsn)
    signed("target", "add", "other", "--dsn-env", "OTHER_DSN")
    assert len(signed("scan", "--json", expect=3).json["results"]) == 2
    database.run("ALTER TABLE orders ADD COLUMN note text")
    assert [r["outcome"] for r in signed("scan", "--json", expect=1).json["results"]] == [
        "drift",
        "unknown",
    ]


def test_one_broken_target_does_not_stop_the_others(signed):
    signed("target", "add", "broken", "--dsn-env", "NOT_SET")
    value = signed("scan", "--json", expect=2).json
    assert [r["outcome"] for r in value["results"]] == ["clean"]
    assert [f["code"] for f in value["failures"]] == ["config_error"]


def test_an_unreachable_server_is_unknown(signed, monkeypatch):
    monkeypatch.setenv("ORDERS_DSN", "host=127.0.0.1 port=1 dbname=x user=y")
    answer = signed("scan", "orders", expect=3)
    assert "UNKNOWN" in answer.out
    assert "127.0.0.1" in answer.err
    [result] = signed("scan", "orders", "--json", expect=3).json["results"]
    assert result["failure"]["code"] == "unreachable"
    assert result["findings"][0]["operation"] == "unreadable"
    assert result["snapshot"] is None


def test_a_wrong_password_is_unknown_and_never_shown(signed, database, monkeypatch):
    monkeypatch.setenv("ORDERS_DSN", make_conninfo(database.dsn, password=PASSWORD))
    answer = signed("scan", "orders", expect=3)
    assert PASSWORD not in answer.out + answer.err
    assert "authentication" in (answer.err + answer.out).lower() or "password" in answer.err
    signed("evidence", "fsck")
    for path in signed.home.rglob("*"):
        assert not path.is_file() or PASSWORD.encode() not in path.read_bytes()


def test_a_password_in_a_malformed_dsn_is_never_shown(signed, monkeypatch):
    for dsn in (f"postgresql://u:{PASSWORD}%zz@h/d", f"host=h password='{PASSWORD}", PASSWORD):
        monkeypatch.setenv("ORDERS_DSN", dsn)
        answer = signed("scan", "orders", expect=None)
        assert answer.code in {2, 3}
        assert PASSWORD not in answer.out + answer.err


def test_a_dsn_is_scanned_as_the_target_that_has_it(signed, database):
    answer = signed("scan", database.dsn)
    assert "postgres:orders  CLEAN" in answer.out
    assert "visible in the process list" in answer.err


def test_another_dsn_is_looked_at_and_nobody_can_tell(shop, postgres_server):
    answer = shop("scan", postgres_server.dsn("postgres"), expect=3)
    assert "no baseline" in answer.err
    assert postgres_server.password not in answer.out + answer.err
    assert (
        shop("evidence", "ls", "--kind", "scan", "--json")
        .json[-1]["stream"]
        .startswith("postgres:postgres-127.0.0.1-")
    )


def test_a_dsn_stands_alone(shop, database):
    shop("scan", database.dsn, "orders", expect=2)


def test_an_unknown_target_is_a_usage_error(shop):
    assert "configured: orders" in shop("scan", "nobody", expect=2).err


def test_without_targets_there_is_nothing_to_scan(holdfast):
    holdfast("init")
    assert "no targets" in holdfast("scan", expect=2).err


def test_a_scan_that_is_under_way_is_not_run_twice(signed):
    child = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(signed.home / ".holdfast" / "lock")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    try:
        assert child.stdout.readline() == b"held\n"
        answer = signed("scan", "orders", expect=3)
        assert f"process {child.pid}" in answer.err
    finally:
        child.kill()
        child.communicate()
    signed("scan", "orders")


HOLD = """
import sys
from pathlib import Path
from chalicelib.local.clock import SystemClock
from chalicelib.local.lock import FileLocks
with FileLocks(Path(sys.argv[1]), clock=SystemClock()).hold("target/postgres/orders"):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_names_from_a_database_cannot_drive_the_terminal(signed, database):
    hostile = 'a\x1b]0;owned\x07\n"; DROP TABLE orders; -- \u202e[bold red]\U0001f600'
    with psycopg.connect(database.dsn, autocommit=True) as connection:
        name = '"' + hostile.replace('"', '""') + '"'
        connection.execute(f"CREATE TABLE {name} (id int)".encode())
    answer = signed("scan", "orders", expect=1)
    assert "\x1b" not in answer.out
    assert "\x07" not in answer.out
    assert "\u202e" not in answer.out
    assert "[bold red]" in answer.out
    assert len([line for line in answer.out.splitlines() if "DROP TABLE" in line]) == 1
    [finding] = signed("drift", "ls", "--json").json
    assert hostile.replace('"', '""') in finding["name"]
    assert "\x1b" not in signed("drift", "show", finding["id"]).out


def test_on_a_terminal_there_is_colour_and_progress(signed, database):
    database.run("ALTER TABLE orders DISABLE ROW LEVEL SECURITY")
    code, screen = on_terminal(signed.home, "scan", "orders")
    assert code == 1
    assert "\x1b[1;37;41mcritical" in screen
    assert "before → after" in screen


def on_terminal(folder, *words):
    """Run a command on a pseudo-terminal of 120 columns; its exit code and all that it wrote."""
    import fcntl
    import pty
    import struct
    import termios

    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 120, 0, 0))
    child = subprocess.Popen(
        [sys.executable, "-m", "chalicelib.cli", *words],
        cwd=folder,
        stdin=slave,
        stdout=slave,
        stderr=slave,
        env={**os.environ, "TERM": "xterm-256color", "COLUMNS": "120"},
    )
    os.close(slave)
    screen = b""
    while True:
        try:
            chunk = os.read(master, 65_536)
        except OSError:
            break
        if not chunk:
            break
        screen += chunk
    os.close(master)
    return child.wait(), screen.decode()


def test_a_closed_pipe_is_no_defect(signed):
    child = subprocess.run(
        ["bash", "-c", f"{sys.executable} -m chalicelib.cli evidence ls --json | head -c 1"],
        cwd=signed.home,
        capture_output=True,
        check=False,
    )
    assert b"defect" not in child.stderr
    assert child.stdout == b"["


def test_user_rules_come_first(signed, database):
    rules = """
[[rule]]
id = "ours"
title = "We do not care"
kind = "table"
attribute = "row_security"
severity = "info"
"""
    (signed.home / "rules.toml").write_text(rules)
    path = signed.home / "holdfast.toml"
    path.write_text(path.read_text() + '\n[rules]\nfiles = ["rules.toml"]\n')
    database.run("ALTER TABLE orders DISABLE ROW LEVEL SECURITY")
    [result] = signed("scan", "--json", expect=1).json["results"]
    assert [(f["rule"], f["severity"]) for f in result["findings"]] == [("ours", "info")]
    (signed.home / "rules.toml").write_text("[[rule]]\nid = 1")
    assert "rules.toml" in signed("scan", expect=2).err
    (signed.home / "rules.toml").unlink()
    assert "rules.toml" in signed("scan", expect=2).err


@pytest.mark.parametrize("what", ["snapshot", "diff"])
def test_looking_and_comparing_need_no_settings(holdfast, database, postgres_server, what):
    database.run("CREATE TABLE t (id int)")
    empty = postgres_server.dsn("template1")
    if what == "snapshot":
        lines = holdfast("snapshot", database.dsn).out.splitlines()
        assert ["table", "public.t"] in [json.loads(line)[:2] for line in lines]
        holdfast("snapshot", database.dsn, "-o", "one.jsonl")
        holdfast("snapshot", database.dsn, "-o", "one.jsonl", expect=2)
        assert holdfast("diff", "one.jsonl", database.dsn, "--json").json["findings"] == []
    else:
        value = holdfast("diff", empty, database.dsn, "--json", expect=1).json
        assert ("added", "table", "public.t") in [
            (f["operation"], f["kind"], f["name"]) for f in value["findings"]
        ]
        holdfast("diff", database.dsn, database.dsn)
        holdfast("diff", database.dsn, "nothing-there", expect=2)


def test_secrets_that_differ_are_a_difference_and_are_not_shown(holdfast, database, other_database):
    for one, secret in ((database, "first-secret"), (other_database, "second-secret")):
        one.run(
            "CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1' "
            f"SET app.api_token = '{secret}'"
        )
    answer = holdfast("diff", database.dsn, other_database.dsn, "--json", expect=1)
    configs = [f for f in answer.json["findings"] if f["attribute"] == "config"]
    assert len(configs) == 1
    assert "-secret" not in answer.out
    holdfast("diff", database.dsn, database.dsn)


def test_a_database_is_compared_with_a_targets_baseline(signed, database):
    assert "0 differences" in signed("diff", "orders", database.dsn).err
    database.run("ALTER TABLE orders ADD COLUMN note text")
    assert "added" in signed("diff", "orders", database.dsn, expect=1).out
    assert signed("snapshot", "orders").out
