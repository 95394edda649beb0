"""The shipped rules, row by row: what a change means, and that no rule is there for nothing."""

from __future__ import annotations

import pytest
from msgspec.structs import replace
from support.changed import added, altered, removed

from chalicelib.drift.diff import Change, Operation, unreadable
from chalicelib.drift.judge import Direction, Severity, judge, load

RULES = load()

W, N, X = Direction.WIDENS, Direction.NARROWS, Direction.NEUTRAL
CRITICAL, HIGH, MEDIUM, LOW, INFO = Severity


def setting(name, before, after, **rest):
    return altered("setting", name, "value", before, after, **rest)


def override(name, before, after, *, whom="role alice"):
    name = f"{name} for {whom}"
    if before is None:
        return added("role_setting", name, value=after, of=whom)
    if after is None:
        return removed("role_setting", name, value=before, of=whom)
    return altered("role_setting", name, "value", before, after, of=whom)


T = "public.orders"
BY = ["by owner"]
OPTION = ["by owner with grant option"]
DEFINER = {"security_definer": True, "owner": "app", "language": "plpgsql"}
PERMISSIVE = {"permissive": True, "of": f"table {T}"}
RESTRICTIVE = {"permissive": False, "of": f"table {T}"}

EVIDENCE = [
    (unreadable("role", {"reason": "permission denied", "needs": "pg_read_all_settings"}), X, HIGH),
    (Change(Operation.UNREADABLE, "role", "", "", None, {}, None, {}), X, HIGH),
    (added("coverage", "role", reason="r", needs="n", partial=False), X, HIGH),
    (altered("coverage", "role", "partial", False, True), X, HIGH),
    (removed("coverage", "role", reason="r", needs="n", partial=False), X, LOW),
    (added("baseline", "postgres:orders", reason="bad signature"), X, CRITICAL),
    (altered("baseline", "postgres:orders", "reason", "a", "b"), X, CRITICAL),
    (altered("table", T, "comment", "a", "b"), X, INFO),
    (added("policy_of_the_future", "x"), X, MEDIUM),
    (altered("policy_of_the_future", "x", "y", 1, 2), X, MEDIUM),
]

ROLES = [
    (added("role", "mallory", superuser=True, login=True), W, CRITICAL),
    (added("role", "mallory", bypass_rls=True), W, CRITICAL),
    (added("role", "mallory", create_role=True), W, HIGH),
    (added("role", "mallory", replication=True), W, HIGH),
    (added("role", "mallory", superuser=False, login=True), W, MEDIUM),
    (added("role", "group", login=False), W, LOW),
    (altered("role", "bob", "password", None, "scram-sha-256"), W, MEDIUM),
    (altered("role", "bob", "password", "scram-sha-256", "md5"), W, HIGH),
    (altered("role", "bob", "password", "md5", "scram-sha-256"), N, LOW),
    (altered("role", "bob", "password", "scram-sha-256", None), N, LOW),
    (altered("role", "bob", "password_digest", "a", "b"), X, MEDIUM),
    (altered("role", "bob", "password_iterations", 4096, 1), W, LOW),
    (altered("role", "bob", "password_iterations", 4096, 9000), N, LOW),
    (removed("role", "mallory", superuser=True), N, LOW),
    (altered("role", "pg_monitor", "login", None, True), W, CRITICAL),
    (added("role", "pg_monitor", login=True), W, CRITICAL),
    (added("role", '"pg_Odd"', login=False), W, CRITICAL),
    (removed("role", "pg_monitor", login=True), N, LOW),
    (altered("role", "app", "superuser", False, True), W, CRITICAL),
    (altered("role", "app", "superuser", True, False), N, LOW),
    (altered("role", "app", "bypass_rls", False, True), W, CRITICAL),
    (altered("role", "app", "bypass_rls", None, True), W, CRITICAL),
    (altered("role", "app", "create_role", False, True), W, HIGH),
    (altered("role", "app", "replication", False, True), W, HIGH),
    (altered("role", "app", "login", False, True), W, MEDIUM),
    (altered("role", "app", "login", True, False), N, LOW),
    (altered("role", "app", "create_db", False, True), W, MEDIUM),
    (altered("role", "app", "inherit", False, True), W, LOW),
    (altered("role", "app", "connection_limit", 5, -1), W, LOW),
    (altered("role", "app", "connection_limit", -1, 5), N, LOW),
    (altered("role", "app", "connection_limit", 5, None), W, LOW),
    (altered("role", "app", "connection_limit", 5, 3), N, LOW),
    (altered("role", "app", "valid_until", "2026-01-01 00:00:00+00", None), W, MEDIUM),
    (altered("role", "app", "valid_until", "2026-01-01T00:00:00Z", "infinity"), W, MEDIUM),
    (altered("role", "app", "valid_until", "2026-01-01", "2027-01-01"), W, MEDIUM),
    (
        altered("role", "app", "valid_until", "2026-01-01 00:00:00+02", "2026-01-01 00:00:00+01"),
        W,
        MEDIUM,
    ),
    (altered("role", "app", "valid_until", None, "2026-01-01"), N, LOW),
    (altered("role", "app", "valid_until", "2026-01-01", "-infinity"), N, LOW),
    (altered("role", "app", "valid_until", "2026-01-01", "next tuesday"), X, LOW),
    (added("membership", "bob in pg_execute_server_program", admin=False), W, CRITICAL),
    (added("membership", "bob in pg_read_server_files", admin=False), W, CRITICAL),
    (added("membership", "bob in rds_superuser", admin=False), W, CRITICAL),
    (added("membership", "bob in enterprisedb", admin=False), W, CRITICAL),
    (added("membership", "pg_monitor in team", admin=False), W, CRITICAL),
    (added("membership", "bob in boss", admin=False, role_superuser=True), W, CRITICAL),
    (added("membership", "bob in boss", admin=False, role_superuser=False), W, MEDIUM),
    (altered("membership", "bob in boss", "role_superuser", None, True), W, CRITICAL),
    (altered("membership", "bob in boss", "role_superuser", True, None), N, LOW),
    (removed("membership", "bob in boss", role_superuser=True), N, LOW),
    (added("membership", "bob in pg_read_all_data", admin=False), W, HIGH),
    (added("membership", "bob in pg_write_all_data", admin=False), W, HIGH),
    (added("membership", "bob in pg_signal_backend", admin=False), W, HIGH),
    (added("membership", "bob in team", admin=True), W, HIGH),
    (added("membership", "bob in team", admin=False), W, MEDIUM),
    (added("membership", 'bob in "x in pg_read_all_data"', admin=False), W, MEDIUM),
    (removed("membership", "bob in pg_read_all_data", admin=False), N, LOW),
    (altered("membership", "bob in team", "admin", False, True), W, HIGH),
    (altered("membership", "bob in team", "inherit", False, True), W, MEDIUM),
    (altered("membership", "bob in team", "set", True, False), N, LOW),
    (altered("membership", "bob in team", "set", None, True), X, LOW),
    (altered("membership", "bob in team", "grantors", ["a"], ["b"]), X, LOW),
]

GRANTS = [
    (added("grant", f"table {T} to PUBLIC", select=BY), W, HIGH),
    (added("grant", "function pg_catalog.f() to PUBLIC", lacks=["execute"]), N, LOW),
    (removed("grant", "function pg_catalog.f() to PUBLIC", lacks=["execute"]), W, CRITICAL),
    (added("grant", "table pg_catalog.t to PUBLIC", lacks=["select"], insert=BY), W, HIGH),
    (added("grant", f"table {T} to PUBLIC", insert=BY, select=BY), W, CRITICAL),
    (altered("grant", f"table {T} to PUBLIC", "delete", None, BY, select=BY), W, CRITICAL),
    (altered("grant", f"table {T} to PUBLIC", "select", None, BY), W, HIGH),
    (altered("grant", f"table {T} to PUBLIC", "references", None, BY), W, MEDIUM),
    (altered("grant", f"table {T} to PUBLIC", "delete", BY, None), N, LOW),
    (removed("grant", f"table {T} to PUBLIC", select=BY), N, LOW),
    (added("grant", 'table public."to PUBLIC" to bob', select=BY), W, MEDIUM),
    (added("grant", f'table {T} to "PUBLIC"', select=BY), W, MEDIUM),
    (added("grant", f"table {T} to bob", select=BY), W, MEDIUM),
    (added("grant", f"table {T} to bob", select=OPTION), W, HIGH),
    (altered("grant", f"table {T} to bob", "select", BY, OPTION), W, HIGH),
    (altered("grant", f"table {T} to bob", "select", OPTION, BY), N, LOW),
    (altered("grant", f"table {T} to bob", "select", BY, [*BY, "by other"]), W, MEDIUM),
    (altered("grant", f"table {T} to bob", "select", BY, ["by other"]), W, MEDIUM),
    (added("grant", "column public.orders.total to bob", update=BY), W, MEDIUM),
    (added("grant", "table pg_catalog.pg_authid to bob", select=BY), W, CRITICAL),
    (added("grant", "column pg_catalog.pg_authid.rolpassword to bob", select=BY), W, CRITICAL),
    (added("grant", "column pg_catalog.pg_shadow.passwd to bob", select=BY), W, CRITICAL),
    (added("grant", "column pg_catalog.pg_user_mapping.umoptions to b", select=BY), W, CRITICAL),
    (added("grant", "column pg_catalog.pg_user_mappings.umoptions to b", select=BY), W, CRITICAL),
    (added("grant", "column pg_catalog.pg_largeobject.data to bob", select=BY), W, CRITICAL),
    (added("grant", "column pg_catalog.pg_statistic.stavalues3 to bob", select=BY), W, CRITICAL),
    (added("grant", "column pg_catalog.pg_subscription.subconninfo to b", select=BY), W, CRITICAL),
    (added("grant", "table pg_catalog.pg_statistic_ext_data to bob", select=BY), W, CRITICAL),
    (added("grant", "view information_schema._pg_user_mappings to b", select=BY), W, CRITICAL),
    (added("grant", "column pg_catalog.pg_class.relname to bob", select=BY), W, HIGH),
    (added("grant", "function pg_catalog.pg_read_file(text) to bob", execute=BY), W, CRITICAL),
    (added("grant", "table pg_catalog.pg_class to bob", update=BY), W, HIGH),
    (added("grant", "parameter session_replication_role to bob", set=BY), W, CRITICAL),
    (added("grant", "schema public to PUBLIC", create=BY, usage=BY), W, HIGH),
    (altered("grant", "schema public to PUBLIC", "create", None, BY, usage=BY), W, HIGH),
    (added("grant", "schema public to PUBLIC", usage=BY), W, MEDIUM),
    (added("grant", "language plperl to PUBLIC", usage=BY), W, HIGH),
    (added("grant", "server warehouse to bob", usage=BY), W, HIGH),
    (added("grant", "function public.f() to PUBLIC", execute=BY, built_in=True), W, HIGH),
    (added("grant", "function public.f() to PUBLIC", execute=BY), W, HIGH),
    (added("grant", "type public.t to PUBLIC", usage=BY, built_in=True), W, HIGH),
    (added("grant", "schema app to PUBLIC", usage=BY, built_in=True), W, HIGH),
    (added("grant", "database o to PUBLIC", connect=BY, temporary=BY, built_in=True), W, HIGH),
    (added("grant", "database o to PUBLIC", temporary=BY), W, MEDIUM),
    (altered("grant", "database o to PUBLIC", "connect", None, BY, built_in=True), W, HIGH),
    (altered("grant", "database o to PUBLIC", "temporary", None, BY, connect=BY), W, MEDIUM),
    (removed("grant", "database o to PUBLIC", connect=BY, built_in=True), N, LOW),
    (added("grant", "language plperl to PUBLIC", usage=BY, built_in=True), W, HIGH),
    (added("grant", "language plpython3u to PUBLIC", usage=BY, built_in=True), W, CRITICAL),
    (added("grant", "language pltclu to bob", usage=BY), W, CRITICAL),
    (added("grant", "language c to PUBLIC", usage=BY, built_in=True), W, CRITICAL),
    (removed("grant", "table public.x to PUBLIC", lacks=["insert"], select=BY), W, HIGH),
    (added("grant", "table public.x to PUBLIC", lacks=["insert"], references=BY), W, MEDIUM),
    (altered("grant", "function public.f() to PUBLIC", "built_in", True, None), X, INFO),
    (added("grant", "function public.f() to bob", execute=BY), W, MEDIUM),
    (altered("grant", "type public.t to bob", "privilege_of_the_future", None, BY), W, MEDIUM),
    (added("default_privilege", "tables of alice to PUBLIC", select=BY), W, HIGH),
    (added("default_privilege", "functions of alice to PUBLIC", execute=BY, built_in=True), W, LOW),
    (altered("default_privilege", "functions of a to PUBLIC", "execute", None, BY), W, HIGH),
    (added("default_privilege", "functions of a to PUBLIC", lacks=["execute"]), N, LOW),
    (removed("default_privilege", "functions of a to PUBLIC", lacks=["execute"]), W, HIGH),
    (added("default_privilege", "tables of a to a", owner_lacks=["delete"], of="role a"), N, LOW),
    (removed("default_privilege", "tables of a to a", owner_lacks=["delete"]), W, MEDIUM),
    (added("default_privilege", "tables of alice in public to bob", select=BY), W, MEDIUM),
    (altered("default_privilege", "tables of a to bob", "select", BY, OPTION), W, HIGH),
    (
        altered("default_privilege", "functions of a to PUBLIC", "lacks", ["execute"], None),
        W,
        MEDIUM,
    ),
    (altered("default_privilege", "functions of a to PUBLIC", "lacks", None, ["execute"]), N, LOW),
    (altered("table", T, "owner_lacks", ["delete", "update"], ["delete"]), W, MEDIUM),
    (altered("table", T, "owner_lacks", None, ["delete"]), N, LOW),
]

SCHEMA = [
    (altered("database", "orders", "owner", "a", "b"), W, HIGH),
    (altered("database", "orders", "allow_connections", False, True), W, MEDIUM),
    (altered("database", "orders", "allow_connections", None, False), N, LOW),
    (altered("database", "orders", "is_template", False, True), W, HIGH),
    (altered("database", "orders", "connection_limit", 10, -1), W, LOW),
    (altered("database", "orders", "collate", "C", "en_US.utf8"), X, MEDIUM),
    (added("schema", "shadow", owner="app"), X, LOW),
    (removed("schema", "audit", owner="app"), X, HIGH),
    (altered("schema", "audit", "owner", "a", "b"), W, HIGH),
    (altered("table", T, "row_security", True, False), W, CRITICAL),
    (altered("table", T, "row_security", True, None), W, CRITICAL),
    (altered("table", T, "row_security", False, True), N, LOW),
    (altered("table", T, "force_row_security", True, False), W, HIGH),
    (altered("table", T, "owner", "a", "b"), W, HIGH),
    (altered("table", T, "persistence", "permanent", "unlogged"), W, MEDIUM),
    (altered("table", T, "persistence", "unlogged", "permanent"), N, LOW),
    (altered("table", T, "replica_identity", "full", "nothing"), W, MEDIUM),
    (altered("table", T, "replica_identity", "default", "full"), N, LOW),
    (added("table", "pg_catalog.pg_klass", form="table"), W, CRITICAL),
    (added("table", "pg_toast.t", form="table"), W, CRITICAL),
    (added("view", "information_schema.tables2", owner="a"), W, CRITICAL),
    (added("view", '"pg_Odd".v', owner="a"), W, CRITICAL),
    (added("function", "pg_catalog.lower(text)", language="sql"), W, CRITICAL),
    (added("type", "pg_catalog.text2", form="domain"), W, CRITICAL),
    (added("index", "pg_catalog.i", unique=True), W, CRITICAL),
    (added("schema", "pg_hidden", owner="a"), W, CRITICAL),
    (removed("view", "pg_catalog.pg_klass", owner="a"), X, MEDIUM),
    (altered("function", "pg_catalog.now()", "body", "a", "b", language="sql"), X, CRITICAL),
    (altered("type", "public.t", "functions", {"input": "a"}, {"input": "b"}), X, HIGH),
    (added("table", "public.pg_klass", form="table"), X, LOW),
    (added("table", "pgboss.job", form="table"), X, LOW),
    (added("table", T, form="table", inherits=["public.all_orders"]), W, MEDIUM),
    (added("table", T, form="table", partition_of="public.all_orders"), W, MEDIUM),
    (altered("table", T, "partition_of", None, "public.all_orders"), W, MEDIUM),
    (altered("table", T, "partition_of", "public.all_orders", None), W, MEDIUM),
    (altered("table", T, "inherits", None, ["public.all_orders"]), W, HIGH),
    (altered("table", T, "partition_bound", "a", "b"), X, MEDIUM),
    (altered("table", T, "server", "a", "b", form="foreign"), W, HIGH),
    (
        altered("table", T, "options", {"table_name": "a"}, {"table_name": "b"}, form="foreign"),
        W,
        HIGH,
    ),
    (altered("table", T, "options", None, ["fillfactor=70"]), X, LOW),
    (removed("table", T, form="table"), X, HIGH),
    (added("table", T, form="table"), X, LOW),
    (altered("column", f"{T}.total", "not_null", True, False), W, MEDIUM),
    (altered("column", f"{T}.total", "not_null", False, True), N, LOW),
    (altered("column", f"{T}.total", "not_null_validated", None, False), W, MEDIUM),
    (altered("column", f"{T}.total", "not_null_no_inherit", None, True), W, MEDIUM),
    (altered("column", f"{T}.total", "not_null_no_inherit", True, None), N, LOW),
    (altered("column", f"{T}.id", "identity", "always", "by default"), W, MEDIUM),
    (altered("column", f"{T}.id", "identity", None, "always"), N, LOW),
    (altered("column", f"{T}.by", "default", "CURRENT_USER", "'x'"), X, MEDIUM),
    (altered("column", f"{T}.total", "type", "numeric", "text"), X, MEDIUM),
    (altered("column", f"{T}.total", "generated", "stored", None), X, MEDIUM),
    (altered("column", f"{T}.total", "position", 3, 2), X, INFO),
    (removed("column", f"{T}.total", of=f"table {T}"), X, MEDIUM),
    (added("column", f"{T}.total", of=f"table {T}"), X, LOW),
    (added("column", "masked.orders.iban", of="view masked.orders"), W, MEDIUM),
    (removed("column", "masked.orders.iban", of="view masked.orders"), N, LOW),
    (removed("constraint", f"{T}.c", type="check"), W, MEDIUM),
    (added("constraint", f"{T}.c", type="check"), N, LOW),
    (altered("constraint", f"{T}.c", "validated", True, False), W, MEDIUM),
    (altered("constraint", f"{T}.c", "insert_trigger", None, "disabled"), W, HIGH),
    (altered("constraint", f"{T}.c", "update_trigger", "disabled", None), N, LOW),
    (altered("constraint", f"{T}.c", "update_trigger", "disabled", "replica"), N, LOW),
    (altered("constraint", f"{T}.c", "recheck_trigger", None, "replica"), W, HIGH),
    (altered("constraint", f"{T}.c", "recheck_trigger", None, "always"), N, LOW),
    (altered("constraint", f"{T}.c", "insert_trigger", "always", None), W, HIGH),
    (
        altered("constraint", f"{T}.c", "referenced_delete_trigger", None, "disabled on app.p"),
        W,
        HIGH,
    ),
    (
        altered("constraint", f"{T}.c", "referenced_update_trigger", "always; disabled on p", None),
        N,
        LOW,
    ),
    (altered("schema", "pg_catalog", "functions", "3000, a", "3000, b"), W, CRITICAL),
    (altered("schema", "information_schema", "views", "60, a", "60, b"), W, CRITICAL),
    (altered("column", f"{T}.id", "not_null_comment", None, "x"), X, INFO),
    (altered("table", f"{T}1", "detach_pending", None, True), X, MEDIUM),
    (altered("index", f"{T}_i", "statistics_targets", None, ["2: 500"]), X, INFO),
    (altered("function", "app.f()", "transforms", None, ["hstore"]), X, MEDIUM),
    (altered("type", "public.b", "length", -1, 8), X, HIGH),
    (altered("type", "public.b", "category", "U", "S"), X, MEDIUM),
    (altered("type", "public.r", "multirange_owner", None, "bob"), W, MEDIUM),
    (added("membership", "pg_monitor in pg_read_all_stats", revoked=True), N, LOW),
    (removed("membership", "pg_monitor in pg_read_all_stats", revoked=True), W, CRITICAL),
    (altered("membership", "pg_monitor in pg_read_all_stats", "revoked", None, True), N, LOW),
    (altered("constraint", f"{T}.c", "enforced", None, False), W, MEDIUM),
    (altered("constraint", f"{T}.c", "definition", "CHECK (a > 0)", "CHECK (true)"), X, MEDIUM),
    (altered("constraint", f"{T}.c", "deferrable", False, True), W, LOW),
    (removed("index", f"{T}_i", unique=True), W, MEDIUM),
    (removed("index", f"{T}_i", unique=False), X, LOW),
    (added("index", f"{T}_i", unique=True), N, LOW),
    (altered("index", f"{T}_i", "unique", True, False), W, MEDIUM),
    (altered("index", f"{T}_i", "valid", True, False, unique=True), W, MEDIUM),
    (altered("index", f"{T}_i", "valid", True, False, unique=False), W, MEDIUM),
    (altered("index", f"{T}_i", "definition", "(a)", "(a, b)", unique=True), W, MEDIUM),
    (altered("index", f"{T}_i", "definition", "(a)", "(a, b)", unique=False), X, LOW),
    (altered("index", f"{T}_i", "partition_of", "public.i", None, unique=False), X, LOW),
    (altered("type", "public.email", "default", None, "'x'", form="domain"), X, MEDIUM),
    (altered("type", "public.email", "base", "text", "integer", form="domain"), X, MEDIUM),
    (altered("type", "public.email", "not_null", True, False), W, MEDIUM),
    (altered("type", "public.email", "owner", "a", "b"), W, MEDIUM),
    (altered("type", "public.status", "labels", ["a"], ["a", "b"]), X, LOW),
    (altered("sequence", f"{T}_seq", "cycle", False, True), W, LOW),
    (altered("sequence", f"{T}_seq", "owner", "a", "b"), W, MEDIUM),
    (removed("sequence", f"{T}_seq", type="bigint"), X, LOW),
]

CODE = [
    (altered("view", "public.v", "security_invoker", True, False), W, HIGH),
    (altered("view", "public.v", "security_invoker", False, True), N, LOW),
    (altered("view", "public.v", "security_barrier", True, None), W, HIGH),
    (altered("view", "public.v", "definition", "a", "b", security_barrier=True), W, HIGH),
    (altered("view", "public.v", "definition", "a", "b", security_barrier=False), X, MEDIUM),
    (altered("view", "public.v", "check_option", "cascaded", None), W, MEDIUM),
    (altered("view", "public.v", "check_option", "local", "cascaded"), N, LOW),
    (altered("view", "public.v", "owner", "a", "b"), W, HIGH),
    (removed("view", "public.v", owner="a"), X, MEDIUM),
    (added("view", "public.v", owner="a"), X, LOW),
    (altered("function", "public.f()", "security_definer", False, True, owner="app"), W, HIGH),
    (
        altered("function", "public.f()", "security_definer", False, True, owner="postgres"),
        W,
        CRITICAL,
    ),
    (altered("function", "public.f()", "security_definer", True, False, owner="app"), N, LOW),
    (altered("function", "public.f()", "body", "a", "b", **DEFINER), W, HIGH),
    (
        altered("function", "public.f()", "body", "a", "b", **{**DEFINER, "owner": "postgres"}),
        W,
        CRITICAL,
    ),
    (altered("function", "public.f()", "body", "a", "b", security_definer=False), X, MEDIUM),
    (altered("function", "public.f()", "body", "a", "b", returns="trigger"), X, HIGH),
    (
        altered("function", "public.f()", "config", ["search_path=pg_catalog"], None, **DEFINER),
        W,
        HIGH,
    ),
    (
        altered(
            "function", "public.f()", "config", ["search_path=a"], ["search_path=b"], **DEFINER
        ),
        W,
        HIGH,
    ),
    (altered("function", "public.f()", "config", None, ["search_path=a"], **DEFINER), N, LOW),
    (
        altered(
            "function",
            "public.f()",
            "config",
            ["role=a", "search_path=a", "work_mem=1MB"],
            ["role=a", "work_mem=1MB"],
            **{**DEFINER, "owner": "postgres"},
        ),
        W,
        CRITICAL,
    ),
    (altered("function", "public.f()", "config", None, ["row_security=off"], **DEFINER), W, HIGH),
    (altered("function", "public.f()", "config", ["row_security=on"], None, **DEFINER), W, HIGH),
    (
        altered(
            "function",
            "public.f()",
            "config",
            None,
            ["search_path=a", "session_replication_role=replica"],
            **DEFINER,
        ),
        W,
        CRITICAL,
    ),
    (altered("function", "public.f()", "config", ["role=a"], None, **DEFINER), W, CRITICAL),
    (
        altered("function", "public.f()", "config", ["role=a"], ["role=b"], **DEFINER),
        W,
        CRITICAL,
    ),
    (
        altered("function", "public.f()", "body", "a", "b", **DEFINER, owner_superuser=True),
        W,
        CRITICAL,
    ),
    (altered("function", "public.f()", "owner_superuser", None, True, **DEFINER), W, CRITICAL),
    (altered("function", "public.f()", "owner_superuser", True, None, **DEFINER), N, LOW),
    (added("function", "public.f()", **DEFINER, owner_superuser=True), W, CRITICAL),
    (altered("function", "public.f()", "config", None, ["work_mem=1MB"]), X, MEDIUM),
    (altered("function", "public.f()", "language", "plpgsql", "plpython3u"), W, CRITICAL),
    (altered("function", "public.f()", "language", "sql", "c"), W, CRITICAL),
    (altered("function", "public.f()", "language", "plperlu", "plperl"), N, LOW),
    (altered("function", "public.f()", "library", "$libdir/a", "/srv/a"), W, CRITICAL),
    (altered("function", "public.f()", "leakproof", False, True), W, HIGH),
    (altered("function", "public.f()", "owner", "a", "b", security_definer=True), W, HIGH),
    (
        altered("function", "public.f()", "owner", "a", "postgres", security_definer=True),
        W,
        CRITICAL,
    ),
    (altered("function", "public.f()", "owner", "a", "b", security_definer=False), W, MEDIUM),
    (altered("function", "public.f()", "volatility", "stable", "volatile"), X, LOW),
    (added("function", "public.f()", **DEFINER), W, HIGH),
    (
        added("function", "public.f()", **DEFINER, config=["search_path=pg_catalog, pg_temp"]),
        W,
        MEDIUM,
    ),
    (added("function", "public.f()", language="plperlu"), W, CRITICAL),
    (added("function", "public.f()", language="sql"), X, LOW),
    (removed("function", "public.f()", **DEFINER), N, LOW),
    (removed("trigger", f"{T}.audit", enabled="origin"), W, HIGH),
    (added("trigger", f"{T}.audit", enabled="origin"), X, MEDIUM),
    (altered("trigger", f"{T}.audit", "enabled", "origin", "disabled"), W, HIGH),
    (altered("trigger", f"{T}.audit", "enabled", "always", "replica"), W, HIGH),
    (altered("trigger", f"{T}.audit", "enabled", "disabled", "origin"), N, LOW),
    (altered("trigger", f"{T}.audit", "function", "audit.log()", "public.nothing()"), W, HIGH),
    (altered("trigger", f"{T}.audit", "definition", "x", "x WHEN (false)"), W, HIGH),
    (added("policy", f"{T}.p", **PERMISSIVE, using="(tenant = 1)"), W, HIGH),
    (added("policy", f"{T}.p", **PERMISSIVE, using="true"), W, CRITICAL),
    (removed("policy", f"{T}.p", **PERMISSIVE, using="true"), N, MEDIUM),
    (added("policy", f"{T}.p", **RESTRICTIVE), N, LOW),
    (removed("policy", f"{T}.p", **RESTRICTIVE), W, HIGH),
    (altered("policy", f"{T}.p", "permissive", False, True), W, HIGH),
    (altered("policy", f"{T}.p", "permissive", True, False), N, LOW),
    (altered("policy", f"{T}.p", "using", "(tenant = 1)", "true", **PERMISSIVE), W, CRITICAL),
    (altered("policy", f"{T}.p", "check", "(a)", "(b)", **RESTRICTIVE), W, HIGH),
    (altered("policy", f"{T}.p", "roles", ["alice"], ["alice", "bob"], **PERMISSIVE), W, HIGH),
    (altered("policy", f"{T}.p", "roles", ["alice"], ["PUBLIC"], **PERMISSIVE), W, HIGH),
    (altered("policy", f"{T}.p", "roles", ["PUBLIC"], ["alice"], **PERMISSIVE), N, LOW),
    (altered("policy", f"{T}.p", "roles", ["PUBLIC"], ["alice"], **RESTRICTIVE), W, HIGH),
    (altered("policy", f"{T}.p", "roles", ["alice"], ["PUBLIC"], **RESTRICTIVE), N, LOW),
    (altered("policy", f"{T}.p", "roles", ["PUBLIC", "a"], ["PUBLIC"], **PERMISSIVE), X, LOW),
    (altered("policy", f"{T}.p", "command", "select", "all", **PERMISSIVE), W, HIGH),
    (altered("policy", f"{T}.p", "command", "all", "select", **RESTRICTIVE), W, HIGH),
    (added("extension", "plpython3u", version="1.0"), W, CRITICAL),
    (added("extension", "dblink", version="1.2"), W, HIGH),
    (added("extension", "file_fdw", version="1.0"), W, HIGH),
    (added("extension", "pg_cron", version="1.6"), W, HIGH),
    (added("extension", "hstore", version="1.8"), W, MEDIUM),
    (removed("extension", "hstore", version="1.8"), N, LOW),
    (removed("extension", "pgaudit", version="17"), W, HIGH),
    (added("extension", "pgaudit", version="17"), N, LOW),
    (altered("extension", "hstore", "version", "1.7", "1.8"), X, MEDIUM),
    (altered("extension", "hstore", "schema", "public", "x"), X, LOW),
    (altered("extension", "hstore", "owner", "a", "b"), W, MEDIUM),
]

SETTINGS = [
    (setting("ssl", "on", "off"), W, CRITICAL),
    (setting("ssl", "off", "on"), N, INFO),
    (setting("rds.force_ssl", "1", "0"), W, CRITICAL),
    (setting("ssl_min_protocol_version", "TLSv1.2", "TLSv1"), W, HIGH),
    (setting("ssl_min_protocol_version", "TLSv1.2", "TLSv1.3"), N, INFO),
    (setting("ssl_max_protocol_version", "", "TLSv1.1"), W, HIGH),
    (setting("ssl_ciphers", "HIGH:!aNULL", "HIGH"), W, HIGH),
    (setting("ssl_ciphers", "HIGH", "HIGH:MEDIUM"), W, HIGH),
    (setting("ssl_ciphers", "HIGH:MEDIUM", "HIGH:!aNULL"), N, INFO),
    (setting("ssl_prefer_server_ciphers", "on", "off"), W, HIGH),
    (setting("ssl_crl_file", "root.crl", ""), W, HIGH),
    (setting("ssl_cert_file", "a", "b"), X, MEDIUM),
    (setting("ssl_ca_file", "a", "b"), W, CRITICAL),
    (setting("password_encryption", "scram-sha-256", "md5"), W, HIGH),
    (setting("password_encryption", "md5", "scram-sha-256"), N, INFO),
    (setting("rds.accepted_password_auth_method", "scram", "md5+scram"), W, HIGH),
    (setting("scram_iterations", "4096", "1"), W, MEDIUM),
    (override("scram_iterations", None, "1"), W, MEDIUM),
    (setting("md5_password_warnings", "on", "off"), W, MEDIUM),
    (setting("credcheck.password_min_length", "12", "4"), W, MEDIUM),
    (setting("credcheck.max_auth_failure", "3", "0"), W, MEDIUM),
    (setting("auth_delay.milliseconds", "500", "0"), W, MEDIUM),
    (setting("gss_accept_delegation", "off", "on"), W, HIGH),
    (setting("krb_server_keyfile", "a", "b"), W, CRITICAL),
    (setting("oauth_validator_libraries", "", "validator"), W, CRITICAL),
    (setting("listen_addresses", "localhost", "*"), W, HIGH),
    (setting("listen_addresses", "localhost", "localhost, 10.0.0.1"), W, HIGH),
    (setting("listen_addresses", "*", "localhost"), N, INFO),
    (setting("listen_addresses", "::", "10.0.0.1"), N, INFO),
    (setting("port", "5432", "5433"), X, MEDIUM),
    (setting("unix_socket_permissions", "0770", "0777"), W, MEDIUM),
    (setting("unix_socket_permissions", "0777", "0700"), N, INFO),
    (setting("unix_socket_permissions", "0740", "0704"), W, MEDIUM),
    (setting("unix_socket_group", "", "www-data"), W, MEDIUM),
    (setting("hba_file", "/etc/pg_hba.conf", "/srv/pg_hba.conf"), W, CRITICAL),
    (setting("config_file", "a", "b"), W, CRITICAL),
    (setting("archive_command", "true", "curl evil"), W, CRITICAL),
    (setting("restore_command", "", "sh x"), W, CRITICAL),
    (setting("jit_provider", "llvmjit", "x"), W, CRITICAL),
    (setting("primary_conninfo", "a", "b"), W, HIGH),
    (setting("shared_preload_libraries", "pg_stat_statements", "pg_stat_statements,evil"), W, HIGH),
    (setting("shared_preload_libraries", "pgaudit, auto_explain", "auto_explain"), W, HIGH),
    (setting("shared_preload_libraries", "", "pgaudit"), N, INFO),
    (setting("shared_preload_libraries", "", "/srv/pgaudit"), W, HIGH),
    (setting("shared_preload_libraries", "a,b", "b, a"), X, LOW),
    (override("local_preload_libraries", None, "$libdir/plugins/x"), W, HIGH),
    (setting("dynamic_library_path", "$libdir", "/srv:$libdir"), W, HIGH),
    (setting("extension_control_path", "$system:/a", "/a:$system"), W, HIGH),
    (setting("allow_system_table_mods", "off", "on"), W, HIGH),
    (setting("allow_in_place_tablespaces", "off", "on"), W, HIGH),
    (setting("allow_alter_system", "off", "on"), W, HIGH),
    (setting("allow_alter_system", "on", "off"), N, INFO),
    (setting("event_triggers", "on", "off"), W, HIGH),
    (setting("session_replication_role", "origin", "replica"), W, CRITICAL),
    (setting("session_replication_role", "origin", "local"), X, LOW),
    (override("session_replication_role", None, "replica"), W, CRITICAL),
    (override("session_replication_role", "replica", None), N, INFO),
    (override("role", None, "admin"), W, HIGH),
    (setting("row_security", "on", "off"), X, MEDIUM),
    (setting("restrict_nonsystem_relation_kind", "view, foreign-table", "view"), W, MEDIUM),
    (setting("createrole_self_grant", "", "set, inherit"), W, MEDIUM),
    (setting("lo_compat_privileges", "off", "on"), W, MEDIUM),
    (setting("standard_conforming_strings", "on", "off"), W, MEDIUM),
    (override("standard_conforming_strings", None, "on"), X, MEDIUM),
    (setting("backslash_quote", "safe_encoding", "on"), W, MEDIUM),
    (setting("transform_null_equals", "off", "on"), W, MEDIUM),
    (setting("search_path", '"$user", public', '"$user", public, x'), W, MEDIUM),
    (setting("search_path", '"$user", public', "public"), N, INFO),
    (setting("search_path", "a, b", "b, a"), W, MEDIUM),
    (setting("search_path", "Public", '"public"'), X, LOW),
    (override("search_path", None, "shadow, public"), W, MEDIUM),
    (setting("fsync", "on", "off"), W, HIGH),
    (setting("full_page_writes", "on", "off"), W, HIGH),
    (setting("data_checksums", "on", "off"), W, HIGH),
    (setting("zero_damaged_pages", "off", "on"), W, HIGH),
    (setting("synchronous_commit", "on", "off"), W, MEDIUM),
    (setting("wal_level", "replica", "minimal"), W, MEDIUM),
    (setting("wal_level", "replica", "logical"), X, LOW),
    (setting("archive_mode", "on", "off"), W, MEDIUM),
    (setting("synchronous_standby_names", "a", ""), W, MEDIUM),
    (setting("rds.logical_replication", "0", "1"), W, MEDIUM),
    (setting("rds.something_new", "0", "1"), X, MEDIUM),
    (setting("rds.allowed_extensions", "hstore", "*"), W, HIGH),
    (setting("cloudsql.iam_authentication", "on", "off"), W, HIGH),
    (setting("statement_timeout", "30000", "0", unit="ms"), W, LOW),
    (setting("statement_timeout", "30000", "60000", unit="ms"), W, LOW),
    (setting("statement_timeout", "0", "30000", unit="ms"), N, INFO),
    (override("statement_timeout", None, "0"), W, LOW),
    (override("statement_timeout", None, "30s"), N, INFO),
    (override("statement_timeout", "30s", "1min"), W, LOW),
    (override("statement_timeout", "60s", "1min"), X, MEDIUM),
    (override("idle_in_transaction_session_timeout", "5min", None), W, LOW),
    (setting("authentication_timeout", "60", "600", unit="s"), W, LOW),
    (setting("temp_file_limit", "1024", "-1", unit="kB"), W, LOW),
    (setting("default_transaction_read_only", "on", "off"), W, LOW),
    (setting("default_transaction_isolation", "serializable", "read committed"), W, LOW),
    (setting("check_function_bodies", "on", "off"), W, LOW),
    (setting("debug_print_plan", "off", "on"), X, LOW),
    (setting("server_version", "17.4", "17.5"), X, MEDIUM),
    (setting("max_connections", "100", "500"), X, LOW),
    (setting("tcp_keepalives_idle", "0", "60"), X, LOW),
    (override("work_mem", None, "1GB"), X, MEDIUM),
    (altered("setting", "ssl", "source", "default", "configuration file"), X, LOW),
    (altered("setting", "ssl", "source_file", None, "/srv/x.conf"), X, LOW),
    (altered("setting", "ssl", "pending_restart", None, True), X, HIGH),
    (altered("setting", "ssl", "pending_restart", True, None), X, LOW),
    (altered("setting", "max_connections", "pending_restart", None, True), X, LOW),
    (altered("setting", "ssl", "pending_value", None, "off", value="on"), W, CRITICAL),
    (altered("setting", "ssl", "pending_value", None, "on", value="off"), N, INFO),
    (altered("setting", "fsync", "pending_value", "on", "off", value="on"), W, HIGH),
    (altered("setting", "fsync", "pending_value", "off", None, value="on"), X, LOW),
    (altered("setting", "max_connections", "pending_value", None, "9", value="8"), X, LOW),
]

LOGGING = [
    (setting("log_statement", "all", "ddl"), W, HIGH),
    (setting("log_statement", "none", "mod"), N, INFO),
    (override("log_statement", None, "none"), W, HIGH),
    (override("log_statement", None, "ddl"), W, HIGH),
    (override("log_statement", None, "all"), X, LOW),
    (override("log_statement", "none", None), N, INFO),
    (setting("log_connections", "on", "off"), W, HIGH),
    (setting("log_connections", "on", "receipt,authentication,authorization"), X, LOW),
    (setting("log_connections", "all", "receipt"), W, HIGH),
    (setting("log_connections", "", "authorization"), N, INFO),
    (override("log_connections", None, "off", whom="all roles"), W, HIGH),
    (setting("log_disconnections", "on", "off"), W, HIGH),
    (override("log_disconnections", None, "off"), W, HIGH),
    (setting("log_min_duration_statement", "0", "-1", unit="ms"), W, MEDIUM),
    (setting("log_min_duration_statement", "250", "1000", unit="ms"), W, MEDIUM),
    (setting("log_min_duration_statement", "-1", "250", unit="ms"), N, INFO),
    (setting("log_min_messages", "warning", "panic"), W, MEDIUM),
    (setting("log_min_messages", "warning", "debug1"), N, INFO),
    (setting("log_min_error_statement", "error", "log"), W, HIGH),
    (override("log_min_error_statement", None, "panic"), W, HIGH),
    (override("log_min_error_statement", None, "error"), X, LOW),
    (override("log_min_error_statement", "panic", None), N, INFO),
    (override("log_min_messages", None, "panic"), W, MEDIUM),
    (override("log_min_messages", None, "debug1"), N, INFO),
    (override("log_parameter_max_length", None, "0"), W, HIGH),
    (override("log_parameter_max_length", None, "-1"), X, LOW),
    (override("log_statement_sample_rate", None, "0"), W, HIGH),
    (override("log_min_duration_statement", None, "-1"), W, MEDIUM),
    (override("log_min_duration_statement", None, "1h"), W, MEDIUM),
    (override("log_min_duration_sample", None, "-1"), W, MEDIUM),
    (override("pgaudit.log_parameter_max_size", None, "1"), W, HIGH),
    (override("pg_stat_statements.track", None, "none"), W, LOW),
    (setting("log_error_verbosity", "default", "terse"), W, MEDIUM),
    (setting("log_line_prefix", "%m [%p] %q%u@%d ", "%m [%p] "), W, MEDIUM),
    (setting("log_line_prefix", "%m [%p] ", "%t %u"), W, MEDIUM),
    (setting("log_line_prefix", "%m [%-5p] ", "%m [%p] %u"), N, INFO),
    (setting("logging_collector", "on", "off"), W, HIGH),
    (setting("log_destination", "stderr,csvlog", "stderr"), W, HIGH),
    (setting("log_directory", "log", "/srv"), X, MEDIUM),
    (setting("log_file_mode", "0600", "0644"), W, MEDIUM),
    (setting("log_truncate_on_rotation", "off", "on"), W, MEDIUM),
    (setting("log_replication_commands", "on", "off"), W, MEDIUM),
    (setting("log_parameter_max_length", "-1", "0", unit="B"), W, HIGH),
    (setting("log_statement_sample_rate", "1", "0.01"), W, HIGH),
    (setting("log_transaction_sample_rate", "0.5", "0"), W, LOW),
    (setting("log_checkpoints", "on", "off"), W, LOW),
    (setting("log_temp_files", "1024", "-1", unit="kB"), W, LOW),
    (setting("log_temp_files", "1024", "1", unit="kB"), N, INFO),
    (setting("log_autovacuum_min_duration", "600000", "-1", unit="ms"), W, LOW),
    (setting("log_startup_progress_interval", "10000", "0", unit="ms"), W, LOW),
    (setting("log_hostname", "on", "off"), W, LOW),
    (setting("log_rotation_age", "1440", "60", unit="min"), X, LOW),
    (setting("syslog_split_messages", "on", "off"), X, LOW),
    (setting("pgaudit.log", "all", "ddl"), W, HIGH),
    (setting("pgaudit.log", "ddl, write", "none"), W, HIGH),
    (setting("pgaudit.log", "ALL", "all, -misc"), W, HIGH),
    (setting("pgaudit.log", "none", "ddl"), N, INFO),
    (override("pgaudit.log", None, "none"), W, HIGH),
    (removed("setting", "pgaudit.log", value="all"), W, HIGH),
    (setting("pgaudit.log_catalog", "on", "off"), W, HIGH),
    (setting("pgaudit.log_statement_once", "off", "on"), W, HIGH),
    (setting("pgaudit.log_parameter_max_size", "0", "10"), W, HIGH),
    (setting("pgaudit.role", "auditor", ""), W, HIGH),
    (setting("pgaudit.log_level", "log", "notice"), X, LOW),
    (setting("cloudsql.enable_pgaudit", "on", "off"), W, HIGH),
    (setting("rds.log_retention_period", "10080", "1440"), W, HIGH),
    (setting("rds.force_admin_logging_level", "log", "disabled"), W, MEDIUM),
    (setting("auto_explain.log_min_duration", "100", "-1", unit="ms"), W, LOW),
    (setting("track_commit_timestamp", "on", "off"), W, MEDIUM),
    (setting("track_activities", "on", "off"), W, LOW),
    (setting("pg_stat_statements.track", "all", "none"), W, LOW),
    (setting("pg_stat_statements.max", "5000", "100"), W, LOW),
    (setting("track_functions", "none", "all"), N, INFO),
]

V = "shop_masked.orders"
OF_MASK = {"of": f"view {V}"}
MASKER = "holdfast_mask_0a1b2c3d"
PERSON = "holdfast_mask.person()"
PAST = {"past_masks": True}


def told(change, **context):
    return replace(change, context=context)


MASKS = [
    (altered("view", V, "definition", "a", "b", security_barrier=True), W, CRITICAL),
    (altered("view", V, "definition", "a", "b", security_barrier=False), W, CRITICAL),
    (altered("view", "shop_masked_eu.orders", "definition", "a", "b"), W, CRITICAL),
    (altered("view", '"Odd Shop_masked".orders', "definition", "a", "b"), W, CRITICAL),
    (altered("view", '"Odd Shop_masked_eu"."O"', "definition", "a", "b"), W, CRITICAL),
    (altered("view", "public.x_masked_y", "definition", "a", "b"), X, MEDIUM),
    (altered("view", V, "owner", MASKER, "app"), W, CRITICAL),
    (altered("view", V, "security_barrier", True, False), W, HIGH),
    (altered("view", V, "security_barrier", False, True), N, LOW),
    (altered("view", V, "security_invoker", False, True), W, HIGH),
    (altered("view", V, "security_invoker", True, False), W, HIGH),
    (added("view", V, owner="app"), W, HIGH),
    (removed("view", V, owner=MASKER), X, MEDIUM),
    (added("column", f"{V}.iban", **OF_MASK), W, HIGH),
    (added("column", "public.x_masked_y.iban", of="view public.x_masked_y"), W, MEDIUM),
    (removed("column", f"{V}.iban", **OF_MASK), N, LOW),
    (added("rule", f"{V}.r", **OF_MASK), W, HIGH),
    (removed("rule", f"{V}.r", **OF_MASK), W, HIGH),
    (added("rule", f"{T}.r", of=f"table {T}"), W, HIGH),
    (altered("rule", f"{T}.r", "definition", "a", "b", of=f"table {T}"), W, HIGH),
    (altered("rule", f"{T}.r", "enabled", "disabled", "origin", of=f"table {T}"), W, HIGH),
    (removed("rule", f"{T}.r", of=f"table {T}"), W, HIGH),
    (added("rule", "pg_catalog.pg_class.r", of="table pg_catalog.pg_class"), W, CRITICAL),
    (added("trigger", f"{V}.t", enabled="origin", **OF_MASK), X, HIGH),
    (added("trigger", "holdfast_mask.key.t", of="table holdfast_mask.key"), X, HIGH),
    (added("grant", "table holdfast_mask.key to bob", select=BY), W, CRITICAL),
    (added("grant", "table holdfast_mask.key to PUBLIC", select=BY), W, CRITICAL),
    (added("grant", "column holdfast_mask.key.inner to bob", select=BY), W, CRITICAL),
    (removed("grant", "table holdfast_mask.key to bob", select=BY), N, LOW),
    (altered("table", "holdfast_mask.key", "owner", MASKER, "app"), W, CRITICAL),
    (added("grant", "schema holdfast_mask to bob", create=BY), W, HIGH),
    (added("grant", "schema holdfast_mask to bob", usage=BY), W, MEDIUM),
    (altered("function", PERSON, "body", "a", "b", language="sql"), W, CRITICAL),
    (altered("function", PERSON, "config", ["search_path=pg_catalog"], None), W, CRITICAL),
    (altered("function", PERSON, "owner", MASKER, "app"), W, CRITICAL),
    (altered("role", MASKER, "login", False, True), W, CRITICAL),
    (altered("role", MASKER, "login", True, False), N, LOW),
    (added("role", MASKER, login=True), W, CRITICAL),
    (altered("role", MASKER, "bypass_rls", False, True), W, CRITICAL),
    (added("membership", f"holdfast_p_0a1b2c3d_read in {MASKER}", admin=False), W, CRITICAL),
    (added("membership", f"bob in {MASKER}", admin=False), W, CRITICAL),
    (added("membership", "holdfast_p_0a1b2c3d_read in app", admin=False), W, CRITICAL),
    (added("membership", "holdfast_lease in app", admin=False), W, CRITICAL),
    (added("membership", f"{MASKER} in app", admin=False), W, HIGH),
    (removed("membership", f"bob in {MASKER}", admin=False), N, LOW),
    (added("grant", f"table {T} to {MASKER}", select=BY), W, HIGH),
    (added("grant", f"column {T}.total to {MASKER}", select=BY), W, HIGH),
    (added("default_privilege", f"tables of app to {MASKER}", select=BY), W, HIGH),
    (added("grant", f"table {T} to holdfast_lease", select=BY), W, HIGH),
    (told(added("grant", f"table {T} to holdfast_lease", select=BY), **PAST), W, CRITICAL),
    (told(added("grant", f"table {T} to PUBLIC", select=BY), **PAST), W, CRITICAL),
    (told(added("grant", f"column {T}.total to bob", select=BY), **PAST), W, CRITICAL),
    (told(added("default_privilege", "tables of a in b to bob", select=BY), **PAST), W, CRITICAL),
    (told(altered("grant", f"table {T} to bob", "select", BY, None), **PAST), N, LOW),
    (told(added("column", f"{T}.iban", of=f"table {T}"), unclassified=True), X, HIGH),
    (told(setting("server_version", "15.18", "17.10"), upgrade=True), X, LOW),
    (told(setting("log_checkpoints", "off", "on"), upgrade=True), X, LOW),
]

ELSEWHERE = ("definition.", "iam.", "rds.", "server.")  # their rows are in tests of their own
ROWS = [*EVIDENCE, *MASKS, *ROLES, *GRANTS, *SCHEMA, *CODE, *SETTINGS, *LOGGING]


def label(change):
    values = "" if change.operation is not Operation.ALTERED else f" {change.before} {change.after}"
    return f"{change.operation.value} {change.kind} {change.name} {change.attribute}{values}"


@pytest.mark.parametrize(
    ("change", "direction", "at_least"), ROWS, ids=[label(row[0])[:90] for row in ROWS]
)
def test_shipped_rules_say_what_a_change_means(change, direction, at_least):
    found = judge(change, RULES)
    assert found.direction is direction, found
    assert found.severity >= at_least, found
    assert found.controls["nist_800_53"][:2] == ["CM-3", "CM-6"]


def test_no_shipped_rule_is_dead():
    used = {judge(change, RULES).rule for change, _, _ in ROWS}
    assert {rule.id for rule in RULES.rules if not rule.id.startswith(ELSEWHERE)} - used == set()


def test_no_shipped_direction_is_dead():
    used = {judge(change, RULES).ordering for change, _, _ in ROWS}
    ours = {one.id for one in RULES.directions if not one.id.startswith(ELSEWHERE)}
    assert ours - used == set()


def test_what_narrows_is_never_more_than_medium():
    found = [judge(change, RULES) for change, _, _ in ROWS]
    assert all(one.severity <= MEDIUM for one in found if one.direction is N)


def test_severity_of_the_rows_is_exact_where_it_is_low():
    """The rows state the least; for what is info or low they also state the most."""
    for change, _, at_least in ROWS:
        if at_least <= LOW:
            assert judge(change, RULES).severity is at_least, label(change)


def test_a_restart_that_may_weaken_is_high_for_every_parameter_that_matters():
    for rule in RULES.rules:
        if rule.parameter is None or rule.attribute is not None or rule.severity < HIGH:
            continue
        globs = (rule.parameter,) if isinstance(rule.parameter, str) else rule.parameter
        for glob in globs:
            name = glob.replace("*", "x")
            found = judge(altered("setting", name, "pending_restart", None, True), RULES)
            assert (found.rule, found.severity) == ("setting.pending", HIGH), name


def test_a_pending_value_is_read_in_the_unit_of_its_object():
    change = altered(
        "setting", "statement_timeout", "pending_value", None, "2", value="1500ms", unit="s"
    )
    assert judge(change, RULES).direction is W


def test_titles_are_short_facts():
    for rule in RULES.rules:
        assert len(rule.title) <= 70, rule.id
        assert not rule.title.endswith("."), rule.id
