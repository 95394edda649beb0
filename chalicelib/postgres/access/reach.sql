-- What a lease would become by membership in these roles, directly and through others.
WITH RECURSIVE reach AS (
    SELECT oid FROM pg_catalog.pg_roles WHERE rolname::text = ANY (%(roles)s::text[])
    UNION
    SELECT m.roleid FROM pg_catalog.pg_auth_members m JOIN reach ON reach.oid = m.member
)
SELECT
    r.rolname::text AS role,
    r.rolsuper OR r.rolcreaterole OR r.rolcreatedb OR r.rolreplication OR r.rolbypassrls
        OR r.rolname IN (
            'pg_execute_server_program', 'pg_read_server_files', 'pg_write_server_files',
            'pg_signal_backend', 'pg_create_subscription', 'rds_superuser', 'rds_replication'
        )
        OR r.rolname::text = ANY (%(own)s::text[])
        OR r.rolname LIKE 'holdfast\_s\_%%' OR r.rolname LIKE 'holdfast\_p\_%%' AS refused
FROM reach JOIN pg_catalog.pg_roles r USING (oid)
ORDER BY 1
