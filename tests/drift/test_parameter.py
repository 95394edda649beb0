"""What RDS declares against what pg_settings reports: no disagreement where none is certain."""

from __future__ import annotations

import pytest

from chalicelib.drift import parameter
from chalicelib.drift.parameter import Declared, Disagreement, Reported, compare


def row(value, *, unit="", source="configuration file", pending=False, kind="", file=""):
    return Reported(value, unit, source, pending, kind, file)


def said(name, value, **rest):
    rest.setdefault("source", "user")
    return Declared(name, value, **rest)


def compared(one, reported):
    return compare([one], {one.name: reported, "data_directory": row("/d", source="override")})


def verdict(one, reported):
    """The reason of the disagreement, why there is none, or nothing where they agree."""
    found = compared(one, reported)
    reasons = [each.reason for each in found.disagreements]
    assert len(reasons) + len(found.uncompared) <= 1
    return (reasons or list(found.uncompared.values()) or [""])[0]


AGREE = [
    ("ssl", "1", "on", "bool", ""),
    ("ssl", "TRUE", "on", "bool", ""),
    ("ssl", "0", "off", "", ""),
    ("shared_buffers", "16384", "16384", "integer", "8kB"),
    ("shared_buffers", "128MB", "16384", "integer", "8kB"),
    ("statement_timeout", "30s", "30000", "integer", "ms"),
    ("statement_timeout", "1500us", "1", "integer", "ms"),
    ("random_page_cost", "1.10", "1.1", "real", ""),
    ("vacuum_cost_delay", "0.1234567", "0.123457", "real", "ms"),
    ("x.big", "123456.7", "123457", "real", ""),
    ("log_file_mode", "0644", "420", "integer", ""),
    ("log_file_mode", "420", "0644", "integer", ""),
    ("log_statement", "DDL", "ddl", "enum", ""),
    ("synchronous_commit", "1", "on", "enum", ""),
    ("wal_compression", "1", "pglz", "enum", ""),
    ("log_min_messages", "debug", "debug2", "enum", ""),
    ("wal_level", "hot_standby", "replica", "enum", ""),
    ("shared_preload_libraries", "pg_cron, pgaudit", "rdsutils,pgaudit,pg_cron", "string", ""),
    ("search_path", '"$user",public', '"$user", public', "string", ""),
    ("datestyle", "iso", "ISO, MDY", "string", ""),
    ("log_destination", "csvlog,stderr", "stderr, csvlog", "string", ""),
    ("log_connections", "1", "receipt,authentication,authorization", "string", ""),
    ("log_connections", "0", "", "string", ""),
    ("timezone", "utc", "UTC", "string", ""),
]


@pytest.mark.parametrize(("name", "ours", "theirs", "kind", "unit"), AGREE)
def test_values_that_mean_the_same_agree(name, ours, theirs, kind, unit):
    found = compared(said(name, ours), row(theirs, kind=kind, unit=unit))
    assert (found.disagreements, found.uncompared) == ([], {})


@pytest.mark.parametrize(("name", "ours", "theirs", "kind", "unit"), AGREE)
def test_the_same_without_the_kind_of_the_parameter_is_never_called_pending(
    name, ours, theirs, kind, unit
):
    """Fewer columns may tell less; a boolean, a number and a list still agree."""
    found = compared(said(name, ours), row(theirs, unit=unit))
    assert found.disagreements == []


@pytest.mark.parametrize(
    ("name", "ours", "theirs", "kind", "unit"),
    [
        ("ssl", "1", "off", "bool", ""),
        ("shared_buffers", "16384", "16385", "integer", "8kB"),
        ("shared_buffers", "128MB", "128", "integer", "8kB"),
        ("statement_timeout", "30s", "30", "integer", "ms"),
        ("x.count", "1000000", "1000001", "integer", ""),
        ("random_page_cost", "1.1", "1.2", "real", ""),
        ("log_file_mode", "0644", "384", "integer", ""),
        ("log_statement", "ddl", "none", "enum", ""),
        ("wal_compression", "off", "pglz", "enum", ""),
        ("shared_preload_libraries", "pgaudit,pg_cron", "rdsutils,pg_cron", "string", ""),
        ("search_path", "a,b", "b,a", "string", ""),
        ("log_connections", "1", "receipt", "string", ""),
        ("log_line_prefix", "%t", "%m", "string", ""),
        ("x.unit", "12ms", "12", "integer", "kB"),
    ],
)
def test_values_that_differ_disagree(name, ours, theirs, kind, unit):
    found = compared(said(name, ours), row(theirs, kind=kind, unit=unit))
    assert found.disagreements == [Disagreement(name, ours, theirs, unit, parameter.UNKNOWN)]


def test_a_unit_that_rds_states_is_the_unit_of_its_number():
    seconds = said("statement_timeout", "30", unit="s")
    assert verdict(seconds, row("30000", unit="ms", kind="integer")) == ""
    assert verdict(seconds, row("31", unit="ms", kind="integer")) == parameter.UNKNOWN


LATE = {"late": True, "status": "pending-reboot"}


@pytest.mark.parametrize(
    ("one", "reported", "reason"),
    [
        (said("a", "9"), row("8"), parameter.UNKNOWN),
        (said("a", "9"), row("8", pending=True), parameter.REBOOT),
        (said("a", "9", **LATE), row("8"), parameter.REBOOT),
        (said("a", "9", source="engine-default", **LATE), row("8"), parameter.REBOOT),
        (said("a", "9", late=False, status="pending-reboot"), row("8"), parameter.UNKNOWN),
        (said("a", "9", **LATE), row("8", source="database"), parameter.OVERRIDDEN),
        (said("a", "9"), row("8", source="global"), parameter.OVERRIDDEN),
        (said("a", "9", source="system"), row("8", source="database"), parameter.OVERRIDDEN),
        (said("a", "9"), row("8", file="/d/postgresql.auto.conf"), parameter.OVERRIDDEN),
        (said("a", "9", source="system"), row("8"), parameter.OF_PROVIDER),
        (said("a", "9", source="engine-default"), row("8"), parameter.OF_PROVIDER),
        (said("a", "9", status="applying"), row("8"), parameter.IN_MOTION),
        (said("wal_buffers", "-1"), row("512", source="override"), parameter.OF_SERVER),
        (said("a", "{DBInstanceClassMemory/32768}"), row("8"), parameter.FORMULA),
        (said("a", "LEAST(5,6)"), row("5"), parameter.FORMULA),
        (said("a", "GREATEST({X/2},8)"), row("8"), parameter.FORMULA),
        (said("a", "SUM({X/12},-50)"), row("8"), parameter.FORMULA),
        (said("a", "9"), row("8", source="user"), parameter.OF_SESSION),
        (said("a", "9"), row("8", source="database user"), parameter.OF_SESSION),
        (said("a", "9"), row("8", source="client"), parameter.OF_SESSION),
        (said("a", "9"), row("9", source="session"), parameter.OF_SESSION),
        (said("application_name", "x"), row("holdfast", source="client"), ""),
        (said("a", ""), row("8"), ""),
    ],
)
def test_what_a_difference_is(one, reported, reason):
    assert verdict(one, reported) == reason


def test_what_postgresql_does_not_show_is_named_and_not_claimed():
    found = compare([said("rds.extensions", "x")], {})
    assert found.disagreements == []
    assert found.uncompared == {"rds.extensions": parameter.ABSENT}


def test_a_role_that_does_not_see_all_parameters_is_told():
    assert compared(said("a", "9"), row("9")).complete
    assert not compare([said("a", "9")], {"a": row("9")}).complete


def test_values_that_differ_between_instances_are_not_compared():
    several = [said("a", "1"), said("a", "2")]
    assert compare(several, {"a": row("3")}).uncompared == {"a": parameter.AMBIGUOUS}


def test_names_are_compared_without_case():
    assert compare([said("DateStyle", "ISO, DMY")], {"DATESTYLE": row("ISO, DMY")})[:2] == ([], {})


def test_a_value_does_not_show_in_a_repr():
    assert "hunter2" not in repr(row("hunter2")) + repr(said("a", "hunter2"))
