-- What the views of a schema read: columns, with where each stands, and those that policies of their
-- tables read elsewhere; and the schemas of what is named in them beside that: functions, operators,
-- types. A view that reads a relation and none of its
-- columns needs SELECT on one of them all the same: then column is the first, and bare is true.
WITH d AS (
    SELECT c.relname::text AS view, c.oid, d.refclassid, d.refobjid, d.refobjsubid
    FROM pg_catalog.pg_class c
    JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    JOIN pg_catalog.pg_rewrite w ON w.ev_class = c.oid
    JOIN pg_catalog.pg_depend d
        ON d.classid = 'pg_catalog.pg_rewrite'::regclass AND d.objid = w.oid
    WHERE n.nspname::text = %(schema)s::text AND c.relname::text = ANY (%(views)s::text[])
),
e AS (
    SELECT view, refobjid, refobjsubid
    FROM d WHERE refclassid = 'pg_catalog.pg_class'::regclass AND refobjid <> oid
),
r AS (
    SELECT view, refobjid AS oid, array_agg(DISTINCT refobjsubid) AS numbers
    FROM (
        SELECT * FROM e
        UNION ALL
        SELECT e.view, p.refobjid, p.refobjsubid
        FROM e
        JOIN pg_catalog.pg_class t ON t.oid = e.refobjid AND t.relrowsecurity
        JOIN pg_catalog.pg_policy o ON o.polrelid = t.oid AND o.polcmd IN ('*', 'r')
        JOIN pg_catalog.pg_depend p
            ON p.classid = 'pg_catalog.pg_policy'::regclass AND p.objid = o.oid
            AND p.refclassid = 'pg_catalog.pg_class'::regclass AND p.refobjid <> t.oid
    ) AS f
    GROUP BY 1, 2
)
SELECT DISTINCT
    r.view,
    n.nspname::text AS schema,
    t.relname::text AS name,
    a.attname::text AS column,
    r.numbers = ARRAY[0] AS bare
FROM r
JOIN pg_catalog.pg_class t ON t.oid = r.oid
JOIN pg_catalog.pg_namespace n ON n.oid = t.relnamespace
LEFT JOIN pg_catalog.pg_attribute a ON a.attrelid = t.oid AND CASE
    WHEN r.numbers = ARRAY[0] THEN a.attnum = (
        SELECT min(f.attnum) FROM pg_catalog.pg_attribute f
        WHERE f.attrelid = t.oid AND f.attnum > 0 AND NOT f.attisdropped
    )
    ELSE a.attnum = ANY (r.numbers) AND a.attnum <> 0
END
UNION
SELECT d.view, n.nspname::text, NULL, NULL, false
FROM d
JOIN (
    SELECT 'pg_catalog.pg_proc'::regclass::oid AS class, oid, pronamespace AS namespace
    FROM pg_catalog.pg_proc
    UNION ALL
    SELECT 'pg_catalog.pg_operator'::regclass, oid, oprnamespace FROM pg_catalog.pg_operator
    UNION ALL
    SELECT 'pg_catalog.pg_type'::regclass, oid, typnamespace FROM pg_catalog.pg_type
    UNION ALL
    SELECT 'pg_catalog.pg_collation'::regclass, oid, collnamespace FROM pg_catalog.pg_collation
) AS o ON o.class = d.refclassid AND o.oid = d.refobjid
JOIN pg_catalog.pg_namespace n ON n.oid = o.namespace
WHERE n.nspname NOT IN ('pg_catalog', 'information_schema')
ORDER BY 1, 2, 3, 4
