import pytest
from psycopg import connect, sql

from chalicelib.drift import snapshot
from chalicelib.kernel.names import qualified

NAMES = [
    'quo"te',
    "apo'strophe",
    "new\nline",
    "emoji 🦉",
    "'; DROP TABLE orders; --",
    "right\u202eto\u2066left",
    "x" * 63,
    "é" * 31,
    "%s %(name)s {name} {0}",
    "UPPER",
    "with.dot",
    "back\\slash",
    "PUBLIC",
]


@pytest.mark.parametrize("name", NAMES)
def test_names_of_any_shape_are_read_and_told_apart(name, database):
    named = sql.Identifier(name)
    with connect(database.dsn, autocommit=True) as connection:
        for text in (
            "CREATE SCHEMA {0}",
            "CREATE ROLE {0}",
            "CREATE ROLE bob",
            "CREATE TABLE {0}.{0} ({0} integer CONSTRAINT {0} CHECK ({0} > 0))",
            "CREATE INDEX i ON {0}.{0} ({0})",
            "CREATE VIEW {0}.v AS SELECT {0} FROM {0}.{0}",
            "CREATE FUNCTION {0}.{0}({0} integer) RETURNS integer LANGUAGE sql AS 'SELECT 1'",
            "CREATE TYPE {0}.e AS ENUM ('a')",
            "CREATE POLICY {0} ON {0}.{0} TO {0}",
            "GRANT SELECT ({0}) ON {0}.{0} TO {0}",
            "GRANT {0} TO postgres",
            "ALTER ROLE {0} SET work_mem = '8MB'",
            "ALTER DEFAULT PRIVILEGES FOR ROLE {0} IN SCHEMA {0} GRANT SELECT ON TABLES TO bob",
        ):
            connection.execute(sql.SQL(text).format(named))
    seen = database.scan().objects
    role, table = qualified(name), qualified(name, name)
    assert ("schema", qualified(name)) in seen
    assert ("role", role) in seen
    assert ("column", f"{table}.{role}") in seen
    assert ("constraint", f"{table}.{role}") in seen
    assert seen[("policy", f"{table}.{role}")].attributes["roles"] == [role]
    assert ("grant", f"column {table}.{role} to {role}") in seen
    assert ("membership", f"postgres in {role}") in seen
    assert ("role_setting", f"work_mem for role {role}") in seen
    assert ("default_privilege", f"tables of {role} in {role} to bob") in seen
    assert snapshot.parse(database.scan().data).objects == seen


def test_a_role_named_like_everyone_is_not_everyone(database):
    database.run(
        'CREATE ROLE "PUBLIC"', "CREATE TABLE t ()", 'GRANT SELECT ON t TO "PUBLIC", PUBLIC'
    )
    seen = database.scan().objects
    assert ("grant", "table public.t to PUBLIC") in seen
    assert ("grant", 'table public.t to "PUBLIC"') in seen


def test_a_view_of_a_megabyte_is_read(database):
    database.run(f"CREATE VIEW v AS SELECT '{'x' * 1_000_000}'::text AS a")
    definition = database.scan().objects[("view", "public.v")].attributes["definition"]
    assert len(definition) > 1_000_000


def test_hundreds_of_columns_keep_their_order(database):
    columns = ", ".join(f"c{n} integer" for n in range(900))
    database.run(f"CREATE TABLE t ({columns})", "ALTER TABLE t DROP c0, DROP c500")
    seen = database.scan().objects
    assert seen[("column", "public.t.c1")].attributes["position"] == 1
    assert seen[("column", "public.t.c899")].attributes["position"] == 898


def test_the_history_of_dropped_columns_leaves_no_trace(database, other_database):
    database.run("CREATE TABLE t (gone integer, a integer)", "ALTER TABLE t DROP gone")
    other_database.run("CREATE TABLE t (a integer)")
    one, other = (
        {key: item for key, item in scanned.objects.items() if key[0] in {"table", "column"}}
        for scanned in (database.scan(), other_database.scan())
    )
    assert one == other


RAISES = "LANGUAGE plpgsql AS 'BEGIN RAISE EXCEPTION ''shadowed''; END'"
SHADOWS = (
    "CREATE SCHEMA evil",
    "CREATE TABLE evil.pg_class (oid oid, relname name)",
    "CREATE VIEW evil.pg_settings AS SELECT 1 AS name",
    f"CREATE FUNCTION evil.set_config(text, text, boolean) RETURNS text {RAISES}",
    f"CREATE FUNCTION evil.format_type(oid, integer) RETURNS text {RAISES}",
    f"CREATE FUNCTION evil.eq(oid, oid) RETURNS boolean {RAISES}",
    "CREATE OPERATOR evil.= (LEFTARG = oid, RIGHTARG = oid, PROCEDURE = evil.eq)",
    "CREATE TABLE public.t (a integer)",
    "CREATE VIEW public.v AS SELECT a FROM public.t",
)


@pytest.mark.parametrize("path", ["evil, pg_catalog", "pg_temp, evil, pg_catalog, public"])
def test_what_shadows_the_catalogue_is_not_called(path, database):
    database.run(*SHADOWS)
    before = database.scan()
    database.run(f"ALTER DATABASE test SET search_path = {path}")
    after = database.scan()
    changed = {
        key
        for key in before.objects.keys() | after.objects.keys()
        if before.objects.get(key) != after.objects.get(key)
    }
    assert changed == {
        ("role_setting", "search_path for database test"),
        ("setting", "search_path"),
    }


def test_settings_that_change_how_the_server_prints_change_nothing(database):
    database.run(
        "CREATE ROLE bob VALID UNTIL '2031-05-06'",
        "CREATE TABLE t (a timestamptz DEFAULT '2020-01-01 00:00:00+00', b float8 DEFAULT 0.1,"
        " c bytea DEFAULT '\\x00ff', d interval DEFAULT '1 day 2 hours', e text DEFAULT 'a\\b')",
    )

    def own():
        return {
            key: item
            for key, item in database.scan().objects.items()
            if key[0] not in {"setting", "role_setting", "coverage"}
        }

    before = own()
    for assignment in (
        "timezone = 'Asia/Tokyo'",
        "datestyle = 'SQL, DMY'",
        "intervalstyle = 'iso_8601'",
        "extra_float_digits = -5",
        "bytea_output = 'escape'",
        "quote_all_identifiers = on",
        "standard_conforming_strings = off",
        "row_security = off",
        "transform_null_equals = on",
        "jit_above_cost = 0",
        "client_encoding = 'LATIN1'",
    ):
        database.run(f"ALTER DATABASE test SET {assignment}")
    assert own() == before


def test_bytes_that_are_not_utf8_become_escapes(database):
    database.run(
        "CREATE DATABASE bytes TEMPLATE template0 ENCODING 'SQL_ASCII' LC_COLLATE 'C' LC_CTYPE 'C'"
    )
    dsn = database.server.dsn("bytes")
    with connect(dsn, autocommit=True, client_encoding="SQL_ASCII") as connection:
        connection.execute(b'CREATE TABLE "caf\xe9" (a integer DEFAULT 1)')
        connection.execute(b"COMMENT ON TABLE \"caf\xe9\" IS '\xff\xfe'")
        connection.execute(b"CREATE TYPE e AS ENUM ('\xe9')")
        connection.execute(b'CREATE VIEW v AS SELECT a AS "\xe9" FROM "caf\xe9"')
    seen = database.scan(dsn)
    assert seen.data == database.scan(dsn).data
    assert seen.objects[("table", 'public."caf\\xe9"')].attributes["comment"] == "\\xff\\xfe"
    assert seen.objects[("type", "public.e")].attributes["labels"] == ["\\xe9"]
    assert "caf\\xe9" in seen.objects[("view", "public.v")].attributes["definition"]


def test_a_database_in_another_encoding_is_read_as_utf8(database):
    database.run(
        "CREATE DATABASE latin TEMPLATE template0 ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C'"
    )
    dsn = database.server.dsn("latin")
    database.run('CREATE TABLE "café" ()', dsn=dsn)
    assert ("table", 'public."café"') in database.scan(dsn).objects
