"""Views follow their tables, and leases go on: changes, locks, crashes, two at a time."""

import threading
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest
from psycopg import errors
from support.masked import BASIC, EU, ROLE, apply, bare, held, state

from chalicelib.kernel.errors import (
    Busy,
    ConnectionLost,
    HoldfastError,
    NotAllowed,
    UsageError,
)
from chalicelib.postgres import masking

SHORT = 0.2  # seconds that a test waits for a lock
GRANTS = (
    "SELECT a.attname, g.grantee::regrole::text, g.grantor::regrole::text, g.privilege_type,"
    " g.is_grantable FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid"
    " CROSS JOIN LATERAL aclexplode(CASE a.attnum WHEN 1 THEN c.relacl ELSE a.attacl END) g"
    " WHERE c.oid = 'app_masked.orders'::regclass AND a.attnum > 0 ORDER BY 1, 2, 3, 4, 5"
)


@pytest.fixture
def shop(cluster):
    """The database with masks applied."""
    bare(cluster)
    apply(cluster)
    return cluster


def _columns(shop, view="app_masked.orders"):
    return [
        name
        for (name,) in shop.rows(
            "SELECT attname::text FROM pg_attribute WHERE attrelid = %s::regclass AND attnum > 0"
            " ORDER BY attnum",
            view,
        )
    ]


def _read(shop, text, *tables, lease="R1"):
    terms, credential = shop.lease("read-masked", *tables, lease=lease)
    try:
        with shop.connect(credential) as session:
            return session.execute(text).fetchall()
    finally:
        shop.end(terms)


def test_an_added_column_is_left_out_and_told(shop):
    shop.run("ALTER TABLE app.orders ADD phone text DEFAULT '555'")
    done = apply(shop)
    assert done.statements == ()
    assert ("app", "orders", "phone") in done.views.unclassified
    assert _columns(shop) == ["id", "customer", "email"]
    done = apply(shop, BASIC + 'app.orders.phone = "phone"')
    assert done.replaced == ("app_masked.orders",)
    assert _read(shop, "SELECT phone FROM orders") != [("555",)]


def test_a_renamed_column_is_gone_and_unclassified_and_not_readable(shop):
    shop.run("ALTER TABLE app.orders RENAME email TO mail")
    assert _read(shop, "SELECT email FROM orders") == [("a***@***.com",)]
    done = apply(shop)
    assert done.again == ("app_masked.orders",)
    assert done.views.gone == (("app", "orders", "email"),)
    assert ("app", "orders", "mail") not in held(shop)
    assert _columns(shop) == ["id", "customer"]


def test_columns_that_change_their_names_are_masked_by_their_new_ones(shop):
    shop.run(
        "ALTER TABLE app.orders ADD note text DEFAULT 'clear'",
        "ALTER TABLE app.orders RENAME email TO was",
        "ALTER TABLE app.orders RENAME note TO email",
        "ALTER TABLE app.orders RENAME was TO note",
    )
    apply(shop, BASIC + 'app.orders.note = "email"')
    assert _read(shop, "SELECT note FROM orders") == [("a***@***.com",)]


def test_a_dropped_column_takes_its_view_along_and_the_next_is_without_it(shop):
    with pytest.raises(errors.DependentObjectsStillExist):
        shop.run("ALTER TABLE app.orders DROP email")
    shop.run("ALTER TABLE app.orders DROP email CASCADE")
    done = apply(shop)
    assert done.made == ("app_masked.orders",)
    assert done.views.gone == (("app", "orders", "email"),)
    assert _read(shop, "SELECT * FROM orders")[0][0] == 1


def test_a_retyped_column_is_masked_by_what_fits_it_or_refused_as_a_whole(shop):
    text = BASIC.replace(
        'app.orders.email = "email"', 'app.orders.email = {class = "email", mask = "email"}'
    )
    apply(shop, text)
    shop.run(
        "DROP VIEW app_masked.orders",
        "ALTER TABLE app.orders ALTER email TYPE integer USING 5",
        "ALTER TABLE app.customers ADD word text",
    )
    before = state(shop)
    with pytest.raises(UsageError, match=r"app\.orders column 'email' \(integer\): email"):
        apply(shop, text + 'app.customers.word = "public"')
    assert state(shop) == before
    apply(shop, BASIC)
    assert _read(shop, "SELECT email FROM orders") == [(None,)]


def test_a_masked_null_of_another_type_is_made_again(shop):
    text = BASIC.replace('app.orders.email = "email"', 'app.orders.email = "secret"')
    apply(shop, text)
    shop.run("ALTER TABLE app.orders ALTER email TYPE varchar(9) USING left(email, 9)")
    done = apply(shop, text)
    assert done.again == ("app_masked.orders",)
    assert apply(shop, text).statements == ()


def test_a_table_that_is_dropped_and_made_again(shop):
    terms, _ = shop.lease("read-masked", "app.orders", lease="L9")
    shop.run(
        "DROP TABLE app.orders CASCADE",
        "CREATE TABLE app.orders (email text, id int, customer text)",
        "INSERT INTO app.orders VALUES ('bob@example.com', 2, 'bob')",
    )
    assert apply(shop).made == ("app_masked.orders",)
    assert _columns(shop) == ["email", "id", "customer"]
    assert _read(shop, "SELECT id FROM orders") == [(2,)]
    shop.run("DROP TABLE app.orders CASCADE")
    assert apply(shop).views.gone[0] == ("app", "orders", "customer")
    shop.end(terms)


def test_a_renamed_table_has_no_view_any_more(shop):
    shop.run("ALTER TABLE app.orders RENAME TO purchases")
    assert apply(shop).dropped == ("app_masked.orders",)
    assert held(shop) == {("app.customers", "id"), ("app.customers", "email")}


def test_partitions_come_and_go_and_are_never_seen_beside_their_root(shop):
    shop.run(
        "CREATE TABLE app.parts (id int, email text) PARTITION BY RANGE (id)",
        "CREATE TABLE app.part_1 PARTITION OF app.parts FOR VALUES FROM (0) TO (10)",
        "CREATE TABLE app.part_2 (id int, email text)",
        "INSERT INTO app.parts VALUES (1, 'a@b.com')",
        "INSERT INTO app.part_2 VALUES (11, 'c@d.com')",
    )
    text = BASIC + 'app.parts.id = "public"\napp.parts.email = "email"\n'
    apply(shop, text)
    assert _read(shop, "SELECT * FROM parts") == [(1, "***@***.com")]
    shop.run("ALTER TABLE app.parts ATTACH PARTITION app.part_2 FOR VALUES FROM (10) TO (20)")
    assert apply(shop, text).statements == ()
    assert _read(shop, "SELECT id FROM parts ORDER BY 1") == [(1,), (11,)]
    shop.run("ALTER TABLE app.parts DETACH PARTITION app.part_1")
    done = apply(shop, text)
    assert done.statements == ()
    assert ("app", "part_1", "email") in done.views.unclassified
    assert held(shop) & {("app.part_1", "email"), ("app.part_2", "email")} == set()


def test_children_are_masked_and_filtered_as_their_parents(shop):
    text = BASIC + "[rows]\napp.orders = \"email <> 'gone@example.com'\"\n"
    shop.run(
        "CREATE TABLE app.rush (speed int) INHERITS (app.orders)",
        "INSERT INTO app.rush (customer, email, speed) VALUES ('cy', 'cyd@x.com', 1),"
        " ('dee', 'gone@example.com', 2)",
    )
    done = apply(shop, text)
    assert done.made == ("app_masked.rush",)
    assert ("app", "rush", "speed") in done.views.unclassified
    assert _columns(shop, "app_masked.rush") == ["id", "customer", "email"]
    assert _read(shop, "SELECT email FROM rush") == [("c***@***.com",)]
    assert _read(shop, "SELECT count(*) FROM orders") == [(2,)]


def test_grants_are_what_they_were_by_who_made_them_and_leases_can_be_ended(shop):
    terms, _ = shop.lease("read-masked", "app.orders")
    group, credential = shop.lease("read-masked", lease="L2")
    oids = [shop.oid(terms.role), shop.oid(group.role)]
    with psycopg.connect(shop.dsn(), autocommit=True) as admin:
        for role, text in (
            ("postgres", "CREATE ROLE zoe"),
            ("postgres", "CREATE ROLE amy"),
            ("postgres", "CREATE ROLE bob"),
            ("postgres", "GRANT USAGE ON SCHEMA app_masked TO zoe, amy, bob"),
            (ROLE, "GRANT SELECT, INSERT ON app_masked.orders TO zoe WITH GRANT OPTION"),
            ("zoe", "GRANT SELECT ON app_masked.orders TO amy WITH GRANT OPTION"),
            ("amy", "GRANT SELECT ON app_masked.orders TO bob"),
            (ROLE, "GRANT SELECT (customer), UPDATE (customer) ON app_masked.orders TO bob"),
            (ROLE, "GRANT SELECT (email) ON app_masked.orders TO amy"),
        ):
            admin.execute(f"SET ROLE {role}")
            admin.execute(text)
            admin.execute("RESET ROLE")
    before = shop.rows(GRANTS)
    text = BASIC.replace('app.orders.email = "email"', 'app.orders.email = "hidden"')
    with shop.connect(credential) as session:
        assert apply(shop, text).again == ("app_masked.orders",)
        assert session.execute("SELECT id FROM orders").fetchall() == [(1,)]
    assert shop.rows(GRANTS) == [one for one in before if one[0] != "email"]
    for one, oid in zip((terms, group), oids, strict=True):
        shop.end(one)
        assert not {key: count for key, count in shop.residue(one, oid).items() if key != "scopes"}
    assert shop.rows("SELECT 1 FROM pg_roles WHERE rolname LIKE 'holdfast\\_s\\_%%'") == []


def test_open_sessions_go_on_over_a_view_that_is_made_again(shop):
    scope, first = shop.lease("read-masked", "app.orders")
    group, second = shop.lease("read-masked", lease="L2")
    with shop.connect(first) as one, shop.connect(second) as two:
        for session in (one, two):
            session.execute("PREPARE p AS SELECT id FROM orders")
            assert session.execute("EXECUTE p").fetchall() == [(1,)]
        shop.run("ALTER TABLE app.orders RENAME email TO mail")
        assert apply(shop).again
        for session in (one, two):
            assert session.execute("EXECUTE p").fetchall() == [(1,)]
            assert session.execute("SELECT id FROM orders").fetchall() == [(1,)]
            with pytest.raises(errors.UndefinedColumn):
                session.execute("SELECT email FROM orders")
    for terms in (scope, group):
        shop.end(terms)


@pytest.mark.parametrize(
    "text",
    [
        BASIC.replace('app.orders.email = "email"', 'app.orders.email = "hidden"'),
        BASIC.replace('app.orders.email = "email"', 'app.orders.email = "secret"'),
        "",
    ],
    ids=["made again", "replaced", "dropped"],
)
def test_a_view_that_is_read_is_waited_for_and_then_nothing_is_changed(shop, text):
    terms, credential = shop.lease("read-masked", "app.orders")
    before = state(shop)
    with shop.connect(credential) as session:
        session.execute("BEGIN")
        session.execute("DECLARE c CURSOR FOR SELECT id FROM orders")
        assert apply(shop, text, print_only=True).statements
        with pytest.raises(Busy, match="nothing was changed") as caught:
            apply(shop, text, lock_seconds=SHORT)
        assert caught.value.exit_code == 3
        assert session.execute("FETCH c").fetchall() == [(1,)]
        assert state(shop) == before
        session.execute("COMMIT")
        assert apply(shop, text, lock_seconds=SHORT).statements
    shop.end(terms)


def test_what_rests_on_a_view_is_not_dropped_with_it(shop):
    shop.run("CREATE VIEW public.mine AS SELECT email FROM app_masked.orders")
    before = state(shop)
    with pytest.raises(NotAllowed, match=r"view mine depends on|view public\.mine depends on"):
        apply(shop, BASIC.replace('app.orders.email = "email"', 'app.orders.email = "hidden"'))
    assert state(shop) == before


def test_a_function_in_a_schema_of_views_stands_in_the_way_of_its_end(shop):
    shop.run("CREATE FUNCTION app_masked.f() RETURNS int LANGUAGE sql AS 'SELECT 1'")
    with pytest.raises(NotAllowed, match="nothing was changed"):
        apply(shop, "")
    assert _columns(shop) == ["id", "customer", "email"]


def test_an_end_in_the_middle_leaves_all_as_it_was(shop, monkeypatch):
    before = state(shop)
    readers = masking.reach.readers

    def cut(owner, *rest):
        pid = owner.session.connection.info.backend_pid
        shop.run(f"SELECT pg_terminate_backend({pid})")
        return readers(owner, *rest)

    def fail(owner, *rest):
        owner.run("SELECT 1 / 0")

    text = BASIC.replace('app.orders.email = "email"', 'app.orders.email = "hidden"') + EU
    for broken, error in ((cut, ConnectionLost), (fail, HoldfastError)):
        monkeypatch.setattr(masking.reach, "readers", broken)
        with pytest.raises(error):
            apply(shop, text)
        assert state(shop) == before
    monkeypatch.undo()
    assert apply(shop, text).again


def test_two_at_a_time_come_out_as_one_after_the_other(cluster):
    bare(cluster)
    texts = [BASIC + EU, BASIC.replace('app.orders.email = "email"', "")]
    with ThreadPoolExecutor(4) as pool:
        for _ in range(2):
            done = list(pool.map(lambda text: apply(cluster, text), texts * 2))
            assert len(done) == 4
            now = [apply(cluster, text, print_only=True).statements for text in texts]
            assert () in now


def test_what_is_granted_in_the_last_moment_is_kept(shop, monkeypatch):
    """A lease is issued after the grants were read, and before the view is dropped."""
    issued = []
    hold = masking.reach.hold

    def meanwhile(owner, reads):
        if not issued:
            issued.append(shop.lease("read-masked", "app.orders"))
        hold(owner, reads)

    monkeypatch.setattr(masking.reach, "hold", meanwhile)
    text = BASIC.replace('app.orders.email = "email"', 'app.orders.email = "hidden"')
    assert apply(shop, text).again
    ((terms, credential),) = issued
    with shop.connect(credential) as session:
        assert session.execute("SELECT id FROM orders").fetchall() == [(1,)]
    shop.end(terms)


def test_leases_come_and_go_while_masks_are_applied(shop):
    texts = [BASIC, BASIC.replace('app.orders.email = "email"', 'app.orders.email = "hidden"')]
    over = threading.Event()
    failed = []

    def leases(number):
        turn = 0
        while not over.is_set():
            name = f"T{number}x{turn}"
            turn += 1
            try:
                terms, credential = shop.lease("read-masked", "app.orders", lease=name)
                with shop.connect(credential) as session:
                    assert session.execute("SELECT id FROM orders").fetchall() == [(1,)]
                shop.end(terms)
            except HoldfastError as error:
                failed.append(error)

    threads = [threading.Thread(target=leases, args=(number,)) for number in range(2)]
    for thread in threads:
        thread.start()
    try:
        for turn in range(6):
            apply(shop, texts[turn % 2])
    finally:
        over.set()
        for thread in threads:
            thread.join()
    # A lease that was planned before its view was made again is refused, and asked for again.
    refusals = ("precondition_failed", "conflict")
    assert [
        one
        for one in failed
        if one.code not in refusals and "privileges more than its scope" not in one.message
    ] == []
    shop.end(shop.terms("read-masked", "app.orders", lease="sweep"))
    assert shop.rows("SELECT rolname FROM pg_roles WHERE rolname LIKE 'hf\\_%%'") == []
