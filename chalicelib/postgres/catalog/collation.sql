-- kind: collation
-- needs: SELECT on pg_collation, pg_namespace, pg_roles, pg_depend, pg_description
-- since: 13
-- if: FROM pg_collation WHERE oid >= 16384 OR collowner <> 10 OR collnamespace <> 11
-- name: {name}
-- Those that a name means here: of the database's encoding, else of any. The version that is recorded
-- is the host's, and no drift.
-- Of those that initdb took from the host, the ones that have another owner or schema: what they mean
-- is the host's, and a comment, a new name and that one was dropped cannot be told.
SELECT
    ARRAY[n.nspname, l.collname]::text[] AS name,
    ARRAY[l.xmin::text] AS meta_xmin, --@ dated
    ARRAY[coalesce(o.rolname, l.collowner::text)]::text[] AS owner__id,
    CASE l.collprovider
        WHEN 'c' THEN 'libc' WHEN 'i' THEN 'icu' WHEN 'b' THEN 'builtin' ELSE 'default'
    END AS provider,
    CASE WHEN l.collprovider = 'c' THEN l.collcollate::text END AS collate,
    CASE WHEN l.collprovider = 'c' THEN l.collctype::text END AS ctype,
    CASE WHEN l.collprovider = 'i' THEN l.collcollate::text END AS locale, --@ <15
    l.colliculocale AS locale, --@ 15-16
    l.colllocale AS locale, --@ >=17
    l.collicurules AS icu_rules, --@ >=16
    l.collisdeterministic AS deterministic,
    m.description AS comment
FROM pg_collation AS l
JOIN pg_namespace AS n ON n.oid = l.collnamespace
LEFT JOIN pg_roles AS o ON o.oid = l.collowner
LEFT JOIN pg_description AS m
    ON m.objoid = l.oid AND m.classoid = 'pg_collation'::regclass AND m.objsubid = 0
WHERE (l.oid >= 16384 OR l.collowner <> 10 OR n.nspname <> 'pg_catalog')
    AND l.collencoding IN (-1, pg_char_to_encoding(getdatabaseencoding()))
    AND NOT EXISTS (
        SELECT FROM pg_collation AS y
        WHERE y.collname = l.collname AND y.collnamespace = l.collnamespace
            AND y.collencoding = pg_char_to_encoding(getdatabaseencoding()) AND l.collencoding = -1
    )
    AND n.nspname !~ '^pg_(toast_)?temp_[0-9]+$'
    AND NOT EXISTS (
        SELECT FROM pg_depend AS x
        WHERE x.classid = 'pg_collation'::regclass AND x.objid = l.oid AND x.deptype = 'e'
            AND x.refclassid = 'pg_extension'::regclass
    )
