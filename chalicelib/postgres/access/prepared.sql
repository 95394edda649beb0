-- Prepared transactions of some roles, with the database that each has to be rolled back in; and
-- those of a group that the role is in, where it is about the role itself: they hold its row, which
-- the session with the pid waits for, or the role. SET ROLE before PREPARE makes them the group's.
SELECT p.gid::text AS gid, p.owner::text AS owner, p.database::text AS database
FROM pg_catalog.pg_prepared_xacts p
WHERE p.owner::text = ANY (%(owners)s::text[])
    OR (
        EXISTS (
            SELECT FROM pg_catalog.pg_roles r
            WHERE r.rolname = p.owner AND NOT r.rolsuper
                AND pg_catalog.pg_has_role(%(oid)s::text::oid, r.oid, 'MEMBER')
        )
        AND EXISTS (
            SELECT FROM pg_catalog.pg_locks l
            WHERE (
                l.pid IS NULL AND l.locktype = 'object'
                AND l.classid = 'pg_catalog.pg_authid'::regclass AND l.objid = %(oid)s::text::oid
                AND EXISTS (
                    SELECT FROM pg_catalog.pg_locks x
                    WHERE x.pid IS NULL AND x.locktype = 'transactionid'
                        AND x.transactionid = p.transaction
                        AND x.virtualtransaction = l.virtualtransaction
                )
            ) OR (
                NOT l.granted AND l.pid = %(pid)s::integer
                AND l.locktype = 'transactionid' AND l.transactionid = p.transaction
            )
        )
    )
ORDER BY p.prepared, p.gid
