-- Before 15 only a superuser may.
SELECT rolsuper AS may FROM pg_catalog.pg_roles WHERE rolname = current_user
