-- kind: database
-- needs: SELECT on pg_database, pg_roles, pg_tablespace, pg_shdescription
-- since: 13
-- name: {name}
-- Every database of the server: like roles, they are shared.
SELECT
    ARRAY[b.datname]::text[] AS name,
    ARRAY[b.xmin::text] AS meta_xmin, --@ dated
    ARRAY[coalesce(o.rolname, b.datdba::text)]::text[] AS owner__id,
    CASE WHEN b.datacl IS NOT NULL THEN (
        SELECT array_agg(lower(d.privilege_type))
        FROM aclexplode(acldefault('d', b.datdba)) AS d
        WHERE d.grantee = b.datdba AND NOT EXISTS (
            SELECT FROM aclexplode(b.datacl) AS a
            WHERE a.grantee = d.grantee AND a.privilege_type = d.privilege_type
        )
    ) END AS owner_lacks__set,
    pg_encoding_to_char(b.encoding)::text AS encoding,
    b.datcollate::text AS collate,
    b.datctype::text AS ctype,
    CASE b.datlocprovider WHEN 'c' THEN 'libc' WHEN 'i' THEN 'icu' WHEN 'b' THEN 'builtin' END AS locale_provider, --@ >=15
    b.datlocale AS locale, --@ >=17
    b.daticulocale AS locale, --@ 15-16
    b.daticurules AS icu_rules, --@ >=16
    b.datconnlimit AS connection_limit,
    b.datallowconn AS allow_connections,
    b.datistemplate AS is_template,
    ARRAY[s.spcname]::text[] AS tablespace__id,
    m.description AS comment
FROM pg_database AS b
LEFT JOIN pg_roles AS o ON o.oid = b.datdba
JOIN pg_tablespace AS s ON s.oid = b.dattablespace
LEFT JOIN pg_shdescription AS m ON m.objoid = b.oid AND m.classoid = 'pg_database'::regclass
