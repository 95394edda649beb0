-- kind: trigger
-- needs: SELECT on pg_trigger, pg_class, pg_proc, pg_namespace, pg_depend, pg_description
-- since: 13
-- name: {name}
-- of: {meta_parent} {meta_of}
-- required: definition
-- Those that enforce foreign keys are the server's own: see triggers_enabled of a constraint.
SELECT
    ARRAY[n.nspname, c.relname, g.tgname]::text[] AS name,
    CASE c.relkind WHEN 'v' THEN 'view' ELSE 'table' END AS meta_parent,
    ARRAY[n.nspname, c.relname]::text[] AS meta_of,
    ARRAY[g.xmin::text] AS meta_xmin,
    pg_get_triggerdef(g.oid) AS definition,
    CASE g.tgenabled
        WHEN 'O' THEN 'origin' WHEN 'D' THEN 'disabled' WHEN 'R' THEN 'replica' ELSE 'always'
    END AS enabled,
    ARRAY[pn.nspname, p.proname]::text[] AS function__routine,
    m.description AS comment
FROM pg_trigger AS g
JOIN pg_class AS c ON c.oid = g.tgrelid
JOIN pg_namespace AS n ON n.oid = c.relnamespace
JOIN pg_proc AS p ON p.oid = g.tgfoid
JOIN pg_namespace AS pn ON pn.oid = p.pronamespace
LEFT JOIN pg_description AS m
    ON m.objoid = g.oid AND m.classoid = 'pg_trigger'::regclass AND m.objsubid = 0
WHERE NOT g.tgisinternal
    AND c.oid >= 16384
    AND n.nspname !~ '^pg_(toast_)?temp_[0-9]+$'
    AND NOT EXISTS (
        SELECT FROM pg_depend AS x
        WHERE x.classid = 'pg_class'::regclass AND x.objid = c.oid AND x.deptype = 'e'
    )
