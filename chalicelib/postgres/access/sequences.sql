-- The sequences behind serial columns of tables: who inserts needs them. Identity columns do not.
SELECT
    n.nspname::text AS schema,
    c.relname::text AS name,
    c.oid::text AS oid,
    pg_catalog.has_sequence_privilege(%(grantor)s::text::name, c.oid, 'USAGE WITH GRANT OPTION')
        AS grantable
FROM pg_catalog.pg_depend d
JOIN pg_catalog.pg_class c ON c.oid = d.objid AND c.relkind = 'S'
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE d.classid = 'pg_catalog.pg_class'::regclass AND d.refclassid = 'pg_catalog.pg_class'::regclass
    AND d.deptype = 'a' AND d.refobjsubid > 0 AND d.refobjid = ANY (%(oids)s::text[]::oid[])
ORDER BY 1, 2
