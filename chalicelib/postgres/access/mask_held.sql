-- What a role may do here with what is another's, by its own entries in ACLs: tables and sequences,
-- columns one by one, schemas. kind: table, column or schema.
SELECT 'table' AS kind, n.nspname::text AS schema, c.relname::text AS name, NULL::text AS column,
    g.privilege_type AS privilege, w.rolname::text AS grantor
FROM pg_catalog.pg_class c
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
CROSS JOIN LATERAL pg_catalog.aclexplode(c.relacl) g
JOIN pg_catalog.pg_roles w ON w.oid = g.grantor
JOIN pg_catalog.pg_roles r ON r.oid = g.grantee
WHERE r.rolname::text = %(role)s::text AND c.relowner <> r.oid
UNION ALL
SELECT 'column', n.nspname::text, c.relname::text, a.attname::text, g.privilege_type,
    w.rolname::text
FROM pg_catalog.pg_attribute a
JOIN pg_catalog.pg_class c ON c.oid = a.attrelid
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
CROSS JOIN LATERAL pg_catalog.aclexplode(a.attacl) g
JOIN pg_catalog.pg_roles w ON w.oid = g.grantor
JOIN pg_catalog.pg_roles r ON r.oid = g.grantee
WHERE r.rolname::text = %(role)s::text AND c.relowner <> r.oid AND NOT a.attisdropped
UNION ALL
SELECT 'schema', n.nspname::text, NULL, NULL, g.privilege_type, w.rolname::text
FROM pg_catalog.pg_namespace n
CROSS JOIN LATERAL pg_catalog.aclexplode(n.nspacl) g
JOIN pg_catalog.pg_roles w ON w.oid = g.grantor
JOIN pg_catalog.pg_roles r ON r.oid = g.grantee
WHERE r.rolname::text = %(role)s::text AND n.nspowner <> r.oid
