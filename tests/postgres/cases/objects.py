"""Schemas, tables and what hangs on them; roles, databases and grants."""

from support.cases import Case, one

ROLES = "CREATE ROLE alice; CREATE ROLE bob; CREATE ROLE dba;"
TABLE = "CREATE TABLE orders (id integer, note text);"
BOTH = ROLES + TABLE
F = "CREATE FUNCTION f(a integer) RETURNS integer LANGUAGE sql AS 'SELECT 1';"
FN = "public.f(integer)"
TRIGGER = (
    TABLE + "CREATE FUNCTION tg() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN new; END';"
    "CREATE FUNCTION tg2() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN new; END';"
    "CREATE TRIGGER audit BEFORE INSERT ON orders FOR EACH ROW EXECUTE FUNCTION tg();"
)
POLICY = (
    BOTH + "CREATE POLICY tenant ON orders FOR ALL TO alice USING (id > 1) WITH CHECK (id > 1);"
)
RULE = TABLE + "CREATE RULE divert AS ON DELETE TO orders DO INSTEAD NOTHING;"
VIEW = TABLE + "CREATE VIEW v AS SELECT id FROM orders;"
SEQUENCE = "CREATE SEQUENCE s;"
ENUM = "CREATE TYPE status AS ENUM ('new', 'old');"
DOMAIN = "CREATE DOMAIN pos AS integer;"
INDEX = TABLE + "CREATE INDEX i ON orders (id);"
KEY = "ALTER TABLE orders ADD CONSTRAINT pk PRIMARY KEY (id);"
FOREIGN = TABLE + KEY + "CREATE TABLE child (o integer CONSTRAINT fk REFERENCES orders);"
PARENT = "CREATE TABLE p (a integer, b integer) PARTITION BY RANGE (a);"
SERVER = "CREATE FOREIGN DATA WRAPPER w; CREATE SERVER srv FOREIGN DATA WRAPPER w;"
COMMENT = "IS 'changed'"
HANDLERS = (
    "function pg_catalog.plpgsql_call_handler()",
    "function pg_catalog.plpgsql_inline_handler(internal)",
    "function pg_catalog.plpgsql_validator(oid)",
)


def _column(name: str, *attributes: str) -> set[tuple[str, str, str]]:
    return one("column", f"public.{name}", *attributes)


def _table(*attributes: str) -> set[tuple[str, str, str]]:
    return one("table", "public.orders", *attributes)


CASES = [
    # database
    Case(
        ROLES,
        "ALTER DATABASE test OWNER TO alice",
        one("database", "test", "owner")
        | one("grant", "database test to PUBLIC", "connect", "temporary"),
    ),
    Case("", "ALTER DATABASE test CONNECTION LIMIT 7", one("database", "test", "connection_limit")),
    Case("", "ALTER DATABASE test IS_TEMPLATE true", one("database", "test", "is_template")),
    Case("", f"COMMENT ON DATABASE test {COMMENT}", one("database", "test", "comment")),
    Case(
        "",
        "CREATE DATABASE aside",
        one("database", "aside", "+") | one("grant", "database aside to PUBLIC", "+"),
    ),
    Case(
        "CREATE DATABASE aside",
        "ALTER DATABASE aside ALLOW_CONNECTIONS false",
        one("database", "aside", "allow_connections"),
    ),
    Case(
        "CREATE DATABASE aside",
        "DROP DATABASE aside; CREATE DATABASE aside TEMPLATE template0"
        " ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C'",
        one("database", "aside", "encoding"),
    ),
    Case(
        "CREATE DATABASE aside",
        "DROP DATABASE aside; CREATE DATABASE aside TEMPLATE template0"
        " LC_COLLATE 'C' LC_CTYPE 'C.UTF-8'",
        one("database", "aside", "ctype"),
    ),
    Case(
        "CREATE DATABASE aside",
        "DROP DATABASE aside; CREATE DATABASE aside TEMPLATE template0"
        " LC_COLLATE 'C.UTF-8' LC_CTYPE 'C'",
        one("database", "aside", "collate"),
    ),
    Case(
        "CREATE DATABASE aside",
        "DROP DATABASE aside; CREATE DATABASE aside TEMPLATE template0"
        " LOCALE_PROVIDER builtin BUILTIN_LOCALE 'C.UTF-8'",
        one("database", "aside", "locale_provider", "locale"),
        since=17,
    ),
    # role
    Case(ROLES, "CREATE ROLE carol", one("role", "carol", "+")),
    Case(ROLES, "DROP ROLE dba", one("role", "dba", "-")),
    Case(ROLES, "ALTER ROLE bob SUPERUSER", one("role", "bob", "superuser")),
    Case(ROLES, "ALTER ROLE bob NOINHERIT", one("role", "bob", "inherit")),
    Case(ROLES, "ALTER ROLE bob CREATEROLE", one("role", "bob", "create_role")),
    Case(ROLES, "ALTER ROLE bob CREATEDB", one("role", "bob", "create_db")),
    Case(ROLES, "ALTER ROLE bob LOGIN", one("role", "bob", "login")),
    Case(ROLES, "ALTER ROLE bob REPLICATION", one("role", "bob", "replication")),
    Case(ROLES, "ALTER ROLE bob BYPASSRLS", one("role", "bob", "bypass_rls")),
    Case(ROLES, "ALTER ROLE bob CONNECTION LIMIT 3", one("role", "bob", "connection_limit")),
    Case(ROLES, "ALTER ROLE bob VALID UNTIL '2031-05-06'", one("role", "bob", "valid_until")),
    Case(ROLES, f"COMMENT ON ROLE bob {COMMENT}", one("role", "bob", "comment")),
    # membership
    Case(ROLES, "GRANT dba TO alice", one("membership", "alice in dba", "+")),
    Case(
        ROLES + "GRANT dba TO alice;",
        "ALTER ROLE dba SUPERUSER",
        one("role", "dba", "superuser") | one("membership", "alice in dba", "role_superuser"),
    ),
    Case(
        ROLES + F + "ALTER FUNCTION f SECURITY DEFINER; ALTER FUNCTION f OWNER TO dba;",
        "ALTER ROLE dba SUPERUSER",
        one("role", "dba", "superuser") | one("function", FN, "owner_superuser"),
    ),
    Case(ROLES, "GRANT pg_monitor TO alice", one("membership", "alice in pg_monitor", "+")),
    Case(
        ROLES + "GRANT dba TO alice",
        "GRANT dba TO alice WITH ADMIN OPTION",
        one("membership", "alice in dba", "admin"),
    ),
    Case(
        ROLES + "GRANT dba TO alice",
        "GRANT dba TO alice WITH INHERIT FALSE",
        one("membership", "alice in dba", "inherit"),
        since=16,
    ),
    Case(
        ROLES + "GRANT dba TO alice",
        "GRANT dba TO alice WITH SET FALSE",
        one("membership", "alice in dba", "set"),
        since=16,
    ),
    Case(
        ROLES + "GRANT dba TO bob WITH ADMIN OPTION; GRANT dba TO alice",
        "GRANT dba TO alice GRANTED BY bob",
        one("membership", "alice in dba", "grantors"),
        since=16,
    ),
    # role_setting
    Case(
        ROLES,
        "ALTER ROLE bob SET work_mem = '8MB'",
        one("role_setting", "work_mem for role bob", "+"),
    ),
    Case(
        ROLES,
        "ALTER ROLE bob IN DATABASE test SET work_mem = '8MB'",
        one("role_setting", "work_mem for role bob in database test", "+"),
    ),
    Case(
        ROLES,
        "CREATE DATABASE aside; ALTER DATABASE aside SET work_mem = '8MB'",
        one("role_setting", "work_mem for database aside", "+")
        | one("database", "aside", "+")
        | one("grant", "database aside to PUBLIC", "+"),
    ),
    Case(
        ROLES + "ALTER ROLE bob SET work_mem = '8MB'",
        "ALTER ROLE bob SET work_mem = '9MB'",
        one("role_setting", "work_mem for role bob", "value"),
    ),
    # schema
    Case(ROLES, "CREATE SCHEMA app", one("schema", "app", "+")),
    Case(
        ROLES + "CREATE SCHEMA app",
        "ALTER SCHEMA app OWNER TO alice",
        one("schema", "app", "owner"),
    ),
    Case(
        ROLES + "CREATE SCHEMA app",
        "REVOKE CREATE ON SCHEMA app FROM postgres",
        one("schema", "app", "owner_lacks"),
    ),
    Case("CREATE SCHEMA app", f"COMMENT ON SCHEMA app {COMMENT}", one("schema", "app", "comment")),
    # table
    Case("", "CREATE TABLE t ()", one("table", "public.t", "+")),
    Case(
        TABLE,
        "DROP TABLE orders",
        _table("-") | _column("orders.id", "-") | _column("orders.note", "-"),
    ),
    Case(TABLE, "ALTER TABLE orders SET UNLOGGED", _table("persistence")),
    Case(BOTH, "ALTER TABLE orders OWNER TO alice", _table("owner")),
    Case(TABLE, "REVOKE INSERT ON orders FROM postgres", _table("owner_lacks")),
    Case(TABLE, "ALTER TABLE orders ENABLE ROW LEVEL SECURITY", _table("row_security")),
    Case(TABLE, "ALTER TABLE orders FORCE ROW LEVEL SECURITY", _table("force_row_security")),
    Case(TABLE, "ALTER TABLE orders REPLICA IDENTITY FULL", _table("replica_identity")),
    Case(TABLE, "ALTER TABLE orders SET (fillfactor = 70)", _table("options")),
    Case(TABLE, "ALTER TABLE orders SET (toast.autovacuum_enabled = off)", _table("options")),
    Case(TABLE, f"COMMENT ON TABLE orders {COMMENT}", _table("comment")),
    Case(
        PARENT,
        "DROP TABLE p; CREATE TABLE p (a integer, b integer) PARTITION BY RANGE (b)",
        one("table", "public.p", "partition_key"),
    ),
    Case(
        "CREATE TABLE p (a integer, b integer)",
        "DROP TABLE p; CREATE TABLE p (a integer, b integer) PARTITION BY RANGE (b)",
        one("table", "public.p", "form", "partition_key", "access_method"),
    ),
    Case(
        PARENT + "CREATE TABLE p1 (a integer, b integer)",
        "ALTER TABLE p ATTACH PARTITION p1 FOR VALUES FROM (1) TO (5)",
        one("table", "public.p1", "partition_of", "partition_bound"),
    ),
    Case(
        "CREATE TABLE p (a integer); CREATE TABLE c (a integer)",
        "ALTER TABLE c INHERIT p",
        one("table", "public.c", "inherits") | one("column", "public.c.a", "inherited"),
    ),
    Case(
        "CREATE TYPE row AS (a integer); CREATE TABLE t (a integer)",
        "ALTER TABLE t OF row",
        one("table", "public.t", "of_type"),
    ),
    Case(
        "CREATE ACCESS METHOD am TYPE TABLE HANDLER heap_tableam_handler;" + TABLE,
        "ALTER TABLE orders SET ACCESS METHOD am",
        _table("access_method"),
        since=15,
    ),
    Case(
        SERVER + "CREATE SERVER s2 FOREIGN DATA WRAPPER w;"
        "CREATE FOREIGN TABLE ft (a integer) SERVER srv",
        "DROP FOREIGN TABLE ft; CREATE FOREIGN TABLE ft (a integer) SERVER s2",
        one("table", "public.ft", "server"),
    ),
    Case(
        SERVER + "CREATE FOREIGN TABLE ft (a integer) SERVER srv",
        "ALTER FOREIGN TABLE ft OPTIONS (ADD password 'hidden')",
        one("table", "public.ft", "options"),
    ),
    # column
    Case(TABLE, "ALTER TABLE orders ADD c integer", _column("orders.c", "+")),
    Case(
        "CREATE TABLE t (a integer, b integer, c integer)",
        "ALTER TABLE t DROP b",
        _column("t.b", "-") | _column("t.c", "position"),
    ),
    Case(TABLE, "ALTER TABLE orders ALTER id TYPE bigint", _column("orders.id", "type")),
    Case(TABLE, "ALTER TABLE orders ALTER id SET NOT NULL", _column("orders.id", "not_null")),
    Case(
        TABLE,
        "ALTER TABLE orders ADD CONSTRAINT nn NOT NULL id NOT VALID",
        _column("orders.id", "not_null", "not_null_name", "not_null_validated"),
        since=18,
    ),
    Case(TABLE, "ALTER TABLE orders ALTER id SET DEFAULT 3", _column("orders.id", "default")),
    Case(
        "CREATE TABLE t (a integer, b integer GENERATED ALWAYS AS (a + 1) STORED)",
        "ALTER TABLE t ALTER b DROP EXPRESSION",
        _column("t.b", "generated", "generation"),
    ),
    Case(
        "CREATE TABLE t (a integer, b integer GENERATED ALWAYS AS (a + 1) VIRTUAL)",
        "ALTER TABLE t ALTER b SET EXPRESSION AS (a + 2)",
        _column("t.b", "generation"),
        since=18,
    ),
    Case(
        "CREATE TABLE t (a integer GENERATED ALWAYS AS IDENTITY)",
        "ALTER TABLE t ALTER a SET GENERATED BY DEFAULT",
        _column("t.a", "identity"),
    ),
    Case(
        TABLE,
        'ALTER TABLE orders ALTER note TYPE text COLLATE "C"',
        _column("orders.note", "collation"),
    ),
    Case(
        TABLE,
        "ALTER TABLE orders ALTER note SET STORAGE external",
        _column("orders.note", "storage"),
    ),
    Case(
        TABLE,
        "ALTER TABLE orders ALTER note SET COMPRESSION pglz",
        _column("orders.note", "compression"),
        since=14,
    ),
    Case(
        TABLE,
        "ALTER TABLE orders ALTER id SET STATISTICS 7",
        _column("orders.id", "statistics_target"),
    ),
    Case(
        TABLE, "ALTER TABLE orders ALTER id SET (n_distinct = 5)", _column("orders.id", "options")
    ),
    Case(TABLE, f"COMMENT ON COLUMN orders.id {COMMENT}", _column("orders.id", "comment")),
    Case(VIEW, "ALTER VIEW v ALTER id SET DEFAULT 4", _column("v.id", "default")),
    # constraint
    Case(
        TABLE,
        "ALTER TABLE orders ADD CONSTRAINT c CHECK (id > 0)",
        one("constraint", "public.orders.c", "+"),
    ),
    Case(
        TABLE + "ALTER TABLE orders ADD CONSTRAINT c CHECK (id > 0)",
        "ALTER TABLE orders DROP CONSTRAINT c, ADD CONSTRAINT c CHECK (id > 1)",
        one("constraint", "public.orders.c", "definition"),
    ),
    Case(
        TABLE + "ALTER TABLE orders ADD CONSTRAINT c UNIQUE (id)",
        "ALTER TABLE orders DROP CONSTRAINT c, ADD CONSTRAINT c CHECK (id > 1)",
        one("constraint", "public.orders.c", "definition", "type", "no_inherit")
        | one("index", "public.c", "-"),
    ),
    Case(
        FOREIGN,
        "ALTER TABLE child ALTER CONSTRAINT fk DEFERRABLE",
        one("constraint", "public.child.fk", "deferrable", "definition"),
    ),
    Case(
        FOREIGN,
        "ALTER TABLE child ALTER CONSTRAINT fk DEFERRABLE INITIALLY DEFERRED",
        one("constraint", "public.child.fk", "deferrable", "initially_deferred", "definition"),
    ),
    Case(
        TABLE + "ALTER TABLE orders ADD CONSTRAINT c CHECK (id > 0) NOT VALID",
        "ALTER TABLE orders VALIDATE CONSTRAINT c",
        one("constraint", "public.orders.c", "validated", "definition"),
    ),
    Case(
        FOREIGN,
        "ALTER TABLE child ALTER CONSTRAINT fk NOT ENFORCED",
        one("constraint", "public.child.fk", "enforced", "validated", "definition"),
        since=18,
    ),
    Case(
        FOREIGN,
        "ALTER TABLE child DISABLE TRIGGER ALL",
        one("constraint", "public.child.fk", "insert_trigger", "update_trigger"),
    ),
    Case(
        FOREIGN,
        f"COMMENT ON CONSTRAINT fk ON child {COMMENT}",
        one("constraint", "public.child.fk", "comment"),
    ),
    Case(
        DOMAIN,
        "ALTER DOMAIN pos ADD CONSTRAINT c CHECK (value > 0)",
        one("constraint", "public.pos.c", "+"),
    ),
    # index
    Case(TABLE, "CREATE INDEX i ON orders (id)", one("index", "public.i", "+")),
    Case(INDEX, "ALTER INDEX i SET (fillfactor = 60)", one("index", "public.i", "definition")),
    Case(
        INDEX,
        "DROP INDEX i; CREATE UNIQUE INDEX i ON orders (id)",
        one("index", "public.i", "definition", "unique"),
    ),
    Case(
        TABLE + "CREATE UNIQUE INDEX i ON orders (id); ALTER TABLE orders ALTER id SET NOT NULL",
        "ALTER TABLE orders ADD CONSTRAINT i PRIMARY KEY USING INDEX i",
        one("index", "public.i", "primary") | one("constraint", "public.orders.i", "+"),
    ),
    Case(
        INDEX,
        "UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'i'::regclass",
        one("index", "public.i", "valid"),
    ),
    Case(
        INDEX,
        "UPDATE pg_index SET indisready = false WHERE indexrelid = 'i'::regclass",
        one("index", "public.i", "ready"),
    ),
    Case(
        INDEX,
        "UPDATE pg_index SET indislive = false WHERE indexrelid = 'i'::regclass",
        one("index", "public.i", "live"),
    ),
    Case(INDEX, "ALTER TABLE orders CLUSTER ON i", one("index", "public.i", "clustered")),
    Case(
        TABLE + "CREATE UNIQUE INDEX i ON orders (id); ALTER TABLE orders ALTER id SET NOT NULL",
        "ALTER TABLE orders REPLICA IDENTITY USING INDEX i",
        one("index", "public.i", "replica_identity") | _table("replica_identity"),
    ),
    Case(INDEX, f"COMMENT ON INDEX i {COMMENT}", one("index", "public.i", "comment")),
    # view
    Case(
        TABLE,
        "CREATE VIEW v AS SELECT id FROM orders",
        one("view", "public.v", "+") | _column("v.id", "+"),
    ),
    Case(
        VIEW,
        "CREATE OR REPLACE VIEW v AS SELECT id FROM orders WHERE id > 5",
        one("view", "public.v", "definition"),
    ),
    Case(
        VIEW,
        "DROP VIEW v; CREATE MATERIALIZED VIEW v AS SELECT id FROM orders",
        one("view", "public.v", "materialized", "access_method") | _column("v.id", "storage"),
    ),
    Case(ROLES + VIEW, "ALTER VIEW v OWNER TO alice", one("view", "public.v", "owner")),
    Case(VIEW, "REVOKE SELECT ON v FROM postgres", one("view", "public.v", "owner_lacks")),
    Case(VIEW, "ALTER VIEW v SET (security_barrier)", one("view", "public.v", "security_barrier")),
    Case(
        VIEW,
        "ALTER VIEW v SET (security_invoker = on)",
        one("view", "public.v", "security_invoker"),
        since=15,
    ),
    Case(VIEW, "ALTER VIEW v SET (check_option = local)", one("view", "public.v", "check_option")),
    Case(
        "CREATE MATERIALIZED VIEW v AS SELECT 1 AS id",
        "ALTER MATERIALIZED VIEW v SET (fillfactor = 50)",
        one("view", "public.v", "options"),
    ),
    Case(VIEW, f"COMMENT ON VIEW v {COMMENT}", one("view", "public.v", "comment")),
    # function
    Case("", F, one("function", FN, "+") | one("grant", f"function {FN} to PUBLIC", "+")),
    Case(
        "CREATE AGGREGATE g(integer) (sfunc = int4pl, stype = integer)",
        "DROP AGGREGATE g(integer); CREATE FUNCTION g(integer) RETURNS integer LANGUAGE sql"
        " IMMUTABLE AS 'SELECT 1'",
        one("function", "public.g(integer)", "form", "aggregate", "language", "body", "cost"),
    ),
    Case(
        ROLES + F,
        "ALTER FUNCTION f OWNER TO alice",
        one("function", FN, "owner") | one("grant", f"function {FN} to PUBLIC", "execute"),
    ),
    Case(F, "REVOKE EXECUTE ON FUNCTION f FROM postgres", one("function", FN, "owner_lacks")),
    Case(
        F,
        "CREATE OR REPLACE FUNCTION f(a integer DEFAULT 4) RETURNS integer LANGUAGE sql"
        " AS 'SELECT 1'",
        one("function", FN, "arguments"),
    ),
    Case(
        F,
        "DROP FUNCTION f; CREATE FUNCTION f(a integer) RETURNS bigint LANGUAGE sql AS 'SELECT 1'",
        one("function", FN, "returns"),
    ),
    Case(
        F,
        "CREATE OR REPLACE FUNCTION f(a integer) RETURNS integer LANGUAGE plpgsql"
        " AS 'BEGIN RETURN 1; END'",
        one("function", FN, "language", "body"),
    ),
    Case(
        F,
        "CREATE OR REPLACE FUNCTION f(a integer) RETURNS integer LANGUAGE sql AS 'SELECT 2'",
        one("function", FN, "body"),
    ),
    Case(
        F,
        "CREATE OR REPLACE FUNCTION f(a integer) RETURNS integer LANGUAGE sql RETURN a",
        one("function", FN, "body"),
        since=14,
    ),
    Case(
        "CREATE FUNCTION ff(internal) RETURNS internal LANGUAGE internal STRICT AS 'prsd_lextype'",
        "CREATE OR REPLACE FUNCTION ff(internal) RETURNS internal LANGUAGE c STRICT"
        " AS '$libdir/dict_snowball', 'dsnowball_init'",
        one("function", "public.ff(internal)", "language", "library", "body"),
    ),
    Case(
        F + ROLES + "ALTER FUNCTION f OWNER TO alice;",
        "ALTER FUNCTION f SECURITY DEFINER",
        one("function", FN, "security_definer"),
    ),
    Case(
        F,
        "ALTER FUNCTION f SECURITY DEFINER",
        one("function", FN, "security_definer", "owner_superuser"),
    ),
    Case(F, "ALTER FUNCTION f STABLE", one("function", FN, "volatility")),
    Case(F, "ALTER FUNCTION f PARALLEL SAFE", one("function", FN, "parallel")),
    Case(F, "ALTER FUNCTION f STRICT", one("function", FN, "strict")),
    Case(F, "ALTER FUNCTION f LEAKPROOF", one("function", FN, "leakproof")),
    Case(F, "ALTER FUNCTION f COST 5", one("function", FN, "cost")),
    Case(
        "CREATE FUNCTION f(a integer) RETURNS SETOF integer LANGUAGE sql AS 'SELECT 1'",
        "ALTER FUNCTION f ROWS 5",
        one("function", FN, "rows"),
    ),
    Case(F, "ALTER FUNCTION f SET search_path = app", one("function", FN, "config")),
    Case(
        F, "ALTER FUNCTION f SUPPORT generate_series_int4_support", one("function", FN, "support")
    ),
    Case(F, f"COMMENT ON FUNCTION f {COMMENT}", one("function", FN, "comment")),
    # trigger
    Case(TRIGGER, "DROP TRIGGER audit ON orders", one("trigger", "public.orders.audit", "-")),
    Case(
        TRIGGER,
        "ALTER TABLE orders DISABLE TRIGGER audit",
        one("trigger", "public.orders.audit", "enabled"),
    ),
    Case(
        TRIGGER,
        "DROP TRIGGER audit ON orders;"
        "CREATE TRIGGER audit BEFORE INSERT ON orders FOR EACH ROW EXECUTE FUNCTION tg2()",
        one("trigger", "public.orders.audit", "definition", "function"),
    ),
    Case(
        TRIGGER,
        f"COMMENT ON TRIGGER audit ON orders {COMMENT}",
        one("trigger", "public.orders.audit", "comment"),
    ),
    # rule
    Case(RULE, "DROP RULE divert ON orders", one("rule", "public.orders.divert", "-")),
    Case(
        TABLE,
        "CREATE RULE divert AS ON UPDATE TO orders DO INSTEAD SELECT note FROM orders",
        one("rule", "public.orders.divert", "+"),
    ),
    Case(
        VIEW,
        "CREATE RULE divert AS ON UPDATE TO v DO INSTEAD SELECT note FROM orders",
        one("rule", "public.v.divert", "+"),
    ),
    Case(
        RULE,
        "CREATE OR REPLACE RULE divert AS ON DELETE TO orders DO INSTEAD SELECT 1",
        one("rule", "public.orders.divert", "definition"),
    ),
    Case(
        RULE,
        "ALTER TABLE orders DISABLE RULE divert",
        one("rule", "public.orders.divert", "enabled"),
    ),
    Case(
        RULE,
        f"COMMENT ON RULE divert ON orders {COMMENT}",
        one("rule", "public.orders.divert", "comment"),
    ),
    # policy
    Case(POLICY, "DROP POLICY tenant ON orders", one("policy", "public.orders.tenant", "-")),
    Case(
        POLICY,
        "DROP POLICY tenant ON orders; CREATE POLICY tenant ON orders FOR UPDATE TO alice"
        " USING (id > 1) WITH CHECK (id > 1)",
        one("policy", "public.orders.tenant", "command"),
    ),
    Case(
        POLICY,
        "DROP POLICY tenant ON orders; CREATE POLICY tenant ON orders AS RESTRICTIVE"
        " TO alice USING (id > 1) WITH CHECK (id > 1)",
        one("policy", "public.orders.tenant", "permissive"),
    ),
    Case(
        POLICY,
        "ALTER POLICY tenant ON orders TO PUBLIC",
        one("policy", "public.orders.tenant", "roles"),
    ),
    Case(
        POLICY,
        "ALTER POLICY tenant ON orders USING (id > 2)",
        one("policy", "public.orders.tenant", "using"),
    ),
    Case(
        POLICY,
        "ALTER POLICY tenant ON orders WITH CHECK (id > 2)",
        one("policy", "public.orders.tenant", "check"),
    ),
    Case(
        POLICY,
        f"COMMENT ON POLICY tenant ON orders {COMMENT}",
        one("policy", "public.orders.tenant", "comment"),
    ),
    # sequence
    Case("", SEQUENCE, one("sequence", "public.s", "+")),
    Case(SEQUENCE, "SELECT nextval('s')", set()),
    Case(SEQUENCE, "ALTER SEQUENCE s AS integer", one("sequence", "public.s", "type", "maximum")),
    Case(SEQUENCE, "ALTER SEQUENCE s START 5", one("sequence", "public.s", "start")),
    Case(SEQUENCE, "ALTER SEQUENCE s INCREMENT 5", one("sequence", "public.s", "increment")),
    Case(SEQUENCE, "ALTER SEQUENCE s MINVALUE 0", one("sequence", "public.s", "minimum")),
    Case(SEQUENCE, "ALTER SEQUENCE s CACHE 5", one("sequence", "public.s", "cache")),
    Case(SEQUENCE, "ALTER SEQUENCE s CYCLE", one("sequence", "public.s", "cycle")),
    Case(
        TABLE + SEQUENCE,
        "ALTER SEQUENCE s OWNED BY orders.id",
        one("sequence", "public.s", "owned_by"),
    ),
    Case(
        SEQUENCE,
        "ALTER SEQUENCE s SET UNLOGGED",
        one("sequence", "public.s", "persistence"),
        since=15,
    ),
    Case(ROLES + SEQUENCE, "ALTER SEQUENCE s OWNER TO alice", one("sequence", "public.s", "owner")),
    Case(
        SEQUENCE,
        "REVOKE USAGE ON SEQUENCE s FROM postgres",
        one("sequence", "public.s", "owner_lacks"),
    ),
    Case(SEQUENCE, f"COMMENT ON SEQUENCE s {COMMENT}", one("sequence", "public.s", "comment")),
    # type
    Case(
        "",
        ENUM,
        one("type", "public.status", "+") | one("grant", "type public.status to PUBLIC", "+"),
    ),
    Case(
        ENUM,
        "ALTER TYPE status ADD VALUE 'mid' BEFORE 'old'",
        one("type", "public.status", "labels"),
    ),
    Case(
        ROLES + ENUM,
        "ALTER TYPE status OWNER TO alice",
        one("type", "public.status", "owner")
        | one("grant", "type public.status to PUBLIC", "usage"),
    ),
    Case(
        ENUM,
        "REVOKE USAGE ON TYPE status FROM postgres",
        one("type", "public.status", "owner_lacks"),
    ),
    Case(ENUM, f"COMMENT ON TYPE status {COMMENT}", one("type", "public.status", "comment")),
    Case(DOMAIN, "ALTER DOMAIN pos SET NOT NULL", one("type", "public.pos", "not_null")),
    Case(DOMAIN, "ALTER DOMAIN pos SET DEFAULT 3", one("type", "public.pos", "default")),
    Case(DOMAIN, "DROP DOMAIN pos; CREATE DOMAIN pos AS bigint", one("type", "public.pos", "base")),
    Case(
        "CREATE DOMAIN pos AS text",
        'DROP DOMAIN pos; CREATE DOMAIN pos AS text COLLATE "C"',
        one("type", "public.pos", "collation"),
    ),
    Case(
        ENUM,
        "DROP TYPE status; CREATE TYPE status AS (a integer)",
        one("type", "public.status", "form", "labels", "fields"),
    ),
    Case(
        "CREATE TYPE pair AS (a integer)",
        "ALTER TYPE pair ALTER ATTRIBUTE a TYPE bigint",
        one("type", "public.pair", "fields"),
    ),
    Case(
        "CREATE TYPE r AS RANGE (subtype = float8)",
        "DROP TYPE r; CREATE TYPE r AS RANGE (subtype = float8, subtype_diff = float8mi)",
        one("type", "public.r", "subtype_diff"),
    ),
    Case(
        "CREATE TYPE r AS RANGE (subtype = float8)",
        "DROP TYPE r; CREATE TYPE r AS RANGE (subtype = float4)",
        one("type", "public.r", "subtype", "opclass"),
    ),
    Case(
        "CREATE TYPE r AS RANGE (subtype = text)",
        'DROP TYPE r; CREATE TYPE r AS RANGE (subtype = text, collation = "C")',
        one("type", "public.r", "subtype_collation"),
    ),
    Case(
        "CREATE TYPE r AS RANGE (subtype = float8)",
        "DROP TYPE r; CREATE TYPE r AS RANGE (subtype = float8, multirange_type_name = many)",
        one("type", "public.r", "multirange"),
        since=14,
    ),
    Case(
        "CREATE TYPE r; CREATE FUNCTION canon(r) RETURNS r LANGUAGE internal IMMUTABLE STRICT"
        " AS 'int4range_canonical'; CREATE TYPE r AS RANGE (subtype = int4)",
        "DROP TYPE r CASCADE; CREATE TYPE r; CREATE FUNCTION canon(r) RETURNS r LANGUAGE internal"
        " IMMUTABLE STRICT AS 'int4range_canonical';"
        "CREATE TYPE r AS RANGE (subtype = int4, canonical = canon)",
        one("type", "public.r", "canonical"),
    ),
    # extension
    Case(
        "",
        "DROP EXTENSION plpgsql",
        one("extension", "plpgsql", "-")
        | one("grant", "language plpgsql to PUBLIC", "-")
        | {("extension_member", name, "-") for name in ("language plpgsql", *HANDLERS)},
    ),
    Case(
        F,
        "ALTER EXTENSION plpgsql ADD FUNCTION f(integer)",
        one("extension_member", f"function {FN}", "+")
        | one("function", FN, "-")
        | one("grant", f"function {FN} to PUBLIC", "-"),
    ),
    Case(
        "",
        "UPDATE pg_extension SET extversion = '9'",
        one("extension", "plpgsql", "version", "default_version"),
    ),
    Case(  # its members stay somebody else's
        ROLES,
        "UPDATE pg_extension SET extowner = 'alice'::regrole",
        one("extension", "plpgsql", "owner")
        | {("extension_member", name, "digest") for name in HANDLERS},
    ),
    Case(
        "",
        "UPDATE pg_extension SET extnamespace = 'public'::regnamespace",
        one("extension", "plpgsql", "schema"),
    ),
    Case("", f"COMMENT ON EXTENSION plpgsql {COMMENT}", one("extension", "plpgsql", "comment")),
]

PRIVILEGES = (
    ("table orders", "table public.orders", "select"),
    ("table orders", "table public.orders", "insert"),
    ("table orders", "table public.orders", "update"),
    ("table orders", "table public.orders", "delete"),
    ("table orders", "table public.orders", "truncate"),
    ("table orders", "table public.orders", "references"),
    ("table orders", "table public.orders", "trigger"),
    ("table v", "view public.v", "select"),
    ("sequence s", "sequence public.s", "usage"),
    ("function f", f"function {FN}", "execute"),
    ("schema app", "schema app", "create"),
    ("type status", "type public.status", "usage"),
    ("database test", "database test", "connect"),
    ("database test", "database test", "temporary"),
    ("language plpgsql", "language plpgsql", "usage"),
    ("foreign server srv", "server srv", "usage"),
    ("foreign data wrapper w", "foreign_data_wrapper w", "usage"),
    ("tablespace pg_default", "tablespace pg_default", "create"),
)
EVERYTHING = ROLES + VIEW + SEQUENCE + F + "CREATE SCHEMA app;" + ENUM + SERVER
GRANTS = [f"GRANT {privilege} ON {what} TO bob" for what, _, privilege in PRIVILEGES]
CASES += [  # one by one these would take a while, and each names its own attribute anyway
    Case(
        EVERYTHING,
        "; ".join(GRANTS),
        {("grant", f"{name} to bob", "+") for _, name, _ in PRIVILEGES},
    ),
    Case(
        EVERYTHING + "; ".join(GRANTS),
        "; ".join(f"{grant} WITH GRANT OPTION" for grant in GRANTS),
        {("grant", f"{name} to bob", privilege) for _, name, privilege in PRIVILEGES},
    ),
]
IN_SCHEMA = "ALTER DEFAULT PRIVILEGES FOR ROLE alice IN SCHEMA public"
FOR_ALL = "ALTER DEFAULT PRIVILEGES FOR ROLE alice"
CASES += [
    Case(
        BOTH,
        "GRANT MAINTAIN ON orders TO bob",
        one("grant", "table public.orders to bob", "+"),
        since=17,
    ),
    Case(
        BOTH + "GRANT SELECT ON orders TO bob",
        "GRANT MAINTAIN ON orders TO bob",
        one("grant", "table public.orders to bob", "maintain"),
        since=17,
    ),
    Case(
        BOTH,
        "GRANT SELECT (id) ON orders TO bob",
        one("grant", "column public.orders.id to bob", "+"),
    ),
    Case(
        BOTH + "GRANT SELECT (id) ON orders TO bob",
        "GRANT UPDATE (id) ON orders TO bob",
        one("grant", "column public.orders.id to bob", "update"),
    ),
    Case(
        ROLES,
        "GRANT SET ON PARAMETER log_statement TO bob",
        one("grant", "parameter log_statement to bob", "+"),
        since=15,
    ),
    Case(
        ROLES + "GRANT SET ON PARAMETER log_statement TO bob",
        "GRANT ALTER SYSTEM ON PARAMETER log_statement TO bob",
        one("grant", "parameter log_statement to bob", "alter_system"),
        since=15,
    ),
    Case(
        BOTH,
        "GRANT SELECT ON orders TO PUBLIC",
        one("grant", "table public.orders to PUBLIC", "+"),
    ),
    Case(
        ROLES + F,
        "REVOKE EXECUTE ON FUNCTION f FROM PUBLIC",
        one("grant", f"function {FN} to PUBLIC", "-"),
    ),
    Case(ROLES + F, "GRANT EXECUTE ON FUNCTION f TO PUBLIC", set()),
    Case(
        ROLES + F + "GRANT EXECUTE ON FUNCTION f TO bob WITH GRANT OPTION; SET ROLE bob;"
        "GRANT EXECUTE ON FUNCTION f TO PUBLIC; RESET ROLE",
        "REVOKE EXECUTE ON FUNCTION f FROM PUBLIC",
        one("grant", f"function {FN} to PUBLIC", "execute"),
    ),
    Case(
        ROLES + F + "GRANT EXECUTE ON FUNCTION f TO bob WITH GRANT OPTION",
        "SET ROLE bob; GRANT EXECUTE ON FUNCTION f TO PUBLIC",
        one("grant", f"function {FN} to PUBLIC", "built_in", "execute"),
    ),
    # default_privilege
    Case(
        BOTH,
        f"{IN_SCHEMA} GRANT SELECT ON TABLES TO bob",
        one("default_privilege", "tables of alice in public to bob", "+"),
    ),
    Case(
        BOTH + f"{IN_SCHEMA} GRANT SELECT ON TABLES TO bob;",
        f"{IN_SCHEMA} GRANT INSERT ON TABLES TO bob",
        one("default_privilege", "tables of alice in public to bob", "insert"),
    ),
    Case(
        BOTH,
        f"{FOR_ALL} REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC",
        one("default_privilege", "functions of alice to PUBLIC", "+"),
    ),
    Case(
        BOTH + f"{FOR_ALL} GRANT EXECUTE ON FUNCTIONS TO bob;",
        f"{FOR_ALL} REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC",
        one("default_privilege", "functions of alice to PUBLIC", "built_in", "lacks", "execute"),
    ),
    Case(
        BOTH + f"{FOR_ALL} REVOKE USAGE ON SCHEMAS FROM alice;",
        f"{FOR_ALL} REVOKE CREATE ON SCHEMAS FROM alice",
        one("default_privilege", "schemas of alice to alice", "owner_lacks"),
    ),
    Case(
        BOTH,
        f"{FOR_ALL} GRANT USAGE ON SEQUENCES TO bob",
        one("default_privilege", "sequences of alice to bob", "+"),
    ),
    Case(
        BOTH,
        f"{FOR_ALL} GRANT USAGE ON TYPES TO bob",
        one("default_privilege", "types of alice to bob", "+")
        | one("default_privilege", "types of alice to PUBLIC", "+"),
    ),
    Case(
        BOTH,
        f"{FOR_ALL} GRANT SELECT ON LARGE OBJECTS TO bob",
        one("default_privilege", "large objects of alice to bob", "+"),
        since=18,
    ),
]
EXTENDED = (
    ROLES + "CREATE FUNCTION f() RETURNS integer LANGUAGE sql AS 'SELECT 1';"
    "ALTER EXTENSION plpgsql ADD FUNCTION f();"
)
MEMBER = one("extension_member", "function public.f()", "digest")
CASES += [
    # objects of the server's own and of extensions: what was granted since
    Case(
        ROLES,
        "GRANT SELECT ON pg_authid TO bob",
        one("grant", "table pg_catalog.pg_authid to bob", "+"),
    ),
    Case(
        ROLES + "GRANT SELECT ON pg_authid TO bob",
        "GRANT SELECT ON pg_authid TO bob WITH GRANT OPTION",
        one("grant", "table pg_catalog.pg_authid to bob", "select"),
    ),
    Case(
        ROLES,
        "GRANT SELECT (rolpassword) ON pg_authid TO bob",
        one("grant", "column pg_catalog.pg_authid.rolpassword to bob", "+"),
    ),
    Case(
        ROLES,
        "GRANT EXECUTE ON FUNCTION pg_read_file(text) TO bob",
        one("grant", "function pg_catalog.pg_read_file(text) to bob", "+"),
    ),
    Case(
        "",
        "REVOKE SELECT ON pg_stats FROM PUBLIC",
        one("grant", "view pg_catalog.pg_stats to PUBLIC", "+"),
    ),
    Case(
        "GRANT SELECT, INSERT ON pg_stats TO PUBLIC",
        "REVOKE SELECT ON pg_stats FROM PUBLIC",
        one("grant", "view pg_catalog.pg_stats to PUBLIC", "select", "lacks"),
    ),
    Case(
        ROLES,
        "GRANT CREATE ON SCHEMA pg_catalog TO bob",
        one("grant", "schema pg_catalog to bob", "+"),
    ),
    Case(
        EXTENDED,
        "GRANT EXECUTE ON FUNCTION f() TO bob",
        one("grant", "function public.f() to bob", "+"),
    ),
    Case(
        EXTENDED,
        "REVOKE EXECUTE ON FUNCTION f() FROM PUBLIC",
        one("grant", "function public.f() to PUBLIC", "+"),
    ),
]
SPACE = "SET allow_in_place_tablespaces = on; CREATE TABLESPACE ts LOCATION '';"
CASES += [
    # tablespaces, in place: they need no directory of their own
    Case(SPACE + TABLE, "ALTER TABLE orders SET TABLESPACE ts", _table("tablespace"), since=15),
    Case(
        SPACE + INDEX,
        "ALTER INDEX i SET TABLESPACE ts",
        one("index", "public.i", "tablespace"),
        since=15,
    ),
    Case(
        SPACE + "CREATE MATERIALIZED VIEW v AS SELECT 1 AS a",
        "ALTER MATERIALIZED VIEW v SET TABLESPACE ts",
        one("view", "public.v", "tablespace"),
        since=15,
    ),
    Case(
        SPACE + "CREATE DATABASE aside",
        "ALTER DATABASE aside SET TABLESPACE ts",
        one("database", "aside", "tablespace"),
        since=15,
    ),
    Case(
        "",
        "REVOKE CONNECT ON DATABASE test FROM postgres",
        one("database", "test", "owner_lacks"),
    ),
]
SPLIT = (
    "CREATE TABLE r (id integer PRIMARY KEY) PARTITION BY RANGE (id);"
    "CREATE TABLE r1 PARTITION OF r FOR VALUES FROM (1) TO (9) PARTITION BY RANGE (id);"
    "CREATE TABLE r11 PARTITION OF r1 FOR VALUES FROM (1) TO (5);"
    "CREATE TABLE child (o integer CONSTRAINT fk REFERENCES r);"
)
BASE = (
    "CREATE TYPE b; CREATE FUNCTION b_in(cstring) RETURNS b LANGUAGE internal IMMUTABLE STRICT"
    " AS 'textin'; CREATE FUNCTION b_out(b) RETURNS cstring LANGUAGE internal IMMUTABLE STRICT"
    " AS 'textout'; CREATE FUNCTION b_send(b) RETURNS bytea LANGUAGE internal IMMUTABLE STRICT"
    " AS 'textsend'; CREATE TYPE b (INPUT = b_in, OUTPUT = b_out);"
)
MOVING = (
    "CREATE AGGREGATE g(integer) (sfunc = int4pl, stype = integer, msfunc = int4pl,"
    " minvfunc = int4mi, mstype = integer, mfinalfunc = int4um{});"
)
DANGLING = (
    "UPDATE pg_class SET relacl = acldefault('r', relowner)"
    " || makeaclitem(99999, relowner, 'SELECT', false) WHERE relname = 'orders'"
)
CASES += [
    # memberships of predefined roles; more in test_snapshot.py
    Case(ROLES, "GRANT dba TO pg_monitor", one("membership", "pg_monitor in dba", "+")),
    # triggers that enforce
    Case(
        SPLIT,
        "ALTER TABLE r11 DISABLE TRIGGER ALL",
        one(
            "constraint",
            "public.child.fk",
            "referenced_delete_trigger",
            "referenced_update_trigger",
        ),
    ),
    Case(
        TABLE + "ALTER TABLE orders ADD CONSTRAINT u UNIQUE (id) DEFERRABLE",
        "ALTER TABLE orders DISABLE TRIGGER ALL",
        one("constraint", "public.orders.u", "recheck_trigger"),
    ),
    # schemas that only look like the server's
    Case(
        "",
        "CREATE FUNCTION pg_toast.f() RETURNS integer LANGUAGE sql AS 'SELECT 1'",
        one("function", "pg_toast.f()", "+") | one("grant", "function pg_toast.f() to PUBLIC", "+"),
    ),
    Case(
        "CREATE SCHEMA evil; CREATE SCHEMA toasty",
        "SET allow_system_table_mods = on; ALTER SCHEMA evil RENAME TO pg_temp_evil;"
        "ALTER SCHEMA toasty RENAME TO pg_toasty",
        one("schema", "evil", "-")
        | one("schema", "pg_temp_evil", "+")
        | one("schema", "toasty", "-")
        | one("schema", "pg_toasty", "+"),
    ),
    Case(
        "CREATE FUNCTION one() RETURNS integer LANGUAGE sql AS 'SELECT 1';"
        "CREATE DOMAIN pos AS integer DEFAULT one()",
        "ALTER FUNCTION one() RENAME TO uno",
        one("type", "public.pos", "default")
        | one("function", "public.one()", "-")
        | one("function", "public.uno()", "+")
        | one("grant", "function public.one() to PUBLIC", "-")
        | one("grant", "function public.uno() to PUBLIC", "+"),
    ),
    # roles that are gone
    Case(TABLE, DANGLING, one("grant", 'table public.orders to "99999"', "+")),
    Case(
        TABLE,
        "UPDATE pg_class SET relowner = 99999 WHERE relname = 'orders'",
        _table("owner"),
    ),
    Case(
        POLICY,
        "UPDATE pg_policy SET polroles = '{99999}'",
        one("policy", "public.orders.tenant", "roles"),
    ),
    # functions of extensions and of the server
    Case(
        EXTENDED,
        "CREATE OR REPLACE FUNCTION f() RETURNS integer LANGUAGE sql AS 'SELECT 2'",
        MEMBER,
    ),
    Case(EXTENDED, "ALTER FUNCTION f() SECURITY DEFINER", MEMBER),
    Case(EXTENDED, "ALTER FUNCTION f() SET work_mem = '8MB'", MEMBER),
    Case(EXTENDED, "ALTER FUNCTION f() OWNER TO alice", MEMBER),
    Case(
        "",
        "ALTER FUNCTION pg_catalog.lower(text) SECURITY DEFINER",
        one("function", "pg_catalog.lower(text)", "+"),
    ),
    Case(
        "",
        "ALTER FUNCTION pg_catalog.lower(text) SET work_mem = '8MB'",
        one("function", "pg_catalog.lower(text)", "+"),
    ),
    Case(
        "",
        "CREATE OR REPLACE FUNCTION pg_catalog.lower(text) RETURNS text LANGUAGE plpgsql IMMUTABLE"
        " STRICT AS 'BEGIN RETURN $1; END'",
        one("function", "pg_catalog.lower(text)", "+") | one("schema", "pg_catalog", "functions"),
    ),
    Case(
        "",
        "CREATE OR REPLACE FUNCTION pg_catalog.lower(text) RETURNS text LANGUAGE sql IMMUTABLE"
        " STRICT AS 'SELECT $1'",
        one("function", "pg_catalog.lower(text)", "+") | one("schema", "pg_catalog", "functions"),
        since=14,
    ),
    # attributes
    *(
        Case(
            MOVING.format(""),
            "DROP AGGREGATE g(integer); " + MOVING.format(more),
            one("function", "public.g(integer)", "aggregate"),
        )
        for more in (", mfinalfunc_modify = read_write", ", msspace = 99")
    ),
    Case(BASE, "ALTER TYPE b SET (STORAGE = extended)", one("type", "public.b", "storage")),
    Case(BASE, "ALTER TYPE b SET (SEND = b_send)", one("type", "public.b", "functions")),
    Case(
        "CREATE TYPE pair AS (a integer)",
        f"COMMENT ON COLUMN pair.a {COMMENT}",
        one("type", "public.pair", "field_comments"),
    ),
    Case(
        "CREATE MATERIALIZED VIEW v AS SELECT 'x'::text AS a",
        "ALTER MATERIALIZED VIEW v ALTER a SET STORAGE external",
        _column("v.a", "storage"),
    ),
    Case(
        "CREATE MATERIALIZED VIEW v AS SELECT 'x'::text AS a",
        "ALTER MATERIALIZED VIEW v SET (toast.autovacuum_enabled = off)",
        one("view", "public.v", "options"),
    ),
    Case(
        PARENT + "CREATE TABLE p1 PARTITION OF p FOR VALUES FROM (1) TO (5);"
        "CREATE INDEX i ON ONLY p (a); CREATE INDEX i1 ON p1 (a)",
        "ALTER INDEX i ATTACH PARTITION i1",
        one("index", "public.i1", "partition_of") | one("index", "public.i", "valid"),
    ),
    Case(
        TABLE + "ALTER TABLE orders ADD CONSTRAINT nn NOT NULL id",
        "ALTER TABLE orders ALTER CONSTRAINT nn NO INHERIT",
        _column("orders.id", "not_null_no_inherit"),
        since=18,
    ),
    Case(
        ROLES,
        f"{IN_SCHEMA} GRANT SELECT ON TABLES TO alice",
        one("default_privilege", "tables of alice in public to alice", "+"),
    ),
    Case(
        ROLES + F + "ALTER FUNCTION f SET search_path = pg_catalog, app;"
        "ALTER ROLE bob SET search_path = app",
        "SET quote_all_identifiers = on; ALTER FUNCTION f SET search_path = pg_catalog, app;"
        "ALTER ROLE bob SET search_path = app",
        set(),
    ),
]
