-- Every column of the relations in some schemas, with what masking has to know of the relation; one
-- row without a column for a relation that has none. What extensions brought is not theirs to mask.
-- parents: nearest first, as pairs. unmapped: a foreign table without a user mapping for the owner.
SELECT
    n.nspname::text AS schema,
    c.relname::text AS name,
    c.oid::text AS oid,
    c.relkind::text AS kind,
    c.relispartition AS partition,
    c.relrowsecurity AS row_security,
    CASE WHEN i.inhrelid IS NOT NULL THEN (
        WITH RECURSIVE up AS (
            SELECT h.inhparent, h.inhseqno, 1 AS depth
            FROM pg_catalog.pg_inherits h WHERE h.inhrelid = c.oid
            UNION
            SELECT h.inhparent, h.inhseqno, up.depth + 1
            FROM up JOIN pg_catalog.pg_inherits h ON h.inhrelid = up.inhparent
        )
        SELECT json_agg(json_build_array(pn.nspname, p.relname) ORDER BY up.depth, up.inhseqno)
        FROM up JOIN pg_catalog.pg_class p ON p.oid = up.inhparent
        JOIN pg_catalog.pg_namespace pn ON pn.oid = p.relnamespace
    ) END AS parents,
    c.relkind = 'f' AND NOT EXISTS (
        SELECT FROM pg_catalog.pg_foreign_table f
        JOIN pg_catalog.pg_user_mappings u ON u.srvid = f.ftserver
        WHERE f.ftrelid = c.oid AND (u.umuser = 0 OR u.usename::text = %(owner)s::text)
    ) AS unmapped,
    a.attname::text AS column,
    a.attinhcount > 0 AS inherited,
    a.atttypid::text AS type,
    a.atttypmod AS typmod,
    format_type(a.atttypid, a.atttypmod) AS shown
FROM pg_catalog.pg_class c
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
LEFT JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
LEFT JOIN (SELECT DISTINCT inhrelid FROM pg_catalog.pg_inherits) i ON i.inhrelid = c.oid
WHERE n.nspname::text = ANY (%(schemas)s::text[])
    AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
    AND NOT EXISTS (
        SELECT FROM pg_catalog.pg_depend x
        WHERE x.classid = 'pg_catalog.pg_class'::regclass AND x.objid = c.oid AND x.deptype = 'e'
    )
ORDER BY 1, 2, a.attnum
