"""The shipped rules for operators, casts, collations, text search, languages and event triggers."""

from __future__ import annotations

import pytest
from support.changed import added, altered, removed

from chalicelib.drift.diff import Operation
from chalicelib.drift.judge import Direction, Severity, judge, load

RULES = load()
OURS = "definition."
W, N, X = Direction.WIDENS, Direction.NARROWS, Direction.NEUTRAL
CRITICAL, HIGH, MEDIUM, LOW, INFO = Severity

E = "audit_ddl"
SAME = "public.===(integer, integer)"
C = "public.by_size using btree"
CAST = "text as integer"
ROWS = [
    # put among the server's own, or the server's own that is not as it came
    (added("operator", "pg_catalog.=(text, integer)", owner="a"), W, CRITICAL),
    (added("operator", '"pg_Odd".=(text, integer)', owner="a"), W, CRITICAL),
    (added("operator_family", "pg_catalog.integer_ops using btree", owner="a"), W, CRITICAL),
    (added("operator_class", "pg_catalog.int4_ops using btree", owner="a"), W, CRITICAL),
    (added("collation", 'pg_catalog."POSIX"', owner="a"), W, CRITICAL),
    (added("conversion", "pg_catalog.utf8_to_win", owner="a"), W, CRITICAL),
    (added("statistics", "pg_catalog.s", owner="a"), W, CRITICAL),
    (added("text_search_configuration", "pg_catalog.english", owner="a"), W, CRITICAL),
    (added("text_search_dictionary", "information_schema.simple", owner="a"), W, CRITICAL),
    (added("language", "c", trusted=True), W, CRITICAL),
    (added("access_method", "btree", type="index"), W, CRITICAL),
    (
        altered("operator_family", "pg_catalog.integer_ops using btree", "functions", None, ["1"]),
        X,
        CRITICAL,
    ),
    (
        altered("text_search_dictionary", "pg_catalog.english_stem", "options", ["a"], ["b"]),
        X,
        CRITICAL,
    ),
    (altered("operator", "pg_catalog.=(text, text)", "owner", "a", "b"), W, MEDIUM),
    (removed("operator", "pg_catalog.=(text, integer)", owner="a"), X, LOW),
    # event triggers
    (added("event_trigger", E, enabled="origin"), X, HIGH),
    (added("event_trigger", E, enabled="disabled"), X, HIGH),
    (removed("event_trigger", E, enabled="origin"), W, HIGH),
    (altered("event_trigger", E, "enabled", "origin", "disabled"), W, HIGH),
    (altered("event_trigger", E, "enabled", "always", "replica"), W, HIGH),
    (altered("event_trigger", E, "enabled", "disabled", "origin"), N, MEDIUM),
    (altered("event_trigger", E, "tags", ["DROP TABLE"], ["DROP OPERATOR"]), W, HIGH),
    (altered("event_trigger", E, "event", "sql_drop", "table_rewrite"), W, HIGH),
    (altered("event_trigger", E, "function", "audit.log()", "public.nothing()"), W, HIGH),
    (altered("event_trigger", E, "owner", "a", "b"), W, MEDIUM),
    (altered("event_trigger", E, "comment", "a", "b"), X, INFO),
    (altered("event_trigger", E, "of_the_future", "a", "b"), X, LOW),
    # languages
    (added("language", "plmine", trusted=False), W, HIGH),
    (added("language", "plmine", trusted=True), W, MEDIUM),
    (removed("language", "plmine", trusted=False), N, LOW),
    (altered("language", "plmine", "trusted", False, True), W, CRITICAL),
    (altered("language", "plmine", "trusted", True, False), N, LOW),
    *(
        (altered("language", "plmine", handler, "a()", "b()"), W, CRITICAL)
        for handler in ("handler", "inline", "validator")
    ),
    (altered("language", "plmine", "owner_lacks", ["usage"], None), W, MEDIUM),
    # access methods
    (added("access_method", "columnar", type="table"), W, HIGH),
    (removed("access_method", "columnar", type="table"), N, LOW),
    (altered("access_method", "columnar", "handler", "a(internal)", "b(internal)"), W, CRITICAL),
    # transforms and casts
    (added("transform", "for integer language plmine"), W, MEDIUM),
    (removed("transform", "for integer language plmine"), N, LOW),
    (altered("transform", "for integer language plmine", "to_sql", "a", None), X, MEDIUM),
    (added("cast", CAST, context="implicit", method="function"), X, MEDIUM),
    (added("cast", CAST, context="assignment", method="function"), X, MEDIUM),
    (added("cast", CAST, context="explicit", method="function"), X, LOW),
    (removed("cast", CAST, context="implicit", method="function"), X, MEDIUM),
    (removed("cast", CAST, context="explicit", method="function"), X, LOW),
    (altered("cast", CAST, "context", "implicit", "explicit"), X, MEDIUM),
    (altered("cast", CAST, "function", "a", "b", context="explicit"), X, MEDIUM),
    # operators and what indexes compare with
    (added("operator", SAME, owner="a"), X, MEDIUM),
    (removed("operator", SAME, owner="a"), X, LOW),
    *(
        (altered("operator", SAME, attribute, "a", "b"), X, MEDIUM)
        for attribute in ("function", "returns", "commutator", "negator", "restrict", "join")
    ),
    (altered("operator", SAME, "hashes", False, True), X, MEDIUM),
    (altered("operator", SAME, "merges", False, True), X, MEDIUM),
    (altered("operator", SAME, "owner", "a", "b"), W, MEDIUM),
    (added("operator_class", C, default=False), X, LOW),
    (added("operator_class", C, default=True), X, MEDIUM),
    (removed("operator_class", C, default=False), X, LOW),
    (altered("operator_class", C, "default", False, True), X, MEDIUM),
    (altered("operator_class", C, "functions", ["1 a"], ["1 b"]), X, MEDIUM),
    (altered("operator_class", C, "of", "operator_family a", "operator_family b"), X, LOW),
    (altered("operator_family", C, "operators", None, ["1 a"]), X, MEDIUM),
    (altered("operator_family", C, "owner", "a", "b"), W, MEDIUM),
    # text
    (added("collation", "public.german", provider="icu"), X, LOW),
    (removed("collation", "public.german", provider="icu"), X, LOW),
    (altered("collation", "public.german", "deterministic", True, False), X, MEDIUM),
    (added("conversion", "public.c", default=True), X, MEDIUM),
    (added("conversion", "public.c", default=False), X, LOW),
    (altered("conversion", "public.c", "function", "a", "b", default=False), X, MEDIUM),
    (added("text_search_configuration", "public.german"), X, LOW),
    (altered("text_search_configuration", "public.german", "mappings", ["a"], ["b"]), X, LOW),
    (altered("text_search_dictionary", "public.synonyms", "owner", "a", "b"), W, MEDIUM),
    (added("text_search_parser", "public.words"), W, MEDIUM),
    (added("text_search_template", "public.stemmer"), W, MEDIUM),
    (removed("text_search_template", "public.stemmer"), N, LOW),
    (altered("text_search_parser", "public.words", "start", "a", "b"), W, HIGH),
    (altered("text_search_template", "public.stemmer", "init", None, "b"), W, HIGH),
    # statistics
    (added("statistics", "public.s", kinds=["mcv"]), X, INFO),
    (removed("statistics", "public.s", kinds=["mcv"]), X, INFO),
    (altered("statistics", "public.s", "target", None, 50), X, INFO),
]


def label(change):
    values = "" if change.operation is not Operation.ALTERED else f" {change.before} {change.after}"
    return f"{change.operation.value} {change.kind} {change.name} {change.attribute}{values}"


@pytest.mark.parametrize(
    ("change", "direction", "severity"), ROWS, ids=[label(row[0])[:90] for row in ROWS]
)
def test_a_change_of_a_definition_means_this(change, direction, severity):
    found = judge(change, RULES)
    assert (found.direction, found.severity) == (direction, severity), found


def test_no_rule_for_definitions_is_dead():
    used = {judge(change, RULES).rule for change, _, _ in ROWS}
    assert {rule.id for rule in RULES.rules if rule.id.startswith(OURS)} - used == set()


def test_no_direction_for_definitions_is_dead():
    used = {judge(change, RULES).ordering for change, _, _ in ROWS}
    assert {one.id for one in RULES.directions if one.id.startswith(OURS)} - used == set()


@pytest.mark.parametrize(
    "kind", sorted({change.kind for change, _, _ in ROWS}), ids=lambda kind: kind
)
@pytest.mark.parametrize("make", [added, removed])
def test_no_definition_comes_or_goes_without_a_rule_of_its_own(kind, make):
    assert judge(make(kind, "x"), RULES).rule.startswith(OURS)
