-- A group: what the installation wrote at it, and the schemas that it may use, in order.
SELECT
    pg_catalog.shobj_description(r.oid, 'pg_authid') AS comment,
    ARRAY(
        SELECT n.nspname::text FROM pg_catalog.pg_namespace n, pg_catalog.aclexplode(n.nspacl) a
        WHERE a.grantee = r.oid AND a.privilege_type = 'USAGE' ORDER BY 1
    ) AS schemas
FROM pg_catalog.pg_roles r
WHERE r.rolname::text = %(role)s::text
