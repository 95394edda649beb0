-- kind: role
-- needs: SELECT on pg_roles, pg_shdescription
-- since: 13
-- name: {name}
-- reads: pg_authid
-- hides: password, password_digest, password_iterations
-- shows: SELECT (oid, rolpassword) on pg_authid
-- optional: true
-- Predefined roles (pg_*) are left out while they are as the server made them.
-- Of a password only how it is kept leaves the server, and the digest of what is kept, which is
-- digested again here with a key: a change shows, and nothing is there to be tried out.
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
    CASE --@ reads pg_authid
        WHEN a.rolpassword LIKE 'SCRAM-SHA-256$%' THEN 'scram-sha-256' --@ reads pg_authid
        WHEN a.rolpassword ~ '^md5[0-9a-f]{32}$' THEN 'md5' --@ reads pg_authid
        WHEN a.rolpassword IS NOT NULL THEN 'other' --@ reads pg_authid
    END AS password, --@ reads pg_authid
    substring(a.rolpassword FROM '^SCRAM-SHA-256\$([0-9]{1,9}):')::integer AS password_iterations, --@ reads pg_authid
    encode(sha256(convert_to(a.rolpassword, 'UTF8')), 'hex') AS password_digest__secret, --@ reads pg_authid
    NULL::text AS password, --@ lacks pg_authid
    NULL::integer AS password_iterations, --@ lacks pg_authid
    NULL::text AS password_digest, --@ lacks pg_authid
    m.description AS comment
FROM pg_roles AS r
LEFT JOIN pg_authid AS a ON a.oid = r.oid --@ reads pg_authid
LEFT JOIN pg_shdescription AS m ON m.objoid = r.oid AND m.classoid = 'pg_authid'::regclass
WHERE NOT (r.oid < 16384 AND r.rolname LIKE 'pg\_%')
    OR r.rolsuper OR NOT r.rolinherit OR r.rolcreaterole OR r.rolcreatedb OR r.rolcanlogin
    OR r.rolreplication OR r.rolbypassrls OR r.rolconnlimit <> -1
    OR r.rolvaliduntil IS NOT NULL OR m.description IS NOT NULL
    OR a.rolpassword IS NOT NULL --@ reads pg_authid
