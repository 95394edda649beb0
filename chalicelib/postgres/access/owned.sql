-- What a role owns here and in what databases share, by kind.
SELECT
    CASE d.classid
        WHEN 'pg_catalog.pg_class'::regclass THEN coalesce((
            SELECT CASE c.relkind
                WHEN 'r' THEN CASE c.relpersistence WHEN 't' THEN 'temporary table' ELSE 'table' END
                WHEN 'p' THEN 'table' WHEN 'v' THEN 'view' WHEN 'm' THEN 'materialized view'
                WHEN 'S' THEN 'sequence' WHEN 'f' THEN 'foreign table' WHEN 'c' THEN 'type'
                ELSE 'relation' END
            FROM pg_catalog.pg_class c WHERE c.oid = d.objid), 'relation')
        WHEN 'pg_catalog.pg_proc'::regclass THEN 'function'
        WHEN 'pg_catalog.pg_namespace'::regclass THEN 'schema'
        WHEN 'pg_catalog.pg_largeobject'::regclass THEN 'large object'
        WHEN 'pg_catalog.pg_default_acl'::regclass THEN 'default privilege'
        WHEN 'pg_catalog.pg_authid'::regclass THEN 'role'
        ELSE replace(substr(d.classid::regclass::text, 4), '_', ' ')
    END AS kind,
    count(*) AS number
FROM pg_catalog.pg_shdepend d
WHERE d.refclassid = 'pg_catalog.pg_authid'::regclass AND d.refobjid = %(oid)s::text::oid
    AND d.deptype = 'o'
    AND d.dbid IN (
        0, (SELECT b.oid FROM pg_catalog.pg_database b WHERE b.datname = current_database())
    )
GROUP BY 1
ORDER BY 1
