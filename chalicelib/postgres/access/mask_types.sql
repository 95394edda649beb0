-- Some types, with all that they rest on: what is under a domain, and the elements of an array.
WITH RECURSIVE wanted AS (
    SELECT t.oid, t.typbasetype, t.typelem, t.typcategory
    FROM pg_catalog.pg_type t WHERE t.oid = ANY (%(oids)s::text[]::oid[])
    UNION
    SELECT t.oid, t.typbasetype, t.typelem, t.typcategory
    FROM wanted w
    JOIN pg_catalog.pg_type t
        ON t.oid = w.typbasetype OR (w.typcategory = 'A' AND t.oid = w.typelem)
)
SELECT
    t.oid::text AS oid,
    n.nspname::text AS schema,
    t.typname::text AS name,
    t.typtype::text AS kind,
    t.typcategory = 'A' AND t.typelem <> 0 AND t.typlen = -1 AS array,
    t.typelem::text AS element,
    t.typbasetype::text AS base,
    t.typtypmod AS typmod,
    (
        SELECT e.extname::text FROM pg_catalog.pg_depend d
        JOIN pg_catalog.pg_extension e ON e.oid = d.refobjid
        WHERE d.classid = 'pg_catalog.pg_type'::regclass AND d.objid = t.oid AND d.deptype = 'e'
            AND d.refclassid = 'pg_catalog.pg_extension'::regclass
    ) AS extension
FROM wanted w
JOIN pg_catalog.pg_type t ON t.oid = w.oid
JOIN pg_catalog.pg_namespace n ON n.oid = t.typnamespace
