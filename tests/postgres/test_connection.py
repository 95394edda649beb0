import contextlib
import socket
import threading

import psycopg
import pytest
from psycopg import errors
from psycopg.conninfo import make_conninfo

from chalicelib.kernel.errors import (
    AuthenticationFailed,
    ConnectionLost,
    NotPermitted,
    Unreachable,
    Unsupported,
    UsageError,
)
from chalicelib.postgres import connection
from chalicelib.postgres.connection import connect, describe, translated

SECRET = "s3cr3t-p4ssw0rd"
WHERE = {"host": "h", "port": "5432", "dbname": "d", "user": "u"}


def closed_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def whole(error):
    """Everything that an error could print, its causes included."""
    parts = []
    while error is not None:
        parts += [str(error), repr(error), getattr(error, "next_step", "")]
        error = error.__cause__ or error.__context__
    return "\n".join(parts)


def test_a_description_holds_no_secret():
    told = describe(f"postgresql://ana:{SECRET}@db.example:6543/orders")
    assert told == {"host": "db.example", "port": "6543", "dbname": "orders", "user": "ana"}


def test_several_hosts_are_described_with_commas():
    told = describe("host=a,b port=1,2 user=u dbname=d")
    assert (told["host"], told["port"]) == ("a,b", "1,2")


def test_what_a_dsn_leaves_out_comes_from_the_environment(monkeypatch):
    monkeypatch.setenv("PGPORT", "7777")
    monkeypatch.setenv("PGHOST", "from.environment")
    monkeypatch.setenv("PGUSER", "eve")
    monkeypatch.delenv("PGDATABASE", raising=False)
    assert describe("") == {
        "host": "from.environment",
        "port": "7777",
        "dbname": "eve",
        "user": "eve",
    }


@pytest.mark.parametrize(
    "dsn",
    [
        f"postgresql://ana:{SECRET}%zz@h/d",
        f"host=h password='{SECRET}",
        f"pasword={SECRET}",
        f"postgresql://ana:{SECRET}@h:port/d?x={SECRET}",
        f"postgresql://ana:12/{SECRET}@h/d",
        f"postgresql://ana:x@{SECRET}@h/d",
        f"host=h port={SECRET}",
        f"host=h password={SECRET}\udcff nonsense",
    ],
)
def test_a_dsn_that_cannot_be_read_is_not_repeated(dsn):
    for attempt in (describe, connect):
        with pytest.raises(UsageError) as caught:
            attempt(dsn)
        assert SECRET not in whole(caught.value)
        assert caught.value.next_step


def test_a_session_is_named_and_speaks_utf8(database):
    with contextlib.closing(connect(database.dsn)) as session:
        query = "SELECT current_setting('application_name'), current_setting('client_encoding')"
        assert session.execute(query).fetchone() == ("holdfast", "UTF8")


def test_a_wrong_password_is_an_authentication_failure(database):
    database.run(f"CREATE ROLE ana LOGIN PASSWORD '{SECRET}'")
    with pytest.raises(AuthenticationFailed, match="password was refused") as caught:
        connect(database.as_role("ana", "wrong-" + SECRET))
    assert SECRET not in whole(caught.value)
    assert "127.0.0.1" in str(caught.value)
    assert "'ana'" in str(caught.value)


def test_a_missing_password_is_an_authentication_failure(database, monkeypatch):
    monkeypatch.setenv("PGPASSFILE", "/nonexistent")
    monkeypatch.delenv("PGPASSWORD", raising=False)
    with pytest.raises(AuthenticationFailed, match="none was given"):
        connect(database.dsn.replace(f"password={database.server.password}", ""))


def test_a_role_that_may_not_log_in_is_an_authentication_failure(database):
    database.run(f"CREATE ROLE ana PASSWORD '{SECRET}'")
    with pytest.raises(AuthenticationFailed, match="may not log in"):
        connect(database.as_role("ana", SECRET))


def test_a_role_without_connect_is_not_permitted(database):
    database.run(
        f"CREATE ROLE ana LOGIN PASSWORD '{SECRET}'", "REVOKE CONNECT ON DATABASE test FROM PUBLIC"
    )
    with pytest.raises(NotPermitted, match="CONNECT"):
        connect(database.as_role("ana", SECRET))


def _connect_until_refused(dsn):
    for _ in range(1000):  # the server reloads its files when it gets to it
        connect(dsn).close()


def test_a_refusal_by_pg_hba_is_an_authentication_failure(database):
    hba = database.server.data / "pg_hba.conf"
    kept = hba.read_text()
    database.run("CREATE ROLE outsider LOGIN PASSWORD 'x'")
    hba.write_text("host all outsider all reject\n" + kept)
    try:
        database.run("SELECT pg_reload_conf()")
        with pytest.raises(AuthenticationFailed, match=r"pg_hba\.conf"):
            _connect_until_refused(database.as_role("outsider", "x"))
    finally:
        hba.write_text(kept)
        database.run("SELECT pg_reload_conf()")


def test_a_database_that_does_not_exist_is_unreachable(database):
    with pytest.raises(Unreachable, match="no such database"):
        connect(database.server.dsn("nowhere"))


def test_a_closed_port_is_unreachable():
    with pytest.raises(Unreachable, match="nothing listens there") as caught:
        connect(f"host=127.0.0.1 port={closed_port()} user=u dbname=d password={SECRET}")
    assert SECRET not in whole(caught.value)


def test_an_unknown_host_is_unreachable():
    with pytest.raises(Unreachable, match=r"cannot connect to host nowhere\.invalid"):
        connect("host=nowhere.invalid user=u dbname=d", timeout_seconds=2)


def test_a_missing_socket_is_unreachable(tmp_path):
    with pytest.raises(Unreachable, match="no such socket"):
        connect(f"host={tmp_path} user=u dbname=d")


def test_a_silent_server_is_unreachable_within_the_bound():
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        port = silent.getsockname()[1]
        with pytest.raises(Unreachable, match="no answer in time"):
            connect(
                f"host=127.0.0.1 port={port} user=u dbname=d connect_timeout=2", timeout_seconds=60
            )


def test_a_server_that_speaks_something_else_is_unreachable():
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()

        def answer():
            peer, _ = other.accept()
            with peer:
                peer.recv(1024)
                peer.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

        thread = threading.Thread(target=answer)
        thread.start()
        with pytest.raises(Unreachable, match="cannot connect"):
            connect(f"host=127.0.0.1 port={other.getsockname()[1]} user=u dbname=d sslmode=disable")
        thread.join()


def test_that_a_server_has_no_tls_is_said(database):
    with pytest.raises(Unreachable, match="wants TLS, and the server has none"):
        connect(f"{database.server.dsn('test')} sslmode=require")


def test_the_first_host_that_answers_is_taken(database):
    dsn = f"host=127.0.0.1,127.0.0.1 port={closed_port()},{database.server.port} user=postgres"
    with contextlib.closing(
        connect(f"{dsn} dbname=test password={database.server.password}")
    ) as session:
        assert session.info.port == database.server.port


@pytest.mark.parametrize(
    ("text", "kind", "reason"),
    [
        ('FATAL:  role "eve" does not exist', AuthenticationFailed, "no such role"),
        (
            'root certificate file "/root/.postgresql/root.crt" does not exist',
            Unreachable,
            "trusted root certificates is not there",
        ),
        ("SSL error: certificate verify failed", Unreachable, "none of the trusted roots"),
        (
            'server certificate for "a.example" does not match host name "b.example"',
            Unreachable,
            "another host name",
        ),
        ('FATAL:  Peer authentication failed for user "eve"', AuthenticationFailed, "refused"),
        ("FATAL:  the database system is starting up", Unreachable, "starting or stopping"),
        ("FATAL:  sorry, too many clients already", Unreachable, "connections are taken"),
        ("[Errno -2] failed to resolve host 'h'", Unreachable, "name is unknown"),
        ("erreur que personne ne connait", Unreachable, "cannot connect"),
    ],
)
def test_refusals_are_told_apart(text, kind, reason):
    refusal = connection._refusal(psycopg.OperationalError(text), WHERE)
    assert isinstance(refusal, kind)
    assert reason in str(refusal)
    assert refusal.next_step


@pytest.mark.parametrize(
    ("error", "kind", "reason"),
    [
        (errors.InsufficientPrivilege(), NotPermitted, "permission denied"),
        (errors.QueryCanceled(), ConnectionLost, "longer than its bound"),
        (errors.LockNotAvailable(), ConnectionLost, "held a lock"),
        (errors.AdminShutdown(), ConnectionLost, "went away"),
        (errors.IdleInTransactionSessionTimeout(), ConnectionLost, "ended the session"),
        (psycopg.OperationalError("the connection is closed"), ConnectionLost, "went away"),
        (errors.DiskFull(), ConnectionLost, "went away"),
        (errors.UntranslatableCharacter(), Unsupported, "SQLSTATE 22P05"),
    ],
)
def test_errors_of_statements_are_told_apart(error, kind, reason):
    with pytest.raises(kind, match=reason) as caught, translated(WHERE, "reading table"):
        raise error
    assert "reading table" in str(caught.value)
    assert caught.value.next_step


def test_a_server_that_is_too_old_is_unsupported(database, monkeypatch):
    monkeypatch.setattr(connection, "OLDEST_MAJOR", 99)
    with pytest.raises(Unsupported, match="expected 99 or newer"):
        connect(database.dsn)


@pytest.mark.parametrize(
    "dsn",
    [
        "postgresql://ana:p@ss/hunter2@h/db",
        "user=ana dbname=postgresql://ana:hunter2@h/db",
        "host='h password=hunter2'",
        "user=ana:hunter2 host=h",
        "postgresql://ana%3Ahunter2@h/db",
        "host=ana;hunter2@h",
    ],
)
def test_a_password_in_the_wrong_place_is_not_shown(dsn):
    with pytest.raises(UsageError) as refused:
        describe(dsn)
    assert "hunter2" not in str(refused.value) + refused.value.next_step


@pytest.mark.parametrize("dsn", ["user=ana@server host=h.example", "host=/run/a=b", "host=::1"])
def test_names_that_only_look_odd_are_taken(dsn):
    assert describe(dsn)


class Stall:
    """A proxy that passes on so many bytes from the server, and then nothing, and never ends."""

    def __init__(self, port, after):
        self.after = after
        self.server = socket.create_server(("127.0.0.1", 0))
        self.port = self.server.getsockname()[1]
        self.target = port
        self.open = []
        threading.Thread(target=self.run, daemon=True).start()

    def run(self):
        client, _ = self.server.accept()
        upstream = socket.create_connection(("127.0.0.1", self.target))
        self.open += [client, upstream]
        threading.Thread(target=self.pump, args=(client, upstream, None), daemon=True).start()
        self.pump(upstream, client, self.after)

    def pump(self, source, sink, bound):
        passed = 0
        with contextlib.suppress(OSError):
            while data := source.recv(65_536):
                passed += len(data)
                if bound is not None and passed > bound:
                    return
                sink.sendall(data)

    def close(self):
        for one in (*self.open, self.server):
            one.close()


def test_a_server_that_stalls_is_left(database):
    proxy = Stall(database.server.port, after=20_000)
    try:
        dsn = make_conninfo(database.dsn, port=proxy.port)
        with pytest.raises(ConnectionLost, match=r"not read within 1 seconds"):
            database.read(dsn, scan_timeout_seconds=1)
    finally:
        proxy.close()
