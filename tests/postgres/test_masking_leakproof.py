"""Which operators reach an index through a masking view: the page, and the server's own word."""

import re
from pathlib import Path

import psycopg

PAGE = Path(__file__).parents[2] / "docs" / "masking.md"
TYPES = {"enums": "anyenum", "arrays": "anyarray", "ranges": "anyrange", "char": "bpchar"}
ORDERED = {"=", "<>", "<", "<=", ">", ">="}
OPERATORS = """
SELECT o.oprname, p.proleakproof FROM pg_operator o JOIN pg_proc p ON p.oid = o.oprcode
WHERE o.oprleft = o.oprright AND o.oprresult = 'bool'::regtype AND o.oprleft = to_regtype(%s)
"""
ACROSS = """
SELECT bool_or(p.proleakproof), bool_and(p.proleakproof)
FROM pg_operator o JOIN pg_proc p ON p.oid = o.oprcode
WHERE o.oprleft <> o.oprright AND o.oprname = ANY (%s)
    AND o.oprleft::regtype::text = ANY (%s) AND o.oprright::regtype::text = ANY (%s)
"""
TIMES = ["date", "timestamp without time zone", "timestamp with time zone"]
INTEGERS = ["smallint", "integer", "bigint"]


def documented():
    """Type → whether the page says that it can be compared by an index."""
    text = PAGE.read_text().split("| type | leakproof | not |\n")[1].split("\n\n")[0]
    found = {}
    for types, leakproof in re.findall(r"(?m)^ *\| (.+?) \| (.+?) \| .*\|$", text):
        for one in types.replace("`", "").split(", "):
            assert one not in found
            found[one] = leakproof != "none"
    return found


def operators(database, name):
    with psycopg.connect(database.dsn) as connection:
        return dict(connection.execute(OPERATORS, [TYPES.get(name, name)]).fetchall())


def across(database, types):
    with psycopg.connect(database.dsn) as connection:
        return connection.execute(ACROSS, [sorted(ORDERED), types, types]).fetchone()


def test_the_table_of_leakproof_operators_is_the_servers(database):
    page = documented()
    assert page["bigint"]
    assert not page["numeric"]
    for name, leakproof in page.items():
        if name == "varchar":
            continue  # it has text's
        found = operators(database, name)
        assert found.keys() >= ORDERED, name
        assert {found[one] for one in ORDERED} == {leakproof}, name


def test_of_text_only_what_begins_with_is_leakproof_beside_comparisons(database):
    found = operators(database, "text")
    assert {one for one in found if found[one]} - {"~<~", "~<=~", "~>~", "~>=~"} == ORDERED | {"^@"}
    assert not any(found[one] for one in ("~~", "~~*", "~", "~*"))
    assert not operators(database, "inet")["&&"]
    assert not operators(database, "bytea")["~~"]


def test_integers_compare_with_each_other_and_times_only_with_their_own(database):
    assert across(database, INTEGERS) == (True, True)
    assert across(database, TIMES) == (False, False)


def test_the_query_of_the_page_says_it(database):
    query = re.findall(r"```sql\n(.*?)```", PAGE.read_text(), re.DOTALL)[-1]
    with psycopg.connect(database.dsn) as connection:
        found = {row[:2]: row[2] for row in connection.execute(query).fetchall()}
    assert found["=", "numeric"] is False
    assert found["=", "bigint"] is True
