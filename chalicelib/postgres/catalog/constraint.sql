-- kind: constraint
-- needs: SELECT on pg_constraint, pg_class, pg_type, pg_trigger, pg_namespace, pg_depend, pg_description
-- since: 13
-- name: {name}
-- of: {meta_parent} {meta_of}
-- required: definition
-- NOT NULL constraints (18) are attributes of columns. A foreign key to a partitioned table has one
-- more row for each partition; those are made by the server and left out, but
-- their triggers count: those on the partitions of the referenced table belong to them.
WITH RECURSIVE family (root, oid, conrelid) AS (
    SELECT k.oid, k.oid, k.conrelid FROM pg_constraint AS k WHERE k.conrelid <> 0
    UNION ALL
    SELECT f.root, k.oid, k.conrelid
    FROM family AS f
    JOIN pg_constraint AS k ON k.conparentid = f.oid AND k.conrelid = f.conrelid
), enforcement AS (
    SELECT f.root, bool_and(g.tgenabled IN ('O', 'A')) AS enabled
    FROM family AS f
    JOIN pg_trigger AS g ON g.tgconstraint = f.oid AND g.tgisinternal
    GROUP BY f.root
)
SELECT
    CASE WHEN c.oid IS NOT NULL
        THEN ARRAY[cn.nspname, c.relname, k.conname]::text[]
        ELSE ARRAY[tn.nspname, t.typname, k.conname]::text[]
    END AS name,
    CASE WHEN c.oid IS NOT NULL THEN 'table' ELSE 'type' END AS meta_parent,
    CASE WHEN c.oid IS NOT NULL
        THEN ARRAY[cn.nspname, c.relname]::text[] ELSE ARRAY[tn.nspname, t.typname]::text[]
    END AS meta_of,
    ARRAY[k.xmin::text] AS meta_xmin,
    CASE k.contype
        WHEN 'p' THEN 'primary key' WHEN 'u' THEN 'unique' WHEN 'f' THEN 'foreign key'
        WHEN 'c' THEN 'check' WHEN 'x' THEN 'exclude' WHEN 't' THEN 'trigger'
    END AS type,
    pg_get_constraintdef(k.oid) AS definition,
    k.condeferrable AS deferrable,
    k.condeferred AS initially_deferred,
    k.convalidated AS validated,
    NULLIF(k.conenforced, true) AS enforced, --@ >=18
    CASE WHEN k.contype = 'c' THEN k.connoinherit END AS no_inherit,
    NULLIF(e.enabled, true) AS triggers_enabled,
    m.description AS comment
FROM pg_constraint AS k
LEFT JOIN pg_class AS c ON c.oid = k.conrelid AND k.conrelid <> 0
LEFT JOIN pg_namespace AS cn ON cn.oid = c.relnamespace
LEFT JOIN pg_type AS t ON t.oid = k.contypid AND k.contypid <> 0
LEFT JOIN pg_namespace AS tn ON tn.oid = t.typnamespace
LEFT JOIN pg_constraint AS up ON up.oid = k.conparentid AND k.conparentid <> 0
LEFT JOIN enforcement AS e ON e.root = k.oid
LEFT JOIN pg_description AS m
    ON m.objoid = k.oid AND m.classoid = 'pg_constraint'::regclass AND m.objsubid = 0
WHERE k.contype <> 'n'
    AND (c.oid IS NOT NULL OR t.oid IS NOT NULL)
    AND coalesce(c.oid, t.oid) >= 16384
    AND coalesce(cn.nspname, tn.nspname) !~ '^pg_(toast_)?temp_[0-9]+$'
    AND up.conrelid IS DISTINCT FROM k.conrelid
    AND NOT EXISTS (
        SELECT FROM pg_depend AS x
        WHERE x.classid = 'pg_class'::regclass AND x.objid = c.oid AND x.deptype = 'e'
    )
    AND NOT EXISTS (
        SELECT FROM pg_depend AS x
        WHERE x.classid = 'pg_type'::regclass AND x.objid = t.oid AND x.deptype = 'e'
    )
