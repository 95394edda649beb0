-- kind: function
-- needs: SELECT on pg_proc, pg_aggregate, pg_namespace, pg_roles, pg_language, pg_type, pg_extension, pg_depend, pg_description
-- since: 13
-- name: {name}({meta_arguments})
-- required: meta_arguments, arguments__arguments
-- Of the server's own functions, those that are not as initdb makes them, as far as a row can tell:
-- none is SECURITY DEFINER, has settings or another owner, or is in another language; those in SQL
-- have a parsed body (14), unless an argument is polymorphic. All others are in the digest of their schema.
-- The constructors that the server makes with a range type are part of that type.
WITH bound AS (
    SELECT d.objid, array_agg(ARRAY[e.extname]::text[] ORDER BY e.extname COLLATE "C") AS extensions
    FROM pg_extension AS e
    JOIN pg_depend AS d
        ON d.refclassid = 'pg_extension'::regclass AND d.refobjid = e.oid
        AND d.classid = 'pg_proc'::regclass AND d.deptype = 'x'
    GROUP BY d.objid
)
SELECT
    ARRAY[n.nspname, p.proname]::text[] AS name,
    oidvectortypes(p.proargtypes) AS meta_arguments,
    ARRAY[p.xmin::text, a.xmin::text] AS meta_xmin, --@ dated
    CASE p.prokind
        WHEN 'p' THEN 'procedure' WHEN 'a' THEN 'aggregate' WHEN 'w' THEN 'window' ELSE 'function'
    END AS form,
    ARRAY[coalesce(o.rolname, p.proowner::text)]::text[] AS owner__id,
    CASE WHEN p.proacl IS NOT NULL THEN (
        SELECT array_agg(lower(d.privilege_type))
        FROM aclexplode(acldefault('f', p.proowner)) AS d
        WHERE d.grantee = p.proowner AND NOT EXISTS (
            SELECT FROM aclexplode(p.proacl) AS a
            WHERE a.grantee = d.grantee AND a.privilege_type = d.privilege_type
        )
    ) END AS owner_lacks__set,
    pg_get_function_arguments(p.oid) AS arguments__arguments,
    pg_get_function_result(p.oid) AS returns,
    l.lanname::text AS language,
    CASE WHEN p.prokind <> 'a' THEN p.prosrc END AS body, --@ <14
    pg_get_function_sqlbody(p.oid) AS body__routine, --@ >=14
    CASE WHEN p.prokind <> 'a' AND p.prosqlbody IS NULL THEN p.prosrc END AS body, --@ >=14
    p.probin AS library,
    p.prosecdef AS security_definer,
    NULLIF(p.prosecdef AND o.rolsuper, false) AS owner_superuser,
    CASE p.provolatile WHEN 'i' THEN 'immutable' WHEN 's' THEN 'stable' ELSE 'volatile' END
        AS volatility,
    CASE p.proparallel WHEN 's' THEN 'safe' WHEN 'r' THEN 'restricted' ELSE 'unsafe' END
        AS parallel,
    p.proisstrict AS strict,
    p.proleakproof AS leakproof,
    p.procost::text AS cost,
    CASE WHEN p.proretset THEN p.prorows::text END AS rows,
    p.proconfig AS config__config,
    ARRAY(SELECT format_type(y, NULL) FROM unnest(p.protrftypes) AS y) AS transforms__set,
    b.extensions AS depends_on__list,
    NULLIF(p.prosupport::regproc::text, '-') AS support,
    NULLIF(a.aggtransfn::regprocedure::text, '-') AS "aggregate.transition",
    NULLIF(a.aggfinalfn::regprocedure::text, '-') AS "aggregate.final",
    NULLIF(a.aggcombinefn::regprocedure::text, '-') AS "aggregate.combine",
    NULLIF(a.aggserialfn::regprocedure::text, '-') AS "aggregate.serialize",
    NULLIF(a.aggdeserialfn::regprocedure::text, '-') AS "aggregate.deserialize",
    NULLIF(a.aggmtransfn::regprocedure::text, '-') AS "aggregate.moving_transition",
    NULLIF(a.aggminvtransfn::regprocedure::text, '-') AS "aggregate.moving_inverse",
    NULLIF(a.aggmfinalfn::regprocedure::text, '-') AS "aggregate.moving_final",
    CASE a.aggkind WHEN 'o' THEN 'ordered set' WHEN 'h' THEN 'hypothetical set' END
        AS "aggregate.form",
    CASE WHEN a.aggfnoid IS NOT NULL THEN format_type(a.aggtranstype, NULL) END
        AS "aggregate.state_type",
    CASE WHEN a.aggmtranstype <> 0 THEN format_type(a.aggmtranstype, NULL) END
        AS "aggregate.moving_state_type",
    NULLIF(a.aggsortop::regoperator::text, '0') AS "aggregate.sort_operator",
    CASE WHEN a.aggmfinalextra THEN true END AS "aggregate.moving_final_extra",
    CASE a.aggmfinalmodify WHEN 's' THEN 'shareable' WHEN 'w' THEN 'read write' END
        AS "aggregate.moving_final_modify",
    NULLIF(a.aggmtransspace, 0) AS "aggregate.moving_state_size",
    CASE WHEN a.aggfinalextra THEN true END AS "aggregate.final_extra",
    CASE a.aggfinalmodify WHEN 's' THEN 'shareable' WHEN 'w' THEN 'read write' END
        AS "aggregate.final_modify",
    NULLIF(a.aggtransspace, 0) AS "aggregate.state_size",
    a.agginitval AS "aggregate.initial",
    a.aggminitval AS "aggregate.moving_initial",
    m.description AS comment
FROM pg_proc AS p
JOIN pg_namespace AS n ON n.oid = p.pronamespace
LEFT JOIN pg_roles AS o ON o.oid = p.proowner
JOIN pg_language AS l ON l.oid = p.prolang
LEFT JOIN bound AS b ON b.objid = p.oid
LEFT JOIN pg_aggregate AS a ON a.aggfnoid = p.oid
LEFT JOIN pg_description AS m
    ON m.objoid = p.oid AND m.classoid = 'pg_proc'::regclass AND m.objsubid = 0
WHERE (
        p.oid >= 16384 OR p.prosecdef OR p.proconfig IS NOT NULL OR p.proowner <> 10
        OR l.lanname NOT IN ('internal', 'c', 'sql')
        OR (l.lanname = 'sql' AND p.prosqlbody IS NULL --@ >=14
            AND oidvectortypes(p.proargtypes) NOT LIKE '%any%') --@ >=14
    )
    AND n.nspname !~ '^pg_(toast_)?temp_[0-9]+$'
    AND oidvectortypes(p.proargtypes) !~ '(^|, )pg_temp_[0-9]+[.]'
    AND NOT EXISTS (
        SELECT FROM pg_depend AS x
        WHERE x.classid = 'pg_proc'::regclass AND x.objid = p.oid AND x.deptype = 'e'
            AND x.refclassid = 'pg_extension'::regclass
    )
    AND NOT EXISTS (
        SELECT FROM pg_depend AS x
        WHERE x.classid = 'pg_proc'::regclass AND x.objid = p.oid AND x.deptype = 'i'
            AND x.refclassid = 'pg_type'::regclass
    )
