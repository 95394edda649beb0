-- kind: transform
-- needs: SELECT on pg_transform, pg_type, pg_namespace, pg_language, pg_depend, pg_description
-- since: 13
-- if: FROM pg_transform
-- name: for {meta_type} language {meta_language}
SELECT
    format_type(r.trftype, NULL) AS meta_type,
    ARRAY[l.lanname]::text[] AS meta_language,
    ARRAY[r.xmin::text] AS meta_xmin, --@ dated
    NULLIF(r.trffromsql::regprocedure::text, '-') AS from_sql,
    NULLIF(r.trftosql::regprocedure::text, '-') AS to_sql,
    m.description AS comment
FROM pg_transform AS r
JOIN pg_language AS l ON l.oid = r.trflang
LEFT JOIN pg_description AS m
    ON m.objoid = r.oid AND m.classoid = 'pg_transform'::regclass AND m.objsubid = 0
WHERE NOT EXISTS (
        SELECT FROM pg_type AS t
        JOIN pg_namespace AS n ON n.oid = t.typnamespace
        WHERE t.oid = r.trftype AND n.nspname ~ '^pg_(toast_)?temp_[0-9]+$'
    )
    AND NOT EXISTS (
        SELECT FROM pg_depend AS x
        WHERE x.classid = 'pg_transform'::regclass AND x.objid = r.oid AND x.deptype = 'e'
            AND x.refclassid = 'pg_extension'::regclass
    )
