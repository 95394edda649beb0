-- kind: extension
-- needs: SELECT on pg_extension, pg_namespace, pg_roles, pg_depend, pg_proc, pg_language, pg_description
-- since: 13
-- name: {name}
-- What an extension brings with it is told by its version and left out everywhere else. So that
-- nothing is hidden by ALTER EXTENSION … ADD, its members are counted and their identities digested,
-- without the extension's own schema; and what its functions do and as whom, so that none is replaced.
SELECT
    ARRAY[e.extname]::text[] AS name,
    ARRAY[e.xmin::text] AS meta_xmin,
    e.extversion AS version,
    ARRAY[n.nspname]::text[] AS schema__id,
    ARRAY[coalesce(o.rolname, e.extowner::text)]::text[] AS owner__id,
    (
        SELECT count(*) || ' objects, sha256 ' || left(encode(sha256(convert_to(
            coalesce(string_agg(i.type || ' ' || i.identity || i.function, E'\n' ORDER BY i.type COLLATE "C", i.identity COLLATE "C"), ''),
            'UTF8')), 'hex'), 16)
        FROM (
            SELECT
                g.type, replace(g.identity, quote_ident(n.nspname) || '.', '') AS identity,
                CASE WHEN p.oid IS NOT NULL THEN format(
                    ' %L %L %L %L %L %L %L %L',
                    p.prosrc, p.probin, p.prosecdef, p.proconfig, p.proleakproof,
                    coalesce(r.rolname, p.proowner::text), l.lanname,
                    replace(pg_get_function_sqlbody(p.oid), quote_ident(n.nspname) || '.', '') --@ >=14
                    NULL --@ <14
                ) ELSE '' END AS function
            FROM pg_depend AS d
            CROSS JOIN LATERAL pg_identify_object(d.classid, d.objid, d.objsubid) AS g
            LEFT JOIN pg_proc AS p ON p.oid = d.objid AND d.classid = 'pg_proc'::regclass
            LEFT JOIN pg_roles AS r ON r.oid = p.proowner
            LEFT JOIN pg_language AS l ON l.oid = p.prolang
            WHERE d.refclassid = 'pg_extension'::regclass AND d.refobjid = e.oid
                AND d.deptype = 'e'
        ) AS i
    ) AS members,
    m.description AS comment
FROM pg_extension AS e
JOIN pg_namespace AS n ON n.oid = e.extnamespace
LEFT JOIN pg_roles AS o ON o.oid = e.extowner
LEFT JOIN pg_description AS m
    ON m.objoid = e.oid AND m.classoid = 'pg_extension'::regclass AND m.objsubid = 0
