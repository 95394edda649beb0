-- kind: server
-- needs: SELECT on pg_foreign_server, pg_foreign_data_wrapper, pg_roles, pg_description
-- since: 13
-- if: FROM pg_foreign_server
-- name: {name}
-- Foreign servers: where foreign tables reach.
SELECT
    ARRAY[s.srvname]::text[] AS name,
    ARRAY[s.xmin::text] AS meta_xmin, --@ dated
    ARRAY[coalesce(o.rolname, s.srvowner::text)]::text[] AS owner__id,
    CASE WHEN s.srvacl IS NOT NULL THEN (
        SELECT array_agg(lower(d.privilege_type))
        FROM aclexplode(acldefault('S', s.srvowner)) AS d
        WHERE d.grantee = s.srvowner AND NOT EXISTS (
            SELECT FROM aclexplode(s.srvacl) AS a
            WHERE a.grantee = d.grantee AND a.privilege_type = d.privilege_type
        )
    ) END AS owner_lacks__set,
    ARRAY[f.fdwname]::text[] AS wrapper__id,
    s.srvtype AS type,
    s.srvversion AS version,
    s.srvoptions AS options__options,
    m.description AS comment
FROM pg_foreign_server AS s
JOIN pg_foreign_data_wrapper AS f ON f.oid = s.srvfdw
LEFT JOIN pg_roles AS o ON o.oid = s.srvowner
LEFT JOIN pg_description AS m
    ON m.objoid = s.oid AND m.classoid = 'pg_foreign_server'::regclass AND m.objsubid = 0
