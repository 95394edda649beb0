-- kind: role
-- needs: SELECT on pg_roles, pg_shdescription
-- since: 13
-- name: {name}
-- Predefined roles (pg_*) are left out while they are as the server made them.
-- Passwords are not read. pg_authid, which dates a role's last change, is closed to ordinary roles.
SELECT
    ARRAY[r.rolname]::text[] AS name,
    r.rolsuper AS superuser,
    r.rolinherit AS inherit,
    r.rolcreaterole AS create_role,
    r.rolcreatedb AS create_db,
    r.rolcanlogin AS login,
    r.rolreplication AS replication,
    r.rolbypassrls AS bypass_rls,
    r.rolconnlimit AS connection_limit,
    r.rolvaliduntil::text AS valid_until,
    m.description AS comment
FROM pg_roles AS r
LEFT JOIN pg_shdescription AS m ON m.objoid = r.oid AND m.classoid = 'pg_authid'::regclass
WHERE NOT (r.oid < 16384 AND r.rolname LIKE 'pg\_%')
    OR r.rolsuper OR NOT r.rolinherit OR r.rolcreaterole OR r.rolcreatedb OR r.rolcanlogin
    OR r.rolreplication OR r.rolbypassrls OR r.rolconnlimit <> -1
    OR r.rolvaliduntil IS NOT NULL OR m.description IS NOT NULL
