-- kind: schema
-- needs: SELECT on pg_namespace, pg_roles, pg_depend, pg_description
-- since: 13
-- name: {name}
SELECT
    ARRAY[n.nspname]::text[] AS name,
    ARRAY[n.xmin::text] AS meta_xmin,
    ARRAY[coalesce(o.rolname, n.nspowner::text)]::text[] AS owner__id,
    (
        SELECT array_agg(lower(d.privilege_type))
        FROM aclexplode(acldefault('n', n.nspowner)) AS d
        WHERE n.nspacl IS NOT NULL AND d.grantee = n.nspowner AND NOT EXISTS (
            SELECT FROM aclexplode(n.nspacl) AS a
            WHERE a.grantee = d.grantee AND a.privilege_type = d.privilege_type
        )
    ) AS owner_lacks__set,
    m.description AS comment
FROM pg_namespace AS n
LEFT JOIN pg_roles AS o ON o.oid = n.nspowner
LEFT JOIN pg_description AS m
    ON m.objoid = n.oid AND m.classoid = 'pg_namespace'::regclass AND m.objsubid = 0
WHERE (n.oid >= 16384 OR n.nspname = 'public')
    AND n.nspname !~ '^pg_(toast_)?temp_[0-9]+$'
    AND NOT EXISTS (
        SELECT FROM pg_depend AS x
        WHERE x.classid = 'pg_namespace'::regclass AND x.objid = n.oid AND x.deptype = 'e'
    )
