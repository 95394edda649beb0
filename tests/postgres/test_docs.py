"""The documentation's table of kinds, what the SQL gives, and the cases: all three agree."""

import re
from pathlib import Path

import psycopg
import pytest
from support.cases import load
from support.server_cases import CASES as ON_A_SERVER_OF_THEIR_OWN

from chalicelib.drift.snapshot import COVERAGE
from chalicelib.postgres import parameters, queries

PAGE = Path(__file__).parents[2] / "docs" / "targets" / "postgres.md"
PER_PRIVILEGE = {"grant", "default_privilege"}
# Needs a server that was built with ICU.
# A revoked membership is of the whole server: test_attributes.py puts it back.
NO_CASE = {("database", "icu_rules"), ("membership", "revoked")}


def documented(major):
    """kind → attributes that a server of this version has."""
    found = {}
    for line in PAGE.read_text("utf-8").splitlines():
        if row := re.fullmatch(r"\| `(\w+)` \| `[^|]+` \| (.+) \|", line):
            pairs = re.findall(r"`(\w+)`(?: \((\d+)\))?", row[2])
            found[row[1]] = {name for name, since in pairs if not since or int(since) <= major}
    kinds = {queries.load(name, major) for name in queries.kinds()}
    younger = {one.kind for one in kinds if one.since > major}
    return {kind: names for kind, names in found.items() if kind not in younger}


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
            if statement.since > major:
                continue
            found.setdefault(statement.kind, set())
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
    for case in (*load(), *ON_A_SERVER_OF_THEIR_OWN):
        for kind, _, attribute in case.expected:
            tested.setdefault(kind, set()).add(attribute)
    missing = {
        (kind, name)
        for kind, names in documented(99).items()
        if kind != parameters.KIND  # see test_settings.py
        for name in names - tested.get(kind, set())
    }
    assert missing == NO_CASE


def scripts(major):
    """The page's two scripts, for the database ``test``: the scanning role, and what opens more."""
    found = re.findall(r"```sql\n(.+?)```", PAGE.read_text("utf-8"), re.DOTALL)[:2]
    lines = (script.replace("orders", "test").replace("…", "x").splitlines() for script in found)
    return [
        "\n".join(line for line in script if major >= 15 or "from PostgreSQL 15 on" not in line)
        for script in lines
    ]


def hidden(seen):
    """kind → attributes that the role may not see; none, where it sees nothing of the kind."""
    return {
        name: set(item.attributes.get("attributes", []))
        for (kind, name), item in seen.objects.items()
        if kind == COVERAGE and item.attributes["optional"] is True
    }


FOREIGN = (
    "CREATE FOREIGN DATA WRAPPER w",
    "CREATE SERVER srv FOREIGN DATA WRAPPER w",
    "CREATE USER MAPPING FOR postgres SERVER srv OPTIONS (password 'hush')",
    "CREATE SUBSCRIPTION sub CONNECTION 'password=hush' PUBLICATION p WITH (connect = false)",
    "COMMENT ON SUBSCRIPTION sub IS 'ours'",
)


def test_the_scanning_role_of_the_page_sees_all_but_what_the_page_says(database, major):
    database.run(scripts(major)[0], "CREATE TABLE t (a integer)", *FOREIGN)
    seen = database.scan(database.as_role("holdfast_scan", "x"))
    gaps = hidden(seen)
    more = {"comment", "synchronous_commit"} if major < 14 else set()
    assert gaps == {
        "file_setting": set(),
        "hba_rule": set(),
        "role": {"password", "password_digest", "password_iterations"},
        "subscription": {"conninfo", *more},
        "user_mapping": {"options"},
    } | ({"ident_mapping": set()} if major >= 15 else {})
    expected = {
        key: {name: value for name, value in item.attributes.items() if name not in lack}
        for key, item in database.scan().objects.items()
        if (lack := gaps.get(item.kind, {""}))
    }
    found = {key: item.attributes for key, item in seen.objects.items() if key[0] != COVERAGE}
    assert found == expected


def test_with_what_the_page_opens_the_role_sees_everything(database, major):
    database.run(*scripts(major), "CREATE TABLE t (a integer)", *FOREIGN)
    seen = database.scan(database.as_role("holdfast_scan", "x"))
    assert seen.data == database.scan().data
    assert not hidden(seen)


@pytest.mark.parametrize("name", sorted(parameters.LEFT_OUT))
def test_every_setting_that_is_left_out_is_documented(name):
    assert f"`{name}`" in PAGE.read_text("utf-8")
