"""Issuing: what a lease may do, and what it may not, at a real server."""

import psycopg
import pytest
from msgspec.structs import replace
from psycopg import errors, sql
from support.cluster import PROFILES, UNTIL, scopes

from chalicelib.access.profile import Profile, Table
from chalicelib.kernel.errors import (
    Conflict,
    NotAllowed,
    NotFound,
    NotPermitted,
    UsageError,
)
from chalicelib.postgres.install import Wanted


def test_lease_reads_what_its_scope_names_and_nothing_else(cluster):
    _, credential = cluster.lease("read-clear", "app.orders")
    with cluster.connect(credential) as session:
        assert session.execute("SELECT customer FROM orders").fetchone() == ("ana",)
        for table in ("app.customers", "app.secrets"):
            with pytest.raises(errors.InsufficientPrivilege):
                session.execute(f"SELECT * FROM {table}")
        session.execute("SET default_transaction_read_only = off")
        for statement in (
            "INSERT INTO app.orders (customer) VALUES ('x')",
            "UPDATE app.orders SET customer = 'x'",
            "DELETE FROM app.orders",
            "TRUNCATE app.orders",
        ):
            with pytest.raises(errors.InsufficientPrivilege):
                session.execute(statement)


def test_writing_lease_gets_the_sequences_of_its_tables(cluster):
    _, credential = cluster.lease("write", "app.orders")
    with cluster.connect(credential) as session:
        session.execute("INSERT INTO orders (customer) VALUES ('bo')")
        assert session.execute("SELECT count(*) FROM orders").fetchone() == (2,)
        with pytest.raises(errors.InsufficientPrivilege):
            session.execute("INSERT INTO app.customers VALUES (1, 'x')")


def test_lease_without_tables_gets_what_was_installed_and_what_comes_after(cluster):
    _, credential = cluster.lease("read-clear")
    cluster.run("SET ROLE app_owner; CREATE TABLE app.later AS SELECT 1 AS one")
    with cluster.connect(credential) as session:
        assert session.execute("SELECT word FROM secrets").fetchone() == ("hidden",)
        assert session.execute("SELECT one FROM later").fetchone() == (1,)


def test_star_is_every_table_of_the_schema_as_it_is_now(cluster):
    _, credential = cluster.lease("read-clear", "app.*")
    cluster.run("SET ROLE app_owner; CREATE TABLE app.later AS SELECT 1 AS one")
    with cluster.connect(credential) as session:
        session.execute("SELECT * FROM secrets, orders, customers")
        with pytest.raises(errors.InsufficientPrivilege):
            session.execute("SELECT * FROM later")


def test_masked_lease_reads_the_views_and_never_the_tables(cluster):
    _, credential = cluster.lease("read-masked", "app.orders")
    with cluster.connect(credential) as session:
        assert session.execute("SELECT email FROM orders").fetchone() == ("***",)
        with pytest.raises(errors.InsufficientPrivilege):
            session.execute("SELECT email FROM app.orders")


def test_masked_lease_without_tables_reads_every_view(cluster):
    _, credential = cluster.lease("read-masked")
    with cluster.connect(credential) as session:
        assert session.execute("SELECT email FROM orders").fetchone() == ("***",)
        for table in ("app.orders", "app.secrets"):
            with pytest.raises(errors.InsufficientPrivilege):
                session.execute(f"SELECT * FROM {table}")


def test_table_without_a_masking_view_is_not_found_rather_than_shown(cluster):
    with pytest.raises(NotFound, match=r"no masking view for app\.secrets"):
        cluster.grantor().plan(cluster.terms("read-masked", "app.secrets"))
    with pytest.raises(NotFound, match=r"no masking view for none\.\*"):
        cluster.grantor().plan(cluster.terms("read-masked", "none.*"))


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ("ALTER VIEW app_masked.orders RESET (security_barrier)", "no security_barrier"),
        (
            "DROP VIEW app_masked.orders; CREATE TABLE app_masked.orders (id integer)",
            "is no view",
        ),
        ("GRANT SELECT ON app.orders TO PUBLIC", "so every lease, may read"),
        ("GRANT SELECT (email) ON app.orders TO PUBLIC", "so every lease, may read"),
        ("GRANT SELECT (email) ON app.orders TO holdfast_lease", "so every lease, may read"),
        ("ALTER TABLE app.orders ENABLE ROW LEVEL SECURITY", "row security"),
    ],
)
@pytest.mark.parametrize("tables", [("app.orders",), ()], ids=["scope", "all"])
def test_view_that_does_not_hide_is_refused(cluster, change, why, tables):
    cluster.run(f"SET ROLE app_owner; {change}")
    cluster.install()
    with pytest.raises(NotAllowed, match=why):
        cluster.grantor().plan(cluster.terms("read-masked", *tables))


def test_view_that_reads_as_its_caller_is_refused(cluster):
    if cluster.major < 15:
        pytest.skip("security_invoker is there from 15 on")
    cluster.run("ALTER VIEW app_masked.orders SET (security_invoker = true)")
    with pytest.raises(NotAllowed, match="reads as its caller"):
        cluster.grantor().plan(cluster.terms("read-masked", "app.orders"))


def test_row_security_that_binds_the_owner_too_is_no_reason_to_refuse(cluster):
    cluster.run(
        "ALTER TABLE app.orders ENABLE ROW LEVEL SECURITY",
        "ALTER TABLE app.orders FORCE ROW LEVEL SECURITY",
    )
    cluster.grantor().plan(cluster.terms("read-masked", "app.orders"))


def test_unknown_table_and_table_beyond_the_installation(cluster):
    cluster.run("CREATE SCHEMA elsewhere; CREATE TABLE elsewhere.t ()")
    grantor = cluster.grantor()
    with pytest.raises(NotFound, match=r"no table app\.nothing"):
        grantor.plan(cluster.terms("write", "app.nothing"))
    with pytest.raises(NotPermitted, match="may not grant"):
        grantor.plan(cluster.terms("write", "elsewhere.t"))
    cluster.run(f"CREATE TABLE app.{'x' * 63} ()")
    with pytest.raises(NotFound):  # one byte longer than the name that the server would make of it
        grantor.plan(cluster.terms("write", f"app.{'x' * 64}"))


def test_plan_is_data_without_a_secret_and_equal_for_equal_terms(cluster):
    grantor = cluster.grantor(make_password=lambda: "the-secret-password")
    terms = cluster.terms("write", "app.orders")
    plan = grantor.plan(terms)
    assert plan == grantor.plan(terms)
    assert plan.sha256 == grantor.plan(terms).sha256
    assert plan.assumes["role"] == "absent"
    grantor.issue(plan, terms)
    assert "the-secret-password" not in repr(plan)


@pytest.mark.parametrize(
    "change",
    [
        "DROP TABLE app.orders CASCADE",
        "DROP TABLE app.orders CASCADE; CREATE TABLE app.orders (id serial)",
        "ALTER TABLE app.orders RENAME TO orders_old; CREATE TABLE app.orders ()",
        "REVOKE SELECT ON app.orders FROM holdfast_grantor CASCADE",
    ],
)
def test_plan_that_assumes_what_is_not_so_any_more_is_not_run(cluster, change):
    grantor = cluster.grantor()
    terms = cluster.terms("write", "app.orders")
    plan = grantor.plan(terms)
    cluster.run(f"SET ROLE app_owner; {change}")
    with pytest.raises((Conflict, NotFound, NotPermitted)):
        grantor.issue(plan, terms)
    assert cluster.oid(terms.role) is None
    assert scopes(cluster) == []


def test_plan_of_other_terms_is_not_run(cluster):
    grantor = cluster.grantor()
    plan = grantor.plan(cluster.terms("read-clear", "app.orders"))
    with pytest.raises(Conflict):
        grantor.issue(plan, cluster.terms("write", "app.orders"))


def test_role_that_is_there_is_a_conflict(cluster):
    terms, _ = cluster.lease("write", "app.orders")
    grantor = cluster.grantor()
    with pytest.raises(Conflict, match="is there already"):
        grantor.issue(grantor.plan(terms), terms)


def test_equal_scopes_share_one_group_and_the_tables_one_entry(cluster):
    one, _ = cluster.lease("write", "app.orders", lease="L1")
    size = cluster.value(
        "SELECT cardinality(relacl) FROM pg_class WHERE relname = 'orders' AND relkind = 'r'"
    )
    two, credential = cluster.lease("write", "app.orders", lease="L2")
    other, _ = cluster.lease("read-clear", "app.orders", lease="L3")
    assert len(scopes(cluster)) == 2
    assert (
        cluster.value(
            "SELECT cardinality(relacl) FROM pg_class WHERE relname = 'orders' AND relkind = 'r'"
        )
        == size + 1
    )
    cluster.end(one)
    with cluster.connect(credential) as session:
        session.execute("SELECT * FROM orders")
    cluster.end(two)
    assert len(scopes(cluster)) == 1
    cluster.end(other)
    assert scopes(cluster) == []
    assert (
        cluster.value(
            "SELECT cardinality(relacl) FROM pg_class WHERE relname = 'orders' AND relkind = 'r'"
        )
        == size - 1
    )


def test_scope_that_lost_a_privilege_is_made_whole(cluster):
    cluster.lease("read-clear", "app.orders", lease="L1")
    (name,) = scopes(cluster)
    cluster.run(f"SET ROLE holdfast_grantor; REVOKE SELECT ON app.orders FROM {name}")
    _, credential = cluster.lease("read-clear", "app.orders", lease="L2")
    with cluster.connect(credential) as session:
        session.execute("SELECT * FROM orders")


def test_scope_that_was_given_more_is_not_handed_out(cluster):
    cluster.lease("read-clear", "app.orders", lease="L1")
    (name,) = scopes(cluster)
    cluster.run(f"SET ROLE holdfast_grantor; GRANT SELECT ON app.secrets TO {name}")
    with pytest.raises(NotAllowed, match="1 privileges more"):
        cluster.lease("read-clear", "app.orders", lease="L2")


def test_role_has_its_limits_and_says_whose_it_is(cluster):
    terms, _ = cluster.lease("read-clear", "app.orders")
    until, limit, login = cluster.rows(
        "SELECT rolvaliduntil::text, rolconnlimit, rolcanlogin FROM pg_roles WHERE rolname = %s",
        terms.role,
    )[0]
    assert (until[:10], limit, login) == ("2099-01-01", 5, True)
    settings = cluster.value(
        "SELECT setconfig FROM pg_db_role_setting WHERE setrole = %s", cluster.oid(terms.role)
    )
    assert (
        set(settings)
        == {
            "default_transaction_read_only=on",
            "statement_timeout=300s",
            "idle_in_transaction_session_timeout=60s",
            "search_path=app",
        }
        or 'search_path="app"' in settings
    )
    comment = cluster.value("SELECT shobj_description(%s, 'pg_authid')", cluster.oid(terms.role))
    assert '"lease":"L1"' in comment
    assert '"holder":"person:ana"' in comment
    assert "SCRAM-SHA-256$" in cluster.value(
        "SELECT rolpassword FROM pg_authid WHERE rolname = %s", terms.role
    )


def test_lease_has_no_privilege_of_its_own(cluster):
    terms, _ = cluster.lease("write", "app.orders")
    assert (
        cluster.value(
            "SELECT count(*) FROM pg_shdepend WHERE refobjid = %s", cluster.oid(terms.role)
        )
        == 0
    )


def test_password_never_reaches_the_server_s_log(cluster):
    passwords = iter(["first-secret-word", "second-secret-word"])
    grantor = cluster.grantor(make_password=lambda: next(passwords))
    terms = cluster.terms("write", "app.orders")
    grantor.issue(grantor.plan(terms), terms)
    grantor.refresh(terms)
    assert 'CREATE ROLE "hf_l1"' in cluster.log
    assert "secret-word" not in cluster.log
    assert "the-broker" not in cluster.log


def test_refreshed_password_opens_and_the_one_before_does_not(cluster):
    terms, before = cluster.lease("write", "app.orders")
    after = cluster.grantor().refresh(terms)
    with cluster.connect(after) as session:
        assert session.execute("SELECT current_user").fetchone() == (terms.role,)
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        cluster.connect(before)


def test_extended_lease_ends_later_and_says_so(cluster):
    _terms, credential = cluster.lease("write", "app.orders", until="2001-01-01T00:00:00.000000Z")
    with pytest.raises(psycopg.OperationalError):
        cluster.connect(credential)
    later = cluster.terms("write", "app.orders", until=UNTIL)
    cluster.grantor().extend(later)
    cluster.connect(credential).close()
    assert [one.until for one in cluster.grantor().orphans(())] == [UNTIL]


def test_refresh_and_extend_need_the_very_lease(cluster):
    terms, _ = cluster.lease("write", "app.orders")
    grantor = cluster.grantor()
    for other in (
        cluster.terms("write", "app.orders", lease="L9"),
        cluster.terms("write", "app.orders", lease="L9", role=terms.role),
        cluster.terms("write", "app.orders", role="app_owner"),
    ):
        for call in (grantor.refresh, grantor.extend):
            with pytest.raises(NotFound):
                call(other)
    cluster.end(terms)
    with pytest.raises(NotFound):
        grantor.refresh(terms)


def test_credential_names_the_address_of_a_pooler(cluster):
    terms = cluster.terms("write", "app.orders")
    grantor = cluster.grantor(address="pool.example.com:6432")
    fields = grantor.issue(grantor.plan(terms), terms).fields
    assert (fields["host"], fields["port"], fields["dbname"]) == (
        "pool.example.com",
        "6432",
        "shop",
    )


def test_lease_by_token_of_iam_has_no_password(cluster):
    cluster.run("CREATE ROLE rds_iam")
    if cluster.major >= 16:
        cluster.run("GRANT rds_iam TO holdfast_broker WITH ADMIN TRUE, INHERIT FALSE, SET FALSE")
    grantor = cluster.grantor(token=lambda host, port, user: f"token for {user} at {port}")
    terms = cluster.terms("write", "app.orders")
    credential = grantor.issue(grantor.plan(terms), terms)
    assert credential.kind == "rds"
    assert credential.fields["password"] == f"token for hf_l1 at {cluster.server.port}"
    assert cluster.value("SELECT rolpassword FROM pg_authid WHERE rolname = 'hf_l1'") is None
    assert cluster.value("SELECT pg_has_role('hf_l1', 'rds_iam', 'USAGE')")
    cluster.end(terms)


def test_session_of_a_profile_with_a_role_starts_as_it(cluster):
    _, credential = cluster.lease("own")
    with cluster.connect(credential) as session:
        assert session.execute("SELECT current_user, session_user").fetchone() == (
            "app_owner",
            "hf_l1",
        )
        session.execute("CREATE TABLE app.made (id integer)")
    assert cluster.value("SELECT tableowner FROM pg_tables WHERE tablename = 'made'") == "app_owner"


@pytest.mark.parametrize(
    "role",
    ["holdfast_grantor", "holdfast_graveyard", "pg_execute_server_program", "chief", "under"],
)
def test_profile_does_not_lead_to_more_than_data(cluster, role):
    cluster.run("CREATE ROLE chief CREATEROLE; CREATE ROLE under; GRANT chief TO under")
    profile = Profile(roles=(role,), tables="none")
    with pytest.raises(NotAllowed, match="leads to"):
        cluster.grantor().plan(cluster.terms("own", profile=profile))


def test_profile_with_roles_that_are_not_there(cluster):
    with pytest.raises(NotFound, match="nobody"):
        cluster.grantor().plan(cluster.terms("own", profile=Profile(roles=("nobody",))))
    with pytest.raises(UsageError, match="set_role"):
        cluster.grantor().plan(cluster.terms("own", profile=Profile(set_role="makers")))


def test_profile_that_changed_since_the_installation_is_not_issued(cluster):
    wider = Profile(privileges=("SELECT", "DELETE"))
    with pytest.raises(NotPermitted, match="other privileges"):
        cluster.grantor().plan(cluster.terms("read-clear", profile=wider))
    other = replace(cluster.terms("write"), profile_name="elsewhere")
    with pytest.raises(NotFound, match="not installed"):
        cluster.grantor().plan(other)


def test_privileges_are_words_and_no_text(cluster):
    profile = Profile(privileges=("SELECT ON ALL TABLES IN SCHEMA app TO PUBLIC; --",))
    for tables in ((), ("app.orders",)):
        with pytest.raises(UsageError, match="privileges of a profile"):
            cluster.grantor().plan(cluster.terms("write", *tables, profile=profile))


def test_log_statement_is_set_where_the_broker_may(cluster):
    terms, _ = cluster.lease("watched")
    plan = cluster.grantor().plan(cluster.terms("watched", lease="L2"))
    settings = cluster.value(
        "SELECT array_to_string(setconfig, ' ') FROM pg_db_role_setting WHERE setrole = %s",
        cluster.oid(terms.role),
    )
    if cluster.major >= 15:
        assert plan.assumes["log_statement"] == "set"
        assert "log_statement=all" in settings
        cluster.run("REVOKE SET ON PARAMETER log_statement FROM holdfast_broker")
        plan = cluster.grantor().plan(cluster.terms("watched", lease="L2"))
    assert plan.assumes["log_statement"] == "not permitted"


HOSTILE = [
    'quo"te',
    "apo'strophe",
    "new\nline",
    "emoji 🦉",
    "'; DROP TABLE app.orders; --",
    "x" * 63,
    "é" * 31,
    "%s %(name)s {name} {0}",
    "UPPER",
    "with.dot",
    "back\\slash",
    "PUBLIC",
    "select",
]


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_names_are_names(cluster, name):
    schema = name[:50] if name.isascii() else name[:20]
    parts = {"s": sql.Identifier(schema), "t": sql.Identifier(name)}
    cluster.run(
        *(
            sql.SQL(one).format(**parts)
            for one in (
                "CREATE SCHEMA {s} AUTHORIZATION app_owner",
                "CREATE TABLE {s}.{t} ({t} serial)",
                "ALTER TABLE {s}.{t} OWNER TO app_owner",
                "CREATE ROLE {t} NOLOGIN",
            )
        )
    )
    profile = Profile(privileges=("SELECT", "INSERT"), read_only=False, roles=(name,))
    cluster.install(Wanted(schemas=(schema,), profiles={"odd": profile}, owners=("app_owner",)))
    terms = cluster.terms("write", profile=profile, role="hf_" + "x" * 60)
    terms = replace(terms, profile_name="odd", tables=(Table(schema, name),))
    grantor = cluster.grantor()
    credential = grantor.issue(grantor.plan(terms), terms)
    with cluster.connect(credential) as session:
        session.execute(sql.SQL("INSERT INTO {t} DEFAULT VALUES").format(**parts))
        assert session.execute(sql.SQL("SELECT * FROM {s}.{t}").format(**parts)).fetchall() == [
            (1,)
        ]
    result = cluster.end(terms)
    assert set(result["verified"].values()) == {0}
    assert scopes(cluster) == []


def test_profiles_of_the_tests_are_what_is_installed(cluster):
    assert set(PROFILES) > {"read-masked", "read-clear", "write", "migrate"}


def test_another_secret_is_good_for_as_long_as_the_lease_is_by_the_log(cluster):
    """A renewal was recorded, and the server did not hear of it."""
    terms, _ = cluster.lease("read-clear", "app.orders")
    later = replace(terms, until="2099-02-01T00:00:00.000000Z")
    cluster.grantor().refresh(later)
    query = "SELECT rolvaliduntil = %s::timestamptz FROM pg_roles WHERE rolname = %s"
    assert cluster.value(query, later.until, terms.role)
