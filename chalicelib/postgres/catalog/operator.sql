-- kind: operator
-- needs: SELECT on pg_operator, pg_type, pg_namespace, pg_roles, pg_depend, pg_description
-- since: 13
-- if: FROM pg_operator WHERE oid >= 16384 OR oprowner <> 10 OR oprnamespace <> 11 OR greatest(oprcode::oid, oprrest::oid, oprjoin::oid, oprcom, oprnegate) >= 16384
-- name: {meta_schema}.{meta_operator}({meta_left}, {meta_right})
-- One that is only named as another's commutator or negator, and has no function yet, is left out: it
-- does nothing, and shows there.
-- Of the server's own operators, those that have another owner or schema, or that name a function or
-- an operator that is not the server's. What was taken away from one, and a comment, cannot be told.
SELECT
    ARRAY[n.nspname]::text[] AS meta_schema,
    q.oprname::text AS meta_operator,
    CASE WHEN q.oprleft = 0 THEN 'NONE' ELSE format_type(q.oprleft, NULL) END AS meta_left,
    CASE WHEN q.oprright = 0 THEN 'NONE' ELSE format_type(q.oprright, NULL) END AS meta_right,
    ARRAY[q.xmin::text] AS meta_xmin, --@ dated
    ARRAY[coalesce(o.rolname, q.oprowner::text)]::text[] AS owner__id,
    q.oprcode::regprocedure::text AS function,
    format_type(q.oprresult, NULL) AS returns,
    CASE WHEN q.oprcom <> 0 THEN q.oprcom::regoperator::text END AS commutator,
    CASE WHEN q.oprnegate <> 0 THEN q.oprnegate::regoperator::text END AS negator,
    NULLIF(q.oprrest::regprocedure::text, '-') AS restrict,
    NULLIF(q.oprjoin::regprocedure::text, '-') AS join,
    q.oprcanhash AS hashes,
    q.oprcanmerge AS merges,
    m.description AS comment
FROM pg_operator AS q
JOIN pg_namespace AS n ON n.oid = q.oprnamespace
LEFT JOIN pg_roles AS o ON o.oid = q.oprowner
LEFT JOIN pg_description AS m
    ON m.objoid = q.oid AND m.classoid = 'pg_operator'::regclass AND m.objsubid = 0
WHERE (
        q.oid >= 16384 OR q.oprowner <> 10 OR n.nspname <> 'pg_catalog'
        OR greatest(q.oprcode::oid, q.oprrest::oid, q.oprjoin::oid, q.oprcom, q.oprnegate) >= 16384
    )
    AND q.oprcode <> 0
    AND n.nspname !~ '^pg_(toast_)?temp_[0-9]+$'
    AND NOT EXISTS (
        SELECT FROM pg_type AS t
        JOIN pg_namespace AS tn ON tn.oid = t.typnamespace
        WHERE t.oid IN (q.oprleft, q.oprright) AND tn.nspname ~ '^pg_(toast_)?temp_[0-9]+$'
    )
    AND NOT EXISTS (
        SELECT FROM pg_depend AS x
        WHERE x.classid = 'pg_operator'::regclass AND x.objid = q.oid AND x.deptype = 'e'
            AND x.refclassid = 'pg_extension'::regclass
    )
