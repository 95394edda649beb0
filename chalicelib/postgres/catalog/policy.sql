-- kind: policy
-- needs: SELECT on pg_policy, pg_class, pg_namespace, pg_roles, pg_depend, pg_description
-- since: 13
-- if: FROM pg_policy
-- name: {name}
-- of: table {meta_of}
SELECT
    ARRAY[n.nspname, c.relname, p.polname]::text[] AS name,
    ARRAY[n.nspname, c.relname]::text[] AS meta_of,
    ARRAY[p.xmin::text] AS meta_xmin, --@ dated
    CASE p.polcmd
        WHEN 'r' THEN 'select' WHEN 'a' THEN 'insert' WHEN 'w' THEN 'update' WHEN 'd' THEN 'delete'
        ELSE 'all'
    END AS command,
    p.polpermissive AS permissive,
    ARRAY(
        SELECT CASE WHEN u.oid <> 0 THEN coalesce(r.rolname, u.oid::text) END
        FROM unnest(p.polroles) AS u (oid)
        LEFT JOIN pg_roles AS r ON r.oid = u.oid
    ) AS roles__ids,
    pg_get_expr(p.polqual, p.polrelid) AS using__expression,
    pg_get_expr(p.polwithcheck, p.polrelid) AS check__expression,
    m.description AS comment
FROM pg_policy AS p
JOIN pg_class AS c ON c.oid = p.polrelid
JOIN pg_namespace AS n ON n.oid = c.relnamespace
LEFT JOIN pg_description AS m
    ON m.objoid = p.oid AND m.classoid = 'pg_policy'::regclass AND m.objsubid = 0
WHERE (c.oid >= 16384 OR p.oid >= 16384)
    AND n.nspname !~ '^pg_(toast_)?temp_[0-9]+$'
    AND NOT EXISTS (
        SELECT FROM pg_depend AS x
        WHERE x.classid = 'pg_class'::regclass AND x.objid = c.oid AND x.deptype = 'e'
            AND x.refclassid = 'pg_extension'::regclass
    )
