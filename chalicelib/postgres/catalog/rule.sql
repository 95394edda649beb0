-- kind: rule
-- needs: SELECT on pg_rewrite, pg_class, pg_namespace, pg_depend, pg_description
-- since: 13
-- if: FROM pg_rewrite WHERE ev_type <> '1' AND (oid >= 16384 OR ev_class >= 16384)
-- name: {name}
-- of: {meta_parent} {meta_of}
-- required: definition__statement
-- Those that are views themselves (ON SELECT) are the views' definitions.
SELECT
    ARRAY[n.nspname, c.relname, w.rulename]::text[] AS name,
    CASE WHEN c.relkind IN ('v', 'm') THEN 'view' ELSE 'table' END AS meta_parent,
    ARRAY[n.nspname, c.relname]::text[] AS meta_of,
    ARRAY[w.xmin::text] AS meta_xmin, --@ dated
    pg_get_ruledef(w.oid) AS definition__statement,
    CASE w.ev_enabled
        WHEN 'O' THEN 'origin' WHEN 'D' THEN 'disabled' WHEN 'R' THEN 'replica' ELSE 'always'
    END AS enabled,
    m.description AS comment
FROM pg_rewrite AS w
JOIN pg_class AS c ON c.oid = w.ev_class
JOIN pg_namespace AS n ON n.oid = c.relnamespace
LEFT JOIN pg_description AS m
    ON m.objoid = w.oid AND m.classoid = 'pg_rewrite'::regclass AND m.objsubid = 0
WHERE w.ev_type <> '1'
    AND (c.oid >= 16384 OR w.oid >= 16384)
    AND n.nspname !~ '^pg_(toast_)?temp_[0-9]+$'
    AND NOT EXISTS (
        SELECT FROM pg_depend AS x
        WHERE x.classid = 'pg_class'::regclass AND x.objid = c.oid AND x.deptype = 'e'
            AND x.refclassid = 'pg_extension'::regclass
    )
