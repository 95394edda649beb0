"""A real server with the broker installed, for tests of leases; emptied after each test.

Not the server of the other tests: prepared transactions are allowed here, every statement is
logged, and the log is read.
"""

import os
import re
import shutil
import tempfile
from contextlib import contextmanager
from pathlib import Path

import psycopg
from psycopg import sql

from chalicelib.access.grantor import Terms
from chalicelib.access.profile import SHIPPED, Profile, scope
from chalicelib.postgres.embedded import EmbeddedServer
from chalicelib.postgres.install import Wanted, install
from chalicelib.postgres.lease import PostgresGrantor

SETTINGS = {
    "autovacuum": "off",
    "max_connections": "60",
    "shared_buffers": "16MB",
    "max_prepared_transactions": "10",
    "wal_level": "logical",
    "log_statement": "all",
    "log_min_error_statement": "debug5",
}
UNTIL = "2099-01-01T00:00:00.000000Z"
PASSWORD = "the-broker's-own"
TARGET = "postgres:shop"
SETUP = """
CREATE ROLE app_owner;
CREATE ROLE makers;
ALTER DATABASE shop OWNER TO app_owner;
GRANT CREATE, USAGE ON SCHEMA public TO makers;
GRANT CREATE ON DATABASE shop TO makers;
SET ROLE app_owner;
CREATE SCHEMA app;
CREATE SCHEMA app_masked;
CREATE TABLE app.orders (id serial PRIMARY KEY, customer text, email text);
CREATE TABLE app.customers (id integer PRIMARY KEY, email text);
CREATE TABLE app.secrets (id integer PRIMARY KEY, word text);
INSERT INTO app.orders (customer, email) VALUES ('ana', 'ana@example.com');
INSERT INTO app.secrets VALUES (1, 'hidden');
CREATE VIEW app_masked.orders WITH (security_barrier) AS
    SELECT id, customer, '***'::text AS email FROM app.orders;
"""
MAKE = Profile(
    privileges=("SELECT", "INSERT", "UPDATE", "DELETE"), read_only=False, roles=("makers",)
)
PROFILES = {
    **SHIPPED,
    "make": MAKE,
    "own": Profile(read_only=False, roles=("app_owner",), set_role="app_owner", tables="none"),
    "watched": Profile(privileges=("SELECT",), log_statement="all"),
}
WANTED = Wanted(schemas=("app",), profiles=PROFILES, owners=("app_owner",))


RESIDUE = {
    "roles": "SELECT count(*) FROM pg_authid WHERE rolname = %(role)s OR oid = %(oid)s",
    "sessions": "SELECT count(*) FROM pg_stat_activity"
    " WHERE usesysid = %(oid)s OR usename = %(role)s",
    "prepared": "SELECT count(*) FROM pg_prepared_xacts WHERE owner <> 'postgres'",
    "dependencies": "SELECT count(*) FROM pg_shdepend WHERE refobjid = %(oid)s",
    "settings": "SELECT count(*) FROM pg_db_role_setting WHERE setrole = %(oid)s",
    "members": "SELECT count(*) FROM pg_auth_members WHERE %(oid)s IN (roleid, member, grantor)",
    "comments": "SELECT count(*) FROM pg_shdescription WHERE objoid = %(oid)s",
    "scopes": r"SELECT count(*) FROM pg_roles WHERE rolname LIKE 'holdfast\_s\_%%'",
    "graveyard": "SELECT count(*) FROM pg_auth_members m JOIN pg_roles r ON r.oid = m.roleid"
    " JOIN pg_roles b ON b.oid = m.member WHERE b.rolname = 'holdfast_graveyard'"
    " OR (r.rolname = 'holdfast_graveyard' AND b.rolname NOT IN ('holdfast_broker', 'master'))",
}


class Cluster:
    """One server; ``shop`` is its database with the broker."""

    def __init__(self, server):
        self.server = server
        with psycopg.connect(server.dsn()) as connection:
            self.major = connection.info.server_version // 10_000

    def dsn(self, dbname="shop", **options):
        return self.server.dsn(dbname, **options)

    def run(self, *statements, dbname="shop"):
        with psycopg.connect(self.dsn(dbname), autocommit=True) as connection:
            for statement in statements:
                connection.execute(statement)

    def value(self, query, *parameters, dbname="shop"):
        with psycopg.connect(self.dsn(dbname), autocommit=True) as connection:
            row = connection.execute(query, parameters or None).fetchone()
            return row[0] if row else None

    def rows(self, query, *parameters, dbname="shop"):
        with psycopg.connect(self.dsn(dbname), autocommit=True) as connection:
            return connection.execute(query, parameters or None).fetchall()

    def install(self, wanted=WANTED, dsn=None, **options):
        return install(dsn or self.dsn(), wanted, password=PASSWORD, **options)

    @property
    def broker_dsn(self):
        return self.dsn(user="holdfast_broker", password=PASSWORD)

    def grantor(self, **options):
        return PostgresGrantor(TARGET, self.broker_dsn, **options)

    def terms(self, name="write", *tables, lease="L1", **more):
        more.setdefault("role", f"hf_{lease.lower()}")
        return Terms(
            lease=lease,
            target=TARGET,
            holder="person:ana",
            profile_name=name,
            profile=more.pop("profile", None) or PROFILES[name],
            tables=scope(tables),
            until=more.pop("until", UNTIL),
            **more,
        )

    def lease(self, name="write", *tables, **more):
        """Terms and credential of a lease that was issued."""
        terms = self.terms(name, *tables, **more)
        grantor = self.grantor()
        return terms, grantor.issue(grantor.plan(terms), terms)

    def connect(self, credential, *, dbname="", **options):
        fields = {**credential.fields, **({"dbname": dbname} if dbname else {})}
        return psycopg.connect(**fields, autocommit=True, **options)

    def end(self, terms, step=lambda name: None):
        return self.grantor().end(terms, step)

    def residue(self, terms, oid):
        """Everything of a role that a superuser finds, by its name and number; empty if none."""
        with psycopg.connect(self.dsn(), autocommit=True) as admin:
            found = {
                name: admin.execute(query, {"role": terms.role, "oid": oid}).fetchone()[0]
                for name, query in RESIDUE.items()
            }
        return {name: number for name, number in found.items() if number}

    def oid(self, role):
        return self.value("SELECT oid FROM pg_authid WHERE rolname = %s", role)

    @property
    def log(self):
        return (self.server.folder / "server.log").read_text("utf-8", "replace")

    def empty(self):
        """Drop every database and role that is not the server's own."""
        with psycopg.connect(self.dsn("postgres"), autocommit=True) as admin:
            for gid, database in admin.execute(
                "SELECT gid, database FROM pg_prepared_xacts"
            ).fetchall():
                self.run(sql.SQL("ROLLBACK PREPARED {}").format(gid), dbname=database)
            for (name,) in admin.execute(
                "SELECT datname FROM pg_database WHERE oid >= 16384"
            ).fetchall():
                admin.execute(
                    sql.SQL("ALTER DATABASE {} IS_TEMPLATE false").format(sql.Identifier(name))
                )
                admin.execute(sql.SQL("DROP DATABASE {} (FORCE)").format(sql.Identifier(name)))
            roles = [
                name
                for (name,) in admin.execute(
                    "SELECT rolname FROM pg_roles WHERE oid >= 16384"
                ).fetchall()
            ]
            for name in roles:
                admin.execute(sql.SQL("DROP OWNED BY {} CASCADE").format(sql.Identifier(name)))
            left = list(roles)
            while left:  # from 16 on, who granted a membership goes after it
                before, left = left, []
                for name in before:
                    try:
                        admin.execute(sql.SQL("DROP ROLE {}").format(sql.Identifier(name)))
                    except psycopg.errors.DependentObjectsStillExist:
                        left.append(name)
                assert len(left) < len(before), left


@contextmanager
def running():
    """A server that listens; the version is the one under test."""
    folder = Path(tempfile.mkdtemp(prefix="holdfast-leases-"))
    folder.chmod(0o755)
    binaries = os.environ.get("HOLDFAST_TEST_PG_BIN")
    try:
        with EmbeddedServer(
            folder, bin_dir=Path(binaries) if binaries else None, settings=SETTINGS, durable=False
        ) as server:
            yield Cluster(server)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def shop(cluster):
    """The database ``shop`` with tables, and no broker yet."""
    cluster.run("CREATE DATABASE shop", dbname="postgres")
    try:
        cluster.run(SETUP)
        yield cluster
    finally:
        cluster.empty()


def scopes(cluster):
    found = cluster.rows("SELECT rolname FROM pg_roles WHERE rolname LIKE 'holdfast\\_s\\_%'")
    return [name for (name,) in found]


def digest(text):
    return re.fullmatch(r"[0-9a-f]{64}", text) is not None
