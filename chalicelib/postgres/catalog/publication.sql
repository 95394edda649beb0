-- kind: publication
-- needs: SELECT on pg_publication, pg_roles, pg_description
-- since: 13
-- if: FROM pg_publication
-- name: {name}
-- What leaves the database by logical replication; its tables and schemas are objects of their own.
SELECT
    ARRAY[p.pubname]::text[] AS name,
    ARRAY[p.xmin::text] AS meta_xmin, --@ dated
    ARRAY[coalesce(o.rolname, p.pubowner::text)]::text[] AS owner__id,
    p.puballtables AS all_tables,
    array_remove(ARRAY[
        CASE WHEN p.pubinsert THEN 'insert' END,
        CASE WHEN p.pubupdate THEN 'update' END,
        CASE WHEN p.pubdelete THEN 'delete' END,
        CASE WHEN p.pubtruncate THEN 'truncate' END
    ], NULL) AS operations__set,
    p.pubviaroot AS via_root,
    CASE p.pubgencols WHEN 'n' THEN 'none' WHEN 's' THEN 'stored' ELSE p.pubgencols::text END AS generated_columns, --@ >=18
    m.description AS comment
FROM pg_publication AS p
LEFT JOIN pg_roles AS o ON o.oid = p.pubowner
LEFT JOIN pg_description AS m
    ON m.objoid = p.oid AND m.classoid = 'pg_publication'::regclass AND m.objsubid = 0
