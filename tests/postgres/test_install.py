"""Installing: reviewable, idempotent, without superuser, and no more than what is needed."""

import psycopg
import pytest
from msgspec.structs import replace
from psycopg import errors, sql
from support.cluster import PASSWORD, PROFILES, WANTED, scopes

from chalicelib.access.profile import SHIPPED, Profile
from chalicelib.kernel.errors import NotFound, NotPermitted, UsageError
from chalicelib.postgres.install import Facts, Role, Wanted, statements

STATE = (
    "SELECT rolname, rolsuper, rolcanlogin, rolcreaterole, rolconfig FROM pg_roles ORDER BY 1",
    "SELECT roleid::regrole, member::regrole, admin_option FROM pg_auth_members ORDER BY 1, 2",
    "SELECT relname, relacl::text FROM pg_class WHERE relacl IS NOT NULL ORDER BY 1, 2",
    "SELECT nspname, nspacl::text FROM pg_namespace ORDER BY 1",
    "SELECT datname, datacl::text FROM pg_database ORDER BY 1",
    "SELECT defaclrole, defaclobjtype, defaclacl::text FROM pg_default_acl ORDER BY 1, 2, 3",
    "SELECT description FROM pg_shdescription ORDER BY 1",
)
MASTER = "the-master's"


def _state(cluster):
    return [cluster.rows(query) for query in STATE]


def _master(cluster, *, owns=True):
    """A role as the master user of a managed server: CREATEROLE, no superuser."""
    cluster.run(
        f"CREATE ROLE master LOGIN CREATEROLE PASSWORD '{MASTER.replace(chr(39), chr(39) * 2)}'",
        "ALTER DATABASE shop OWNER TO master",
        *(["GRANT app_owner TO master WITH ADMIN OPTION"] if owns else []),
        "GRANT makers TO master WITH ADMIN OPTION",
    )
    return cluster.dsn(user="master", password=MASTER)


def test_installing_again_changes_nothing(bare):
    bare.install()
    before = _state(bare)
    bare.install()
    assert _state(bare) == before


def test_printing_changes_nothing_and_what_is_printed_can_be_run(bare):
    before = _state(bare)
    printed = bare.install(print_only=True)
    assert _state(bare) == before
    assert PASSWORD not in "".join(printed)
    assert not any("PASSWORD" in one for one in printed)
    bare.run(*printed)
    by_hand = _state(bare)
    ran = bare.install()
    assert _state(bare) == by_hand
    assert "…" in ran[-1]


def test_broker_is_no_superuser_and_reads_nothing_by_itself(cluster):
    attributes = cluster.rows(
        "SELECT rolsuper, rolcreaterole, rolcreatedb, rolreplication, rolbypassrls FROM pg_roles"
        " WHERE rolname = 'holdfast_broker'"
    )
    assert attributes == [(False, True, False, False, False)]
    with psycopg.connect(cluster.broker_dsn, autocommit=True) as session:
        for table in ("app.orders", "app.secrets", "app_masked.orders"):
            with pytest.raises(errors.InsufficientPrivilege):
                session.execute(f"SELECT * FROM {table}")


def test_password_of_the_broker_never_reaches_the_log(cluster):
    assert 'ALTER ROLE "holdfast_broker" PASSWORD' in cluster.log
    assert PASSWORD.replace("'", "''") not in cluster.log
    assert PASSWORD not in cluster.log


def test_groups_that_hold_something_cannot_log_in(cluster):
    assert cluster.rows(
        "SELECT rolname FROM pg_roles WHERE rolname LIKE 'holdfast%' AND rolcanlogin"
    ) == [("holdfast_broker",)]
    owned = "SELECT count(*) FROM pg_shdepend WHERE refobjid = 'holdfast_graveyard'::regrole"
    assert cluster.value(owned) == 0


def test_masked_group_has_the_views_alone(cluster):
    (name,) = (
        one
        for (one,) in cluster.rows("SELECT rolname FROM pg_roles")
        if one.endswith("read_masked")
    )
    assert cluster.value("SELECT has_table_privilege(%s, 'app_masked.orders', 'SELECT')", name)
    assert not cluster.value("SELECT has_any_column_privilege(%s, 'app.orders', 'SELECT')", name)
    assert not cluster.value("SELECT has_schema_privilege(%s, 'app', 'USAGE')", name)


def test_master_that_is_no_superuser_installs_and_the_broker_works(bare):
    master = _master(bare)
    profiles = {name: one for name, one in PROFILES.items() if name != "watched"}
    bare.install(replace(WANTED, profiles=profiles), dsn=master)
    bare.install(replace(WANTED, profiles=profiles), dsn=master)
    for name, tables in (("make", ("app.orders",)), ("read-masked", ()), ("own", ())):
        terms, credential = bare.lease(name, *tables)
        with bare.connect(credential) as session:
            session.execute("SELECT 1")
            if name == "make":
                session.execute("CREATE TABLE public.mine (id serial)")
                session.execute("CREATE FUNCTION public.f() RETURNS int LANGUAGE sql AS 'SELECT 1'")
        oid = bare.oid(terms.role)
        bare.end(terms)
        assert bare.residue(terms, oid) == {}


def test_master_without_the_rights_of_an_owner_is_told_what_to_grant(bare):
    master = _master(bare, owns=False)
    with pytest.raises(NotPermitted) as caught:
        bare.install(dsn=master)
    assert caught.value.next_step.startswith("GRANT app_owner TO master")
    assert scopes(bare) == []
    assert bare.oid("holdfast_lease") is None


def test_profile_that_was_narrowed_is_narrowed_at_the_target(cluster):
    narrow = {**PROFILES, "write": Profile(privileges=("SELECT",))}
    cluster.install(replace(WANTED, profiles=narrow))
    cluster.run("SET ROLE app_owner; CREATE TABLE app.later ()")
    terms = cluster.terms("write", profile=narrow["write"])
    grantor = cluster.grantor()
    with cluster.connect(grantor.issue(grantor.plan(terms), terms)) as session:
        session.execute("SELECT * FROM orders, later")
        session.execute("SET default_transaction_read_only = off")
        for table in ("app.orders", "app.later"):
            with pytest.raises(errors.InsufficientPrivilege):
                session.execute(f"DELETE FROM {table}")


def test_schema_that_is_not_wanted_any_more_is_withdrawn(bare):
    bare.run("SET ROLE app_owner; CREATE SCHEMA old; CREATE TABLE old.t ()")
    bare.install(replace(WANTED, schemas=("app", "old")))
    _, credential = bare.lease("read-clear")
    with bare.connect(credential) as session:
        session.execute("SELECT * FROM old.t, app.orders")
        bare.install()
        session.execute("SELECT * FROM app.orders")
        with pytest.raises(errors.InsufficientPrivilege):
            session.execute("SELECT * FROM old.t")


def test_what_is_not_there_is_named(bare):
    with pytest.raises(NotFound, match="schema 'nowhere'"):
        bare.install(replace(WANTED, schemas=("nowhere",)))
    with pytest.raises(NotFound, match="role 'nobody'"):
        bare.install(replace(WANTED, owners=("nobody",)))
    with pytest.raises(NotFound, match="role 'no group'"):
        bare.install(replace(WANTED, profiles={"x": Profile(roles=("no group",))}))
    with pytest.raises(UsageError, match="at least one schema"):
        bare.install(replace(WANTED, schemas=()))
    with pytest.raises(UsageError, match="is a superuser"):
        bare.install(replace(WANTED, broker="postgres"))
    with pytest.raises(UsageError, match="privileges of a profile"):
        bare.install(replace(WANTED, profiles={"x": Profile(privileges=("ALL",))}))
    with pytest.raises(UsageError, match="63 bytes"):
        bare.install(replace(WANTED, broker="b" * 64))
    with pytest.raises(UsageError, match="name of a profile"):
        bare.install(replace(WANTED, profiles={"X; --": Profile(privileges=("SELECT",))}))


def test_role_without_createrole_is_told_so(bare):
    bare.run("CREATE ROLE small LOGIN PASSWORD 'small'")
    with pytest.raises(NotPermitted, match="may not create roles"):
        bare.install(dsn=bare.dsn(user="small", password="small"))


def test_printed_statements_quote_hostile_names(bare):
    name = 'o"; DROP TABLE app.orders; --'
    bare.run(sql.SQL("CREATE SCHEMA {}").format(sql.Identifier(name)))
    printed = bare.install(Wanted(schemas=(name,), profiles=SHIPPED), print_only=True)
    bare.run(*printed)
    assert bare.value("SELECT count(*) FROM app.orders") == 1


def _facts(major, **more):
    given = {
        "database": "shop",
        "major": major,
        "role": "postgres",
        "superuser": True,
        "creates_roles": True,
        "roles": {},
        "schemas": frozenset({"app"}),
        "foreign": frozenset(),
    }
    return Facts(**{**given, **more})


@pytest.mark.parametrize("major", range(13, 19))
def test_statements_are_those_of_the_version(major):
    wanted = Wanted(
        schemas=("app",), profiles={"w": Profile(privileges=("SELECT",), log_statement="all")}
    )
    text = " ".join(step.sql for step in statements(_facts(major), wanted))
    assert ("ADMIN TRUE, INHERIT FALSE, SET FALSE" in text) == (major >= 16)
    assert ("ON PARAMETER" in text) == (major >= 15)
    assert "SUPERUSER" not in text


def test_role_of_ours_that_can_log_in_is_closed():
    login = Role(
        superuser=False,
        login=True,
        creates_roles=False,
        comment=None,
        acts_as=True,
        administers=True,
    )
    wanted = Wanted(schemas=("app",), profiles={})
    steps = statements(_facts(18, roles={"holdfast_graveyard": login}), wanted)
    assert [one.sql for one in steps if one.identifiers.get("role") == "holdfast_graveyard"] == [
        "ALTER ROLE {role} NOLOGIN"
    ]
