"""The owner of masking views and its key: whatever was there before, and whoever installs."""

import hashlib
import hmac

import msgspec
import psycopg
import pytest
from psycopg import errors, sql
from support.cluster import WANTED
from support.masked import BASIC, ROLE, apply, held, masks, state, written
from support.masked import bare as without_views

from chalicelib.kernel.errors import NotAllowed, NotPermitted
from chalicelib.postgres import masking
from chalicelib.postgres.owner import owner

VIEWS = "CREATE SCHEMA app_masked AUTHORIZATION {r}"
OWN = "CREATE SCHEMA holdfast_mask AUTHORIZATION {r}"
DEFAULTS = "ALTER DEFAULT PRIVILEGES FOR ROLE {r}"


@pytest.fixture
def shop(cluster):
    return without_views(cluster)


@pytest.mark.parametrize(
    ("statements", "words"),
    [
        (["ALTER ROLE {r} LOGIN"], "can log in"),
        (["ALTER ROLE {r} BYPASSRLS"], "has attributes of its own"),
        (["ALTER ROLE {r} SUPERUSER"], "has attributes of its own"),
        (["ALTER ROLE {r} CREATEROLE"], "has attributes of its own"),
        (["CREATE ROLE x", "GRANT {r} TO x"], "has members: x"),
        (["GRANT {r} TO app_owner WITH ADMIN OPTION"], "has members: app_owner"),
        (["GRANT app_owner TO {r}"], "is a member of app_owner"),
        (["GRANT pg_read_all_settings TO {r}"], "is a member of pg_read_all_settings"),
        (
            [f"{DEFAULTS} GRANT SELECT ON TABLES TO PUBLIC"],
            "gives what it makes to others",
        ),
        (
            [VIEWS, f"{DEFAULTS} IN SCHEMA app_masked GRANT ALL ON TABLES TO makers"],
            "gives what it makes to others",
        ),
        (
            ["GRANT CREATE, USAGE ON SCHEMA public TO {r}", "SET ROLE {r}",
             "CREATE FUNCTION public.k() RETURNS int SECURITY DEFINER LANGUAGE sql AS 'SELECT 1'",
             "RESET ROLE", "REVOKE ALL ON SCHEMA public FROM {r}"],
            r"owns functions: public\.k\(\)",
        ),
        (["CREATE SCHEMA holdfast_mask"], "schema holdfast_mask is there already and belongs to"),
        (["CREATE SCHEMA app_masked"], "schema app_masked is there already and belongs to"),
        (
            [VIEWS, "CREATE TABLE app_masked.orders (i int)"],
            r"app_masked\.orders is there already and belongs to 'postgres'",
        ),
        (
            [VIEWS, "CREATE VIEW app_masked.x AS SELECT 1"],
            r"app_masked\.x is there already and belongs to 'postgres'",
        ),
        (
            [VIEWS, "CREATE TABLE app_masked.orders (i int)",
             "ALTER TABLE app_masked.orders OWNER TO {r}"],
            r"app_masked\.orders is in a schema of masking views, and is none",
        ),
        (
            [OWN, "CREATE TABLE holdfast_mask.key ()"],
            r"key in the schema holdfast_mask is there already and belongs to 'postgres'",
        ),
        (
            [OWN, "CREATE TABLE holdfast_mask.key ()",
             "ALTER TABLE holdfast_mask.key OWNER TO {r}"],
            r"holdfast_mask\.key is not the table of the key",
        ),
        (
            [OWN, "CREATE VIEW holdfast_mask.key AS SELECT true AS only, ''::bytea AS inner",
             "ALTER TABLE holdfast_mask.key OWNER TO {r}"],
            r"holdfast_mask\.key is not the table of the key",
        ),
        (
            [OWN, "SET ROLE {r}",
             "CREATE FUNCTION holdfast_mask.other() RETURNS int LANGUAGE sql AS 'SELECT 1'"],
            r"other\(\) is in the schema holdfast_mask, which is for the key alone",
        ),
    ],
)  # fmt: skip
def test_what_is_not_as_it_has_to_be_is_refused_and_nothing_is_changed(bare, statements, words):
    bare.run("DROP SCHEMA app_masked CASCADE", f"CREATE ROLE {ROLE}")
    bare.run(*(one.format(r=ROLE) for one in statements))
    before = state(bare)
    with pytest.raises(NotAllowed, match=words):
        apply(bare)
    assert state(bare) == before


def test_default_privileges_of_others_open_nothing(shop):
    shop.run(
        "ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO PUBLIC",
        "ALTER DEFAULT PRIVILEGES FOR ROLE app_owner GRANT SELECT ON TABLES TO PUBLIC",
        "CREATE ROLE other LOGIN PASSWORD 'x'",
    )
    apply(shop)
    for table in ("holdfast_mask.key", "app_masked.orders"):
        assert not shop.value("SELECT has_any_column_privilege('other', %s, 'SELECT')", table)


def test_an_event_trigger_that_opens_the_key_is_refused(shop):
    shop.run(
        "CREATE FUNCTION public.opens() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN"
        " IF to_regclass('holdfast_mask.key') IS NOT NULL"
        " AND NOT has_table_privilege('makers', 'holdfast_mask.key', 'SELECT')"
        " THEN GRANT SELECT ON holdfast_mask.key TO makers; END IF; END $$",
        "CREATE EVENT TRIGGER opens ON ddl_command_end WHEN TAG IN ('CREATE TABLE')"
        " EXECUTE FUNCTION public.opens()",
    )
    before = state(shop)
    with pytest.raises(NotAllowed, match=r"holdfast_mask\.key can be read by makers"):
        apply(shop)
    assert state(shop) == before
    shop.run("DROP EVENT TRIGGER opens")


def test_grants_on_the_key_are_taken_back_and_a_lost_key_is_made_again(shop):
    apply(shop)
    key = shop.value('SELECT "inner" FROM holdfast_mask.key')
    shop.run(
        "GRANT SELECT ON holdfast_mask.key TO PUBLIC",
        'GRANT SELECT ("inner") ON holdfast_mask.key TO makers WITH GRANT OPTION',
        "GRANT CREATE ON SCHEMA holdfast_mask, app_masked TO makers WITH GRANT OPTION",
        "GRANT CREATE ON SCHEMA app_masked TO PUBLIC",
        "REVOKE EXECUTE ON FUNCTION holdfast_mask.person() FROM PUBLIC",
    )
    apply(shop)
    assert not shop.value(
        "SELECT has_any_column_privilege('makers', 'holdfast_mask.key', 'SELECT')"
    )
    for schema in ("holdfast_mask", "app_masked"):
        assert not shop.value("SELECT has_schema_privilege('makers', %s, 'CREATE')", schema)
    assert shop.value(
        "SELECT has_function_privilege('makers', 'holdfast_mask.person()', 'EXECUTE')"
    )
    assert shop.value('SELECT "inner" FROM holdfast_mask.key') == key
    shop.run("DELETE FROM holdfast_mask.key")
    apply(shop)
    assert shop.value('SELECT "inner" FROM holdfast_mask.key') != key
    shop.run("UPDATE holdfast_mask.key SET \"inner\" = 'short'")
    with pytest.raises(NotAllowed, match="has no key of 64 bytes"):
        apply(shop)


def test_the_key_is_that_of_hmac(shop):
    apply(shop)
    inner, outer = shop.rows('SELECT "inner", "outer" FROM holdfast_mask.key')[0]
    key = bytes(byte ^ 0x36 for byte in inner)
    assert key == bytes(byte ^ 0x5C for byte in outer)
    assert key[32:] == bytes(32)
    assert len(set(key[:32])) > 8
    masked = shop.value("SELECT customer FROM app_masked.orders")
    wanted = hmac.new(key[:32], b"name:ana", hashlib.sha256).hexdigest()
    assert masked == f"p_{wanted[:32]}"


def test_a_function_that_somebody_changed_is_made_again(shop):
    apply(shop)
    shop.run(
        "CREATE OR REPLACE FUNCTION holdfast_mask.person() RETURNS text LANGUAGE sql"
        " AS $$ SELECT 'person:boss' $$"
    )
    assert len(apply(shop).statements) > 0
    assert shop.value("SELECT holdfast_mask.person()") is None
    assert apply(shop).statements == ()


def test_a_table_that_everybody_may_read_is_not_leased_masked(shop):
    shop.run("GRANT SELECT ON app.orders TO PUBLIC")
    apply(shop)
    with pytest.raises(NotAllowed, match="hides a table that PUBLIC"):
        shop.lease("read-masked")


def test_a_default_role_of_whoever_applies_changes_nothing(shop):
    shop.run("ALTER ROLE postgres IN DATABASE shop SET role = 'makers'")
    try:
        apply(shop)
        assert apply(shop).statements == ()
    finally:
        shop.run("ALTER ROLE postgres IN DATABASE shop RESET role", dbname="postgres")


def _master(shop, *more):
    shop.run(
        "CREATE ROLE master LOGIN CREATEROLE PASSWORD 'm'",
        "ALTER DATABASE shop OWNER TO master",
        "GRANT app_owner TO master WITH ADMIN OPTION",
        "GRANT makers TO master WITH ADMIN OPTION",
        *more,
    )
    return shop.dsn(user="master", password="m")


def test_without_superuser_it_is_the_same_and_repeated_with_the_installation(bare):
    bare.run("DROP SCHEMA app_masked CASCADE")
    dsn = _master(bare)
    bare.install(dsn=dsn)
    first = apply(bare, dsn=dsn)
    assert first.installed
    bare.install(dsn=dsn)
    for _ in range(2):
        before = written(bare)
        assert apply(bare, dsn=dsn).statements == ()
        after = written(bare)
        assert {key: len(rows) for key, rows in after.items()} == {
            key: len(rows) for key, rows in before.items()
        }
        assert {key for key in after if after[key] != before[key]} == set()
        bare.install(dsn=dsn)
    assert not bare.rows(
        "SELECT 1 FROM pg_auth_members WHERE roleid = %s::regrole AND member = 'master'::regrole"
        " AND coalesce(to_jsonb(pg_auth_members) ->> 'set_option', 'true') = 'true'",
        ROLE,
    )
    terms, credential = bare.lease("read-masked", "app.orders")
    later = BASIC.replace('app.orders.email = "email"', 'app.orders.email = "hidden"')
    with bare.connect(credential) as session:
        assert apply(bare, later, dsn=dsn).again
        assert session.execute("SELECT id FROM orders").fetchall() == [(1,)]
    bare.end(terms)
    bare.run("CREATE TABLE app.more (a text)", "ALTER TABLE app.more OWNER TO app_owner")
    printed = apply(bare, later + 'app.more.a = "public"', dsn=dsn, print_only=True)
    with psycopg.connect(dsn) as connection:
        connection.execute("\n".join(printed.statements))
    assert apply(bare, later + 'app.more.a = "public"', dsn=dsn).statements == ()


def test_what_whoever_installs_may_not_do_is_said_and_undone(bare):
    bare.run("DROP SCHEMA app_masked CASCADE")
    dsn = _master(bare, "REVOKE app_owner FROM master")
    before = state(bare)
    with pytest.raises(NotPermitted, match=r"nothing was changed|permission denied"):
        apply(bare, dsn=dsn)
    assert state(bare) == before
    bare.run("ALTER ROLE master NOCREATEROLE")
    with pytest.raises(NotPermitted, match="'master' may not create roles"):
        apply(bare, dsn=dsn)


def test_a_member_who_inherits_nothing_by_itself_from_16_on(bare):
    if bare.major < 16:
        pytest.skip("memberships have no options before 16")
    bare.run("DROP SCHEMA app_masked CASCADE")
    dsn = _master(bare, "ALTER ROLE master SET createrole_self_grant TO 'set, inherit'")
    bare.install(dsn=dsn)
    apply(bare, dsn=dsn)
    assert apply(bare, dsn=dsn).statements == ()
    bare.run(f"GRANT {ROLE} TO makers WITH INHERIT FALSE, SET TRUE")
    with pytest.raises(NotAllowed, match="has members: makers"):
        apply(bare, dsn=dsn)


@pytest.mark.parametrize("name", ['Odd "shop"', "ü%s{0}", "x" * 63, "select"])
def test_a_database_of_any_name(lease_server, name):
    role = owner(name)
    lease_server.run(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)), dbname="postgres")
    try:
        lease_server.run("CREATE SCHEMA app", "CREATE TABLE app.orders (email text)", dbname=name)
        done = masking.apply(lease_server.dsn(name), masks('app.orders.email = "name"'), WANTED)
        assert done.made
        assert lease_server.value("SELECT 1 FROM app_masked.orders LIMIT 0", dbname=name) is None
        assert lease_server.value("SELECT to_regrole(%s)::text", role, dbname=name) == role
    finally:
        lease_server.empty()


def test_nobody_reads_the_key_but_views(shop):
    apply(shop)
    terms, credential = shop.lease("read-clear")
    with shop.connect(credential) as session:
        for text in (
            "TABLE holdfast_mask.key",
            f"SET ROLE {ROLE}",
            f"GRANT {ROLE} TO {terms.role}",
            "SELECT pg_get_viewdef('holdfast_mask.key'::regclass), 1 / 0",
        ):
            with pytest.raises(errors.Error):
                session.execute(text)
    shop.end(terms)
    assert held(shop, "holdfast_grantor")
    assert not shop.value(
        "SELECT has_table_privilege('holdfast_grantor', 'holdfast_mask.key', 'SELECT')"
    )


EVIL = """
CREATE FUNCTION app.take() RETURNS void LANGUAGE plpgsql VOLATILE AS $$
BEGIN
    EXECUTE 'RESET ROLE';
    EXECUTE 'COPY (SELECT 1) TO ' || quote_literal(current_setting('data_directory') || '/taken');
EXCEPTION WHEN OTHERS THEN NULL;
END $$;
CREATE FUNCTION app.evil(i int) RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS
    $$ BEGIN PERFORM app.take(); RETURN true; END $$;
"""


@pytest.mark.parametrize("word", ["RESET ROLE", "SET ROLE NONE", "RESET SESSION AUTHORIZATION"])
@pytest.mark.parametrize("print_only", [False, True])
def test_functions_of_a_tables_owner_never_have_the_rights_of_who_applies(shop, word, print_only):
    """The planner folds what is immutable, also while it is only looked whether a view can be."""
    shop.run(
        "SET ROLE app_owner",
        EVIL.replace("RESET ROLE", word),
        "CREATE VIEW app.lure AS SELECT id, email FROM app.orders WHERE app.evil(1)",
    )
    text = BASIC + 'app.lure.id = "public"\n[rows]\napp.orders = "app.evil(2)"\n'
    apply(shop, text, print_only=print_only)
    assert "taken" not in {one for (one,) in shop.rows("SELECT pg_ls_dir('.')")}


@pytest.mark.parametrize("print_only", [False, True])
def test_functions_of_a_tables_owner_never_have_the_rights_of_the_views_owner(shop, print_only):
    """With them they would read the key, and what the masks hide of other owners' tables."""
    apply(shop)
    shop.run(
        "CREATE ROLE other",
        "CREATE SCHEMA theirs AUTHORIZATION other",
        "SET ROLE other; CREATE SEQUENCE theirs.seen; GRANT ALL ON SEQUENCE theirs.seen TO PUBLIC;"
        " GRANT USAGE ON SCHEMA theirs TO PUBLIC; CREATE TABLE theirs.t (id int);"
        " CREATE FUNCTION theirs.look() RETURNS int LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN"
        " PERFORM setval('theirs.seen', 2);"
        " IF EXISTS (SELECT FROM holdfast_mask.key) THEN PERFORM setval('theirs.seen', 3); END IF;"
        " RETURN 1; EXCEPTION WHEN insufficient_privilege THEN RETURN 1; END $$;"
        " CREATE VIEW theirs.lure AS SELECT id, theirs.look() AS seen FROM theirs.t",
    )
    text = BASIC + 'theirs.lure.id = "public"\ntheirs.lure.seen = "public"\n'
    wanted = msgspec.structs.replace(WANTED, schemas=("app", "theirs"))
    apply(shop, text, wanted, print_only=print_only)
    assert shop.value("SELECT last_value FROM theirs.seen") == 2
    assert shop.rows("SELECT FROM pg_roles WHERE rolname LIKE '%tries'") == []


def test_the_views_of_a_database_are_those_of_one_target(shop):
    apply(shop, BASIC, target="postgres:shop")
    before = state(shop)
    with pytest.raises(NotAllowed, match="are those of another target"):
        apply(shop, BASIC, target="postgres:other")
    assert state(shop) == before
    shop.run(f"COMMENT ON ROLE {ROLE} IS NULL")
    apply(shop, BASIC, target="postgres:other")
