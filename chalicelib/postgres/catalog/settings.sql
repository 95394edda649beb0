-- kind: setting
-- needs: SELECT on pg_settings, membership in pg_read_all_settings
-- Runs before the pins, under the role's own search path: no operator and no function in it.
SELECT
    s.name, s.reset_val, s.boot_val, s.unit, s.vartype, s.source, s.sourcefile, s.pending_restart
FROM pg_catalog.pg_settings AS s
