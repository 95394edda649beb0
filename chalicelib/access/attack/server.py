# ruff: noqa: S608 - these are templates of the module's own text; names and values come later
"""Attacks on the server around the views: other sessions, files, programs, replication."""

from __future__ import annotations

from typing import Final

from chalicelib.access.attack.tries import Attack, Try, judged, refused

# A role that is a member of one of these reads, or runs, what no grant on a table says.
PREDEFINED: Final = (
    "pg_read_all_data",
    "pg_write_all_data",
    "pg_read_server_files",
    "pg_write_server_files",
    "pg_execute_server_program",
    "pg_read_all_stats",
    "pg_stat_scan_tables",
    "pg_monitor",
    "pg_create_subscription",
    "pg_maintain",
    "pg_signal_autovacuum_worker",
    "rds_superuser",
    "rds_replication",
    "cloudsqlsuperuser",
    "azure_pg_admin",
)
_LIST: Final = ", ".join(f"'{one}'" for one in PREDEFINED)
THERE_ALREADY: Final = ("42710",)
NOT_THERE: Final = ("58P01", "0A000", "42704", "22023")

ATTACKS: Final = (
    Attack(
        id="attributes",
        title="attributes and memberships of the role",
        does="superuser, BYPASSRLS, REPLICATION, CREATEROLE, CREATE on the database, predefined"
        " roles",
        each=False,
        tries=(
            Try(
                "SELECT rolname FROM pg_roles WHERE pg_has_role(oid, 'USAGE') AND (rolsuper OR"
                " rolbypassrls OR rolreplication OR rolcreaterole OR rolcreatedb)",
                "nothing",
            ),
            Try(
                f"SELECT rolname FROM pg_roles WHERE rolname IN ({_LIST})"
                " AND pg_has_role(oid, 'MEMBER')",
                "nothing",
            ),
            Try(
                "SELECT 1 WHERE has_database_privilege(current_database(), 'CREATE')",
                "nothing",
            ),
        ),
    ),
    Attack(
        id="activity",
        title="what other sessions run",
        does="pg_stat_activity, pg_stat_statements, pg_prepared_statements, pg_cursors, pg_locks,"
        " user mappings, statistics of tables",
        each=False,
        tries=judged(
            "SELECT * FROM pg_stat_activity WHERE pid <> pg_backend_pid()",
            "SELECT * FROM {fn_pg_stat_statements}(true) LIMIT 1000",
            "SELECT * FROM pg_prepared_statements",
            "SELECT * FROM pg_cursors",
            "SELECT * FROM pg_locks LIMIT 1000",
            "SELECT * FROM pg_prepared_xacts",
            "SELECT * FROM pg_stat_all_tables LIMIT 1000",
            "SELECT * FROM pg_user_mappings",
            "SELECT * FROM pg_foreign_server",
            "SELECT * FROM pg_stat_replication",
            "SELECT * FROM pg_seclabels LIMIT 1000",
            "SELECT * FROM pg_db_role_setting",
            "SELECT shobj_description(oid, 'pg_authid') FROM pg_roles LIMIT 1000",
            allowed=("55000",),
        ),
    ),
    Attack(
        id="files",
        title="files of the server",
        does="pg_read_file and its like, COPY from and to files, lo_import, lo_export",
        each=False,
        tries=refused(
            "SELECT pg_read_file('PG_VERSION')",
            "SELECT pg_read_binary_file('PG_VERSION')",
            "SELECT pg_ls_dir('.')",
            "SELECT pg_stat_file('PG_VERSION')",
            "SELECT * FROM pg_ls_logdir()",
            "SELECT * FROM pg_ls_waldir()",
            "SELECT * FROM pg_hba_file_rules",
            "CREATE TEMP TABLE hf_file (x text); COPY hf_file FROM 'PG_VERSION'",
            "COPY (SELECT 1) TO '/dev/null'",
            "SELECT lo_import('PG_VERSION')",
            "SELECT lo_export(0, '/dev/null')",
            "SELECT {fn_pg_file_write}('hf_probe', '', true)",
            allowed=("58P01",),
        ),
    ),
    Attack(
        id="programs",
        title="programs, libraries and languages of the server",
        does="COPY … PROGRAM, LOAD, CREATE EXTENSION, untrusted languages, ALTER SYSTEM",
        each=False,
        tries=refused(
            "COPY (SELECT 1) TO PROGRAM 'true'",
            "CREATE TEMP TABLE hf_file (x text); COPY hf_file FROM PROGRAM 'true'",
            "LOAD 'auto_explain'",
            "CREATE FUNCTION pg_temp.hf_c() RETURNS int LANGUAGE c AS 'auto_explain', 'x'",
            "CREATE FUNCTION pg_temp.hf_i(text) RETURNS text LANGUAGE internal AS 'textin'",
            "SET LOCAL session_preload_libraries = 'auto_explain'",
            "SET LOCAL log_min_messages = debug5",
            allowed=NOT_THERE,
        )
        + refused(
            *(
                f"CREATE EXTENSION {one}"
                for one in (
                    "dblink",
                    "postgres_fdw",
                    "file_fdw",
                    "pageinspect",
                    "hstore",
                    "plperl",
                    "pg_stat_statements",
                )
            ),
            allowed=(*NOT_THERE, *THERE_ALREADY),
        ),
    ),
    Attack(
        id="foreign-data",
        title="connections that the server makes",
        does="dblink and postgres_fdw to the same database, CREATE SERVER, SUBSCRIPTION",
        each=False,
        tries=refused(
            "SELECT {fn_dblink_connect}('hf_probe', {conninfo})",
            "SELECT * FROM {fn_dblink}({conninfo}, 'SELECT 1') AS t (x int)",
            allowed=("2F003", "08001"),
        )
        + refused(
            "CREATE SERVER hf_probe FOREIGN DATA WRAPPER postgres_fdw",
            "CREATE FOREIGN DATA WRAPPER hf_probe",
            "CREATE SUBSCRIPTION hf_probe CONNECTION 'dbname=x' PUBLICATION y WITH (connect ="
            " false)",
            allowed=("42704",),
        ),
    ),
    Attack(
        id="large-objects",
        title="large objects",
        does="pg_largeobject, and lo_get of those that are there",
        each=False,
        tries=refused("SELECT data FROM pg_largeobject LIMIT 1")
        + judged(
            "SELECT lo_get(oid) FROM (SELECT oid FROM pg_largeobject_metadata LIMIT 5) AS l",
        ),
    ),
    Attack(
        id="replication",
        title="the stream of changes",
        does="a replication connection, slots, publications, pg_walinspect",
        each=False,
        tries=refused(
            "SELECT pg_create_logical_replication_slot('hf_probe', 'test_decoding', true)",
            "SELECT pg_create_physical_replication_slot('hf_probe', false, true)",
            "SELECT * FROM pg_logical_slot_peek_changes('hf_probe', NULL, 1)",
            "CREATE PUBLICATION hf_probe",
            "SELECT * FROM {fn_pg_get_wal_records_info}('0/1', '0/2') LIMIT 1",
        ),
    ),
    Attack(
        id="listen",
        title="notifications",
        does="listens on channels named as tables, views and schemas for as long as the check runs",
        each=False,
    ),
    Attack(
        id="server-version",
        title="known faults of the server",
        does="compares the server's minor version with those that closed ways past views and row"
        " security",
        each=False,
    ),
)
