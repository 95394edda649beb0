import itertools
import os
import signal
import tempfile
import threading
from pathlib import Path

import psycopg
import pytest
from psycopg import errors

from chalicelib.drift import snapshot as objects
from chalicelib.kernel.clock import parse_timestamp
from chalicelib.kernel.errors import ConnectionLost, NotPermitted, Unsupported
from chalicelib.postgres import queries
from chalicelib.postgres.connection import TIME_LIMITS, translated
from chalicelib.postgres.embedded import EmbeddedServer
from chalicelib.postgres.look import Look
from chalicelib.postgres.mark import NAMED
from chalicelib.postgres.session import TORN
from chalicelib.postgres.snapshot import PostgresSource

SCANNER = "CREATE ROLE scanner LOGIN PASSWORD 'x'"
RICH = (
    "CREATE ROLE alice",
    "CREATE SCHEMA app AUTHORIZATION alice",
    "CREATE TYPE app.status AS ENUM ('b', 'a')",
    "CREATE TABLE app.orders (id integer PRIMARY KEY, total numeric, s app.status)",
    "ALTER TABLE app.orders ADD CHECK (total > 0)",
    "CREATE VIEW app.v AS SELECT id FROM app.orders",
    "CREATE FUNCTION app.f(a integer) RETURNS integer LANGUAGE sql SECURITY DEFINER AS 'SELECT 1'",
    "ALTER TABLE app.orders ENABLE ROW LEVEL SECURITY",
    "CREATE POLICY tenant ON app.orders TO alice USING (id > 1)",
    "REVOKE ALL ON SCHEMA app FROM PUBLIC",
    "GRANT SELECT ON app.orders TO alice",
)


LARGE = {1: 2**60, 2: 0}  # what counts as much to read, by the number of sessions that it brings


def kinds(snapshot):
    return {kind for kind, _ in snapshot.objects}


def coverage(snapshot):
    return {
        name: item.attributes
        for (kind, name), item in snapshot.objects.items()
        if kind == "coverage"
    }


def when(kind, number, act):
    """A progress callback that acts the ``number``-th time that ``kind`` is about to be read."""
    calls = itertools.count(1)

    def progress(at, done, total):
        if at == kind and next(calls) in number:
            act()

    return progress


def test_equal_states_give_equal_bytes(database):
    database.run(*RICH)
    assert database.scan().data == database.scan().data


def test_a_least_privileged_role_sees_what_a_superuser_sees(database):
    database.run(*RICH, SCANNER, "GRANT pg_read_all_settings TO scanner")
    seen = database.scan(database.as_role("scanner", "x"))
    gaps = coverage(seen)
    assert all(gap["optional"] is True for gap in gaps.values())
    every = database.scan().objects
    expected = {
        key: {
            name: value
            for name, value in item.attributes.items()
            if name not in gaps.get(key[0], {}).get("attributes", [])
        }
        for key, item in every.items()
        if key[0] not in gaps or gaps[key[0]]["partial"]
    }
    found = {key: item.attributes for key, item in seen.objects.items() if key[0] != "coverage"}
    assert found == expected


def test_an_empty_database_has_the_servers_schemas_and_public(database):
    seen = database.scan()
    schemas = [name for kind, name in seen.objects if kind == "schema"]
    assert schemas == ["information_schema", "pg_catalog", "public"]
    assert not {"table", "column", "function", "coverage"} & kinds(seen)


def test_the_reading_says_where_and_as_whom(database):
    reading = database.read()
    assert reading.system["host"] == "127.0.0.1"
    assert reading.system["port"] == database.server.port
    assert reading.system["database"] == "test"
    assert reading.system["user"] == "postgres"
    assert reading.system["in_recovery"] is False
    assert {"collation_version", "collation_version_now"} <= reading.system.keys()
    assert parse_timestamp(reading.read_at)
    assert database.server.password not in repr(reading)


def test_every_query_is_told_with_its_digest_and_rows(database, major):
    reading = database.read()
    asked = {query.name: query for query in reading.queries}
    always = {name for name in queries.kinds() if not queries.load(name, major).condition}
    assert {name for name in always if queries.load(name, major).since <= major} < set(asked)
    assert "policy" not in asked  # there is none, as the census says
    assert "census" in asked
    assert asked["role"].sha256 == queries.load("role", major).sha256
    assert asked["role"].rows == 1


@pytest.mark.parametrize("tables", [1, 300])
def test_the_number_of_statements_does_not_grow(database, tables):
    database.run(*(f"CREATE TABLE t{n} (a integer PRIMARY KEY)" for n in range(tables)))
    assert len(database.read().queries) + 4 <= 80  # two transactions begin and end


def test_progress_goes_from_nothing_to_all(database):
    seen = []
    database.source().read(lambda kind, done, total: seen.append((done, total)))
    total = seen[0][1]
    assert [done for done, _ in seen] == list(range(total + 1))


def test_no_object_carries_an_oid(database):
    database.run(*RICH)
    oid = database.value("SELECT 'app.orders'::regclass::oid::text")
    text = "\n".join(repr(item) for item in database.read().objects if item.kind != "setting")
    assert oid not in text


def test_objects_of_temporary_and_system_schemas_are_left_out(database):
    with psycopg.connect(database.dsn) as other:
        other.execute("CREATE TEMP TABLE mine (a serial PRIMARY KEY, b text)")
        other.commit()
        assert not {"table", "column", "index", "constraint", "sequence"} & kinds(database.scan())


def test_functions_of_temporary_types_go_with_them_and_are_left_out(database):
    with psycopg.connect(database.dsn) as other:
        other.execute("CREATE TEMP TABLE mine (a integer)")
        other.execute(
            "CREATE FUNCTION public.f(mine, mine[]) RETURNS integer LANGUAGE sql AS 'SELECT 1'"
        )
        other.commit()
        found = database.scan()
    assert "function" not in kinds(found)
    assert not [name for _, name in found.objects if name.startswith("function public.f")]


def test_an_object_that_someone_put_into_pg_catalog_is_shown(database):
    database.run(
        "CREATE FUNCTION pg_catalog.lower(integer) RETURNS text LANGUAGE sql AS 'SELECT 1'".replace(
            "SELECT 1", "SELECT ''1''::text"
        )
    )
    assert ("function", "pg_catalog.lower(integer)") in database.scan().objects


def test_members_of_extensions_are_left_out(database):
    database.run(
        "CREATE FUNCTION f() RETURNS integer LANGUAGE sql AS 'SELECT 1'",
        "CREATE TABLE t (a integer PRIMARY KEY)",
        "ALTER EXTENSION plpgsql ADD FUNCTION f()",
        "ALTER EXTENSION plpgsql ADD TABLE t",
    )
    try:
        assert not {"table", "column", "index", "constraint", "function"} & kinds(database.scan())
    finally:
        database.run("ALTER EXTENSION plpgsql DROP TABLE t")


def test_a_catalogue_that_may_not_be_read_costs_only_its_kinds(database, major):
    database.run(
        *RICH,
        SCANNER,
        "REVOKE SELECT ON pg_policy FROM PUBLIC",
        "REVOKE SELECT ON pg_proc FROM PUBLIC",
        "GRANT pg_read_all_settings TO scanner",
    )
    seen = database.scan(database.as_role("scanner", "x"))
    lacking = {kind for kind, gap in coverage(seen).items() if "optional" not in gap}
    every = [queries.load(name, major) for name in queries.kinds()]
    closed = {"pg_policy", "pg_proc"}
    assert lacking == {one.kind for one in every if closed & set(NAMED.findall(one.sql))}
    assert coverage(seen)["policy"]["partial"] is False
    assert "pg_policy" in coverage(seen)["policy"]["needs"]
    assert ("table", "app.orders") in seen.objects
    assert ("view", "app.v") in seen.objects


def test_nobody_can_sign_for_not_seeing_a_whole_kind_of_which_attributes_are_closed(database):
    database.run(
        SCANNER,
        "REVOKE SELECT ON pg_shdescription, pg_foreign_server FROM PUBLIC",
        "GRANT pg_read_all_settings TO scanner",
    )
    gaps = coverage(database.scan(database.as_role("scanner", "x")))
    assert {gaps[kind]["reason"] for kind in ("role", "user_mapping")} == {
        "permission denied for a catalogue"
    }
    assert not {"role", "user_mapping"} & {kind for kind, gap in gaps.items() if "optional" in gap}


def test_functions_that_may_not_be_executed_cost_only_their_kinds(database):
    database.run(
        *RICH,
        SCANNER,
        "REVOKE EXECUTE ON FUNCTION pg_get_viewdef(oid) FROM PUBLIC",
        "REVOKE EXECUTE ON FUNCTION pg_xact_commit_timestamp(xid) FROM PUBLIC",
        "GRANT pg_read_all_settings TO scanner",
    )
    reading = database.read(database.as_role("scanner", "x"))
    gaps = coverage(objects.build(reading.objects))
    lacking = {kind for kind, gap in gaps.items() if "optional" not in gap}
    assert lacking == {"view", "extension_member"}
    assert reading.committed == {}


def test_a_role_without_privileges_says_which_settings_it_misses(database):
    database.run(SCANNER)
    seen = database.scan(database.as_role("scanner", "x"))
    gap = coverage(seen)["setting"]
    assert gap["partial"] is True
    assert "pg_read_all_settings" in gap["needs"]
    assert ("setting", "work_mem") in seen.objects
    assert ("setting", "config_file") not in seen.objects


def test_settings_that_may_not_be_read_at_all_are_a_gap(database):
    database.run(SCANNER, "REVOKE SELECT ON pg_settings FROM PUBLIC")
    gap = coverage(database.scan(database.as_role("scanner", "x")))["setting"]
    assert gap["partial"] is False


def test_without_the_session_functions_nothing_is_read(database):
    database.run(SCANNER, "REVOKE EXECUTE ON FUNCTION set_config(text, text, boolean) FROM PUBLIC")
    with pytest.raises(NotPermitted, match="pins"):
        database.scan(database.as_role("scanner", "x"))


def test_without_the_oldest_catalogues_the_rest_is_read_unguarded(database):
    database.run(
        SCANNER, "REVOKE SELECT ON pg_class FROM PUBLIC", "GRANT pg_read_all_settings TO scanner"
    )
    seen = database.scan(database.as_role("scanner", "x"))
    assert {"table", "column", "view", "grant"} <= set(coverage(seen))
    assert ("role", "postgres") in seen.objects


@pytest.mark.parametrize("sessions", [1, 2])
@pytest.mark.parametrize(
    ("kind", "statement"),
    [
        ("view", "ALTER TABLE app.orders RENAME COLUMN total TO sum"),
        ("view", "DROP VIEW app.v"),
        ("function", "DROP FUNCTION app.f"),
        ("index", "DROP TABLE app.orders CASCADE"),
        ("type", "ALTER SCHEMA app RENAME TO app2"),
        ("type", "ALTER TYPE app.status RENAME TO state"),
        ("column", "ALTER TABLE app.orders ADD more integer"),
    ],
)
def test_a_schema_that_changes_while_it_is_read_is_read_again(database, kind, statement, sessions):
    database.run(*RICH)

    def migrate():
        thread = threading.Thread(target=database.run, args=(statement,))
        thread.start()
        thread.join()

    reading = database.source(large_bytes=LARGE[sessions]).read(when(kind, {1}, migrate))
    assert objects.build(reading.objects).data == database.scan().data


@pytest.mark.parametrize(
    "statement",
    [
        "ALTER ROLE scanner CONNECTION LIMIT 1",
        "REVOKE EXECUTE ON FUNCTION pg_export_snapshot() FROM PUBLIC",
    ],
)
def test_where_there_is_no_second_session_one_reads_everything(database, statement):
    database.run(*RICH, "CREATE ROLE scanner LOGIN PASSWORD 'x'", statement)
    dsn = database.as_role("scanner", "x")
    seen = database.scan(dsn, large_bytes=LARGE[2])
    assert seen.data == database.scan(dsn).data
    assert ("index", "app.orders_pkey") in seen.objects


def test_a_schema_that_never_rests_is_given_up(database):
    database.run(*RICH)
    names = itertools.count()

    def migrate():
        database.run(f"CREATE TABLE app.t{next(names)} ()")

    with pytest.raises(ConnectionLost, match="3 times in a row") as caught:
        database.source().read(when("view", {1, 2, 3}, migrate))
    assert caught.value.next_step
    assert next(names) == 3


def test_temporary_tables_of_others_are_no_change(database):
    with psycopg.connect(database.dsn, autocommit=True) as other:
        progress = when("view", {1}, lambda: other.execute("CREATE TEMP TABLE x (a serial)"))
        names = [query.name for query in database.source().read(progress).queries]
    assert names.count("pins") == 1


def test_definitions_that_stay_missing_are_an_error(database):
    database.run(*RICH)
    # A view without its rule is what a damaged catalogue looks like.
    database.run("DELETE FROM pg_rewrite WHERE ev_class = 'app.v'::regclass")
    with pytest.raises((ConnectionLost, Unsupported), match="view"):
        database.scan()


def test_a_damaged_catalogue_is_an_error_with_its_sqlstate(database):
    database.run(*RICH)
    database.run("UPDATE pg_index SET indkey = '99' WHERE indrelid = 'app.orders'::regclass")
    with pytest.raises(Unsupported, match="SQLSTATE XX000"):
        database.scan()


def test_a_lock_that_is_held_ends_the_scan_within_its_bound(database):
    database.run("CREATE TABLE t (a integer)", "CREATE VIEW v AS SELECT a FROM t")
    with psycopg.connect(database.dsn) as other:
        other.execute("LOCK TABLE t")
        with pytest.raises(ConnectionLost, match="held a lock"):
            database.scan(lock_timeout_seconds=0.05)


def test_a_statement_that_takes_too_long_ends_the_scan(database):
    database.run("CREATE TABLE t (a integer)", "CREATE VIEW v AS SELECT a FROM t")
    with psycopg.connect(database.dsn) as other:
        other.execute("LOCK TABLE t")
        with pytest.raises(ConnectionLost, match="longer than its bound"):
            database.scan(lock_timeout_seconds=0, statement_timeout_seconds=0.2)


@pytest.mark.parametrize("how", ["terminate", "immediate", "kill"])
def test_a_server_that_dies_while_it_is_read_is_a_lost_connection(how):
    with tempfile.TemporaryDirectory(prefix="holdfast-tests-") as folder:
        Path(folder).chmod(0o755)
        binaries = os.environ.get("HOLDFAST_TEST_PG_BIN")
        server = EmbeddedServer(
            Path(folder), bin_dir=Path(binaries) if binaries else None, durable=False
        )
        with server:

            def strike():
                if how == "terminate":
                    with psycopg.connect(server.dsn(), autocommit=True) as admin:
                        admin.execute(
                            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                            " WHERE application_name = 'holdfast'"
                        )
                elif how == "immediate":
                    server.stop(immediate=True)
                else:  # as when the machine goes: no process says goodbye
                    with psycopg.connect(server.dsn()) as admin:
                        pids = admin.execute(
                            "SELECT pid FROM pg_stat_activity WHERE application_name = 'holdfast'"
                        ).fetchall()
                    os.kill(server.pid, signal.SIGKILL)
                    for (pid,) in pids:
                        os.kill(pid, signal.SIGKILL)

            source = PostgresSource(server.dsn(), conceal=str.upper)
            with pytest.raises(ConnectionLost) as caught:
                source.read(when("view", {1}, strike))
            assert server.password not in str(caught.value)
            server.restart()  # what was killed recovers, and gives its shared memory back
            assert source.read(lambda kind, done, total: None).objects


def test_commit_times_tell_when_each_object_last_changed(database):
    database.run(*RICH)
    first = database.read().committed
    database.run("GRANT INSERT ON app.orders TO alice", "ALTER TABLE app.orders ADD c integer")
    second = database.read()
    grant = ("grant", "table app.orders to alice")
    assert second.committed[grant] > first[grant]
    assert second.committed[("column", "app.orders.id")] == first[("column", "app.orders.id")]
    assert second.committed[("column", "app.orders.c")] > first[("column", "app.orders.id")]
    assert parse_timestamp(second.committed[grant])


def test_commit_times_tell_when_columns_were_dropped(database):
    database.run(
        "CREATE TABLE t (a integer, b integer, c integer)",
        "CREATE TABLE u (a integer)",
        "ALTER TABLE t DROP a",
        "ALTER TABLE t DROP b",
    )
    reading = database.read()
    assert list(reading.dropped) == [("table", "public.t")]
    times = reading.dropped[("table", "public.t")]
    assert times == sorted(times)
    assert len(times) == 2
    assert times[0] > reading.committed[("column", "public.t.c")]


def test_commit_times_that_the_server_cannot_give_yet_are_none(database):
    database.run(
        "CREATE FUNCTION public.none() RETURNS timestamptz LANGUAGE plpgsql AS 'BEGIN RAISE"
        " EXCEPTION USING ERRCODE = ''55000''; END'"
    )
    with psycopg.connect(database.dsn) as connection:
        look = Look(lambda: connection, {}, None, {}, frozenset())

        def rows(name, values):
            with translated(database.source().where, name):
                return connection.execute("SELECT public.none()").fetchall()

        look._rows = rows
        assert look._commit_times() == {}


def test_errors_that_mean_a_torn_read_are_the_expected_classes():
    assert issubclass(errors.UndefinedTable, TORN)
    assert issubclass(errors.InternalError_, TORN)


def test_a_kind_of_which_one_part_may_be_read_is_a_partial_gap(database):
    database.run(
        SCANNER,
        "REVOKE SELECT ON pg_init_privs FROM PUBLIC",
        "GRANT pg_read_all_settings TO scanner",
    )
    seen = database.scan(database.as_role("scanner", "x"))
    assert coverage(seen)["grant"]["partial"] is True
    assert ("grant", "database test to PUBLIC") in seen.objects


@pytest.mark.parametrize(
    "name", ["statement_timeout", "idle_in_transaction_session_timeout", "transaction_timeout"]
)
def test_time_limits_of_the_database_do_not_end_the_scan(name, database, major):
    if name == "transaction_timeout" and major < 17:
        pytest.skip("from PostgreSQL 17")
    before = database.scan().objects
    database.run(f"ALTER DATABASE test SET {name} = '1ms'")
    after = database.scan().objects
    changed = {key for key in before | after if before.get(key) != after.get(key)}
    assert ("role_setting", f"{name} for database test") in changed
    assert changed <= {
        ("role_setting", f"{name} for database test"),
        ("coverage", "setting"),
        *(("setting", limit) for limit in TIME_LIMITS),
    }


@pytest.mark.parametrize(("name", "state"), TIME_LIMITS.items())
def test_a_time_limit_that_ends_a_session_is_named(name, state, database):
    error = psycopg.OperationalError("gone")
    error.sqlstate = state
    with (
        pytest.raises(ConnectionLost, match=name),
        translated(database.source().where, "reading"),
    ):
        raise error


def test_temporary_objects_of_others_are_no_change(database):
    with psycopg.connect(database.dsn, autocommit=True) as other:

        def work():
            for text in (
                "CREATE TEMP TABLE x (a serial)",
                "CREATE FUNCTION pg_temp.f() RETURNS integer LANGUAGE sql AS 'SELECT 1'",
                "CREATE TYPE pg_temp.e AS ENUM ('a')",
                "CREATE DOMAIN pg_temp.d AS integer CHECK (VALUE > 0)",
                "CREATE POLICY p ON pg_temp.x",
                "CREATE AGGREGATE pg_temp.g(integer) (sfunc = int4pl, stype = integer)",
            ):
                other.execute(text)

        names = [query.name for query in database.source().read(when("view", {1}, work)).queries]
    assert names.count("pins") == 1


def test_the_schema_of_an_extension_is_no_part_of_its_members(database):
    database.run(
        "CREATE SCHEMA one",
        "CREATE FUNCTION one.f() RETURNS integer LANGUAGE sql AS 'SELECT 1'",
        "UPDATE pg_extension SET extnamespace = 'one'::regnamespace",
        "ALTER EXTENSION plpgsql ADD FUNCTION one.f()",
    )
    before = database.scan().objects["extension_member", "function one.f()"]
    database.run("ALTER SCHEMA one RENAME TO two")
    after = database.scan().objects["extension_member", "function two.f()"]
    assert after.attributes == before.attributes


def test_thousands_of_grantees_are_read(database):
    database.run(
        "CREATE ROLE alice",
        "DO $$BEGIN FOR n IN 1..1500 LOOP EXECUTE format('CREATE ROLE r%s', n); END LOOP; END$$",
        "DO $$BEGIN EXECUTE (SELECT 'GRANT SELECT ON pg_authid TO '"
        " || string_agg(rolname, ', ') FROM pg_roles WHERE rolname ~ '^r[0-9]'); END$$",
        "DO $$BEGIN EXECUTE (SELECT 'ALTER DEFAULT PRIVILEGES FOR ROLE alice GRANT SELECT ON"
        " TABLES TO ' || string_agg(rolname, ', ') FROM pg_roles WHERE rolname ~ '^r[0-9]');"
        " END$$",
    )
    seen = database.scan().objects
    assert ("grant", "table pg_catalog.pg_authid to r1500") in seen
    assert ("default_privilege", "tables of alice to r1500") in seen
    database.run(
        "ALTER DEFAULT PRIVILEGES FOR ROLE alice REVOKE ALL ON TABLES FROM PUBLIC",
        "DO $$BEGIN FOR n IN 1..1500 LOOP EXECUTE format('DROP OWNED BY r%s', n);"
        " EXECUTE format('DROP ROLE r%s', n); END LOOP; END$$",
    )


@pytest.mark.parametrize(
    ("change", "undo", "key"),
    [
        (
            "GRANT pg_execute_server_program TO pg_monitor",
            "REVOKE pg_execute_server_program FROM pg_monitor",
            ("membership", "pg_monitor in pg_execute_server_program"),
        ),
        (
            "GRANT pg_read_all_stats TO pg_monitor WITH ADMIN OPTION",
            "REVOKE ADMIN OPTION FOR pg_read_all_stats FROM pg_monitor",
            ("membership", "pg_monitor in pg_read_all_stats"),
        ),
        (
            "UPDATE pg_authid SET rolcanlogin = true WHERE rolname = 'pg_monitor'",
            "UPDATE pg_authid SET rolcanlogin = false WHERE rolname = 'pg_monitor'",
            ("role", "pg_monitor"),
        ),
    ],
)
def test_what_changes_about_predefined_roles_shows(change, undo, key, database):
    before = database.scan().objects
    database.run(change)
    try:
        assert database.scan().objects.keys() - before.keys() == {key}
    finally:
        database.run(undo)
    assert database.scan().objects == before
