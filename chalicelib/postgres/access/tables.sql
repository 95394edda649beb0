-- Some of the tables, views and sequences that a role owns here, with how many there are. Sequences
-- of a table go with it; and one by one only what is in a schema in which the role may create.
SELECT n.nspname::text AS schema, c.relname::text AS name, count(*) OVER () AS number
FROM pg_catalog.pg_shdepend d
JOIN pg_catalog.pg_class c ON c.oid = d.objid AND c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S')
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE d.refclassid = 'pg_catalog.pg_authid'::regclass AND d.refobjid = %(oid)s::text::oid
    AND d.deptype = 'o' AND d.classid = 'pg_catalog.pg_class'::regclass
    AND d.dbid = (SELECT b.oid FROM pg_catalog.pg_database b WHERE b.datname = current_database())
    AND pg_catalog.has_schema_privilege(%(oid)s::text::oid, n.oid, 'CREATE')
    AND pg_catalog.has_schema_privilege(%(oid)s::text::oid, n.oid, 'USAGE')
    AND NOT EXISTS (
        SELECT FROM pg_catalog.pg_depend i
        WHERE c.relkind = 'S' AND i.classid = 'pg_catalog.pg_class'::regclass AND i.objid = c.oid
            AND i.refclassid = 'pg_catalog.pg_class'::regclass AND i.deptype IN ('a', 'i')
    )
ORDER BY c.oid
LIMIT %(limit)s
