-- One role by name.
SELECT
    r.oid::text AS oid,
    r.rolsuper AS superuser,
    r.rolcanlogin AS login,
    pg_catalog.shobj_description(r.oid, 'pg_authid') AS comment,
    EXISTS (
        SELECT FROM pg_catalog.pg_auth_members m
        JOIN pg_catalog.pg_roles g ON g.oid = m.roleid
        WHERE m.member = r.oid AND g.rolname = %(marker)s::text
    ) AS marked
FROM pg_catalog.pg_roles r
WHERE r.rolname::text = %(role)s::text
