-- kind: tablespace
-- needs: SELECT on pg_tablespace, pg_roles, pg_shdescription
-- since: 13
-- name: {name}
-- The server's own two are left out while they are as they came; who may use them are grants.
SELECT
    ARRAY[s.spcname]::text[] AS name,
    ARRAY[s.xmin::text] AS meta_xmin, --@ dated
    ARRAY[coalesce(o.rolname, s.spcowner::text)]::text[] AS owner__id,
    CASE WHEN s.lacks <> '{}' THEN s.lacks END AS owner_lacks__set,
    NULLIF(pg_tablespace_location(s.oid), '') AS location,
    s.spcoptions AS options__options,
    m.description AS comment
FROM (
    SELECT
        t.oid, t.xmin, t.spcname, t.spcowner, t.spcoptions,
        ARRAY(
            SELECT lower(d.privilege_type)
            FROM aclexplode(acldefault('t', t.spcowner)) AS d
            WHERE t.spcacl IS NOT NULL AND d.grantee = t.spcowner AND NOT EXISTS (
                SELECT FROM aclexplode(t.spcacl) AS a
                WHERE a.grantee = d.grantee AND a.privilege_type = d.privilege_type
            )
        ) AS lacks
    FROM pg_tablespace AS t
) AS s
LEFT JOIN pg_roles AS o ON o.oid = s.spcowner
LEFT JOIN pg_shdescription AS m ON m.objoid = s.oid AND m.classoid = 'pg_tablespace'::regclass
WHERE s.oid >= 16384 OR s.spcowner <> 10 OR s.lacks <> '{}' OR s.spcoptions IS NOT NULL
    OR m.description IS NOT NULL
    OR s.spcname NOT IN ('pg_default', 'pg_global')
