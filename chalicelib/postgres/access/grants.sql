-- What a role was granted on tables, columns and sequences here, a row for each grantor.
WITH d AS (
    SELECT objid, objsubid FROM pg_catalog.pg_shdepend
    WHERE refclassid = 'pg_catalog.pg_authid'::regclass AND refobjid = %(oid)s::text::oid
        AND deptype = 'a' AND classid = 'pg_catalog.pg_class'::regclass
        AND dbid = (SELECT b.oid FROM pg_catalog.pg_database b WHERE b.datname = current_database())
)
SELECT
    n.nspname::text AS schema, c.relname::text AS name, c.relkind = 'S' AS sequence,
    g.attname AS column, r.rolname::text AS grantor, g.privileges
FROM (
    SELECT c.oid, NULL::text AS attname, a.grantor, array_agg(a.privilege_type) AS privileges
    FROM d JOIN pg_catalog.pg_class c ON c.oid = d.objid AND d.objsubid = 0
    CROSS JOIN LATERAL pg_catalog.aclexplode(c.relacl) a
    WHERE a.grantee = %(oid)s::text::oid
    GROUP BY 1, 2, 3
    UNION ALL
    SELECT t.attrelid, t.attname::text, a.grantor, array_agg(a.privilege_type)
    FROM d JOIN pg_catalog.pg_attribute t ON t.attrelid = d.objid AND t.attnum = d.objsubid
    CROSS JOIN LATERAL pg_catalog.aclexplode(t.attacl) a
    WHERE d.objsubid <> 0 AND a.grantee = %(oid)s::text::oid
    GROUP BY 1, 2, 3
) AS g
JOIN pg_catalog.pg_class c ON c.oid = g.oid
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
JOIN pg_catalog.pg_roles r ON r.oid = g.grantor
ORDER BY 5, 1, 2, 4
