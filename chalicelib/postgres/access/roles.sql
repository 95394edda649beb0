-- Which of some roles are there, with what the installation has to know of them.
SELECT
    r.rolname::text AS role,
    r.rolsuper AS superuser,
    r.rolcanlogin AS login,
    r.rolcreaterole AS creates_roles,
    pg_catalog.shobj_description(r.oid, 'pg_authid') AS comment,
    pg_catalog.pg_has_role(current_user, r.oid, 'USAGE') AS acts_as,
    pg_catalog.pg_has_role(current_user, r.oid, 'MEMBER WITH ADMIN OPTION') AS administers
FROM pg_catalog.pg_roles r
WHERE r.rolname::text = ANY (%(roles)s::text[])
