-- Scopes of this database that no role but the broker is in.
SELECT r.oid::text AS oid, r.rolname::text AS role
FROM pg_catalog.pg_roles r
WHERE r.rolname LIKE 'holdfast\_s\_%%' AND NOT r.rolcanlogin
    AND (%(scope)s::text = '' OR r.rolname::text = %(scope)s::text)
    AND NOT EXISTS (
        SELECT FROM pg_catalog.pg_auth_members m
        JOIN pg_catalog.pg_roles b ON b.oid = m.member
        WHERE m.roleid = r.oid AND b.rolname <> current_user
    )
    AND pg_catalog.shobj_description(r.oid, 'pg_authid') = %(comment)s::text
ORDER BY 2
