-- kind: extension
-- needs: SELECT on pg_extension, pg_namespace, pg_roles, pg_depend, pg_description
-- since: 13
-- name: {name}
-- What an extension brings with it is told by its version and left out everywhere else. So that
-- nothing is hidden by ALTER EXTENSION … ADD, its members are counted and their identities digested.
SELECT
    ARRAY[e.extname]::text[] AS name,
    ARRAY[e.xmin::text] AS meta_xmin,
    e.extversion AS version,
    ARRAY[n.nspname]::text[] AS schema__id,
    ARRAY[o.rolname]::text[] AS owner__id,
    (
        SELECT count(*) || ' objects, sha256 ' || left(encode(sha256(convert_to(
            coalesce(string_agg(i.type || ' ' || i.identity, E'\n' ORDER BY i.type, i.identity COLLATE "C"), ''),
            'UTF8')), 'hex'), 16)
        FROM pg_depend AS d
        CROSS JOIN LATERAL pg_identify_object(d.classid, d.objid, d.objsubid) AS i
        WHERE d.refclassid = 'pg_extension'::regclass AND d.refobjid = e.oid AND d.deptype = 'e'
    ) AS members,
    m.description AS comment
FROM pg_extension AS e
JOIN pg_namespace AS n ON n.oid = e.extnamespace
JOIN pg_roles AS o ON o.oid = e.extowner
LEFT JOIN pg_description AS m
    ON m.objoid = e.oid AND m.classoid = 'pg_extension'::regclass AND m.objsubid = 0
