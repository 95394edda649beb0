-- What still hangs on a role, in every database of the cluster and in what they share.
SELECT
    coalesce(b.datname::text, '') AS database,
    coalesce(b.datallowconn, true) AS connectable,
    count(*) AS number
FROM pg_catalog.pg_shdepend d
LEFT JOIN pg_catalog.pg_database b ON b.oid = d.dbid
WHERE d.refclassid = 'pg_catalog.pg_authid'::regclass AND d.refobjid = %(oid)s::text::oid
    AND d.deptype::text = ANY (%(types)s::text[])
GROUP BY 1, 2
ORDER BY 1
