-- kind: language
-- needs: SELECT on pg_language, pg_roles, pg_depend, pg_description
-- since: 13
-- name: {name}
-- Of the server's own languages (internal, c, sql), those that have another owner, handlers or trust
-- than initdb gives them. A comment on one of these cannot be told from the server's.
SELECT
    ARRAY[l.lanname]::text[] AS name,
    ARRAY[l.xmin::text] AS meta_xmin, --@ dated
    ARRAY[coalesce(o.rolname, l.lanowner::text)]::text[] AS owner__id,
    CASE WHEN l.lanacl IS NOT NULL THEN (
        SELECT array_agg(lower(d.privilege_type))
        FROM aclexplode(acldefault('l', l.lanowner)) AS d
        WHERE d.grantee = l.lanowner AND NOT EXISTS (
            SELECT FROM aclexplode(l.lanacl) AS a
            WHERE a.grantee = d.grantee AND a.privilege_type = d.privilege_type
        )
    ) END AS owner_lacks__set,
    l.lanpltrusted AS trusted,
    NULLIF(l.lanplcallfoid::regprocedure::text, '-') AS handler,
    NULLIF(l.laninline::regprocedure::text, '-') AS inline,
    NULLIF(l.lanvalidator::regprocedure::text, '-') AS validator,
    m.description AS comment
FROM pg_language AS l
LEFT JOIN pg_roles AS o ON o.oid = l.lanowner
LEFT JOIN pg_description AS m
    ON m.objoid = l.oid AND m.classoid = 'pg_language'::regclass AND m.objsubid = 0
WHERE (
        l.oid >= 16384 OR l.lanowner <> 10 OR l.lanplcallfoid <> 0 OR l.laninline <> 0
        OR l.lanvalidator >= 16384 OR l.lanpltrusted <> (l.lanname = 'sql')
    )
    AND NOT EXISTS (
        SELECT FROM pg_depend AS x
        WHERE x.classid = 'pg_language'::regclass AND x.objid = l.oid AND x.deptype = 'e'
            AND x.refclassid = 'pg_extension'::regclass
    )
