-- kind: index
-- needs: SELECT on pg_index, pg_class, pg_attribute, pg_opclass, pg_am, pg_namespace, pg_inherits, pg_extension, pg_tablespace, pg_depend, pg_description
-- since: 13
-- name: {name}
-- of: {meta_of}
-- required: definition__statement
-- Most indexes are btree or hash (403, 405), of one or two columns, each in the server's usual operator class,
-- which has no options there, and in its own collation. Their definition is put together here, as
-- pg_get_indexdef() would print it, which looks all of it up again for each. All others it prints.
WITH namespace AS MATERIALIZED (
    SELECT
        n.oid, n.nspname, quote_ident(n.nspname) AS quoted,
        CASE WHEN n.nspname ~ '^[a-z_][a-z0-9_$]*$' THEN n.nspname
            ELSE '"' || replace(n.nspname, '"', '""') || '"' END AS name
    FROM pg_namespace AS n
    WHERE n.nspname !~ '^pg_(toast_)?temp_[0-9]+$'
), relation AS MATERIALIZED (
    SELECT
        c.oid, c.relname,
        CASE WHEN n.nspname = 'pg_catalog' THEN '' ELSE n.quoted || '.' END || quote_ident(c.relname) AS quoted,
        CASE c.relkind WHEN 'm' THEN 'view ' ELSE 'table ' END || n.name || '.'
            || CASE WHEN c.relname ~ '^[a-z_][a-z0-9_$]*$' THEN c.relname
                ELSE '"' || replace(c.relname, '"', '""') || '"' END AS of
    FROM pg_class AS c
    JOIN namespace AS n ON n.oid = c.relnamespace
    WHERE c.relkind IN ('r', 'p', 'm')
        AND NOT EXISTS (
            SELECT FROM pg_depend AS x
            WHERE x.classid = 'pg_class'::regclass AND x.objid = c.oid
                AND x.refclassid = 'pg_extension'::regclass AND x.deptype = 'e'
        )
), attribute AS MATERIALIZED (
    SELECT a.attrelid, a.attnum, quote_ident(a.attname) AS quoted, a.atttypid, a.attcollation
    FROM pg_attribute AS a
    WHERE a.attnum > 0 AND a.attrelid IN (SELECT r.oid FROM relation AS r)
), usual (opclass, type) AS MATERIALIZED (
    SELECT o.oid, o.opcintype FROM pg_opclass AS o
    WHERE o.opcdefault AND o.oid < 16384 AND o.opcmethod IN (403, 405)
    UNION ALL
    SELECT o.oid, 'varchar'::regtype FROM pg_opclass AS o
    WHERE o.opcdefault AND o.oid < 16384 AND o.opcmethod IN (403, 405) AND o.opcintype = 'text'::regtype
        AND NOT EXISTS (
            SELECT FROM pg_opclass AS v
            WHERE v.opcmethod = o.opcmethod AND v.opcdefault AND v.opcintype = 'varchar'::regtype
        )
), simple AS MATERIALIZED (
    SELECT
        i.indexrelid,
        a.quoted
        || CASE i.indoption[0] WHEN 0 THEN '' WHEN 1 THEN ' DESC NULLS LAST' WHEN 2 THEN ' NULLS FIRST' ELSE ' DESC' END
        || CASE WHEN i.indnatts = 2 THEN
            ', ' || b.quoted
            || CASE i.indoption[1] WHEN 0 THEN '' WHEN 1 THEN ' DESC NULLS LAST' WHEN 2 THEN ' NULLS FIRST' ELSE ' DESC' END
        ELSE '' END AS keys
    FROM pg_index AS i
    JOIN attribute AS a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[0]
    LEFT JOIN attribute AS b ON b.attrelid = i.indrelid AND b.attnum = i.indkey[1]
    WHERE i.indnatts = i.indnkeyatts AND i.indnatts <= 2
        AND i.indcollation[0] = a.attcollation
        AND (i.indclass[0], a.atttypid) IN (SELECT u.opclass, u.type FROM usual AS u)
        AND (i.indnatts = 1 OR (
            i.indcollation[1] = b.attcollation
            AND (i.indclass[1], b.atttypid) IN (SELECT u.opclass, u.type FROM usual AS u)
        ))
), bound AS (
    SELECT d.objid, array_agg(ARRAY[e.extname]::text[] ORDER BY e.extname COLLATE "C") AS extensions
    FROM pg_extension AS e
    JOIN pg_depend AS d
        ON d.refclassid = 'pg_extension'::regclass AND d.refobjid = e.oid
        AND d.classid = 'pg_class'::regclass AND d.deptype = 'x'
    GROUP BY d.objid
), targets AS (
    SELECT
        a.attrelid, array_agg(a.attnum || ': ' || a.attstattarget ORDER BY a.attnum) AS targets
    FROM pg_index AS i
    JOIN pg_attribute AS a ON a.attrelid = i.indexrelid
    WHERE i.indexprs IS NOT NULL AND a.attnum > 0 AND a.attstattarget >= 0
    GROUP BY a.attrelid
)
SELECT
    n.name || '.' || CASE WHEN c.relname ~ '^[a-z_][a-z0-9_$]*$' THEN c.relname
        ELSE '"' || replace(c.relname, '"', '""') || '"' END AS name,
    t.of AS meta_of,
    ARRAY[i.xmin::text, c.xmin::text] AS meta_xmin, --@ dated
    coalesce(
        CASE WHEN c.reloptions IS NULL THEN
            'CREATE ' || CASE WHEN i.indisunique THEN 'UNIQUE ' ELSE '' END || 'INDEX ' || quote_ident(c.relname)
            || CASE WHEN c.relkind = 'I' THEN ' ON ONLY ' ELSE ' ON ' END || t.quoted
            || ' USING ' || quote_ident(am.amname) || ' (' || k.keys || ')'
            || CASE WHEN i.indnullsnotdistinct THEN ' NULLS NOT DISTINCT' ELSE '' END --@ >=15
            || CASE WHEN i.indpred IS NULL THEN '' ELSE ' WHERE ' || pg_get_expr(i.indpred, i.indrelid) END
        END,
        pg_get_indexdef(c.oid)
    ) AS definition__statement,
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
JOIN namespace AS n ON n.oid = c.relnamespace
JOIN relation AS t ON t.oid = i.indrelid
JOIN pg_am AS am ON am.oid = c.relam
LEFT JOIN simple AS k ON k.indexrelid = i.indexrelid
LEFT JOIN pg_inherits AS h ON h.inhrelid = c.oid
LEFT JOIN pg_class AS p ON p.oid = h.inhparent
LEFT JOIN pg_namespace AS pn ON pn.oid = p.relnamespace
LEFT JOIN targets AS g ON g.attrelid = c.oid
LEFT JOIN bound AS b ON b.objid = c.oid
LEFT JOIN pg_tablespace AS s ON s.oid = c.reltablespace
LEFT JOIN pg_description AS m
    ON m.objoid = c.oid AND m.classoid = 'pg_class'::regclass AND m.objsubid = 0
WHERE t.oid >= 16384 OR c.oid >= 16384
