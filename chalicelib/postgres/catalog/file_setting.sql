-- kind: file_setting
-- needs: SELECT on pg_file_settings and EXECUTE on pg_show_all_file_settings(), pg_settings
-- since: 13
-- name: {meta_line}
-- reads: pg_file_settings
-- shows: SELECT on pg_file_settings and EXECUTE on pg_show_all_file_settings()
-- optional: true
-- What the configuration files say, ALTER SYSTEM among them, whether it holds already or waits for a
-- reload or a restart, or is overridden. Files below the folder of the main one are named from there.
-- Of several lines for one parameter each is after another, and the last one holds.
WITH lines AS (
    SELECT
        f.seqno, f.name, f.setting, f.applied, f.error,
        CASE
            WHEN starts_with(f.sourcefile, c.folder) THEN substr(f.sourcefile, length(c.folder) + 1)
            WHEN starts_with(f.sourcefile, d.folder) THEN substr(f.sourcefile, length(d.folder) + 1)
            ELSE f.sourcefile
        END AS file
    FROM pg_file_settings AS f
    LEFT JOIN LATERAL (
        SELECT regexp_replace(s.setting, '[^/]*$', '') AS folder
        FROM pg_settings AS s WHERE s.name = 'config_file'
    ) AS c ON true
    LEFT JOIN LATERAL (
        SELECT s.setting || '/' AS folder FROM pg_settings AS s WHERE s.name = 'data_directory'
    ) AS d ON true
), named AS (
    SELECT
        l.*,
        coalesce(l.name, 'line that cannot be read') || ' in ' || CASE
            WHEN l.file ~ '^[^\s"#]+$' THEN l.file ELSE '"' || replace(l.file, '"', '""') || '"'
        END AS whole
    FROM lines AS l
), numbered AS (
    SELECT
        d.*,
        d.whole || CASE
            WHEN row_number() OVER same > 1 THEN ' #' || row_number() OVER same ELSE ''
        END AS line
    FROM named AS d
    WINDOW same AS (PARTITION BY d.whole ORDER BY d.seqno)
)
SELECT
    u.line AS meta_line,
    lower(u.name) AS meta_parameter,
    u.setting AS value__setting,
    u.applied,
    CASE WHEN u.name IS NOT NULL THEN
        lag(u.line) OVER (PARTITION BY lower(u.name) ORDER BY u.seqno)
    END AS after,
    u.error
FROM numbered AS u
