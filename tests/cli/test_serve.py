"""``holdfast serve`` as a process, on a real database: signals, kills, and what is left of them."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

import psycopg
import pytest

from chalicelib.cli import serve
from chalicelib.cli.app import services
from chalicelib.cli.spoken import Words
from chalicelib.kernel.errors import ConfigError

PROGRAM = (
    "import sys, chalicelib.cli.app, chalicelib.cli.serve\n"
    "from chalicelib.cli import main\n"
    "sys.argv[0] = 'holdfast'\n"
    "main()\n"
)
EVERY = ("--every", "24h")
ANYWHERE = ("--listen", "127.0.0.1:0")  # services of other tests run at the same time


@pytest.fixture
def fleet(shop, database, other_database, monkeypatch):
    """Three targets: two databases of one server, and one that nobody answers for."""
    import chalicelib.cli.serve  # noqa: F401 - hangs itself onto the application

    monkeypatch.setenv("OTHER_DSN", other_database.dsn)
    monkeypatch.setenv("GONE_DSN", "host=127.0.0.1 port=1 dbname=x user=y")
    shop("target", "add", "other", "--dsn-env", "OTHER_DSN")
    shop("target", "add", "gone", "--dsn-env", "GONE_DSN")
    return shop


@pytest.fixture
def start(fleet):
    """Starts services; none is left running."""
    children = []

    def start(*words):
        child = subprocess.Popen(
            [sys.executable, "-c", PROGRAM, "serve", *EVERY, "--json", *ANYWHERE, *words],
            cwd=fleet.home,
            env=dict(os.environ),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        children.append(child)
        return child

    yield start
    for child in children:
        child.kill()
        child.communicate()


def lines(child):
    """What it says until it ends, and its exit code."""
    out, err = child.communicate(timeout=60)
    assert "Traceback" not in err
    return [json.loads(line) for line in out.splitlines()], child.returncode


def until(child, event):
    """Its lines up to the first of a kind."""
    said = []
    for text in child.stdout:
        said.append(json.loads(text))
        if said[-1]["event"] == event:
            return said
    pytest.fail(f"it ended without {event}: {said} {child.stderr.read()}")


def scans(fleet):
    """The scans in the log, by target."""
    found = fleet("evidence", "ls", "--json").json
    entries = found["records"] if isinstance(found, dict) else found
    return dict(Counter(one["stream"] for one in entries if one["kind"] == "scan"))


ALL = {"postgres:orders": 1, "postgres:other": 1, "postgres:gone": 1}


def test_once_scans_every_target_once_a_tick_and_says_the_worst(fleet):
    answer = fleet("serve", *EVERY, "--once", "--json", expect=3)
    said = [json.loads(line) for line in answer.out.splitlines()]
    outcomes = {line["target"]: line["outcome"] for line in said if line["event"] == "scan"}
    assert outcomes == dict.fromkeys(ALL, "unknown")
    assert [line["target"] for line in said if line["event"] == "finding opened"] == [
        "postgres:gone"
    ]
    gone = next(line for line in said if line.get("target") == "postgres:gone")
    assert gone["failure"]["code"] == "unreachable"
    again = fleet("serve", *EVERY, "--once", expect=3)
    assert again.out == ""
    assert ": recorded already, 3 unknown" in again.err
    assert scans(fleet) == ALL
    fleet("evidence", "fsck")


def test_drift_is_found_and_told_in_words(signed, database, monkeypatch):
    import chalicelib.cli.serve  # noqa: F401 - hangs itself onto the application

    database.run("ALTER TABLE orders DISABLE ROW LEVEL SECURITY")
    answer = signed("serve", *EVERY, "--once", expect=1)
    assert answer.out == ""
    assert "  postgres:orders  DRIFT  1 finding, 1 opened\n" in answer.err
    assert re.search(
        "  opened F-[0-9a-f]{12}  postgres:orders: Row-level security switched off\n", answer.err
    )
    assert signed("serve", *EVERY, "--once", expect=1).err.endswith("recorded already, 1 drift\n")


def test_without_targets_one_tick_is_a_wrong_question(holdfast):
    holdfast("init")
    answer = holdfast("serve", *EVERY, "--once", expect=2)
    assert "no targets are configured" in answer.err
    assert "holdfast target add NAME" in answer.err


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_stops_when_told_to_and_answers_0(fleet, start, number):
    child = start()
    until(child, "dispatched")
    child.send_signal(number)
    assert lines(child)[1] == 0
    fleet("serve", *EVERY, "--once", expect=None)
    assert scans(fleet) == ALL
    fleet("evidence", "fsck")


class Blocked:
    """A scan of a database that waits for a lock until the block ends, or for ten seconds."""

    def __init__(self, database):
        self.database = database

    def __enter__(self):
        self.connection = psycopg.connect(self.database.dsn)
        self.connection.execute("LOCK TABLE pg_catalog.pg_policy IN ACCESS EXCLUSIVE MODE")
        return self

    def wait(self):
        with psycopg.connect(self.database.server.dsn(), autocommit=True) as watcher:
            while not watcher.execute(
                "SELECT pg_sleep(0.02), count(*) FROM pg_locks JOIN pg_stat_activity USING (pid)"
                " WHERE NOT granted AND application_name = 'holdfast' AND datname = %s",
                (self.database.name,),
            ).fetchone()[1]:
                pass

    def __exit__(self, *_):
        self.connection.close()


def test_after_a_kill_in_the_middle_of_a_scan_the_next_service_goes_on(fleet, start, database):
    with Blocked(database) as blocked:
        child = start("--workers", "1")
        blocked.wait()
        os.kill(child.pid, signal.SIGKILL)
        assert child.wait(timeout=10) == -signal.SIGKILL
    said, code = lines(start("--once"))
    assert code == 3
    assert said[0] == {"event": "reclaimed", "orders": 1}
    assert "dispatched" not in [line["event"] for line in said]
    assert scans(fleet) == ALL
    fleet("evidence", "fsck")


def test_what_is_under_way_is_finished_before_it_stops_and_a_second_signal_ends_at_once(
    fleet, start, database
):
    with Blocked(database) as blocked:
        child = start("--workers", "1")
        blocked.wait()
        child.send_signal(signal.SIGTERM)
        assert child.poll() is None
    said, code = lines(child)
    assert code == 0
    done = [line["target"] for line in said if line["event"] == "scan"]
    assert "postgres:orders" in done
    assert len(done) < 3
    lines(start("--once"))
    assert scans(fleet) == ALL


def test_a_second_signal_ends_it_at_once(fleet, start, database):
    with Blocked(database) as blocked:
        child = start("--workers", "1")
        blocked.wait()
        child.send_signal(signal.SIGTERM)
        status = Path(f"/proc/{child.pid}/status")
        # The first one is handled when SIGTERM is no longer caught (proc(5), SigCgt).
        while int(caught(status), 16) & 1 << (signal.SIGTERM - 1):
            pass
        child.send_signal(signal.SIGTERM)
        said, code = lines(child)
        assert code == -signal.SIGTERM
        assert "postgres:orders" not in [line.get("target") for line in said]
    lines(start("--once"))
    assert scans(fleet) == ALL
    fleet("evidence", "fsck")


def caught(status):
    with status.open() as stream:
        return next(line.split()[1] for line in stream if line.startswith("SigCgt"))


def test_there_is_one_service_an_installation(fleet, start):
    child = start()
    until(child, "dispatched")
    answer = fleet("serve", *EVERY, "--once", expect=3)
    assert f"serve is held by process {child.pid}" in answer.err
    child.send_signal(signal.SIGTERM)
    assert lines(child)[1] == 0


@pytest.mark.parametrize("every", ["59s", "25h", "1441m", "0m", "15", "m", "-15m", "1.5h", "15 m"])
def test_a_period_out_of_bounds_is_refused(fleet, every):
    answer = fleet("serve", f"--every={every}", expect=2)
    assert "--every: not a period from 1m to 24h" in answer.err


class Noon:
    def now(self):
        return datetime(2026, 11, 23, 12, 0, tzinfo=UTC)


T0, T1 = "2026-11-22T03:45:00.000000Z", "2026-11-23T03:56:00.000000Z"
SCAN = {
    "event": "scan",
    "target": "postgres:a",
    "scheduled_at": T1,
    "outcome": "drift",
    "repeated": False,
    "opened": 2,
    "closed": 1,
    "findings": 3,
}
SETTINGS = {"event": "failed", "what": "settings", "name": T1, "message": "bad", "next_step": ""}
RECORDED = {"event": "recorded", "scheduled_at": T1, "scans": 0, "outcomes": {"clean": 3}}
STARTED = {"event": "started", "period_seconds": 5_400, "next_tick": T1, "workers": 4}


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ({**STARTED, "targets": 2}, "2 targets every 90m, 4 workers; next tick 03:56Z"),
        ({**STARTED, "targets": 0}, "no targets are configured: nothing is scanned"),
        ({"event": "reclaimed", "orders": 2}, "2 orders from the service before"),
        ({"event": "left", "orders": 1}, "1 order not finished"),
        ({"event": "dropped", "target": "postgres:a"}, "postgres:a is not configured any more"),
        (
            {"event": "failed", "name": "postgres:a", "message": "held", "next_step": "wait"},
            "postgres:a: held\n  next: wait",
        ),
        (SETTINGS, "settings, tick 03:56Z: bad"),
        ({**SETTINGS, "what": "tick"}, "tick 03:56Z: bad"),
        (
            {"event": "dispatched", "scheduled_at": T1, "targets": 1, "unobserved_since": T0},
            "UNOBSERVED from 2026-11-22 03:45Z to 03:56Z\ntick 03:56Z: 1 target",
        ),
        (RECORDED, "tick 03:56Z: recorded already, 3 clean"),
        ({**RECORDED, "scans": 2}, "tick 03:56Z: 2 scanned now, 3 clean"),
        (
            {**RECORDED, "scheduled_at": T0, "newest": T1},
            "tick 2026-11-22 03:45Z: older than 03:56Z, which is recorded; by the last scans",
        ),
        ({"event": "stopping", "scans": 2, "seconds": 60}, "finishing 2 scans, at most 60 s"),
        ({"event": "stopping", "scans": 0, "seconds": 60}, "no scan is under way"),
        (SCAN, "03:56Z  postgres:a  DRIFT  3 findings, 2 opened, 1 closed\n"),
        ({**SCAN, "scheduled_at": T1.replace("56:00", "56:30")}, "03:56:30Z  postgres:a"),
        (
            {**SCAN, "outcome": "unknown", "failure": {"code": "unreachable", "message": "away"}},
            "  unreachable: away",
        ),
        ({**SCAN, "outcome": "missed", "opened": 0, "closed": 0}, "postgres:a  MISSED\n"),
        (
            {"event": "finding closed", "target": "postgres:a", "finding": "F-" + "0" * 64},
            "closed F-000000000000  postgres:a\n",
        ),
        (
            {"event": "scan failed", "target": "postgres:a", "title": "not scanned for T"},
            "postgres:a: scan failed: not scanned for T",
        ),
    ],
)
def test_every_line_has_words(capsys, line, words):
    Words(Noon())(line)
    assert words in capsys.readouterr().err


LEASE = {"event": "lease", "target": "postgres:a", "request": "a.abcdefghijkm"}


@pytest.mark.parametrize(
    ("what", "error", "words"),
    [
        ("lease.ended", None, "a.abcdefghijkm: ended, and proven gone"),
        ("access.lapsed", None, "a.abcdefghijkm: lapsed"),
        ("lease.extended", None, "a.abcdefghijkm: renewed\n"),
        ("lease.orphaned", None, "a.abcdefghijkm: a credential that is no open lease's was found"),
        ("lease.unended", "away", "COULD NOT BE ENDED: away; it is tried again"),
        ("lease.extended", "away", "renewed, but its target did not hear of it: away"),
        ("lease.orphaned", "away", "postgres:a: credentials that are no open lease's could not"),
    ],
)
def test_what_was_done_about_a_lease_is_said_without_names_of_records(capsys, what, error, words):
    line = {**LEASE, "what": what} | ({} if error is None else {"error": error})
    if "postgres:a:" in words:
        line["request"] = ""
    Words(Noon())(line)
    said = capsys.readouterr().err
    assert words in said
    assert what not in said


def test_what_a_database_says_of_a_credential_forges_no_line(capsys):
    request = "x\nb.abcdefghijkm: ended"
    Words(Noon())({**LEASE, "what": "lease.orphaned", "request": request})
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_lines_fit_80_columns_and_keep_ids_whole(capsys, monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "80")
    words = Words(Noon())
    target, title = "postgres:" + "orders-" * 6 + "prod", "a title of several words " * 3
    words(
        {"event": "finding opened", "target": target, "finding": "F-1234567890ab", "title": title}
    )
    words({**SCAN, "target": target})
    words({**SCAN, "failure": {"code": "unreachable", "message": "cannot connect " * 20}})
    said = re.sub(r"\x1b\[[0-9;]*m", "", capsys.readouterr().err)
    assert all(len(line) <= 80 for line in said.splitlines()), said
    assert target in said
    assert "F-1234567890ab" in said
    rest = said.partition("unreachable: ")[2].splitlines()[1:]
    assert rest
    assert all(re.match("    [a-z]", line) for line in rest), "the rest of a line is indented"


def test_a_running_service_takes_new_targets_and_no_other_store(holdfast, monkeypatch):
    monkeypatch.setenv("ORDERS_DSN", "host=localhost dbname=orders user=u")
    holdfast("init")
    holdfast("target", "add", "orders", "--dsn-env", "ORDERS_DSN")
    configured = serve._Configured(services())
    before = configured()
    assert configured() is before
    holdfast("target", "add", "billing", "--dsn-env", "ORDERS_DSN")
    assert set(configured().targets) == {"postgres:billing", "postgres:orders"}
    path = holdfast.home / "holdfast.toml"
    path.write_text(path.read_text().replace('path = ".holdfast"', 'path = "elsewhere"'))
    with pytest.raises(ConfigError, match="another store or log key"):
        configured()
