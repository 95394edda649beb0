# ruff: noqa: S608 - these are templates of the module's own text; names and values come later
"""Attacks that read: the relation beside its view, and the view in every form that there is."""

from __future__ import annotations

from typing import Final

from chalicelib.access.attack.tries import Attack, Try, judged, refused

NO_COLUMN: Final = ("42703",)
NO_FUNCTION: Final = ("42883",)

_SOME: Final = "(SELECT * FROM {view} LIMIT {limit}) AS v"
_DIGEST: Final = "encode(sha256(textsend({salt} || btrim(v.{strict}::text, E' \\t\\n\\r'))), 'hex')"

ATTACKS: Final = (
    Attack(
        id="shown",
        title="the view shows what it masks",
        does="reads the view and looks for clear values in columns that are masked",
    ),
    Attack(
        id="unkeyed",
        title="a mask is a plain hash of the value",
        does="looks for MD5, SHA-1, SHA-2 of clear values in columns whose mask is no `hash`",
    ),
    Attack(
        id="base-read",
        title="the table beside its view",
        does="SELECT, TABLE, ONLY, whole rows, ctid, each masked and each left-out column",
        tries=refused(
            "SELECT * FROM {base} LIMIT {limit}",
            "TABLE {base} LIMIT {limit}",
            "SELECT * FROM ONLY {base} LIMIT {limit}",
            "SELECT b FROM {base} AS b LIMIT {limit}",
            "SELECT 1 FROM {base} LIMIT 1",
            "SELECT b.{out} FROM {base} AS b LIMIT {limit}",
        )
        + refused("SELECT b.ctid FROM {base} AS b LIMIT 1", allowed=NO_COLUMN),
    ),
    Attack(
        id="base-copy",
        title="the table by COPY",
        does="COPY of the table, of each column that the view hides, and of queries over it",
        tries=refused(
            "COPY {base} TO STDOUT",
            "COPY {base} ({out}) TO STDOUT",
            "COPY (SELECT * FROM {base} LIMIT {limit}) TO STDOUT",
        ),
    ),
    Attack(
        id="base-parts",
        title="what else stores the rows",
        does="partitions, children, TOAST and sequences of the table",
        tries=refused("SELECT * FROM {part} LIMIT {limit}"),
    ),
    Attack(
        id="base-pages",
        title="pages of the table",
        does="pageinspect, pgstattuple, pgrowlocks, pg_visibility and others, where installed",
        tries=refused(
            "SELECT {fn_get_raw_page}({base_text}, 0)",
            "SELECT * FROM {fn_pgstattuple}({base_text}::regclass)",
            "SELECT * FROM {fn_pgrowlocks}({base_text})",
            "SELECT * FROM {fn_pg_visibility}({base_text}::regclass) LIMIT 1",
            "SELECT * FROM {fn_pg_freespace}({base_text}::regclass) LIMIT 1",
            "SELECT * FROM {fn_verify_heapam}({base_text}::regclass, endblock => 0)",
            allowed=("42809", "0A000", "22023"),
        ),
    ),
    Attack(
        id="view-copy",
        title="the view by COPY",
        does="COPY of queries over the view as text, CSV and binary; COPY of the view",
        tries=judged(
            "COPY (SELECT * FROM {view} LIMIT {limit}) TO STDOUT",
            "COPY (SELECT v FROM {view} AS v LIMIT {limit}) TO STDOUT (FORMAT csv, HEADER)",
            "COPY (SELECT * FROM {view} LIMIT {limit}) TO STDOUT (FORMAT binary)",
        )
        + refused("COPY {view} TO STDOUT"),
    ),
    Attack(
        id="whole-rows",
        title="rows of the view as one value",
        does="row_to_json, to_jsonb, hstore, records, and the names of columns that it has not",
        tries=judged(
            "SELECT row_to_json(v) FROM {view} AS v LIMIT {limit}",
            "SELECT to_jsonb(v) FROM {view} AS v LIMIT {limit}",
            "SELECT v::text FROM {view} AS v LIMIT {limit}",
            "SELECT e.* FROM (SELECT * FROM {view} LIMIT {limit}) AS v,"
            " LATERAL jsonb_each_text(to_jsonb(v)) AS e",
            "SELECT json_agg(v) FROM (SELECT * FROM {view} LIMIT {limit}) AS v",
            "SELECT {fn_hstore}(v) FROM {view} AS v LIMIT {limit}",
        )
        + judged("SELECT v.{left} FROM {view} AS v LIMIT {limit}", allowed=NO_COLUMN)
        + judged("SELECT {left}(v) FROM {view} AS v LIMIT {limit}", allowed=NO_FUNCTION)
        + refused(
            "SELECT v.ctid, v.tableoid, v.xmin FROM {view} AS v LIMIT {limit}", allowed=NO_COLUMN
        ),
    ),
    Attack(
        id="xml",
        title="rows as XML",
        does="query_to_xml, cursor_to_xml, table_to_xml, and schema_to_xml of what is small",
        tries=judged(
            "SELECT query_to_xml({query_text}, true, false, '')",
            "SELECT query_to_xml_and_xmlschema({query_text}, true, true, '')",
            "DECLARE c CURSOR FOR SELECT * FROM {view} LIMIT {limit};"
            " SELECT cursor_to_xml('c', {limit}, true, false, '')",
            # Only what the holder may read is in it: of a schema that has much, nothing is asked.
            "SELECT CASE WHEN (SELECT coalesce(sum(CASE relkind WHEN 'v' THEN 4194304 ELSE"
            " pg_relation_size(oid) END), 0) FROM pg_class WHERE relnamespace ="
            " (SELECT oid FROM pg_namespace WHERE nspname = {schema}) AND relkind IN"
            " ('r', 'm', 'v') AND has_table_privilege(oid, 'SELECT')) < 4194304"
            " THEN schema_to_xml({schema}, true, false, '') END",
        )
        + refused(
            "SELECT table_to_xml({base_text}::regclass, true, false, '')",
            "SELECT table_to_xml_and_xmlschema({base_text}::regclass, true, false, '')",
            "SELECT query_to_xml({base_query_text}, true, false, '')",
        ),
    ),
    Attack(
        id="cursors",
        title="cursors over the view",
        does="SCROLL, BINARY, WITH HOLD, MOVE, FETCH BACKWARD; WHERE CURRENT OF on the table",
        tries=judged(
            "DECLARE c SCROLL CURSOR FOR SELECT * FROM {view} LIMIT {limit};"
            " MOVE LAST FROM c; FETCH BACKWARD ALL FROM c",
            "DECLARE c BINARY CURSOR FOR SELECT v FROM {view} AS v LIMIT {limit}; FETCH ALL FROM c",
            "DECLARE c SCROLL CURSOR WITH HOLD FOR SELECT * FROM {view} LIMIT {limit};"
            " FETCH ALL FROM c",
        )
        + refused(
            "DECLARE c CURSOR FOR SELECT * FROM {base}; FETCH 1 FROM c",
            "DECLARE c CURSOR FOR SELECT * FROM {view}; FETCH 1 FROM c;"
            " DELETE FROM {base} WHERE CURRENT OF c",
        ),
    ),
    Attack(
        id="aggregates",
        title="minimum, maximum, ranks and groups of masked columns",
        does="min, max, percentile, mode, array_agg, DISTINCT, GROUP BY, windows",
        tries=judged(
            "SELECT min({column}::text), max({column}::text) FROM"
            " (SELECT * FROM {view} LIMIT {limit}) AS v",
            "SELECT percentile_disc(ARRAY[0, 0.5, 1]) WITHIN GROUP (ORDER BY {column}::text),"
            " mode() WITHIN GROUP (ORDER BY {column}::text),"
            " array_agg({column}::text ORDER BY {column}::text)"
            " FROM (SELECT * FROM {view} LIMIT {limit}) AS v",
            "SELECT DISTINCT {column}::text FROM (SELECT * FROM {view} LIMIT {limit}) AS v",
            "SELECT {column}::text, count(*) FROM (SELECT * FROM {view} LIMIT {limit}) AS v"
            " GROUP BY GROUPING SETS (({column}::text), ())",
            "SELECT rank() OVER w, first_value({column}::text) OVER w,"
            " lag({column}::text) OVER w FROM (SELECT * FROM {view} LIMIT {limit}) AS v"
            " WINDOW w AS (ORDER BY {column}::text)",
        ),
    ),
    Attack(
        id="order",
        title="the order of clear values",
        does="sorts by each masked column and compares the order with that of the clear values;"
        " masks that keep it on purpose are not judged",
    ),
    Attack(
        id="guesses",
        title="clear values found in masked columns",
        does="looks for clear values in WHERE, a join and HAVING, by salted digests, so that no"
        " value stands in the server's log; masks that coarsen, and `constant`, are not judged",
        tries=tuple(
            Try(one, "nothing")
            for one in (
                f"SELECT 1 FROM {_SOME} WHERE {_DIGEST} = ANY ({{guesses}}::text[]) LIMIT 1",
                (
                    f"SELECT 1 FROM {_SOME} JOIN unnest({{guesses}}::text[]) AS g (x)"
                    f" ON {_DIGEST} = g.x LIMIT 1"
                ),
                (
                    f"SELECT count(*) FROM {_SOME} GROUP BY {_DIGEST} HAVING {_DIGEST} = ANY"
                    " ({guesses}::text[])"
                ),
            )
        ),
    ),
    Attack(
        id="sampling",
        title="samples",
        does="TABLESAMPLE on the view and on the table",
        tries=refused(
            "SELECT * FROM {view} TABLESAMPLE BERNOULLI (100) LIMIT {limit}",
            "SELECT * FROM {base} TABLESAMPLE SYSTEM (100) LIMIT {limit}",
        ),
    ),
    Attack(
        id="definitions",
        title="definitions of the view and of the table",
        does="pg_get_viewdef, pg_views, pg_rewrite, constraints, policies, defaults, comments",
        tries=judged(
            "SELECT pg_get_viewdef({view_text}::regclass, true), pg_get_viewdef({view_text}"
            "::regclass, 1)",
            "SELECT * FROM pg_views WHERE schemaname = {view_schema} AND viewname = {name}",
            "SELECT * FROM information_schema.views WHERE table_schema = {view_schema}"
            " AND table_name = {name}",
            "SELECT ev_action, ev_qual FROM pg_rewrite WHERE ev_class = {view_text}::regclass",
            "SELECT pg_get_constraintdef(oid), conbin FROM pg_constraint"
            " WHERE conrelid = (SELECT oid FROM pg_class WHERE relname = {name} AND"
            " relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = {schema}))",
            "SELECT * FROM pg_policies WHERE tablename = {name}",
            "SELECT p.prosrc, p.proname FROM pg_depend AS d JOIN pg_rewrite AS r ON d.objid = r.oid"
            " JOIN pg_proc AS p ON d.refobjid = p.oid WHERE r.ev_class = {view_text}::regclass"
            " AND d.refclassid = 'pg_proc'::regclass",
            "SELECT description FROM pg_description WHERE objoid = {view_text}::regclass",
        ),
    ),
)
