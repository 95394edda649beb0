"""The documentation's table of kinds, what the SQL gives, and the cases: all three agree."""

import re
from pathlib import Path

import psycopg
import pytest
from support.cases import load

from chalicelib.postgres import parameters, queries

PAGE = Path(__file__).parents[2] / "docs" / "targets" / "postgres.md"
PER_PRIVILEGE = {"grant", "default_privilege"}
# Needs a server that was built with ICU.
NO_CASE = {("database", "icu_rules")}


def documented(major):
    """kind → attributes that a server of this version has."""
    found = {}
    for line in PAGE.read_text("utf-8").splitlines():
        if row := re.fullmatch(r"\| `(\w+)` \| `[^|]+` \| (.+) \|", line):
            pairs = re.findall(r"`(\w+)`(?: \((\d+)\))?", row[2])
            found[row[1]] = {name for name, since in pairs if not since or int(since) <= major}
    return found


def given(database, major):
    """kind → attributes that its queries can give."""
    found = {
        parameters.KIND: {
            "value",
            "unit",
            "source",
            "source_file",
            "pending_restart",
            "pending_value",
        }
    }
    with psycopg.connect(database.dsn) as connection:
        connection.execute("SET search_path = pg_catalog, pg_temp")
        for name in queries.kinds():
            statement = queries.load(name, major)
            cursor = connection.execute(statement.sql.encode())
            for column in cursor.description:
                alias, _, suffix = column.name.partition("__")
                if suffix != "acl" and not alias.startswith(("name", "meta_")):
                    found.setdefault(statement.kind, set()).add(alias.partition(".")[0])
    return found


def test_every_kind_and_attribute_is_documented(database, major):
    assert documented(major) == given(database, major)


def test_every_attribute_has_a_case():
    tested = {}
    for case in load():
        for kind, _, attribute in case.expected:
            tested.setdefault(kind, set()).add(attribute)
    missing = {
        (kind, name)
        for kind, names in documented(99).items()
        if kind != parameters.KIND  # see test_settings.py
        for name in names - tested.get(kind, set())
    }
    assert missing == NO_CASE


def test_the_scanning_role_of_the_page_is_enough(database):
    script = re.search(r"```sql\n(.+?)```", PAGE.read_text("utf-8"), re.DOTALL)[1]
    database.run(script.replace("orders", "test").replace("…", "x"), "CREATE TABLE t (a integer)")
    seen = database.scan(database.as_role("holdfast_scan", "x"))
    assert seen.data == database.scan().data


@pytest.mark.parametrize("name", sorted(parameters.LEFT_OUT))
def test_every_setting_that_is_left_out_is_documented(name):
    assert f"`{name}`" in PAGE.read_text("utf-8")
