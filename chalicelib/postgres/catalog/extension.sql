-- kind: extension
-- needs: SELECT on pg_extension, pg_namespace, pg_roles, pg_description
-- since: 13
-- name: {name}
-- What an extension brings with it is told by its version and left out everywhere else.
SELECT
    ARRAY[e.extname]::text[] AS name,
    ARRAY[e.xmin::text] AS meta_xmin,
    e.extversion AS version,
    ARRAY[n.nspname]::text[] AS schema__id,
    ARRAY[o.rolname]::text[] AS owner__id,
    m.description AS comment
FROM pg_extension AS e
JOIN pg_namespace AS n ON n.oid = e.extnamespace
JOIN pg_roles AS o ON o.oid = e.extowner
LEFT JOIN pg_description AS m
    ON m.objoid = e.oid AND m.classoid = 'pg_extension'::regclass AND m.objsubid = 0
