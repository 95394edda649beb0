"""Random schemas: SQL that the server accepts more often than not, rich in what it prints oddly."""
# ruff: noqa: E501 - patterns of SQL are read in one line

from hypothesis import strategies as st

COLUMNS = (
    'i integer, k bigint, n numeric(10,2), f float8, v varchar(10), w varchar, "(- 1)" text, '
    "c char(5), b boolean, d date, z timestamptz, s status, o word, p positive, "
    'ia integer[], va varchar(10)[], "ON TRUE" text[]'
)
TYPES = (
    "CREATE TYPE status AS ENUM ('new', 'old', '(- 1)')",
    "CREATE DOMAIN word AS varchar(20)",
    "CREATE DOMAIN positive AS integer CHECK (VALUE > (OPERATOR(pg_catalog.-) 1))",
    "CREATE FUNCTION whole(text[]) RETURNS integer LANGUAGE sql IMMUTABLE AS 'SELECT 1'",
    "CREATE FUNCTION changing() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN new; END'",
)
TABLES = (
    f"CREATE TABLE t ({COLUMNS})",
    "CREATE TABLE u (i integer PRIMARY KEY, v varchar(10), w text, k bigint)",
    "CREATE TABLE lone (zz integer)",
)
NASTY = (
    "a", "it''s", "(- 1)", "(- ", " ON TRUE", "])::text[]", "(ARRAY['a'::text])::text[]".replace("'", "''"),
    "a\\b", "$$", "--", "/*", "é", "''", "SELECT 'x'::text".replace("'", "''"), "", "%_", "{a,b}", "-1",
)  # fmt: skip


def _sql(*patterns, **parts):
    """Text of one of these patterns, whose fields are drawn anew for every place."""

    def filled(pattern):
        names = [field.partition("}")[0] for field in pattern.split("{")[1:]]
        drawn = st.tuples(*(parts[name.rstrip("0123456789")] for name in names))
        return drawn.map(lambda values: pattern.format(**dict(zip(names, values, strict=True))))

    return st.sampled_from(patterns).flatmap(filled)


literals = st.sampled_from(NASTY).map(lambda text: f"'{text}'")
numbers = st.sampled_from(
    ["0", "1", "-1", "OPERATOR(pg_catalog.-) 1", "OPERATOR(pg_catalog.-) 0", "2147483647", "- (- 5)",
     "OPERATOR(pg_catalog.-) (OPERATOR(pg_catalog.-) 7)", "+ 3", "(SELECT -4)", "(SELECT 5)"]
)  # fmt: skip
fractions = st.sampled_from(
    ["1.5", "-1.50", "OPERATOR(pg_catalog.-) 1.5", "OPERATOR(pg_catalog.-) 0.0", "1e3", "-2147483649"]
)  # fmt: skip
of_integer = st.recursive(
    st.one_of(numbers, st.sampled_from(["i", "k", "p", "ia[1]"])),
    lambda inner: _sql(
        "({a1} + {a2})", "(- {a1})", "COALESCE({a1}, -1)", "abs({a1})", "({a1})::bigint", "({a1})::positive",
        "CASE {a1} WHEN {a2} THEN {a3} ELSE -2 END", "(SELECT {a1})", "(SELECT max(u.i) FROM u WHERE u.k = {a1})",
        "NULLIF({a1}, -1)", "GREATEST({a1}, {a2}, -1)", "whole(ARRAY[{s1}, 'x'::varchar])", "whole(ARRAY['y'::word])",
        "(ARRAY[{a1}, -3])[1]", "(({a1})::numeric * {f1})::integer", "length({s1})",
        a=inner, f=fractions, s=literals,
    ),
    max_leaves=4,
)  # fmt: skip
of_text = st.recursive(
    st.one_of(
        literals,
        literals.map(lambda text: f"{text}::varchar"),
        literals.map(lambda text: f"{text}::varchar(4)"),
        st.sampled_from(["v", "w", "c", "o", '"(- 1)"', "va[1]", "'a' COLLATE \"C\"", "CURRENT_USER"]),
    ),
    lambda inner: _sql(
        "({a1} || {a2})", "upper({a1})", "({a1})::varchar", "({a1})::text", "({a1})::char(3)", "({a1})::word",
        "COALESCE({a1}, 'x')", "CASE WHEN b THEN {a1} ELSE 'y' END", "(SELECT {l1})", "(SELECT w FROM u WHERE v = {a1})",
        "(SELECT {l1} UNION SELECT v FROM u)", "NULLIF({a1}, {a2})", '({a1} COLLATE "C")', "(ARRAY[{a1}, {a2}])[1]",
        "array_to_string(ARRAY[{a1}, 'z'::varchar], ',')",
        a=inner, l=literals,
    ),
    max_leaves=4,
)  # fmt: skip
arrays = _sql(
    "va", '"ON TRUE"', "ARRAY[{s1}, {s2}]", "ARRAY[{s1}]::varchar[]", "ARRAY[{l1}]::varchar[]::text[]",
    "ARRAY[ARRAY[{l1}::varchar], ARRAY[{l2}]]::text[]", "COALESCE(va, ARRAY[{l1}])", "ARRAY[{l1}::word, {l2}]::text[]",
    "ARRAY(SELECT {l1})", "string_to_array({l1}, ',')", "(ARRAY[{l1}::varchar, NULL])::text[]",
    s=of_text, l=literals,
)  # fmt: skip
of_boolean = st.recursive(
    _sql(
        "b", "{t1} IN ({l1}, {l2})", "v IN ({l1}, {l2}, {l3})", "o NOT IN ({l1}, {l2})", "c IN ({l1}, NULL)",
        "s IN ('new', 'old')", "p IN (1, -2)", "{i1} IN ({i2}, -1)", "{i1} = ANY (ARRAY[{i2}, -5])",
        "n = ANY (ARRAY[1, -2]::int[]::numeric[])", "n = ANY (ARRAY[i, p])", "n = {f1}", "f < {f1}", "{i1} BETWEEN -1 AND {i2}",
        "{t1} = ANY ({r1})", "v LIKE ANY ({r1})", "{t1} LIKE {l1}", "{t1} SIMILAR TO {l1}", "{r1} @> {r2}::text[]",
        "{t1} IS DISTINCT FROM {l1}", "(i, v) = (1, {l1})", "(i, v) IN ((-1, {l1}), (2, 'b'))", "d > '2020-01-01'",
        "z < '2020-06-01 12:00+02'", "EXISTS (SELECT {l1} FROM u WHERE u.k = {i1})", "EXISTS (SELECT)",
        "{i1} IN (SELECT -1 UNION SELECT k FROM u)", "{t1} IN (SELECT {l1})", "(i, w) = (SELECT -1, {l1})",
        "EXISTS (SELECT 1 FROM u NATURAL LEFT JOIN lone)", "EXISTS (SELECT 1 FROM u JOIN lone ON true)",
        "{i1} = (SELECT max(q.a) FROM (SELECT -1 UNION ALL SELECT {i2}) q (a))", "{i1} = ANY (VALUES (-1), (2))",
        '{t1} = ({l1} COLLATE "C")', "'a' = ANY (ARRAY[{l1} COLLATE \"C\", 'x'::varchar])",
        t=of_text, l=literals, i=of_integer, f=fractions, r=arrays,
    ),
    lambda inner: _sql("({a1} AND {a2})", "({a1} OR {a2})", "NOT ({a1})", "({a1}) IS NOT TRUE", a=inner),
    max_leaves=3,
)  # fmt: skip
expressions = st.one_of(of_boolean, of_text, of_integer, arrays)

JOINS = ("CROSS JOIN", "JOIN", "LEFT JOIN", "FULL JOIN", "RIGHT JOIN", "NATURAL LEFT JOIN")
CONDITIONS = ("true", "lone.zz = t.i", "lone.zz = -1", "t.v IN ('a', 'b')")
FRAMES = (
    "<>", "WITH q AS (<>) SELECT * FROM q", "SELECT * FROM (<>) q", "SELECT 1 AS one WHERE EXISTS (<>)",
    "SELECT x0 AS a FROM (<>) q GROUP BY ROLLUP (x0)", "SELECT DISTINCT ON (x0) * FROM (<>) q",
    "SELECT q.*, count(*) OVER (PARTITION BY x0 ORDER BY x0 ROWS 1 PRECEDING) FROM (<>) q",
    "(<>) UNION ALL (<>)", "SELECT (SELECT x0 FROM (<>) q LIMIT 1) IS NULL AS n",
)  # fmt: skip


@st.composite
def views(draw):
    """A SELECT over the tables."""
    join = draw(st.sampled_from(JOINS))
    on = "" if join.startswith(("CROSS", "NATURAL")) else " ON " + draw(st.sampled_from(CONDITIONS))
    values = ", ".join(f"({draw(expressions)}) AS x{n}" for n in range(draw(st.integers(1, 3))))
    body = f"SELECT {values} FROM t {join} lone{on} WHERE {draw(of_boolean)}"
    return draw(st.sampled_from(FRAMES)).replace("<>", body)


OBJECTS = (
    ("ALTER TABLE t ADD CONSTRAINT k{} CHECK (<>)", of_boolean),
    ("CREATE TABLE d{} (x text DEFAULT (<>))", expressions),
    ("CREATE TABLE e{} (x integer DEFAULT <>)", of_integer),
    ("CREATE INDEX i{} ON t ((<>))", expressions),
    ("CREATE INDEX j{} ON t (i) WHERE <>", of_boolean),
    ("CREATE POLICY p{} ON t USING (<>)", of_boolean),
    ("CREATE STATISTICS s{} ON i, (<>) FROM t", of_boolean),
    (f"CREATE TABLE g{{}} ({COLUMNS}, g text GENERATED ALWAYS AS (<>) STORED)", of_text),
    (f"CREATE TABLE h{{}} ({COLUMNS}) PARTITION BY LIST ((<>))", of_integer),
    (
        "CREATE RULE r{} AS ON INSERT TO u WHERE new.v IN ('a', 'b') DO ALSO UPDATE t SET i = -1 WHERE <>",
        of_boolean,
    ),
    (
        "CREATE TRIGGER t{} BEFORE UPDATE ON u FOR EACH ROW WHEN (new.v IN (<>, 'b') AND old.i = (OPERATOR(pg_catalog.-) 1)) EXECUTE FUNCTION changing()",
        literals,
    ),
    (
        "CREATE FUNCTION f{}(a integer DEFAULT OPERATOR(pg_catalog.-) 1, a2 varchar DEFAULT 'x') RETURNS integer LANGUAGE sql BEGIN ATOMIC SELECT <> FROM t; SELECT $2; SELECT -1; END",
        expressions,
    ),
    ("CREATE DOMAIN o{} AS varchar DEFAULT <> CHECK (VALUE IN (<>, 'b'))", literals),
    ("CREATE VIEW v{} AS <>", views()),
    ("CREATE MATERIALIZED VIEW w{} AS <> WITH NO DATA", views()),
)


@st.composite
def schemas(draw):
    """Statements that make a schema; those that the server refuses are to be left out."""
    chosen = draw(st.lists(st.sampled_from(OBJECTS), min_size=5, max_size=30))
    return [
        pattern.replace("{}", str(n)).replace("<>", draw(inside))
        for n, (pattern, inside) in enumerate(chosen)
    ]
