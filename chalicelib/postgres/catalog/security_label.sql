-- kind: security_label
-- needs: SELECT on pg_seclabel, pg_shseclabel
-- since: 13
-- if: FROM pg_seclabel UNION ALL SELECT FROM pg_shseclabel
-- name: {meta_provider} on {meta_type} {meta_identity}
-- of: {meta_parent} {meta_identity}
-- Shared objects are of every database: their labels belong to the server.
SELECT
    l.provider AS meta_provider,
    coalesce(i.type, l.classoid::regclass::text) AS meta_type,
    coalesce(i.identity, l.objoid::text || ' ' || l.objsubid) AS meta_identity,
    CASE i.type
        WHEN 'table' THEN 'table' WHEN 'foreign table' THEN 'table'
        WHEN 'view' THEN 'view' WHEN 'materialized view' THEN 'view'
        WHEN 'table column' THEN 'column' WHEN 'sequence' THEN 'sequence' WHEN 'type' THEN 'type'
        WHEN 'schema' THEN 'schema' WHEN 'role' THEN 'role' WHEN 'database' THEN 'database'
        WHEN 'tablespace' THEN 'tablespace'
        ELSE i.type
    END AS meta_parent,
    l.label
FROM (
    SELECT s.provider, s.classoid, s.objoid, s.objsubid, s.label FROM pg_seclabel AS s
    UNION ALL
    SELECT h.provider, h.classoid, h.objoid, 0, h.label FROM pg_shseclabel AS h
) AS l
CROSS JOIN LATERAL pg_identify_object(l.classoid, l.objoid, l.objsubid) AS i
