"""Ending: whatever a lease made or holds, nothing is left; also after a crash between steps."""

import threading
from contextlib import contextmanager, suppress

import psycopg
import pytest
from psycopg import errors, sql
from support.cluster import digest, scopes

from chalicelib.kernel.errors import CouldNotTell
from chalicelib.postgres import broker

GRAVE = (
    "SELECT count(*) FROM pg_shdepend"
    " WHERE refobjid = 'holdfast_graveyard'::regrole AND deptype = 'o'"
)
GIVEN = {
    "table": "GRANT SELECT ON app.secrets TO {role}",
    "column": "GRANT UPDATE (word) ON app.secrets TO {role}",
    "sequence": "GRANT ALL ON SEQUENCE app.orders_id_seq TO {role}",
    "schema": "GRANT CREATE ON SCHEMA app TO {role}",
    "function": "CREATE FUNCTION app.f() RETURNS int LANGUAGE sql AS 'SELECT 1';"
    "GRANT EXECUTE ON FUNCTION app.f TO {role}",
    "type": "CREATE TYPE app.t AS ENUM (); GRANT USAGE ON TYPE app.t TO {role}",
    "policy": "CREATE POLICY p ON app.secrets TO {role} USING (true)",
    "default privilege": "ALTER DEFAULT PRIVILEGES IN SCHEMA app GRANT SELECT ON TABLES TO {role}",
    "large object": "SELECT lo_create(4711); GRANT SELECT ON LARGE OBJECT 4711 TO {role}",
    "database": "GRANT CREATE ON DATABASE shop TO {role}",
}
TABLE = "CREATE TABLE public.mine (a int, b int);"
TRAP = "CREATE FUNCTION public.trap() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN new; END';"
SAME = "CREATE FUNCTION public.same(int, int) RETURNS bool LANGUAGE sql AS 'SELECT $1 = $2';"

# What a lease makes and owns, and how many objects of a kind go to the graveyard.
MADE = {
    "nothing": ("SELECT 1", {}),
    "table": (
        "CREATE TABLE public.mine (id serial PRIMARY KEY, x text)",
        {"table": 1, "sequence": 1},
    ),
    "partitions": (
        (
            "CREATE TABLE public.mine (a int) PARTITION BY LIST (a);"
            "CREATE TABLE public.part PARTITION OF public.mine DEFAULT"
        ),
        {"table": 2},
    ),
    "temporary table": ("CREATE TEMPORARY TABLE mine (x text)", {}),
    "sequence": ("CREATE SEQUENCE public.mine", {"sequence": 1}),
    "view": ("CREATE VIEW public.mine AS SELECT 1 AS one", {"view": 1}),
    "materialized view": (
        "CREATE MATERIALIZED VIEW public.mine AS SELECT * FROM app.orders",
        {"materialized view": 1},
    ),
    "large object": ("SELECT lo_create(0)", {"large object": 1}),
    "function": (
        "CREATE FUNCTION public.f() RETURNS int LANGUAGE sql SECURITY DEFINER AS 'SELECT 1'",
        {"function": 1},
    ),
    "type": ("CREATE TYPE public.a AS (a int); CREATE DOMAIN public.b AS int", {"type": 2}),
    "schema": ("CREATE SCHEMA mine; CREATE TABLE mine.t ()", {"schema": 1, "table": 1}),
    "default privilege": ("ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO PUBLIC", {}),
    "operator": (
        SAME + "CREATE OPERATOR public.=== (FUNCTION = public.same, LEFTARG = int, RIGHTARG = int)",
        {"function": 1, "operator": 1},
    ),
    "text search": (
        "CREATE TEXT SEARCH CONFIGURATION public.mine (COPY = simple)",
        {"ts config": 1},
    ),
    "publication": (
        TABLE + "CREATE PUBLICATION mine FOR TABLE public.mine",
        {"table": 1, "publication": 1},
    ),
    "statistics": (
        TABLE + "CREATE STATISTICS public.stats ON a, b FROM public.mine",
        {"table": 1, "statistic ext": 1},
    ),
    "collation": ('CREATE COLLATION public.mine FROM "C"', {"collation": 1}),
    "grants on its own": (
        TABLE + "GRANT ALL ON public.mine TO PUBLIC, app_owner, holdfast_lease",
        {"table": 1},
    ),
    "settings of its own": (
        (
            "ALTER ROLE CURRENT_USER SET work_mem = '8MB';"
            "ALTER ROLE CURRENT_USER IN DATABASE shop SET work_mem = '9MB'"
        ),
        {},
    ),
    "trigger on its own table": (
        TABLE + TRAP + "CREATE TRIGGER trap BEFORE INSERT ON public.mine"
        " FOR EACH ROW EXECUTE FUNCTION public.trap(); GRANT ALL ON public.mine TO PUBLIC",
        {"function": 1, "table": 1},
    ),
    "policy on its own table": (
        TABLE + "CREATE POLICY p ON public.mine TO PUBLIC USING (true)",
        {"table": 1},
    ),
}


@pytest.mark.parametrize("made", MADE)
def test_what_a_lease_owns_goes_to_the_graveyard(cluster, made):
    statement, kinds = MADE[made]
    terms, credential = cluster.lease("make", "app.orders")
    with cluster.connect(credential) as session:
        session.execute(statement)
        oid = cluster.oid(terms.role)
        found = cluster.end(terms)
        with pytest.raises(psycopg.OperationalError):
            session.execute("SELECT 1")
    assert cluster.residue(terms, oid) == {}
    assert found["reassigned"] == kinds
    assert cluster.value(GRAVE) == sum(kinds.values())
    assert set(found["verified"].values()) == {0}
    assert found["sessions_ended"] == 1
    assert found["oid"] == str(oid)
    assert digest(found["statements_sha256"])


@pytest.mark.parametrize("given", GIVEN)
def test_what_others_granted_to_a_lease_is_revoked(cluster, given):
    terms, _ = cluster.lease("own")  # from 16 on, the broker has ADMIN on app_owner by this profile
    cluster.run("SET ROLE app_owner;" + GIVEN[given].format(role=terms.role))
    oid = cluster.oid(terms.role)
    cluster.end(terms)
    assert cluster.residue(terms, oid) == {}


def test_grants_by_two_grantors_on_one_table_are_revoked(cluster):
    cluster.run(
        "GRANT SELECT ON app.secrets TO makers WITH GRANT OPTION",
        "GRANT USAGE ON SCHEMA app TO makers",
    )
    terms, _ = cluster.lease("own")
    for grantor in ("app_owner", "makers"):
        cluster.run(f"SET ROLE {grantor}; GRANT SELECT ON app.secrets TO {terms.role}")
    oid = cluster.oid(terms.role)
    cluster.end(terms)
    assert cluster.residue(terms, oid) == {}


def test_grant_of_a_superuser_is_reported_and_ends_when_it_is_revoked(cluster):
    cluster.run("CREATE TABLE public.boss ()")
    terms, _ = cluster.lease("write", "app.orders")
    cluster.run(f"GRANT SELECT ON public.boss TO {terms.role}")
    oid = cluster.oid(terms.role)
    with pytest.raises(CouldNotTell, match="made by postgres"):
        cluster.end(terms)
    assert cluster.value("SELECT rolcanlogin FROM pg_roles WHERE oid = %s", oid) is False
    cluster.run(f"REVOKE SELECT ON public.boss FROM {terms.role}")
    cluster.end(terms)
    assert cluster.residue(terms, oid) == {}


def test_objects_in_another_database_are_reached(cluster):
    cluster.run("CREATE DATABASE aside OWNER app_owner", dbname="postgres")
    cluster.run("GRANT CREATE ON SCHEMA public TO makers", dbname="aside")
    terms, credential = cluster.lease("make", "app.orders")
    for name in ("aside", "shop"):
        with cluster.connect(credential, dbname=name) as session:
            session.execute("CREATE TABLE public.mine (id serial)")
            session.execute("CREATE FUNCTION public.f() RETURNS int LANGUAGE sql AS 'SELECT 1'")
    oid = cluster.oid(terms.role)
    found = cluster.end(terms)
    assert found["databases"] == ["aside", "shop"]
    assert found["reassigned"] == {"function": 2, "sequence": 2, "table": 2}
    assert cluster.residue(terms, oid) == {}


def test_database_that_allows_no_connections_is_reported_if_something_is_there(cluster):
    cluster.run("CREATE DATABASE aside OWNER app_owner", dbname="postgres")
    cluster.run("GRANT CREATE ON SCHEMA public TO makers", dbname="aside")
    terms, credential = cluster.lease("make", "app.orders")
    with cluster.connect(credential, dbname="aside") as session:
        session.execute("CREATE TABLE public.mine ()")
    cluster.run("ALTER DATABASE aside ALLOW_CONNECTIONS false", dbname="postgres")
    oid = cluster.oid(terms.role)
    with pytest.raises(CouldNotTell, match="'aside', which allows no connections"):
        cluster.end(terms)
    cluster.run("ALTER DATABASE aside ALLOW_CONNECTIONS true", dbname="postgres")
    cluster.end(terms)
    assert cluster.residue(terms, oid) == {}


def test_lease_of_one_database_has_nothing_in_another_of_the_cluster(cluster):
    cluster.run("CREATE DATABASE aside OWNER app_owner", dbname="postgres")
    cluster.run("SET ROLE app_owner; CREATE SCHEMA app; CREATE TABLE app.orders ()", dbname="aside")
    cluster.install(dsn=cluster.dsn("aside"))
    _, credential = cluster.lease("read-clear")
    with (
        cluster.connect(credential, dbname="aside") as session,
        pytest.raises(errors.InsufficientPrivilege),
    ):
        session.execute("SELECT * FROM app.orders")


@pytest.mark.parametrize("where", ["shop", "aside"])
def test_prepared_transaction_is_rolled_back(cluster, where):
    cluster.run("CREATE DATABASE aside OWNER app_owner", dbname="postgres")
    cluster.run("GRANT CREATE ON SCHEMA public TO makers", dbname="aside")
    terms, credential = cluster.lease("make", "app.orders")
    with cluster.connect(credential, dbname=where) as session:
        session.execute("BEGIN; CREATE TABLE public.mine (); PREPARE TRANSACTION 'it''s \\ held'")
    oid = cluster.oid(terms.role)
    found = cluster.end(terms)
    assert found["prepared_rolled_back"] == 1
    assert cluster.residue(terms, oid) == {}


@contextmanager
def _cursor(session, cluster):
    session.execute("BEGIN")
    session.execute("DECLARE c CURSOR WITH HOLD FOR SELECT generate_series(1, 100000)")
    session.execute("FETCH 5 FROM c")
    yield


@contextmanager
def _advisory(session, cluster):
    session.execute("SELECT pg_advisory_lock(1), pg_advisory_lock(hashtext('holdfast'))")
    yield


@contextmanager
def _locked_table(session, cluster):
    session.execute("BEGIN")
    session.execute("UPDATE app.orders SET customer = 'held'")
    yield


@contextmanager
def _busy(session, cluster):
    def run():
        with suppress(psycopg.Error):
            session.execute("SELECT count(*) FROM generate_series(1, 100000000000)")

    thread = threading.Thread(target=run)
    thread.start()
    while not cluster.value(
        "SELECT count(*) FROM pg_stat_activity WHERE usename LIKE 'hf\\_%' AND state = 'active'"
    ):
        pass
    yield
    thread.join(30)
    assert not thread.is_alive()


@contextmanager
def _listening(session, cluster):
    session.execute("LISTEN something")
    yield


@contextmanager
def _own_row(session, cluster):
    """The lease holds the row that ending has to write."""
    session.execute("BEGIN")
    session.execute("ALTER ROLE CURRENT_USER PASSWORD 'taken'")
    yield


@contextmanager
def _own_row_prepared(session, cluster):
    session.execute("BEGIN")
    session.execute("ALTER ROLE CURRENT_USER PASSWORD 'taken'")
    session.execute("PREPARE TRANSACTION 'row'")
    yield


@contextmanager
def _own_settings(session, cluster):
    session.execute("BEGIN")
    session.execute("ALTER ROLE CURRENT_USER SET work_mem = '8MB'")
    yield


HELD = {
    "open cursor": _cursor,
    "advisory lock": _advisory,
    "locked rows": _locked_table,
    "long query": _busy,
    "listener": _listening,
    "its own row": _own_row,
    "its own row, prepared": _own_row_prepared,
    "its own settings": _own_settings,
}


@pytest.mark.parametrize("held", HELD)
def test_session_ends_whatever_it_holds(cluster, held):
    terms, credential = cluster.lease("write", "app.orders")
    session = cluster.connect(credential)
    oid = cluster.oid(terms.role)
    with HELD[held](session, cluster):
        found = cluster.end(terms)
    assert cluster.residue(terms, oid) == {}
    assert found["sessions_ended"] >= 1
    session.close()
    with pytest.raises(psycopg.OperationalError):
        cluster.connect(credential)


def test_session_that_ran_set_role_ends_too(cluster):
    terms, credential = cluster.lease("own")
    session = cluster.connect(credential)
    session.execute("SET ROLE app_owner")
    session.execute("BEGIN; CREATE TABLE app.half ()")
    oid = cluster.oid(terms.role)
    assert cluster.end(terms)["sessions_ended"] == 1
    with pytest.raises(psycopg.OperationalError):
        session.execute("SELECT 1")
    assert cluster.residue(terms, oid) == {}
    assert cluster.value("SELECT to_regclass('app.half')") is None


def test_lease_cannot_take_the_name_of_a_group_from_16_on_and_leaves_nothing_there_before(cluster):
    terms, credential = cluster.lease("make", "app.orders")
    cluster.run("GRANT CREATE ON SCHEMA public TO holdfast_lease")
    group = scopes(cluster)[0]
    session = cluster.connect(credential)
    if cluster.major >= 16:
        for one in (group, "holdfast_lease", "makers"):
            with pytest.raises(errors.InsufficientPrivilege):
                session.execute(f"SET ROLE {one}")
    else:
        cluster.run(f"GRANT CREATE ON SCHEMA public TO {group}")
        for one in (group, "holdfast_lease"):
            session.execute(f"SET ROLE {one}; CREATE TABLE public.of_{one} ()")
            session.execute("ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO PUBLIC")
        session.execute(f"SET ROLE {group}")
        session.execute("BEGIN; CREATE TABLE public.half (); PREPARE TRANSACTION 'as a group'")
        cluster.run(f"REVOKE CREATE ON SCHEMA public FROM {group}")
    oid = cluster.oid(terms.role)
    session.close()
    with suppress(CouldNotTell):
        cluster.end(terms)
    cluster.run(*([f"GRANT CREATE ON SCHEMA public TO {group}"] if scopes(cluster) else []))
    cluster.end(terms)
    cluster.run("REVOKE CREATE ON SCHEMA public FROM holdfast_lease")
    assert cluster.residue(terms, oid) == {}
    owned = cluster.rows(
        "SELECT DISTINCT relowner::regrole::text FROM pg_class WHERE relowner >= 16384"
    )
    assert {name for (name,) in owned} <= {"holdfast_graveyard", "app_owner"}


def test_lease_cannot_make_a_replication_slot_or_stream(cluster):
    _, credential = cluster.lease("make", "app.orders")
    with cluster.connect(credential) as session:
        for statement in (
            "SELECT pg_create_physical_replication_slot('s')",
            "SELECT pg_create_logical_replication_slot('s', 'pgoutput')",
        ):
            with pytest.raises(errors.InsufficientPrivilege):
                session.execute(statement)
    with pytest.raises(psycopg.OperationalError):
        cluster.connect(credential, replication="database")


def test_sessions_that_keep_coming_back_lose(cluster):
    terms, credential = cluster.lease("write", "app.orders")
    stop = threading.Event()

    def hold():
        while not stop.is_set():
            with suppress(psycopg.Error), cluster.connect(credential) as session:
                session.execute("BEGIN; ALTER ROLE CURRENT_USER PASSWORD 'mine'")
                session.execute("SELECT pg_sleep(10)")

    threads = [threading.Thread(target=hold) for _ in range(4)]
    oid = cluster.oid(terms.role)
    try:
        for thread in threads:
            thread.start()
        while not cluster.value(
            "SELECT count(*) FROM pg_stat_activity WHERE usename = %s", terms.role
        ):
            pass
        found = cluster.end(terms)
    finally:
        stop.set()
        for thread in threads:
            thread.join(30)
    assert found["sessions_ended"] >= 1
    assert cluster.residue(terms, oid) == {}


STEPS = [
    "login",
    "sessions",
    "prepared",
    "database aside",
    "database shop",
    "role",
    "scopes",
    "verify",
]


class CrashError(Exception):
    pass


def _rich(cluster):
    """A lease that made something everywhere; its terms and its oid."""
    cluster.run("CREATE DATABASE aside OWNER app_owner", dbname="postgres")
    cluster.run("GRANT CREATE ON SCHEMA public TO makers", dbname="aside")
    terms, credential = cluster.lease("make", "app.orders")
    with cluster.connect(credential, dbname="aside") as session:
        session.execute("CREATE TABLE public.mine (id serial)")
    session = cluster.connect(credential)
    session.execute("CREATE TABLE public.mine (id serial); SELECT lo_create(0)")
    session.execute("BEGIN; CREATE TABLE public.half (); PREPARE TRANSACTION 'half'")
    session.execute(
        "CREATE TEMPORARY TABLE t (); ALTER DEFAULT PRIVILEGES GRANT ALL ON TABLES TO PUBLIC"
    )
    return terms, session, cluster.oid(terms.role)


def test_every_step_is_told_before_it_is_done(cluster):
    terms, session, _ = _rich(cluster)
    told = []
    cluster.end(terms, told.append)
    assert told == STEPS
    session.close()


@pytest.mark.parametrize("at", STEPS)
def test_crash_before_any_step_and_then_again(cluster, at):
    terms, session, oid = _rich(cluster)

    def crash(name):
        if name == at:
            raise CrashError

    with pytest.raises(CrashError):
        cluster.end(terms, crash)
    found = cluster.end(terms)
    assert set(found["verified"].values()) == {0}
    assert cluster.residue(terms, oid) == {}
    session.close()


def test_crash_before_any_statement_and_then_again(cluster, monkeypatch):
    terms, session, oid = _rich(cluster)
    cluster.end(terms)
    session.close()
    original = broker.Session.run
    number = 0
    while True:
        cluster.run("DROP DATABASE aside", dbname="postgres")
        cluster.run("DROP TABLE IF EXISTS public.mine")
        terms, session, oid = _rich(cluster)
        left = number

        def run(self, step, secrets=None):
            nonlocal left
            if left == 0:
                raise CrashError
            left -= 1
            original(self, step, secrets)

        with monkeypatch.context() as patch, suppress(CrashError):
            patch.setattr(broker.Session, "run", run)
            cluster.end(terms)
        crashed = left == 0
        cluster.end(terms)
        assert cluster.residue(terms, oid) == {}, number
        session.close()
        if not crashed:
            break
        number += 1
    assert number > 15


def test_ending_again_and_what_never_was_is_verified(cluster):
    terms, _ = cluster.lease("write", "app.orders")
    first, again = cluster.end(terms), cluster.end(terms)
    never = cluster.end(cluster.terms("write", lease="L77"))
    assert first["found"]
    assert not again["found"]
    assert not never["found"]
    assert first["verified"].keys() < again["verified"].keys()
    assert set(again["verified"].values()) == {0}


@pytest.mark.parametrize(
    "role", ["postgres", "app_owner", "holdfast_broker", "holdfast_lease", "holdfast_grantor"]
)
def test_role_that_is_no_lease_is_left_alone(cluster, role):
    with pytest.raises(CouldNotTell, match="left alone"):
        cluster.end(cluster.terms("write", role=role))
    assert cluster.oid(role)


@pytest.mark.parametrize("by_hand", ["ALTER ROLE hf_l1 CREATEDB", "COMMENT ON ROLE hf_l1 IS NULL"])
def test_lease_that_somebody_changed_ends_all_the_same(cluster, by_hand):
    terms, _ = cluster.lease("write", "app.orders")
    cluster.run(by_hand)
    oid = cluster.oid(terms.role)
    cluster.end(terms)
    assert cluster.residue(terms, oid) == {}


def test_lease_that_was_made_a_superuser_is_left_to_a_person(cluster):
    terms, _ = cluster.lease("write", "app.orders")
    cluster.run("ALTER ROLE hf_l1 SUPERUSER")
    with pytest.raises(CouldNotTell, match="left alone"):
        cluster.end(terms)


def test_person_who_was_put_into_the_marker_group_is_no_orphan(cluster):
    cluster.run("CREATE ROLE ana LOGIN; GRANT holdfast_lease TO ana")
    terms, _ = cluster.lease("write", "app.orders")
    grantor = cluster.grantor()
    assert [one.role for one in grantor.orphans(())] == [terms.role]
    assert grantor.orphans([terms.role]) == []
    (orphan,) = grantor.orphans(())
    assert (orphan.lease, orphan.holder, orphan.target) == ("L1", "person:ana", "postgres:shop")
    oid = cluster.oid(terms.role)
    grantor.end(orphan, lambda name: None)
    assert cluster.residue(terms, oid) == {}
    assert cluster.oid("ana")


@pytest.mark.parametrize(
    "comment",
    [
        "",
        "a person",
        "{}",
        '{"holdfast":1}',
        '{"holdfast":2,"lease":"x"}',
        "[1]",
        '{"x":"holdfast":1',
    ],
)
def test_comment_that_is_not_ours_makes_no_orphan(cluster, comment):
    cluster.run("CREATE ROLE ana LOGIN", sql.SQL("COMMENT ON ROLE ana IS {}").format(comment))
    assert cluster.grantor().orphans(()) == []


def test_orphans_of_another_target_of_the_cluster_are_not_ours(cluster):
    from chalicelib.postgres.lease import PostgresGrantor

    cluster.lease("write", "app.orders")
    assert PostgresGrantor("postgres:other", cluster.broker_dsn).orphans(()) == []


def test_leases_of_another_installation_that_calls_the_database_the_same_are_not_ours(cluster):
    """Neither log has the other's leases: each would find them, and end them."""
    ours, theirs = (cluster.grantor(log=f"{one}.example/log") for one in ("ours", "theirs"))
    terms = cluster.terms("write", "app.orders")
    ours.issue(ours.plan(terms), terms)
    ours.refresh(terms)
    ours.extend(terms)
    assert theirs.orphans(()) == []
    assert [one.role for one in ours.orphans(())] == [terms.role]
