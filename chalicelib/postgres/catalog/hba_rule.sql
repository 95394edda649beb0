-- kind: hba_rule
-- needs: SELECT on pg_hba_file_rules and EXECUTE on pg_hba_file_rules(), pg_settings
-- since: 13
-- name: {meta_rule}
-- reads: pg_hba_file_rules
-- shows: SELECT on pg_hba_file_rules and EXECUTE on pg_hba_file_rules()
-- optional: true
-- Who may try to log in, from where and how: what the files say, which the server reads again only
-- on a reload. A rule is named by whom it is for, and the second one for the same people by #2, so
-- that it stays itself when others are put before it; in order it is the one after another. Words
-- that are not plain stand in quotes, so that no name can pass for another one.
WITH rules AS (
    SELECT
        h.line_number AS n, --@ <16
        NULL::text AS file, --@ <16
        coalesce(h.rule_number, 2147483647) * 4294967296 + h.line_number AS n, --@ >=16
        CASE WHEN h.file_name <> ( --@ >=16
            SELECT s.setting FROM pg_settings AS s WHERE s.name = 'hba_file' --@ >=16
        ) THEN h.file_name END AS file, --@ >=16
        h.type, h.auth_method, h.options, h.error,
        ARRAY(
            SELECT CASE WHEN w.word ~ '^[^\s",#]+$' THEN w.word
                ELSE '"' || replace(w.word, '"', '""') || '"' END
            FROM unnest(h.database) WITH ORDINALITY AS w (word, n) ORDER BY w.n
        ) AS databases,
        ARRAY(
            SELECT CASE WHEN w.word ~ '^[^\s",#]+$' THEN w.word
                ELSE '"' || replace(w.word, '"', '""') || '"' END
            FROM unnest(h.user_name) WITH ORDINALITY AS w (word, n) ORDER BY w.n
        ) AS roles,
        CASE
            WHEN h.address IS NULL OR h.address ~ '^[^\s",#]+$' THEN h.address
            ELSE '"' || replace(h.address, '"', '""') || '"'
        END AS address,
        h.netmask,
        CASE WHEN h.netmask ~ '^[0-9a-f.:]+$' THEN
            ('x' || encode(substr(inet_send(h.netmask::inet), 5), 'hex'))::varbit::text
        END AS bits
    FROM pg_hba_file_rules AS h
), named AS (
    SELECT
        r.*,
        CASE WHEN r.error IS NOT NULL AND r.type IS NULL THEN 'line that cannot be read'
        ELSE concat_ws(
            ' ', r.type, array_to_string(r.databases, ','), array_to_string(r.roles, ','),
            r.address || CASE
                WHEN r.netmask IS NULL THEN ''
                WHEN r.bits ~ '^1*0*$' THEN '/' || length(replace(r.bits, '0', ''))
                ELSE ' ' || r.netmask
            END
        ) END AS rule
    FROM rules AS r
), numbered AS (
    SELECT
        d.*,
        d.rule || CASE
            WHEN row_number() OVER same > 1 THEN ' #' || row_number() OVER same ELSE ''
        END AS whole
    FROM named AS d
    WINDOW same AS (PARTITION BY d.rule ORDER BY d.n)
)
SELECT
    u.whole AS meta_rule,
    lag(u.whole) OVER (ORDER BY u.n) AS after,
    u.auth_method AS method,
    u.options AS options__options,
    u.file,
    regexp_replace(u.error, '"[^"]*"|: .*$', '...', 'g') AS error,
    CASE WHEN u.error ~ '["]|: ' THEN u.error END AS error_digest__secret
FROM numbered AS u
