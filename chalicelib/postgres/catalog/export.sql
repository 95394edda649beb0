-- needs: EXECUTE on pg_export_snapshot()
-- A name under which another session sees what this transaction sees.
SELECT pg_export_snapshot()
