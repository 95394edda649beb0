-- The tables and views of schemas, or some of them: what they are, and what the grantor may grant.
-- A name of '*' is for all of the schema, but for what leases made there and left, unless every view
-- there has to mask. Names are compared as text: as names they would be cut.
WITH asked AS (
    SELECT * FROM unnest(%(schemas)s::text[], %(names)s::text[]) AS a(schema, name)
),
grantor AS (
    SELECT oid FROM pg_catalog.pg_roles WHERE rolname = %(grantor)s::text
)
SELECT
    n.nspname::text AS schema,
    c.relname::text AS name,
    c.oid::text AS oid,
    c.relkind::text AS kind,
    EXISTS (
        SELECT FROM asked a WHERE a.schema = n.nspname::text AND a.name <> '*'
    ) AS named,
    ARRAY(
        SELECT p FROM unnest(%(privileges)s::text[]) AS p
        WHERE NOT pg_catalog.has_table_privilege(g.oid, c.oid, p || ' WITH GRANT OPTION')
    ) AS lacking,
    pg_catalog.has_schema_privilege(g.oid, n.oid, 'USAGE WITH GRANT OPTION') AS usable,
    coalesce(c.reloptions @> ARRAY['security_barrier=true'], false) AS barrier,
    coalesce(c.reloptions @> ARRAY['security_invoker=true'], false) AS invoker,
    EXISTS (
        SELECT FROM pg_catalog.pg_rewrite w
        JOIN pg_catalog.pg_depend d
            ON d.classid = 'pg_catalog.pg_rewrite'::regclass AND d.objid = w.oid
            AND d.refclassid = 'pg_catalog.pg_class'::regclass
        JOIN pg_catalog.pg_class t ON t.oid = d.refobjid AND t.relrowsecurity
        JOIN pg_catalog.pg_roles o ON o.oid = c.relowner
        WHERE w.ev_class = c.oid
            AND (
                o.rolsuper OR o.rolbypassrls
                OR (NOT t.relforcerowsecurity AND pg_catalog.pg_has_role(o.oid, t.relowner, 'USAGE'))
            )
    ) AS bypasses,
    EXISTS (
        SELECT FROM pg_catalog.pg_class b
        JOIN pg_catalog.pg_namespace s ON s.oid = b.relnamespace
        WHERE s.nspname::text || %(suffix)s::text = n.nspname::text AND b.relname = c.relname
            AND pg_catalog.has_any_column_privilege(%(marker)s::text::name, b.oid, 'SELECT')
    ) AS base_open
FROM pg_catalog.pg_class c
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
CROSS JOIN grantor g
WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f')
    AND EXISTS (
        SELECT FROM asked a
        WHERE a.schema = n.nspname::text AND (
            a.name = c.relname::text
            OR (a.name = '*' AND (%(masked)s::boolean OR c.relowner NOT IN (
                SELECT r.oid FROM pg_catalog.pg_roles r
                WHERE r.rolname = %(graveyard)s::text
                    OR (r.rolname LIKE 'hf\_%%' AND pg_catalog.pg_has_role(
                        r.oid, %(marker)s::text::name, 'MEMBER'
                    ))
            )))
        )
    )
ORDER BY 1, 2
LIMIT %(limit)s
