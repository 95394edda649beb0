-- kind: default_privilege
-- needs: SELECT on pg_default_acl, pg_roles, pg_namespace
-- since: 13
-- if: FROM pg_default_acl
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
), given AS MATERIALIZED (
    SELECT
        e.xmin, x.grantee, x.grantor, x.privilege_type, x.is_grantable,
        e.defaclrole, e.defaclnamespace, e.defaclobjtype
    FROM entries AS e
    CROSS JOIN LATERAL aclexplode(e.defaclacl) AS x
), built_in AS MATERIALIZED (
    SELECT
        e.xmin, x.grantee, x.grantor, x.privilege_type, x.is_grantable,
        e.defaclrole, e.defaclnamespace, e.defaclobjtype
    FROM entries AS e
    CROSS JOIN LATERAL aclexplode(e.defaults) AS x
), has AS MATERIALIZED (
    SELECT
        g.xmin, g.defaclrole, g.defaclnamespace, g.defaclobjtype, g.grantee,
        array_agg(ARRAY[g.privilege_type, coalesce(r.rolname, g.grantor::text), g.is_grantable::text])
            AS privileges,
        array_agg(lower(g.privilege_type)) AS held,
        array_agg(
            format('%s %s %s', g.privilege_type, g.grantor, g.is_grantable)
            ORDER BY g.privilege_type, g.grantor, g.is_grantable
        ) AS entries
    FROM given AS g
    LEFT JOIN pg_roles AS r ON r.oid = g.grantor
    GROUP BY g.xmin, g.defaclrole, g.defaclnamespace, g.defaclobjtype, g.grantee
), had AS MATERIALIZED (
    SELECT
        b.xmin, b.defaclrole, b.defaclnamespace, b.defaclobjtype, b.grantee,
        array_agg(lower(b.privilege_type)) AS held,
        array_agg(
            format('%s %s %s', b.privilege_type, b.grantor, b.is_grantable)
            ORDER BY b.privilege_type, b.grantor, b.is_grantable
        ) AS entries
    FROM built_in AS b
    GROUP BY b.xmin, b.defaclrole, b.defaclnamespace, b.defaclobjtype, b.grantee
), lists AS (
    SELECT
        xmin, defaclrole, defaclnamespace, defaclobjtype, grantee,
        CASE WHEN grantee <> defaclrole OR defaclnamespace <> 0 THEN has.privileges END AS privileges,
        NULLIF(ARRAY(
            SELECT p FROM unnest(had.held) AS p WHERE p <> ALL (coalesce(has.held, '{}'))
        ), '{}') AS lacks,
        has.entries IS NOT DISTINCT FROM had.entries AS built_in
    FROM has
    FULL JOIN had USING (xmin, defaclrole, defaclnamespace, defaclobjtype, grantee)
)
SELECT
    CASE l.defaclobjtype
        WHEN 'r' THEN 'tables' WHEN 'S' THEN 'sequences' WHEN 'f' THEN 'functions'
        WHEN 'T' THEN 'types' WHEN 'n' THEN 'schemas' ELSE 'large objects'
    END AS meta_objects,
    ARRAY[coalesce(o.rolname, l.defaclrole::text)]::text[] AS name_role,
    CASE WHEN n.oid IS NOT NULL THEN ' in ' END AS meta_in,
    CASE WHEN n.oid IS NOT NULL THEN ARRAY[n.nspname]::text[] END AS name_schema,
    CASE WHEN l.grantee <> 0 THEN ARRAY[coalesce(r.rolname, l.grantee::text)]::text[] END AS meta_grantee,
    ARRAY[l.xmin] AS meta_xmin, --@ dated
    l.privileges AS privileges__acl,
    CASE WHEN l.grantee <> l.defaclrole THEN l.lacks END AS lacks__set,
    CASE WHEN l.grantee = l.defaclrole THEN l.lacks END AS owner_lacks__set,
    CASE WHEN l.built_in THEN true END AS built_in
FROM lists AS l
LEFT JOIN pg_roles AS o ON o.oid = l.defaclrole
LEFT JOIN pg_namespace AS n ON n.oid = l.defaclnamespace
LEFT JOIN pg_roles AS r ON r.oid = l.grantee
WHERE l.grantee <> l.defaclrole OR l.defaclnamespace <> 0 OR l.lacks IS NOT NULL
