"""A real PostgreSQL server for every test process, and an empty database for every test.

``HOLDFAST_TEST_PG_BIN`` names the folder of another version's ``initdb`` and ``postgres``.
"""

import os
import shutil
import tempfile
from pathlib import Path

import psycopg
import pytest
from hypothesis import settings as hypothesis_settings
from psycopg import sql
from psycopg.conninfo import make_conninfo

from chalicelib.drift import snapshot
from chalicelib.postgres.embedded import EmbeddedServer
from chalicelib.postgres.snapshot import PostgresSource

# Thousands of tests write what is synced, and a thousand make a database: in memory that costs
# little. TMPDIR chooses another place; so does a small /dev/shm, or one where no program runs.
MEMORY = Path("/dev/shm")  # noqa: S108 - only folders with random names are made there
ROOM_BYTES = 4 << 30


def _has_room(folder):
    if not folder.is_dir() or os.statvfs(folder).f_flag & os.ST_NOEXEC:
        return False
    return shutil.disk_usage(folder).free >= ROOM_BYTES


if "TMPDIR" not in os.environ and _has_room(MEMORY):
    os.environ["TMPDIR"] = str(MEMORY)  # of child processes too
    tempfile.tempdir = None  # it is read anew

# A busy machine is no failure; performance is measured in benchmarks.
hypothesis_settings.register_profile("unhurried", deadline=None)
hypothesis_settings.load_profile("unhurried")

SETTINGS = {
    "autovacuum": "off",
    "max_connections": "50",
    "shared_buffers": "16MB",
    "track_commit_timestamp": "on",
}


class Database:
    """One database of the test server; roles made by a test are dropped after it."""

    def __init__(self, server, name):
        self.server = server
        self.name = name

    @property
    def dsn(self):
        return self.server.dsn(self.name)

    def as_role(self, user, password, **more):
        return make_conninfo(self.server.dsn(self.name, user=user, password=password), **more)

    def run(self, *statements, dsn=None):
        """Each statement in a transaction of its own, so that ALTER SYSTEM and the like work."""
        with psycopg.connect(dsn or self.dsn, autocommit=True) as connection:
            for statement in statements:
                connection.execute(statement)

    def value(self, query):
        with psycopg.connect(self.dsn, autocommit=True) as connection:
            return connection.execute(query).fetchone()[0]

    def source(self, dsn=None, **options):
        options.setdefault("conceal", lambda secret: f"<{len(secret)}>")
        return PostgresSource(dsn or self.dsn, **options)

    def read(self, dsn=None, known=None, **options):
        return self.source(dsn, **options).read(lambda kind, done, total: None, known)

    def scan(self, dsn=None, **options):
        return snapshot.build(self.read(dsn, **options).objects)


@pytest.fixture(scope="session")
def strict_aws():
    """The AWS server of this test process; child processes find it in the environment."""
    from support.aws import served

    with served() as aws:
        yield aws


@pytest.fixture(scope="session")
def postgres_server():
    """The server of this test process; superuser ``postgres``, commit timestamps on."""
    folder = Path(tempfile.mkdtemp(prefix="holdfast-tests-"))
    folder.chmod(0o755)  # pytest's own folders are closed to the user that the server runs as
    binaries = os.environ.get("HOLDFAST_TEST_PG_BIN")
    server = EmbeddedServer(
        folder, bin_dir=Path(binaries) if binaries else None, settings=SETTINGS, durable=False
    )
    try:
        with server:
            yield server
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def database(postgres_server):
    """An empty database."""
    yield from _database(postgres_server, "test")


@pytest.fixture
def other_database(postgres_server):
    """A second empty database on the same server."""
    yield from _database(postgres_server, "other")


def _database(server, name):
    with psycopg.connect(server.dsn(), autocommit=True) as admin:
        admin.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        try:
            yield Database(server, name)
        finally:
            _clean(admin)


def _clean(admin):
    """Drop every database, role and tablespace that is not the server's own; what was granted."""
    admin.execute("UPDATE pg_database SET datistemplate = false WHERE oid >= 16384")
    admin.execute("DELETE FROM pg_subscription")  # or they hold their databases
    admin.execute("DELETE FROM pg_shdepend WHERE classid = 'pg_subscription'::regclass")
    _drop(admin, "DATABASE", "SELECT datname FROM pg_database WHERE oid >= 16384", " (FORCE)")
    _drop(admin, "TABLESPACE", "SELECT spcname FROM pg_tablespace WHERE oid >= 16384", "")
    roles = "SELECT rolname FROM pg_roles WHERE oid >= 16384"
    for (name,) in admin.execute(roles).fetchall():
        admin.execute(sql.SQL("DROP OWNED BY {} CASCADE").format(sql.Identifier(name)))
    _drop(admin, "ROLE", roles, "")
    admin.execute("UPDATE pg_tablespace SET spcacl = NULL WHERE spcacl IS NOT NULL")
    if admin.info.server_version >= 150_000:
        admin.execute("DELETE FROM pg_parameter_acl")
    admin.execute("ALTER ROLE ALL RESET ALL")


def _drop(admin, kind, query, how):
    for (name,) in admin.execute(query).fetchall():
        admin.execute(sql.SQL(f"DROP {kind} {{}}{how}").format(sql.Identifier(name)))
