-- kind: operator_class
-- needs: SELECT on pg_opclass, pg_opfamily, pg_am, pg_amop, pg_amproc, pg_namespace, pg_roles, pg_depend, pg_description
-- since: 13
-- if: FROM pg_opclass WHERE oid >= 16384 OR opcowner <> 10 OR opcnamespace <> 11
-- name: {name} using {meta_method}
-- of: operator_family {meta_family} using {meta_method}
-- Members are those of its family that are for its own type alone, whether they came with the class or
-- later: which of the two cannot be told after a dump and restore. All others are the family's.
-- Of the server's own classes, those that have another owner or schema; a comment cannot be told.
SELECT
    ARRAY[n.nspname, c.opcname]::text[] AS name,
    ARRAY[a.amname]::text[] AS meta_method,
    ARRAY[fn.nspname, f.opfname]::text[] AS meta_family,
    ARRAY[c.xmin::text]
        || ARRAY(SELECT e.xmin::text FROM pg_amop AS e WHERE e.amopfamily = c.opcfamily)
        || ARRAY(SELECT e.xmin::text FROM pg_amproc AS e WHERE e.amprocfamily = c.opcfamily)
        AS meta_xmin,
    ARRAY[coalesce(o.rolname, c.opcowner::text)]::text[] AS owner__id,
    c.opcdefault AS default,
    format_type(c.opcintype, NULL) AS type,
    CASE WHEN c.opckeytype <> 0 THEN format_type(c.opckeytype, NULL) END AS storage,
    ARRAY(
        SELECT concat(
            e.amopstrategy, ' ', e.amopopr::regoperator,
            ' for order by ' || quote_ident(sn.nspname) || '.' || quote_ident(s.opfname)
        )
        FROM pg_amop AS e
        LEFT JOIN pg_opfamily AS s ON s.oid = e.amopsortfamily
        LEFT JOIN pg_namespace AS sn ON sn.oid = s.opfnamespace
        WHERE e.amopfamily = c.opcfamily
            AND e.amoplefttype = c.opcintype AND e.amoprighttype = c.opcintype
    ) AS operators__set,
    ARRAY(
        SELECT concat(e.amprocnum, ' ', e.amproc::regprocedure) FROM pg_amproc AS e
        WHERE e.amprocfamily = c.opcfamily
            AND e.amproclefttype = c.opcintype AND e.amprocrighttype = c.opcintype
    ) AS functions__set,
    m.description AS comment
FROM pg_opclass AS c
JOIN pg_namespace AS n ON n.oid = c.opcnamespace
JOIN pg_am AS a ON a.oid = c.opcmethod
JOIN pg_opfamily AS f ON f.oid = c.opcfamily
JOIN pg_namespace AS fn ON fn.oid = f.opfnamespace
LEFT JOIN pg_roles AS o ON o.oid = c.opcowner
LEFT JOIN pg_description AS m
    ON m.objoid = c.oid AND m.classoid = 'pg_opclass'::regclass AND m.objsubid = 0
WHERE (c.oid >= 16384 OR c.opcowner <> 10 OR n.nspname <> 'pg_catalog')
    AND n.nspname !~ '^pg_(toast_)?temp_[0-9]+$'
    AND NOT EXISTS (
        SELECT FROM pg_depend AS x
        WHERE x.classid = 'pg_opclass'::regclass AND x.objid = c.oid AND x.deptype = 'e'
            AND x.refclassid = 'pg_extension'::regclass
    )
