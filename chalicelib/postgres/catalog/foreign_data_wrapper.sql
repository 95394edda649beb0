-- kind: foreign_data_wrapper
-- needs: SELECT on pg_foreign_data_wrapper, pg_roles, pg_proc, pg_namespace, pg_depend, pg_extension, pg_description
-- since: 13
-- if: FROM pg_foreign_data_wrapper
-- name: {name}
-- Of those that an extension brought only such as were given options since, or another owner.
SELECT
    ARRAY[f.fdwname]::text[] AS name,
    ARRAY[f.xmin::text] AS meta_xmin, --@ dated
    ARRAY[coalesce(o.rolname, f.fdwowner::text)]::text[] AS owner__id,
    CASE WHEN f.fdwacl IS NOT NULL THEN (
        SELECT array_agg(lower(d.privilege_type))
        FROM aclexplode(acldefault('F', f.fdwowner)) AS d
        WHERE d.grantee = f.fdwowner AND NOT EXISTS (
            SELECT FROM aclexplode(f.fdwacl) AS a
            WHERE a.grantee = d.grantee AND a.privilege_type = d.privilege_type
        )
    ) END AS owner_lacks__set,
    CASE WHEN h.oid IS NOT NULL THEN ARRAY[hn.nspname, h.proname]::text[] END AS handler__routine,
    CASE WHEN v.oid IS NOT NULL THEN ARRAY[vn.nspname, v.proname]::text[] END AS validator__routine,
    f.fdwoptions AS options__options,
    m.description AS comment
FROM pg_foreign_data_wrapper AS f
LEFT JOIN pg_roles AS o ON o.oid = f.fdwowner
LEFT JOIN pg_proc AS h ON h.oid = f.fdwhandler
LEFT JOIN pg_namespace AS hn ON hn.oid = h.pronamespace
LEFT JOIN pg_proc AS v ON v.oid = f.fdwvalidator
LEFT JOIN pg_namespace AS vn ON vn.oid = v.pronamespace
LEFT JOIN pg_description AS m
    ON m.objoid = f.oid AND m.classoid = 'pg_foreign_data_wrapper'::regclass AND m.objsubid = 0
LEFT JOIN pg_depend AS x
    ON x.classid = 'pg_foreign_data_wrapper'::regclass AND x.objid = f.oid AND x.deptype = 'e'
            AND x.refclassid = 'pg_extension'::regclass
LEFT JOIN pg_extension AS e ON e.oid = x.refobjid
WHERE e.oid IS NULL OR f.fdwoptions IS NOT NULL OR f.fdwowner <> e.extowner
