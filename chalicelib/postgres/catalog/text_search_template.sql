-- kind: text_search_template
-- needs: SELECT on pg_ts_template, pg_namespace, pg_depend, pg_description
-- since: 13
-- if: FROM pg_ts_template WHERE oid >= 16384 OR tmplnamespace <> 11 OR greatest(tmplinit::oid, tmpllexize::oid) >= 16384
-- name: {name}
-- Templates have no owner. Of the server's own: those that are moved, or call a function that is not
-- the server's. A comment or a new name cannot be told.
SELECT
    ARRAY[n.nspname, t.tmplname]::text[] AS name,
    ARRAY[t.xmin::text] AS meta_xmin, --@ dated
    NULLIF(t.tmplinit::regprocedure::text, '-') AS init,
    t.tmpllexize::regprocedure::text AS lexize,
    m.description AS comment
FROM pg_ts_template AS t
JOIN pg_namespace AS n ON n.oid = t.tmplnamespace
LEFT JOIN pg_description AS m
    ON m.objoid = t.oid AND m.classoid = 'pg_ts_template'::regclass AND m.objsubid = 0
WHERE (
        t.oid >= 16384 OR n.nspname <> 'pg_catalog'
        OR greatest(t.tmplinit::oid, t.tmpllexize::oid) >= 16384
    )
    AND n.nspname !~ '^pg_(toast_)?temp_[0-9]+$'
    AND NOT EXISTS (
        SELECT FROM pg_depend AS x
        WHERE x.classid = 'pg_ts_template'::regclass AND x.objid = t.oid AND x.deptype = 'e'
            AND x.refclassid = 'pg_extension'::regclass
    )
