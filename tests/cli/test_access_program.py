"""The program of a lease: told when the lease ends, and led nowhere else; forms of credentials."""

from __future__ import annotations

import itertools
import os
import shlex
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg.conninfo
import pytest

from chalicelib.api.wishes import CredentialView
from chalicelib.cli import child, credential
from chalicelib.kernel.clock import timestamp
from chalicelib.kernel.errors import Unsupported, UsageError

START = datetime(2026, 10, 1, 2, 0, tzinfo=UTC)
ODD = "a'b\\c:d e%/@?$(id)"
FIELDS = {
    "host": "db.example.com",
    "port": "5432",
    "dbname": "orders",
    "user": "hf_abc",
    "password": "secret-of-the-lease",
    "sslmode": "require",
}
HOLD = "import time\nwhile True: time.sleep(600)"


class Clock:
    def __init__(self):
        self.moment = START

    def now(self):
        return self.moment


def issued(kind="postgres", until=timedelta(minutes=30), **fields):
    return CredentialView(
        id="orders.aaaaaaaaaaaa",
        kind=kind,
        until=timestamp(START + until),
        fields={**FIELDS, **fields} if kind != "aws" else fields,
    )


@pytest.fixture
def told():
    return []


@pytest.fixture
def lookout(told):
    """``lookout(*answers)``: what is known of the end, look by look; each of them takes an hour."""

    def made(*answers):
        last = answers[-1] if answers else issued().until
        clock, rest = Clock(), itertools.chain(answers, itertools.repeat(last))

        def until():
            clock.moment += timedelta(hours=1) if answers else timedelta()
            return next(rest)

        return child.Lookout(clock, until, lambda: told.append(clock.moment), 0.01)

    return made


def test_a_program_is_told_when_its_lease_ends(lookout, told):
    over = timestamp(START + timedelta(minutes=30))
    argv = [sys.executable, "-c", HOLD]
    assert child.run(issued(), argv, lookout(over, over)) == (128 + 15, True)
    assert len(told) == 1


def test_a_renewed_lease_is_not_over(lookout, told):
    later = [timestamp(START + timedelta(hours=one + 1.5)) for one in range(9)]
    ended = child.run(issued(), [sys.executable, "-c", HOLD], lookout(*later, ""))
    assert ended.early
    assert told == [START + timedelta(hours=10)]


def test_a_lease_that_seems_over_is_looked_at_again_first(lookout, told):
    over = lookout(timestamp(START + timedelta(hours=9)), "")
    ended = child.run(issued(until=timedelta()), [sys.executable, "-c", HOLD], over)
    assert ended.early
    assert told == [START + timedelta(hours=2)]


def test_what_a_program_makes_of_the_signal_is_its_own(lookout, told):
    code = "import signal, sys\nsignal.signal(signal.SIGTERM, lambda *_: sys.exit(3))\n" + HOLD
    ended = child.run(issued(), [sys.executable, "-c", code], lookout(""))
    assert ended.early
    assert ended.code in {3, 128 + 15}  # 15 where it was told before it listened


def test_the_password_file_is_removed_when_the_lease_ends(lookout, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    seen = []
    over = lookout("")
    watching = over._replace(told=lambda: seen.append(list(tmp_path.iterdir())))
    child.run(issued(), [sys.executable, "-c", HOLD], watching)
    assert seen == [[]]


def test_what_cannot_be_run_leaves_nothing_behind(lookout, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    with pytest.raises(OSError, match="No such file"):
        child.run(issued(), [str(tmp_path / "none")], lookout())
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(UsageError):
        child.found("no-such-program")


def test_a_program_is_led_nowhere_else():
    environ = {
        "PATH": "/bin", "PGSERVICE": "x", "PGHOSTADDR": "10.0.0.1", "PGPASSWORD": "x",
        "PGTZ": "UTC", "HOLDFAST_TOKEN": "x", "AWS_PROFILE": "x", "BROKER_DSN": "x",
    }  # fmt: skip
    found = credential.inherited(environ, "postgres", frozenset({"HOLDFAST_TOKEN", "BROKER_DSN"}))
    assert found == {"PATH": "/bin", "PGTZ": "UTC", "AWS_PROFILE": "x"}
    assert "AWS_PROFILE" not in credential.inherited(environ, "aws", frozenset())


def test_credentials_of_aws_are_variables_and_no_file(lookout, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    fields = {"AWS_ACCESS_KEY_ID": "ASIA", "AWS_SECRET_ACCESS_KEY": ODD, "AWS_SESSION_TOKEN": "t"}
    found = issued("aws", **fields)
    code = (
        f"import os, pathlib\nassert os.environ['AWS_SECRET_ACCESS_KEY'] == {ODD!r}\n"
        f"assert 'PGPASSFILE' not in os.environ\n"
        f"[folder] = pathlib.Path({str(tmp_path)!r}).iterdir()\nassert not list(folder.iterdir())"
    )
    assert child.run(found, [sys.executable, "-c", code], lookout()).code == 0
    lines = credential.formed(found, "env").splitlines()
    assert dict(shlex.split(one)[1].split("=", 1) for one in lines) == fields
    with pytest.raises(Unsupported):
        credential.environment(issued("aws", **{"A B": "x"}))


@pytest.mark.parametrize(
    ("form", "target"), [("xml", "postgres:orders"), ("pgpass", "sts:role"), ("url", "sts:role")]
)
def test_a_form_that_cannot_be_is_refused_before_anything_is_claimed(form, target):
    with pytest.raises(UsageError):
        credential.check_form(form, target)


@pytest.mark.parametrize("host", ["db.example.com", "/run/a b:c", "10.0.0.1", "::1", "a.b,c.d"])
def test_urls_say_what_was_issued_whatever_is_in_it(host):
    port = "5432,5433" if "," in host else "5432"
    found = issued(host=host, port=port, dbname=ODD, password=ODD)
    read = psycopg.conninfo.conninfo_to_dict(credential.url(found))
    assert read == {**found.fields}


@pytest.mark.parametrize(
    ("host", "port", "expected"),
    [
        ("h", "1", ["h:1"]),
        ("a,b", "1,2", ["a:1", "b:2"]),
        ("a,b", "1", ["a:1", "b:1"]),
        ("/run/pg", "1", ["/run/pg:1", "localhost:1"]),
        ("::1", "1", ["\\:\\:1:1"]),
        (credential.LOCAL_SOCKET, "1", ["localhost:1"]),
    ],
)
def test_a_password_file_has_a_line_a_host(host, port, expected):
    found = issued(host=host, port=port, dbname="d:b", password="p:\\w")
    lines = credential.passfile(found).splitlines()
    assert lines == [f"{one}:d\\:b:hf_abc:p\\:\\\\w" for one in expected]


def test_environments_are_read_back_by_a_shell(tmp_path):
    text = credential.formed(issued(password=ODD), "env")
    script = tmp_path / "env.sh"
    script.write_text(f"{text}printf '%s' \"$PGPASSWORD\" > {shlex.quote(str(tmp_path / 'out'))}\n")
    assert os.system(f"sh {shlex.quote(str(script))}") == 0  # noqa: S605 - a shell is what reads it
    assert Path(tmp_path / "out").read_text() == ODD


def test_a_default_socket_names_no_host():
    assert "PGHOST" not in credential.environment(issued(host=credential.LOCAL_SOCKET))
    assert "host=" not in credential.url(issued(host=credential.LOCAL_SOCKET))
