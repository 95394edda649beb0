-- Ends the sessions of a role, by the role that logged in: SET ROLE does not change that. Parallel
-- workers are among them.
SELECT pid, pg_catalog.pg_terminate_backend(pid) AS told
FROM pg_catalog.pg_stat_activity WHERE usesysid = %(oid)s::text::oid
