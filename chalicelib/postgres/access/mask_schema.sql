-- Some schemas, and all that a role owns: with their owners, who may use them, and who but the owner
-- may create in them. A grantee of '' is PUBLIC; no role is called so.
SELECT
    n.nspname::text AS schema,
    o.rolname::text AS owner,
    coalesce((
        SELECT json_agg(json_build_array(
            CASE g.grantee WHEN 0 THEN '' ELSE r.rolname END, g.is_grantable
        ))
        FROM pg_catalog.aclexplode(n.nspacl) g
        LEFT JOIN pg_catalog.pg_roles r ON r.oid = g.grantee
        WHERE g.privilege_type = 'USAGE'
    ), '[]'::json) AS users,
    ARRAY(
        SELECT DISTINCT CASE g.grantee WHEN 0 THEN '' ELSE r.rolname::text END
        FROM pg_catalog.aclexplode(n.nspacl) g
        LEFT JOIN pg_catalog.pg_roles r ON r.oid = g.grantee
        WHERE g.privilege_type = 'CREATE' AND g.grantee <> n.nspowner
        ORDER BY 1
    ) AS creators
FROM pg_catalog.pg_namespace n
JOIN pg_catalog.pg_roles o ON o.oid = n.nspowner
WHERE n.nspname::text = ANY (%(schemas)s::text[]) OR o.rolname::text = %(owner)s::text
ORDER BY 1
