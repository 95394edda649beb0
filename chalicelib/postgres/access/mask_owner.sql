-- The role that owns masking views: what it can do beside that, and who can be it. Who may only hand
-- it out, as whoever made it from 16 on, is no member; superusers are nobody's.
SELECT
    pg_catalog.shobj_description(r.oid, 'pg_authid') AS comment,
    r.rolcanlogin AS login,
    r.rolsuper OR r.rolbypassrls OR r.rolcreaterole OR r.rolcreatedb OR r.rolreplication AS more,
    ARRAY(
        SELECT g.rolname::text FROM pg_catalog.pg_auth_members m
        JOIN pg_catalog.pg_roles g ON g.oid = m.roleid WHERE m.member = r.oid ORDER BY 1
    ) AS groups,
    ARRAY(
        SELECT DISTINCT g.rolname::text FROM pg_catalog.pg_auth_members m
        JOIN pg_catalog.pg_roles g ON g.oid = m.member
        WHERE m.roleid = r.oid AND NOT g.rolsuper
            AND 'true' IN (
                coalesce(to_jsonb(m) ->> 'inherit_option', 'true'),
                coalesce(to_jsonb(m) ->> 'set_option', 'true')
            )
        ORDER BY 1
    ) AS members,
    EXISTS (
        SELECT FROM pg_catalog.pg_default_acl f WHERE f.defaclrole = r.oid
    ) AS defaults,
    ARRAY(
        SELECT p.oid::pg_catalog.regprocedure::text
        FROM pg_catalog.pg_proc p
        JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace
        WHERE p.proowner = r.oid AND n.nspname <> 'holdfast_mask' ORDER BY 1
    ) AS functions
FROM pg_catalog.pg_roles r
WHERE r.rolname::text = %(role)s::text
