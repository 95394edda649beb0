-- kind: schema
-- needs: SELECT on pg_namespace, pg_proc, pg_language, pg_class, pg_rewrite, pg_roles, pg_depend, pg_description
-- since: 13
-- name: {name}
-- The server's own functions and views are told one by one only where a row says that it is not initdb's.
-- That none does something else is in a digest for each of the server's schemas. Members of extensions
-- are in the extension's. Types whose numbers are the same everywhere are not spelled out.
WITH members AS (
    SELECT d.classid, d.objid
    FROM pg_depend AS d
    WHERE d.refclassid = 'pg_extension'::regclass AND d.deptype = 'e'
), own AS (
    SELECT
        p.oid, p.pronamespace, p.prosrc, p.probin, l.lanname,
        concat(p.prokind, p.provolatile, p.proparallel, p.proisstrict, p.proleakproof) AS flags,
        p.proname || ' ' || CASE WHEN p.oid < 10000 THEN p.proargtypes::text
            ELSE oidvectortypes(p.proargtypes) END AS signature
    FROM pg_proc AS p
    JOIN pg_language AS l ON l.oid = p.prolang
    WHERE p.oid < 16384
        AND ('pg_proc'::regclass, p.oid) NOT IN (SELECT m.classid, m.objid FROM members AS m)
), functions AS (
    SELECT
        p.pronamespace AS schema,
        count(*) || ' functions, sha256 ' || left(encode(sha256(convert_to(string_agg(
            concat_ws(
                ' ', p.signature, quote_nullable(p.prosrc), quote_nullable(p.probin), p.lanname, p.flags
                , CASE WHEN p.lanname = 'sql' THEN pg_get_function_sqlbody(p.oid) END --@ >=14
            ),
            E'\n' ORDER BY p.signature COLLATE "C"
        ), 'UTF8')), 'hex'), 16) AS digest
    FROM own AS p
    GROUP BY p.pronamespace
), views AS (
    SELECT
        c.relnamespace AS schema,
        count(DISTINCT c.oid) || ' views, sha256 ' || left(encode(sha256(convert_to(string_agg(
            concat_ws(
                ' ', c.relname, encode(sha256(convert_to(w.ev_action::text, 'UTF8')), 'hex'),
                w.ev_qual, w.ev_enabled, c.reloptions
            ),
            E'\n' ORDER BY c.relname COLLATE "C", w.rulename COLLATE "C"
        ), 'UTF8')), 'hex'), 16) AS digest
    FROM pg_rewrite AS w
    JOIN pg_class AS c ON c.oid = w.ev_class
    WHERE w.oid < 16384
        AND ('pg_class'::regclass, c.oid) NOT IN (SELECT m.classid, m.objid FROM members AS m)
    GROUP BY c.relnamespace
)
SELECT
    ARRAY[n.nspname]::text[] AS name,
    ARRAY[n.xmin::text] AS meta_xmin, --@ dated
    ARRAY[coalesce(o.rolname, n.nspowner::text)]::text[] AS owner__id,
    CASE WHEN n.nspacl IS NOT NULL THEN (
        SELECT array_agg(lower(d.privilege_type))
        FROM aclexplode(acldefault('n', n.nspowner)) AS d
        WHERE d.grantee = n.nspowner AND NOT EXISTS (
            SELECT FROM aclexplode(n.nspacl) AS a
            WHERE a.grantee = d.grantee AND a.privilege_type = d.privilege_type
        )
    ) END AS owner_lacks__set,
    f.digest AS functions,
    v.digest AS views,
    m.description AS comment
FROM pg_namespace AS n
LEFT JOIN functions AS f ON f.schema = n.oid
LEFT JOIN views AS v ON v.schema = n.oid
LEFT JOIN pg_roles AS o ON o.oid = n.nspowner
LEFT JOIN pg_description AS m
    ON m.objoid = n.oid AND m.classoid = 'pg_namespace'::regclass AND m.objsubid = 0
WHERE (n.oid >= 16384 OR n.nspname = 'public' OR f.digest IS NOT NULL OR n.nspowner <> 10)
    AND n.nspname !~ '^pg_(toast_)?temp_[0-9]+$'
    AND NOT EXISTS (
        SELECT FROM pg_depend AS x
        WHERE x.classid = 'pg_namespace'::regclass AND x.objid = n.oid AND x.deptype = 'e'
            AND x.refclassid = 'pg_extension'::regclass
    )
