-- kind: trigger
-- needs: SELECT on pg_trigger, pg_class, pg_proc, pg_namespace, pg_extension, pg_depend, pg_description
-- since: 13
-- if: FROM pg_trigger WHERE NOT tgisinternal
-- name: {name}
-- of: {meta_parent} {meta_of}
-- required: definition__statement
-- Those that enforce keys are the server's own, and attributes of the constraint. A trigger of a partitioned
-- table has a copy on each partition, which has a state of its own; before 15 copies pass for internal.
WITH bound AS (
    SELECT d.objid, array_agg(ARRAY[e.extname]::text[] ORDER BY e.extname COLLATE "C") AS extensions
    FROM pg_extension AS e
    JOIN pg_depend AS d
        ON d.refclassid = 'pg_extension'::regclass AND d.refobjid = e.oid
        AND d.classid = 'pg_trigger'::regclass AND d.deptype = 'x'
    GROUP BY d.objid
)
SELECT
    ARRAY[n.nspname, c.relname, g.tgname]::text[] AS name,
    CASE c.relkind WHEN 'v' THEN 'view' ELSE 'table' END AS meta_parent,
    ARRAY[n.nspname, c.relname]::text[] AS meta_of,
    ARRAY[g.xmin::text] AS meta_xmin, --@ dated
    pg_get_triggerdef(g.oid) AS definition__statement,
    CASE g.tgenabled
        WHEN 'O' THEN 'origin' WHEN 'D' THEN 'disabled' WHEN 'R' THEN 'replica' ELSE 'always'
    END AS enabled,
    ARRAY[pn.nspname, p.proname]::text[] AS function__routine,
    CASE WHEN u.oid IS NOT NULL THEN ARRAY[un.nspname, uc.relname, u.tgname]::text[] END
        AS partition_of__id,
    b.extensions AS depends_on__list,
    m.description AS comment
FROM pg_trigger AS g
JOIN pg_class AS c ON c.oid = g.tgrelid
JOIN pg_namespace AS n ON n.oid = c.relnamespace
JOIN pg_proc AS p ON p.oid = g.tgfoid
JOIN pg_namespace AS pn ON pn.oid = p.pronamespace
LEFT JOIN pg_trigger AS u ON u.oid = g.tgparentid AND g.tgparentid <> 0
LEFT JOIN pg_class AS uc ON uc.oid = u.tgrelid
LEFT JOIN pg_namespace AS un ON un.oid = uc.relnamespace
LEFT JOIN bound AS b ON b.objid = g.oid
LEFT JOIN pg_description AS m
    ON m.objoid = g.oid AND m.classoid = 'pg_trigger'::regclass AND m.objsubid = 0
WHERE NOT g.tgisinternal --@ >=15
WHERE (NOT g.tgisinternal OR g.tgparentid <> 0) --@ <15
    AND (c.oid >= 16384 OR g.oid >= 16384)
    AND n.nspname !~ '^pg_(toast_)?temp_[0-9]+$'
    AND NOT EXISTS (
        SELECT FROM pg_depend AS x
        WHERE x.classid = 'pg_class'::regclass AND x.objid = c.oid AND x.deptype = 'e'
            AND x.refclassid = 'pg_extension'::regclass
    )
