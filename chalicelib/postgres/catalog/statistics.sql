-- kind: statistics
-- needs: SELECT on pg_statistic_ext, pg_class, pg_attribute, pg_namespace, pg_roles, pg_depend, pg_description
-- since: 13
-- if: FROM pg_statistic_ext
-- name: {name}
-- of: {meta_parent} {meta_of}
-- required: expressions__pretty
-- What to collect, never what was collected.
SELECT
    ARRAY[n.nspname, s.stxname]::text[] AS name,
    CASE c.relkind WHEN 'm' THEN 'view' ELSE 'table' END AS meta_parent,
    ARRAY[cn.nspname, c.relname]::text[] AS meta_of,
    ARRAY[s.xmin::text] AS meta_xmin, --@ dated
    ARRAY[coalesce(o.rolname, s.stxowner::text)]::text[] AS owner__id,
    ARRAY(
        SELECT CASE k.kind
            WHEN 'd' THEN 'ndistinct' WHEN 'f' THEN 'dependencies' WHEN 'm' THEN 'mcv'
            ELSE k.kind::text
        END
        FROM unnest(s.stxkind) AS k (kind) WHERE k.kind <> 'e'
    ) AS kinds__set,
    ARRAY(
        SELECT a.attname::text FROM pg_attribute AS a
        WHERE a.attrelid = s.stxrelid AND a.attnum = ANY (s.stxkeys)
    ) AS columns__ids,
    ARRAY[]::text[] AS expressions__pretty, --@ <14
    CASE WHEN s.stxexprs IS NULL THEN ARRAY[]::text[] --@ >=14
        ELSE pg_get_statisticsobjdef_expressions(s.oid) END AS expressions__pretty, --@ >=14
    NULLIF(s.stxstattarget, -1) AS target,
    m.description AS comment
FROM pg_statistic_ext AS s
JOIN pg_namespace AS n ON n.oid = s.stxnamespace
JOIN pg_class AS c ON c.oid = s.stxrelid
JOIN pg_namespace AS cn ON cn.oid = c.relnamespace
LEFT JOIN pg_roles AS o ON o.oid = s.stxowner
LEFT JOIN pg_description AS m
    ON m.objoid = s.oid AND m.classoid = 'pg_statistic_ext'::regclass AND m.objsubid = 0
WHERE n.nspname !~ '^pg_(toast_)?temp_[0-9]+$'
    AND cn.nspname !~ '^pg_(toast_)?temp_[0-9]+$'
    AND NOT EXISTS (
        SELECT FROM pg_depend AS x
        WHERE x.classid = 'pg_statistic_ext'::regclass AND x.objid = s.oid AND x.deptype = 'e'
            AND x.refclassid = 'pg_extension'::regclass
    )
