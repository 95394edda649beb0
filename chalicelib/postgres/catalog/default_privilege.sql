-- kind: default_privilege
-- needs: SELECT on pg_default_acl, pg_roles, pg_namespace
-- since: 13
-- name: {meta_objects} of {name_role}{meta_in}{name_schema} to {meta_grantee}
-- of: role {name_role}
-- An entry without a schema replaces the built-in default, one with a schema adds to it.
WITH entries AS (
    SELECT
        a.xmin::text AS xmin, a.defaclrole, a.defaclnamespace, a.defaclobjtype, a.defaclacl,
        CASE WHEN a.defaclnamespace = 0 THEN acldefault(
            CASE a.defaclobjtype WHEN 'S' THEN 's'::"char" ELSE a.defaclobjtype END, a.defaclrole
        ) END AS defaults
    FROM pg_default_acl AS a
), lists AS (
    SELECT
        e.*, g.grantee,
        (
            SELECT array_agg(ARRAY[x.privilege_type, coalesce(r.rolname, x.grantor::text), x.is_grantable::text])
            FROM aclexplode(e.defaclacl) AS x
            LEFT JOIN pg_roles AS r ON r.oid = x.grantor
            WHERE x.grantee = g.grantee AND x.grantee <> e.defaclrole
        ) AS privileges,
        (
            SELECT array_agg(lower(d.privilege_type))
            FROM aclexplode(e.defaults) AS d
            WHERE d.grantee = g.grantee AND NOT EXISTS (
                SELECT FROM aclexplode(e.defaclacl) AS x
                WHERE x.grantee = d.grantee AND x.privilege_type = d.privilege_type
            )
        ) AS lacks,
        (
            SELECT array_agg(
                format('%s %s %s', x.privilege_type, x.grantor, x.is_grantable)
                ORDER BY x.privilege_type, x.grantor, x.is_grantable
            )
            FROM aclexplode(e.defaclacl) AS x WHERE x.grantee = g.grantee
        ) IS NOT DISTINCT FROM (
            SELECT array_agg(
                format('%s %s %s', d.privilege_type, d.grantor, d.is_grantable)
                ORDER BY d.privilege_type, d.grantor, d.is_grantable
            )
            FROM aclexplode(e.defaults) AS d WHERE d.grantee = g.grantee
        ) AS built_in
    FROM entries AS e
    CROSS JOIN LATERAL (
        SELECT x.grantee FROM aclexplode(e.defaclacl) AS x
        UNION SELECT d.grantee FROM aclexplode(e.defaults) AS d
    ) AS g
)
SELECT
    CASE l.defaclobjtype
        WHEN 'r' THEN 'tables' WHEN 'S' THEN 'sequences' WHEN 'f' THEN 'functions'
        WHEN 'T' THEN 'types' WHEN 'n' THEN 'schemas' ELSE 'large objects'
    END AS meta_objects,
    ARRAY[o.rolname]::text[] AS name_role,
    CASE WHEN n.oid IS NOT NULL THEN ' in ' END AS meta_in,
    CASE WHEN n.oid IS NOT NULL THEN ARRAY[n.nspname]::text[] END AS name_schema,
    CASE WHEN l.grantee <> 0 THEN ARRAY[r.rolname]::text[] END AS meta_grantee,
    ARRAY[l.xmin] AS meta_xmin,
    l.privileges AS privileges__acl,
    CASE WHEN l.grantee <> l.defaclrole THEN l.lacks END AS lacks__set,
    CASE WHEN l.grantee = l.defaclrole THEN l.lacks END AS owner_lacks__set,
    CASE WHEN l.built_in THEN true END AS built_in
FROM lists AS l
JOIN pg_roles AS o ON o.oid = l.defaclrole
LEFT JOIN pg_namespace AS n ON n.oid = l.defaclnamespace
LEFT JOIN pg_roles AS r ON r.oid = l.grantee
WHERE l.grantee <> l.defaclrole OR l.lacks IS NOT NULL
