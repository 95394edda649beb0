-- kind: sequence
-- needs: SELECT on pg_sequence, pg_class, pg_attribute, pg_namespace, pg_roles, pg_depend, pg_description
-- since: 13
-- if: FROM pg_sequence
-- name: {name}
-- The current value is not read: it moves with ordinary work.
SELECT
    ARRAY[n.nspname, c.relname]::text[] AS name,
    ARRAY[c.xmin::text, q.xmin::text] AS meta_xmin, --@ dated
    format_type(q.seqtypid, NULL) AS type,
    q.seqstart::text AS start,
    q.seqincrement::text AS increment,
    q.seqmin::text AS minimum,
    q.seqmax::text AS maximum,
    q.seqcache::text AS cache,
    q.seqcycle AS cycle,
    (
        SELECT ARRAY[tn.nspname, t.relname, a.attname]::text[]
        FROM pg_depend AS d
        JOIN pg_class AS t ON t.oid = d.refobjid
        JOIN pg_namespace AS tn ON tn.oid = t.relnamespace
        JOIN pg_attribute AS a ON a.attrelid = t.oid AND a.attnum = d.refobjsubid
        WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid
            AND d.refclassid = 'pg_class'::regclass AND d.deptype IN ('a', 'i')
        LIMIT 1
    ) AS owned_by__id,
    CASE c.relpersistence WHEN 'u' THEN 'unlogged' ELSE 'permanent' END AS persistence,
    ARRAY[coalesce(o.rolname, c.relowner::text)]::text[] AS owner__id,
    CASE WHEN c.relacl IS NOT NULL THEN (
        SELECT array_agg(lower(d.privilege_type))
        FROM aclexplode(acldefault('s', c.relowner)) AS d
        WHERE d.grantee = c.relowner AND NOT EXISTS (
            SELECT FROM aclexplode(c.relacl) AS a
            WHERE a.grantee = d.grantee AND a.privilege_type = d.privilege_type
        )
    ) END AS owner_lacks__set,
    m.description AS comment
FROM pg_sequence AS q
JOIN pg_class AS c ON c.oid = q.seqrelid
JOIN pg_namespace AS n ON n.oid = c.relnamespace
LEFT JOIN pg_roles AS o ON o.oid = c.relowner
LEFT JOIN pg_description AS m
    ON m.objoid = c.oid AND m.classoid = 'pg_class'::regclass AND m.objsubid = 0
WHERE c.oid >= 16384
    AND n.nspname !~ '^pg_(toast_)?temp_[0-9]+$'
    AND NOT EXISTS (
        SELECT FROM pg_depend AS x
        WHERE x.classid = 'pg_class'::regclass AND x.objid = c.oid AND x.deptype = 'e'
            AND x.refclassid = 'pg_extension'::regclass
    )
