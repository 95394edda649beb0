"""Rows: filters of people, row security of the target, and whose lease it is."""

import psycopg
import pytest
from msgspec.structs import replace
from support.cluster import SHIPPED, Wanted
from support.masked import ROLE, apply, bare, filtered, held, rows

from chalicelib.access import issue
from chalicelib.kernel.errors import UsageError

SQL = "SELECT holdfast_mask.person()"


@pytest.fixture
def shop(cluster):
    bare(cluster)
    cluster.run(
        "INSERT INTO app.orders (customer, email) VALUES ('bob', 'bob@x.com'), ('cy', NULL)",
        "CREATE SCHEMA hr",
        "CREATE TABLE hr.clerks (name text, region text)",
        "INSERT INTO hr.clerks VALUES ('bob', 'eu')",
        "CREATE FUNCTION app.is_bob(text) RETURNS boolean IMMUTABLE LANGUAGE sql"
        " AS $$ SELECT $1 = 'bob' $$",
    )
    return cluster


def test_owner_reads_what_filters_read_and_no_more(shop):
    apply(shop, filtered("customer in (select name from hr.clerks) and exists (select from "
                          "app.secrets)"))  # fmt: skip
    assert held(shop) == {
        *(("app.orders", one) for one in ("id", "customer", "email")),
        *(("app.customers", one) for one in ("id", "email")),
        ("hr.clerks", "name"),
        ("app.secrets", "id"),
    }
    apply(shop)
    assert ("hr.clerks", "name") not in held(shop)
    assert not shop.value("SELECT has_schema_privilege(%s, 'hr', 'USAGE')", ROLE)


def test_names_in_a_filter_are_the_servers_whatever_stands_first_in_a_path(shop):
    shop.run(
        "CREATE FUNCTION public.lower(text) RETURNS text LANGUAGE sql AS $$ SELECT 'bob' $$",
        "CREATE FUNCTION public.yes(text, text) RETURNS boolean LANGUAGE sql AS 'SELECT true'",
        "CREATE OPERATOR public.= (LEFTARG = text, RIGHTARG = text, FUNCTION = public.yes)",
        "ALTER DATABASE shop SET search_path TO public, pg_catalog",
        "ALTER ROLE postgres SET search_path TO public, pg_catalog",
    )
    apply(shop, filtered("lower(customer) = 'bob'"))
    found = "SET search_path TO public, pg_catalog; "
    terms, credential = shop.lease("read-masked")
    with shop.connect(credential) as session:
        session.execute(found)
        rows = session.execute("SELECT id FROM app_masked.orders").fetchall()
        assert rows == [(2,)]
    shop.end(terms)
    shop.run("ALTER ROLE postgres RESET search_path")


def test_row_security_of_a_table_binds_the_owner_of_views(shop):
    apply(shop)
    shop.run("ALTER TABLE app.orders ENABLE ROW LEVEL SECURITY")
    assert apply(shop).statements == ()
    assert rows(shop) == []
    shop.run(
        "CREATE POLICY own ON app.orders USING ('person:' || customer = holdfast_mask.person())"
    )
    assert rows(shop) == [1]
    shop.run("ALTER TABLE app.orders FORCE ROW LEVEL SECURITY", "DROP POLICY own ON app.orders")
    shop.run(f"CREATE POLICY part ON app.orders TO {ROLE} USING (id > 1)")
    assert rows(shop) == [2, 3]


def test_what_a_policy_reads_elsewhere_the_owner_may_read(shop):
    apply(shop)
    shop.run(
        "ALTER TABLE app.orders ENABLE ROW LEVEL SECURITY",
        "CREATE POLICY far ON app.orders USING (customer IN (SELECT name FROM hr.clerks))",
    )
    assert len(apply(shop).statements) > 0
    assert rows(shop) == [2]
    assert ("hr.clerks", "name") in held(shop)
    assert apply(shop).statements == ()
    shop.run("DROP POLICY far ON app.orders")
    apply(shop)
    assert ("hr.clerks", "name") not in held(shop)


def test_a_view_that_its_owner_cannot_read_is_refused_even_where_nothing_is_changed(shop):
    apply(shop)
    shop.run(
        "CREATE FUNCTION hr.closed(text) RETURNS boolean LANGUAGE sql AS 'SELECT true'",
        "REVOKE EXECUTE ON FUNCTION hr.closed FROM PUBLIC",
        "ALTER TABLE app.orders ENABLE ROW LEVEL SECURITY",
        "CREATE POLICY far ON app.orders USING (hr.closed(customer))",
    )
    with pytest.raises(UsageError, match=r"cannot be read by its owner.*permission denied"):
        apply(shop)


NAMES = [
    'person:"holdfast":1',
    'x","holdfast":1,"lease":"y',
    "person:o'neil\\",
    "person:\u00fc\u4e2d\U0001f600",
    "person:{%s}%",
    "person:\u0001\u001f\b\f\n\r\t/",
    "person:\u2028\u007f",
    "",
]


def test_holders_of_any_name_are_themselves_and_nobody_else_is_anybody(shop):
    apply(shop)
    until = '"until":"2099-01-01T00:00:00.000000Z"'
    rest = f'"holdfast":1,"lease":"L","log":"","target":"t",{until}}}'
    with psycopg.connect(shop.dsn(), autocommit=True) as admin:
        admin.execute("CREATE ROLE hf_x")
        admin.execute("GRANT holdfast_lease TO hf_x")
        for name in NAMES:
            terms = replace(shop.terms("read-masked"), holder=name)
            comment = issue.comment(terms, "log")
            admin.execute(
                psycopg.sql.SQL("COMMENT ON ROLE hf_x IS {}").format(psycopg.sql.Literal(comment))
            )
            admin.execute("SET SESSION AUTHORIZATION hf_x")
            for strings in ("on", "off"):
                admin.execute(f"SET standard_conforming_strings TO {strings}")
                assert admin.execute(SQL).fetchone() == (name,)
            admin.execute("SET standard_conforming_strings TO on")
            admin.execute("RESET SESSION AUTHORIZATION")
        for comment in (
            None,
            "",
            "{",
            "null",
            '{"holder":"x","holdfast":1',
            '{x"holder":"y"holdfast":1 }',
            f'{{"holder":"\\u0000",{rest}',
            f'{{"holder":"\\ud800",{rest}',
            f'{{"holder":"\\u12",{rest}',
            f'{{"holder":"\\x",{rest}',
            f'{{"holder":"a"b",{rest}',
            f'{{"holder":["a"],{rest}',
            f'{{"holder":"a",{rest}x',
            f'{{"holder":"a",{rest}\n',
            f'{{"holder":"a\nb",{rest}',
            '{"holder":"a","holdfast":2,' + rest.partition(",")[2],
        ):
            admin.execute(
                psycopg.sql.SQL("COMMENT ON ROLE hf_x IS {}").format(psycopg.sql.Literal(comment))
            )
            admin.execute("SET SESSION AUTHORIZATION hf_x")
            assert admin.execute(SQL).fetchone() == (None,), comment
            admin.execute("RESET SESSION AUTHORIZATION")
        admin.execute(
            psycopg.sql.SQL("COMMENT ON ROLE hf_x IS {}").format(
                psycopg.sql.Literal(issue.comment(shop.terms("read-masked"), "log"))
            )
        )
        admin.execute("REVOKE holdfast_lease FROM hf_x")
        admin.execute("SET SESSION AUTHORIZATION hf_x")
        assert admin.execute(SQL).fetchone() == (None,)
        admin.execute("RESET SESSION AUTHORIZATION")
        assert admin.execute(SQL).fetchone() == (None,)


def test_person_is_nobody_where_no_broker_is(bare):
    bare.run("DROP SCHEMA app_masked CASCADE")
    apply(bare, wanted=Wanted(schemas=("app",), profiles=dict(SHIPPED)))
    assert bare.value(SQL) is None
