-- kind: role_setting
-- needs: SELECT on pg_db_role_setting, pg_roles, pg_database
-- since: 13
-- name: {meta_parameter} for {meta_role_word}{name_role}{meta_between}{meta_database_word}{name_database}{meta_all}
-- of: {meta_of}{name_role}{meta_of_database}
SELECT
    CASE WHEN r.oid IS NOT NULL THEN ARRAY[r.rolname]::text[] END AS name_role,
    CASE WHEN b.oid IS NOT NULL THEN ARRAY[b.datname]::text[] END AS name_database,
    CASE WHEN r.oid IS NOT NULL THEN 'role ' END AS meta_role_word,
    CASE WHEN r.oid IS NOT NULL AND b.oid IS NOT NULL THEN ' in ' END AS meta_between,
    CASE WHEN b.oid IS NOT NULL THEN 'database ' END AS meta_database_word,
    CASE WHEN r.oid IS NULL AND b.oid IS NULL THEN 'all roles' END AS meta_all,
    CASE WHEN r.oid IS NOT NULL THEN 'role ' WHEN b.oid IS NOT NULL THEN 'database ' END AS meta_of,
    CASE WHEN r.oid IS NULL AND b.oid IS NOT NULL THEN ARRAY[b.datname]::text[] END AS meta_of_database,
    split_part(e.entry, '=', 1) AS meta_parameter,
    ARRAY[d.xmin::text] AS meta_xmin, --@ dated
    substr(e.entry, strpos(e.entry, '=') + 1) AS value__setting
FROM pg_db_role_setting AS d
CROSS JOIN LATERAL unnest(d.setconfig) AS e (entry)
LEFT JOIN pg_roles AS r ON r.oid = d.setrole
LEFT JOIN pg_database AS b ON b.oid = d.setdatabase
WHERE (d.setrole = 0 OR r.oid IS NOT NULL) AND (d.setdatabase = 0 OR b.oid IS NOT NULL)
