-- kind: table
-- needs: SELECT on pg_class, pg_namespace, pg_roles, pg_attribute, pg_inherits, pg_am, pg_tablespace, pg_type, pg_foreign_table, pg_foreign_server, pg_depend, pg_description
-- since: 13
-- name: {name}
WITH heir AS (
    SELECT
        i.inhrelid,
        array_agg(ARRAY[n.nspname, p.relname]::text[] ORDER BY i.inhseqno) AS parents,
        bool_or(i.inhdetachpending) AS detaching --@ >=14
        false AS detaching --@ <14
    FROM pg_inherits AS i
    JOIN pg_class AS p ON p.oid = i.inhparent AND p.relkind IN ('r', 'p', 'f')
    JOIN pg_namespace AS n ON n.oid = p.relnamespace
    GROUP BY i.inhrelid
), dropped AS ( --@ dated
    SELECT a.attrelid, array_agg(a.xmin::text) AS xmins --@ dated
    FROM pg_attribute AS a --@ dated
    WHERE a.attnum > 0 AND a.attisdropped --@ dated
    GROUP BY a.attrelid --@ dated
)
SELECT
    CASE WHEN n.nspname ~ '^[a-z_][a-z0-9_$]*$' THEN n.nspname
        ELSE '"' || replace(n.nspname, '"', '""') || '"' END
    || '.' || CASE WHEN c.relname ~ '^[a-z_][a-z0-9_$]*$' THEN c.relname
        ELSE '"' || replace(c.relname, '"', '""') || '"' END AS name,
    ARRAY[c.xmin::text] AS meta_xmin, --@ dated
    z.xmins AS meta_dropped, --@ dated
    CASE c.relpersistence WHEN 'u' THEN 'unlogged' ELSE 'permanent' END AS persistence,
    CASE c.relkind WHEN 'p' THEN 'partitioned' WHEN 'f' THEN 'foreign' ELSE 'table' END AS form,
    ARRAY[coalesce(o.rolname, c.relowner::text)]::text[] AS owner__id,
    CASE WHEN c.relacl IS NOT NULL THEN (
        SELECT array_agg(lower(d.privilege_type))
        FROM aclexplode(acldefault('r', c.relowner)) AS d
        WHERE d.grantee = c.relowner AND NOT EXISTS (
            SELECT FROM aclexplode(c.relacl) AS a
            WHERE a.grantee = d.grantee AND a.privilege_type = d.privilege_type
        )
    ) END AS owner_lacks__set,
    c.relrowsecurity AS row_security,
    c.relforcerowsecurity AS force_row_security,
    CASE c.relreplident
        WHEN 'd' THEN 'default' WHEN 'n' THEN 'nothing' WHEN 'f' THEN 'full' ELSE 'index'
    END AS replica_identity,
    CASE WHEN c.reloptions IS NOT NULL OR f.ftoptions IS NOT NULL OR t.reloptions IS NOT NULL THEN
        coalesce(c.reloptions, '{}')
        || coalesce(f.ftoptions, '{}')
        || ARRAY(SELECT 'toast.' || r FROM unnest(t.reloptions) AS r)
    END AS options__options,
    CASE WHEN c.relkind = 'p' THEN pg_get_partkeydef(c.oid) END AS partition_key__partition,
    CASE WHEN c.relispartition AND h.inhrelid IS NOT NULL
        THEN ARRAY[h.parents[1][1], h.parents[1][2]] END AS partition_of__id,
    pg_get_expr(c.relpartbound, c.oid) AS partition_bound,
    NULLIF(h.detaching, false) AS detach_pending, --@ >=14
    CASE WHEN NOT c.relispartition THEN h.parents END AS inherits__list,
    am.amname::text AS access_method,
    CASE WHEN s.oid IS NOT NULL THEN ARRAY[s.spcname]::text[] END AS tablespace__id,
    CASE WHEN y.oid IS NOT NULL THEN ARRAY[yn.nspname, y.typname]::text[] END AS of_type__id,
    CASE WHEN v.oid IS NOT NULL THEN ARRAY[v.srvname]::text[] END AS server__id,
    m.description AS comment
FROM pg_class AS c
JOIN pg_namespace AS n ON n.oid = c.relnamespace
LEFT JOIN pg_roles AS o ON o.oid = c.relowner
LEFT JOIN heir AS h ON h.inhrelid = c.oid
LEFT JOIN dropped AS z ON z.attrelid = c.oid --@ dated
LEFT JOIN pg_class AS t ON t.oid = c.reltoastrelid
LEFT JOIN pg_am AS am ON am.oid = c.relam
LEFT JOIN pg_tablespace AS s ON s.oid = c.reltablespace
LEFT JOIN pg_type AS y ON y.oid = c.reloftype AND c.reloftype <> 0
LEFT JOIN pg_namespace AS yn ON yn.oid = y.typnamespace
LEFT JOIN pg_foreign_table AS f ON f.ftrelid = c.oid
LEFT JOIN pg_foreign_server AS v ON v.oid = f.ftserver
LEFT JOIN pg_description AS m
    ON m.objoid = c.oid AND m.classoid = 'pg_class'::regclass AND m.objsubid = 0
WHERE c.relkind IN ('r', 'p', 'f')
    AND (c.oid >= 16384 OR c.relowner <> 10)
    AND n.nspname !~ '^pg_(toast_)?temp_[0-9]+$'
    AND NOT EXISTS (
        SELECT FROM pg_depend AS x
        WHERE x.classid = 'pg_class'::regclass AND x.objid = c.oid AND x.deptype = 'e'
            AND x.refclassid = 'pg_extension'::regclass
    )
