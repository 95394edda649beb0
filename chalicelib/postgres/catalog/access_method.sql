-- kind: access_method
-- needs: SELECT on pg_am, pg_depend, pg_description
-- since: 13
-- if: FROM pg_am WHERE oid >= 16384 OR amhandler >= 16384
-- name: {name}
-- Of the server's own, those whose handler is not the server's. Access methods have no owner.
SELECT
    ARRAY[a.amname]::text[] AS name,
    ARRAY[a.xmin::text] AS meta_xmin, --@ dated
    CASE a.amtype WHEN 't' THEN 'table' WHEN 'i' THEN 'index' ELSE a.amtype::text END AS type,
    a.amhandler::regprocedure::text AS handler,
    m.description AS comment
FROM pg_am AS a
LEFT JOIN pg_description AS m
    ON m.objoid = a.oid AND m.classoid = 'pg_am'::regclass AND m.objsubid = 0
WHERE (a.oid >= 16384 OR a.amhandler >= 16384)
    AND NOT EXISTS (
        SELECT FROM pg_depend AS x
        WHERE x.classid = 'pg_am'::regclass AND x.objid = a.oid AND x.deptype = 'e'
            AND x.refclassid = 'pg_extension'::regclass
    )
