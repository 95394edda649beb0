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
        AND has_function_privilege('pg_show_all_file_settings()', 'EXECUTE') AS sees_files,
    pg_relation_size('pg_attribute') AS attribute_bytes,
    pg_postmaster_start_time()::text AS started_at,
    (SELECT b.oid::text FROM pg_database AS b WHERE b.datname = current_database()) AS database_oid,
    NULL::text AS collation_version, --@ <15
    NULL::text AS collation_version_now, --@ <15
    (SELECT b.datcollversion FROM pg_database AS b WHERE b.datname = current_database()) AS collation_version, --@ >=15
    ( --@ >=15
        SELECT pg_database_collation_actual_version(b.oid) FROM pg_database AS b --@ >=15
        WHERE b.datname = current_database() --@ >=15
    ) AS collation_version_now, --@ >=15
    pg_snapshot_xmin(pg_current_snapshot())::text AS oldest_transaction,
    pg_snapshot_xmax(pg_current_snapshot())::text AS next_transaction
