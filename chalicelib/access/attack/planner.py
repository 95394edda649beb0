# ruff: noqa: S608 - these are templates of the module's own text; names and values come later
"""Attacks on how the server runs a query: order of conditions, statistics, errors, plans."""

from __future__ import annotations

from typing import Final

from chalicelib.access.attack.tries import Attack, Try, judged, refused

# As cheap as can be, so that a planner that may choose runs it before a row filter. It ends the
# statement after as many rows as are judged: masked values of others may be like clear ones.
PROBE: Final = (
    "CREATE FUNCTION pg_temp.hf_probe(text) RETURNS boolean LANGUAGE plpgsql COST 0.0000001 AS"
    " $hf$ DECLARE n int := coalesce(nullif(current_setting('hf.n', true), ''), '0')::int + 1;"
    " BEGIN IF n > {limit} THEN RAISE EXCEPTION 'enough'; END IF;"
    " PERFORM set_config('hf.n', n::text, true); RAISE NOTICE 'saw %', $1; RETURN true;"
    " END $hf$; "
)
# A parallel worker may set nothing.
_UNCOUNTED: Final = (
    "CREATE FUNCTION pg_temp.hf_probe(text) RETURNS boolean LANGUAGE plpgsql PARALLEL SAFE"
    " COST 0.0000001 AS $hf$ BEGIN RAISE NOTICE 'saw %', $1; RETURN true; END $hf$; "
)
_IN_SQL: Final = (
    PROBE + "CREATE FUNCTION pg_temp.hf_inner(text) RETURNS boolean LANGUAGE sql COST 0.0000001"
    " AS 'SELECT pg_temp.hf_probe($1)'; "
)
_COUNT: Final = (
    PROBE + "CREATE FUNCTION pg_temp.hf_step(bigint, text) RETURNS bigint LANGUAGE plpgsql AS"
    " $hf$ BEGIN PERFORM pg_temp.hf_probe($2); RETURN coalesce($1, 0) + 1; END $hf$;"
    " CREATE AGGREGATE pg_temp.hf_count(text) (SFUNC = pg_temp.hf_step, STYPE = bigint); "
)
_PROBED: Final = "SELECT 1 FROM {view} AS v WHERE pg_temp.hf_probe(v::text) LIMIT {limit}"
# What is in clear columns of other rows is no clue: these may come in any order.
_SHOWN: Final = _PROBED.replace("v::text", "v.{clear}::text")
_LEAKY: Final = PROBE + _PROBED
_CHEAP: Final = PROBE + _SHOWN
_TWO: Final = (
    "(SELECT * FROM {view} LIMIT {limit}) AS v JOIN (VALUES (1), (2)) AS two (n)"
    " ON pg_temp.hf_probe(v::text || two.n)"
)


def _operator(estimator: str, name: str) -> str:
    """An operator on the column's own type whose function shows what the planner hands it."""
    return (
        "CREATE FUNCTION pg_temp.hf_compare(a {type}, b {type}) RETURNS boolean LANGUAGE plpgsql"
        " COST 0.0000001 AS $$ BEGIN RAISE NOTICE 'saw % %', a, b; RETURN false; END $$;"
        f" CREATE OPERATOR pg_temp.{name} (LEFTARG = {{type}}, RIGHTARG = {{type}},"
        f" FUNCTION = pg_temp.hf_compare, RESTRICT = {estimator});"
        f" EXPLAIN SELECT 1 FROM {{view}} AS v WHERE v.{{typed}} OPERATOR(pg_temp.{name})"
        " {shown}::{type}"
    )


CASTS: Final = ("int", "numeric", "date", "timestamptz", "inet", "uuid", "json", "xml", "boolean")
SETTINGS: Final = (
    *(
        f"enable_{one} = off"
        for one in (
            "bitmapscan",
            "hashagg",
            "hashjoin",
            "indexscan",
            "indexonlyscan",
            "material",
            "mergejoin",
            "nestloop",
            "seqscan",
            "sort",
            "tidscan",
        )
    ),
    "from_collapse_limit = 1",
    "geqo_threshold = 2",
    "constraint_exclusion = on",
    "jit = on; SET LOCAL jit_above_cost = 0",
    "plan_cache_mode = force_generic_plan",
    "cpu_operator_cost = 1000000",
)
_PARALLEL: Final = (
    "SET LOCAL parallel_setup_cost = 0; SET LOCAL parallel_tuple_cost = 0;"
    " SET LOCAL min_parallel_table_scan_size = 0; "
)
FORMATS: Final = (
    "client_min_messages = log",
    "DateStyle = 'Postgres, DMY'",
    "IntervalStyle = 'iso_8601'",
    "TimeZone = 'Pacific/Kiritimati'",
    "bytea_output = 'escape'",
    "extra_float_digits = -15",
    "lc_monetary = 'C'",
    "transform_null_equals = on",
    "backslash_quote = on",
    "standard_conforming_strings = off",
    "quote_all_identifiers = on",
    "xmlbinary = 'hex'",
    "row_security = off",
)

ATTACKS: Final = (
    Attack(
        id="leaky-function",
        title="functions of the holder's in WHERE",
        does="cheap functions in pg_temp that show their arguments, on every column and whole rows",
        tries=judged(
            _LEAKY,
            PROBE + "SELECT 1 FROM {view} AS v WHERE pg_temp.hf_probe(v.{any}::text) LIMIT {limit}",
            _IN_SQL + "SELECT 1 FROM {view} AS v WHERE pg_temp.hf_inner(v::text) LIMIT {limit}",
            PROBE + "SELECT 1 FROM {view} AS v WHERE NOT pg_temp.hf_probe(v::text) LIMIT {limit}",
        ),
    ),
    Attack(
        id="leaky-clauses",
        title="functions of the holder's elsewhere",
        does="JOIN ON, HAVING, ORDER BY, LATERAL, CASE, FILTER, windows, aggregates of pg_temp",
        tries=judged(
            PROBE + f"SELECT 1 FROM {_TWO}",
            PROBE + "SELECT 1 FROM {view} AS v LEFT JOIN (VALUES (1)) AS one (n)"
            " ON pg_temp.hf_probe(v::text) LIMIT {limit}",
            PROBE + "SELECT 1 FROM {view} AS v GROUP BY v.{clear}::text"
            " HAVING pg_temp.hf_probe(v.{clear}::text) LIMIT {limit}",
            PROBE + "SELECT 1 FROM {view} AS v ORDER BY pg_temp.hf_probe(v::text) LIMIT {limit}",
            PROBE + "SELECT 1 FROM {view} AS v,"
            " LATERAL (SELECT pg_temp.hf_probe(v::text) AS x OFFSET 0) AS l WHERE l.x LIMIT"
            " {limit}",
            PROBE + "SELECT 1 FROM {view} AS v WHERE CASE WHEN pg_temp.hf_probe(v::text)"
            " THEN true END LIMIT {limit}",
            PROBE + "SELECT count(*) FILTER (WHERE pg_temp.hf_probe(v::text)) FROM"
            " (SELECT * FROM {view} LIMIT {limit}) AS v",
            PROBE + "SELECT count(*) OVER (PARTITION BY pg_temp.hf_probe(v::text))"
            " FROM {view} AS v LIMIT {limit}",
            _COUNT + "SELECT pg_temp.hf_count(v::text) FROM {view} AS v",
            PROBE + "SELECT 1 FROM {view} AS v WHERE CASE WHEN pg_temp.hf_probe(v.{clear}::text)"
            " THEN true END LIMIT {limit}",
            PROBE + "SELECT 1 FROM (VALUES (1)) AS one (n) LEFT JOIN {view} AS v"
            " ON pg_temp.hf_probe(v.{clear}::text) LIMIT {limit}",
            PROBE + "SELECT 1 FROM {view} AS v WHERE EXISTS"
            " (SELECT 1 WHERE pg_temp.hf_probe(v::text)) LIMIT {limit}",
        ),
    ),
    Attack(
        id="leaky-plans",
        title="functions of the holder's under other plans",
        does="the same with every enable_… off, parallel, JIT, generic plans, absurd costs",
        tries=(
            *judged(*(f"SET LOCAL {one}; {sent}" for one in SETTINGS for sent in (_LEAKY, _CHEAP))),
            Try(f"{_PARALLEL}SET LOCAL force_parallel_mode = on; {_UNCOUNTED}{_SHOWN}", until=15),
            Try(f"{_PARALLEL}SET LOCAL debug_parallel_query = on; {_UNCOUNTED}{_SHOWN}", since=16),
        ),
    ),
    Attack(
        id="leaky-operator",
        title="operators of the holder's, run by the planner on statistics",
        does="operators in pg_temp with eqsel, neqsel, scalarltsel and scalargtsel, under EXPLAIN",
        tries=judged(
            _operator("eqsel", "==="),
            _operator("neqsel", "!=="),
            _operator("scalarltsel", "<<<"),
            _operator("scalargtsel", ">>>"),
        ),
    ),
    Attack(
        id="errors",
        title="errors that quote values",
        does="casts, divisions by zero, subscripts, invalid patterns, GET STACKED DIAGNOSTICS",
        tries=judged(
            *(
                f"SELECT 1 FROM {{view}} AS v WHERE v.{{any}}::text::{one} IS NOT NULL"
                " LIMIT {limit}"
                for one in CASTS
            ),
            "SELECT 1 FROM {view} AS v WHERE 1 / (v.{any} IS NULL)::int > 0 LIMIT {limit}",
            "SELECT 1 FROM {view} AS v WHERE 1 / (v.{any}::text < 'm')::int > 0 LIMIT {limit}",
            "SELECT 1 FROM {view} AS v WHERE 'x' ~ ('(' || v.{any}::text) LIMIT {limit}",
            "SELECT (ARRAY[1])[v.{any}::text::int] FROM {view} AS v LIMIT {limit}",
            "SELECT to_date(v.{any}::text, 'YYYY-MM-DD') FROM {view} AS v LIMIT {limit}",
            "SELECT current_setting(v.{any}::text) FROM {view} AS v LIMIT {limit}",
            "SELECT v.{any}::text::regclass FROM {view} AS v LIMIT {limit}",
            allowed=("42704", "42P01", "42602", "3F000", "0A000", "42601"),
        )
        + judged(
            "DO $hf$ DECLARE a text; b text; c text; d text; BEGIN"
            " PERFORM v.{any}::text::int FROM {view} AS v LIMIT {limit};"
            " EXCEPTION WHEN OTHERS THEN GET STACKED DIAGNOSTICS a = MESSAGE_TEXT,"
            " b = PG_EXCEPTION_DETAIL, c = PG_EXCEPTION_HINT, d = PG_EXCEPTION_CONTEXT;"
            " RAISE NOTICE '% % % %', a, b, c, d; END $hf$",
        ),
    ),
    Attack(
        id="explain",
        title="plans",
        does="EXPLAIN with ANALYZE, VERBOSE, SETTINGS, BUFFERS, GENERIC_PLAN, in each format",
        tries=(
            *judged(
                "EXPLAIN (VERBOSE, SETTINGS) SELECT * FROM {view}",
                "EXPLAIN (ANALYZE, VERBOSE, BUFFERS, FORMAT json) SELECT * FROM {view}"
                " LIMIT {limit}",
                "EXPLAIN (ANALYZE, VERBOSE, FORMAT xml) SELECT v FROM"
                " (SELECT * FROM {view} LIMIT {limit}) AS v ORDER BY v::text",
                "EXPLAIN (VERBOSE, FORMAT yaml) SELECT * FROM {view} AS v"
                " WHERE v.{any}::text = 'x'",
            ),
            Try(
                "EXPLAIN (GENERIC_PLAN, VERBOSE) SELECT * FROM {view} AS v"
                " WHERE v.{any}::text = $1",
                since=16,
            ),
            Try("EXPLAIN (ANALYZE, SERIALIZE, MEMORY) SELECT * FROM {view} LIMIT 9", since=17),
            *refused("EXPLAIN (ANALYZE, VERBOSE) SELECT * FROM {base} LIMIT {limit}"),
        ),
    ),
    Attack(
        id="debug-output",
        title="parse trees and plans as messages",
        does="debug_print_parse, …_rewritten and …_plan with client_min_messages = debug5",
        tries=judged(
            "SET LOCAL client_min_messages = debug5; SET LOCAL debug_pretty_print = on;"
            " SET LOCAL debug_print_parse = on;"
            " SET LOCAL debug_print_rewritten = on; SET LOCAL debug_print_plan = on;"
            " SELECT * FROM {view} LIMIT {limit}",
        ),
    ),
    Attack(
        id="statistics",
        title="stored statistics of the table",
        does="pg_stats, pg_stats_ext, pg_stats_ext_exprs, pg_statistic, pg_statistic_ext_data",
        tries=judged(
            "SELECT * FROM pg_stats WHERE schemaname IN ({schema}, {view_schema})",
            "SELECT * FROM pg_stats_ext WHERE schemaname IN ({schema}, {view_schema})",
        )
        + judged("SELECT * FROM pg_stats_ext_exprs WHERE schemaname = {schema}", since=14)
        + refused(
            "SELECT * FROM pg_statistic WHERE starelid = (SELECT oid FROM pg_class WHERE relname ="
            " {name} AND relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = {schema}))",
            "SELECT stxdmcv FROM pg_statistic_ext_data",
        ),
    ),
    Attack(
        id="prepared",
        title="prepared statements",
        does="PREPARE, and EXECUTE under generic and custom plans, across changes of settings",
        tries=judged(
            "DEALLOCATE ALL; PREPARE hf_p AS SELECT * FROM {view} LIMIT {limit}; EXECUTE hf_p;"
            " SET LOCAL plan_cache_mode = force_generic_plan; EXECUTE hf_p;"
            " SET LOCAL row_security = off; EXECUTE hf_p",
            "SET LOCAL plan_cache_mode = force_custom_plan; DEALLOCATE ALL; PREPARE hf_p (text) AS"
            " SELECT * FROM {view} AS v WHERE v::text <> $1 LIMIT {limit}; EXECUTE hf_p ('x');"
            " RESET ROLE; EXECUTE hf_p ('y'); SET LOCAL search_path = pg_temp; EXECUTE hf_p ('z');"
            " EXPLAIN (VERBOSE) EXECUTE hf_p ('x')",
        ),
    ),
    Attack(
        id="output-settings",
        title="settings that change how values are written",
        does="DateStyle, TimeZone, bytea_output, extra_float_digits, row_security and others",
        tries=judged(
            *(
                f"SET LOCAL {one}; SELECT v, v.* FROM {{view}} AS v LIMIT {{limit}}"
                for one in FORMATS
            ),
            allowed=("42501",),
        )
        + refused(
            "SET LOCAL session_replication_role = replica; SELECT * FROM {view} LIMIT {limit}"
        ),
    ),
)
