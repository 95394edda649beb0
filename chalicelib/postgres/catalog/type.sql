-- kind: type
-- needs: SELECT on pg_type, pg_class, pg_constraint, pg_attribute, pg_enum, pg_range, pg_collation, pg_opclass, pg_namespace, pg_roles, pg_depend, pg_description
-- since: 13
-- name: {name}
-- Row types of tables, arrays and multiranges belong to another object and are left out. Before 17 a new
-- owner of a range is not its multirange's, and a dump and restore loses whose that was.
WITH wanted AS MATERIALIZED (
    SELECT t.oid
    FROM pg_type AS t
    WHERE (t.oid >= 16384 OR t.typowner <> 10)
        AND t.typtype IN ('e', 'd', 'c', 'r', 'p', 'b')
        AND (t.typtype <> 'c' OR t.typrelid IN (SELECT c.oid FROM pg_class AS c WHERE c.relkind = 'c'))
        AND NOT EXISTS (SELECT FROM pg_type AS e WHERE e.typarray = t.oid)
)
SELECT
    ARRAY[n.nspname, t.typname]::text[] AS name,
    ARRAY[t.xmin::text] || ARRAY(SELECT e.xmin::text FROM pg_enum AS e WHERE e.enumtypid = t.oid)
        || ARRAY(SELECT a.xmin::text FROM pg_attribute AS a WHERE a.attrelid = c.oid)
        AS meta_xmin,
    CASE t.typtype
        WHEN 'e' THEN 'enum' WHEN 'd' THEN 'domain' WHEN 'c' THEN 'composite' WHEN 'r' THEN 'range'
        WHEN 'p' THEN 'shell' ELSE 'base'
    END AS form,
    ARRAY[coalesce(o.rolname, t.typowner::text)]::text[] AS owner__id,
    CASE WHEN t.typacl IS NOT NULL THEN (
        SELECT array_agg(lower(d.privilege_type))
        FROM aclexplode(acldefault('T', t.typowner)) AS d
        WHERE d.grantee = t.typowner AND NOT EXISTS (
            SELECT FROM aclexplode(t.typacl) AS a
            WHERE a.grantee = d.grantee AND a.privilege_type = d.privilege_type
        )
    ) END AS owner_lacks__set,
    ARRAY(
        SELECT e.enumlabel::text FROM pg_enum AS e WHERE e.enumtypid = t.oid ORDER BY e.enumsortorder
    ) AS labels,
    CASE WHEN t.typtype = 'd' THEN format_type(t.typbasetype, t.typtypmod) END AS base,
    CASE WHEN t.typtype = 'd' THEN t.typnotnull END AS not_null,
    CASE WHEN k.conname <> t.typname || '_not_null' THEN ARRAY[k.conname]::text[] END AS not_null_name__id, --@ >=17
    km.description AS not_null_comment, --@ >=17
    pg_get_expr(t.typdefaultbin, 'pg_type'::regclass) AS default__expression,
    CASE WHEN t.typdefaultbin IS NULL THEN t.typdefault END AS default,
    CASE WHEN t.typtype = 'b' THEN NULLIF(t.typinput::regprocedure::text, '-') END AS "functions.input",
    CASE WHEN t.typtype = 'b' THEN NULLIF(t.typoutput::regprocedure::text, '-') END AS "functions.output",
    CASE WHEN t.typtype = 'b' THEN NULLIF(t.typreceive::regprocedure::text, '-') END AS "functions.receive",
    CASE WHEN t.typtype = 'b' THEN NULLIF(t.typsend::regprocedure::text, '-') END AS "functions.send",
    CASE WHEN t.typtype = 'b' THEN NULLIF(t.typmodin::regprocedure::text, '-') END AS "functions.modifier_input",
    CASE WHEN t.typtype = 'b' THEN NULLIF(t.typmodout::regprocedure::text, '-') END AS "functions.modifier_output",
    CASE WHEN t.typtype = 'b' THEN NULLIF(t.typanalyze::regprocedure::text, '-') END AS "functions.analyze",
    CASE WHEN t.typtype = 'b' THEN
        CASE t.typstorage
            WHEN 'p' THEN 'plain' WHEN 'e' THEN 'external' WHEN 'x' THEN 'extended' ELSE 'main'
        END
    END AS storage,
    CASE WHEN t.typtype = 'b' THEN
        CASE t.typalign WHEN 'c' THEN 'char' WHEN 's' THEN 'int2' WHEN 'i' THEN 'int4' ELSE 'double' END
    END AS alignment,
    CASE WHEN t.typtype = 'b' THEN t.typlen::integer END AS length,
    CASE WHEN t.typtype = 'b' THEN t.typbyval END AS by_value,
    CASE WHEN t.typtype = 'b' THEN t.typcategory::text END AS category,
    CASE WHEN t.typtype = 'b' THEN t.typispreferred END AS preferred,
    CASE WHEN t.typtype = 'b' THEN t.typdelim::text END AS delimiter,
    CASE WHEN t.typtype = 'b' THEN t.typcollation <> 0 END AS collatable,
    CASE WHEN t.typtype = 'b' AND t.typelem <> 0 THEN format_type(t.typelem, NULL) END AS element,
    CASE WHEN t.typtype = 'b' THEN NULLIF(t.typsubscript::regprocedure::text, '-') END AS "functions.subscript", --@ >=14
    CASE WHEN t.typtype = 'd' AND l.oid IS NOT NULL
        THEN ARRAY[ln.nspname, l.collname]::text[] END AS collation__id,
    ARRAY(
        SELECT ARRAY[a.attname, format_type(a.atttypid, a.atttypmod), an.nspname, al.collname]::text[]
        FROM pg_attribute AS a
        JOIN pg_type AS y ON y.oid = a.atttypid
        LEFT JOIN pg_collation AS al
            ON al.oid = a.attcollation AND a.attcollation <> y.typcollation
        LEFT JOIN pg_namespace AS an ON an.oid = al.collnamespace
        WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
        ORDER BY a.attnum
    ) AS fields__fields,
    ARRAY(
        SELECT quote_ident(a.attname) || ': ' || s.description
        FROM pg_attribute AS a
        JOIN pg_description AS s
            ON s.objoid = c.oid AND s.classoid = 'pg_class'::regclass AND s.objsubid = a.attnum
        WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
        ORDER BY a.attnum
    ) AS field_comments,
    CASE WHEN r.rngtypid IS NOT NULL THEN format_type(r.rngsubtype, NULL) END AS subtype,
    CASE WHEN oc.oid IS NOT NULL THEN ARRAY[ocn.nspname, oc.opcname]::text[] END AS opclass__id,
    CASE WHEN rl.oid IS NOT NULL THEN ARRAY[rln.nspname, rl.collname]::text[] END
        AS subtype_collation__id,
    NULLIF(r.rngcanonical::regproc::text, '-') AS canonical,
    NULLIF(r.rngsubdiff::regproc::text, '-') AS subtype_diff,
    CASE WHEN r.rngmultitypid <> 0 THEN format_type(r.rngmultitypid, NULL) END AS multirange, --@ >=14
    CASE WHEN q.typowner <> t.typowner THEN ARRAY[coalesce(qo.rolname, q.typowner::text)]::text[] END AS multirange_owner__id, --@ >=17
    m.description AS comment
FROM wanted AS w
JOIN pg_type AS t ON t.oid = w.oid
JOIN pg_namespace AS n ON n.oid = t.typnamespace
LEFT JOIN pg_roles AS o ON o.oid = t.typowner
LEFT JOIN pg_class AS c ON c.oid = t.typrelid AND t.typtype = 'c'
LEFT JOIN pg_type AS b ON b.oid = t.typbasetype
LEFT JOIN pg_collation AS l ON l.oid = t.typcollation AND t.typcollation <> b.typcollation
LEFT JOIN pg_namespace AS ln ON ln.oid = l.collnamespace
LEFT JOIN pg_range AS r ON r.rngtypid = t.oid
LEFT JOIN pg_type AS q ON q.oid = r.rngmultitypid --@ >=17
LEFT JOIN pg_roles AS qo ON qo.oid = q.typowner --@ >=17
LEFT JOIN pg_constraint AS k ON k.contypid = t.oid AND k.contypid <> 0 AND k.contype = 'n' --@ >=17
LEFT JOIN pg_description AS km ON km.objoid = k.oid AND km.classoid = 'pg_constraint'::regclass AND km.objsubid = 0 --@ >=17
LEFT JOIN pg_opclass AS oc ON oc.oid = r.rngsubopc
LEFT JOIN pg_namespace AS ocn ON ocn.oid = oc.opcnamespace
LEFT JOIN pg_collation AS rl ON rl.oid = r.rngcollation
LEFT JOIN pg_namespace AS rln ON rln.oid = rl.collnamespace
LEFT JOIN pg_description AS m
    ON m.objoid = t.oid AND m.classoid = 'pg_type'::regclass AND m.objsubid = 0
WHERE n.nspname !~ '^pg_(toast_)?temp_[0-9]+$'
    AND NOT EXISTS (
        SELECT FROM pg_depend AS x
        WHERE x.classid = 'pg_type'::regclass AND x.objid = t.oid AND x.deptype = 'e'
            AND x.refclassid = 'pg_extension'::regclass
    )
