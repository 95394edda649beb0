"""A scan that reads nothing again: only where nothing can have changed."""

import psycopg
import pytest

from chalicelib.drift import snapshot
from chalicelib.drift.source import Known
from chalicelib.postgres import mark, queries

RICH = (
    "CREATE SCHEMA app",
    "CREATE TABLE app.t (id integer PRIMARY KEY, a text)",
    "CREATE TABLE app.u (id integer REFERENCES app.t)",
    "CREATE VIEW app.v AS SELECT id FROM app.t",
    "CREATE FUNCTION app.f() RETURNS integer LANGUAGE sql AS 'SELECT 1'",
)
NOTHING = Known(None, lambda: None)


def known(reading):
    return Known(reading.mark, lambda: snapshot.build(reading.objects))


def look(database, earlier=None, dsn=None):
    return database.source(dsn).read(
        lambda *_: None, NOTHING if earlier is None else known(earlier)
    )


def data(reading):
    return snapshot.build(reading.objects).data


def test_nothing_that_changed_is_read_nothing_of_twice(database):
    database.run(*RICH)
    first = look(database)
    again = look(database, first)
    assert again.kept
    assert not first.kept
    assert again.mark == first.mark
    assert data(again) == data(first)
    asked = {query.name for query in again.queries}
    assert "column" not in asked
    assert asked >= {*mark.FRESH, "mark", "settings"} - {"ident_mapping"}


def test_without_a_mark_asked_for_none_is_made(database):
    assert database.read().mark is None


def test_a_transaction_that_was_open_at_the_mark_is_seen_when_it_commits(database):
    database.run(*RICH)
    with psycopg.connect(database.dsn) as other:
        other.execute("CREATE TABLE app.late (a integer)")
        first = look(database)
        assert look(database, first).kept
        other.commit()
    later = look(database, first)
    assert not later.kept
    assert ("table", "app.late") in snapshot.build(later.objects).objects


def test_one_row_that_goes_for_one_that_comes_from_an_older_transaction_is_seen(database):
    # Neither the number of rows nor the sum of their ids need tell these two states apart.
    database.run(*RICH)
    with psycopg.connect(database.dsn) as older:
        older.execute("CREATE FUNCTION app.g() RETURNS integer LANGUAGE sql AS 'SELECT 2'")
        database.run("CREATE FUNCTION app.h() RETURNS integer LANGUAGE sql AS 'SELECT 3'")
        first = look(database)
        older.commit()
    database.run("DROP FUNCTION app.h()")
    later = look(database, first)
    assert not later.kept
    found = snapshot.build(later.objects).objects
    assert ("function", "app.g()") in found
    assert ("function", "app.h()") not in found


def test_work_that_is_rolled_back_changes_nothing(database):
    database.run(*RICH)
    first = look(database)
    with psycopg.connect(database.dsn) as other:
        other.execute("DROP SCHEMA app CASCADE")
        other.rollback()
    assert look(database, first).kept


@pytest.mark.parametrize(
    "work",
    [
        "INSERT INTO app.t SELECT n, 'x' FROM generate_series(1, 1000) AS n",
        "ANALYZE",
        "VACUUM FREEZE",
        "CREATE TEMP TABLE x (a serial PRIMARY KEY); DROP TABLE x",
    ],
)
def test_ordinary_work_changes_nothing(database, work):
    database.run(*RICH)
    # The first temporary table of a session may make its schema, in any order.
    database.run("CREATE TEMP TABLE before (a integer)")
    first = look(database)
    database.run(*work.split("; "))
    assert look(database, first).kept


def test_another_role_reads_for_itself(database):
    database.run(*RICH, "CREATE ROLE scanner LOGIN PASSWORD 'x'")
    first = look(database)
    assert not look(database, first, database.as_role("scanner", "x")).kept


def test_a_role_that_is_renamed_is_named_everywhere(database):
    database.run(*RICH, "CREATE ROLE alice", "ALTER TABLE app.t OWNER TO alice")
    first = look(database)
    database.run("ALTER ROLE alice RENAME TO bob")
    later = look(database, first)
    assert not later.kept
    owner = snapshot.build(later.objects).objects["table", "app.t"].attributes["owner"]
    assert owner == "bob"


def test_two_sets_of_roles_never_look_alike(database):
    # The names and numbers of one in the order of the other, with a name that holds a line's end.
    database.run("CREATE SCHEMA app", "CREATE ROLE a", "CREATE ROLE b", "CREATE ROLE c")
    database.run("ALTER SCHEMA app OWNER TO a")
    oids = {
        name: database.value(f"SELECT oid FROM pg_roles WHERE rolname = '{name}'") for name in "abc"
    }
    rows = "SELECT oid, rolsuper, rolname FROM (VALUES %s) AS r (oid, rolsuper, rolname)"
    first = rows % f"({oids['a']}, false, 'a'), ({oids['b']}, false, E'b\\n{oids['c']} f c')"
    other = rows % f"({oids['a']}, false, E'a\\n{oids['b']} f b'), ({oids['c']}, false, 'c')"
    sql = queries.load("mark", 18).sql
    digest = sql[sql.index("encode(") : sql.index(" AS recent")]
    one, two = (database.value(f"SELECT {digest} FROM ({given}) AS r") for given in (first, other))
    assert one != two


def test_a_database_that_is_half_dropped_is_seen(database, other_database):
    # Its row is changed in place, in a transaction that is rolled back.
    first = look(database)
    with psycopg.connect(database.dsn) as holder:
        holder.execute("LOCK TABLE pg_tablespace IN ACCESS EXCLUSIVE MODE")
        with psycopg.connect(database.dsn, autocommit=True) as other:
            other.execute("SET lock_timeout = '1s'")
            with pytest.raises(psycopg.errors.LockNotAvailable):
                other.execute("DROP DATABASE other")
    later = look(database, first)
    found = snapshot.build(later.objects).objects
    assert found["database", "other"].attributes["connection_limit"] == -2
    assert data(later) == data(look(database))


@pytest.mark.parametrize(
    "written",
    [
        (
            "UPDATE pg_class SET reloptions = '{autovacuum_enabled=false}'"
            " WHERE oid = (SELECT reltoastrelid FROM pg_class WHERE oid = 'app.t'::regclass)"
        ),
        (
            "UPDATE pg_class SET reloptions = NULL"
            " WHERE oid = (SELECT reltoastrelid FROM pg_class WHERE oid = 'app.w'::regclass)"
        ),
        (
            "INSERT INTO pg_depend VALUES"
            " ('pg_proc'::regclass, 'app.f'::regproc, 0, 'pg_type'::regclass, 23, 0, 'i')"
        ),
        "ALTER TABLE app.t SET (toast.vacuum_truncate = false)",
    ],
)
def test_what_stands_beside_a_table_s_own_row_is_seen(database, written):
    database.run(*RICH, "CREATE TABLE app.w (a text) WITH (toast.vacuum_truncate = false)")
    first = look(database)
    database.run(written)
    assert data(look(database, first)) == data(look(database)) != data(first)


def test_roles_settings_and_memberships_are_read_by_every_scan(database):
    database.run(*RICH, "CREATE ROLE alice", "CREATE ROLE bob")
    first = look(database)
    database.run("GRANT alice TO bob", "ALTER ROLE bob VALID UNTIL '2031-01-01'")
    later = look(database, first)
    found = snapshot.build(later.objects).objects
    assert later.kept
    assert ("membership", "bob in alice") in found
    assert found["role", "bob"].attributes["valid_until"].startswith("2031")


def test_what_was_stored_and_is_gone_is_read_anew(database):
    database.run(*RICH)
    first = look(database)
    again = database.source().read(lambda *_: None, Known(first.mark, lambda: None))
    assert not again.kept
    assert data(again) == data(first)


def test_a_mark_that_is_too_old_for_transaction_ids_is_not_used():
    old = mark.Mark("1000", "00")
    assert mark.within_reach(old, "2000")
    assert mark.within_reach(old, str(1000 + mark.REACH - 1))
    assert not mark.within_reach(old, str(1000 + mark.REACH))
    assert not mark.within_reach(old, "999")  # another server, or one that was set back


def test_a_mark_holds_across_a_change_of_epoch(database):
    # 2^32 transactions ago: the same 32 bits.
    first = look(database)
    far = mark.Mark(str(int(first.mark.since) + 2**32), first.mark.sha256)
    assert not database.source().read(lambda *_: None, Known(far, lambda: 1 / 0)).kept


def test_the_mark_covers_every_catalogue_that_kept_kinds_read(major):
    covered = mark.catalogues(queries.load("mark", major))
    read = set()
    for name in set(queries.kinds()) - mark.FRESH:
        statement = queries.load(name, major)
        if major >= statement.since:
            read |= set(mark.NAMED.findall(statement.sql))
    assert read - covered <= {"pg_roles"}
