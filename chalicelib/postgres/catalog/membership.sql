-- kind: membership
-- needs: SELECT on pg_auth_members, pg_roles
-- since: 13
-- name: {name_member} in {name_role}
-- of: role {name_member}
SELECT
    ARRAY[u.rolname]::text[] AS name_member,
    ARRAY[r.rolname]::text[] AS name_role,
    array_agg(g.xmin::text) AS meta_xmin,
    bool_or(g.admin_option) AS admin,
    bool_or(g.inherit_option) AS inherit, --@ >=16
    bool_or(g.set_option) AS set, --@ >=16
    array_agg(b.rolname::text) FILTER (WHERE b.oid IS NOT NULL) AS grantors__ids
FROM pg_auth_members AS g
JOIN pg_roles AS u ON u.oid = g.member
JOIN pg_roles AS r ON r.oid = g.roleid
LEFT JOIN pg_roles AS b ON b.oid = g.grantor
WHERE NOT (u.oid < 16384 AND u.rolname LIKE 'pg\_%')
GROUP BY u.rolname, r.rolname
