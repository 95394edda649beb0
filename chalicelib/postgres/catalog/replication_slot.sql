-- kind: replication_slot
-- needs: SELECT on pg_replication_slots
-- since: 13
-- name: {name}
-- Whoever holds one may read what is written, or stop the server from removing old WAL. Of every
-- database, and no temporary ones; how far each is changes all the time and is not read.
SELECT
    ARRAY[s.slot_name]::text[] AS name,
    s.plugin::text AS plugin,
    CASE WHEN s.database IS NOT NULL THEN ARRAY[s.database]::text[] END AS database__id,
    s.two_phase, --@ >=14
    s.failover, --@ >=17
    s.slot_type AS type
FROM pg_replication_slots AS s
WHERE NOT s.temporary
