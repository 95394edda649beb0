-- kind: text_search_configuration
-- needs: SELECT on pg_ts_config, pg_ts_config_map, pg_ts_dict, pg_ts_parser, pg_namespace, pg_roles, pg_depend, pg_description
-- since: 13
-- name: {name}
-- Tokens of the server's own parser have names; of another parser their numbers are shown, since only
-- its own code knows the names.
-- Of the server's own configurations, those whose mappings are not as initdb makes them: words go to
-- the stemmer of the same name, ASCII words there or to English, all else to simple.
-- A comment, and that one was dropped, cannot be told.
WITH tokens AS (
    SELECT t.tokid, t.alias FROM ts_token_type(3722) AS t
)
SELECT
    ARRAY[n.nspname, g.cfgname]::text[] AS name,
    ARRAY[g.xmin::text]
        || ARRAY(SELECT e.xmin::text FROM pg_ts_config_map AS e WHERE e.mapcfg = g.oid)
        AS meta_xmin,
    ARRAY[coalesce(o.rolname, g.cfgowner::text)]::text[] AS owner__id,
    ARRAY[pn.nspname, p.prsname]::text[] AS parser__id,
    ARRAY(
        SELECT ARRAY[
            CASE WHEN g.cfgparser = 3722 THEN t.alias ELSE e.maptokentype::text END,
            dn.nspname, d.dictname
        ]::text[]
        FROM pg_ts_config_map AS e
        JOIN pg_ts_dict AS d ON d.oid = e.mapdict
        JOIN pg_namespace AS dn ON dn.oid = d.dictnamespace
        LEFT JOIN tokens AS t ON t.tokid = e.maptokentype
        WHERE e.mapcfg = g.oid
        ORDER BY e.maptokentype, e.mapseqno
    ) AS mappings__mappings,
    m.description AS comment
FROM pg_ts_config AS g
JOIN pg_namespace AS n ON n.oid = g.cfgnamespace
JOIN pg_ts_parser AS p ON p.oid = g.cfgparser
JOIN pg_namespace AS pn ON pn.oid = p.prsnamespace
LEFT JOIN pg_roles AS o ON o.oid = g.cfgowner
LEFT JOIN pg_description AS m
    ON m.objoid = g.oid AND m.classoid = 'pg_ts_config'::regclass AND m.objsubid = 0
WHERE (
        g.oid >= 16384 OR g.cfgowner <> 10 OR g.cfgparser <> 3722 OR n.nspname <> 'pg_catalog'
        OR (
            SELECT count(*) <> 19 OR count(DISTINCT e.maptokentype) <> 19 OR bool_or(
                d.oid >= 16384 OR d.dictname <> ALL (CASE
                    WHEN g.cfgname = 'simple' OR e.maptokentype NOT IN (1, 2, 10, 11, 16, 17)
                        THEN ARRAY['simple']
                    WHEN e.maptokentype IN (1, 11, 16) THEN ARRAY[g.cfgname || '_stem', 'english_stem']
                    ELSE ARRAY[g.cfgname || '_stem']
                END)
            )
            FROM pg_ts_config_map AS e JOIN pg_ts_dict AS d ON d.oid = e.mapdict
            WHERE e.mapcfg = g.oid
        )
    )
    AND n.nspname !~ '^pg_(toast_)?temp_[0-9]+$'
    AND NOT EXISTS (
        SELECT FROM pg_depend AS x
        WHERE x.classid = 'pg_ts_config'::regclass AND x.objid = g.oid AND x.deptype = 'e'
            AND x.refclassid = 'pg_extension'::regclass
    )
