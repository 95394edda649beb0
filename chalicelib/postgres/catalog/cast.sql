-- kind: cast
-- needs: SELECT on pg_cast, pg_type, pg_namespace, pg_depend, pg_description
-- since: 13
-- if: FROM pg_cast WHERE oid >= 16384 OR castfunc >= 16384
-- name: {meta_source} as {meta_target}
-- Of the server's own casts, those that call a function that is not the server's. Another context or
-- comment of one of these cannot be told from the server's.
-- The cast of a range to its multirange comes with the type, and is part of it.
SELECT
    format_type(k.castsource, NULL) AS meta_source,
    format_type(k.casttarget, NULL) AS meta_target,
    ARRAY[k.xmin::text] AS meta_xmin, --@ dated
    CASE k.castcontext WHEN 'i' THEN 'implicit' WHEN 'a' THEN 'assignment' ELSE 'explicit' END
        AS context,
    CASE k.castmethod WHEN 'f' THEN 'function' WHEN 'i' THEN 'text form' ELSE 'same bytes' END
        AS method,
    NULLIF(k.castfunc::regprocedure::text, '-') AS function,
    m.description AS comment
FROM pg_cast AS k
LEFT JOIN pg_description AS m
    ON m.objoid = k.oid AND m.classoid = 'pg_cast'::regclass AND m.objsubid = 0
WHERE (k.oid >= 16384 OR k.castfunc >= 16384)
    AND NOT EXISTS (
        SELECT FROM pg_type AS t
        JOIN pg_namespace AS n ON n.oid = t.typnamespace
        WHERE t.oid IN (k.castsource, k.casttarget) AND n.nspname ~ '^pg_(toast_)?temp_[0-9]+$'
    )
    AND NOT EXISTS (
        SELECT FROM pg_depend AS x
        WHERE x.classid = 'pg_cast'::regclass AND x.objid = k.oid AND x.deptype = 'e'
            AND x.refclassid = 'pg_extension'::regclass
    )
    AND NOT EXISTS (
        SELECT FROM pg_depend AS x
        WHERE x.classid = 'pg_cast'::regclass AND x.objid = k.oid AND x.deptype = 'i'
            AND x.refclassid = 'pg_type'::regclass
    )
