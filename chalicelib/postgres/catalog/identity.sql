-- needs: nothing beyond CONNECT
-- Who reads, what is read, when, and what the role may see.
SELECT
    now() AS read_at,
    current_user::text AS role,
    current_database()::text AS database,
    current_setting('server_version') AS server_version,
    pg_is_in_recovery() AS in_recovery,
    current_setting('track_commit_timestamp') = 'on' AS keeps_commit_times,
    pg_has_role('pg_read_all_settings', 'USAGE') AS sees_all_settings,
    has_table_privilege('pg_file_settings', 'SELECT')
        AND has_function_privilege('pg_show_all_file_settings()', 'EXECUTE') AS sees_files
