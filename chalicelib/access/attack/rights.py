"""Attacks on rights: writing, changing the view, other roles, names that hide names, the key."""

from __future__ import annotations

from typing import Final

from chalicelib.access.attack.tries import Attack, Try, refused

NO_ROLE: Final = ("22023", "42704")
NOT_UPDATABLE: Final = ("55000", "428C9")  # views; columns that the server fills itself

ATTACKS: Final = (
    Attack(
        id="rights",
        title="privileges that make all of it unnecessary",
        does="asks for every privilege on the table and its columns, beyond SELECT on the view, and"
        " for ownership: what triggers, rules, indexes, foreign keys, VACUUM and REFRESH need. They"
        " are not run, since they lock before they check",
        tries=(
            Try(
                "SELECT p FROM unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE', 'TRUNCATE',"
                " 'REFERENCES', 'TRIGGER']) AS p, pg_class AS c JOIN pg_namespace AS n"
                " ON n.oid = c.relnamespace WHERE c.relname = {name} AND (n.nspname = {schema} AND"
                " has_table_privilege(c.oid, p) OR n.nspname = {view_schema} AND p <> 'SELECT' AND"
                " has_table_privilege(c.oid, p))",
                "nothing",
            ),
            Try(
                "SELECT p FROM unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'REFERENCES']) AS p,"
                " pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace WHERE c.relname ="
                " {name} AND n.nspname = {schema} AND has_any_column_privilege(c.oid, p)",
                "nothing",
            ),
            Try(
                "SELECT 1 FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace"
                " WHERE c.relname = {name} AND n.nspname IN ({schema}, {view_schema}) AND"
                " (pg_has_role(c.relowner, 'USAGE') OR pg_has_role(n.nspowner, 'USAGE'))",
                "nothing",
            ),
            Try(
                "SELECT 1 FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace"
                " WHERE c.relname = {name} AND n.nspname IN ({schema}, {view_schema}) AND"
                " has_table_privilege(c.oid, 'MAINTAIN')",
                "nothing",
                since=17,
            ),
            Try(
                "SELECT 1 WHERE has_schema_privilege({view_schema}, 'CREATE')",
                "nothing",
            ),
        ),
    ),
    Attack(
        id="writes",
        title="writing, with RETURNING",
        does="INSERT, UPDATE, DELETE, MERGE, ON CONFLICT, FOR UPDATE on view and table, of no row",
        tries=refused(
            "INSERT INTO {base} SELECT b.* FROM {base} AS b WHERE false RETURNING *",
            "INSERT INTO {base} SELECT b.* FROM {base} AS b WHERE false ON CONFLICT DO NOTHING"
            " RETURNING *",
            "UPDATE {base} AS b SET {out} = b.{out} WHERE false RETURNING *",
            "DELETE FROM {base} WHERE false RETURNING *",
            "INSERT INTO {view} SELECT v.* FROM {view} AS v WHERE false RETURNING *",
            "UPDATE {view} AS v SET {any} = v.{any} WHERE false RETURNING *",
            "DELETE FROM {view} WHERE false RETURNING *",
            "SELECT * FROM {view} WHERE false FOR UPDATE",
            "SELECT * FROM {view} WHERE false FOR KEY SHARE",
            "SELECT * FROM {base} WHERE false FOR UPDATE",
            allowed=NOT_UPDATABLE,
        )
        + refused(
            "MERGE INTO {base} AS b USING (SELECT 1) AS s ON false WHEN MATCHED THEN DELETE",
            allowed=NOT_UPDATABLE,
            since=15,
        ),
    ),
    Attack(
        id="view-changes",
        title="changing the view",
        does="ALTER VIEW, CREATE OR REPLACE VIEW, owner, COMMENT, SECURITY LABEL, GRANT to oneself,"
        " LIKE … INCLUDING ALL",
        tries=refused(
            "ALTER VIEW {view} SET (security_barrier = false)",
            "ALTER VIEW {view} RESET (security_barrier)",
            "ALTER VIEW {view} OWNER TO CURRENT_USER",
            "ALTER VIEW {view} RENAME TO hf_probe",
            "CREATE OR REPLACE VIEW {view} AS SELECT 1 AS x",
            "COMMENT ON VIEW {view} IS 'x'",
            "GRANT SELECT ON {base} TO CURRENT_USER; SELECT 1 FROM {base} LIMIT 1",
            "GRANT ALL ON {view} TO CURRENT_USER; UPDATE {view} AS v SET {any} = v.{any}"
            " WHERE false",
            "CREATE TEMP TABLE hf_like (LIKE {base} INCLUDING ALL)",
            "CREATE VIEW {view_schema_name}.hf_probe AS SELECT 1 AS x",
            allowed=NOT_UPDATABLE,
        )
        + refused("SECURITY LABEL ON VIEW {view} IS 'x'", allowed=("22023",)),
    ),
    Attack(
        id="roles",
        title="roles that may read the table",
        does="SET ROLE and SET SESSION AUTHORIZATION to owners, groups and grantees; RESET",
        tries=refused(
            "SET LOCAL ROLE {role}; SELECT 1 FROM {base} LIMIT 1",
            "SET LOCAL SESSION AUTHORIZATION {role}; SELECT 1 FROM {base} LIMIT 1",
            "GRANT {role} TO CURRENT_USER; SELECT 1 FROM {base} LIMIT 1",
            "RESET ROLE; SELECT 1 FROM {base} LIMIT 1",
            "RESET SESSION AUTHORIZATION; SELECT 1 FROM {base} LIMIT 1",
            "SET LOCAL row_security = off; SELECT 1 FROM {base} LIMIT 1",
            allowed=NO_ROLE,
        ),
    ),
    Attack(
        id="functions",
        title="functions that borrow rights",
        does="SECURITY DEFINER functions in pg_temp, in the view's schema, and for other owners",
        tries=refused(
            "CREATE FUNCTION pg_temp.hf_read() RETURNS text LANGUAGE plpgsql SECURITY DEFINER AS"
            " $hf$ BEGIN RETURN (SELECT b::text FROM {base} AS b LIMIT 1); END $hf$;"
            " SELECT pg_temp.hf_read()",
            "CREATE FUNCTION pg_temp.hf_read() RETURNS text LANGUAGE plpgsql SECURITY DEFINER AS"
            " $hf$ BEGIN RETURN (SELECT b::text FROM {base} AS b LIMIT 1); END $hf$;"
            " ALTER FUNCTION pg_temp.hf_read() OWNER TO {role}; SELECT pg_temp.hf_read()",
            "CREATE FUNCTION {view_schema_name}.hf_read() RETURNS int LANGUAGE sql AS 'SELECT 1'",
        ),
    ),
    Attack(
        id="shadowing",
        title="names that hide what the view uses",
        does="functions, operators and tables in pg_temp under built-in names, pg_temp first in the"
        " search_path; the view must show the same, and call none of them",
    ),
    Attack(
        id="filter",
        title="row filters that the holder's settings decide",
        does="sets what current_setting reads in the definition, in policies and in the functions"
        " that they call, to values of hidden rows; other rows than before are a leak",
    ),
    Attack(
        id="definers",
        title="functions that the holder may call",
        does="calls SECURITY DEFINER functions, and those that views use or that lie beside them,"
        " with clear values: what shows a value, or makes of it what a view shows, is a leak."
        " Functions that may write are not called",
        each=False,
    ),
    Attack(
        id="person",
        title="who the row filters think that it is",
        does="calls holdfast_mask.person() after SET of everything, and under shadowed catalogues",
        each=False,
    ),
    Attack(
        id="key",
        title="the key of pseudonyms",
        does="reads holdfast_mask.key directly, by COPY, XML, statistics, cursors and functions",
        each=False,
        tries=(
            *refused(
                "SELECT * FROM holdfast_mask.key",
                "SELECT k FROM holdfast_mask.key AS k",
                'SELECT "inner" FROM holdfast_mask.key',
                'SELECT "outer" FROM holdfast_mask.key',
                "SELECT 1 FROM holdfast_mask.key",
                "COPY holdfast_mask.key TO STDOUT",
                "COPY (SELECT * FROM holdfast_mask.key) TO STDOUT",
                "SELECT query_to_xml('SELECT * FROM holdfast_mask.key', true, false, '')",
                "EXPLAIN (ANALYZE, VERBOSE) SELECT * FROM holdfast_mask.key",
                "DECLARE c CURSOR FOR SELECT * FROM holdfast_mask.key; FETCH 1 FROM c",
                'UPDATE holdfast_mask.key SET "inner" = "inner" WHERE false RETURNING *',
                "CREATE TEMP TABLE hf_like (LIKE holdfast_mask.key INCLUDING ALL)",
                "CREATE FUNCTION holdfast_mask.hf_read() RETURNS int LANGUAGE sql AS 'SELECT 1'",
                "SET LOCAL search_path = holdfast_mask; TABLE key",
                allowed=("42P01", "3F000"),
            ),
            Try("SELECT * FROM pg_stats WHERE schemaname = 'holdfast_mask'", "nothing"),
            Try(
                "SELECT 1 FROM pg_class AS c WHERE c.relnamespace = to_regnamespace"
                "('holdfast_mask') AND c.relkind IN ('r', 'v', 'm', 'S') AND"
                " (has_table_privilege(c.oid, 'SELECT, INSERT, UPDATE, DELETE, TRUNCATE,"
                " REFERENCES, TRIGGER') OR pg_has_role(c.relowner, 'USAGE'))",
                "nothing",
            ),
        ),
    ),
)
