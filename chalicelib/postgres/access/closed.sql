-- Schemas in which a role owns something and may not create, and whose owner the broker can be: the
-- role itself, another lease, or the graveyard. An owner can take CREATE from itself.
SELECT DISTINCT n.nspname::text AS schema, o.rolname::text AS owner
FROM pg_catalog.pg_shdepend d
JOIN pg_catalog.pg_depend i
    ON i.classid = d.classid AND i.objid = d.objid
    AND i.refclassid = 'pg_catalog.pg_namespace'::regclass
JOIN pg_catalog.pg_namespace n ON n.oid = i.refobjid
JOIN pg_catalog.pg_roles o ON o.oid = n.nspowner
WHERE d.refclassid = 'pg_catalog.pg_authid'::regclass AND d.refobjid = %(oid)s::text::oid
    AND d.deptype = 'o'
    AND d.dbid = (SELECT b.oid FROM pg_catalog.pg_database b WHERE b.datname = current_database())
    AND NOT pg_catalog.has_schema_privilege(%(graveyard)s::text::name, n.oid, 'CREATE')
    AND (
        o.oid = %(oid)s::text::oid OR o.rolname = %(graveyard)s::text
        OR (o.rolname LIKE 'hf\_%%' AND EXISTS (
            SELECT FROM pg_catalog.pg_auth_members m
            JOIN pg_catalog.pg_roles g ON g.oid = m.roleid
            WHERE m.member = o.oid AND g.rolname = %(marker)s::text
        ))
    )
ORDER BY 1
