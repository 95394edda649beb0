-- What is left of a role, by its oid and by its name. All of it has to be 0.
-- unattached: sessions that logged in as a role that is gone.
SELECT
    (SELECT count(*) FROM pg_catalog.pg_roles
        WHERE oid = %(oid)s::text::oid OR rolname::text = %(role)s::text) AS pg_roles,
    (SELECT count(*) FROM pg_catalog.pg_stat_activity
        WHERE usesysid = %(oid)s::text::oid OR usename::text = %(role)s::text) AS pg_stat_activity,
    (SELECT count(*) FROM pg_catalog.pg_shdepend
        WHERE refclassid = 'pg_catalog.pg_authid'::regclass
            AND refobjid = %(oid)s::text::oid) AS pg_shdepend,
    (SELECT count(*) FROM pg_catalog.pg_auth_members
        WHERE %(oid)s::text::oid IN (roleid, member, grantor)) AS pg_auth_members,
    (SELECT count(*) FROM pg_catalog.pg_db_role_setting
        WHERE setrole = %(oid)s::text::oid) AS pg_db_role_setting,
    (SELECT count(*) FROM pg_catalog.pg_prepared_xacts
        WHERE owner::text = %(role)s::text) AS pg_prepared_xacts,
    (SELECT count(*) FROM pg_catalog.pg_stat_activity s
        WHERE s.usesysid IS NOT NULL AND s.usesysid <> 0 AND NOT EXISTS (
            SELECT FROM pg_catalog.pg_roles r WHERE r.oid = s.usesysid)) AS unattached
