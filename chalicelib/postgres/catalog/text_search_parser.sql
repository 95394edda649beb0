-- kind: text_search_parser
-- needs: SELECT on pg_ts_parser, pg_namespace, pg_depend, pg_description
-- since: 13
-- if: FROM pg_ts_parser WHERE oid >= 16384 OR prsnamespace <> 11 OR prsname <> 'default' OR greatest(prsstart::oid, prstoken::oid, prsend::oid, prslextype::oid, prsheadline::oid) >= 16384
-- name: {name}
-- Parsers have no owner. Of the server's own one: where it is moved, or calls a function that is not
-- the server's.
SELECT
    ARRAY[n.nspname, p.prsname]::text[] AS name,
    ARRAY[p.xmin::text] AS meta_xmin, --@ dated
    p.prsstart::regprocedure::text AS start,
    p.prstoken::regprocedure::text AS get_token,
    p.prsend::regprocedure::text AS end,
    p.prslextype::regprocedure::text AS lexeme_types,
    NULLIF(p.prsheadline::regprocedure::text, '-') AS headline,
    m.description AS comment
FROM pg_ts_parser AS p
JOIN pg_namespace AS n ON n.oid = p.prsnamespace
LEFT JOIN pg_description AS m
    ON m.objoid = p.oid AND m.classoid = 'pg_ts_parser'::regclass AND m.objsubid = 0
WHERE (
        p.oid >= 16384 OR n.nspname <> 'pg_catalog' OR p.prsname <> 'default' OR greatest(
            p.prsstart::oid, p.prstoken::oid, p.prsend::oid, p.prslextype::oid, p.prsheadline::oid
        ) >= 16384
    )
    AND n.nspname !~ '^pg_(toast_)?temp_[0-9]+$'
    AND NOT EXISTS (
        SELECT FROM pg_depend AS x
        WHERE x.classid = 'pg_ts_parser'::regclass AND x.objid = p.oid AND x.deptype = 'e'
            AND x.refclassid = 'pg_extension'::regclass
    )
