-- Who granted a role something here, or named it in a policy: only with their rights it is undone.
WITH d AS (
    SELECT classid, objid, objsubid, deptype FROM pg_catalog.pg_shdepend
    WHERE refclassid = 'pg_catalog.pg_authid'::regclass AND refobjid = %(oid)s::text::oid
        AND deptype IN ('a', 'r')
        AND dbid IN (
            0, (SELECT b.oid FROM pg_catalog.pg_database b WHERE b.datname = current_database())
        )
),
acl AS (
    SELECT c.relacl AS acl FROM d JOIN pg_catalog.pg_class c
        ON d.classid = 'pg_catalog.pg_class'::regclass AND c.oid = d.objid
    UNION ALL
    SELECT a.attacl FROM d JOIN pg_catalog.pg_attribute a
        ON d.classid = 'pg_catalog.pg_class'::regclass AND a.attrelid = d.objid
        AND a.attnum = d.objsubid
    UNION ALL
    SELECT p.proacl FROM d JOIN pg_catalog.pg_proc p
        ON d.classid = 'pg_catalog.pg_proc'::regclass AND p.oid = d.objid
    UNION ALL
    SELECT n.nspacl FROM d JOIN pg_catalog.pg_namespace n
        ON d.classid = 'pg_catalog.pg_namespace'::regclass AND n.oid = d.objid
    UNION ALL
    SELECT t.typacl FROM d JOIN pg_catalog.pg_type t
        ON d.classid = 'pg_catalog.pg_type'::regclass AND t.oid = d.objid
    UNION ALL
    SELECT l.lanacl FROM d JOIN pg_catalog.pg_language l
        ON d.classid = 'pg_catalog.pg_language'::regclass AND l.oid = d.objid
    UNION ALL
    SELECT m.lomacl FROM d JOIN pg_catalog.pg_largeobject_metadata m
        ON d.classid = 'pg_catalog.pg_largeobject'::regclass AND m.oid = d.objid
    UNION ALL
    SELECT f.fdwacl FROM d JOIN pg_catalog.pg_foreign_data_wrapper f
        ON d.classid = 'pg_catalog.pg_foreign_data_wrapper'::regclass AND f.oid = d.objid
    UNION ALL
    SELECT s.srvacl FROM d JOIN pg_catalog.pg_foreign_server s
        ON d.classid = 'pg_catalog.pg_foreign_server'::regclass AND s.oid = d.objid
    UNION ALL
    SELECT b.datacl FROM d JOIN pg_catalog.pg_database b
        ON d.classid = 'pg_catalog.pg_database'::regclass AND b.oid = d.objid
    UNION ALL
    SELECT s.spcacl FROM d JOIN pg_catalog.pg_tablespace s
        ON d.classid = 'pg_catalog.pg_tablespace'::regclass AND s.oid = d.objid
)
SELECT DISTINCT r.rolname::text AS role
FROM (
    SELECT a.grantor AS oid FROM acl, pg_catalog.aclexplode(acl.acl) a
    WHERE a.grantee = %(oid)s::text::oid
    UNION
    SELECT c.relowner FROM d JOIN pg_catalog.pg_policy p
        ON d.classid = 'pg_catalog.pg_policy'::regclass AND p.oid = d.objid
        JOIN pg_catalog.pg_class c ON c.oid = p.polrelid
    UNION
    SELECT f.defaclrole FROM d JOIN pg_catalog.pg_default_acl f
        ON d.classid = 'pg_catalog.pg_default_acl'::regclass AND f.oid = d.objid
) AS g
JOIN pg_catalog.pg_roles r ON r.oid = g.oid
WHERE r.oid <> %(oid)s::text::oid
ORDER BY 1
