-- From 15 on: whether the broker may set log_statement for a role.
SELECT pg_catalog.has_parameter_privilege('log_statement', 'SET') AS may
