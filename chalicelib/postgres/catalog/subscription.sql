-- kind: subscription
-- needs: SELECT on pg_subscription, pg_database, pg_roles, pg_description
-- since: 13
-- name: {name}
-- reads: pg_subscription
-- hides: conninfo
-- hides: comment, conninfo, synchronous_commit --@ <14
-- shows: SELECT (oid, subconninfo, subsynccommit) on pg_subscription
-- optional: true
-- Those of this database. How far the server is with two-phase commit, and what it is to skip once,
-- is state of the moment. Before 14 more of the catalogue is closed to ordinary roles.
SELECT
    ARRAY[s.subname]::text[] AS name,
    ARRAY[coalesce(o.rolname, s.subowner::text)]::text[] AS owner__id,
    s.subenabled AS enabled,
    s.subslotname::text AS slot,
    s.subpublications AS publications__set,
    s.subbinary AS binary, --@ >=14
    CASE WHEN s.substream THEN 'on' ELSE 'off' END AS streaming, --@ 14-15
    CASE s.substream WHEN 'f' THEN 'off' WHEN 't' THEN 'on' WHEN 'p' THEN 'parallel' END AS streaming, --@ >=16
    s.subtwophasestate <> 'd' AS two_phase, --@ >=15
    s.subdisableonerr AS disable_on_error, --@ >=15
    s.subpasswordrequired AS password_required, --@ >=16
    s.subrunasowner AS run_as_owner, --@ >=16
    s.suborigin AS origin, --@ >=16
    s.subfailover AS failover, --@ >=17
    s.subconninfo AS conninfo__conninfo, --@ reads pg_subscription
    NULL::text AS conninfo__conninfo, --@ lacks pg_subscription
    s.subsynccommit AS synchronous_commit, --@ >=14
    m.description AS comment --@ >=14
    s.subsynccommit AS synchronous_commit, --@ <14 --@ reads pg_subscription
    m.description AS comment --@ <14 --@ reads pg_subscription
    NULL::text AS synchronous_commit, --@ <14 --@ lacks pg_subscription
    NULL::text AS comment --@ <14 --@ lacks pg_subscription
FROM pg_subscription AS s
JOIN pg_database AS b ON b.oid = s.subdbid AND b.datname = current_database()
LEFT JOIN pg_roles AS o ON o.oid = s.subowner
LEFT JOIN pg_description AS m --@ >=14
    ON m.objoid = s.oid AND m.classoid = 'pg_subscription'::regclass AND m.objsubid = 0 --@ >=14
LEFT JOIN pg_description AS m --@ <14 --@ reads pg_subscription
    ON m.objoid = s.oid AND m.classoid = 'pg_subscription'::regclass AND m.objsubid = 0 --@ <14 --@ reads pg_subscription
