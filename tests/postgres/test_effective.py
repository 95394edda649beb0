"""Effective grants against the server itself: every role, every object, every privilege."""

from __future__ import annotations

import random

import psycopg
import pytest
from psycopg import sql

from chalicelib.drift.effective.closure import effective
from chalicelib.drift.effective.graph import EVERYBODY
from chalicelib.drift.effective.privileges import ADMIN, ROLE, SET, USAGE, privileges

ROLES = [*(f"r{number}" for number in range(9)), "to PUBLIC", 'a to "b"', "Mixed Case"]
GRANTABLE = {
    "table": ("TABLE", ["s0.t0", "s0.t1", 's1."orders to bob"', "s1.v0", "public.p0"]),
    "sequence": ("SEQUENCE", ["s0.q0", "s1.q1"]),
    "function": ("FUNCTION", ["s0.f(integer)", 's1."f to g"(text, text)']),
    "type": ("TYPE", ["s0.d0", "s1.e0"]),
    "schema": ("SCHEMA", ["s0", "s1", "public"]),
    "database": ("DATABASE", ["test", "other"]),
    "language": ("LANGUAGE", ["plpgsql"]),
    "server": ("FOREIGN SERVER", ["srv"]),
    "foreign_data_wrapper": ("FOREIGN DATA WRAPPER", ["fdw"]),
    "tablespace": ("TABLESPACE", ["pg_default"]),
    "parameter": ("PARAMETER", ["log_statement", "work_mem"]),
    "large_object": ("LARGE OBJECT", ["77777"]),
}
SINCE = {"parameter": 15, "large_object": 18}  # before, no has_largeobject_privilege
OWNED = {
    "table": "TABLE", "sequence": "SEQUENCE", "function": "FUNCTION", "type": "TYPE",
    "schema": "SCHEMA", "database": "DATABASE", "large_object": "LARGE OBJECT",
}  # fmt: skip
MADE = [
    "CREATE SCHEMA s0",
    "CREATE SCHEMA s1",
    "CREATE TABLE s0.t0 (a int, b int, c int)",
    "CREATE TABLE s0.t1 (a int, b int, c int)",
    'CREATE TABLE s1."orders to bob" (a int, b int, c int)',
    "CREATE TABLE public.p0 (a int, b int, c int)",
    "CREATE VIEW s1.v0 AS SELECT 1 AS a, 2 AS b, 3 AS c",
    "CREATE SEQUENCE s0.q0",
    "CREATE SEQUENCE s1.q1",
    "CREATE FUNCTION s0.f(integer) RETURNS integer LANGUAGE sql AS 'SELECT 1'",
    """CREATE FUNCTION s1."f to g"(text, text) RETURNS integer LANGUAGE sql AS 'SELECT 1'""",
    "CREATE DOMAIN s0.d0 AS integer",
    "CREATE TYPE s1.e0 AS ENUM ('a')",
    "CREATE FOREIGN DATA WRAPPER fdw",
    "CREATE SERVER srv FOREIGN DATA WRAPPER fdw",
    "SELECT lo_create(77777)",
]
CHECKS = {
    "table": "has_table_privilege(r.oid, {}::regclass::oid, {})",
    "column": "has_column_privilege(r.oid, {}::regclass::oid, {}::text, {})",
    "sequence": "has_sequence_privilege(r.oid, {}::regclass::oid, {})",
    "function": "has_function_privilege(r.oid, {}::regprocedure::oid, {})",
    "type": "has_type_privilege(r.oid, {}::regtype::oid, {})",
    "schema": "has_schema_privilege(r.oid, {}::regnamespace::oid, {})",
    "database": "has_database_privilege(r.oid, {}, {})",
    "language": "has_language_privilege(r.oid, {}, {})",
    "server": "has_server_privilege(r.oid, {}, {})",
    "foreign_data_wrapper": "has_foreign_data_wrapper_privilege(r.oid, {}, {})",
    "tablespace": "has_tablespace_privilege(r.oid, {}, {})",
    "parameter": "has_parameter_privilege(r.oid, {}, {})",
    "large_object": "has_largeobject_privilege(r.oid, {}::oid, {})",
}
KINDS = {"s1.v0": "view"}
STEPS = 260


class Maker:
    """Random roles, memberships, owners and grants; what the server refuses was not made."""

    def __init__(self, database, major, seed):
        self.pick = random.Random(seed)  # noqa: S311 - a test's
        self.database = database
        self.major = major
        self.kinds = [one for one in GRANTABLE if major >= SINCE.get(one, 0)]

    def make(self):
        self.database.run(*MADE)
        with psycopg.connect(self.database.dsn, autocommit=True) as connection:
            for name in ROLES:
                flags = [
                    self.pick.choice(["INHERIT", "INHERIT", "NOINHERIT"]),
                    self.pick.choice(["NOCREATEROLE", "NOCREATEROLE", "CREATEROLE"]),
                    "SUPERUSER" if name == "r8" else "NOSUPERUSER",
                ]
                made = sql.SQL("CREATE ROLE {} " + " ".join(flags))
                connection.execute(made.format(sql.Identifier(name)))
            done = sum(self.attempt(connection) for _ in range(STEPS))
        assert done > STEPS // 3

    def attempt(self, connection):
        step = self.pick.choices(
            [self.membership, self.owner, self.grant, self.revoke, self.column],
            [3, 2, 10, 3, 3],
        )[0]
        try:
            if self.pick.random() < 0.3:  # so that grants are made by those who may grant on
                connection.execute(sql.SQL("SET ROLE {}").format(self.role()))
            connection.execute(step())
        except (psycopg.errors.InsufficientPrivilege, psycopg.errors.InvalidGrantOperation):
            return False
        except psycopg.errors.FeatureNotSupported:  # pg_database_owner has no members
            return False
        finally:
            connection.execute("RESET ROLE")
        return True

    def role(self):
        return sql.Identifier(self.pick.choice(ROLES))

    def grantee(self):
        return sql.SQL("PUBLIC") if self.pick.random() < 0.1 else self.role()

    def membership(self):
        member, role = self.pick.sample(range(len(ROLES)), 2)
        names = [ROLES[max(member, role)], ROLES[min(member, role)]]  # no circles
        predefined = ["pg_read_all_stats", "pg_monitor"]
        if self.major >= 14:
            predefined += ["pg_read_all_data", "pg_write_all_data"]
        if self.major >= 17:
            predefined += ["pg_maintain"]
        if self.pick.random() < 0.3:
            names[1] = self.pick.choice(predefined)
        options = ["ADMIN OPTION"] if self.pick.random() < 0.3 else []
        if self.major >= 16:
            options = [
                f"{one} {self.pick.choice(['TRUE', 'FALSE'])}"
                for one in ("ADMIN", "INHERIT", "SET")
                if self.pick.random() < 0.5
            ]
        text = "GRANT {} TO {}" + (f" WITH {', '.join(options)}" if options else "")
        return sql.SQL(text).format(sql.Identifier(names[1]), sql.Identifier(names[0]))

    def thing(self, kinds):
        kind = self.pick.choice(list(kinds))
        word, names = GRANTABLE[kind]
        name = self.pick.choice(names)
        word = "VIEW" if name == "s1.v0" and kinds is OWNED else word
        return kind, word, sql.SQL(name)

    def owner(self):
        _, word, name = self.thing(OWNED)
        word = {"FOREIGN SERVER": "SERVER"}.get(word, word)
        return sql.SQL(f"ALTER {word} {{}} OWNER TO {{}}").format(name, self.role())

    def chosen(self, kind):
        found = list(privileges(kind, self.major))
        chosen = self.pick.sample(found, self.pick.randint(1, len(found)))
        return ", ".join(one.replace("_", " ").upper() for one in chosen)

    def grant(self):
        kind, word, name = self.thing(self.kinds)
        grantee = self.grantee()
        option = self.pick.random() < 0.3 and not isinstance(grantee, sql.SQL)
        text = f"GRANT {self.chosen(kind)} ON {word} {{}} TO {{}}"
        return sql.SQL(text + (" WITH GRANT OPTION" if option else "")).format(name, grantee)

    def column(self):
        name = sql.SQL(self.pick.choice(GRANTABLE["table"][1]))
        which = self.pick.choice(["a", "b"])
        granted = ", ".join(f"{one} ({which})" for one in self.chosen("column").split(", "))
        return sql.SQL(f"GRANT {granted} ON {{}} TO {{}}").format(name, self.grantee())

    def revoke(self):
        kind, word, name = self.thing(self.kinds)
        text = f"REVOKE {self.chosen(kind)} ON {word} {{}} FROM {{}} CASCADE"
        return sql.SQL(text).format(name, self.grantee())


def asked(kind, name, privilege):
    """The server's own function for a privilege, and the thing as a snapshot names it."""
    right = privilege.replace("_", " ").upper()
    if kind == "column":
        table, _, column = name.rpartition(".")
        return sql.SQL(CHECKS[kind]).format(table, column, right)
    return sql.SQL(CHECKS[kind]).format(name, right)


def things(major):
    for kind, (_, names) in GRANTABLE.items():
        if major < SINCE.get(kind, 0):
            continue
        for name in names:
            yield kind, (KINDS.get(name, kind), name)
    for table in GRANTABLE["table"][1]:
        for column in "abc":
            yield "column", ("column", f"{table}.{column}")


def shown(name):
    """A role as snapshots name it."""
    quoted = '"' + name.replace('"', '""') + '"'
    return name if name.replace("_", "").isalnum() and name.islower() else quoted


@pytest.mark.parametrize("seed", range(4))
def test_every_privilege_is_what_the_server_says(database, other_database, major, seed):
    Maker(database, major, seed).make()
    taken = database.scan()
    found = effective(taken, "test")
    assert found.inputs.major == major
    wrong = []
    with psycopg.connect(database.dsn) as connection:
        for kind, thing in things(major):
            for privilege in privileges(kind, major):
                sets = found.sets(thing, privilege)
                for mask, more in ((sets.use, ""), (sets.option, " WITH GRANT OPTION")):
                    check = asked(kind, thing[1], privilege + more)
                    query = sql.SQL("SELECT r.rolname, {} FROM pg_roles AS r").format(check)
                    for role, has in connection.execute(query):
                        if (mask >> found.roll.place(shown(role)) & 1) != has:
                            wrong.append((role, thing, privilege + more, has))
    assert wrong == []


@pytest.mark.parametrize("seed", range(4))
def test_every_role_is_who_the_server_says(database, other_database, major, seed):
    Maker(database, major, seed).make()
    found = effective(database.scan(), "test")
    creators = found.attributes["create_role"] if major < 16 else 0
    modes = {
        USAGE: "USAGE",
        SET: "SET" if major >= 16 else "MEMBER",
        ADMIN: "USAGE WITH ADMIN OPTION",
    }
    wrong = []
    with psycopg.connect(database.dsn) as connection:
        for privilege, mode in modes.items():
            query = """
                SELECT r.rolname, o.rolname, pg_has_role(r.oid, o.oid, %s)
                FROM pg_roles AS r CROSS JOIN pg_roles AS o WHERE r.oid <> o.oid
            """
            for role, other, has in connection.execute(query, [mode]):
                place = found.roll.place(shown(role))
                if privilege == ADMIN and creators >> place & 1:
                    continue  # pg_has_role knows memberships alone
                mask = found.sets((ROLE, shown(other)), privilege).use
                if (mask >> place & 1) != has:
                    wrong.append((role, other, mode, has))
    assert wrong == []
    assert not found.sets((ROLE, "r0"), USAGE).use >> EVERYBODY & 1
