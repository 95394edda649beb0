-- needs: EXECUTE on pg_control_system()
-- The identifier that initdb gave the cluster; a standby and a copy of its files have the same.
SELECT s.system_identifier::text FROM pg_control_system() AS s
