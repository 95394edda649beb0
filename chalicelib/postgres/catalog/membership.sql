-- kind: membership
-- needs: SELECT on pg_auth_members, pg_roles
-- since: 13
-- name: {name_member} in {name_role}
-- of: role {name_member}
-- The three memberships of pg_monitor that initdb makes are left out, as long as they are unchanged; where
-- one of them was revoked, that stands in its place.
SELECT
    ARRAY[coalesce(u.rolname, g.member::text)]::text[] AS name_member,
    ARRAY[coalesce(r.rolname, g.roleid::text)]::text[] AS name_role,
    array_agg(g.xmin::text) AS meta_xmin,
    bool_or(g.admin_option) AS admin,
    bool_or(g.inherit_option) AS inherit, --@ >=16
    bool_or(g.set_option) AS set, --@ >=16
    NULLIF(bool_or(r.rolsuper), false) AS role_superuser,
    NULL::boolean AS revoked,
    array_agg(coalesce(b.rolname, g.grantor::text)) FILTER (WHERE g.grantor <> 0) AS grantors__ids
FROM pg_auth_members AS g
LEFT JOIN pg_roles AS u ON u.oid = g.member
LEFT JOIN pg_roles AS r ON r.oid = g.roleid
LEFT JOIN pg_roles AS b ON b.oid = g.grantor
WHERE (
    u.rolname = 'pg_monitor'
    AND r.rolname IN ('pg_read_all_settings', 'pg_read_all_stats', 'pg_stat_scan_tables')
    AND g.grantor = 10 AND NOT g.admin_option
    AND g.inherit_option AND g.set_option --@ >=16
) IS NOT TRUE
GROUP BY g.member, g.roleid, u.rolname, r.rolname
UNION ALL
SELECT
    ARRAY[u.rolname]::text[], ARRAY[r.rolname]::text[], NULL,
    NULL,
    NULL, --@ >=16
    NULL, --@ >=16
    NULL, true, NULL
FROM pg_roles AS u
JOIN pg_roles AS r ON r.rolname IN ('pg_read_all_settings', 'pg_read_all_stats', 'pg_stat_scan_tables')
WHERE u.rolname = 'pg_monitor'
    AND NOT EXISTS (SELECT FROM pg_auth_members AS g WHERE g.member = u.oid AND g.roleid = r.oid)
