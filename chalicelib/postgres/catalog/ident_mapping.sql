-- kind: ident_mapping
-- needs: SELECT on pg_ident_file_mappings and EXECUTE on pg_ident_file_mappings(), pg_settings
-- since: 15
-- name: {meta_map}
-- reads: pg_ident_file_mappings
-- shows: SELECT on pg_ident_file_mappings and EXECUTE on pg_ident_file_mappings()
-- optional: true
-- Which user of the operating system, of Kerberos or of a certificate may log in as which role. All
-- lines of a map are tried, so their order means nothing.
WITH maps AS (
    SELECT
        i.line_number AS n, --@ <16
        NULL::text AS file, --@ <16
        coalesce(i.map_number, 2147483647) * 4294967296 + i.line_number AS n, --@ >=16
        CASE WHEN i.file_name <> ( --@ >=16
            SELECT s.setting FROM pg_settings AS s WHERE s.name = 'ident_file' --@ >=16
        ) THEN i.file_name END AS file, --@ >=16
        i.map_name, i.sys_name, i.pg_username, i.error,
        CASE WHEN i.error IS NOT NULL AND i.map_name IS NULL THEN 'line that cannot be read'
        ELSE format(
            '%s: %s as %s',
            CASE WHEN i.map_name ~ '^[^\s",#:]+$' THEN i.map_name
                ELSE '"' || replace(i.map_name, '"', '""') || '"' END,
            CASE WHEN i.sys_name ~ '^[^\s",#]+$' THEN i.sys_name
                ELSE '"' || replace(i.sys_name, '"', '""') || '"' END,
            CASE WHEN i.pg_username ~ '^[^\s",#]+$' THEN i.pg_username
                ELSE '"' || replace(i.pg_username, '"', '""') || '"' END
        ) END AS whole
    FROM pg_ident_file_mappings AS i
)
SELECT
    m.whole || CASE
        WHEN row_number() OVER same > 1 THEN ' #' || row_number() OVER same ELSE ''
    END AS meta_map,
    m.file,
    regexp_replace(m.error, '"[^"]*"|: .*$', '...', 'g') AS error,
    CASE WHEN m.error ~ '["]|: ' THEN m.error END AS error_digest__secret
FROM maps AS m
WINDOW same AS (PARTITION BY m.whole ORDER BY m.n)
