-- The table of the key and the function that names the person, as they are.
SELECT
    c.relname::text AS name,
    c.relkind::text AS kind,
    o.rolname::text AS owner,
    NULL::text AS source,
    ARRAY(
        SELECT format('%%s %%s', a.attname, format_type(a.atttypid, a.atttypmod))
        FROM pg_catalog.pg_attribute a
        WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum
    ) AS columns,
    ARRAY(
        SELECT CASE g.grantee WHEN 0 THEN '' ELSE r.rolname::text END
        FROM (
            SELECT (pg_catalog.aclexplode(c.relacl)).grantee
            UNION
            SELECT (pg_catalog.aclexplode(a.attacl)).grantee
            FROM pg_catalog.pg_attribute a WHERE a.attrelid = c.oid
        ) g LEFT JOIN pg_catalog.pg_roles r ON r.oid = g.grantee
        WHERE g.grantee <> c.relowner ORDER BY 1
    ) AS others
FROM pg_catalog.pg_class c
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
JOIN pg_catalog.pg_roles o ON o.oid = c.relowner
WHERE n.nspname::text = %(schema)s::text AND c.relkind NOT IN ('i', 'I')
UNION ALL
SELECT
    format('%%s(%%s)', p.proname, pg_get_function_identity_arguments(p.oid)), 'function',
    o.rolname::text,
    format('%%s %%s %%s %%s', p.prosecdef, p.provolatile, p.proconfig, p.prosrc), '{}',
    ARRAY(
        SELECT '' FROM pg_catalog.aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) g
        WHERE g.grantee = 0 AND g.privilege_type = 'EXECUTE'
    )
FROM pg_catalog.pg_proc p
JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace
JOIN pg_catalog.pg_roles o ON o.oid = p.proowner
WHERE n.nspname::text = %(schema)s::text
ORDER BY 1
