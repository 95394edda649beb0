"""pg_settings of a real server, read and compared with what RDS could declare."""

from __future__ import annotations

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from chalicelib.drift import parameter
from chalicelib.drift.parameter import Declared, compare
from chalicelib.kernel.errors import ConnectionLost, Unreachable
from chalicelib.postgres import reported


def said(name, value, **rest):
    return Declared(name, value, source="user", **rest)


def reasons(rows, *declared):
    found = compare(declared, rows)
    return {each.parameter: each.reason for each in found.disagreements} | found.uncompared


def test_units_and_booleans_agree_as_rds_writes_them(database):
    rows = reported.read(database.dsn)
    assert rows["shared_buffers"].unit == "8kB"
    target = rows["checkpoint_completion_target"].value  # 0.5 before 14, 0.9 since
    declared = (
        said("shared_buffers", "2048"),
        said("max_connections", "50"),
        said("autovacuum", "0"),
        said("track_commit_timestamp", "1"),
        said("checkpoint_completion_target", f"{target}0"),
        said("log_file_mode", "0600"),
        said("unix_socket_permissions", "0777"),
        said("search_path", '"$user",public'),
    )
    assert reasons(rows, *declared) == {}
    assert compare(declared, rows).complete


def test_every_parameter_agrees_with_itself(database):
    rows = reported.read(database.dsn)
    assert len(rows) > 300
    declared = [said(name, row.value) for name, row in rows.items()]
    found = compare(declared, rows)
    assert found.disagreements == []
    assert set(found.uncompared.values()) <= {parameter.OF_SESSION}


def test_every_word_that_the_server_takes_for_a_choice_agrees_with_what_it_makes_of_it(database):
    """Each word for each enumeration and boolean that a session may set: set, shown, compared."""
    words = ("on", "off", "true", "no", "1", "0", "debug", "archive")
    tried = 0
    with psycopg.connect(database.dsn, autocommit=True) as session:
        choices = session.execute(
            "SELECT name, coalesce(enumvals, '{}'), vartype FROM pg_settings"
            " WHERE vartype IN ('enum', 'bool') AND context IN ('user', 'superuser')"
            " AND name !~ '^(transaction_|ignore_system_indexes|exit_on_error)'"
        ).fetchall()
        for name, own, kind in choices:
            for word in (*own, *words):
                try:
                    session.execute(f"SET {name} = '{word}'")
                except psycopg.Error:
                    continue
                shown = session.execute(f"SHOW {name}").fetchone()[0]
                row = parameter.Reported(shown, "", "configuration file", False, kind)
                assert reasons({name: row}, said(name, word)) == {}, (name, word, shown)
                session.execute(f"RESET {name}")
                tried += 1
    assert tried > 300


@pytest.mark.parametrize(
    ("statement", "reason"),
    [
        ("ALTER DATABASE test SET log_statement = 'none'", parameter.OVERRIDDEN),
        ("ALTER ROLE ALL SET log_statement = 'none'", parameter.OVERRIDDEN),
        ("ALTER ROLE postgres SET log_statement = 'none'", parameter.OF_SESSION),
        ("ALTER ROLE postgres IN DATABASE test SET log_statement = 'none'", parameter.OF_SESSION),
    ],
)
def test_an_override_inside_the_database_is_told_from_one_of_the_scanning_role(
    statement, reason, database
):
    database.run(statement)
    try:
        rows = reported.read(database.dsn)
        assert reasons(rows, said("log_statement", "all")) == {"log_statement": reason}
    finally:
        database.run(
            "ALTER ROLE postgres RESET ALL", "ALTER ROLE postgres IN DATABASE test RESET ALL"
        )


def test_what_waits_for_a_restart_and_what_alter_system_sets_are_told_apart(database):
    try:
        database.run(
            "ALTER SYSTEM SET max_connections = 60", "ALTER SYSTEM SET log_statement = 'ddl'"
        )
        _reload(database)
        rows = reported.read(database.dsn)
        declared = (said("max_connections", "60"), said("log_statement", "all"))
        assert reasons(rows, *declared) == {
            "max_connections": parameter.REBOOT,
            "log_statement": parameter.OVERRIDDEN,
        }
    finally:
        database.run("ALTER SYSTEM RESET ALL")
        _reload(database)


def test_a_value_of_the_connection_is_not_taken_for_the_servers(database):
    rows = reported.read(make_conninfo(database.dsn, options="-c work_mem=7MB"))
    assert reasons(rows, said("work_mem", "4096")) == {"work_mem": parameter.OF_SESSION}


def test_a_role_that_sees_less_is_told(database):
    database.run("CREATE ROLE scanner LOGIN PASSWORD 'x'")
    rows = reported.read(database.as_role("scanner", "x"))
    assert not compare([said("max_connections", "50")], rows).complete
    database.run("GRANT pg_read_all_settings TO scanner")
    assert compare([], reported.read(database.as_role("scanner", "x"))).complete


def test_a_database_that_is_not_there_is_unreachable(database):
    with pytest.raises(Unreachable):
        reported.read(make_conninfo(database.dsn, dbname="nowhere"))


def test_a_server_that_stalls_is_given_up(database):
    with psycopg.connect(database.dsn) as other:
        other.execute("LOCK TABLE pg_catalog.pg_settings IN ACCESS EXCLUSIVE MODE")
        with pytest.raises(ConnectionLost):
            reported.read(database.dsn, read_timeout_seconds=0.2)


def _reload(database):
    before = database.value("SELECT pg_conf_load_time()::text")
    database.run("SELECT pg_reload_conf()")
    for _ in range(1000):
        if database.value("SELECT pg_conf_load_time()::text") != before:
            return
    raise AssertionError("the server did not reload its configuration")
