"""Attacks on masking views, on targets that are as they should be, and on such as are not."""

import hashlib

import psycopg
import pytest

from chalicelib.access.attack.judgement import ATTACKS, Exposed
from chalicelib.kernel.errors import CouldNotTell, NotPermitted
from chalicelib.postgres import attack
from chalicelib.postgres.attack_versions import faults

PASSWORD = "of-the-lease"
ROLE = "hf_masked"
KEYED = (
    "'p_' || left(encode(sha256((SELECT k.\"outer\" FROM holdfast_mask.key AS k) ||"
    ' sha256((SELECT k."inner" FROM holdfast_mask.key AS k) ||'
    " convert_to('c:' || {}, getdatabaseencoding()))), 'hex'), 32)"
)
CUSTOMERS = (
    f"CREATE VIEW app_masked.customers WITH (security_barrier) AS SELECT id, city,"
    f" {KEYED.format('email')} AS email,"
    " CASE WHEN length(name) < 8 THEN '*****' ELSE left(name, 1) || '*****' END AS name,"
    " NULL::date AS birth, 'x'::text AS card FROM app.customers"
)
ORDERS = (
    f"CREATE VIEW app_masked.orders WITH (security_barrier) AS SELECT id, reference, region,"
    f" {KEYED.format('buyer')} AS buyer FROM app.orders WHERE region = 'north'"
)
SETUP = f"""
CREATE ROLE app_owner;
CREATE ROLE holdfast_mask_0 NOLOGIN;
CREATE ROLE masked NOLOGIN;
CREATE ROLE {ROLE} LOGIN PASSWORD '{PASSWORD}';
GRANT masked TO {ROLE};
REVOKE CREATE ON SCHEMA public FROM PUBLIC;
CREATE SCHEMA app AUTHORIZATION app_owner;
CREATE SCHEMA app_masked AUTHORIZATION holdfast_mask_0;
CREATE SCHEMA holdfast_mask AUTHORIZATION holdfast_mask_0;
SET ROLE app_owner;
CREATE TABLE app.customers (id serial PRIMARY KEY, city text, email text UNIQUE, name text,
    birth date, card text, note text);
INSERT INTO app.customers (city, email, name, birth, card, note)
    SELECT 'Town ' || n % 7, 'user' || md5(n::text) || '@example.com', 'Zoe ' || md5(n || 'n'),
        date '1950-03-05' + (n * 37), '4929 ' || lpad((n * 7919)::text, 9, '0'),
        'suspect ' || md5(n || 'o') FROM generate_series(1, 60) AS n;
CREATE TABLE app.orders (id integer PRIMARY KEY, reference text, region text, buyer text,
    secret text);
INSERT INTO app.orders SELECT n, 'REF-' || md5(n || 'r'), CASE WHEN n % 2 = 0 THEN 'north' ELSE
    'region-' || md5(n || 'g') END, 'buyer' || md5(n || 'b'), repeat(md5(n || 's'), 3)
    FROM generate_series(1, 60) AS n;
GRANT USAGE ON SCHEMA app TO holdfast_mask_0;
GRANT SELECT (id, city, email, name) ON app.customers TO holdfast_mask_0;
GRANT SELECT (id, reference, region, buyer) ON app.orders TO holdfast_mask_0;
SET ROLE holdfast_mask_0;
CREATE TABLE holdfast_mask.key ("inner" bytea, "outer" bytea);
INSERT INTO holdfast_mask.key SELECT decode(repeat(md5('i'), 4), 'hex'),
    decode(repeat(md5('o'), 4), 'hex');
CREATE FUNCTION holdfast_mask.person() RETURNS text LANGUAGE sql STABLE AS
    $$ SELECT pg_catalog.shobj_description(r.oid, 'pg_authid')
    FROM pg_catalog.pg_roles AS r WHERE r.rolname OPERATOR(pg_catalog.=) session_user $$;
GRANT USAGE ON SCHEMA holdfast_mask TO PUBLIC;
{CUSTOMERS};
{ORDERS};
GRANT USAGE ON SCHEMA app_masked TO masked;
GRANT SELECT ON app_masked.customers, app_masked.orders TO masked;
RESET ROLE;
COMMENT ON ROLE {ROLE} IS 'person:ana';
ANALYZE;
"""
EXPOSED = (
    Exposed(
        schema="app",
        name="customers",
        view_schema="app_masked",
        shown={
            "id": "clear",
            "city": "clear",
            "email": "pseudonym",
            "name": "partial",
            "birth": "null",
            "card": "constant",
        },
        left_out=("note",),
    ),
    Exposed(
        schema="app",
        name="orders",
        view_schema="app_masked",
        shown={"id": "clear", "reference": "clear", "region": "clear", "buyer": "pseudonym"},
        left_out=("secret",),
        filtered=True,
    ),
)


class Place:
    """A database with masking views, and a lease's role."""

    def __init__(self, database):
        self.database = database
        self.major = int(database.value("SHOW server_version_num")) // 10_000

    def unavailable(self, statements):
        """Extensions, and XML, that this build of the server lacks."""
        wanted = {one.split()[-1] for one in statements if one.startswith("CREATE EXTENSION")}
        rows = self.database.value("SELECT string_agg(name, ' ') FROM pg_available_extensions")
        return ", ".join(sorted(wanted - set(rows.split())))

    @property
    def has_xml(self):
        try:
            self.database.value("SELECT query_to_xml('SELECT 1', true, false, '')")
        except psycopg.errors.FeatureNotSupported:
            return False
        return True

    def run(self, *statements):
        self.database.run(*statements)

    def values(self, exposed=EXPOSED, **more):
        return attack.values(self.database.dsn, exposed, **more)

    @property
    def fields(self):
        server = self.database.server
        return {
            "host": "127.0.0.1",
            "port": str(server.port),
            "dbname": self.database.name,
            "user": ROLE,
            "password": PASSWORD,
        }

    def check(self, exposed=EXPOSED, *, clear=None, **more):
        """Outcomes by attack and relation."""
        clear = clear or self.values(exposed)
        found = attack.run(self.fields, exposed, clear, **more)
        return {(one.attack, one.where): one for one in found}

    def leaked(self, *only, exposed=EXPOSED, **more):
        found = self.check(exposed, only=only, **more)
        return {one.attack for one in found.values() if one.verdict == "leaked"}


@pytest.fixture
def place(database):
    database.run(*(one for one in [SETUP]))
    return Place(database)


def test_what_became_a_view_is_not_read(place):
    """Its functions would run as whoever checks: here a key of somebody's own making."""
    place.run(
        "DROP TABLE holdfast_mask.key CASCADE",
        'CREATE VIEW holdfast_mask.key ("inner", "outer") AS SELECT NULL::bytea, NULL::bytea',
    )
    with pytest.raises(CouldNotTell):
        place.values()


def test_of_what_has_a_foreign_child_nothing_is_read(place):
    place.run(
        "CREATE FOREIGN DATA WRAPPER w",
        "CREATE SERVER srv FOREIGN DATA WRAPPER w",
        "CREATE FOREIGN TABLE app.far () INHERITS (app.orders) SERVER srv",
    )
    assert set(place.values().rows) == {("app", "customers")}


def test_good_views_hold(place):
    found = place.check()
    assert [one for one in found.values() if one.verdict != "held"] == []
    assert len(found) == sum(len(EXPOSED) if one.each else 1 for one in ATTACKS)


def md5(text):
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()


EMAIL = f"user{md5('1')}@example.com"
OPEN = (
    "GRANT USAGE ON SCHEMA app TO masked",
    "GRANT SELECT ON ALL TABLES IN SCHEMA app TO masked",
    "GRANT SELECT ON ALL SEQUENCES IN SCHEMA app TO masked",
)
CLEAR_MASK = "GRANT SELECT ON app.customers, app.orders TO holdfast_mask_0"


def customers(email):
    """The view of customers with another expression in the place of the pseudonym."""
    return (
        "SET ROLE holdfast_mask_0;"
        + CUSTOMERS.replace("CREATE VIEW", "CREATE OR REPLACE VIEW").replace(
            KEYED.format("email"), email
        )
        + "; RESET ROLE"
    )


def orders(where, *, barrier=True):
    """The view of orders with another row filter."""
    changed = ORDERS.replace("CREATE VIEW", "CREATE OR REPLACE VIEW")
    changed = changed.replace("region = 'north'", where)
    barred = changed if barrier else changed.replace("WITH (security_barrier)", "")
    off = "" if barrier else "; ALTER VIEW app_masked.orders RESET (security_barrier)"
    return f"SET ROLE holdfast_mask_0; {barred}{off}; RESET ROLE"


# What is broken, with the attacks that have to tell it. Every attack is in at least one.
BROKEN = {
    "grant on the table": (
        OPEN,
        {
            "base-read",
            "base-copy",
            "base-parts",
            "cursors",
            "explain",
            "functions",
            "rights",
            "roles",
            "sampling",
            "statistics",
            "view-changes",
            "xml",
        },
    ),
    "grant on one column": (
        (OPEN[0], "GRANT SELECT (note) ON app.customers TO masked"),
        {"base-read", "base-copy", "rights", "statistics"},
    ),
    "clear column in the view": (
        (customers("email"),),
        {
            "aggregates",
            "cursors",
            "errors",
            "guesses",
            "leaky-clauses",
            "leaky-function",
            "leaky-plans",
            "order",
            "output-settings",
            "prepared",
            "shown",
            "view-copy",
            "whole-rows",
            "xml",
            "debug-output",
        },
    ),
    "no security barrier": (
        (orders("region = 'north'", barrier=False),),
        {"leaky-function", "leaky-clauses", "leaky-plans", "leaky-operator"},
    ),
    "no security barrier and a costly filter": (
        (orders("lower(upper(lower(region))) = 'north'", barrier=False),),
        {"errors"},
    ),
    "security invoker": (
        (*OPEN, orders("region = 'north'"), "ALTER VIEW app_masked.orders SET (security_invoker)"),
        {"base-read", "rights"},
    ),
    "partial mask that shows all": (
        (
            customers(KEYED.format("email"))
            .replace("length(name) < 8", "false")
            .replace("left(name, 1) || '*****'", "name"),
        ),
        {"shown"},
    ),
    "plain hash": ((customers("encode(sha256(convert_to(email, 'UTF8')), 'hex')"),), {"unkeyed"}),
    "mask that keeps the order": (
        (customers("'p_' || lpad((rank() OVER (ORDER BY email))::text, 9, '0')"),),
        {"order"},
    ),
    "value in the definition": (
        (orders(f"region = 'north' AND buyer <> 'buyer{md5('2b')}'"),),
        {"definitions", "explain", "debug-output"},
    ),
    "filter by a setting": (
        (orders("region = coalesce(current_setting('app.region', true), 'north')"),),
        {"filter"},
    ),
    "function that resolves names at run time": (
        (
            (
                "CREATE FUNCTION public.hide(text) RETURNS text LANGUAGE plpgsql AS"
                " $$ DECLARE x text := $1; BEGIN RETURN left(x, 1) || '***'; END $$"
            ),
            customers("public.hide(email)"),
        ),
        {"shadowing"},
    ),
    "function that finds other functions": (
        (
            (
                "CREATE FUNCTION public.hide(text) RETURNS text LANGUAGE plpgsql AS"
                " $$ BEGIN RETURN left($1, 1) || '***'; END $$"
            ),
            customers("public.hide(email)"),
            "GRANT CREATE ON SCHEMA public TO masked",
        ),
        {"shadowing"},
    ),
    "helper that shows values": (
        (
            (
                "CREATE FUNCTION app_masked.peek() RETURNS text LANGUAGE sql STABLE SECURITY"
                " DEFINER AS 'SELECT string_agg(email, '','') FROM app.customers'"
            ),
        ),
        {"definers"},
    ),
    "oracle": (
        (
            (
                "CREATE FUNCTION holdfast_mask.pseudonym(text) RETURNS text LANGUAGE sql STABLE"
                f" SECURITY DEFINER AS $hf$ SELECT {KEYED.format('$1')} $hf$"
            ),
        ),
        {"definers"},
    ),
    "person by a setting": (
        (
            (
                "CREATE OR REPLACE FUNCTION holdfast_mask.person() RETURNS text LANGUAGE sql"
                " STABLE AS $$ SELECT pg_catalog.current_setting('holdfast.person', true) $$"
            ),
        ),
        {"person"},
    ),
    "person by names that can be hidden": (
        (
            (
                "CREATE OR REPLACE FUNCTION holdfast_mask.person() RETURNS text LANGUAGE plpgsql"
                " STABLE AS $$ BEGIN RETURN (SELECT shobj_description(oid, 'pg_authid') FROM"
                " pg_roles WHERE rolname = session_user); END $$"
            ),
        ),
        {"person"},
    ),
    "key that all may read": (("GRANT SELECT ON holdfast_mask.key TO PUBLIC",), {"key"}),
    "view that the lease owns": (
        (
            "GRANT CREATE ON SCHEMA app_masked TO masked",
            "ALTER VIEW app_masked.customers OWNER TO masked",
        ),
        {"view-changes", "rights"},
    ),
    "membership in the views' owner": (
        ("GRANT holdfast_mask_0 TO masked",),
        {"roles", "rights", "view-changes", "key"},
    ),
    "writes": (
        (OPEN[0], "GRANT UPDATE (note), INSERT, DELETE, SELECT ON app.customers TO masked"),
        {"writes", "rights"},
    ),
    "trigger": (("GRANT TRIGGER ON app.customers TO masked",), {"rights"}),
    "page functions": (
        (
            "CREATE EXTENSION pgstattuple",
            "GRANT EXECUTE ON FUNCTION pgstattuple(regclass) TO masked",
            OPEN[0],
        ),
        {"base-pages"},
    ),
    "predefined role": (("GRANT pg_read_all_stats TO masked",), {"attributes"}),
    "attribute": ((f"ALTER ROLE {ROLE} CREATEDB",), {"attributes"}),
    "file function": (("GRANT EXECUTE ON FUNCTION pg_read_file(text) TO masked",), {"files"}),
    "programs": (("GRANT pg_execute_server_program TO masked",), {"programs", "attributes"}),
    "foreign data wrapper": (
        (
            "CREATE EXTENSION postgres_fdw",
            "GRANT USAGE ON FOREIGN DATA WRAPPER postgres_fdw TO masked",
        ),
        {"foreign-data"},
    ),
    "large object": (
        (
            f"DO $$ BEGIN PERFORM lo_from_bytea(4711, '{EMAIL}'); END $$",
            "GRANT SELECT ON LARGE OBJECT 4711 TO masked",
        ),
        {"large-objects"},
    ),
    "large objects": (("GRANT SELECT ON pg_largeobject TO masked",), {"large-objects"}),
    "replication": ((f"ALTER ROLE {ROLE} REPLICATION",), {"replication", "attributes"}),
}
ELSEWHERE = {
    "activity",  # test_values_in_other_sessions_are_found
    "listen",  # test_values_in_notifications_are_found
    "server-version",  # an old server is never a leak that was seen: it is untold
}


@pytest.mark.parametrize("name", BROKEN)
def test_attack_tells_what_it_looks_for(place, name):
    statements, attacks = BROKEN[name]
    if name == "security invoker" and place.major < 15:
        pytest.skip("views have no security_invoker before 15")
    missing = place.unavailable(statements)
    if missing:
        pytest.skip(f"this build of the server has no {missing}")
    place.run(*statements)
    wanted = attacks if place.has_xml else attacks - {"xml"}
    assert wanted - place.leaked(*wanted) == set()


def test_every_attack_is_seen_to_fail():
    told = set().union(*(attacks for _, attacks in BROKEN.values()))
    assert told | ELSEWHERE == {one.id for one in ATTACKS}


def test_values_in_other_sessions_are_found(place):
    place.run("GRANT pg_read_all_stats TO masked")
    with psycopg.connect(place.database.dsn) as other:
        other.execute(f"SELECT '{EMAIL}'")
        assert place.leaked("activity") == {"activity"}


def test_values_in_notifications_are_found(place):
    def tell(step):
        if not step:
            place.run(f"NOTIFY customers, '{EMAIL}'")

    assert place.leaked("listen", tell=tell) == {"listen"}


HOSTILE = """
CREATE TYPE app.mood AS ENUM ('delighted', 'miserable');
CREATE TYPE app.place AS (street text, town text);
CREATE DOMAIN app.mail AS text;
CREATE TABLE app."we{{ird}} %s ""t"" 'x'" (
    "i{{d}} %s" bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    "Cle""ar" app.mood, document jsonb, old json, raw bytea, tags text[], home app.place,
    span daterange, host inet, token uuid, at timestamptz, amount numeric, ratio float8, ok boolean,
    long text GENERATED ALWAYS AS (repeat('secret-word', 3)) STORED, mail app.mail, "select" point
);
INSERT INTO app."we{{ird}} %s ""t"" 'x'" SELECT FROM generate_series(1, 12);
UPDATE app."we{{ird}} %s ""t"" 'x'" SET "Cle""ar" = 'delighted',
    document = jsonb_build_object('card', 'card-' || md5("i{{d}} %s"::text)),
    old = '{{"a": ["old-value-here"]}}', raw = decode(md5('raw'), 'hex'),
    tags = ARRAY['tag-number-one', NULL], home = ROW('Elm Street 12', 'Springwood'),
    span = '[2001-02-03,2001-03-04)', host = '203.0.113.77',
    token = md5("i{{d}} %s"::text)::uuid, at = '1999-12-31 23:59:58+00', amount = 1234567.891,
    ratio = 0.123456789, ok = true, mail = 'user' || "i{{d}} %s" || '@hostile.example',
    "select" = '(1234567,7654321)';
CREATE TABLE app.parted (id integer, born date, word text) PARTITION BY RANGE (id);
CREATE TABLE app.parted_1 PARTITION OF app.parted FOR VALUES FROM (0) TO (10);
CREATE TABLE app.parted_2 PARTITION OF app.parted FOR VALUES FROM (10) TO (20);
INSERT INTO app.parted SELECT n, date '1970-05-06' + n, 'word-' || md5(n::text)
    FROM generate_series(1, 19) AS n;
GRANT SELECT ON app."we{{ird}} %s ""t"" 'x'", app.parted TO holdfast_mask_0;
GRANT USAGE ON TYPE app.mood, app.place, app.mail TO PUBLIC;
CREATE VIEW app_masked."we{{ird}} %s ""t"" 'x'" WITH (security_barrier) AS SELECT "i{{d}} %s",
    "Cle""ar", NULL::jsonb AS document, NULL::json AS old, NULL::bytea AS raw,
    NULL::text[] AS tags, NULL::app.place AS home, NULL::daterange AS span, NULL::inet AS host,
    'f0000000-0000-0000-0000-000000000000'::uuid AS token,
    date_trunc('year', at) AS at, trunc(amount, -3) AS amount, NULL::float8 AS ratio,
    ok AS ok, {mail} AS mail FROM app."we{{ird}} %s ""t"" 'x'";
CREATE VIEW app_masked.parted WITH (security_barrier) AS SELECT id, {word} AS word FROM app.parted;
ALTER VIEW app_masked."we{{ird}} %s ""t"" 'x'" OWNER TO holdfast_mask_0;
ALTER VIEW app_masked.parted OWNER TO holdfast_mask_0;
GRANT SELECT ON ALL TABLES IN SCHEMA app_masked TO masked;
""".format(mail=KEYED.format("mail"), word=KEYED.format("word"))
NULLS = ("document", "old", "raw", "tags", "home", "span", "host")
WEIRD = Exposed(
    schema="app",
    name="we{ird} %s \"t\" 'x'",
    view_schema="app_masked",
    shown={
        "i{d} %s": "clear",
        'Cle"ar': "clear",
        **dict.fromkeys(NULLS, "null"),
        "token": "constant",
        "at": "generalise",
        "amount": "bucket",
        "ratio": "null",
        "ok": "clear",
        "mail": "pseudonym",
    },
    left_out=("long", "select"),
)
PARTED = Exposed(
    schema="app",
    name="parted",
    view_schema="app_masked",
    shown={"id": "clear", "word": "pseudonym"},
    left_out=("born",),
)


def test_every_type_and_name_can_be_attacked(place):
    place.run(HOSTILE)
    found = place.check((WEIRD, PARTED))
    assert [one for one in found.values() if one.verdict != "held"] == []


DENSE = """
CREATE TABLE app.dense AS SELECT n AS id, date '2000-01-01' + n AS born,
    (500000 + n)::text AS code, 1000000 + n AS amount, 'phrase ' || md5(n::text) AS note,
    7000000 + n AS number, 7000000 + 3001 - n AS parent
    FROM generate_series(1, 3000) AS n;
ALTER TABLE app.dense OWNER TO app_owner;
GRANT SELECT ON app.dense TO holdfast_mask_0;
CREATE VIEW app_masked.dense WITH (security_barrier) AS SELECT id, number, born + 400 AS born,
    (500000 + (id * 1009) % 3000)::text AS code, 1000000 + (id * 7) % 3000 AS amount FROM app.dense;
ALTER VIEW app_masked.dense OWNER TO holdfast_mask_0;
GRANT SELECT ON app_masked.dense TO masked;
ANALYZE app.dense;
"""


def test_masked_values_that_are_clear_ones_of_other_rows_are_no_leak(place):
    place.run(DENSE)
    shown = {"id": "clear", "number": "clear", "born": "shift", "code": "digits", "amount": "noise"}
    dense = Exposed(
        schema="app",
        name="dense",
        view_schema="app_masked",
        shown=shown,
        left_out=("note", "parent"),
    )
    found = place.check((dense,))
    assert "leaked" not in {one.verdict for one in found.values()}
    assert {one.verdict for one in found.values()} == {"held"}
    lacking = "no value could be looked for of parent: none, too short, shown, or of a view"
    assert lacking in {one.why for one in found.values()}


def test_a_partition_that_may_be_read_is_told(place):
    place.run(HOSTILE, OPEN[0], "GRANT SELECT ON app.parted_2 TO masked")
    found = place.check((PARTED,))
    assert found["base-parts", "app.parted"].verdict == "leaked"
    assert found["base-read", "app.parted"].verdict == "held"


def test_elements_of_documents_and_arrays_are_told(place):
    place.run(
        HOSTILE,
        "CREATE FUNCTION app_masked.f() RETURNS text LANGUAGE sql STABLE SECURITY"
        " DEFINER AS 'SELECT tags[1] FROM app.\"we{ird} %s \"\"t\"\" ''x''\" LIMIT 1'",
    )
    found = place.check((WEIRD,), only=("definers",))
    assert found["definers", ""].verdict == "leaked"
    assert "tags" in found["definers", ""].why


def test_what_has_no_value_at_all_is_never_held_and_a_column_without_is_told(place):
    place.run("UPDATE app.customers SET note = NULL, card = 'ab'", "DELETE FROM app.orders")
    found = place.check()
    for name in ("shown", "leaky-function", "explain", "xml", "whole-rows", "guesses"):
        customers_of = found[name, "app.customers"]
        if name != "guesses" and (name != "xml" or place.has_xml):
            assert (customers_of.verdict, "card, note" in customers_of.why) == ("held", True)
            assert found[name, "app.orders"].verdict == "untold"
    assert found["base-read", "app.orders"].verdict == "held"
    assert found["rights", "app.customers"].verdict == "held"
    assert "leaked" not in {one.verdict for one in found.values()}


def test_rows_that_the_lease_does_not_see_judge_nothing(place):
    place.run(orders("region = 'nowhere'"))
    found = place.check()
    assert found["leaky-function", "app.orders"].verdict == "untold"
    assert "rows that this lease sees" in found["shown", "app.orders"].why


def test_a_view_that_is_not_there_is_untold(place):
    place.run("REVOKE SELECT ON app_masked.orders FROM masked", "DROP VIEW app_masked.customers")
    found = place.check()
    assert {one.verdict for (_, where), one in found.items() if where} == {"untold"}
    assert "lease cannot read the view" in found["shown", "app.orders"].why
    assert "not there" in found["shown", "app.customers"].why


def test_time_that_is_over_is_untold(place):
    ticks = iter(range(1_000))
    found = place.check(seconds=3, now=lambda: next(ticks))
    assert found["shown", "app.customers"].verdict == "held"
    assert found["server-version", ""].verdict == "untold"
    assert "3 seconds" in found["server-version", ""].why


def test_a_session_that_is_ended_is_untold_and_the_next_attack_goes_on(place):
    place.run(
        "CREATE FUNCTION app_masked.die() RETURNS boolean LANGUAGE sql STABLE SECURITY DEFINER AS"
        " 'SELECT pg_terminate_backend(pg_backend_pid()) FROM app.customers LIMIT 1'"
    )
    found = place.check(only=("definers", "key", "person"))
    assert found["definers", ""].verdict == "untold"
    assert "session was lost" in found["definers", ""].why
    assert {found["key", ""].verdict, found["person", ""].verdict} == {"held"}


def test_a_statement_that_takes_too_long_is_untold(place):
    place.run(
        "CREATE FUNCTION app_masked.slow() RETURNS text LANGUAGE sql STABLE SECURITY DEFINER AS"
        " 'SELECT pg_sleep(60)::text FROM app.customers LIMIT 1'"
    )
    found = place.check(only=("definers",))
    assert found["definers", ""].verdict == "untold"


def test_nothing_is_changed_at_the_target(place):
    owned, _ = BROKEN["view that the lease owns"]
    place.run(*OPEN, "GRANT ALL ON ALL TABLES IN SCHEMA app TO masked", *owned)
    before = place.database.scan()
    rows = "SELECT md5(string_agg(c::text, ',')) FROM app.customers AS c"
    digest = place.database.value(rows)
    clear = place.values()
    place.check(clear=clear)
    assert place.database.scan().data == before.data
    assert place.database.value(rows) == digest
    held = "SELECT count(*) FROM pg_stat_activity WHERE usename = 'hf_masked'"
    assert place.database.value(held) == 0
    assert place.database.value("SELECT count(*) FROM pg_largeobject_metadata") == 0


def test_a_filter_by_a_setting_is_told_by_rows_too(place):
    place.run(
        "CREATE TABLE app.tiny AS SELECT n AS id, 'o' || n % 2 AS own FROM generate_series(1, 9) n",
        "CREATE VIEW app_masked.tiny WITH (security_barrier) AS SELECT id, own FROM app.tiny"
        " WHERE own = coalesce(current_setting('app.own', true), 'o1')",
        "GRANT SELECT ON app_masked.tiny TO masked",
    )
    shown = {"id": "clear", "own": "clear"}
    tiny = Exposed(
        schema="app",
        name="tiny",
        view_schema="app_masked",
        shown=shown,
        left_out=(),
        filtered=True,
    )
    found = place.check((tiny,), only=("filter",))["filter", "app.tiny"]
    assert (found.verdict, found.why) == ("leaked", "the view shows other rows after SET app.own")


def test_a_lock_of_another_session_is_waited_for_shortly(place):
    with psycopg.connect(place.database.dsn) as other:
        other.execute("LOCK TABLE app.customers IN SHARE ROW EXCLUSIVE MODE")
        found = place.check(only=("writes", "base-read", "rights", "view-changes", "leaky-plans"))
    for name in ("writes", "view-changes"):  # both name the table as one that is written to
        assert found.pop((name, "app.customers")).why == "another session held a lock"
    assert [one for one in found.values() if one.verdict != "held"] == []


def test_no_outcome_shows_a_value(place):
    place.run(*OPEN, customers("email"), orders("region = 'north'", barrier=False))
    clear = place.values()
    said = " ".join(one.why for one in place.check(clear=clear).values())
    shown = {v for rows in clear.rows.values() for row in rows for v in row.values() if v}
    assert [one for one in shown if len(one) > 5 and one in said] == []
    assert [one for one in clear.keys if one in said] == []


def test_clear_values_do_not_reach_the_server_s_log(place):
    place.run(f"ALTER ROLE {ROLE} SET log_statement = 'all'")
    clear = place.values()
    log = place.database.server.folder / "server.log"
    before = log.stat().st_size
    place.check(clear=clear)
    said = log.read_bytes()[before:].decode()
    assert "hf_probe" in said
    hidden = {row["reference"] for row in clear.rows["app", "orders"] if row["region"] != "north"}
    masked = {
        value
        for one in EXPOSED
        for row in clear.rows[one.schema, one.name]
        for name, value in row.items()
        if name in one.concealed
    }
    assert [one for one in hidden | masked if one in said] == []


def test_values_are_not_shown_and_are_read_by_those_alone_who_see_all_rows(place):
    clear = place.values(rows=10)
    assert len(clear.rows["app", "orders"]) == 10
    assert clear.keys[0] == md5("i") * 4
    assert "@" not in repr(clear) + str(clear)
    place.run(
        "ALTER TABLE app.orders ENABLE ROW LEVEL SECURITY",
        "CREATE POLICY p ON app.orders USING (id < 5)",
        "CREATE ROLE reader LOGIN PASSWORD 'x'",
        *(one.replace("TO masked", "TO reader") for one in OPEN),
    )
    with pytest.raises(NotPermitted):
        attack.values(place.database.as_role("reader", "x"), EXPOSED)


def test_a_lease_that_cannot_connect_is_no_outcome(place):
    place.run(f"ALTER ROLE {ROLE} NOLOGIN")
    with pytest.raises(CouldNotTell):
        place.check()


@pytest.mark.parametrize(
    ("version", "named"),
    [(130021, {"CVE-2025-8713"}), (130022, set()), (170005, {"CVE-2025-8713"}), (180000, set())],
)
def test_old_minor_versions_are_told(version, named):
    assert {one.split(":")[0] for one in faults(version)} == named


TRAPS = """
CREATE TYPE app.mood AS ENUM ('sad and blue', 'very merry');
CREATE FUNCTION app.told(app.mood) RETURNS text LANGUAGE plpgsql AS
    $$ BEGIN RAISE EXCEPTION 'a cast ran'; END $$;
CREATE CAST (app.mood AS text) WITH FUNCTION app.told(app.mood);
CREATE TABLE app.trap (id int, mood app.mood);
INSERT INTO app.trap VALUES (1, 'very merry');
CREATE FUNCTION app.seen() RETURNS text LANGUAGE plpgsql AS
    $$ BEGIN RAISE EXCEPTION 'a view ran'; END $$;
CREATE VIEW app.trapped AS SELECT id, app.seen() AS word FROM app.trap;
"""


def test_clear_values_are_read_without_running_the_owners_code(place):
    place.run(TRAPS)
    exposed = [
        Exposed(schema="app", name=name, view_schema="app_masked", shown=shown, left_out=())
        for name, shown in (("trap", {"mood": "null"}), ("trapped", {"word": "null"}))
    ]
    found = attack.values(place.database.dsn, exposed)
    assert found.rows == {("app", "trap"): [{"mood": "very merry"}]}
