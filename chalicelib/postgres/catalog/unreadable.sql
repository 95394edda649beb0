-- needs: SELECT on pg_class
-- The catalogues that the role may not read; the fingerprint goes without them. Of pg_authid two
-- columns are enough, of pg_subscription all columns one by one. A view over a function of the
-- server needs the right to run the function too.
SELECT c.relname::text
FROM pg_class AS c
WHERE c.relnamespace = 'pg_catalog'::regnamespace AND c.relkind = 'r'
    AND c.oid < 16384 AND NOT has_table_privilege(c.oid, 'SELECT')
    AND NOT CASE c.relname
        WHEN 'pg_authid' THEN has_column_privilege(c.oid, 'oid', 'SELECT')
            AND has_column_privilege(c.oid, 'rolpassword', 'SELECT')
        WHEN 'pg_subscription' THEN has_column_privilege(c.oid, 'oid', 'SELECT')
            AND has_column_privilege(c.oid, 'subconninfo', 'SELECT')
            AND has_column_privilege(c.oid, 'subsynccommit', 'SELECT')
        ELSE false
    END
UNION ALL
SELECT v.view
FROM (
    VALUES
        ('pg_file_settings', 'pg_show_all_file_settings()'),
        ('pg_hba_file_rules', 'pg_hba_file_rules()')
        , ('pg_ident_file_mappings', 'pg_ident_file_mappings()') --@ >=15
) AS v (view, function)
WHERE NOT (
    has_table_privilege(v.view, 'SELECT') AND has_function_privilege(v.function, 'EXECUTE')
)
ORDER BY 1
