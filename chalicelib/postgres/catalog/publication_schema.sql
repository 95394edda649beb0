-- kind: publication_schema
-- needs: SELECT on pg_publication_namespace, pg_publication, pg_namespace
-- since: 15
-- if: FROM pg_publication
-- name: {name} in {name_publication}
-- of: publication {name_publication}
-- Every table of the schema, those to come too.
SELECT
    ARRAY[n.nspname]::text[] AS name,
    ARRAY[p.pubname]::text[] AS name_publication,
    ARRAY[r.xmin::text] AS meta_xmin
FROM pg_publication_namespace AS r
JOIN pg_publication AS p ON p.oid = r.pnpubid
JOIN pg_namespace AS n ON n.oid = r.pnnspid
