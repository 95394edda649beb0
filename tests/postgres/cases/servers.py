"""What belongs to the server, what is replicated, and what is foreign."""

from support.cases import Case, one

ROLES = "CREATE ROLE alice SUPERUSER; CREATE ROLE bob;"
TABLE = "CREATE TABLE orders (id integer PRIMARY KEY, note text, total integer);"
WRAPPER = "CREATE FOREIGN DATA WRAPPER w;"
SERVER = WRAPPER + "CREATE SERVER srv TYPE 't' VERSION '1' FOREIGN DATA WRAPPER w;"
MAPPED = ROLES + SERVER + "CREATE USER MAPPING FOR bob SERVER srv OPTIONS (user 'a', password 'b');"
PUBLISHED = TABLE + "CREATE PUBLICATION pub FOR TABLE orders;"
PART = "public.orders in pub"
SUBSCRIBED = (
    "CREATE SUBSCRIPTION sub CONNECTION 'host=/nowhere password=first'"
    " PUBLICATION pub WITH (connect = false);"
)
# A subscription with a slot cannot be dropped with its database's other objects.
SLOTLESS = SUBSCRIBED + "ALTER SUBSCRIPTION sub SET (slot_name = NONE);"
SPACE = "SET allow_in_place_tablespaces = on; CREATE TABLESPACE ts LOCATION '';"
LARGE = ROLES + "SELECT lo_create(4711);"
LABEL = "INSERT INTO pg_seclabel VALUES ('orders'::regclass, 'pg_class'::regclass, 0, 'dummy', 'x')"
LABELLED = "dummy on table public.orders"
COMMENT = "IS 'changed'"
SUPPRESS = "suppress_redundant_updates_trigger"
HANDLER = (
    "CREATE FUNCTION check_options(text[], oid) RETURNS boolean LANGUAGE sql AS 'SELECT true';"
)
EXTENDED = (
    "CREATE TABLE inside (a integer); ALTER EXTENSION plpgsql ADD TABLE inside;"
    "CREATE VIEW seen AS SELECT 1 AS a; ALTER EXTENSION plpgsql ADD VIEW seen;"
    "CREATE TYPE state AS ENUM ('one'); ALTER EXTENSION plpgsql ADD TYPE state;"
    "CREATE FOREIGN DATA WRAPPER w; ALTER EXTENSION plpgsql ADD FOREIGN DATA WRAPPER w;"
)


def _subscription(*attributes: str) -> set[tuple[str, str, str]]:
    return one("subscription", "sub", *attributes)


def _inside(name: str) -> set[tuple[str, str, str]]:
    return one("extension_member", name, "digest")


CASES = [
    # foreign_data_wrapper
    Case("", WRAPPER, one("foreign_data_wrapper", "w", "+")),
    Case(WRAPPER, "DROP FOREIGN DATA WRAPPER w", one("foreign_data_wrapper", "w", "-")),
    Case(
        ROLES + WRAPPER,
        "ALTER FOREIGN DATA WRAPPER w OWNER TO alice",
        one("foreign_data_wrapper", "w", "owner"),
    ),
    Case(
        WRAPPER,
        "REVOKE USAGE ON FOREIGN DATA WRAPPER w FROM postgres",
        one("foreign_data_wrapper", "w", "owner_lacks"),
    ),
    Case(
        WRAPPER,
        "UPDATE pg_foreign_data_wrapper SET fdwhandler = 'plpgsql_call_handler'::regproc",
        one("foreign_data_wrapper", "w", "handler"),
    ),
    Case(
        WRAPPER + HANDLER,
        "ALTER FOREIGN DATA WRAPPER w VALIDATOR check_options",
        one("foreign_data_wrapper", "w", "validator"),
    ),
    Case(
        WRAPPER,
        "ALTER FOREIGN DATA WRAPPER w OPTIONS (ADD debug 'on')",
        one("foreign_data_wrapper", "w", "options"),
    ),
    Case(
        WRAPPER,
        f"COMMENT ON FOREIGN DATA WRAPPER w {COMMENT}",
        one("foreign_data_wrapper", "w", "comment"),
    ),
    # server
    Case(
        WRAPPER,
        "CREATE SERVER srv FOREIGN DATA WRAPPER w",
        one("server", "srv", "+"),
    ),
    Case(SERVER, "DROP SERVER srv", one("server", "srv", "-")),
    Case(ROLES + SERVER, "ALTER SERVER srv OWNER TO alice", one("server", "srv", "owner")),
    Case(
        SERVER,
        "REVOKE USAGE ON FOREIGN SERVER srv FROM postgres",
        one("server", "srv", "owner_lacks"),
    ),
    Case(
        SERVER + "CREATE FOREIGN DATA WRAPPER w2;",
        "DROP SERVER srv; CREATE SERVER srv TYPE 't' VERSION '1' FOREIGN DATA WRAPPER w2",
        one("server", "srv", "wrapper"),
    ),
    Case(
        SERVER,
        "DROP SERVER srv; CREATE SERVER srv TYPE 'u' VERSION '1' FOREIGN DATA WRAPPER w",
        one("server", "srv", "type"),
    ),
    Case(SERVER, "ALTER SERVER srv VERSION '2'", one("server", "srv", "version")),
    Case(SERVER, "ALTER SERVER srv OPTIONS (ADD host 'x')", one("server", "srv", "options")),
    Case(SERVER, f"COMMENT ON SERVER srv {COMMENT}", one("server", "srv", "comment")),
    # user_mapping
    Case(
        ROLES + SERVER,
        "CREATE USER MAPPING FOR bob SERVER srv",
        one("user_mapping", "bob on srv", "+"),
    ),
    Case(
        SERVER,
        "CREATE USER MAPPING FOR PUBLIC SERVER srv",
        one("user_mapping", "PUBLIC on srv", "+"),
    ),
    Case(MAPPED, "DROP USER MAPPING FOR bob SERVER srv", one("user_mapping", "bob on srv", "-")),
    Case(
        MAPPED,
        "ALTER USER MAPPING FOR bob SERVER srv OPTIONS (SET password 'another')",
        one("user_mapping", "bob on srv", "options"),
    ),
    # publication
    Case("", "CREATE PUBLICATION pub", one("publication", "pub", "+")),
    Case(
        PUBLISHED,
        "DROP PUBLICATION pub",
        one("publication", "pub", "-") | one("publication_table", PART, "-"),
    ),
    Case(
        ROLES + PUBLISHED,
        "ALTER PUBLICATION pub OWNER TO alice",
        one("publication", "pub", "owner"),
    ),
    Case(
        "CREATE PUBLICATION pub",
        "DROP PUBLICATION pub; CREATE PUBLICATION pub FOR ALL TABLES",
        one("publication", "pub", "all_tables"),
    ),
    Case(
        PUBLISHED,
        "ALTER PUBLICATION pub SET (publish = 'insert, truncate')",
        one("publication", "pub", "operations"),
    ),
    Case(
        PUBLISHED,
        "ALTER PUBLICATION pub SET (publish_via_partition_root = true)",
        one("publication", "pub", "via_root"),
    ),
    Case(
        PUBLISHED,
        "ALTER PUBLICATION pub SET (publish_generated_columns = stored)",
        one("publication", "pub", "generated_columns"),
        since=18,
    ),
    Case(PUBLISHED, f"COMMENT ON PUBLICATION pub {COMMENT}", one("publication", "pub", "comment")),
    # publication_table, publication_schema
    Case(
        PUBLISHED + "CREATE TABLE more (a integer);",
        "ALTER PUBLICATION pub ADD TABLE more",
        one("publication_table", "public.more in pub", "+"),
    ),
    Case(
        PUBLISHED,
        "ALTER PUBLICATION pub DROP TABLE orders",
        one("publication_table", PART, "-"),
    ),
    Case(
        PUBLISHED,
        "ALTER PUBLICATION pub SET TABLE orders (id, note)",
        one("publication_table", PART, "columns"),
        since=15,
    ),
    Case(
        PUBLISHED,
        "ALTER PUBLICATION pub SET TABLE orders WHERE (id > 5)",
        one("publication_table", PART, "where"),
        since=15,
    ),
    Case(
        "CREATE SCHEMA app; CREATE PUBLICATION pub",
        "ALTER PUBLICATION pub ADD TABLES IN SCHEMA app",
        one("publication_schema", "app in pub", "+"),
        since=15,
    ),
    # subscription
    Case("", SLOTLESS, _subscription("+")),
    Case(SLOTLESS, "DROP SUBSCRIPTION sub", _subscription("-")),
    Case(ROLES + SLOTLESS, "ALTER SUBSCRIPTION sub OWNER TO alice", _subscription("owner")),
    Case(
        SLOTLESS,
        "ALTER SUBSCRIPTION sub CONNECTION 'host=/nowhere password=another'",
        _subscription("conninfo"),
    ),
    Case(SLOTLESS, "UPDATE pg_subscription SET subenabled = true", _subscription("enabled")),
    Case(
        SUBSCRIBED,
        "ALTER SUBSCRIPTION sub SET (slot_name = NONE)",
        _subscription("slot"),
    ),
    Case(
        SLOTLESS,
        "ALTER SUBSCRIPTION sub SET PUBLICATION pub, more WITH (refresh = false)",
        _subscription("publications"),
    ),
    Case(
        SLOTLESS,
        "ALTER SUBSCRIPTION sub SET (synchronous_commit = remote_apply)",
        _subscription("synchronous_commit"),
    ),
    Case(SLOTLESS, "ALTER SUBSCRIPTION sub SET (binary = true)", _subscription("binary"), since=14),
    Case(
        SLOTLESS + "ALTER SUBSCRIPTION sub SET (streaming = off)",
        "ALTER SUBSCRIPTION sub SET (streaming = on)",
        _subscription("streaming"),
        since=14,
    ),
    Case(
        SLOTLESS,
        "UPDATE pg_subscription SET subtwophasestate = 'e'",
        _subscription("two_phase"),
        since=15,
    ),
    Case(
        SLOTLESS,
        "ALTER SUBSCRIPTION sub SET (disable_on_error = true)",
        _subscription("disable_on_error"),
        since=15,
    ),
    Case(
        SLOTLESS,
        "ALTER SUBSCRIPTION sub SET (password_required = false)",
        _subscription("password_required"),
        since=16,
    ),
    Case(
        SLOTLESS,
        "ALTER SUBSCRIPTION sub SET (run_as_owner = true)",
        _subscription("run_as_owner"),
        since=16,
    ),
    Case(SLOTLESS, "ALTER SUBSCRIPTION sub SET (origin = none)", _subscription("origin"), since=16),
    Case(
        SLOTLESS,
        "UPDATE pg_subscription SET subfailover = true",
        _subscription("failover"),
        since=17,
    ),
    Case(SLOTLESS, f"COMMENT ON SUBSCRIPTION sub {COMMENT}", _subscription("comment")),
    # tablespace
    Case(
        "",
        SPACE,
        one("tablespace", "ts", "+"),
        since=15,
    ),
    Case(SPACE, "DROP TABLESPACE ts", one("tablespace", "ts", "-"), since=15),
    Case(ROLES + SPACE, "ALTER TABLESPACE ts OWNER TO alice", one("tablespace", "ts", "owner"), 15),
    Case(
        SPACE,
        "REVOKE CREATE ON TABLESPACE ts FROM postgres",
        one("tablespace", "ts", "owner_lacks"),
        since=15,
    ),
    Case(
        SPACE,
        "ALTER TABLESPACE ts SET (seq_page_cost = 2)",
        one("tablespace", "ts", "options"),
        since=15,
    ),
    Case(
        SPACE, f"COMMENT ON TABLESPACE ts {COMMENT}", one("tablespace", "ts", "comment"), since=15
    ),
    # large_object
    Case("", "SELECT lo_create(4711)", one("large_object", "4711", "+")),
    Case(LARGE, "SELECT lo_unlink(4711)", one("large_object", "4711", "-")),
    Case(LARGE, "ALTER LARGE OBJECT 4711 OWNER TO alice", one("large_object", "4711", "owner")),
    Case(
        LARGE,
        "REVOKE UPDATE ON LARGE OBJECT 4711 FROM postgres",
        one("large_object", "4711", "owner_lacks"),
    ),
    Case(LARGE, f"COMMENT ON LARGE OBJECT 4711 {COMMENT}", one("large_object", "4711", "comment")),
    Case(
        LARGE,
        "GRANT SELECT ON LARGE OBJECT 4711 TO bob",
        one("grant", "large_object 4711 to bob", "+"),
    ),
    Case(
        LARGE,
        "GRANT UPDATE ON LARGE OBJECT 4711 TO PUBLIC",
        one("grant", "large_object 4711 to PUBLIC", "+"),
    ),
    Case(
        LARGE + "GRANT SELECT ON LARGE OBJECT 4711 TO bob",
        "GRANT SELECT ON LARGE OBJECT 4711 TO bob WITH GRANT OPTION",
        one("grant", "large_object 4711 to bob", "select"),
    ),
    Case(  # the owner keeps what every owner has
        LARGE,
        "GRANT SELECT ON LARGE OBJECT 4711 TO postgres",
        set(),
    ),
    # security_label; no provider can be loaded here
    Case(TABLE, LABEL, one("security_label", LABELLED, "+")),
    Case(
        TABLE + LABEL,
        "UPDATE pg_seclabel SET label = 'y'",
        one("security_label", LABELLED, "label"),
    ),
    Case(
        TABLE + LABEL,
        "UPDATE pg_seclabel SET provider = 'q'",
        {
            ("security_label", LABELLED, "-"),
            ("security_label", "q on table public.orders", "+"),
        },
    ),
    Case(
        ROLES,
        "INSERT INTO pg_shseclabel VALUES"
        " ('bob'::regrole, 'pg_authid'::regclass, 'dummy', 'secret')",
        one("security_label", "dummy on role bob", "+"),
    ),
    # role: its password
    Case(
        ROLES,
        "ALTER ROLE bob PASSWORD 'not to be seen'",
        one("role", "bob", "password", "password_iterations", "password_digest"),
    ),
    Case(
        ROLES + "SET password_encryption = md5; ALTER ROLE bob PASSWORD 'x'",
        "ALTER ROLE bob PASSWORD 'x'",
        one("role", "bob", "password", "password_iterations"),
    ),
    Case(
        ROLES + "ALTER ROLE bob PASSWORD 'x'",
        "SET scram_iterations = 5000; ALTER ROLE bob PASSWORD 'x'",
        one("role", "bob", "password_iterations"),
        since=16,
    ),
    Case(
        ROLES + "ALTER ROLE bob PASSWORD 'x'",
        "ALTER ROLE bob PASSWORD NULL",
        one("role", "bob", "password", "password_iterations", "password_digest"),
    ),
    # extension_member: what is no function
    Case(
        "",
        EXTENDED,
        {
            ("extension_member", "table public.inside", "+"),
            ("extension_member", "view public.seen", "+"),
            ("extension_member", "type public.state", "+"),
            ("extension_member", "foreign-data wrapper w", "+"),
        },
    ),
]
CASES += [
    Case(EXTENDED, change, expected)
    for change, expected in (
        ("ALTER TABLE inside ADD b text", _inside("table public.inside")),
        ("ALTER TABLE inside ADD CHECK (a > 0)", _inside("table public.inside")),
        ("CREATE INDEX ON inside (a)", _inside("table public.inside")),
        ("ALTER TABLE inside ENABLE ROW LEVEL SECURITY", _inside("table public.inside")),
        ("CREATE POLICY p ON inside USING (true)", _inside("table public.inside")),
        (
            "CREATE RULE r AS ON DELETE TO inside DO INSTEAD NOTHING",
            _inside("table public.inside"),
        ),
        (
            f"CREATE TRIGGER t BEFORE UPDATE ON inside FOR EACH ROW EXECUTE FUNCTION {SUPPRESS}()",
            _inside("table public.inside"),
        ),
        ("CREATE OR REPLACE VIEW seen AS SELECT 2 AS a", _inside("view public.seen")),
        ("ALTER TYPE state ADD VALUE 'two'", _inside("type public.state")),
        (
            "ALTER FOREIGN DATA WRAPPER w OPTIONS (ADD debug 'on')",
            one("foreign_data_wrapper", "w", "+"),
        ),
        (
            "UPDATE pg_foreign_data_wrapper SET fdwhandler = 'plpgsql_call_handler'::regproc",
            _inside("foreign-data wrapper w"),
        ),
        (
            "UPDATE pg_language SET lanpltrusted = false WHERE lanname = 'plpgsql'",
            _inside("language plpgsql") | one("grant", "language plpgsql to PUBLIC", "-"),
        ),
    )
]
