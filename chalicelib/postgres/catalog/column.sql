-- kind: column
-- needs: SELECT on pg_attribute, pg_attrdef, pg_class, pg_namespace, pg_type, pg_collation, pg_constraint, pg_depend, pg_description
-- since: 13
-- name: {name}
-- of: {meta_parent} {meta_relation}
-- required: type
SELECT
    ARRAY[n.nspname, c.relname, a.attname]::text[] AS name,
    CASE WHEN c.relkind IN ('v', 'm') THEN 'view' ELSE 'table' END AS meta_parent,
    ARRAY[n.nspname, c.relname]::text[] AS meta_relation,
    ARRAY[a.xmin::text, d.xmin::text] AS meta_xmin,
    format_type(a.atttypid, a.atttypmod) AS type,
    row_number() OVER (PARTITION BY a.attrelid ORDER BY a.attnum)::integer AS position,
    CASE WHEN c.relkind NOT IN ('v', 'm') THEN a.attnotnull END AS not_null,
    CASE WHEN EXISTS ( --@ >=18
        SELECT FROM pg_constraint AS k --@ >=18
        WHERE k.conrelid = c.oid AND k.contype = 'n' --@ >=18
            AND k.conkey = ARRAY[a.attnum] AND NOT k.convalidated --@ >=18
    ) THEN false END AS not_null_validated, --@ >=18
    CASE WHEN EXISTS ( --@ >=18
        SELECT FROM pg_constraint AS k --@ >=18
        WHERE k.conrelid = c.oid AND k.contype = 'n' --@ >=18
            AND k.conkey = ARRAY[a.attnum] AND k.connoinherit --@ >=18
    ) THEN true END AS not_null_no_inherit, --@ >=18
    CASE WHEN a.attgenerated = '' THEN pg_get_expr(d.adbin, d.adrelid) END AS default,
    CASE a.attgenerated WHEN 's' THEN 'stored' WHEN 'v' THEN 'virtual' END AS generated,
    CASE WHEN a.attgenerated <> '' THEN pg_get_expr(d.adbin, d.adrelid) END AS generation,
    CASE a.attidentity WHEN 'a' THEN 'always' WHEN 'd' THEN 'by default' END AS identity,
    CASE WHEN l.oid IS NOT NULL AND c.relkind NOT IN ('v', 'm')
        THEN ARRAY[ln.nspname, l.collname]::text[] END AS collation__id,
    CASE WHEN c.relkind <> 'v' THEN
        CASE a.attstorage
            WHEN 'p' THEN 'plain' WHEN 'e' THEN 'external' WHEN 'x' THEN 'extended' ELSE 'main'
        END
    END AS storage,
    CASE a.attcompression WHEN 'p' THEN 'pglz' WHEN 'l' THEN 'lz4' END AS compression, --@ >=14
    NULLIF(a.attstattarget, -1)::integer AS statistics_target,
    coalesce(a.attoptions, '{}') || coalesce(a.attfdwoptions, '{}') AS options__options,
    m.description AS comment
FROM pg_attribute AS a
JOIN pg_class AS c ON c.oid = a.attrelid
JOIN pg_namespace AS n ON n.oid = c.relnamespace
JOIN pg_type AS t ON t.oid = a.atttypid
LEFT JOIN pg_attrdef AS d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
LEFT JOIN pg_collation AS l ON l.oid = a.attcollation AND a.attcollation <> t.typcollation
LEFT JOIN pg_namespace AS ln ON ln.oid = l.collnamespace
LEFT JOIN pg_description AS m
    ON m.objoid = c.oid AND m.classoid = 'pg_class'::regclass AND m.objsubid = a.attnum
WHERE a.attnum > 0
    AND NOT a.attisdropped
    AND c.relkind IN ('r', 'p', 'f', 'v', 'm')
    AND c.oid >= 16384
    AND n.nspname !~ '^pg_(toast_)?temp_[0-9]+$'
    AND NOT EXISTS (
        SELECT FROM pg_depend AS x
        WHERE x.classid = 'pg_class'::regclass AND x.objid = c.oid AND x.deptype = 'e'
    )
