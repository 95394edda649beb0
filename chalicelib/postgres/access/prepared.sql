-- Prepared transactions of some roles, with the database that each has to be rolled back in.
SELECT gid::text AS gid, owner::text AS owner, database::text AS database
FROM pg_catalog.pg_prepared_xacts WHERE owner::text = ANY (%(owners)s::text[])
ORDER BY prepared, gid
