-- Which of some schemas are there, and who owns what is granted in them.
SELECT
    n.nspname::text AS schema,
    pg_catalog.pg_has_role(current_user, n.nspowner, 'USAGE') AS acts,
    ARRAY(
        SELECT DISTINCT o.rolname::text FROM pg_catalog.pg_class c
        JOIN pg_catalog.pg_roles o ON o.oid = c.relowner
        WHERE c.relnamespace = n.oid AND c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S')
            AND NOT pg_catalog.pg_has_role(current_user, c.relowner, 'USAGE')
        ORDER BY 1
    ) AS foreign_owners
FROM pg_catalog.pg_namespace n
WHERE n.nspname::text = ANY (%(schemas)s::text[])
