-- What is needed to sample the columns of some schemas, beside their types: whether they may be
-- read, and which keys they are part of. permitted: by privileges alone; row security is the
-- relation's. refers: the column that a foreign key is to, of the shortest key that it is part of.
SELECT
    c.oid::text AS oid,
    a.attname::text AS column,
    a.attgenerated::text AS generated,
    a.attlen = -1 AS varies,
    coalesce(
        pg_catalog.has_schema_privilege(n.oid, 'USAGE')
            AND pg_catalog.has_column_privilege(c.oid, a.attnum, 'SELECT'),
        false
    ) AS permitted,
    a.attidentity <> '' OR (a.atthasdef AND a.attgenerated = '') AS made,
    EXISTS (
        SELECT FROM pg_catalog.pg_index i
        WHERE i.indrelid = c.oid AND i.indisprimary AND i.indnkeyatts = 1
            AND i.indkey[0] = a.attnum
    ) AS primary,
    EXISTS (
        SELECT FROM pg_catalog.pg_index i
        WHERE i.indrelid = c.oid AND i.indisunique AND i.indpred IS NULL AND i.indnkeyatts = 1
            AND i.indkey[0] = a.attnum
    ) AS unique,
    (
        SELECT json_build_array(rn.nspname, r.relname, ra.attname)
        FROM pg_catalog.pg_constraint k
        JOIN pg_catalog.pg_class r ON r.oid = k.confrelid
        JOIN pg_catalog.pg_namespace rn ON rn.oid = r.relnamespace
        JOIN pg_catalog.pg_attribute ra
            ON ra.attrelid = r.oid AND ra.attnum = k.confkey[array_position(k.conkey, a.attnum)]
        WHERE k.conrelid = c.oid AND k.contype = 'f' AND a.attnum = ANY (k.conkey)
        ORDER BY cardinality(k.conkey), k.conname, k.oid
        LIMIT 1
    ) AS refers
FROM pg_catalog.pg_class c
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
WHERE n.nspname::text = ANY (%(schemas)s::text[])
    AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
    AND NOT c.relispartition
