"""What a holder may try against the broker, the tables, other leases, and the end."""

import threading
from contextlib import ExitStack, suppress

import psycopg
import pytest
from psycopg import errors
from support.cluster import scopes

from chalicelib.kernel.errors import CouldNotTell, NotPermitted
from chalicelib.postgres import broker, graveyard, revoke


class CrashError(Exception):
    pass


def test_lease_cannot_widen_or_lengthen_itself(cluster):
    terms, credential = cluster.lease("write", "app.orders")
    with cluster.connect(credential) as session:
        for statement in (
            f"ALTER ROLE {terms.role} VALID UNTIL 'infinity'",
            f"ALTER ROLE {terms.role} CONNECTION LIMIT 100",
            f"ALTER ROLE {terms.role} CREATEROLE",
            f"ALTER ROLE {terms.role} RENAME TO other",
            f"COMMENT ON ROLE {terms.role} IS 'none'",
            "CREATE ROLE more LOGIN",
            *([f"GRANT {terms.role} TO app_owner"] if cluster.major >= 15 else []),
            "GRANT holdfast_lease TO app_owner",
            "GRANT makers TO holdfast_lease",
            "SET SESSION AUTHORIZATION app_owner",
            "SET ROLE holdfast_grantor",
            "SET ROLE holdfast_broker",
            "SET session_replication_role = replica",
            (
                "CREATE TRIGGER t BEFORE UPDATE ON app.orders FOR EACH ROW"
                " EXECUTE FUNCTION suppress_redundant_updates_trigger()"
            ),
            "ALTER TABLE app.orders ADD COLUMN x integer",
            "CREATE RULE r AS ON SELECT TO app.orders DO INSTEAD NOTHING",
            "DROP TABLE app.orders",
            "CREATE POLICY p ON app.orders USING (true)",
            "COPY app.orders TO PROGRAM 'cat'",
            "ALTER SYSTEM SET work_mem = '1MB'",
        ):
            with pytest.raises(psycopg.Error) as caught:
                session.execute(statement)
            assert caught.value.sqlstate in {"42501", "0A000"}, statement
        with pytest.raises(errors.InsufficientPrivilege):
            session.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'postgres'"
            )


def test_lease_that_lent_itself_takes_all_of_it_back(cluster):
    """Before 15 a role may grant itself to others: they lose it with the role."""
    terms, credential = cluster.lease("make", "app.orders", lease="L1")
    other, borrowed = cluster.lease("make", "app.customers", lease="L2")
    with cluster.connect(credential) as session:
        lend = f"GRANT {terms.role} TO {other.role}"
        if cluster.major >= 15:
            with pytest.raises(errors.InsufficientPrivilege):
                session.execute(lend)
            return
        session.execute(lend)
    oid = cluster.oid(terms.role)
    with cluster.connect(borrowed) as session:
        session.execute(f"SET ROLE {terms.role}; CREATE TABLE public.lent ()")
        session.execute("SELECT * FROM app.orders")
        cluster.end(terms)
        with pytest.raises(errors.InsufficientPrivilege):
            session.execute("SELECT * FROM app.orders")
        with pytest.raises(psycopg.Error):
            session.execute("CREATE TABLE public.more ()")
    cluster.end(other)
    assert cluster.residue(terms, oid) == {}


def test_lease_cannot_pass_its_privileges_on(cluster):
    _, credential = cluster.lease("write", "app.orders")
    before = cluster.rows("SELECT oid, relacl::text FROM pg_class ORDER BY 1")
    with cluster.connect(credential) as session, suppress(errors.InsufficientPrivilege):
        session.execute("GRANT SELECT ON app.orders TO PUBLIC")  # warns: no privileges were granted
    assert cluster.rows("SELECT oid, relacl::text FROM pg_class ORDER BY 1") == before


def test_password_of_its_own_making_opens_nothing_after_the_end(cluster):
    terms, credential = cluster.lease("write", "app.orders")
    with cluster.connect(credential) as session:
        session.execute("ALTER ROLE CURRENT_USER PASSWORD 'mine'")
    credential.fields["password"] = "mine"
    cluster.connect(credential).close()

    def crash(name):
        if name == "sessions":
            raise CrashError

    with pytest.raises(CrashError):
        cluster.end(terms, crash)
    with pytest.raises(psycopg.OperationalError):
        cluster.connect(credential)
    cluster.end(terms)


def test_holder_can_change_its_defaults_and_still_not_write(cluster):
    _, credential = cluster.lease("read-clear", "app.orders")
    with cluster.connect(credential) as session:
        session.execute("BEGIN READ WRITE")
        session.execute("ALTER ROLE CURRENT_USER SET default_transaction_read_only = off; COMMIT")
    with cluster.connect(credential) as session:
        assert session.execute("SHOW default_transaction_read_only").fetchone() == ("off",)
        with pytest.raises(errors.InsufficientPrivilege):
            session.execute("DELETE FROM app.orders")


def test_definer_function_left_behind_has_no_rights(cluster):
    terms, credential = cluster.lease("make", "app.orders")
    with cluster.connect(credential) as session:
        session.execute(
            "CREATE FUNCTION public.peek() RETURNS bigint LANGUAGE sql SECURITY DEFINER"
            " AS 'SELECT count(*) FROM app.orders'"
        )
        assert session.execute("SELECT public.peek()").fetchone() == (1,)
    cluster.end(terms)
    assert (
        cluster.value("SELECT proowner::regrole::text FROM pg_proc WHERE proname = 'peek'")
        == "holdfast_graveyard"
    )
    with psycopg.connect(cluster.dsn()) as admin, pytest.raises(errors.InsufficientPrivilege):
        admin.execute("SELECT public.peek()")


def test_functions_in_public_do_not_change_what_the_broker_sees(cluster):
    """A better match than the catalogue's own would win, were public in the search path."""
    cluster.run(
        "CREATE FUNCTION public.shobj_description(oid, text) RETURNS text"
        " LANGUAGE sql AS $$SELECT 'x'$$",
        "CREATE FUNCTION public.pg_has_role(oid, text) RETURNS bool LANGUAGE sql AS 'SELECT true'",
        "ALTER DATABASE shop SET search_path = public, pg_catalog",
        "ALTER DATABASE shop SET default_transaction_read_only = on",
        "ALTER ROLE holdfast_broker RESET search_path",
    )
    terms, _ = cluster.lease("write", "app.orders")
    oid = cluster.oid(terms.role)
    assert [one.role for one in cluster.grantor().orphans(())] == [terms.role]
    cluster.end(terms)
    assert cluster.residue(terms, oid) == {}


def test_lock_of_somebody_else_delays_the_end_and_it_is_said(cluster, monkeypatch):
    monkeypatch.setattr(broker, "LOCK_TIMEOUT_SECONDS", 0.2)
    monkeypatch.setattr(revoke, "LOCK_TIMEOUT_SECONDS", 0.2)
    terms, credential = cluster.lease("make", "app.orders")
    with cluster.connect(credential) as session:
        session.execute("CREATE TABLE public.mine ()")
    oid = cluster.oid(terms.role)
    with psycopg.connect(cluster.dsn()) as other:
        other.execute("LOCK TABLE public.mine")
        with pytest.raises(CouldNotTell):
            cluster.end(terms)
    cluster.end(terms)
    assert cluster.residue(terms, oid) == {}


def test_scope_in_use_by_others_transactions_is_kept_and_removed_by_the_next_end(
    cluster, monkeypatch
):
    monkeypatch.setattr(broker, "LOCK_TIMEOUT_SECONDS", 0.2)
    monkeypatch.setattr(revoke, "LOCK_TIMEOUT_SECONDS", 0.2)
    terms, _ = cluster.lease("write", "app.orders", lease="L1")
    other, credential = cluster.lease("make", "app.customers", lease="L2")
    group = next(
        name for name in scopes(cluster)
        if cluster.value("SELECT pg_has_role(%s, %s, 'USAGE')", terms.role, name)
    )  # fmt: skip
    with cluster.connect(credential) as session:
        session.execute("CREATE TABLE public.mine ()")
        session.execute(f"BEGIN; GRANT SELECT ON public.mine TO {group}")
        found = cluster.end(terms)
        assert found["scopes"] == {"removed": [], "kept": [group]}
    found = cluster.end(other)
    assert len(found["scopes"]["removed"]) == 2
    assert scopes(cluster) == []


def test_many_leases_of_one_scope_come_and_go_at_once(cluster):
    failed = []

    def work(number):
        try:
            for turn in range(4):
                terms, credential = cluster.lease("write", "app.orders", lease=f"L{number}x{turn}")
                with cluster.connect(credential) as session:
                    session.execute("SELECT * FROM orders")
                cluster.end(terms)
        except Exception as error:  # noqa: BLE001 - shown below
            failed.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(6)]
    with ExitStack() as stack:
        for thread in threads:
            thread.start()
            stack.callback(thread.join, 60)
    assert failed == []
    assert cluster.grantor().orphans(()) == []
    cluster.end(cluster.terms("write", lease="L0"))
    assert scopes(cluster) == []


@pytest.mark.parametrize(
    "held", ["ALTER ROLE CURRENT_USER PASSWORD 'mine'", "CREATE TABLE public.unborn ()"]
)
def test_what_was_prepared_as_a_group_holds_the_lease_s_role_no_longer_than_it_ends(
    cluster, monkeypatch, held
):
    """SET ROLE before PREPARE makes it the group's: it would keep the login open for ever."""
    monkeypatch.setattr(broker, "LOCK_TIMEOUT_SECONDS", 0.5)
    monkeypatch.setattr(revoke, "LOCK_TIMEOUT_SECONDS", 0.5)
    monkeypatch.setattr(revoke, "QUEUED_SECONDS", 0.5)
    monkeypatch.setattr(revoke, "ATTEMPTS", 3)
    cluster.run("GRANT CREATE ON SCHEMA public TO app_owner")
    terms, credential = cluster.lease("own")
    oid = cluster.oid(terms.role)
    with cluster.connect(credential) as session:
        session.execute("SET ROLE app_owner")
        session.execute("BEGIN; INSERT INTO app.customers VALUES (7)")
        session.execute("PREPARE TRANSACTION 'of the group'")  # nobody can tell whose it is
        session.execute("SET ROLE NONE; BEGIN")
        with suppress(errors.InsufficientPrivilege):
            session.execute("GRANT CREATE ON SCHEMA public TO CURRENT_USER")
        session.execute(held)
        session.execute("SET ROLE app_owner")
        session.execute("PREPARE TRANSACTION 'foothold'")
    assert cluster.end(terms)["prepared_rolled_back"] == 1
    assert cluster.rows("SELECT gid FROM pg_prepared_xacts") == [("of the group",)]
    assert cluster.residue(terms, oid) == {"prepared": 1}


def test_owner_of_a_schema_that_shut_itself_out_ends(cluster):
    """REASSIGN OWNED gives a function only to who may create in its schema."""
    other, lent = cluster.lease("make", "app.orders", lease="L2")
    terms, credential = cluster.lease("make", "app.orders", lease="L1")
    oid = cluster.oid(terms.role)
    make = "CREATE FUNCTION {}.f() RETURNS int LANGUAGE sql AS 'SELECT 1'"
    with cluster.connect(credential) as session, cluster.connect(lent) as friend:
        friend.execute(f'CREATE SCHEMA theirs; GRANT ALL ON SCHEMA theirs TO "{terms.role}"')
        session.execute("CREATE SCHEMA mine")
        session.execute(make.format("mine"))
        session.execute(make.format("theirs"))
        session.execute("REVOKE ALL ON SCHEMA mine FROM CURRENT_USER")
        friend.execute(f'REVOKE ALL ON SCHEMA theirs FROM "{terms.role}"')
    assert cluster.end(terms)["reassigned"] == {"function": 2, "schema": 1}
    assert cluster.residue(terms, oid) == {"scopes": 1}
    oid = cluster.oid(other.role)
    cluster.end(other)
    assert cluster.residue(other, oid) == {}


def test_more_tables_than_the_server_has_locks_go_a_few_at_a_time(cluster, monkeypatch):
    monkeypatch.setattr(graveyard, "MANY", 3)
    monkeypatch.setattr(graveyard, "AT_ONCE", 2)
    terms, credential = cluster.lease("make", "app.orders")
    oid = cluster.oid(terms.role)
    with cluster.connect(credential) as session:
        for number in range(7):
            session.execute(f"CREATE TABLE public.t{number} (id serial)")
        session.execute("CREATE VIEW public.v AS SELECT 1; CREATE SEQUENCE public.s")
        session.execute("CREATE SCHEMA shut CREATE TABLE t ()")
        session.execute("REVOKE ALL ON SCHEMA shut FROM CURRENT_USER")
    ran = []
    monkeypatch.setattr(
        broker.Session, "run", lambda self, step, secrets=None, run=broker.Session.run: (
            ran.append(step.sql), run(self, step, secrets)
        )
    )  # fmt: skip
    found = cluster.end(terms)
    assert found["reassigned"]["table"] == 8
    assert sum(one.startswith("ALTER TABLE") for one in ran) == 6
    assert cluster.residue(terms, oid) == {}


@pytest.mark.parametrize(("limit", "since"), broker.TIME_LIMITS)
def test_limits_that_the_database_s_owner_sets_keep_no_lease_from_its_end(cluster, limit, since):
    """A lease can be a member of the owner; before its first statement the role's own counts."""
    if cluster.major < since:
        pytest.skip(f"{limit} is new in {since}")
    terms, credential = cluster.lease("own")
    oid = cluster.oid(terms.role)
    with cluster.connect(credential) as session:
        session.execute(f"ALTER DATABASE shop SET {limit} = '1ms'")
    cluster.end(terms)
    cluster.run("ALTER DATABASE shop RESET ALL", dbname="postgres")
    assert cluster.residue(terms, oid) == {}


def test_what_leases_left_in_a_schema_keeps_nobody_from_asking_for_all_of_it(cluster):
    """Nobody may grant it: while the lease runs it is the lease's, and then the graveyard's."""
    cluster.run("GRANT CREATE, USAGE ON SCHEMA app TO makers")
    terms, credential = cluster.lease("make", "app.orders", lease="L1")
    with cluster.connect(credential) as session:
        session.execute("CREATE TABLE app.left_behind ()")
    for lease in ("L2", "L3"):
        other, lent = cluster.lease("read-clear", "app.*", lease=lease)
        with cluster.connect(lent) as session:
            assert session.execute("SELECT count(*) FROM app.orders").fetchone() == (1,)
            with pytest.raises(errors.InsufficientPrivilege):
                session.execute("SELECT * FROM app.left_behind")
        cluster.end(other)
        if lease == "L2":
            cluster.end(terms)
    with pytest.raises(NotPermitted):  # who names it is told
        cluster.lease("read-clear", "app.left_behind", lease="L4")
