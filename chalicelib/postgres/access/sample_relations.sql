-- How large the relations of some schemas are, as far as is known, and what is in the way of
-- sampling them. reltuples is -1, before 14 0, where nobody counted. outside: a partition is a
-- foreign table, which would be asked. filtered: row security hides rows from this role.
SELECT
    c.oid::text AS oid,
    c.relpages AS pages,
    c.reltuples::float8 AS rows,
    coalesce(pg_catalog.row_security_active(c.oid), false) AS filtered,
    c.relkind = 'm' AND NOT c.relispopulated AS empty,
    c.relkind = 'p' AND EXISTS (
        WITH RECURSIVE down AS (
            SELECT i.inhrelid FROM pg_catalog.pg_inherits i WHERE i.inhparent = c.oid
            UNION
            SELECT i.inhrelid FROM down JOIN pg_catalog.pg_inherits i ON i.inhparent = down.inhrelid
        )
        SELECT FROM down JOIN pg_catalog.pg_class f ON f.oid = down.inhrelid
        WHERE f.relkind = 'f'
    ) AS outside
FROM pg_catalog.pg_class c
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname::text = ANY (%(schemas)s::text[])
    AND c.relkind IN ('r', 'p', 'm')
    AND NOT c.relispartition
