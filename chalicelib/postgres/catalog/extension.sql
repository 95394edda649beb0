-- kind: extension
-- needs: SELECT on pg_extension, pg_namespace, pg_roles, pg_description, EXECUTE on pg_available_extensions()
-- since: 13
-- name: {name}
-- What an extension brings with it is told by its version, and by objects of the kind
-- extension_member. A restore installs the version that the server has as its default.
-- A dump does not say who owns it: the superuser who restores will, so superusers are not told apart.
SELECT
    ARRAY[e.extname]::text[] AS name,
    ARRAY[e.xmin::text] AS meta_xmin, --@ dated
    e.extversion AS version,
    CASE WHEN a.default_version = e.extversion THEN true END AS default_version,
    ARRAY[n.nspname]::text[] AS schema__id,
    CASE WHEN o.rolsuper IS NOT TRUE
        THEN ARRAY[coalesce(o.rolname, e.extowner::text)]::text[] END AS owner__id,
    m.description AS comment
FROM pg_extension AS e
JOIN pg_namespace AS n ON n.oid = e.extnamespace
LEFT JOIN pg_available_extensions() AS a ON a.name = e.extname
LEFT JOIN pg_roles AS o ON o.oid = e.extowner
LEFT JOIN pg_description AS m
    ON m.objoid = e.oid AND m.classoid = 'pg_extension'::regclass AND m.objsubid = 0
