"""What is done with a lease: a program run with it, its secret in four forms, its end."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import stat
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest

from chalicelib.cli.app import shared

PYTHON = sys.executable
HOLDFAST = (PYTHON, "-m", "chalicelib.cli")
FIELDS = ("host", "port", "dbname", "user", "password")
ROOT = str(Path(__file__).parents[2])
# A program that shows what it was given, and nothing secret of it.
SPY = """
import json, os, stat, sys
path = os.environ["PGPASSFILE"]
print(json.dumps({
    "pid": os.getpid(), "argv": sys.argv, "path": path,
    "file": stat.S_IMODE(os.stat(path).st_mode),
    "folder": stat.S_IMODE(os.stat(os.path.dirname(path)).st_mode),
    "names": sorted(name for name in os.environ if name.startswith(("PG", "HOLDFAST", "BROKER"))
        and not name.startswith("HOLDFAST_TEST")),
    "user": os.environ["PGUSER"], "database": os.environ["PGDATABASE"],
}), flush=True)
"""
WAITING = SPY + "import signal\nsignal.pause()\n"


@pytest.fixture
def psql(postgres_server):
    return str(postgres_server.bin_dir / "psql")


@pytest.fixture
def started(leased, tmp_path):
    """``holdfast run`` as a process of its own, with a program that waits; its first line."""
    processes = []

    def start(asked, program=WAITING, *words):
        process = subprocess.Popen(
            [*HOLDFAST, "--as", "ana", "run", asked, *words, "--", PYTHON, "-c", program],
            cwd=leased.home,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
            env={**os.environ, "PYTHONPATH": ROOT},
        )
        processes.append(process)
        line = process.stdout.readline()
        assert line, process.stderr.read()
        return process, json.loads(line)

    yield start
    for process in processes:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate(timeout=60)


def passwords(text):
    return re.findall(r"[A-Za-z0-9_-]{43}", text)


def store(leased):
    """Every byte of the store."""
    return b"".join(
        one.read_bytes() for one in (leased.home / ".holdfast").rglob("*") if one.is_file()
    )


def processes():
    """Arguments of everything that runs."""
    found = []
    for one in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            found.append(one.read_bytes())
        except OSError:
            continue
    return b"\n".join(found)


def outside(leased, *words, person="ana"):
    """The command as a process of its own: what its program says is not what it says itself."""
    return subprocess.run(
        [*HOLDFAST, "--as", person, *words],
        check=False,
        cwd=leased.home,
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": ROOT},
    )


def test_psql_runs_as_the_lease_within_its_scope_and_not_outside(leased, ask, psql):
    asked = ask("--profile", "read-clear", "--tables", "public.orders", approved=True)
    done = outside(leased, "run", asked, "--", psql, "-XAtc", "SELECT id, total FROM orders")
    assert (done.returncode, done.stdout) == (0, "1|9.50\n"), done.stderr
    for refused in ("SELECT name FROM customers", "DELETE FROM orders"):
        done = outside(leased, "run", asked, "--", psql, "-XAtc", refused)
        assert (done.returncode, done.stdout) == (1, "")
        assert "ERROR" in done.stderr


def test_the_codes_of_programs_pass_through(leased, ask):
    asked = ask(approved=True)
    for code in (0, 1, 3, 77):
        leased("--as", "ana", "run", asked, "--", "sh", "-c", f"exit {code}", expect=code)
    leased("--as", "ana", "run", asked, "--", "sh", "-c", "kill -9 $$", expect=128 + 9)
    nothing = leased("--as", "ana", "run", ask(approved=True), "--", "no-such-program", expect=127)
    assert "nothing was claimed" in nothing.err
    assert [one["phase"] for one in leased("--as", "ana", "ls", "--json").json].count("active") == 1


@pytest.mark.parametrize(
    ("words", "code"), [((), 4), (("ben", "deny"), 5), (("ana", "withdraw"), 5)]
)
def test_what_is_not_approved_runs_nothing(leased, ask, words, code):
    asked = ask()
    if words:
        leased("--as", words[0], words[1], asked)
    for verb in (("run", asked, "--", "true"), ("creds", asked)):
        answer = leased("--as", "ana", *verb, expect=code)
        assert answer.out == ""


def test_what_has_ended_runs_nothing(leased, ask):
    asked = ask(approved=True)
    leased("--as", "ana", "run", asked, "--revoke", "--", "true")
    assert "ended" in leased("--as", "ana", "run", asked, "--", "true", expect=6).err


def test_somebody_elses_lease_is_not_claimed(leased, ask):
    asked = ask(approved=True)
    assert leased("--as", "ben", "creds", asked, expect=2).out == ""
    assert leased("--as", "dora", "run", asked, "--", "true", expect=2).out == ""


def test_a_program_has_the_lease_and_nothing_of_ours(started, ask, monkeypatch):
    for name, value in (("PGPASSWORD", "x"), ("HOLDFAST_TOKEN", "x"), ("PGTZ", "UTC")):
        monkeypatch.setenv(name, value)
    process, seen = started(ask(approved=True), SPY)
    assert (seen["file"], seen["folder"]) == (0o600, 0o700)
    assert seen["names"] == [
        "PGDATABASE", "PGHOST", "PGPASSFILE", "PGPORT", "PGSSLMODE", "PGTZ", "PGUSER",
    ]  # fmt: skip
    assert seen["user"].startswith("hf_")
    assert process.wait() == 0
    assert not Path(seen["path"]).parent.exists()


def test_the_password_is_in_its_file_and_nowhere_else(leased, started, ask):
    asked = ask(approved=True)
    process, seen = started(asked)
    line = Path(seen["path"]).read_text()
    [password] = passwords(line)
    secret = password.encode()
    assert secret not in processes()
    for pid in (process.pid, seen["pid"]):
        assert secret not in Path(f"/proc/{pid}/environ").read_bytes()
    assert secret not in store(leased)
    process.terminate()
    out, err = process.communicate(timeout=60)
    assert password not in out + err
    for verb in (("show", asked), ("ls",), ("show", asked, "--json"), ("evidence", "ls", "--json")):
        answer = leased("--as", "ana", *verb)
        assert password not in answer.out + answer.err
    assert secret not in store(leased)


@pytest.mark.parametrize("name", ["SIGTERM", "SIGHUP", "SIGINT"])
def test_signals_reach_the_program_and_the_folder_is_removed(started, ask, name):
    process, seen = started(ask(approved=True))
    process.send_signal(getattr(signal, name))
    process.communicate(timeout=60)
    assert process.returncode == 128 + getattr(signal, name)
    assert not Path(seen["path"]).parent.exists()
    with pytest.raises(ProcessLookupError):
        os.kill(seen["pid"], 0)


def test_being_killed_leaves_a_closed_folder_whose_password_dies_with_the_lease(
    leased, started, ask, database
):
    asked = ask(approved=True)
    process, seen = started(asked)
    process.kill()
    process.wait()
    folder = Path(seen["path"]).parent
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert [one.name for one in folder.iterdir()] == ["pgpass"]
    assert stat.S_IMODE((folder / "pgpass").stat().st_mode) == 0o600
    os.kill(seen["pid"], signal.SIGKILL)
    dsn = database.as_role(seen["user"], passwords((folder / "pgpass").read_text())[0])
    with psycopg.connect(dsn) as connection:
        assert connection.execute("SELECT id FROM public.orders").fetchone() == (1,)
    leased("--as", "ana", "revoke", asked)
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(dsn)


def test_a_lease_that_is_ended_meanwhile_ends_the_program(leased, ask, monkeypatch):
    asked = ask(approved=True)
    monkeypatch.setattr(shared, "look_seconds", 0.05)
    revoke = f"{PYTHON} -m chalicelib.cli --as ben revoke {asked}"
    monkeypatch.setenv("PYTHONPATH", ROOT)
    # The program's own environment has no DSN of the broker's: it is given one here.
    broker = os.environ["BROKER_DSN"]
    words = ("sh", "-c", f"BROKER_DSN={shlex.quote(broker)} {revoke}; exec sleep 600")
    answer = leased("--as", "ana", "run", asked, "--", *words, expect=6)
    assert "was told to end (SIGTERM)" in answer.err


def test_revoking_on_exit_ends_the_lease_whatever_the_program_said(leased, ask):
    asked = ask(approved=True)
    words = ("run", asked, "--revoke", "--", "sh", "-c", "exit 7")
    assert "proven gone" in leased("--as", "ana", *words, expect=7).err
    assert leased("--as", "ana", "show", asked, "--json").json["phase"] == "ended"


def test_without_revoking_it_goes_on_and_says_how_to_end_it(leased, ask):
    asked = ask(approved=True)
    answer = leased("--as", "ana", "run", asked, "--", "true")
    assert f"holdfast revoke {asked}" in answer.err


@pytest.mark.parametrize("form", ["env", "pgpass", "url", "json"])
def test_each_form_of_the_credential_opens_the_database(leased, ask, psql, form, tmp_path):
    answer = leased("--as", "ana", "creds", ask(approved=True), "--format", form)
    query = ("-XAtc", "SELECT total FROM public.orders")
    clean = {name: value for name, value in os.environ.items() if not name.startswith("PG")}
    command, more = [psql, *query], {}
    if form == "env":
        pairs = [shlex.split(one)[1].split("=", 1) for one in answer.out.splitlines()]
        more = dict(pairs)
    elif form == "url":
        command = [psql, answer.out.strip(), *query]
    else:
        if form == "json":
            fields = answer.json["fields"]
        else:
            fields = dict(zip(FIELDS, answer.out.strip().split(":"), strict=True))
        file = tmp_path / "pgpass"
        file.touch(0o600)
        file.write_text(":".join(fields[one] for one in FIELDS))
        more = {"PGPASSFILE": str(file), "PGHOST": fields["host"], "PGPORT": fields["port"]}
        more |= {"PGDATABASE": fields["dbname"], "PGUSER": fields["user"]}
    done = subprocess.run(
        command, env={**clean, **more}, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (0, "9.50\n"), done.stderr
    assert passwords(answer.out)
    assert not set(passwords(answer.out)) & set(passwords(answer.err))


def test_each_claim_is_another_secret_and_those_before_open_nothing(leased, ask, database):
    asked = ask(approved=True)
    first = leased("--as", "ana", "creds", asked, "--json").json["fields"]
    second = leased("--as", "ana", "creds", asked, "--json").json["fields"]
    assert first["user"] == second["user"]
    with psycopg.connect(database.as_role(second["user"], second["password"])):
        pass
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(database.as_role(first["user"], first["password"]))


def test_a_renewal_is_agreed_to_as_a_new_lease(leased, ask):
    asked = ask(approved=True)
    leased("--as", "ana", "creds", asked)
    before = leased("--as", "ana", "show", asked, "--json").json
    answer = leased("--as", "ana", "renew", asked, "--for", "30m")
    assert "renewal of 30m needs 1 person to agree" in answer.err
    assert leased("--as", "ana", "wait", asked, "--timeout", "1s", expect=4)
    leased("--as", "ben", "approve", asked)
    after = leased("--as", "ana", "show", asked, "--json").json
    assert after["lease"]["until"] > before["lease"]["until"]
    assert after["renewal"] is None


def test_a_request_that_was_not_claimed_is_withdrawn_by_revoking(leased, ask):
    asked = ask(approved=True)
    assert "withdrawn" in leased("--as", "ana", "revoke", asked).err


def test_what_could_not_be_ended_is_said_loudly(leased, ask, database, monkeypatch):
    asked = ask(approved=True)
    leased("--as", "ana", "creds", asked)
    monkeypatch.setenv("BROKER_DSN", database.as_role("holdfast_broker", "another"))
    answer = leased("--as", "ana", "revoke", asked, expect=3)
    assert "COULD NOT BE ENDED" in answer.err
    shown = leased("--as", "ben", "ls")
    assert "NOT ENDED" in shown.out
    assert "COULD NOT BE ENDED" in shown.err
    assert leased("--as", "ben", "ls", "--json").json[0]["lease"]["trouble"]["attempts"] == 1


def test_the_address_and_the_key_of_a_webhook_are_not_the_program_s(leased, ask, monkeypatch):
    settings = leased.home / "holdfast.toml"
    notify = '\n[[notify.webhooks]]\nurl_env = "HOOK_URL"\nsecret_env = "HOOK_KEY"\n'
    settings.write_text(settings.read_text() + notify)
    for name in ("HOOK_URL", "HOOK_KEY", "HOOK_OTHER"):
        monkeypatch.setenv(name, "https://hooks.example/secret")
    done = outside(leased, "run", ask(approved=True), "--", "sh", "-c", "env | grep ^HOOK_")
    assert done.stdout == "HOOK_OTHER=https://hooks.example/secret\n", done.stderr


def test_all_statements_of_a_broken_glass_are_logged_where_the_server_lets_us(
    leased, database, psql, tmp_path
):
    reason = ("--reason", "the shop is down")
    which = leased("--as", "ana", "break-glass", "orders", *reason).out.strip()
    shown = tmp_path / "shown"
    query = ("-XAt", "-o", shown, "-c", "SHOW log_statement")
    leased("--as", "ana", "run", which, "--", psql, *query)
    supported = int(database.value("SHOW server_version_num")) >= 150_000
    assert shown.read_text().strip() == ("all" if supported else "none")
