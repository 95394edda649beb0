-- kind: index
-- needs: SELECT on pg_index, pg_class, pg_namespace, pg_inherits, pg_tablespace, pg_depend, pg_description
-- since: 13
-- name: {name}
-- of: {meta_parent} {meta_of}
-- required: definition
SELECT
    ARRAY[n.nspname, c.relname]::text[] AS name,
    CASE t.relkind WHEN 'm' THEN 'view' ELSE 'table' END AS meta_parent,
    ARRAY[tn.nspname, t.relname]::text[] AS meta_of,
    ARRAY[i.xmin::text, c.xmin::text] AS meta_xmin,
    pg_get_indexdef(c.oid) AS definition,
    i.indisunique AS unique,
    i.indisprimary AS primary,
    i.indisvalid AS valid,
    i.indisready AS ready,
    i.indislive AS live,
    i.indisclustered AS clustered,
    i.indisreplident AS replica_identity,
    (
        SELECT ARRAY[pn.nspname, p.relname]::text[]
        FROM pg_inherits AS h
        JOIN pg_class AS p ON p.oid = h.inhparent
        JOIN pg_namespace AS pn ON pn.oid = p.relnamespace
        WHERE h.inhrelid = c.oid LIMIT 1
    ) AS partition_of__id,
    CASE WHEN s.oid IS NOT NULL THEN ARRAY[s.spcname]::text[] END AS tablespace__id,
    m.description AS comment
FROM pg_index AS i
JOIN pg_class AS c ON c.oid = i.indexrelid
JOIN pg_namespace AS n ON n.oid = c.relnamespace
JOIN pg_class AS t ON t.oid = i.indrelid
JOIN pg_namespace AS tn ON tn.oid = t.relnamespace
LEFT JOIN pg_tablespace AS s ON s.oid = c.reltablespace
LEFT JOIN pg_description AS m
    ON m.objoid = c.oid AND m.classoid = 'pg_class'::regclass AND m.objsubid = 0
WHERE t.relkind IN ('r', 'p', 'm')
    AND t.oid >= 16384
    AND n.nspname !~ '^pg_(toast_)?temp_[0-9]+$'
    AND NOT EXISTS (
        SELECT FROM pg_depend AS x
        WHERE x.classid = 'pg_class'::regclass AND x.objid = t.oid AND x.deptype = 'e'
    )
