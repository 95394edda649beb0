-- kind: publication_table
-- needs: SELECT on pg_publication_rel, pg_publication, pg_class, pg_namespace, pg_attribute
-- since: 13
-- if: FROM pg_publication
-- name: {name} in {name_publication}
-- of: publication {name_publication}
SELECT
    ARRAY[n.nspname, c.relname]::text[] AS name,
    ARRAY[p.pubname]::text[] AS name_publication,
    ARRAY( --@ >=15
        SELECT a.attname::text FROM pg_attribute AS a --@ >=15
        WHERE a.attrelid = r.prrelid AND a.attnum = ANY (r.prattrs) --@ >=15
    ) AS columns__ids, --@ >=15
    pg_get_expr(r.prqual, r.prrelid) AS where__expression, --@ >=15
    ARRAY[r.xmin::text] AS meta_xmin
FROM pg_publication_rel AS r
JOIN pg_publication AS p ON p.oid = r.prpubid
JOIN pg_class AS c ON c.oid = r.prrelid
JOIN pg_namespace AS n ON n.oid = c.relnamespace
