-- needs: SELECT on pg_class, pg_attribute
-- Every catalogue of the server with its columns, and which of these the role may read. Tables that
-- somebody put into pg_catalog are tables like any.
SELECT
    c.relname::text,
    array_agg(a.attname::text ORDER BY a.attnum),
    array_agg(has_column_privilege(c.oid, a.attnum, 'SELECT') ORDER BY a.attnum)
FROM pg_class AS c
JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
WHERE c.relnamespace = 'pg_catalog'::regnamespace AND c.relkind = 'r' AND c.oid < 16384
GROUP BY c.oid, c.relname
ORDER BY c.relname
