"""Attributes that few statements reach, and what stands among the server's own objects."""

from support.cases import Case, one

ROLE = "CREATE ROLE alice;"
TABLE = "CREATE TABLE orders (id integer, note text);"
FAMILY = "CREATE TABLE p (a integer); CREATE TABLE c () INHERITS (p);"
KEYED = (
    "CREATE TABLE orders (id integer PRIMARY KEY);"
    "CREATE TABLE child (o integer CONSTRAINT fk REFERENCES orders);"
)
PARTITIONED = (
    "CREATE TABLE p (a integer) PARTITION BY RANGE (a);"
    "CREATE TABLE p1 PARTITION OF p FOR VALUES FROM (1) TO (5);"
)
REFERENCED = (
    "CREATE TABLE r (id integer PRIMARY KEY) PARTITION BY RANGE (id);"
    "CREATE TABLE r1 PARTITION OF r FOR VALUES FROM (1) TO (5);"
    "CREATE TABLE r2 PARTITION OF r FOR VALUES FROM (5) TO (9);"
    "CREATE TABLE child (o integer CONSTRAINT fk REFERENCES r);"
)
AUDIT = "CREATE FUNCTION tg() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN new; END';"
AUDITED = (
    PARTITIONED + AUDIT + "CREATE TRIGGER audit AFTER INSERT ON p FOR EACH ROW"
    " EXECUTE FUNCTION tg();"
)
BASE = (
    "CREATE TYPE b; CREATE FUNCTION b_in(cstring) RETURNS b LANGUAGE internal IMMUTABLE STRICT"
    " AS 'textin'; CREATE FUNCTION b_out(b) RETURNS cstring LANGUAGE internal IMMUTABLE STRICT"
    " AS 'textout'; CREATE TYPE b (INPUT = b_in, OUTPUT = b_out);"
)
TRANSFORM = (
    "CREATE TRANSFORM FOR integer LANGUAGE sql (FROM SQL WITH FUNCTION prsd_lextype(internal),"
    " TO SQL WITH FUNCTION int4recv(internal));"
)
F = "CREATE FUNCTION f(a integer) RETURNS integer{} LANGUAGE sql AS 'SELECT 1'"
EXPRESSION = TABLE + "CREATE INDEX i ON orders (id, (id + 1));"
SPANS = "CREATE TABLE rooms (id int4range, during tsrange, PRIMARY KEY (id, during{}));"
BOOKED = (
    SPANS.format(" WITHOUT OVERLAPS") + "CREATE TABLE booked (id int4range, during tsrange);"
    "ALTER TABLE booked ADD CONSTRAINT fk FOREIGN KEY (id, PERIOD during)"
    " REFERENCES rooms (id, PERIOD during)"
)
FK = ("constraint", "public.child.fk")
TYPE = ("type", "public.b")


def _trigger(state: str, function: str, table: str) -> str:
    """One of the triggers that enforce keys on ``table``, whose names hold numbers."""
    return (
        "DO 'DECLARE name text; BEGIN SELECT g.tgname INTO STRICT name FROM pg_trigger AS g"
        f" WHERE g.tgfoid = ''\"{function}\"''::regproc AND g.tgrelid = ''{table}''::regclass;"
        f" EXECUTE format(''ALTER TABLE {table} {state} TRIGGER %I'', name); END'"
    )


def _altered(column: str, value: str) -> str:
    return f"UPDATE pg_type SET {column} = {value} WHERE typname = 'b'"


CASES = [
    # the server's own objects
    Case(
        "",
        "CREATE OR REPLACE FUNCTION pg_catalog.pi() RETURNS float8 LANGUAGE internal IMMUTABLE"
        " STRICT PARALLEL SAFE AS 'drandom'",
        one("schema", "pg_catalog", "functions"),
    ),
    Case(
        "",
        "UPDATE pg_proc SET probin = 'evil' WHERE oid = 'fmgr_c_validator'::regproc",
        one("schema", "pg_catalog", "functions"),
    ),
    Case(
        "",
        "CREATE OR REPLACE FUNCTION information_schema._pg_truetypmod(pg_attribute, pg_type)"
        " RETURNS integer LANGUAGE sql IMMUTABLE PARALLEL SAFE RETURNS NULL ON NULL INPUT"
        " RETURN 4",
        one("schema", "information_schema", "functions"),
        since=14,
    ),
    Case(
        "",
        "CREATE OR REPLACE VIEW information_schema.enabled_roles AS"
        " SELECT 'nobody'::information_schema.sql_identifier AS role_name",
        one("schema", "information_schema", "views"),
    ),
    Case(
        "",
        "UPDATE pg_rewrite SET ev_enabled = 'D' WHERE rulename = 'pg_settings_n'",
        one("schema", "pg_catalog", "views"),
    ),
    Case(
        "",
        "CREATE RULE quiet AS ON INSERT TO information_schema.tables DO INSTEAD NOTHING",
        one("rule", "information_schema.tables.quiet", "+"),
    ),
    Case(
        AUDIT,
        "CREATE TRIGGER tap INSTEAD OF INSERT ON information_schema.tables FOR EACH ROW"
        " EXECUTE FUNCTION tg()",
        one("trigger", "information_schema.tables.tap", "+"),
    ),
    Case(
        "",
        "CREATE INDEX heavy ON information_schema.sql_sizing (sizing_id)",
        one("index", "information_schema.heavy", "+"),
    ),
    Case(
        "",
        "CREATE POLICY open ON information_schema.sql_sizing USING (true)",
        one("policy", "information_schema.sql_sizing.open", "+"),
    ),
    Case(
        "",
        "ALTER TABLE information_schema.sql_sizing ADD CONSTRAINT few CHECK (sizing_id > -1)",
        one("constraint", "information_schema.sql_sizing.few", "+"),
    ),
    # table
    Case(
        PARTITIONED,
        "UPDATE pg_inherits SET inhdetachpending = true WHERE inhrelid = 'p1'::regclass",
        one("table", "public.p1", "detach_pending"),
        since=14,
    ),
    # column
    Case(
        FAMILY,
        "DROP TABLE c; CREATE TABLE c (a integer) INHERITS (p)",
        one("column", "public.c.a", "inherited"),
    ),
    Case(
        FAMILY,
        "ALTER TABLE c NO INHERIT p",
        one("table", "public.c", "inherits") | one("column", "public.c.a", "inherited"),
    ),
    Case(
        "CREATE TABLE p (a integer, b integer);"
        "CREATE TABLE c (d integer, b integer, e integer, a integer);",
        "ALTER TABLE c INHERIT p",
        one("table", "public.c", "inherits")
        | one("column", "public.c.a", "inherited", "position")
        | one("column", "public.c.b", "inherited")
        | one("column", "public.c.d", "position")
        | one("column", "public.c.e", "position"),
    ),
    Case(
        TABLE + "ALTER TABLE orders ALTER id SET NOT NULL",
        "ALTER TABLE orders RENAME CONSTRAINT orders_id_not_null TO nn",
        one("column", "public.orders.id", "not_null_name"),
        since=18,
    ),
    Case(
        TABLE + "ALTER TABLE orders ALTER id SET NOT NULL",
        "COMMENT ON CONSTRAINT orders_id_not_null ON orders IS 'changed'",
        one("column", "public.orders.id", "not_null_comment"),
        since=18,
    ),
    Case(
        "CREATE TABLE p (a integer NOT NULL); CREATE TABLE c () INHERITS (p);",
        "DROP TABLE c; CREATE TABLE c (CONSTRAINT p_a_not_null NOT NULL a) INHERITS (p)",
        one("column", "public.c.a", "not_null_inherited"),
        since=18,
    ),
    # constraint
    Case(
        "CREATE TABLE p (a integer CONSTRAINT k CHECK (a > 0)); CREATE TABLE c () INHERITS (p)",
        "ALTER TABLE c ADD CONSTRAINT k CHECK (a > 0)",
        one("constraint", "public.c.k", "inherited"),
    ),
    Case(
        KEYED,
        "ALTER TABLE orders DISABLE TRIGGER ALL",
        one(*FK, "referenced_delete_trigger", "referenced_update_trigger"),
    ),
    Case(
        KEYED,
        _trigger("DISABLE", "RI_FKey_check_ins", "child"),
        one(*FK, "insert_trigger"),
    ),
    Case(
        KEYED,
        _trigger("ENABLE ALWAYS", "RI_FKey_check_upd", "child"),
        one(*FK, "update_trigger"),
    ),
    Case(
        KEYED + _trigger("ENABLE REPLICA", "RI_FKey_noaction_del", "orders"),
        _trigger("ENABLE ALWAYS", "RI_FKey_noaction_del", "orders"),
        one(*FK, "referenced_delete_trigger"),
    ),
    Case(
        "CREATE TABLE t (a integer PRIMARY KEY, b integer CONSTRAINT fk REFERENCES t)",
        _trigger("DISABLE", "RI_FKey_noaction_upd", "t"),
        one("constraint", "public.t.fk", "referenced_update_trigger"),
    ),
    Case(
        REFERENCED + _trigger("DISABLE", "RI_FKey_noaction_del", "r1"),
        _trigger("DISABLE", "RI_FKey_noaction_del", "r2"),
        one(*FK, "referenced_delete_trigger"),
    ),
    Case(
        "CREATE DOMAIN pos AS integer CONSTRAINT few CHECK (VALUE > 0)",
        "COMMENT ON CONSTRAINT few ON DOMAIN pos IS 'changed'",
        one("constraint", "public.pos.few", "comment"),
    ),
    Case(
        SPANS.format(" WITHOUT OVERLAPS"),
        "DROP TABLE rooms;" + SPANS.format(""),
        one("constraint", "public.rooms.rooms_pkey", "definition")
        | one("index", "public.rooms_pkey", "definition"),
        since=18,
    ),
    Case(
        BOOKED.replace("PERIOD during", "during").replace(" WITHOUT OVERLAPS", ""),
        "DROP TABLE booked; DROP TABLE rooms;" + BOOKED,
        one("constraint", "public.rooms.rooms_pkey", "definition")
        | one("index", "public.rooms_pkey", "definition")
        | one("constraint", "public.booked.fk", "definition"),
        since=18,
    ),
    # index
    Case(
        EXPRESSION,
        "ALTER INDEX i ALTER 2 SET STATISTICS 500",
        one("index", "public.i", "statistics_targets"),
    ),
    Case(
        EXPRESSION,
        "ALTER INDEX i DEPENDS ON EXTENSION plpgsql",
        one("index", "public.i", "depends_on"),
    ),
    # view
    Case(
        "CREATE MATERIALIZED VIEW v AS SELECT 1 AS a",
        "ALTER MATERIALIZED VIEW v DEPENDS ON EXTENSION plpgsql",
        one("view", "public.v", "depends_on"),
    ),
    Case(
        TABLE + "CREATE VIEW v AS SELECT id FROM orders",
        "CREATE RULE divert AS ON INSERT TO v DO INSTEAD NOTHING",
        one("rule", "public.v.divert", "+"),
    ),
    # function
    Case(
        TRANSFORM + F.format(""),
        "DROP FUNCTION f;" + F.format(" TRANSFORM FOR TYPE integer"),
        one("function", "public.f(integer)", "transforms"),
    ),
    Case(
        F.format(""),
        "DROP FUNCTION f;" + F.format("").replace("a integer", "a integer DEFAULT 5"),
        one("function", "public.f(integer)", "arguments"),
    ),
    Case(
        F.format(""),
        "ALTER FUNCTION f DEPENDS ON EXTENSION plpgsql",
        one("function", "public.f(integer)", "depends_on"),
    ),
    # trigger
    Case(
        AUDITED,
        "ALTER TABLE p1 DISABLE TRIGGER audit",
        one("trigger", "public.p1.audit", "enabled"),
    ),
    Case(
        AUDITED,
        "DROP TRIGGER audit ON p; CREATE TRIGGER audit AFTER INSERT ON p1 FOR EACH ROW"
        " EXECUTE FUNCTION tg()",
        one("trigger", "public.p.audit", "-") | one("trigger", "public.p1.audit", "partition_of"),
    ),
    Case(
        AUDITED,
        "ALTER TRIGGER audit ON p DEPENDS ON EXTENSION plpgsql",
        one("trigger", "public.p.audit", "depends_on"),
    ),
    Case(
        AUDIT + TABLE + "CREATE CONSTRAINT TRIGGER audit AFTER INSERT ON orders DEFERRABLE"
        " FOR EACH ROW EXECUTE FUNCTION tg()",
        "DROP TRIGGER audit ON orders; CREATE CONSTRAINT TRIGGER audit AFTER INSERT ON orders"
        " DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION tg()",
        one("trigger", "public.orders.audit", "definition")
        | one("constraint", "public.orders.audit", "definition", "initially_deferred"),
    ),
    Case(
        AUDIT + TABLE + "CREATE TRIGGER audit AFTER INSERT ON orders REFERENCING NEW TABLE AS x"
        " FOR EACH STATEMENT EXECUTE FUNCTION tg()",
        "DROP TRIGGER audit ON orders; CREATE TRIGGER audit AFTER INSERT ON orders REFERENCING"
        " NEW TABLE AS y FOR EACH STATEMENT EXECUTE FUNCTION tg()",
        one("trigger", "public.orders.audit", "definition"),
    ),
    # type
    Case(BASE, _altered("typalign", "'d'"), one(*TYPE, "alignment")),
    Case(BASE, _altered("typlen", "16"), one(*TYPE, "length")),
    Case(BASE, _altered("typbyval", "true"), one(*TYPE, "by_value")),
    Case(BASE, _altered("typcategory", "'X'"), one(*TYPE, "category")),
    Case(BASE, _altered("typispreferred", "true"), one(*TYPE, "preferred")),
    Case(BASE, _altered("typdelim", "';'"), one(*TYPE, "delimiter")),
    Case(BASE, _altered("typcollation", "100"), one(*TYPE, "collatable")),
    Case(BASE, _altered("typelem", "23"), one(*TYPE, "element")),
    Case(
        BASE,
        "ALTER TYPE b SET (SUBSCRIPT = raw_array_subscript_handler)",
        one(*TYPE, "functions"),
        since=14,
    ),
    Case(
        "CREATE DOMAIN pos AS integer NOT NULL",
        "ALTER DOMAIN pos RENAME CONSTRAINT pos_not_null TO nn",
        one("type", "public.pos", "not_null_name"),
        since=17,
    ),
    Case(
        "CREATE DOMAIN pos AS integer NOT NULL",
        "COMMENT ON CONSTRAINT pos_not_null ON DOMAIN pos IS 'changed'",
        one("type", "public.pos", "not_null_comment"),
        since=17,
    ),
    Case(
        ROLE + "CREATE TYPE r AS RANGE (subtype = float8)",
        "UPDATE pg_type SET typowner = 'alice'::regrole WHERE typname = 'r_multirange'",
        one("type", "public.r", "multirange_owner"),
        since=17,
    ),
]
