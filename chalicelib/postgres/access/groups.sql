-- The broker's own groups that a lease is a member of. They hold privileges and own nothing; before
-- 16 a lease can SET ROLE to them and leave things that are theirs.
SELECT g.oid::text AS oid, g.rolname::text AS role
FROM pg_catalog.pg_auth_members m
JOIN pg_catalog.pg_roles g ON g.oid = m.roleid
WHERE m.member = %(oid)s::text::oid AND NOT g.rolcanlogin
    AND (
        g.rolname = %(marker)s::text OR g.rolname LIKE 'holdfast\_s\_%%'
        OR g.rolname LIKE 'holdfast\_p\_%%' OR g.rolname LIKE 'holdfast\_in\_%%'
    )
ORDER BY 2
