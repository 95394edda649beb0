-- kind: column
-- needs: SELECT on pg_attribute, pg_attrdef, pg_class, pg_namespace, pg_type, pg_collation, pg_constraint, pg_inherits, pg_depend, pg_description
-- since: 13
-- name: {name}
-- of: {meta_of}
-- required: type
-- A column's number in the catalogue is no position: numbers have gaps where columns were dropped. In a
-- table with parents the position is the one that a dump gives: first what comes from parents, in their
-- order and in the first of them that has it, then the table's own. Partitions keep the order that they
-- have. A lineage is followed for 100 generations at most.
WITH RECURSIVE relation AS MATERIALIZED (
    SELECT
        c.oid, c.relname, c.relkind, c.relispartition,
        CASE WHEN n.nspname ~ '^[a-z_][a-z0-9_$]*$' THEN n.nspname
            ELSE '"' || replace(n.nspname, '"', '""') || '"' END
        || '.' || CASE WHEN c.relname ~ '^[a-z_][a-z0-9_$]*$' THEN c.relname
            ELSE '"' || replace(c.relname, '"', '""') || '"' END AS name
    FROM pg_class AS c
    JOIN pg_namespace AS n ON n.oid = c.relnamespace
    WHERE c.relkind IN ('r', 'p', 'f', 'v', 'm')
        AND c.oid >= 16384
        AND n.nspname !~ '^pg_(toast_)?temp_[0-9]+$'
        AND NOT EXISTS (
            SELECT FROM pg_depend AS x
            WHERE x.classid = 'pg_class'::regclass AND x.objid = c.oid AND x.deptype = 'e'
            AND x.refclassid = 'pg_extension'::regclass
        )
), gap AS MATERIALIZED (
    SELECT a.attrelid, array_agg(a.attnum) AS numbers
    FROM pg_attribute AS a
    WHERE a.attnum > 0 AND a.attisdropped
    GROUP BY a.attrelid
), child AS (
    SELECT DISTINCT h.inhrelid AS oid
    FROM pg_inherits AS h
    JOIN pg_class AS c ON c.oid = h.inhrelid AND NOT c.relispartition AND c.relkind IN ('r', 'f')
), origin AS (
    SELECT DISTINCT ON (a.attrelid, a.attnum)
        a.attrelid AS relation, a.attnum AS number, a.attname AS name, h.inhparent AS at,
        CASE WHEN p.attinhcount > 0 THEN ARRAY[h.inhseqno]
            ELSE ARRAY[h.inhseqno, 2147483647, p.attnum] END AS path,
        p.attinhcount > 0 AS more
    FROM child AS c
    JOIN pg_attribute AS a
        ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped AND a.attinhcount > 0
    JOIN pg_inherits AS h ON h.inhrelid = c.oid
    JOIN pg_attribute AS p
        ON p.attrelid = h.inhparent AND p.attname = a.attname AND NOT p.attisdropped
    ORDER BY a.attrelid, a.attnum, h.inhseqno
), lineage AS (
    SELECT o.relation, o.number, o.name, o.at, o.path, o.more, 1 AS generation FROM origin AS o
    UNION ALL
    SELECT l.relation, l.number, l.name, f.at, l.path || f.path, f.more, l.generation + 1
    FROM lineage AS l
    CROSS JOIN LATERAL (
        SELECT
            h.inhparent AS at,
            CASE WHEN p.attinhcount > 0 THEN ARRAY[h.inhseqno]
                ELSE ARRAY[h.inhseqno, 2147483647, p.attnum] END AS path,
            p.attinhcount > 0 AS more
        FROM pg_inherits AS h
        JOIN pg_attribute AS p
            ON p.attrelid = h.inhparent AND p.attname = l.name AND NOT p.attisdropped
        WHERE h.inhrelid = l.at
        ORDER BY h.inhseqno
        LIMIT 1
    ) AS f
    WHERE l.more AND l.generation < 100
), path AS (
    SELECT l.relation, l.number, max(l.path) AS path FROM lineage AS l GROUP BY l.relation, l.number
), rank AS (
    SELECT
        a.attrelid, a.attnum,
        row_number() OVER (PARTITION BY a.attrelid ORDER BY p.path, a.attnum)::integer AS position
    FROM child AS c
    JOIN pg_attribute AS a ON a.attrelid = c.oid
    LEFT JOIN path AS p ON p.relation = a.attrelid AND p.number = a.attnum
    WHERE a.attnum > 0 AND NOT a.attisdropped
), not_null AS ( --@ >=18
    SELECT --@ >=18
        k.conrelid, k.conkey[1] AS number, k.conname, k.convalidated, k.connoinherit, --@ >=18
        k.conislocal, k.coninhcount, m.description --@ >=18
    FROM pg_constraint AS k --@ >=18
    LEFT JOIN pg_description AS m --@ >=18
        ON m.objoid = k.oid AND m.classoid = 'pg_constraint'::regclass AND m.objsubid = 0 --@ >=18
    WHERE k.contype = 'n' AND k.conrelid <> 0 --@ >=18
)
SELECT
    c.name || '.' || CASE WHEN a.attname ~ '^[a-z_][a-z0-9_$]*$' THEN a.attname
        ELSE '"' || replace(a.attname, '"', '""') || '"' END AS name,
    CASE WHEN c.relkind IN ('v', 'm') THEN 'view ' ELSE 'table ' END || c.name AS meta_of,
    ARRAY[a.xmin::text, d.xmin::text] AS meta_xmin, --@ dated
    format_type(a.atttypid, a.atttypmod) AS type,
    coalesce(r.position, CASE WHEN g.attrelid IS NULL THEN a.attnum ELSE a.attnum - (
        SELECT count(*) FROM unnest(g.numbers) AS gone (number) WHERE gone.number < a.attnum
    ) END)::integer AS position,
    CASE WHEN a.attinhcount > 0 AND NOT c.relispartition THEN
        CASE WHEN a.attislocal THEN 'merged' ELSE 'inherited' END
    END AS inherited,
    CASE WHEN c.relkind NOT IN ('v', 'm') THEN a.attnotnull END AS not_null,
    NULLIF(k.convalidated, true) AS not_null_validated, --@ >=18
    NULLIF(k.connoinherit, false) AS not_null_no_inherit, --@ >=18
    CASE WHEN k.conname <> c.relname || '_' || a.attname || '_not_null' THEN ARRAY[k.conname]::text[] END AS not_null_name__id, --@ >=18
    k.description AS not_null_comment, --@ >=18
    CASE WHEN k.coninhcount > 0 AND NOT c.relispartition THEN CASE WHEN k.conislocal THEN 'merged' ELSE 'inherited' END END AS not_null_inherited, --@ >=18
    CASE WHEN a.attgenerated = '' THEN pg_get_expr(d.adbin, 0) END AS default__expression,
    CASE a.attgenerated WHEN 's' THEN 'stored' WHEN 'v' THEN 'virtual' END AS generated,
    CASE WHEN a.attgenerated <> '' THEN pg_get_expr(d.adbin, d.adrelid) END AS generation__expression,
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
    CASE WHEN a.attoptions IS NOT NULL OR a.attfdwoptions IS NOT NULL
        THEN coalesce(a.attoptions, '{}') || coalesce(a.attfdwoptions, '{}') END AS options__options,
    m.description AS comment
FROM pg_attribute AS a
JOIN relation AS c ON c.oid = a.attrelid
JOIN pg_type AS t ON t.oid = a.atttypid
LEFT JOIN gap AS g ON g.attrelid = a.attrelid
LEFT JOIN rank AS r ON r.attrelid = a.attrelid AND r.attnum = a.attnum
LEFT JOIN not_null AS k ON k.conrelid = a.attrelid AND k.number = a.attnum --@ >=18
LEFT JOIN pg_attrdef AS d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
LEFT JOIN pg_collation AS l ON l.oid = a.attcollation AND a.attcollation <> t.typcollation
LEFT JOIN pg_namespace AS ln ON ln.oid = l.collnamespace
LEFT JOIN pg_description AS m
    ON m.objoid = c.oid AND m.classoid = 'pg_class'::regclass AND m.objsubid = a.attnum
WHERE a.attnum > 0 AND NOT a.attisdropped
