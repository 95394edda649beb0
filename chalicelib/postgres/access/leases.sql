-- Every role with a comment that may be a lease's.
SELECT r.rolname::text AS role, pg_catalog.shobj_description(r.oid, 'pg_authid') AS comment
FROM pg_catalog.pg_roles r
JOIN pg_catalog.pg_shdescription d
    ON d.objoid = r.oid AND d.classoid = 'pg_catalog.pg_authid'::regclass
WHERE octet_length(d.description) <= %(bytes)s AND d.description LIKE '{%%"holdfast":1%%'
ORDER BY 1
