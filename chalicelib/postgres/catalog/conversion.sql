-- kind: conversion
-- needs: SELECT on pg_conversion, pg_namespace, pg_roles, pg_depend, pg_description
-- since: 13
-- if: FROM pg_conversion WHERE oid >= 16384 OR conowner <> 10 OR conproc >= 16384 OR connamespace <> 11
-- name: {name}
-- Of the server's own, those that have another owner or schema, or a function that is not the
-- server's. A comment or a new name of one of these cannot be told.
SELECT
    ARRAY[n.nspname, v.conname]::text[] AS name,
    ARRAY[v.xmin::text] AS meta_xmin, --@ dated
    ARRAY[coalesce(o.rolname, v.conowner::text)]::text[] AS owner__id,
    pg_encoding_to_char(v.conforencoding)::text AS from_encoding,
    pg_encoding_to_char(v.contoencoding)::text AS to_encoding,
    v.conproc::regprocedure::text AS function,
    v.condefault AS default,
    m.description AS comment
FROM pg_conversion AS v
JOIN pg_namespace AS n ON n.oid = v.connamespace
LEFT JOIN pg_roles AS o ON o.oid = v.conowner
LEFT JOIN pg_description AS m
    ON m.objoid = v.oid AND m.classoid = 'pg_conversion'::regclass AND m.objsubid = 0
WHERE (v.oid >= 16384 OR v.conowner <> 10 OR v.conproc >= 16384 OR n.nspname <> 'pg_catalog')
    AND n.nspname !~ '^pg_(toast_)?temp_[0-9]+$'
    AND NOT EXISTS (
        SELECT FROM pg_depend AS x
        WHERE x.classid = 'pg_conversion'::regclass AND x.objid = v.oid AND x.deptype = 'e'
            AND x.refclassid = 'pg_extension'::regclass
    )
