-- kind: index
-- needs: SELECT on pg_index, pg_class, pg_attribute, pg_namespace, pg_inherits, pg_extension, pg_tablespace, pg_depend, pg_description
-- since: 13
-- name: {name}
-- of: {meta_parent} {meta_of}
-- required: definition__statement
WITH bound AS (
    SELECT d.objid, array_agg(ARRAY[e.extname]::text[] ORDER BY e.extname COLLATE "C") AS extensions
    FROM pg_extension AS e
    JOIN pg_depend AS d
        ON d.refclassid = 'pg_extension'::regclass AND d.refobjid = e.oid
        AND d.classid = 'pg_class'::regclass AND d.deptype = 'x'
    GROUP BY d.objid
), targets AS (
    SELECT
        a.attrelid, array_agg(a.attnum || ': ' || a.attstattarget ORDER BY a.attnum) AS targets
    FROM pg_attribute AS a
    WHERE a.attnum > 0 AND a.attstattarget >= 0
    GROUP BY a.attrelid
)
SELECT
    ARRAY[n.nspname, c.relname]::text[] AS name,
    CASE t.relkind WHEN 'm' THEN 'view' ELSE 'table' END AS meta_parent,
    ARRAY[tn.nspname, t.relname]::text[] AS meta_of,
    ARRAY[i.xmin::text, c.xmin::text] AS meta_xmin,
    pg_get_indexdef(c.oid) AS definition__statement,
    i.indisunique AS unique,
    i.indisprimary AS primary,
    i.indisvalid AS valid,
    i.indisready AS ready,
    i.indislive AS live,
    i.indisclustered AS clustered,
    i.indisreplident AS replica_identity,
    CASE WHEN p.oid IS NOT NULL THEN ARRAY[pn.nspname, p.relname]::text[] END AS partition_of__id,
    g.targets AS statistics_targets,
    b.extensions AS depends_on__list,
    CASE WHEN s.oid IS NOT NULL THEN ARRAY[s.spcname]::text[] END AS tablespace__id,
    m.description AS comment
FROM pg_index AS i
JOIN pg_class AS c ON c.oid = i.indexrelid
JOIN pg_namespace AS n ON n.oid = c.relnamespace
JOIN pg_class AS t ON t.oid = i.indrelid
JOIN pg_namespace AS tn ON tn.oid = t.relnamespace
LEFT JOIN pg_inherits AS h ON h.inhrelid = c.oid
LEFT JOIN pg_class AS p ON p.oid = h.inhparent
LEFT JOIN pg_namespace AS pn ON pn.oid = p.relnamespace
LEFT JOIN targets AS g ON g.attrelid = c.oid
LEFT JOIN bound AS b ON b.objid = c.oid
LEFT JOIN pg_tablespace AS s ON s.oid = c.reltablespace
LEFT JOIN pg_description AS m
    ON m.objoid = c.oid AND m.classoid = 'pg_class'::regclass AND m.objsubid = 0
WHERE t.relkind IN ('r', 'p', 'm')
    AND (t.oid >= 16384 OR c.oid >= 16384)
    AND n.nspname !~ '^pg_(toast_)?temp_[0-9]+$'
    AND NOT EXISTS (
        SELECT FROM pg_depend AS x
        WHERE x.classid = 'pg_class'::regclass AND x.objid = t.oid AND x.deptype = 'e'
    )
