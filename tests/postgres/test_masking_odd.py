"""Odd tables: every name, every type, many columns, tables and partitions, views on views."""

from itertools import pairwise

import psycopg
import pytest
from msgspec.structs import replace
from psycopg import sql
from support.cluster import WANTED
from support.masked import BASIC, apply, bare, held

from chalicelib.access.masking.masks import parse
from chalicelib.kernel.errors import NotAllowed, UsageError
from chalicelib.postgres import masking
from chalicelib.postgres.broker import Session

NAMES = [
    "select",
    "Odd.Name",
    'a"b',
    "a'b",
    "a\nb",
    "{0}",
    "{{x}}",
    "%s %(x)s %",
    "ü中😀",
    "é" * 31 + "x",
    "x" * 63,
    "hf_1",
    "n0",
    "e",
    "key",
    "inner",
    "$1",
    "--",
    "/*",
    "\\",
    " ",
    "*",
    "tableoid_",
    "holdfast_mask",
]
TYPES = (
    *("text", "varchar(5)", "char(7)", '"char"', "name", "bytea", "xml", "tsvector", "tsquery"),
    *("boolean", "smallint", "integer", "bigint", "numeric", "numeric(9,2)", "real", "money"),
    *("double precision", "date", "time", "timetz", "timestamp(3)", "timestamptz", "interval"),
    *("interval day to second(2)", "uuid", "json", "jsonb", "jsonpath", "inet", "cidr", "macaddr"),
    *("macaddr8", "point", "box", "path", "oid", "regclass", "bit", "bit(3)", "bit varying(4)"),
    *("int4range", "tstzrange", "pg_lsn", "txid_snapshot", "int2vector", "oidvector", "refcursor"),
    *("text[]", "varchar(3)[]", "integer[][]", "jsonb[]", "numeric(3,1)[]", "timestamptz[]"),
    *("hr.mood", "hr.mood[]", "hr.pair", "hr.pair[]", "hr.email", "hr.strict", "hr.over"),
    *("hr.list", "hr.email[]", "hr.span", "app.orders"),
)


@pytest.fixture
def shop(cluster):
    return bare(cluster)


def _all(shop, text, wanted=WANTED, **more):
    """Apply ``text``, a mapping of schema to tables to columns."""
    return masking.apply(shop.dsn(), parse([("m", {"columns": text})]), wanted, **more)


def test_columns_tables_and_schemas_of_any_name(shop):
    with psycopg.connect(shop.dsn(), autocommit=True) as admin:
        for name in NAMES:
            one = sql.Identifier(name)
            columns = sql.SQL(", ").join(
                sql.SQL("{} text DEFAULT 'clear'").format(sql.Identifier(column))
                for column in dict.fromkeys((*NAMES, name))
            )
            admin.execute(sql.SQL("CREATE TABLE app.{} ({})").format(one, columns))
            admin.execute(sql.SQL("INSERT INTO app.{} DEFAULT VALUES").format(one))
    rules = {
        name: {column: ("name", "email", "public")[at % 3] for at, column in enumerate(NAMES)}
        for name in NAMES
    }
    done = _all(shop, {"app": rules})
    assert len(done.made) == len(NAMES)
    assert _all(shop, {"app": rules}).statements == ()
    terms, credential = shop.lease("read-masked")
    with shop.connect(credential) as session:
        for name in NAMES:
            query = sql.SQL("SELECT * FROM {}").format(sql.Identifier("app_masked", name))
            cursor = session.execute(query)
            row = dict(
                zip([one.name for one in cursor.description], cursor.fetchone(), strict=True)
            )
            assert [column for column in NAMES if row[column] == "clear"] == NAMES[2::3]
    shop.end(terms)


@pytest.mark.parametrize("schema", ['Odd "x"', "ü" * 25, "x" * 53, "%s{0}", "select"])
def test_schemas_of_any_name_have_their_views_beside_them(shop, schema):
    shop.run(
        sql.SQL("CREATE SCHEMA {}").format(sql.Identifier(schema)),
        sql.SQL("CREATE TABLE {} (email text)").format(sql.Identifier(schema, "t")),
    )
    wanted = replace(WANTED, schemas=("app", schema))
    assert _all(shop, {schema: {"t": {"email": "email"}}}, wanted).made
    assert _all(shop, {schema: {"t": {"email": "email"}}}, wanted).statements == ()


def test_columns_of_every_type_under_every_class(shop):
    shop.run(
        "CREATE SCHEMA hr",
        "CREATE TYPE hr.mood AS ENUM ('ok', 'not')",
        "CREATE TYPE hr.pair AS (a int, b text)",
        "CREATE DOMAIN hr.email AS varchar(40) NOT NULL CHECK (VALUE LIKE '%@%')",
        "CREATE DOMAIN hr.strict AS int NOT NULL CHECK (VALUE > 10)",
        "CREATE DOMAIN hr.over AS hr.email",
        "CREATE DOMAIN hr.list AS text[] NOT NULL",
        "CREATE TYPE hr.span AS RANGE (subtype = float8)",
        "REVOKE ALL ON SCHEMA hr FROM PUBLIC",
    )
    types = [*TYPES, *(["int4multirange"] if shop.major >= 14 else [])]
    columns = {f"c{number}": one for number, one in enumerate(types)}
    shop.run(
        "CREATE TABLE app.t (" + ", ".join(f"{name} {of}" for name, of in columns.items()) + ")",
        "CREATE TABLE app.made (id int GENERATED ALWAYS AS IDENTITY, a text,"
        " b text GENERATED ALWAYS AS (upper(a)) STORED)",
        "INSERT INTO app.made (a) VALUES ('ana@example.com')",
    )
    if shop.major >= 18:
        shop.run("ALTER TABLE app.made ADD v text GENERATED ALWAYS AS (lower(a)) VIRTUAL")
    for klass in ("public", "secret", "email", "name", "financial", "birth-date", "ip", "location"):
        rules = {
            "t": dict.fromkeys(columns, klass),
            "made": {"id": "public", "b": klass, "v": klass},
        }
        _all(shop, {"app": rules})
        assert _all(shop, {"app": rules}).statements == (), klass
        assert ("app.made", "a") not in held(shop)
        terms, credential = shop.lease("read-masked")
        with shop.connect(credential) as session:
            session.execute("SELECT * FROM t")
            for row in session.execute("SELECT * FROM made").fetchall():
                assert klass == "public" or "ana" not in repr(row).lower()
        shop.end(terms)


def test_views_on_views_and_materialised_views(shop):
    shop.run(
        "CREATE VIEW app.v AS SELECT id, email FROM app.orders",
        "CREATE VIEW app.vv AS SELECT email FROM app.v",
        "CREATE MATERIALIZED VIEW app.m AS SELECT email FROM app.orders",
        "CREATE TABLE app.empty ()",
    )
    rules = {one: {"email": "email"} for one in ("v", "vv", "m")}
    done = _all(shop, {"app": rules})
    assert ("app", "empty", "it has no columns") in done.views.left_out
    terms, credential = shop.lease("read-masked")
    with shop.connect(credential) as session:
        for one in rules:
            assert session.execute(f"SELECT * FROM {one}").fetchall() == [("a***@***.com",)]
    shop.end(terms)
    assert held(shop) == {(f"app.{one}", "email") for one in rules}


def test_a_view_that_reads_as_its_caller_is_refused(shop):
    if shop.major < 15:
        pytest.skip("security_invoker is of 15")
    shop.run("CREATE VIEW app.v WITH (security_invoker) AS SELECT email FROM app.orders")
    with pytest.raises(UsageError, match=r"app_masked\.v cannot be read by its owner"):
        _all(shop, {"app": {"v": {"email": "email"}}})


def test_a_foreign_table_needs_a_user_mapping(shop):
    shop.run(
        "CREATE FOREIGN DATA WRAPPER far",
        "CREATE SERVER far FOREIGN DATA WRAPPER far",
        "CREATE FOREIGN TABLE app.far (email text) SERVER far",
    )
    done = _all(shop, {"app": {"far": {"email": "email"}}})
    assert done.made == ()
    assert [name for _, name, why in done.views.left_out if "user mapping" in why] == ["far"]


def test_a_type_of_an_extension_needs_its_schema_to_be_used(shop):
    has = shop.value("SELECT count(*) FROM pg_available_extensions WHERE name = 'citext'")
    if not has:
        pytest.skip("this server has no citext")
    shop.run(
        "CREATE SCHEMA ext",
        "CREATE EXTENSION citext SCHEMA ext",
        "CREATE TABLE app.c (email ext.citext, other ext.citext)",
    )
    rules = {"app": {"c": {"email": "email", "other": "secret"}}}
    _all(shop, rules)
    assert _all(shop, rules).statements == ()


def test_as_many_columns_as_a_table_can_have(shop):
    names = [f"c{number}" for number in range(1_600)]
    shop.run("CREATE TABLE app.wide (" + ", ".join(f"{one} int" for one in names) + ")")
    rules = {"app": {"wide": dict.fromkeys(names, "public")}}
    assert _all(shop, rules).made == ("app_masked.wide",)
    assert _all(shop, rules).statements == ()


def test_hundreds_of_tables(shop):
    names = [f"t{number:03}" for number in range(150)]
    shop.run("".join(f"CREATE TABLE app.{one} (id int, email text);" for one in names))
    rules = {"app": {one: {"id": "public", "email": "email"} for one in names}}
    assert len(_all(shop, rules).made) == 150
    assert _all(shop, rules).statements == ()
    assert len(_all(shop, {}).dropped) == 150


def test_partition_trees_cost_a_view_and_not_a_statement_each(shop, monkeypatch):
    """Statements for a tree, counted: as many for 300 partitions as for 30."""
    asked = []
    rows = Session.rows
    monkeypatch.setattr(
        Session, "rows", lambda self, name, **more: asked.append(name) or rows(self, name, **more)
    )
    counts = []
    shop.run("CREATE TABLE app.parts (id int, email text) PARTITION BY RANGE (id)")
    for first, last in pairwise((0, 30, 300)):
        shop.run(
            "".join(
                f"CREATE TABLE app.p{at} PARTITION OF app.parts"
                f" FOR VALUES FROM ({at}) TO ({at + 1});"
                for at in range(first, last)
            )
        )
        asked.clear()
        rules = {"app": {"parts": {"email": ("email", "name")[first > 0]}}}
        done = _all(shop, rules)
        counts.append((len(asked), len(done.views.views)))
    assert counts[0] == counts[1]


def test_a_schema_that_is_called_as_anothers_views(shop):
    shop.run("CREATE SCHEMA app_masked", "CREATE TABLE app_masked.t (email text)")
    with pytest.raises(UsageError, match="is a schema of its own"):
        apply(shop, wanted=replace(WANTED, schemas=("app", "app_masked")))
    with pytest.raises(NotAllowed, match="is there already and belongs to"):
        apply(shop)


def test_a_view_of_a_person_is_refused_and_left(cluster):
    before = cluster.value("SELECT pg_get_viewdef('app_masked.orders'::regclass)")
    with pytest.raises(NotAllowed, match="schema app_masked is there already and belongs to"):
        apply(cluster)
    assert cluster.value("SELECT pg_get_viewdef('app_masked.orders'::regclass)") == before


def test_the_holdfast_schema_is_no_target(shop):
    apply(shop)
    with pytest.raises(UsageError, match="is the server's or Holdfast's own"):
        apply(shop, BASIC, replace(WANTED, schemas=("app", "holdfast_mask")))
