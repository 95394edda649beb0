-- kind: replication_origin
-- needs: SELECT on pg_replication_origin
-- since: 13
-- if: FROM pg_replication_origin
-- name: {name}
-- Those of subscriptions, named by number, come and go with these. Nobody else may make one whose
-- name begins with pg_. Source: PostgreSQL, "pg_replication_origin_create".
SELECT ARRAY[o.roname]::text[] AS name
FROM pg_replication_origin AS o
WHERE o.roname !~ '^pg_[0-9]+(_[0-9]+)?$'
