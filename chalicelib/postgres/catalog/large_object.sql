-- kind: large_object
-- needs: SELECT on pg_largeobject_metadata, pg_roles, pg_description
-- since: 13
-- if: FROM pg_largeobject_metadata
-- name: {name}
-- Its number is its name: applications store it. What is in it is data, and not read.
SELECT
    l.oid::text AS name,
    ARRAY[l.xmin::text] AS meta_xmin, --@ dated
    ARRAY[coalesce(o.rolname, l.lomowner::text)]::text[] AS owner__id,
    CASE WHEN l.lomacl IS NOT NULL THEN (
        SELECT array_agg(lower(d.privilege_type))
        FROM aclexplode(acldefault('L', l.lomowner)) AS d
        WHERE d.grantee = l.lomowner AND NOT EXISTS (
            SELECT FROM aclexplode(l.lomacl) AS a
            WHERE a.grantee = d.grantee AND a.privilege_type = d.privilege_type
        )
    ) END AS owner_lacks__set,
    m.description AS comment
FROM pg_largeobject_metadata AS l
LEFT JOIN pg_roles AS o ON o.oid = l.lomowner
LEFT JOIN pg_description AS m
    ON m.objoid = l.oid AND m.classoid = 'pg_largeobject'::regclass AND m.objsubid = 0
