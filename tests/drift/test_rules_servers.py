"""The shipped rules for who may log in, for replication, foreign data and the server's own."""

from __future__ import annotations

import pytest
from support.changed import added, altered, removed

from chalicelib.drift.diff import Operation
from chalicelib.drift.judge import Direction, Severity, judge, load

RULES = load()
OURS = "server."
W, N, X = Direction.WIDENS, Direction.NARROWS, Direction.NEUTRAL
CRITICAL, HIGH, MEDIUM, LOW, INFO = Severity

ALL = "host all all 10.0.0.0/8"
PART = "public.orders in pub"
MEMBER = "function public.crypt(text, text)"
LABEL = "anon on column public.people.name"
AUTO = "log_statement in postgresql.auto.conf"
ROWS = [
    # who may log in
    (added("hba_rule", ALL, method="trust"), W, CRITICAL),
    (altered("hba_rule", ALL, "method", "scram-sha-256", "trust"), W, CRITICAL),
    (altered("hba_rule", ALL, "method", "reject", "trust"), W, CRITICAL),
    (added("hba_rule", ALL, method="md5"), W, HIGH),
    (altered("hba_rule", ALL, "method", "scram-sha-256", "password"), W, HIGH),
    (altered("hba_rule", ALL, "method", "reject", "scram-sha-256"), W, HIGH),
    (altered("hba_rule", ALL, "method", "scram-sha-256", "peer"), X, LOW),
    (altered("hba_rule", ALL, "method", "md5", "scram-sha-256"), N, LOW),
    (altered("hba_rule", ALL, "method", "trust", "md5"), N, LOW),
    (added("hba_rule", ALL, method="reject"), N, LOW),
    (removed("hba_rule", ALL, method="reject"), W, HIGH),
    (removed("hba_rule", ALL, method="trust"), N, LOW),
    (added("hba_rule", ALL, method="scram-sha-256"), W, MEDIUM),
    (added("hba_rule", "host all all 0.0.0.0/0", method="scram-sha-256"), W, HIGH),
    (added("hba_rule", "hostssl app app ::/0 #2", method="cert"), W, HIGH),
    (added("hba_rule", "hostssl app app all", method="cert"), W, HIGH),
    (added("hba_rule", "host replication bob 10.0.0.1/32", method="cert"), W, HIGH),
    (altered("hba_rule", ALL, "options", ["ldapserver=a"], ["ldapserver=b"]), W, MEDIUM),
    (altered("hba_rule", ALL, "after", "local all all", None), X, MEDIUM),
    (altered("hba_rule", ALL, "file", None, "/etc/more.conf"), X, LOW),
    (added("hba_rule", "line that cannot be read", error="missing entry"), W, MEDIUM),
    (altered("hba_rule", "line that cannot be read", "error_digest", "a", "b"), X, MEDIUM),
    (added("ident_mapping", "staff: eve as postgres"), W, HIGH),
    (removed("ident_mapping", "staff: eve as postgres"), N, LOW),
    (added("file_setting", AUTO, value="none", applied=True), X, LOW),
    (altered("file_setting", AUTO, "value", "all", "none"), X, LOW),
    (altered("file_setting", AUTO, "error", None, "setting could not be applied"), X, MEDIUM),
    (added("file_setting", "line that cannot be read in a", error="syntax error"), X, MEDIUM),
    # replication
    (added("publication", "pub", all_tables=False), W, HIGH),
    (added("publication", "pub", all_tables=True), W, HIGH),
    (altered("publication", "pub", "all_tables", False, True), W, HIGH),
    (altered("publication", "pub", "operations", ["insert"], ["insert", "update"]), W, HIGH),
    (altered("publication", "pub", "operations", ["insert", "update"], ["insert"]), N, LOW),
    (altered("publication", "pub", "generated_columns", "none", "stored"), W, HIGH),
    (altered("publication", "pub", "via_root", False, True), X, LOW),
    (altered("publication", "pub", "owner", "a", "b"), W, MEDIUM),
    (removed("publication", "pub", all_tables=False), N, LOW),
    (added("publication_table", PART), W, HIGH),
    (altered("publication_table", PART, "where", "(id > 5)", None), W, HIGH),
    (altered("publication_table", PART, "columns", ["id"], None), W, HIGH),
    (removed("publication_table", PART), N, LOW),
    (added("publication_schema", "app in pub"), W, HIGH),
    (removed("publication_schema", "app in pub"), N, LOW),
    (added("subscription", "sub", enabled=True), W, HIGH),
    (removed("subscription", "sub", enabled=True), N, LOW),
    (altered("subscription", "sub", "conninfo", "host=a", "host=b"), W, HIGH),
    (altered("subscription", "sub", "run_as_owner", False, True), W, HIGH),
    (altered("subscription", "sub", "password_required", True, False), W, HIGH),
    (altered("subscription", "sub", "enabled", True, False), X, MEDIUM),
    (altered("subscription", "sub", "streaming", "off", "on"), X, LOW),
    (added("replication_slot", "elsewhere", type="logical"), W, HIGH),
    (removed("replication_slot", "elsewhere", type="logical"), N, LOW),
    (added("replication_origin", "elsewhere"), X, LOW),
    (removed("replication_origin", "elsewhere"), X, LOW),
    # foreign data
    (added("foreign_data_wrapper", "files"), W, MEDIUM),
    (removed("foreign_data_wrapper", "files"), N, LOW),
    (altered("foreign_data_wrapper", "files", "handler", "a()", "b()"), W, HIGH),
    (altered("foreign_data_wrapper", "files", "options", None, ["a=b"]), W, MEDIUM),
    (added("server", "archive"), W, MEDIUM),
    (removed("server", "archive"), N, LOW),
    (altered("server", "archive", "options", ["host=a"], ["host=b"]), W, HIGH),
    (altered("server", "archive", "version", "1", "2"), X, LOW),
    (added("user_mapping", "bob on archive"), W, MEDIUM),
    (altered("user_mapping", "bob on archive", "options", ["user=a"], ["user=b"]), W, MEDIUM),
    (removed("user_mapping", "bob on archive"), N, LOW),
    # extensions
    (added("extension_member", MEMBER), W, HIGH),
    (altered("extension_member", MEMBER, "digest", "a", "b"), W, HIGH),
    (removed("extension_member", MEMBER), N, MEDIUM),
    (altered("extension", "postgis", "version", "3.4", "3.5", default_version=True), X, LOW),
    (altered("extension", "postgis", "version", "3.5", "3.4"), X, MEDIUM),
    (altered("extension", "postgis", "default_version", True, None), X, INFO),
    # the rest
    (added("tablespace", "fast", location="/disk"), X, LOW),
    (removed("tablespace", "fast", location="/disk"), X, LOW),
    (altered("tablespace", "fast", "location", "/disk", "/other"), X, MEDIUM),
    (added("large_object", "16500", owner="a"), X, INFO),
    (removed("large_object", "16500", owner="a"), X, INFO),
    (altered("large_object", "16500", "owner", "a", "b"), W, MEDIUM),
    (added("security_label", LABEL, label="MASKED WITH …"), X, LOW),
    (altered("security_label", LABEL, "label", "MASKED WITH …", "x"), W, HIGH),
    (removed("security_label", LABEL, label="MASKED WITH …"), W, HIGH),
]


def label(change):
    values = "" if change.operation is not Operation.ALTERED else f" {change.before} {change.after}"
    return f"{change.operation.value} {change.kind} {change.name} {change.attribute}{values}"


@pytest.mark.parametrize(
    ("change", "direction", "severity"), ROWS, ids=[label(row[0])[:90] for row in ROWS]
)
def test_a_change_of_a_server_means_this(change, direction, severity):
    found = judge(change, RULES)
    assert (found.direction, found.severity) == (direction, severity), found


def test_no_rule_for_servers_is_dead():
    used = {judge(change, RULES).rule for change, _, _ in ROWS}
    assert {rule.id for rule in RULES.rules if rule.id.startswith(OURS)} - used == set()


def test_no_direction_for_servers_is_dead():
    used = {judge(change, RULES).ordering for change, _, _ in ROWS}
    assert {one.id for one in RULES.directions if one.id.startswith(OURS)} - used == set()


@pytest.mark.parametrize("kind", sorted({change.kind for change, _, _ in ROWS} - {"extension"}))
@pytest.mark.parametrize("make", [added, removed])
def test_nothing_of_a_server_comes_or_goes_without_a_rule_of_its_own(kind, make):
    assert judge(make(kind, "x"), RULES).rule.startswith(OURS)
