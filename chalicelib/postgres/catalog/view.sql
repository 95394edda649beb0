-- kind: view
-- needs: SELECT on pg_class, pg_rewrite, pg_namespace, pg_roles, pg_am, pg_tablespace, pg_extension, pg_depend, pg_description
-- since: 13
-- if: FROM pg_class WHERE relkind IN ('v', 'm') AND (oid >= 16384 OR relowner <> 10)
-- name: {name}
-- required: definition__statement
WITH bound AS (
    SELECT d.objid, array_agg(ARRAY[e.extname]::text[] ORDER BY e.extname COLLATE "C") AS extensions
    FROM pg_extension AS e
    JOIN pg_depend AS d
        ON d.refclassid = 'pg_extension'::regclass AND d.refobjid = e.oid
        AND d.classid = 'pg_class'::regclass AND d.deptype = 'x'
    GROUP BY d.objid
)
SELECT
    ARRAY[n.nspname, c.relname]::text[] AS name,
    ARRAY[c.xmin::text, w.xmin::text] AS meta_xmin, --@ dated
    pg_get_viewdef(c.oid) AS definition__statement,
    c.relkind = 'm' AS materialized,
    ARRAY[coalesce(o.rolname, c.relowner::text)]::text[] AS owner__id,
    CASE WHEN c.relacl IS NOT NULL THEN (
        SELECT array_agg(lower(d.privilege_type))
        FROM aclexplode(acldefault('r', c.relowner)) AS d
        WHERE d.grantee = c.relowner AND NOT EXISTS (
            SELECT FROM aclexplode(c.relacl) AS a
            WHERE a.grantee = d.grantee AND a.privilege_type = d.privilege_type
        )
    ) END AS owner_lacks__set,
    coalesce((
        SELECT p.option_value::boolean FROM pg_options_to_table(c.reloptions) AS p
        WHERE p.option_name = 'security_barrier'
    ), false) AS security_barrier,
    coalesce((
        SELECT p.option_value::boolean FROM pg_options_to_table(c.reloptions) AS p
        WHERE p.option_name = 'security_invoker'
    ), false) AS security_invoker,
    (
        SELECT p.option_value FROM pg_options_to_table(c.reloptions) AS p
        WHERE p.option_name = 'check_option'
    ) AS check_option,
    ARRAY(
        SELECT p.option_name || '=' || coalesce(p.option_value, '')
        FROM pg_options_to_table(c.reloptions) AS p
        WHERE p.option_name NOT IN ('security_barrier', 'security_invoker', 'check_option')
    ) || ARRAY(SELECT 'toast.' || r FROM unnest(t.reloptions) AS r) AS options__options,
    b.extensions AS depends_on__list,
    am.amname::text AS access_method,
    CASE WHEN s.oid IS NOT NULL THEN ARRAY[s.spcname]::text[] END AS tablespace__id,
    m.description AS comment
FROM pg_class AS c
JOIN pg_namespace AS n ON n.oid = c.relnamespace
LEFT JOIN pg_roles AS o ON o.oid = c.relowner
LEFT JOIN pg_class AS t ON t.oid = c.reltoastrelid
LEFT JOIN pg_rewrite AS w ON w.ev_class = c.oid AND w.rulename = '_RETURN'
LEFT JOIN bound AS b ON b.objid = c.oid
LEFT JOIN pg_am AS am ON am.oid = c.relam
LEFT JOIN pg_tablespace AS s ON s.oid = c.reltablespace
LEFT JOIN pg_description AS m
    ON m.objoid = c.oid AND m.classoid = 'pg_class'::regclass AND m.objsubid = 0
WHERE c.relkind IN ('v', 'm')
    AND (c.oid >= 16384 OR c.relowner <> 10)
    AND n.nspname !~ '^pg_(toast_)?temp_[0-9]+$'
    AND NOT EXISTS (
        SELECT FROM pg_depend AS x
        WHERE x.classid = 'pg_class'::regclass AND x.objid = c.oid AND x.deptype = 'e'
            AND x.refclassid = 'pg_extension'::regclass
    )
