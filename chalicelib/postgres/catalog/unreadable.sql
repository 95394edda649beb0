-- needs: SELECT on pg_class
-- The catalogues that the role may not read; the fingerprint goes without them.
SELECT c.relname::text
FROM pg_class AS c
WHERE c.relnamespace = 'pg_catalog'::regnamespace AND c.relkind = 'r'
    AND c.oid < 16384 AND NOT has_table_privilege(c.oid, 'SELECT')
ORDER BY c.relname
