"""A lease behind pgbouncer: the pooler's sessions are the lease's, and end with it."""

import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
from pathlib import Path

import psycopg
import pytest

PROGRAM = shutil.which("pgbouncer", path=os.environ.get("PATH", "") + ":/usr/sbin")
ROUNDS = 2_000

pytestmark = pytest.mark.skipif(
    PROGRAM is None, reason="pgbouncer is not installed (Debian: apt-get install pgbouncer)"
)


def _account():
    for name in ("postgres", "pgserver", "nobody"):
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    return pytest.skip("no ordinary user to run pgbouncer as")


@pytest.fixture(params=["session", "transaction"])
def pooler(cluster, request):
    """host:port of a pooler before ``shop``, which asks the server for verifiers."""
    folder = Path(tempfile.mkdtemp(prefix="holdfast-pooler-"))
    folder.chmod(0o755)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    (folder / "users.txt").write_text(f'"postgres" "{cluster.server.password}"\n')
    (folder / "pgbouncer.ini").write_text(
        f"""[databases]
shop = host=127.0.0.1 port={cluster.server.port} dbname=shop
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = scram-sha-256
auth_file = {folder}/users.txt
auth_user = postgres
auth_query = SELECT usename, passwd FROM pg_shadow WHERE usename = $1
pool_mode = {request.param}
query_wait_timeout = 2
server_login_retry = 1
"""
    )
    account = _account() if os.geteuid() == 0 else None
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [PROGRAM, str(folder / "pgbouncer.ini")],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            user=account.pw_uid if account else None,
            group=account.pw_gid if account else None,
        )
    try:
        for _ in range(ROUNDS):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            assert process.poll() is None, (folder / "log").read_text()
        yield f"127.0.0.1:{port}"
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(30)
        shutil.rmtree(folder, ignore_errors=True)


def test_lease_behind_a_pooler_ends_with_its_sessions(cluster, pooler):
    grantor = cluster.grantor(address=pooler)
    terms = cluster.terms("write", "app.orders")
    credential = grantor.issue(grantor.plan(terms), terms)
    session = cluster.connect(credential)
    session.execute("INSERT INTO orders (customer) VALUES ('pooled')")
    idle = cluster.connect(credential)
    oid = cluster.oid(terms.role)
    assert cluster.value("SELECT count(*) FROM pg_stat_activity WHERE usesysid = %s", oid) >= 1
    found = grantor.end(terms, lambda name: None)
    assert found["sessions_ended"] >= 1
    assert cluster.residue(terms, oid) == {}
    for one in (session, idle):
        with pytest.raises(psycopg.Error):
            one.execute("SELECT * FROM app.orders")
        one.close()
    with pytest.raises(psycopg.Error), cluster.connect(credential) as again:
        again.execute("SELECT 1")
    assert cluster.residue(terms, oid) == {}
