-- kind: grant
-- needs: SELECT on pg_largeobject_metadata, pg_roles
-- since: 13
-- if: FROM pg_largeobject_metadata
-- name: large_object {name} to {meta_grantee}
-- of: large_object {name}
-- A large object's default is nothing for anybody else, so that every entry was granted.
SELECT
    l.oid::text AS name,
    CASE WHEN g.grantee <> 0 THEN ARRAY[coalesce(r.rolname, g.grantee::text)]::text[] END AS meta_grantee,
    ARRAY[l.xmin::text] AS meta_xmin, --@ dated
    g.privileges AS privileges__acl
FROM pg_largeobject_metadata AS l
CROSS JOIN LATERAL (
    SELECT
        e.grantee,
        array_agg(
            ARRAY[e.privilege_type, coalesce(b.rolname, e.grantor::text), e.is_grantable::text]
        ) AS privileges
    FROM aclexplode(l.lomacl) AS e
    LEFT JOIN pg_roles AS b ON b.oid = e.grantor
    WHERE e.grantee <> l.lomowner
    GROUP BY e.grantee
) AS g
LEFT JOIN pg_roles AS r ON r.oid = g.grantee
WHERE l.lomacl IS NOT NULL
