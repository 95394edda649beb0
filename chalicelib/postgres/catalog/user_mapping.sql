-- kind: user_mapping
-- needs: SELECT on pg_user_mappings, pg_foreign_server, pg_roles
-- since: 13
-- if: FROM pg_foreign_server
-- name: {meta_grantee} on {name}
-- of: server {name}
-- reads: pg_user_mapping
-- hides: options
-- shows: SELECT on pg_user_mapping
-- optional: true
-- Who is whom at a foreign server. The view shows options to their owners alone, and nothing tells
-- options that are not shown from none, so without the catalogue none is read.
SELECT
    CASE WHEN u.umuser <> 0 THEN ARRAY[coalesce(r.rolname, u.umuser::text)]::text[] END AS meta_grantee,
    ARRAY[s.srvname]::text[] AS name,
    ARRAY[u.xmin::text] AS meta_xmin, --@ reads pg_user_mapping
    u.umoptions AS options__options --@ reads pg_user_mapping
    NULL::text[] AS options__options --@ lacks pg_user_mapping
FROM pg_user_mapping AS u --@ reads pg_user_mapping
JOIN pg_foreign_server AS s ON s.oid = u.umserver --@ reads pg_user_mapping
FROM pg_user_mappings AS u --@ lacks pg_user_mapping
JOIN pg_foreign_server AS s ON s.oid = u.srvid --@ lacks pg_user_mapping
LEFT JOIN pg_roles AS r ON r.oid = u.umuser
