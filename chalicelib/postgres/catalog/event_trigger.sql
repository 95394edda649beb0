-- kind: event_trigger
-- needs: SELECT on pg_event_trigger, pg_roles, pg_depend, pg_description
-- since: 13
-- if: FROM pg_event_trigger
-- name: {name}
-- Those of extensions are left out unless they are disabled, or fire in other sessions than the
-- usual ones: an extension that watches statements is switched off this way.
SELECT
    ARRAY[g.evtname]::text[] AS name,
    ARRAY[g.xmin::text] AS meta_xmin, --@ dated
    ARRAY[coalesce(o.rolname, g.evtowner::text)]::text[] AS owner__id,
    g.evtevent::text AS event,
    g.evttags AS tags__set,
    g.evtfoid::regprocedure::text AS function,
    CASE g.evtenabled
        WHEN 'O' THEN 'origin' WHEN 'D' THEN 'disabled' WHEN 'R' THEN 'replica' ELSE 'always'
    END AS enabled,
    m.description AS comment
FROM pg_event_trigger AS g
LEFT JOIN pg_roles AS o ON o.oid = g.evtowner
LEFT JOIN pg_description AS m
    ON m.objoid = g.oid AND m.classoid = 'pg_event_trigger'::regclass AND m.objsubid = 0
WHERE g.evtenabled <> 'O'
    OR NOT EXISTS (
        SELECT FROM pg_depend AS x
        WHERE x.classid = 'pg_event_trigger'::regclass AND x.objid = g.oid AND x.deptype = 'e'
            AND x.refclassid = 'pg_extension'::regclass
    )
