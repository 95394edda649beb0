-- Where we are and as whom. Without pg_control_system (revoked somewhere), system is empty.
SELECT
    current_database()::text AS database,
    current_user::text AS role,
    (SELECT rolsuper FROM pg_catalog.pg_roles WHERE rolname = current_user) AS superuser,
    (SELECT rolcreaterole FROM pg_catalog.pg_roles WHERE rolname = current_user) AS creates_roles,
    current_setting('server_version') AS version,
    CASE
        WHEN has_function_privilege('pg_catalog.pg_control_system()', 'EXECUTE')
        THEN (SELECT system_identifier::text FROM pg_catalog.pg_control_system())
        ELSE ''
    END AS system,
    pg_catalog.pg_is_in_recovery() AS in_recovery
