"""Every mask over every type that it takes, on a real server, with values that people regret."""

import hashlib
import hmac
import json
import re
from contextlib import contextmanager
from decimal import Decimal
from typing import NamedTuple

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from psycopg import sql

from chalicelib.access.masking.catalogue import CATALOGUE, expression, refusal
from chalicelib.access.masking.column import Family, Type
from chalicelib.access.masking.documents import DEEPEST
from chalicelib.access.masking.draft import KEY, SCHEMA, Draft
from chalicelib.access.masking.spec import Spec
from chalicelib.access.plan import Step
from chalicelib.postgres.plan import composed

SECRET = hashlib.sha512(b"a key of these tests").digest()
FEW = settings(
    max_examples=8,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
TEXTS = [
    "",
    " ",
    "x",
    "ann@example.com",
    "a@b",
    "@",
    "a@b@c.de",
    "0301234567",
    "+49 (30) 123-45 67",
    "4111 1111 1111 1111",
    "DE89370400440532013000",
    "%s {0} {} \\ ' \" $$ $1 [a-z]* (?=x)",
    "\u0661\u0662\u0663\u0664\u0665\u0666\u0667",
    "e\u0301\U0001f600\u202ereversed",
    "1" * 56,
    "1" * 57,
    "9" * 120,
    "(" * 300,
    "x" * 1_000_000,
    "7" * 1_000_000,
]
INT2 = ["0", "1", "-1", "999", "32767", "-32768"]
INT4 = [*INT2, "99999", "100000", "-123456", "2147483647", "-2147483648", "1000000"]
INT8 = [*INT4, "9223372036854775807", "-9223372036854775808", "-9223372036854775807"]
DECIMALS = [*INT8, "NaN", "1.00", "-0.01", "1e999", "1e1001", "-1e131071", "1e-16383", "9" * 1000]
FLOATS = ["0", "-0", "NaN", "Infinity", "-Infinity", "1.5", "-7", "1e-30", "3e37", "0.1"]
HUGE = [f"{sign}1.{n}e308" for n in range(70, 80) for sign in ("", "-")]  # any more is infinite
DATES = ["infinity", "-infinity", "4713-01-01 BC", "0001-01-01", "1969-12-31", "2024-02-29"]
DATES += ["4700-01-01 BC", "4699-12-31 BC", "294259-12-31"]
STAMPS = [*DATES, "4714-11-24 00:00:00+00 BC", "294276-12-31 23:59:59.999999+00"]
STAMPS += ["2024-03-31 02:30:00.123456+00", "2024-10-27 01:30:00+02"]
DOCUMENTS = [
    "null",
    "[]",
    "{}",
    "3",
    '"x"',
    "[1, null, {}]",
    '{"user": {"email": "ann@example.com", "hidden": "s3cret"}, "n": 12.5, "s": "value-s"}',
    '{"user": [1], "n": "x", "s": 7, "items": [{"p": 1}, 2, null, {"q": 3}, []], "a.b": {"c": 1}}',
    '{"user": null, "n": null, "s": true, "items": null, "a.b": null}',
    '{"n": 1e1000, "s": "\\"\\\\"}',
    '{"s": "\\ud83d\\ude00"}',
    "[" * 3000 + "]" * 3000,
]
ODD_JSON = [
    '{"s": "\\u0000"}',
    '{"s": "\\ud800"}',
    '{"\\u0000": 1}',
    '{"s": "\\\\ud83d\\ude00"}',
    '{"n": 1e400000}',
    '{"n": -1E+99999}',
    '{"n": 1e-400000}',
    '{"n": ' + "9" * 140_000 + "}",
    '{"n": 0.' + "1" * 17_000 + "}",
    '{"s": 1, "s": 2}',
    "[" * 9000 + "]" * 9000,
    '{"s": ' + '{"n":' * 6000 + "1" + "}" * 6001,
]
PATHS = {
    "user.email": "email",
    "n": {"mask": "noise"},
    "s": "pseudonym",
    "items[*].p": {"mask": "bucket", "size": 10},
    '"a.b"': "clear",
}


class Kind(NamedTuple):
    """A column's type, what is shown of it here, and values of it as text."""

    sql: str
    type: Type
    values: list
    more: st.SearchStrategy


def kind(declared, name, family, values, more, **fields):
    of = Type(schema="pg_catalog", name=name, family=family, shown=declared, **fields)
    return Kind(declared, of, [*values, None], more)


_text = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=60)
_inner = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), _text)
_json = st.builds(
    lambda value, ascii_only: json.dumps(value, ensure_ascii=ascii_only, allow_nan=False),
    st.recursive(
        _inner.filter(lambda one: one not in (float("inf"), float("-inf"))),
        lambda one: st.one_of(
            st.lists(one, max_size=3),
            st.dictionaries(st.sampled_from(["user", "email", "n", "s", "items", "p"]), one),
        ),
    ),
    st.booleans(),
)


def _numbers(bits):
    return st.integers(-(1 << (bits - 1)), (1 << (bits - 1)) - 1).map(str)


_decimals = st.decimals(allow_nan=False, allow_infinity=False).map(str)
_days = st.dates().map(str)
_stamps = st.datetimes().map(str)
_address = st.ip_addresses().map(str)
KINDS = [
    kind("text", "text", Family.TEXT, TEXTS, _text),
    kind("varchar(64)", "varchar", Family.TEXT, [], _text, length=64),
    kind("char(9)", "bpchar", Family.TEXT, ["", "x", "123456789"], st.just("12 34 567"), length=9),
    kind("name", "name", Family.TEXT, ["", "x" * 63], st.just("ann")),
    kind("int2", "int2", Family.INT, INT2, _numbers(16)),
    kind("int4", "int4", Family.INT, INT4, _numbers(32)),
    kind("int8", "int8", Family.INT, INT8, _numbers(64)),
    kind("numeric", "numeric", Family.DECIMAL, DECIMALS, _decimals),
    kind("numeric(9,2)", "numeric", Family.DECIMAL, ["NaN", "9999999.99"], st.just("-17.35")),
    kind("float4", "float4", Family.FLOAT, FLOATS, st.floats(width=32).map(repr)),
    kind("float8", "float8", Family.FLOAT, [*FLOATS, *HUGE, "5e-324"], st.floats().map(repr)),
    kind("date", "date", Family.DATE, [*DATES, "5874897-12-31", "5874880-01-01"], _days),
    kind("timestamp", "timestamp", Family.TIMESTAMP, STAMPS, _stamps),
    kind("timestamptz", "timestamptz", Family.TIMESTAMPTZ, STAMPS, _stamps),
    kind("time", "time", Family.TIME, ["00:00", "24:00", "23:59:59.999999"], st.times().map(str)),
    kind("bool", "bool", Family.BOOL, ["t", "f"], st.just("t")),
    kind("uuid", "uuid", Family.UUID, ["0" * 32, "f" * 32], st.uuids().map(str)),
    kind("inet", "inet", Family.INET, ["0.0.0.1", "10.1.2.3/8", "::1", "::/0"], _address),
    kind("cidr", "cidr", Family.INET, ["0.0.0.0/0", "10.1.2.0/25", "2001:db8::/64"], _address),
    kind("macaddr", "macaddr", Family.MAC, ["08:00:2b:01:02:03"], st.just("ff" * 6)),
    kind(
        "bytea",
        "bytea",
        Family.BYTEA,
        ["\\x", "\\x00ff"],
        st.binary().map(lambda b: f"\\x{b.hex()}"),
    ),
    kind("json", "json", Family.JSON, [*DOCUMENTS, *ODD_JSON], _json),
    kind("jsonb", "jsonb", Family.JSONB, DOCUMENTS, _json.filter(lambda t: "\\u0000" not in t)),
    kind("interval", "interval", Family.INTERVAL, ["1 day", "-3 mons"], st.just("2h")),
    kind("int4range", "int4range", Family.RANGE, ["[1,5)", "empty"], st.just("(,3]")),
    kind("bit(4)", "bit", Family.OTHER, ["1010"], st.just("0000")),
    kind("point", "point", Family.OTHER, ["(1,2)"], st.just("(3,4)")),
]
BY_SQL = {one.sql: one for one in KINDS}
CONSTANTS = {
    Family.TEXT: "gone",
    Family.BOOL: "false",
    Family.DATE: "1970-01-01",
    Family.TIMESTAMP: "1970-01-01",
    Family.TIMESTAMPTZ: "1970-01-01 00:00+00",
    Family.TIME: "00:00",
    Family.UUID: "0" * 32,
    Family.INET: "192.0.2.0",
    Family.MAC: "00" * 6,
    Family.BYTEA: "",
    Family.JSON: "{}",
    Family.JSONB: "{}",
    Family.RANGE: "empty",
}
MASKS = [
    Spec("clear"),
    Spec("null"),
    Spec("constant"),
    Spec("partial"),
    Spec("partial", {"first": 2, "last": 0, "with": "#"}),
    Spec("email"),
    Spec("email", {"first": 0, "whole_domain": True}),
    Spec("pseudonym"),
    Spec("pseudonym", {"domain": "customer", "fold": True}),
    Spec("hash"),
    Spec("digits"),
    Spec("digits", {"last": 4, "domain": "card"}),
    Spec("shift"),
    Spec("shift", {"days": 3650, "by": "who"}),
    Spec("generalise", {"to": "hour"}),
    Spec("generalise", {"to": "week"}),
    Spec("generalise"),
    Spec("generalise", {"to": "decade"}),
    Spec("noise"),
    Spec("noise", {"ratio": 1.0, "by": "who"}),
    Spec("noise", {"amount": 1e12}),
    Spec("noise", {"amount": 32767}),
    Spec("noise", {"amount": 1e-6}),
    Spec("bucket", {"size": 10}),
    Spec("bucket", {"size": 1e12}),
    Spec("bucket", {"size": 1e-6}),
    Spec("network"),
    Spec("network", {"v4": 0, "v6": 0}),
    Spec("json", {"paths": PATHS}),
]
WHO = Type(schema="pg_catalog", name="int8", family=Family.INT)


def _spec(spec, of):
    """The mask as it can be over a type: a constant is of the type."""
    if spec.mask != "constant":
        return spec
    bits = {"bit": "0101", "point": "(0,0)"}
    return Spec("constant", {"value": bits.get(of.name, CONSTANTS.get(of.family, "0"))})


def _pairs():
    for spec in MASKS:
        for one in KINDS:
            told = _spec(spec, one.type)
            if not refusal(told, one.type, {"who": WHO}):
                words = "-".join(f"{key}={value}" for key, value in spec.parameters.items())
                words = "" if spec.mask == "json" else words
                yield pytest.param(told, one, id=f"{one.sql}-{spec.mask}-{words}".rstrip("-"))


PAIRS = list(_pairs())


def _is_keyed(pair):
    return pair.values[0].mask in ("pseudonym", "digits", "noise", "shift")


class Bench:
    """A database with the key of masks, and one table under one masking view."""

    def __init__(self, connection):
        self.connection = connection
        self.run(f"CREATE SCHEMA {SCHEMA}")
        self.run(f'CREATE TABLE {SCHEMA}.{KEY} ("inner" bytea, "outer" bytea)')
        halves = [bytes(byte ^ pad for byte in SECRET) for pad in (0x36, 0x5C)]
        self.run(f"INSERT INTO {SCHEMA}.{KEY} VALUES (%s, %s)", halves)

    def begin(self):
        """Nothing is left of another test; the session is as the one that makes views."""
        self.run("RESET ALL")
        self.run("SET search_path = pg_catalog; SET client_min_messages = error")
        self.run("DROP SCHEMA public CASCADE")
        self.run("CREATE SCHEMA public")
        self.run("GRANT USAGE ON SCHEMA public TO PUBLIC")
        return self

    def run(self, statement, parameters=None):
        return self.connection.execute(statement, parameters)

    def rows(self, statement, parameters=None):
        return self.run(statement, parameters).fetchall()

    def lay(self, declared, of, spec, *, other="int8", other_of=WHO, table="t"):
        """A table with ``v`` and ``who``, and a view with its mask as ``m``."""
        self.run(f"DROP TABLE IF EXISTS public.{table} CASCADE")
        self.run(f"CREATE TABLE public.{table} (i serial, v {declared}, who {other})")
        draft = Draft("public", table, {"v": of, "who": other_of})
        mask = expression(draft, draft.column("v"), of, spec)
        step = Step(
            sql=f"CREATE VIEW public.{table}_masked WITH (security_barrier) AS "
            f"SELECT {draft.name(table, 'i')}, {mask} AS m FROM {draft.source}",
            identifiers=draft.identifiers,
            literals=draft.literals,
        )
        self.run(composed(step, {}))

    def fill(self, declared, values, who=None, table="t"):
        self.run(f"TRUNCATE public.{table} RESTART IDENTITY")
        cast = re.sub(r"^name$", "pg_catalog.name", declared)
        with self.connection.cursor() as cursor:
            cursor.executemany(
                f"INSERT INTO public.{table} (v, who) VALUES (%s::text::{cast}, %s)",
                [(one, who) for one in values],
            )

    def masked(self, what="m", table="t"):
        return [one for (one,) in self.rows(f"SELECT {what} FROM public.{table}_masked ORDER BY i")]

    def of(self, spec, declared, values, who=None):
        """The masked values of a column."""
        self.lay(declared, BY_SQL[declared].type, spec)
        self.fill(declared, values, who)
        return self.masked()


@contextmanager
def benches(server, name, options=""):
    """A database of this module's own: making one for each of its many tests would take minutes."""
    with psycopg.connect(server.dsn(), autocommit=True) as admin:
        admin.execute(f"DROP DATABASE IF EXISTS {name}")
        admin.execute(f"CREATE DATABASE {name} {options}")
        with psycopg.connect(
            server.dsn(name), autocommit=True, prepare_threshold=None
        ) as connection:  # a prepared query has the types of an earlier table
            yield Bench(connection)
        admin.execute(f"DROP DATABASE IF EXISTS {name}")


@pytest.fixture(scope="module")
def masks(postgres_server):
    with benches(postgres_server, "masks") as made:
        yield made


@pytest.fixture
def bench(masks):
    return masks.begin()


def keyed(domain, text):
    return hmac.new(SECRET, f"{domain}:{text}".encode(), hashlib.sha256).digest()


def digits_of(number, domain, tail=""):
    """The mask ``digits`` over a row of digits, in Python."""
    n = len(number)
    half = n // 2
    a, b = int(number[:half]), int(number[half:])
    for i in range(10):
        code = keyed(f"digits/{domain}", f"{i}:{n}:{tail}:{b}").hex()
        length = half if i % 2 == 0 else n - half
        a, b = b, (a + int(code[:45], 16)) % 10**length
    return str(a).zfill(half) + str(b).zfill(n - half)


# --- every mask over every type -----------------------------------------------------------------

HIDES = ("partial", "email", "pseudonym", "hash", "digits", "noise")


@pytest.mark.parametrize(("spec", "one"), PAIRS)
def test_a_mask_never_fails_and_never_shows_what_it_hides(bench, spec, one):
    bench.lay(one.sql, one.type, spec)

    def check(values):
        bench.fill(one.sql, values, 7)
        found = bench.rows(
            "SELECT t.v::text, w.m::text FROM public.t JOIN public.t_masked w USING (i) ORDER BY i"
        )
        assert len(found) == len(values)
        for clear, masked in found:
            if clear is None:
                assert CATALOGUE[spec.mask].of_null == (
                    "null" if masked is None else "the constant"
                )
            elif spec.mask in HIDES:
                assert masked != clear
                if spec.mask != "noise":  # 25.5 is another number than 2
                    assert not (len(clear) > 12 and clear in (masked or ""))

    check(one.values)
    if one.more is not None:
        FEW(given(st.lists(one.more, min_size=1, max_size=12))(check))()


def _compared(of):
    """The type that a mask's values are compared in: some have no equality."""
    return "text" if of in ("json", "point") else of


@pytest.mark.parametrize(("spec", "one"), PAIRS)
def test_a_mask_is_the_same_in_every_session(bench, spec, one):
    """Nothing that the caller can set changes a mask: two sessions see the same values."""
    bench.lay(one.sql, one.type, spec)
    bench.fill(one.sql, one.values, 7)
    bench.run("CREATE TABLE public.kept AS SELECT i, m FROM public.t_masked")
    compared = _compared(_type(bench))
    for statement in (
        "SET DateStyle = 'German, DMY'",
        "SET TimeZone = 'Pacific/Chatham'",
        "SET IntervalStyle = 'sql_standard'",
        "SET extra_float_digits = -15",
        "SET bytea_output = 'escape'",
        "SET quote_all_identifiers = on",
        "SET standard_conforming_strings = off",
        "SET client_encoding = 'LATIN1'",
        "SET search_path = public",
    ):
        bench.run(statement)
    other = bench.rows(
        "SELECT count(*) FROM public.kept k JOIN public.t_masked w USING (i) "
        f"WHERE k.m::{compared} IS DISTINCT FROM w.m::{compared}"
    )
    assert other == [(0,)]


def _type(bench):
    query = (
        "SELECT format_type(atttypid, -1) FROM pg_attribute "
        "WHERE attrelid = 'public.t_masked'::regclass AND attname = 'm'"
    )
    return bench.rows(query)[0][0]


RESULTS = {
    "partial": {Family.TEXT: "text"},
    "email": {Family.TEXT: "text"},
    "hash": dict.fromkeys(Family, "text"),
    "pseudonym": {
        Family.TEXT: "text",
        Family.INET: "text",
        Family.MAC: "text",
        Family.INT: "bigint",
        Family.DECIMAL: "bigint",
    },
    "digits": {Family.TEXT: "text", Family.INT: "bigint"},
}


@pytest.mark.parametrize(("spec", "one"), PAIRS)
def test_the_result_has_the_documented_type_also_of_arrays(bench, spec, one):
    base = bench.rows("SELECT format_type(%s::regtype, -1)", [f'pg_catalog."{one.type.name}"'])
    expected = RESULTS.get(spec.mask, {}).get(one.type.family, base[0][0])
    bench.lay(one.sql, one.type, spec)
    assert _type(bench) == expected
    array = Type(
        schema="pg_catalog",
        name=f"_{one.type.name}",
        family=one.type.family,
        array=True,
        element=("pg_catalog", one.type.name),
    )
    bench.lay(f"{one.sql}[]", array, spec)
    assert _type(bench) == f"{expected}[]"
    bench.fill(f"{one.sql}[]", [None, "{}", "{NULL}"], 7)
    found = bench.masked("m::text")
    if spec.mask == "constant":
        assert len(set(found)) == 1
        assert found[0] is not None
    elif spec.mask == "null":
        assert found == [None, None, None]
    else:
        assert found == [None, "{}", "{NULL}"]


def test_masks_are_made_of_functions_that_are_not_volatile_and_of_no_others(bench):
    words = set()
    for one in PAIRS:
        spec, on = one.values
        draft = Draft("public", "t", {"v": on.type, "who": WHO})
        mask = expression(draft, draft.column("v"), on.type, spec)
        words |= set(re.findall(r"\b([a-z_][a-z0-9_]*)\(", mask))
    syntax = {"coalesce", "greatest", "least"}
    words = {one for one in words - syntax if not re.fullmatch(r"hf_\d+", one)}
    found = bench.rows(
        "SELECT p.proname, bool_or(p.provolatile = 'v') FROM pg_proc p "
        "WHERE p.pronamespace = 'pg_catalog'::regnamespace AND p.proname = ANY(%s) GROUP BY 1",
        [sorted(words)],
    )
    assert dict(found) == dict.fromkeys(sorted(words), False)


def test_a_lease_reads_masks_and_not_the_key(bench, postgres_server):
    bench.lay("text", BY_SQL["text"].type, Spec("pseudonym"))
    bench.fill("text", ["ann"])
    bench.run("CREATE ROLE lease LOGIN PASSWORD 'x'")
    bench.run("GRANT SELECT ON public.t_masked TO lease")
    dsn = postgres_server.dsn("masks", user="lease", password="x")
    with psycopg.connect(dsn, autocommit=True) as lease:
        expected = f"p_{keyed('value', 'ann').hex()[:32]}"
        assert lease.execute("SELECT m FROM public.t_masked").fetchone() == (expected,)
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            lease.execute("SELECT * FROM holdfast_mask.key")
    bench.run("DROP OWNED BY lease")
    bench.run("DROP ROLE lease")


@pytest.mark.parametrize(("spec", "one"), [one for one in PAIRS if _is_keyed(one)])
def test_without_a_key_there_is_nothing(bench, spec, one):
    """A dump can leave the key out: what is restored shows no value, and no error."""
    bench.lay(one.sql, one.type, spec)
    bench.fill(one.sql, [value for value in one.values if value is not None], 7)
    bench.run(f"CREATE TABLE public.safe AS TABLE {SCHEMA}.{KEY}")
    bench.run(f"DELETE FROM {SCHEMA}.{KEY}")
    try:
        assert set(bench.masked("m::text")) <= {None, "******", "infinity", "-infinity"}
    finally:
        bench.run(f"INSERT INTO {SCHEMA}.{KEY} TABLE public.safe")


# --- odd columns ----------------------------------------------------------------------------------


def test_masks_over_domains_have_the_type_under_them(bench):
    bench.run("CREATE DOMAIN public.small AS int4 CHECK (VALUE < 100)")
    bench.run("CREATE DOMAIN public.word AS varchar(9) CHECK (VALUE NOT LIKE 'p%')")
    bench.run("CREATE DOMAIN public.days AS date[] CHECK (cardinality(VALUE) < 3)")
    bench.lay("public.small", BY_SQL["int4"].type, Spec("noise", {"amount": 1000}))
    bench.fill("public.small", ["99", None])
    assert abs(bench.masked()[0] - 99) <= 1000
    assert _type(bench) == "integer"
    for spec in (Spec("pseudonym"), Spec("digits"), Spec("null"), Spec("constant")):
        bench.lay("public.word", BY_SQL["varchar(64)"].type, spec)
        bench.fill("public.word", ["1234567", "x"])
        bench.masked()
    days = Type(
        schema="pg_catalog",
        name="_date",
        family=Family.DATE,
        array=True,
        element=("pg_catalog", "date"),
    )
    bench.lay("public.days", days, Spec("generalise"))
    bench.fill("public.days", ["{2024-05-06,infinity}", "{{2024-05-06}}", "[5:5]={2023-02-01}"])
    assert bench.masked("m::text") == ["{2024-01-01,infinity}", None, "{2023-01-01}"]
    smalls = Type(
        schema="public",
        name="_small",
        family=Family.INT,
        array=True,
        element=("public", "small"),
    )
    bench.lay("public.small[]", smalls, Spec("bucket", {"size": 10}))
    bench.fill("public.small[]", ["{99,-1}"])
    assert bench.masked() == [[90, -10]]


@pytest.mark.parametrize(
    "spec", [one for one in MASKS if Family.TEXT in CATALOGUE[one.mask].families]
)
def test_a_collation_that_searches_cannot_use_is_no_error(bench, spec):
    try:
        bench.run(
            "CREATE COLLATION public.loose (provider = icu, locale = 'und-u-ks-level1', "
            "deterministic = false)"
        )
    except psycopg.errors.FeatureNotSupported:
        pytest.skip("this server is built without ICU; those of tests/matrix.sh are not")
    spec = _spec(spec, BY_SQL["text"].type)
    bench.lay("text COLLATE public.loose", BY_SQL["text"].type, spec, other='text COLLATE "C"')
    bench.fill("text", TEXTS)
    bench.masked()
    if spec.mask != "clear":
        query = "SELECT count(*) FROM public.t_masked a JOIN public.t_masked b ON a.m LIKE b.m"
        assert bench.rows(query)


@pytest.mark.parametrize("encoding", ["SQL_ASCII", "LATIN1", "EUC_JP"])
def test_masks_work_in_other_encodings(postgres_server, encoding):
    """In SQL_ASCII text is any bytes; in others json has escapes that text has no character for."""
    options = f"ENCODING '{encoding}' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0"
    texts = [b"E'ab\\xff\\xfe\\x80cdefgh'", b"E'\\x80@x.org'", b"E'123456\\xb2'"]
    texts = {"SQL_ASCII": texts, "LATIN1": [b"E'caf\\xe9@x.org1234567'"]}.get(encoding, [])
    documents = [rb"""'{"s": "\u00e9"}'""", rb"""'{"s": "\u4e00"}'""", rb"""'{"s": "\u0041"}'"""]
    with benches(postgres_server, "masks_encoded", options) as bench:
        for spec in MASKS:
            for declared, values in (("text", texts), ("json", documents)):
                of = BY_SQL[declared].type
                told = _spec(spec, of)
                if refusal(told, of, {"who": WHO}) or spec.mask == "clear":
                    continue
                bench.begin()
                bench.lay(declared, of, told)
                for value in [b"''", *values] if declared == "text" else [b"'{}'", *values]:
                    bench.run(b"INSERT INTO public.t (v) VALUES (" + value + b")")
                found = bench.rows("SELECT octet_length(m::text) FROM public.t_masked ORDER BY i")
                if spec.mask == "json":
                    shown = [one is not None for (one,) in found]
                    assert shown == [True, False, False, True]


# --- pseudonyms and hashes ------------------------------------------------------------------------


def test_pseudonyms_are_the_hmac_that_python_makes(bench):
    text = bench.of(
        Spec("pseudonym", {"domain": "customer"}), "text", ["Ann", "\u00e9\U0001f600", ""]
    )
    words = ("Ann", "\u00e9\U0001f600", "")
    assert text == [f"p_{keyed('customer', one).hex()[:32]}" for one in words]
    numbers = bench.of(Spec("pseudonym"), "int4", ["7", "-7"])
    assert numbers == [
        int.from_bytes(keyed("value", one)[:8], "big") & ((1 << 63) - 1) for one in ("7", "-7")
    ]
    (code,) = bench.of(Spec("pseudonym"), "bytea", ["\\x0aff"])
    assert code == keyed("value", "0aff")
    (uuid,) = bench.of(Spec("pseudonym"), "uuid", ["f" * 32])
    expected = bytearray(keyed("value", "ffffffff-ffff-ffff-ffff-ffffffffffff")[:16])
    expected[6] = expected[6] & 0x0F | 0x80
    expected[8] = expected[8] & 0x3F | 0x80
    assert uuid.bytes == bytes(expected)
    assert (uuid.version, uuid.variant) == (8, "specified in RFC 4122")


def test_folded_pseudonyms_are_of_the_lower_case(bench):
    found = bench.of(
        Spec("pseudonym", {"fold": True}), "text", ["ANN@X.ORG", "ann@x.org", "\u00c9"]
    )
    assert found[0] == found[1] == f"p_{keyed('value', 'ann@x.org').hex()[:32]}"
    assert found[2] == f"p_{keyed('value', chr(0xC9)).hex()[:32]}"


def test_citext_is_folded_by_itself(bench):
    if not bench.rows("SELECT 1 FROM pg_available_extensions WHERE name = 'citext'"):
        pytest.skip("this server has no citext; those of tests/matrix.sh have it")
    bench.run("CREATE EXTENSION citext SCHEMA public")
    of = Type(schema="public", name="citext", family=Family.TEXT)
    bench.lay("public.citext", of, Spec("pseudonym"))
    bench.fill("public.citext", ["Ann", "aNN"])
    assert bench.masked() == [f"p_{keyed('value', 'ann').hex()[:32]}"] * 2
    bench.lay("public.citext", of, Spec("null"))
    assert _type(bench) == "public.citext"


@pytest.mark.parametrize("mask", ["pseudonym", "hash"])
@pytest.mark.parametrize(
    ("kinds", "value"),
    [
        (("int2", "int4", "int8", "numeric"), "1234"),
        (("text", "varchar(64)", "char(9)", "name"), "ann"),
        (("numeric", "numeric(9,2)"), "12.5"),
    ],
)
def test_equal_values_of_different_types_join(bench, mask, kinds, value):
    found = {bench.of(Spec(mask), declared, [value])[0] for declared in kinds}
    assert len(found) == 1


def test_domains_and_masks_part_equal_values(bench):
    specs = [Spec("pseudonym", {"domain": one}) for one in ("a", "b", "value")]
    assert len({bench.of(one, "text", ["1234567"])[0] for one in specs}) == 3
    specs = [Spec("digits", {"domain": one}) for one in ("a", "b", "value")]
    assert len({bench.of(one, "text", ["1234567"])[0] for one in specs}) == 3


def test_a_hash_is_the_one_that_everybody_makes(bench):
    assert bench.of(Spec("hash"), "text", ["ann"]) == [hashlib.sha256(b"ann").hexdigest()]
    assert bench.of(Spec("hash"), "bytea", ["\\xff"]) == [hashlib.sha256(b"\xff").hexdigest()]
    assert bench.of(Spec("hash"), "int8", ["-5"]) == [hashlib.sha256(b"-5").hexdigest()]


def test_networks_have_no_host(bench):
    values = ["10.1.2.3", "10.1.2.3/8", "2001:db8:1:2::3"]
    found = [str(one) for one in bench.of(Spec("network"), "inet", values)]
    assert found == ["10.1.2.0/24", "10.0.0.0/8", "2001:db8:1::/48"]


def test_a_network_of_6to4_hides_the_host_of_its_ipv4_address(bench):
    values = ["2002:c000:0204::1", "2002:c000:0204::/32", "2003:c000:0204::1", "2002::/8"]
    found = [str(one) for one in bench.of(Spec("network"), "inet", values)]
    assert found == ["2002:c000:200::/40", "2002:c000::/32", "2003:c000:204::/48", "2000::/8"]
    spec = Spec("network", {"v4": 28, "v6": 20})
    assert [str(one) for one in bench.of(spec, "inet", values[:1])] == ["2002:c000::/20"]


# --- texts ----------------------------------------------------------------------------------------


def test_partial_hides_length_and_short_values(bench):
    values = ["4111111111111111", "12345678", "1234567", ""]
    found = bench.of(Spec("partial"), "text", values)
    assert found == ["******1111", "******5678", "******", "******"]
    found = bench.of(Spec("partial", {"first": 2, "last": 1, "with": "#"}), "text", ["abcdefg"])
    assert found == ["ab######g"]


def test_email_shows_the_outline_of_an_address_and_of_nothing_else(bench):
    values = [
        "ann@example.com",
        "al@example.com",
        "ann",
        "a b@x.com",
        "ann@x",
        "a@b@c.com",
        "x@1.2",
        "ann@" + "x" * 320 + ".com",
    ]
    found = bench.of(Spec("email"), "text", values)
    assert found == ["a***@***.com", "***@***.com", *["******"] * 6]
    found = bench.of(Spec("email", {"whole_domain": True, "first": 0}), "text", ["ann@example.com"])
    assert found == ["***@example.com"]


def test_a_constant_that_does_not_fit_is_refused_when_the_view_is_made(bench):
    with pytest.raises(psycopg.errors.InvalidTextRepresentation):
        bench.lay("int4", BY_SQL["int4"].type, Spec("constant", {"value": "none"}))
    with pytest.raises(psycopg.errors.InvalidDatetimeFormat):
        bench.lay("date", BY_SQL["date"].type, Spec("constant", {"value": "no day"}))


def test_null_and_constant_do_not_read_the_column(bench):
    for spec in (Spec("null"), Spec("constant")):
        bench.lay("text", BY_SQL["text"].type, spec)
        read = bench.rows(
            "SELECT count(*) FROM pg_depend d JOIN pg_rewrite r ON r.oid = d.objid "
            "WHERE r.ev_class = 'public.t_masked'::regclass "
            "AND d.refobjid = 'public.t'::regclass AND d.refobjsubid = 2"
        )
        assert read == [(0,)]


# --- digits ---------------------------------------------------------------------------------------


def test_digits_are_those_of_the_network_in_python(bench):
    values = ["123456", "0000000", "4111111111111111", "1" * 56, "98765432109876543210987"]
    found = bench.of(Spec("digits", {"domain": "card"}), "text", values)
    assert found == [digits_of(one, "card") for one in values]
    (found,) = bench.of(Spec("digits", {"last": 4}), "text", ["4111-1111-1111-1234"])
    code = digits_of("411111111111", "value", "1234")
    assert found == f"{code[:4]}-{code[4:8]}-{code[8:]}-1234"


def test_digits_are_one_to_one(bench):
    bench.lay("text", BY_SQL["text"].type, Spec("digits"))
    bench.run(
        "INSERT INTO public.t (v) SELECT lpad((g * 50)::text, 6, '0') "
        "FROM generate_series(0, 19999) g"
    )
    found = bench.masked()
    assert len(set(found)) == 20_000
    assert all(re.fullmatch(r"\d{6}", one) for one in found)
    # Every digit in every place: it is no rotation of what was there.
    assert all(len({one[place] for one in found}) == 10 for place in range(6))


def test_digits_of_integers_keep_length_and_sign_and_are_one_to_one(bench):
    bench.lay("int4", BY_SQL["int4"].type, Spec("digits"))
    bench.run("INSERT INTO public.t (v) SELECT 100000 + g * 300 FROM generate_series(0, 2999) g")
    bench.run("INSERT INTO public.t (v) VALUES (-2147483648), (2147483647), (-123456), (99999)")
    *many, low, high, negative, short = bench.masked()
    assert len(set(many)) == 3000
    assert all(100_000 <= one <= 999_999 for one in many)
    assert (len(str(low)), len(str(high)), len(str(negative)), short) == (11, 10, 7, None)
    edge = bench.of(Spec("digits"), "int8", [str((1 << 63) - n) for n in range(1, 65)])
    assert {len(str(one)) for one in edge} == {19}
    edge = bench.of(Spec("digits"), "int8", [str(n - (1 << 63)) for n in range(64)])
    assert {len(str(one)) for one in edge} == {20}


@pytest.mark.parametrize("value", ["+49 (30) 123-45 67", "DE89 3704 0044", "1234-5678/9"])
def test_digits_keep_the_format(bench, value):
    (found,) = bench.of(Spec("digits"), "text", [value])
    assert re.sub(r"\d", "0", found) == re.sub(r"\d", "0", value)
    row = "".join(re.findall(r"\d", value))
    assert "".join(re.findall(r"\d", found)) == digits_of(row, "value")


@pytest.mark.parametrize(
    "value", ["12345", "1" * 57, "Ann Miller 0301234", "\u0661234567", "1234567\n", "1234567\u00e9"]
)
def test_what_is_no_number_is_wholly_hidden(bench, value):
    assert bench.of(Spec("digits"), "text", [value]) == ["******"]


# --- numbers --------------------------------------------------------------------------------------


@pytest.mark.parametrize("declared", ["int2", "int4", "int8", "numeric", "float4", "float8"])
def test_noise_stays_within_its_bounds(bench, declared):
    values = ["100", "-5000", "12345", "32767", "-32768", "1"]
    for spec, most in (
        (Spec("noise", {"ratio": 0.2}), lambda one: max(abs(one) * Decimal("0.2"), 1)),
        (Spec("noise", {"amount": 25}), lambda one: 25),
    ):
        found = bench.of(spec, declared, values)
        for clear, masked in zip(map(Decimal, values), found, strict=True):
            assert clear != Decimal(str(masked))
            # Rounded up to whole numbers, or by what a real is off.
            assert abs(Decimal(str(masked)) - clear) <= most(clear) + 1


def test_noise_of_one_subject_is_one_proportion(bench):
    bench.lay("numeric", BY_SQL["numeric"].type, Spec("noise", {"by": "who"}))
    bench.fill("numeric", ["1000.0000", "2000.0000"], 7)
    one, two = bench.masked()
    assert abs(one * 2 - two) < Decimal("0.001")
    bench.run("INSERT INTO public.t (v, who) VALUES (1000.0000, 8), (1000.0000, NULL)")
    assert len(set(bench.masked())) == 4


def test_noise_is_spread(bench):
    found = bench.of(Spec("noise", {"amount": 1000}), "int8", [str(n * 10**6) for n in range(400)])
    moved = [masked - n * 10**6 for n, masked in enumerate(found)]
    assert abs(sum(moved)) / 400 < 150
    assert max(moved) > 900
    assert min(moved) < -900
    assert 0 not in moved


@pytest.mark.parametrize("declared", ["int4", "numeric", "float8"])
def test_buckets_are_lower_bounds(bench, declared):
    found = bench.of(Spec("bucket", {"size": 10}), declared, ["19", "20", "-1", "0", "-20"])
    assert found == [10, 20, -10, 0, -20]


def test_a_bucket_of_a_long_number_is_exact(bench):
    nines = "9." + "9" * 60
    assert bench.of(Spec("bucket", {"size": 10}), "numeric", [nines]) == [0]


# --- dates ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("declared", ["date", "timestamp", "timestamptz"])
def test_shifts_are_whole_days_within_bounds_and_never_none(bench, declared):
    bench.run("SET TimeZone = 'Europe/Berlin'")
    bench.lay(declared, BY_SQL[declared].type, Spec("shift", {"days": 3}))
    bench.run(
        f"INSERT INTO public.t (v) SELECT ('2024-01-01 12:00+00'::timestamptz AT TIME ZONE 'UTC' "
        f"+ make_interval(days => g))::{declared} FROM generate_series(0, 299) g"
    )
    span = "(w.m - t.v)" if declared == "date" else "extract(epoch FROM w.m - t.v)::numeric / 86400"
    found = bench.rows(
        f"SELECT {span}, count(*) FROM public.t JOIN public.t_masked w USING (i) GROUP BY 1"
    )
    assert {int(days) for days, _ in found} == {-3, -2, -1, 1, 2, 3}
    assert all(days == int(days) and count > 20 for days, count in found)


def test_dates_of_one_subject_move_together_in_every_table(bench):
    spec = Spec("shift", {"days": 1000, "by": "who", "domain": "patient"})
    moved = []
    for other in ("int4", "int8", "numeric"):
        of = BY_SQL[other].type
        bench.lay("date", BY_SQL["date"].type, spec, other=other, other_of=of)
        bench.fill("date", ["2020-01-01", "2021-06-15"], 7)
        bench.fill("date", ["2020-01-01", "2021-06-15"], 7)
        first, second = bench.masked()
        moved.append(first)
        assert (second - first).days == 531
    assert len(set(moved)) == 1


UNITS = ["hour", "day", "week", "month", "quarter", "year", "decade"]


@pytest.mark.parametrize("unit", UNITS)
def test_generalised_dates_are_the_beginning_of_their_unit_in_utc(bench, unit):
    bench.run("SET TimeZone = 'UTC'")
    for declared in ("date", "timestamp", "timestamptz"):
        of, spec = BY_SQL[declared].type, Spec("generalise", {"to": unit})
        if declared == "date" and unit in ("hour", "day"):
            assert "longer one" in refusal(spec, of, {})
            continue
        bench.lay(declared, of, spec)
        bench.fill(declared, ["2024-05-17 23:45:12+00", "1969-12-31 00:00+00"])
        expected = bench.rows(
            f"SELECT date_trunc('{unit}', v::timestamp)::{declared} FROM public.t ORDER BY i"
        )
        bench.run("SET TimeZone = 'Asia/Kathmandu'")
        found = bench.masked()
        assert [one for (one,) in expected] == found
        bench.run("SET TimeZone = 'UTC'")


@pytest.mark.parametrize("zone", ["UTC-0:30", "UTC+5", "<utc>-0:30"])
def test_no_zone_that_a_session_calls_utc_moves_the_cut(bench, zone):
    """From 18 on an abbreviation is first that of TimeZone, which anybody sets."""
    bench.lay("timestamptz", BY_SQL["timestamptz"].type, Spec("generalise", {"to": "hour"}))
    bench.fill("timestamptz", ["2024-05-17 13:47:00+00"])
    bench.run(f"SET TimeZone = '{zone}'")
    assert bench.rows("SELECT extract(epoch FROM m)::int8 % 3600 FROM public.t_masked") == [(0,)]
    bench.run("SET TimeZone = 'UTC'")


def test_a_time_is_cut_to_its_hour(bench):
    found = bench.of(Spec("generalise", {"to": "hour"}), "time", ["13:59:59", "24:00"])
    assert [str(one) for one in found] == ["13:00:00", "00:00:00"]


# --- documents ------------------------------------------------------------------------------------


@pytest.mark.parametrize("declared", ["json", "jsonb"])
def test_only_the_named_paths_of_a_document_appear(bench, declared):
    clear = {
        "user": {"email": "ann@example.com", "hidden": "s3cret"},
        "items": [{"p": 19, "name": "s3cret"}, {"name": "s3cret"}, 4, None],
        "n": "s3cret",
        "s": "ann",
        "a.b": {"deep": [1, {"x": None}]},
        "other": "s3cret",
    }
    (found,) = bench.of(Spec("json", {"paths": PATHS}), declared, [json.dumps(clear)])
    assert found == {
        "user": {"email": "a***@***.com"},
        "items": [{"p": 10}, {}, None, None],
        "n": None,
        "s": f"p_{keyed('value', 'ann').hex()[:32]}",
        "a.b": {"deep": [1, {"x": None}]},
    }


def test_masks_in_documents_take_the_domain_of_the_document_and_other_columns(bench):
    paths = {
        "[*].id": {"mask": "pseudonym"},
        "[*].n": {"mask": "noise", "by": "who", "domain": "own"},
        "[*].c": {"mask": "constant", "value": "gone"},
        "[*].k": "null",
        '[*]."x\\"y"[*][*]': "hash",
    }
    clear = [{"id": "ann", "n": 100, "c": 3, "k": 4, 'x"y': [["a"], "b", [1]]}, {"id": True}]
    spec = Spec("json", {"paths": paths, "domain": "person"})
    found = bench.of(spec, "jsonb", [json.dumps(clear)], 7)[0]
    first = found[0]
    assert first.pop("n") not in (100, None)
    assert first == {
        "id": f"p_{keyed('person', 'ann').hex()[:32]}",
        "c": "gone",
        "k": None,
        'x"y': [[hashlib.sha256(b"a").hexdigest()], None, [hashlib.sha256(b"1").hexdigest()]],
    }
    assert found[1] == {"id": None}


@pytest.mark.parametrize(("text", "read"), [("\\ud83d\\ude00", True), ("\\ud83d", False)])
@pytest.mark.parametrize("before", ["", "\\\\", "\\\\\\\\", "\\n", "x"])
def test_json_that_jsonb_cannot_hold_is_null_and_no_other(bench, text, read, before):
    values = [f'{{"s": "{before}{text}"}}']
    (found,) = bench.of(Spec("json", {"paths": {"s": "clear"}}), "json", values)
    assert (found is not None) == read


def test_half_an_escape_behind_a_backslash_is_seen(bench):
    values = ['{"s": "\\\\ud83d\\ude00"}', '{"s": "\\\\u0000 \\\\ud800"}', '{"s": "4e12345"}']
    found = bench.of(Spec("json", {"paths": {"s": "clear"}}), "json", values)
    assert found == [None, {"s": "\\u0000 \\ud800"}, {"s": "4e12345"}]


@pytest.mark.parametrize("declared", ["json", "jsonb"])
def test_documents_are_shown_up_to_their_deepest_level(bench, declared):
    fits = "[" * DEEPEST + "]" * DEEPEST
    long = "[" + '["' + "x" * 20_000 + '"],' + fits[1:-1] + "]"
    values = [fits, f"[{fits}]", long, f"[{long}]"]
    bench.lay(declared, BY_SQL[declared].type, Spec("json", {"paths": {"[*]": "clear"}}))
    bench.fill(declared, values)
    assert bench.masked("m IS NOT NULL") == [True, False, True, False]


@pytest.mark.parametrize("declared", ["json", "jsonb"])
def test_a_document_too_deep_for_the_stack_is_null(bench, declared):
    """Or one row would close the view to everybody, on a server with a smaller stack."""
    bench.lay(declared, BY_SQL[declared].type, Spec("json", {"paths": {"[*]": "clear"}}))
    bench.fill(declared, ["[" * 9000 + "]" * 9000, "[" * 3000 + "]" * 3000, "[[1]]"])
    bench.run("SET max_stack_depth = '800kB'")
    assert bench.masked() == [None, None, [[1]]]


def test_names_that_look_like_sql_are_names(bench):
    name = 'odd"; {0} -- %s'
    bench.run(sql.SQL("CREATE TABLE public.odd (i int, {} text)").format(sql.Identifier(name)))
    draft = Draft("public", "odd", {name: BY_SQL["text"].type})
    spec = Spec("constant", {"value": "'{0}' %s \\"})
    mask = expression(draft, draft.column(name), BY_SQL["text"].type, spec)
    keyed_too = expression(draft, draft.column(name), BY_SQL["text"].type, Spec("pseudonym"))
    step = Step(
        sql=f"SELECT {mask}, {keyed_too} FROM {draft.source}",
        identifiers=draft.identifiers,
        literals=draft.literals,
    )
    bench.run("INSERT INTO public.odd VALUES (1, 'ann')")
    expected = ("'{0}' %s \\", f"p_{keyed('value', 'ann').hex()[:32]}")
    assert bench.rows(composed(step, {})) == [expected]
