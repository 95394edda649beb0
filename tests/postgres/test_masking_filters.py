"""Row filters: what they let through, what is refused, and what a lease can do against them."""

import psycopg
import pytest
from msgspec.structs import replace
from support.cluster import shop as database
from support.masked import apply, bare, filtered, rows, state

from chalicelib.kernel.errors import UsageError

SQL = "SELECT holdfast_mask.person()"


@pytest.fixture(scope="module")
def shop(lease_server):
    """One database for all: to apply masks makes the views what they say, whatever they were."""
    with database(lease_server) as cluster:
        cluster.install()
        bare(cluster).run(*TABLES)
        yield cluster


TABLES = (
    "INSERT INTO app.orders (customer, email) VALUES ('bob', 'bob@x.com'), ('cy', NULL)",
    "ALTER TABLE app.orders ADD note text",
    "CREATE SCHEMA hr",
    "CREATE TABLE hr.clerks (name text, region text)",
    "INSERT INTO hr.clerks VALUES ('bob', 'eu')",
    "CREATE FUNCTION app.is_bob(text) RETURNS boolean LANGUAGE sql AS $$ SELECT $1 = 'bob' $$",
)


@pytest.mark.parametrize(
    ("condition", "ids"),
    [
        ("customer = 'bob'", [2]),
        ("id = 1 or id = 2", [1, 2]),
        ("id < 3 -- the end", [1, 2]),
        ("id < 3 /* ) or (true */", [1, 2]),
        ("customer ~ '^[ab]' and '{x} %s %% {0}' <> $$)$$", [1, 2]),
        ("customer in (select name from hr.clerks where region = 'eu')", [2]),
        ("exists (select from hr.clerks)", [1, 2, 3]),
        ("app.is_bob(customer)", [2]),
        ("orders.email is null", [3]),
        ("app.orders.id = 3", [3]),
        ("tableoid > 0 and id = 1", [1]),
        ("case when id = 1 then true else null end", [1]),
        ("(select count(*) from hr.clerks c where c.name = customer) = 1", [2]),
        ("null", []),
    ],
)
def test_rows_that_a_filter_does_not_let_through_are_hidden(shop, condition, ids):
    apply(shop, filtered(condition))
    assert rows(shop) == ids
    assert apply(shop, filtered(condition)).statements == ()


@pytest.mark.parametrize(
    ("condition", "words"),
    [
        ("id ==", "operator does not exist|syntax error"),
        ("id", "argument of WHERE must be type boolean"),
        ("nobody = 1", 'column "nobody" does not exist'),
        ("clerk() = 1", "function clerk"),
        ("secrets.word = ''", "missing FROM-clause entry"),
        ("id in (select id from secrets)", 'relation "secrets" does not exist'),
        ("count(*) > 1", "aggregate functions are not allowed in WHERE"),
        ("{fn now()}", "syntax error"),
        ("orders is not null", "cannot be read by its owner"),
        ("to_jsonb(orders) ? 'x'", "cannot be read by its owner"),
        ("id = 1 and 1 / 0 = 1", "cannot be read by its owner"),
    ],
)
def test_a_filter_that_cannot_be_is_refused_printed_or_not(shop, condition, words):
    before = state(shop)
    for print_only in (True, False):
        with pytest.raises(UsageError, match=words):
            apply(shop, filtered(condition), print_only=print_only)
    assert state(shop) == before


@pytest.mark.parametrize("holder", ["person:ana", "person:bob", "agent:cy"])
def test_a_filter_knows_whose_lease_it_is(shop, holder):
    apply(shop, filtered("holdfast_mask.person() = 'person:' || customer"))
    terms = replace(shop.terms("read-masked"), holder=holder)
    grantor = shop.grantor()
    credential = grantor.issue(grantor.plan(terms), terms)
    with shop.connect(credential) as session:
        found = session.execute("SELECT count(*) FROM orders").fetchone()[0]
    assert found == (0 if holder == "agent:cy" else 1)
    shop.end(terms)


@pytest.mark.parametrize(
    "attack",
    [
        "SET holdfast.person = 'person:bob'",
        "SELECT set_config('holdfast_mask.person', 'person:bob', false)",
        "SET ROLE holdfast_lease",
        "SET SESSION AUTHORIZATION postgres",
        "SET LOCAL SESSION AUTHORIZATION postgres",
        'COMMENT ON ROLE hf_l1 IS \'{"holder":"person:bob"}\'',
        "CREATE FUNCTION pg_temp.person() RETURNS text LANGUAGE sql AS $$ SELECT 'person:bob' $$",
        "SET search_path TO pg_temp, public, app_masked",
        "SET application_name = 'person:bob'",
        "SET standard_conforming_strings TO off",
        "CREATE TEMP VIEW pg_roles AS SELECT 1 AS oid, 'hf_l1' AS rolname",
        "CREATE TEMP TABLE holdfast_mask (person text)",
        "ALTER ROLE hf_l1 RENAME TO hf_l2",
        "SET row_security TO off",
        "SET transform_null_equals TO on",
        "SET quote_all_identifiers TO on",
    ],
)
def test_nobody_says_of_themselves_who_they_are(shop, attack):
    apply(shop, filtered("holdfast_mask.person() = 'person:' || customer"))
    terms, credential = shop.lease("read-masked")
    try:
        with shop.connect(credential) as session:
            session.execute("SET default_transaction_read_only TO off")
            try:
                session.execute(attack)
            except psycopg.Error:
                session.execute("ROLLBACK")
            assert session.execute(SQL).fetchone() == ("person:ana",)
            session.execute("RESET ROLE")  # before 16 a member can be its group
            assert session.execute("SELECT id FROM app_masked.orders").fetchall() == [(1,)]
    finally:
        shop.end(terms)
