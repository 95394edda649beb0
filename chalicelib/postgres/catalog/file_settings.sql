-- needs: SELECT on pg_file_settings and EXECUTE on pg_show_all_file_settings()
-- What the configuration files say, for parameters that a role's or database's own value hides.
SELECT f.name, f.setting, f.sourcefile
FROM pg_file_settings AS f
WHERE f.applied
ORDER BY f.seqno
