-- What is in some schemas, as far as it can be told to be the view that is wanted there.
SELECT
    n.nspname::text AS schema,
    c.relname::text AS name,
    c.relkind::text AS kind,
    o.rolname::text AS owner,
    coalesce(c.reloptions, '{}') AS options,
    CASE WHEN c.relkind = 'v' THEN pg_get_viewdef(c.oid) END AS definition,
    ARRAY(
        SELECT a.attname::text FROM pg_catalog.pg_attribute a
        WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum
    ) AS columns,
    ARRAY(
        SELECT format('%%s %%s', format_type(a.atttypid, a.atttypmod), a.attcollation)
        FROM pg_catalog.pg_attribute a
        WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum
    ) AS types,
    coalesce((
        SELECT json_agg(json_build_array(
            CASE g.grantee WHEN 0 THEN '' ELSE e.rolname END, r.rolname, g.privilege_type,
            g.is_grantable, g.attname
        ) ORDER BY g.attname, r.rolname, e.rolname, g.privilege_type)
        FROM (
            SELECT t.*, '' AS attname FROM pg_catalog.aclexplode(c.relacl) t
            UNION ALL
            SELECT t.*, a.attname::text FROM pg_catalog.pg_attribute a
            CROSS JOIN LATERAL pg_catalog.aclexplode(a.attacl) t
            WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
        ) g
        JOIN pg_catalog.pg_roles r ON r.oid = g.grantor
        LEFT JOIN pg_catalog.pg_roles e ON e.oid = g.grantee
        WHERE g.grantee <> c.relowner
    ), '[]'::json) AS grants
FROM pg_catalog.pg_class c
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
JOIN pg_catalog.pg_roles o ON o.oid = c.relowner
WHERE n.nspname::text = ANY (%(schemas)s::text[])
    AND c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S')
ORDER BY 1, 2
