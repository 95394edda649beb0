-- kind: operator_family
-- needs: SELECT on pg_opfamily, pg_opclass, pg_am, pg_amop, pg_amproc, pg_namespace, pg_roles, pg_depend, pg_description
-- since: 13
-- if: FROM pg_opfamily WHERE oid >= 16384 OR opfowner <> 10 OR opfnamespace <> 11 UNION ALL SELECT FROM pg_amop WHERE oid >= 16384 UNION ALL SELECT FROM pg_amproc WHERE oid >= 16384
-- name: {name} using {meta_method}
-- Members that are for the type of one class alone are told by that class: see operator_class.
-- Of the server's own families, those that have another owner or schema, or members that were added
-- since; only these are listed. The server's own members cannot be dropped.
WITH members AS (
    SELECT
        e.amopfamily AS family, 'operator' AS form, e.xmin,
        e.amoplefttype AS lefttype, e.amoprighttype AS righttype,
        concat(
            e.amopstrategy, ' ', e.amopopr::regoperator,
            ' for order by ' || quote_ident(sn.nspname) || '.' || quote_ident(s.opfname)
        ) AS shown
    FROM pg_amop AS e
    LEFT JOIN pg_opfamily AS s ON s.oid = e.amopsortfamily
    LEFT JOIN pg_namespace AS sn ON sn.oid = s.opfnamespace
    WHERE e.oid >= 16384
    UNION ALL
    SELECT
        e.amprocfamily, 'function', e.xmin, e.amproclefttype, e.amprocrighttype,
        format(
            '%s (%s, %s) %s', e.amprocnum, format_type(e.amproclefttype, NULL),
            format_type(e.amprocrighttype, NULL), e.amproc::regprocedure
        )
    FROM pg_amproc AS e
    WHERE e.oid >= 16384
), loose AS (
    SELECT
        b.family, array_agg(b.xmin::text) AS xmins,
        array_agg(b.shown) FILTER (WHERE b.form = 'operator') AS operators,
        array_agg(b.shown) FILTER (WHERE b.form = 'function') AS functions
    FROM members AS b
    WHERE NOT EXISTS (
        SELECT FROM pg_opclass AS c
        WHERE c.opcfamily = b.family AND c.oid >= 16384
            AND c.opcintype = b.lefttype AND c.opcintype = b.righttype
    )
    GROUP BY b.family
)
SELECT
    ARRAY[n.nspname, f.opfname]::text[] AS name,
    ARRAY[a.amname]::text[] AS meta_method,
    ARRAY[f.xmin::text] || l.xmins AS meta_xmin,
    ARRAY[coalesce(o.rolname, f.opfowner::text)]::text[] AS owner__id,
    l.operators AS operators__set,
    l.functions AS functions__set,
    m.description AS comment
FROM pg_opfamily AS f
JOIN pg_namespace AS n ON n.oid = f.opfnamespace
JOIN pg_am AS a ON a.oid = f.opfmethod
LEFT JOIN loose AS l ON l.family = f.oid
LEFT JOIN pg_roles AS o ON o.oid = f.opfowner
LEFT JOIN pg_description AS m
    ON m.objoid = f.oid AND m.classoid = 'pg_opfamily'::regclass AND m.objsubid = 0
WHERE (f.oid >= 16384 OR f.opfowner <> 10 OR n.nspname <> 'pg_catalog' OR l.family IS NOT NULL)
    AND n.nspname !~ '^pg_(toast_)?temp_[0-9]+$'
    AND NOT EXISTS (
        SELECT FROM pg_depend AS x
        WHERE x.classid = 'pg_opfamily'::regclass AND x.objid = f.oid AND x.deptype = 'e'
            AND x.refclassid = 'pg_extension'::regclass
    )
