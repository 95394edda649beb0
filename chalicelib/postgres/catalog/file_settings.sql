-- needs: SELECT on pg_file_settings and EXECUTE on pg_show_all_file_settings()
-- What the configuration files say, for parameters that a role's or database's own value hides, and
-- (not applied) for those that wait for a restart.
SELECT f.name, f.setting, f.sourcefile, f.applied
FROM pg_file_settings AS f
WHERE f.name IS NOT NULL
ORDER BY f.seqno
