"""Applying masks: the views, their owner, their readers; again nothing; printed nothing."""

import psycopg
import pytest
from msgspec.structs import replace
from psycopg import errors
from support.cluster import PROFILES, WANTED
from support.masked import BASIC, EU, ROLE, apply, bare, held, state, written

from chalicelib.access.issue import group
from chalicelib.access.profile import Profile
from chalicelib.kernel.errors import NotAllowed, NotFound, NotPermitted, UsageError
from chalicelib.postgres.install import Wanted

EU_PROFILE = Profile(privileges=("SELECT",), masked=True, views="eu")
WITH_EU = replace(WANTED, profiles={**PROFILES, "read-eu": EU_PROFILE})


@pytest.fixture
def shop(cluster):
    return bare(cluster)


def test_views_are_of_a_role_that_can_do_nothing_else(shop):
    done = apply(shop)
    assert done.made == ("app_masked.customers", "app_masked.orders")
    assert done.installed
    assert shop.rows(
        "SELECT relname::text, relowner::regrole::text, reloptions FROM pg_class"
        " WHERE relnamespace = 'app_masked'::regnamespace AND relkind = 'v' ORDER BY 1"
    ) == [(name, ROLE, ["security_barrier=true"]) for name in ("customers", "orders")]
    assert shop.rows(
        "SELECT rolcanlogin, rolsuper, rolbypassrls, rolcreaterole, rolcreatedb, rolreplication"
        " FROM pg_roles WHERE rolname = %s",
        ROLE,
    ) == [(False,) * 6]
    assert not shop.rows(
        "SELECT 1 FROM pg_auth_members WHERE %s::regrole IN (roleid, member)", ROLE
    )


def test_owner_reads_exactly_the_columns_of_the_views(shop):
    shop.run("ALTER TABLE app.orders ADD region text")
    apply(shop, BASIC + "[rows]\napp.orders = \"region is distinct from 'test'\"")
    assert held(shop) == {
        ("app.orders", "id"),
        ("app.orders", "customer"),
        ("app.orders", "email"),
        ("app.orders", "region"),
        ("app.customers", "id"),
        ("app.customers", "email"),
    }
    shop.run(f"GRANT SELECT ON app.secrets TO {ROLE}", f"GRANT USAGE ON SCHEMA public TO {ROLE}")
    shop.run(f"GRANT SELECT, UPDATE, INSERT ON app.orders TO {ROLE}")
    shop.run(f"GRANT CREATE ON SCHEMA app TO {ROLE}", f"GRANT ALL ON app.orders_id_seq TO {ROLE}")
    apply(shop)
    assert held(shop) == {
        ("app.orders", "id"),
        ("app.orders", "customer"),
        ("app.orders", "email"),
        ("app.customers", "id"),
        ("app.customers", "email"),
    }
    assert not shop.value("SELECT has_schema_privilege(%s, 'app', 'CREATE')", ROLE)
    assert not shop.value("SELECT has_any_column_privilege(%s, 'app.orders', 'UPDATE')", ROLE)
    _, credential = shop.lease("read-masked")
    with shop.connect(credential) as lease:
        assert lease.execute("SELECT id FROM orders").fetchall() == [(1,)]
    assert apply(shop).statements == ()


def test_a_view_that_reads_no_column_needs_one_all_the_same(shop):
    apply(shop, 'app.orders.email = "secret"\napp.secrets.word = "hidden"')
    assert held(shop) == {("app.orders", "email")}
    _, credential = shop.lease("read-masked")
    with shop.connect(credential) as lease:
        assert lease.execute("SELECT * FROM orders").fetchall() == [(None,)]


def test_excess_that_somebody_else_granted_is_refused(shop):
    apply(shop)
    shop.run(
        "CREATE ROLE friend",
        "GRANT SELECT ON app.secrets TO friend WITH GRANT OPTION",
        "GRANT USAGE ON SCHEMA app TO friend",
        f"SET ROLE friend; GRANT SELECT ON app.secrets TO {ROLE}; RESET ROLE",
    )
    before = state(shop)
    with pytest.raises(NotAllowed, match=r"has SELECT on app\.secrets by 'friend'"):
        apply(shop)
    assert state(shop) == before


def test_again_nothing_is_run_and_nothing_written(shop):
    shop.run('CREATE TABLE app.odd (a text COLLATE "C", b text COLLATE "POSIX", c text[])')
    text = BASIC + EU + '[app.odd]\na = "name"\nb = "public"\nc = "email"\n'
    first = apply(shop, text, WITH_EU)
    assert first.statements
    shop.install(WITH_EU)
    assert apply(shop, text, WITH_EU).installed
    before = written(shop)
    again = apply(shop, text, WITH_EU)
    assert again.statements == ()
    assert (again.made, again.replaced, again.again, again.dropped) == ((), (), (), ())
    assert written(shop) == before


def test_printed_nothing_changes_and_what_is_printed_does_the_same(shop):
    def shown():
        found = state(shop)
        found[3] = [(name, source, None) for name, source, _ in found[3]]
        return found

    text = BASIC + EU + "[rows]\napp.orders = \"email <> '100%' and '{x}' <> E'\\\\n'\""
    before = written(shop)
    printed = apply(shop, text, print_only=True)
    assert not printed.ran
    assert written(shop) == before
    with psycopg.connect(shop.dsn()) as connection:
        connection.execute("\n".join(printed.statements))
    by_hand = state(shop)
    assert apply(shop, text).statements == ()
    shop.run(f"DROP OWNED BY {ROLE} CASCADE", f"DROP ROLE {ROLE}")
    apply(shop, text)
    assert state(shop) == by_hand
    later = text.replace('app.orders.email = "email"', 'app.orders.email = "hidden"')
    before = written(shop)
    printed = apply(shop, later, print_only=True)
    assert printed.again
    assert written(shop) == before
    with psycopg.connect(shop.dsn()) as connection:
        connection.execute("\n".join(printed.statements))
    assert apply(shop, later).statements == ()


def test_what_is_printed_can_be_run_line_by_line_too(shop):
    """Outside of a transaction SET LOCAL does nothing: what is made would be a person's."""
    shop.run(*apply(shop, print_only=True).statements)
    assert apply(shop).statements == ()


def test_a_lease_finds_the_masked_one_by_its_plain_name(shop):
    apply(shop)
    shop.run("INSERT INTO app.customers VALUES (7, 'bob@example.org')")
    _, credential = shop.lease("read-masked")
    with shop.connect(credential) as lease:
        assert lease.execute("SELECT * FROM customers").fetchall() == [(7, "b***@***.org")]
        for text in (
            "SELECT * FROM app.customers",
            "SELECT * FROM secrets",
            "SELECT * FROM app.secrets",
            "SELECT * FROM holdfast_mask.key",
            "TABLE app_masked.secrets",
            "COPY app.orders TO STDOUT",
            "BEGIN; LOCK TABLE holdfast_mask.key",
            'SELECT octet_length("inner") FROM holdfast_mask.key',
        ):
            with pytest.raises((errors.InsufficientPrivilege, errors.UndefinedTable)):
                lease.execute(text)
            lease.execute("ROLLBACK")


def test_a_scope_reaches_its_view_and_no_other(shop):
    apply(shop)
    terms, credential = shop.lease("read-masked", "app.orders")
    with shop.connect(credential) as lease:
        assert lease.execute("SELECT id FROM orders").fetchall() == [(1,)]
        with pytest.raises(errors.InsufficientPrivilege):
            lease.execute("SELECT * FROM app_masked.customers")
    shop.end(terms)


def _visible(shop, name, *tables, lease):
    terms, credential = shop.lease(name, *tables, lease=lease, profile=WITH_EU.profiles[name])
    with shop.connect(credential) as session:
        path = session.execute("SHOW search_path").fetchone()[0]
        row = session.execute("SELECT customer = 'ana' FROM orders").fetchone()
        other = "app_masked.orders" if name == "read-eu" else "app_masked_eu.orders"
        with pytest.raises(errors.InsufficientPrivilege):
            session.execute(f"SELECT * FROM {other}")
    shop.end(terms)
    return path, row[0]


@pytest.mark.parametrize("order", ["install first", "apply first"])
def test_profiles_reach_their_set_of_views_and_no_other(shop, order):
    text = BASIC + EU
    steps = [lambda: shop.install(WITH_EU), lambda: apply(shop, text, WITH_EU)]
    for step in steps if order == "install first" else reversed(steps):
        step()
    for _ in range(2):
        for number, tables in enumerate([(), ("app.orders",)]):
            assert _visible(shop, "read-eu", *tables, lease=f"E{number}") == (
                "app_masked_eu, app",
                True,
            )
            assert _visible(shop, "read-masked", *tables, lease=f"M{number}") == (
                "app_masked, app",
                False,
            )
        for step in steps:
            step()


@pytest.mark.parametrize("order", ["install first", "apply first"])
def test_a_profile_of_another_set_leaves_the_one_before(shop, order):
    shop.install(WITH_EU)
    apply(shop, BASIC + EU, WITH_EU)
    moved = Wanted(
        schemas=WANTED.schemas,
        owners=WANTED.owners,
        profiles={**PROFILES, "read-eu": replace(EU_PROFILE, views="")},
    )
    steps = [lambda: shop.install(moved), lambda: apply(shop, BASIC, moved)]
    for step in steps if order == "install first" else reversed(steps):
        step()
    assert not shop.value("SELECT count(*) FROM pg_namespace WHERE nspname = 'app_masked_eu'")
    terms, credential = shop.lease("read-eu", profile=moved.profiles["read-eu"])
    with shop.connect(credential) as session:
        assert session.execute("SELECT customer = 'ana' FROM orders").fetchone() == (False,)
    shop.end(terms)
    assert apply(shop, BASIC, moved).statements == ()


def test_a_profile_that_was_clear_is_left_to_the_installation(shop):
    """Or its group would keep the tables, and nobody would know any more that it has them."""
    clear = Wanted(
        schemas=WANTED.schemas,
        owners=WANTED.owners,
        profiles={**PROFILES, "support": Profile(privileges=("SELECT",))},
    )
    shop.install(clear)
    masked = replace(
        clear, profiles={**PROFILES, "support": Profile(privileges=("SELECT",), masked=True)}
    )
    role = group("shop", "support")
    assert not apply(shop, wanted=masked).installed
    assert not shop.value("SELECT has_schema_privilege(%s, 'app_masked', 'USAGE')", role)
    with pytest.raises(NotPermitted):
        shop.lease("support", profile=masked.profiles["support"])
    shop.install(masked)
    assert apply(shop, wanted=masked).installed
    assert not shop.value("SELECT has_table_privilege(%s, 'app.orders', 'SELECT')", role)
    terms, _ = shop.lease("support", profile=masked.profiles["support"])
    shop.end(terms)


def test_masks_of_nothing_leave_nothing(shop):
    apply(shop, BASIC + EU)
    done = apply(shop, "")
    assert done.dropped == (
        "app_masked.customers",
        "app_masked.orders",
        "app_masked_eu.customers",
        "app_masked_eu.orders",
    )
    assert held(shop) == set()
    assert shop.rows("SELECT nspname FROM pg_namespace WHERE nspname LIKE 'app_%%'") == []
    with pytest.raises(NotFound):
        shop.lease("read-masked", "app.orders")
    assert apply(shop, "").statements == ()
    shop.install()
    apply(shop)
    terms, _ = shop.lease("read-masked", "app.orders")
    shop.end(terms)


def test_a_schema_that_is_not_there_is_refused(shop):
    with pytest.raises(UsageError, match="there is no schema 'hr' in database 'shop'"):
        apply(shop, wanted=replace(WANTED, schemas=("app", "hr")))


def test_without_a_broker_the_views_are_made_and_it_is_said(bare):
    bare.run("DROP SCHEMA app_masked CASCADE")
    assert not apply(bare).installed
    bare.install()
    assert apply(bare).installed
    terms, _ = bare.lease("read-masked")
    bare.end(terms)
