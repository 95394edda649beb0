"""What changes of RDS mean: the shipped rules row by row, and parameters as RDS writes them."""

from __future__ import annotations

import pytest
from support.changed import added, altered, removed

from chalicelib.drift.diff import Operation, diff
from chalicelib.drift.judge import Direction, Severity, judge, load
from chalicelib.drift.snapshot import Object, build

RULES = load()

W, N, X = Direction.WIDENS, Direction.NARROWS, Direction.NEUTRAL
CRITICAL, HIGH, MEDIUM, LOW, INFO = Severity
SG = "sg-1"


def instance(attribute, before, after):
    return altered("rds_instance", "orders", attribute, before, after)


def parameter(name, before, after, **rest):
    return altered("rds_parameter", f"{name} of orders-pg16", "value", before, after, **rest)


MACHINES = [
    (removed("rds_instance", "orders", engine="postgres"), X, CRITICAL),
    (removed("rds_cluster", "orders", engine="aurora-postgresql"), X, CRITICAL),
    (added("rds_instance", "orders", public_access=True), W, CRITICAL),
    (added("rds_instance", "orders", public_access=False), W, MEDIUM),
    (instance("resource_id", "db-A", "db-B"), W, CRITICAL),
    (instance("public_access", False, True), W, CRITICAL),
    (instance("public_access", True, False), N, LOW),
    (instance("encrypted", True, False), W, CRITICAL),
    (instance("encrypted", False, True), N, LOW),
    (instance("kms_key", "arn:a", "arn:b"), W, HIGH),
    (instance("deletion_protection", True, False), W, HIGH),
    (altered("rds_cluster", "orders", "deletion_protection", True, False), W, HIGH),
    (instance("iam_authentication", True, False), W, HIGH),
    (instance("iam_authentication", False, True), N, LOW),
    (altered("rds_cluster", "orders", "data_api", False, True), W, HIGH),
    (instance("backup_retention_days", 7, 1), W, HIGH),
    (instance("backup_retention_days", 7, 0), W, HIGH),
    (instance("backup_retention_days", 7, None), W, HIGH),
    (instance("backup_retention_days", 7, 35), N, LOW),
    (instance("log_exports", ["postgresql", "upgrade"], ["upgrade"]), W, HIGH),
    (instance("log_exports", ["postgresql"], None), W, HIGH),
    (instance("log_exports", None, ["postgresql"]), N, LOW),
    (altered("rds_cluster", "c", "activity_stream", "started", "stopped"), W, HIGH),
    (altered("rds_cluster", "c", "activity_stream", None, "started"), N, LOW),
    (instance("parameter_group", "a", "b"), W, HIGH),
    (instance("option_groups", ["a"], ["b"]), W, HIGH),
    (instance("security_groups", ["sg-1"], ["sg-1", "sg-2"]), W, HIGH),
    (instance("security_groups", ["sg-1", "sg-2"], ["sg-1"]), N, LOW),
    (instance("security_groups", ["sg-1"], ["sg-2"]), W, HIGH),
    (instance("subnet_group", "a", "b"), W, HIGH),
    (instance("master_user", "a", "b"), W, HIGH),
    (instance("roles", None, ["arn:x for s3Export"]), W, HIGH),
    (instance("replicas", None, ["copy"]), W, HIGH),
    (instance("engine_version", "16.3", "16.4"), X, MEDIUM),
    (instance("ca_certificate", "rds-ca-2019", "rds-ca-rsa2048-g1"), X, MEDIUM),
    (instance("pending", None, ["iam_authentication false"]), X, HIGH),
    (instance("pending", None, ["master_password"]), X, HIGH),
    (instance("pending", None, ["class db.t3.large"]), X, MEDIUM),
    (instance("multi_az", True, False), W, MEDIUM),
    (instance("auto_minor_upgrade", True, False), W, MEDIUM),
    (instance("monitoring_seconds", 60, 0), W, MEDIUM),
    (instance("monitoring_seconds", 0, 60), N, LOW),
    (instance("monitoring_seconds", 60, 1), N, LOW),
    (altered("rds_cluster", "c", "members", ["a"], ["a", "b"]), X, MEDIUM),
    (instance("class", "db.t3.micro", "db.t3.large"), X, LOW),
]

GROUPS = [
    (altered("rds_parameter_group", "g", "status", "in-sync", "pending-reboot"), X, MEDIUM),
    (altered("rds_parameter_group", "g", "status", "pending-reboot", "in-sync"), X, LOW),
    (added("rds_parameter_group", "g", family="postgres16"), X, MEDIUM),
    (removed("rds_parameter_group", "g", family="postgres16"), X, MEDIUM),
    (altered("rds_parameter", "x of g", "source", "user", "system"), X, LOW),
    (parameter("max_connections", "100", "200"), X, LOW),
    (added("rds_option", "X of g"), W, HIGH),
]

NETWORK = [
    (added("security_group_rule", f"{SG} in tcp 5432 from 0.0.0.0/0", world=True), W, CRITICAL),
    (added("security_group_rule", f"{SG} in all from ::/0", world=True, public=True), W, CRITICAL),
    (removed("security_group_rule", f"{SG} in tcp 5432 from 0.0.0.0/0", world=True), N, LOW),
    (added("security_group_rule", f"{SG} in tcp 5432 from 0.0.0.0/1", public=True), W, HIGH),
    (added("security_group_rule", f"{SG} in tcp 1 from sg-9 of account 9"), W, HIGH),
    (added("security_group_rule", f"{SG} in tcp 5432 from 10.0.0.0/8"), W, MEDIUM),
    (added("security_group_rule", f"{SG} out all to 0.0.0.0/0", world=True), W, MEDIUM),
    (removed("security_group_rule", f"{SG} out all to 0.0.0.0/0", world=True), N, LOW),
    (
        altered(
            "security_group_rule", f"{SG} in tcp 5432 from pl-1", "entries",
            ["10.0.0.0/8"], ["0.0.0.0/0", "10.0.0.0/8"], world=True,
        ), W, CRITICAL,
    ),
    (altered("security_group_rule", f"{SG} in all from pl", "entries", ["a", "b"], ["a"]), N, LOW),
    (altered("security_group_rule", f"{SG} in all from pl-1", "public", None, True), W, HIGH),
    (altered("security_group", SG, "name", "a", "b"), X, LOW),
    (added("rds_subnet", "subnet-1", internet=True), X, HIGH),
    (altered("rds_subnet", "subnet-1", "internet", False, True), W, HIGH),
    (altered("rds_subnet", "subnet-1", "internet", True, False), N, LOW),
    (altered("rds_subnet", "subnet-1", "route_table", "rtb-1", "rtb-2"), X, MEDIUM),
    (removed("rds_subnet", "subnet-1"), X, LOW),
]  # fmt: skip

REST = [
    (added("rds_snapshot_share", "s with everybody", encrypted=False), W, CRITICAL),
    (added("rds_snapshot_share", "s with 999999999999", encrypted=True), W, HIGH),
    (removed("rds_snapshot_share", "s with everybody", encrypted=False), N, LOW),
    (added("rds_disagreement", "log_statement", reason="set in the database"), X, HIGH),
    (added("rds_disagreement", "max_connections", reason="pending reboot"), X, MEDIUM),
    (removed("rds_disagreement", "max_connections", reason="pending reboot"), X, INFO),
    (altered("rds_disagreement", "work_mem", "reported", "1", "2"), X, MEDIUM),
    (removed("rds_comparison", "orders"), X, MEDIUM),
    (altered("rds_comparison", "orders", "not_compared", ["a: b"], ["c: d"]), X, LOW),
]

# Values as RDS writes them, by the rules of a server's own parameters.
PARAMETERS = [
    (parameter("rds.force_ssl", "1", "0"), W, CRITICAL),
    (parameter("rds.force_ssl", "1", None), W, CRITICAL),
    (parameter("rds.force_ssl", "0", "1"), N, INFO),
    (removed("rds_parameter", "rds.force_ssl of g", value="1"), W, CRITICAL),
    (added("rds_parameter", "rds.force_ssl of cluster g", value="1"), N, INFO),
    (parameter("log_connections", "1", "0"), W, HIGH),
    (parameter("log_connections", "0", "1"), N, INFO),
    (parameter("log_disconnections", "1", "0"), W, HIGH),
    (parameter("log_statement", "ddl", "none"), W, HIGH),
    (parameter("log_statement", "none", "all"), N, INFO),
    (parameter("log_min_duration_statement", "1000", "-1"), W, MEDIUM),
    (parameter("log_min_duration_statement", "1000", "2s", unit="ms"), W, MEDIUM),
    (parameter("pgaudit.log", "ddl,role", "role"), W, HIGH),
    (parameter("rds.log_retention_period", "10080", "1440"), W, HIGH),
    (parameter("password_encryption", "scram-sha-256", "md5"), W, HIGH),
    (parameter("rds.accepted_password_auth_method", "scram", "md5+scram"), W, HIGH),
    (parameter("rds.restrict_password_commands", "1", "0"), W, MEDIUM),
    (parameter("ssl_min_protocol_version", "TLSv1.2", "TLSv1.1"), W, HIGH),
    (parameter("shared_preload_libraries", "pg_cron,pgaudit", "pg_cron"), W, HIGH),
    (parameter("session_replication_role", "origin", "replica"), W, CRITICAL),
    (parameter("rds.logical_replication", "0", "1"), W, MEDIUM),
    (parameter("track_commit_timestamp", "1", "0"), W, MEDIUM),
    (parameter("statement_timeout", "30000", "0"), W, LOW),
    (parameter("default_transaction_read_only", "1", "0"), W, LOW),
    (parameter("rds.something_new", "0", "1"), X, MEDIUM),
]  # fmt: skip

ROWS = [*MACHINES, *GROUPS, *NETWORK, *REST, *PARAMETERS]


def label(change):
    values = "" if change.operation is not Operation.ALTERED else f" {change.before} {change.after}"
    return f"{change.operation.value} {change.kind} {change.name} {change.attribute}{values}"


@pytest.mark.parametrize(
    ("change", "direction", "severity"), ROWS, ids=[label(row[0])[:90] for row in ROWS]
)
def test_shipped_rules_say_what_a_change_of_rds_means(change, direction, severity):
    found = judge(change, RULES)
    assert (found.direction, found.severity) == (direction, severity), found
    assert found.controls["nist_800_53"][:2] == ["CM-3", "CM-6"]
    if change.kind != "rds_parameter" and severity >= MEDIUM:
        assert {"AC-3", "AU-5"} & set(found.controls["nist_800_53"]), "neither host nor coverage"


def test_no_shipped_rule_for_rds_is_dead():
    used = {judge(change, RULES).rule for change, _, _ in ROWS}
    assert {rule.id for rule in RULES.rules if rule.id.startswith("rds.")} - used == set()


def test_no_shipped_direction_for_rds_is_dead():
    used = {judge(change, RULES).ordering for change, _, _ in ROWS}
    assert {one.id for one in RULES.directions if one.id.startswith("rds.")} - used == set()


def test_a_rule_that_comes_with_its_security_group_is_a_finding_of_its_own():
    group = Object("security_group", SG, {"of": "rds_instance orders"})
    rule = Object(
        "security_group_rule", f"{SG} in all from ::/0",
        {"of": f"security_group {SG}", "world": True},
    )  # fmt: skip
    found = diff(build([]), build([group, rule]))
    assert [one.kind for one in found] == ["security_group", "security_group_rule"]
    assert judge(found[1], RULES).severity is CRITICAL
    assert [one.kind for one in diff(build([group, rule]), build([]))] == ["security_group"]


def test_an_instance_that_is_gone_is_one_finding_and_its_shares_are_not_in_it():
    kept = Object("rds_snapshot_share", "s with everybody", {})
    gone = [
        Object("rds_instance", "orders", {}),
        Object("rds_parameter_group", "g", {"of": "rds_instance orders"}),
        Object("rds_parameter", "a of g", {"of": "rds_parameter_group g", "value": "1"}),
        Object("rds_subnet", "subnet-1", {"of": "rds_instance orders"}),
        Object("security_group", SG, {"of": "rds_instance orders"}),
        Object("security_group_rule", f"{SG} in all", {"of": f"security_group {SG}"}),
        Object("rds_disagreement", "a", {"of": "rds_instance orders"}),
        Object("rds_comparison", "orders", {"of": "rds_instance orders"}),
    ]
    (found,) = diff(build([kept, *gone]), build([kept]))
    assert (found.kind, judge(found, RULES).severity) == ("rds_instance", CRITICAL)
    assert len(found.parts) == len(gone) - 1


def test_a_parameters_name_ends_before_its_group():
    odd = parameter("rds.force_ssl", "1", "0")
    assert judge(odd, RULES).rule == "setting.ssl_off"
    other = altered("rds_parameter", "x of rds.force_ssl of g", "value", "1", "0")
    assert judge(other, RULES).rule == "rds.parameter"
